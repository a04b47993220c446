"""What is parsed by hand does what click would do, and everything else is left to click."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dynastash.cli import app, quick
from tests.cli.runner import Cli, Done, streams

WORDS = st.sampled_from(
    [
        *(
            "get",
            "put",
            "list",
            "n",
            "app/n",
            "gone",
            "bin",
            "n@1",
            "app",
            "n#a",
            "dynastash://n",
            "",
            " ",
            "-",
            "--",
            "ü",
            "a//b",
        ),
        *(
            "-e",
            "--env",
            "-elocal",
            "--env=local",
            "local",
            "other",
            "LOCAL",
            "-v",
            "-o",
            "--output",
            "json",
            "table",
            "xml",
            "--raw",
            "--help",
            "-h",
        ),
        *("--en", "--env=", "-e=local", "@", "n/", "..", "\udcff"),
    ]
)


def by(run: Callable[[list[str]], int | None], arguments: list[str], given_: bytes | None) -> Done:
    """What comes of ``arguments``; -1 where it is not taken."""
    with streams(given_, "utf-8", False) as (out, err):
        code = run(list(arguments))
    return Done(-1 if code is None else code, out.getvalue(), err.getvalue().decode("utf-8"))


@given(st.lists(WORDS, max_size=5))
@example(["get", "n"])
@example(["-e", "local", "get", "app/n"])
@example(["get", "gone", "--env", "local"])
@example(["get", "--env", "LOCAL", "n"])
@example(["get", "n", "-e"])
@example(["get", "-e", "-e", "n"])
@example(["put", "fresh"])
@example(["put", "n@1", "-e", "local"])
@example(["list"])
@example(["list", "app", "-o", "json"])
@example(["-o", "table", "list", "gone", "-e", "local"])
@example(["list", "", "--output", "xml"])
@example([])
@example(["--help"])
@example(["-h"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_is_as_if_click_had_done_it(stored: Cli, arguments: list[str]) -> None:
    """Whatever it takes upon itself comes out the same: output, errors, exit code, what is stored."""
    for value in (b"piped", b"", None):
        done = by(quick.run, arguments, value)
        if done.code == -1:
            assert (done.out, done.err) == (b"", "")
            return
        again = by(app.run, arguments, value)
        assert (done.code, done.out, counted(done.err)) == (again.code, again.out, again.err)


def counted(said: str) -> str:
    """``said`` as it is when a version more was put meanwhile."""
    return re.sub(r"version (\d+) in", lambda match: f"version {int(match[1]) + 1} in", said)


@pytest.fixture
def stored(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A store with something in it."""
    cli.ok("put", "n", given=b"value")
    cli.ok("put", "app/n", given="wörter\r\n".encode())
    cli.ok("put", "bin", given=b"\0\xff")
    return cli


@pytest.mark.parametrize(
    "arguments", [["get", "n"], ["get", "gone"], ["get", "n", "-e", "local"], ["--env", "x", "get", "n"]]
)
def test_what_scripts_write_is_taken(stored: Cli, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or there would be nothing gained."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    assert quick._understand(arguments) is not None


@pytest.mark.parametrize("terminal", [False, True])
def test_to_a_terminal_too(stored: Cli, terminal: bool) -> None:
    """A final newline, and nothing binary unasked."""
    for name in ("n", "app/n", "bin"):
        with streams(None, "utf-8", terminal) as (out, err):
            code = quick.run(["get", name])
        assert Done(code or 0, out.getvalue(), err.getvalue().decode()) == stored("get", name, terminal=terminal)


LINES = st.lists(
    st.sampled_from(["dynastash", "get", "list", "run", "put", "-e", "local", "-elocal", "--env", "--env=", "n", "ap"]),
    max_size=4,
).map(" ".join)
ENDS = st.sampled_from(["", " ", " a", " -", " 'a", " n@", " --env=l", " ü", "\\"])


@given(st.sampled_from(["bash", "zsh", "fish", "tcsh"]), LINES, ENDS)
@example("bash", "dynastash get", " ")
@example("bash", "dynastash get", " app/")
@example("bash", "dynastash get", " n@")
@example("zsh", "dynastash -e local history", " a")
@example("fish", "AWS_PROFILE=x dynastash list", " '")
@example("zsh", "dynastash -e -v get", " ")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_name_is_completed_as_if_click_had_done_it(stored: Cli, shell: str, line: str, end: str) -> None:
    """Whatever of it is taken upon: the same words, and the same descriptions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_DYNASTASH_COMPLETE", shell)
        patch.setenv("COMP_LINE", line + end)
        patch.setenv("COMP_WORDBREAKS", "\"'@><=;|&(:")
        done = by(quick.run, ["get", "n"], None)  # a shell that asks for completions gets no value
        assert done.out == b"" if done.code == -1 else done == by(app.run, ["get", "n"], None)


@pytest.mark.parametrize("line", ["dynastash get ", "dynastash -e local list ap", "dynastash --env local rotate 'ap"])
def test_names_are_completed_without_click(stored: Cli, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or there would be nothing gained."""
    monkeypatch.setenv("_DYNASTASH_COMPLETE", "zsh")
    monkeypatch.setenv("COMP_LINE", line)
    done = by(quick.run, [], None)
    assert done.code == 0
    assert b"app/n\n" in done.out


@pytest.mark.parametrize("columns", ["80", "99", "100", "101", "250", "60", "0", "-1", "wide", ""])
def test_help_fits_the_terminal(stored: Cli, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Laid out as click does it, whether it comes ready or not."""
    monkeypatch.setenv("COLUMNS", columns)
    done = by(quick.run, ["--help"], None)
    assert (done.code == -1) == (columns in ("99", "60"))
    if done.code == 0:
        assert done == by(app.run, ["--help"], None)


@pytest.mark.parametrize(
    ("command", "begins"), [("get n", b"value"), ("list -o json", b"["), ("--help", b"Usage"), ("", b"Usage")]
)
def test_a_process_that_gets_a_secret_has_no_click(stored: Cli, command: str, begins: bytes) -> None:
    """Seen from outside: in the process that `dynastash get` is."""
    done = stored.shell(f"python -X importtime -m dynastash {command}")
    assert done.out.startswith(begins)
    assert "dynastash.cli.quick" in done.err
    assert "| click" not in done.err.replace("  ", "")
    assert "dataclasses" not in done.err
