"""A guard without a clock: the instructions that hot commands take, which do not flicker as seconds do.

Counted by valgrind's callgrind, in user space and with everything that Python itself does. A figure belongs to one
minor version of Python; the margin leaves room for another machine's libraries and for small changes, and none for
a large module that comes in by mistake.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import dynastash
from bench.seeds import ENVIRONMENT, name_of, seed, value_of
from bench.server.process import running

MARGIN = 1.15
# Millions of instructions on CPython 3.11; `PYTEST_ARGS="tests/bench/test_instructions.py -s" make test` prints them.
PINNED = {
    "get": 216,
    "get, embedded": 203,
    "list of 25": 200,
    "--help": 93,
}
COMMANDS = {
    "get": (["get", name_of(7)], True, value_of(7, 1)),
    "get, embedded": (["get", "app1/made-up"], False, "made-up"),
    "list of 25": (["list", "-o", "json"], True, name_of(24)),
    "--help": (["--help"], False, "Usage"),
}

# Without site: an editable installation's finder would load modules of its own, and hide those that come in by mistake.
PROGRAM = f"""import sys
sys.path[:0] = {[str(Path(dynastash.__file__).parents[1]), sysconfig.get_path("purelib")]}
sys.argv[0] = "dynastash"
from dynastash.cli import main
main()"""

pytestmark = [
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the figures are of Python 3.11"),
]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment in which every command works, on seeded tables and on an embedded store with one secret."""
    home = tmp_path_factory.mktemp("guard")
    with running(home) as server:
        seed(server, "guarded", 25)
        found = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONHASHSEED": "0",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIABENCHBENCHBENCH0",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_EC2_METADATA_DISABLED": "true",
            **server.variables(),
        }
        put = [sys.executable, "-m", "dynastash", "put", "app1/made-up"]
        subprocess.run(put, env=found, cwd=home, input=b"made-up", check=True, capture_output=True)
        yield found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_hot_command_takes_no_more_instructions_than_it_did(
    name: str, variables: dict[str, str], tmp_path: Path
) -> None:
    """Some more is a change to look at: mend it, or pin the new figure and say why."""
    arguments, on_aws, expected = COMMANDS[name]
    own = {"DYNASTASH_ENV": ENVIRONMENT, "DYNASTASH_TABLE": "guarded"} if on_aws else {}
    command = [sys.executable, "-S", "-c", PROGRAM, *arguments]
    how = {"env": {**variables, **own}, "cwd": tmp_path, "capture_output": True, "text": True}
    subprocess.run(command, **how)  # what is imported for the first time is compiled, which is not what is counted
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command], **how)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    counted = re.search(r"Collected : (\d+)", done.stderr)
    assert counted, done.stderr
    millions = int(counted[1]) / 1e6
    print(f"{name}: {millions:.0f} million instructions")
    assert millions <= PINNED[name] * MARGIN
    assert millions >= PINNED[name] / MARGIN / 1.5, "so much better that the figure no longer guards anything"
