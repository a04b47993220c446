"""The short rule for directories, held against platformdirs."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import patch

import platformdirs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dynastash import directories

PATHS = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "/", "//", "/home/ada", "/home/ada/", "rel", "./x", "/a/../b", "~", "/x\n", "/ä b"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)


@given(PATHS, PATHS, PATHS, st.booleans())
@example("/home/ada", None, None, False)
@example("/home/ada", "/etc/xdg", "/srv/data", False)
@example("/home/ada", "relative", "", True)
def test_they_are_what_platformdirs_says(home: str | None, config: str | None, data: str | None, android: bool) -> None:
    """Whatever the variables hold."""
    variables = {"HOME": home, "XDG_CONFIG_HOME": config, "XDG_DATA_HOME": data, "ANDROID_DATA": "/data" * android}
    given_ = {name: value for name, value in variables.items() if value}
    with patch.dict("os.environ", given_, clear=True):
        assert directories.user_config() == platformdirs.user_config_dir("dynastash")
        assert directories.user_data() == platformdirs.user_data_dir("dynastash")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the short rule")
def test_the_usual_case_does_not_load_it() -> None:
    """Which is what the short rule is for."""
    program = "import sys; from dynastash import directories as d; d.user_config(); d.user_data(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"HOME": "/home/ada"}, capture_output=True, text=True, check=True
    )
    assert "dynastash.directories" in done.stdout.split()
    assert "platformdirs" not in done.stdout.split()
