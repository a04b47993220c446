"""The package itself: what importing it costs, what it exports, and that its types hold."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import dynastash

HEAVY = ("boto3", "botocore", "click", "tabulate", "cryptography", "sqlite3", "platformdirs", "xkcdpass", "keyring")


def loaded(code: str, home: Path) -> set[str]:
    """The modules that a fresh interpreter has loaded after ``code``."""
    program = textwrap.dedent(code) + "\nimport sys; print(*sys.modules)"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_DATA_HOME": str(home / "data")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, cwd=home
    )
    return set(done.stdout.split())


def test_importing_it_loads_nothing(tmp_path: Path) -> None:
    """Nothing but the package's own two files and what the interpreter has anyway."""
    found = loaded("import dynastash", tmp_path)
    assert not found & set(HEAVY)
    assert {name for name in found if name.split(".")[0] == "dynastash"} == {"dynastash", "dynastash._version"}
    assert found - loaded("import typing, __future__", tmp_path) == {"dynastash", "dynastash._version"}


def test_an_embedded_stash_loads_nothing_of_aws(tmp_path: Path) -> None:
    """Nor of the command line; boto3 alone would cost more than everything else together."""
    found = loaded(
        """
        import dynastash
        stash = dynastash.connect()
        stash.put("n", b"x")
        assert stash.get("n").value == b"x"
        """,
        tmp_path,
    )
    assert "sqlite3" in found
    assert not found & {"boto3", "botocore", "click", "tabulate", "keyring", "xkcdpass"}


def test_connecting_waits_for_nothing(tmp_path: Path) -> None:
    """Neither the cryptography nor the key is loaded before they are needed for a value."""
    found = loaded("import dynastash; dynastash.connect().list()", tmp_path)
    assert not found & {"cryptography", "boto3", "botocore", "click"}


def test_a_second_import_is_free(tmp_path: Path) -> None:
    """A name that was used once is the module's own from then on."""
    code = "import dynastash; dynastash.Stash; assert 'Stash' in vars(dynastash); dynastash.connect"
    assert "dynastash.stash.api" in loaded(code, tmp_path)


@pytest.mark.parametrize("name", dynastash.__all__)
def test_every_public_name_resolves(name: str) -> None:
    """To the one object that its own module has."""
    found = getattr(dynastash, name)
    assert name in dir(dynastash)
    if hasattr(found, "__module__"):
        assert getattr(importlib.import_module(found.__module__), name) is found


def test_what_is_not_public_is_not_there() -> None:
    """An error like any module's; a star import brings exactly the public names."""
    with pytest.raises(AttributeError, match="module 'dynastash' has no attribute 'Stush'"):
        dynastash.Stush  # noqa: B018
    assert dir(dynastash) == dynastash.__all__ == sorted(dynastash.__all__)
    namespace: dict[str, object] = {}
    exec("from dynastash import *", namespace)
    assert set(dynastash.__all__) <= namespace.keys()


def test_connect_stays_the_function(tmp_path: Path) -> None:
    """Whatever else is imported, in whatever order: no submodule takes its place."""
    code = """
        import dynastash
        first = dynastash.connect
        import dynastash.wiring, dynastash.config, dynastash.errors, dynastash.stash.api
        assert dynastash.connect is first is dynastash.wiring.connect
        assert dynastash.errors is sys.modules["dynastash.errors"] if (sys := __import__("sys")) else False
    """
    loaded(code, tmp_path)


def test_it_says_that_it_is_typed() -> None:
    """PEP 561."""
    assert (Path(dynastash.__file__).parent / "py.typed").is_file()


EXAMPLE = """
    import boto3
    import dynastash
    from dynastash import DynastashError, PartialError, Secret, SecretInfo, Stage, Stash, State, Version
    from dynastash.errors import SecretNotFoundError

    stash: Stash = dynastash.connect()
    put: Version = stash.put("app1/db/password", "hunter2", comment="initial")
    stash.put("app1/db/password", b"correct horse", if_version=1)
    secret: Secret = stash.get("app1/db/password")
    text: str = secret.text
    value: bytes = stash.get("app1/db/password", version=1).value
    previous: Secret = stash.get("app1/db/password", stage=Stage.PREVIOUS)
    found: dict[str, Secret] = stash.get_many(prefix="app1/")
    for version in stash.history("app1/db/password"):
        print(version.number, version.created_at, *version.stages)
    infos: list[SecretInfo] = [info for info in stash.list() if info.state is State.ACTIVE]
    try:
        stash.get_many(["a", "b"])
    except PartialError as error:
        reasons: list[DynastashError] = list(error.failures.values())
    except SecretNotFoundError as missing:
        hint: str | None = missing.hint
    prod = dynastash.connect("prod", session=boto3.Session(), region="eu-west-1")
"""

WRONG = """
    import dynastash

    stash = dynastash.connect()
    stash.put("n", 7)
    stash.get("n").value.encode()
    dynastash.nothing
"""


def checked(code: str, directory: Path) -> str:
    """What ``mypy --strict`` says of a file with this code."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    path = directory / "example.py"
    path.write_text(textwrap.dedent(code))
    out, err, _ = api.run(["--strict", "--no-incremental", "--cache-dir", os.devnull, "--config-file", "", str(path)])
    return str(out + err)


def test_a_users_types_hold(tmp_path: Path) -> None:
    """The README's example and what belongs to it, under mypy --strict; and mistakes are found."""
    assert checked(EXAMPLE, tmp_path).startswith("Success")
    found = checked(WRONG, tmp_path)
    assert '"bytes" has no attribute "encode"' in found
    assert 'Argument 2 to "put" of "Stash" has incompatible type "int"' in found
    assert 'Module has no attribute "nothing"' in found
