"""What only a real terminal, a closed stream or a signal brings about, brought about in this process.

The same is tried for real in test_terminal, test_interrupt and test_errors; here every line of it is reached.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator

import click
import pytest

from dynastash.cli import asking, exits, intake, main, output
from dynastash.cli.options import Settings, Usage
from dynastash.errors import DynastashError, InvalidArgumentError
from tests.cli.runner import Cli


class Failing(io.RawIOBase):
    """A stream on which every write fails."""

    def __init__(self, number: int) -> None:
        self._number = number

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise OSError(self._number, "it fails")


def broken(number: int) -> io.TextIOWrapper:
    """A text stream over it."""
    return io.TextIOWrapper(io.BufferedWriter(Failing(number)), encoding="utf-8")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Somebody at a terminal who gives these answers to hidden questions."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def give(*texts: str | BaseException) -> None:
        given = iter(texts)

        def getpass(prompt: str) -> str:
            text = next(given)
            if isinstance(text, BaseException):
                raise text
            return text

        monkeypatch.setattr("getpass.getpass", getpass)
        monkeypatch.setattr(sys, "stdin", Terminal())

    yield give


def test_prompt(answers: Callable[..., None]) -> None:
    """Asked until both agree; text is stored as UTF-8."""
    answers("pä", "other", "pä", "pä")
    assert intake.read_value(None, "n") == "pä".encode()


@pytest.mark.parametrize(
    "given", [[""], ["x" * 4095, "x" * 4095], ["\udcff", "\udcff"], [UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "")]]
)
def test_prompt_refuses(answers: Callable[..., None], given: list[str]) -> None:
    """Nothing, a line that may be cut off, what is no text; and does not quote it."""
    answers(*given)
    with pytest.raises(Usage) as caught:
        intake.read_value(None, "n")
    assert "hunter2" not in caught.value.message
    assert caught.value.__cause__ is None


def test_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed altogether, or not readable."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Usage):
        intake.read_value(None, "n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(_Unreadable())))
    with pytest.raises(InvalidArgumentError):
        intake.read_value("-", "n")


class _Unreadable(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")


@pytest.mark.parametrize(("value", "shown"), [(b"a", b"a\n"), (b"a\n", b"a\n"), (b"a\tb\r\nc", b"a\tb\r\nc\n")])
def test_text_at_a_terminal(cli: Cli, value: bytes, shown: bytes) -> None:
    """One newline at the end; --raw adds none."""
    cli.ok("put", "n", given=value)
    assert cli("get", "n", terminal=True).out == shown
    assert cli("get", "n", "--raw", terminal=True).out == value


@pytest.mark.parametrize("value", [b"\xff", b"a\x1bb", b"a\rb"])
def test_no_binary_at_a_terminal(cli: Cli, value: bytes) -> None:
    """Refused with advice."""
    cli.ok("put", "n", given=value)
    done = cli("get", "n", terminal=True)
    assert (done.code, done.out) == (2, b"")
    assert cli("get", "n", "--raw", terminal=True).out == value


def test_output_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error of ours, a reader that is gone stays what it is, a closed stream is named."""
    monkeypatch.setattr(sys, "stdout", broken(errno.ENOSPC))
    with pytest.raises(DynastashError, match="the output could not be written: it fails"):
        output.write_text("x")
    monkeypatch.setattr(sys, "stdout", broken(errno.EPIPE))
    with pytest.raises(BrokenPipeError):
        output.write_text("x")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(DynastashError, match="standard output is closed"):
        output.write_text("x")


def test_standard_error_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be said is dropped."""
    for stream in (broken(errno.EPIPE), None):
        monkeypatch.setattr(sys, "stderr", stream)
        output.say("x")
        output.end_line()


def test_streams_are_abandoned(cli: Cli) -> None:
    """Afterwards the descriptor leads nowhere."""
    with (cli.directory / "file").open("w") as file:
        output.abandon(file)
        file.write("x")
    assert (cli.directory / "file").read_text() == ""


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), exits.INTERRUPTED),
        (EOFError(), exits.INTERRUPTED),
        (click.Abort(), exits.INTERRUPTED),
        (BrokenPipeError(errno.EPIPE, "x"), exits.BROKEN_PIPE),
    ],
)
def test_quiet_ends(cli: Cli, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int) -> None:
    """Without a word."""

    def stash(settings: Settings) -> None:
        raise raised

    monkeypatch.setattr(Settings, "stash", stash)
    done = cli("get", "n")
    assert (done.code, done.out, done.err) == (code, b"", "")


def test_help_that_cannot_be_written(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """click writes help itself."""

    def echo(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(click.core, "echo", echo)
    monkeypatch.setattr(click.decorators, "echo", echo)
    done = cli("get", "--help")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: the output could not be written: No space left on device",
    )


def test_the_line_of_a_question_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal only."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    output.end_line()
    assert sys.stderr.getvalue() == "\n"  # type: ignore[attr-defined]


def test_console_script(cli: Cli, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Exits with the code of run(), and with 130 wherever Ctrl-C comes."""
    cli.ok("put", "n", given=b"x")
    for arguments, code in ((["get", "n"], 0), (["get", "m"], 3)):
        monkeypatch.setattr(sys, "argv", ["dynastash", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == code

    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "_exit", sys.exit)
    for path, command in (("dynastash.cli.app.run", "env"), ("dynastash.cli.quick.run", "list")):
        monkeypatch.setattr(path, interrupted)
        monkeypatch.setattr(sys, "argv", ["dynastash", command])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 130


@pytest.mark.parametrize("agreed", [True, False])
def test_asking(cli: Cli, monkeypatch: pytest.MonkeyPatch, agreed: bool) -> None:
    """Yes goes on; no ends with code 1 and nothing done. The question is shown in one line."""
    asked = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return agreed

    monkeypatch.setattr(asking.click, "confirm", confirm)
    monkeypatch.setattr("tests.cli.runner.os.devnull", "/dev/ptmx")  # a terminal as standard input
    cli.ok("put", "n", given=b"x")
    done = cli("destroy", "n")
    assert asked == [f"Destroy n with all its versions in local ({cli.database}) for good?"]
    assert (done.code, done.err.startswith("destroyed" if agreed else "nothing was changed")) == (
        0 if agreed else 1,
        True,
    )
    assert cli("get", "n").code == (6 if agreed else 0)


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted on a terminal, and wiped away."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with asking.progress([1, 2], "counting") as results:
        assert list(results) == [1, 2]
    assert sys.stderr.getvalue() == "\rcounting: 1\rcounting: 2\r\x1b[K"  # type: ignore[attr-defined]
