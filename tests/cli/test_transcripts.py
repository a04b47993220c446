"""Sessions as a user sees them: every file in transcripts/ is run line by line.

``$`` begins a command line, optionally with ``printf TEXT |`` before it. Below it stand its standard output, its
standard error behind ``!``, and its exit code behind ``?`` where it is not 0. ``[no newline]`` ends an output that does
not end with one. ``#`` begins a comment. Store, key and author are always the same ones; a moment is any moment.
``python -m tests.cli.test_transcripts FILE`` prints the file as it should be, for a person to read and judge.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.runner import Cli, Done

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
HOME = "/home/ada/.local/share/dynastash"
AUTHOR = "local:ada@analytical"
OPEN = "[no newline]"


def carried_out(cli: Cli, line: str) -> Done:
    """One command line."""
    words = shlex.split(line)
    given = None
    if words[0] == "printf":
        assert words[2:4] == ["|", "dynastash"], line
        given = words[1].encode().decode("unicode_escape").encode("latin-1")
        words = words[3:]
    assert words[0] == "dynastash", line
    return cli(*words[1:], given=given)


def settled(cli: Cli, text: str) -> str:
    """Without what differs from run to run."""
    text = text.replace(str(cli.database.parent), HOME).replace(str(cli.cwd), "/home/ada/project")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-11-22 09:00", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", "2026-11-22T09:00:00.000Z", text)
    return re.sub(r"local:[0-9a-f]{16}", "local:3ecf1018781141ba", text)


def shown(cli: Cli, line: str) -> list[str]:
    """The lines that belong below a command line."""
    done = carried_out(cli, line)
    out, err = settled(cli, done.out.decode("utf-8", "backslashreplace")), settled(cli, done.err)
    lines = (out if out.endswith("\n") or not out else out + OPEN).splitlines()
    assert all(lines), "an empty line would be taken for one of the transcript's own"
    lines += [f"! {each}" for each in err.splitlines()]
    return lines if done.code == 0 else [*lines, f"? {done.code}"]


def replayed(cli: Cli, text: str) -> str:
    """The whole transcript as it comes out."""
    lines = []
    for line in text.splitlines():
        if line.startswith(("#", "$")) or not line:
            lines.append(line)
        if line.startswith("$ "):
            lines += shown(cli, line[2:])
    return "\n".join(lines) + "\n"


def test_there_are_some() -> None:
    """A tour of all commands, and the errors."""
    assert {path.stem for path in TRANSCRIPTS} >= {"tour", "errors", "life"}


def test_every_command_is_in_a_transcript() -> None:
    """None is left out."""
    from dynastash.cli.app import app

    lines = "".join(path.read_text(encoding="utf-8") for path in TRANSCRIPTS)
    for command in app.list_commands(None):  # type: ignore[arg-type, attr-defined]
        assert f"dynastash {command}" in lines, command


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(cli: Cli, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """What is printed is what the file shows."""
    monkeypatch.setattr("dynastash.wiring._local_identity", lambda: AUTHOR)
    text = path.read_text(encoding="utf-8")
    assert replayed(cli, text) == text


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        (place := Path(directory) / "cwd").mkdir()
        cli = Cli(Path(directory), place)
        for variable, value in cli.variables.items():
            patch.setenv(variable, value)
        patch.setattr("dynastash.wiring._local_identity", lambda: AUTHOR)
        wanted = Path(sys.argv[1]).read_text(encoding="utf-8")
        os.chdir(place)
        print(replayed(cli, wanted), end="")
