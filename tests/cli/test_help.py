"""Help, version, and the reference that is made from them."""

from __future__ import annotations

import pytest

import dynastash
from dynastash.cli.app import app
from tests.cli import reference
from tests.cli.runner import Cli

COMMANDS = app.list_commands(None)  # type: ignore[arg-type, attr-defined]


def sections(text: str) -> list[str]:
    """The headings of a help text."""
    return [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(cli: Cli, command: str) -> None:
    """80 columns of ASCII; usage, purpose, and the global options at the end."""
    text = cli.ok(command, "--help").text
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith(f"Usage: dynastash {command} ")
    assert text.splitlines()[2].startswith("  ")
    assert sections(text)[-1] == "Global options"
    assert text.index("--help") > text.index("Global options")
    assert cli.ok(command, "-h").text == text
    assert cli.ok("help", command).text == text


def test_own_options_stand_out(cli: Cli) -> None:
    """None of the global ones among a command's own, and the policy's in a section of theirs."""
    text = cli.ok("put", "--help").text
    assert sections(text) == ["Examples", "Options", "How a new value is made", "Global options"]
    own = text[text.index("\nOptions:") : text.index("How a new")]
    assert "--file" in own and "--env" not in own and "--length" not in own
    assert sections(cli.ok("history", "--help").text) == ["Global options"]


@pytest.mark.parametrize("command", ["put", "get", "rotate"])
def test_examples(cli: Cli, command: str) -> None:
    """Before the options, each a line that starts with what to type."""
    text = cli.ok(command, "--help").text
    examples = text[text.index("Examples:") : text.index("\nOptions:")].splitlines()[1:]
    assert len([line for line in examples if f"dynastash {command} " in line]) >= 4


def test_help_of_the_whole(cli: Cli) -> None:
    """dynastash, dynastash --help, -h and help are the same; each command has a line."""
    text = cli.ok("--help").text
    assert cli.ok().text == cli.ok("-h").text == cli.ok("help").text == text
    assert sections(text)[0] == "Secrets" and sections(text)[-2:] == ["Operate", "Global options"]
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert max(map(len, text.splitlines())) <= 80


def test_help_of_nothing(cli: Cli) -> None:
    """help with a word that is no command says so."""
    done = cli("help", "pus")
    assert (done.code, done.err.splitlines()[1]) == (2, "hint: did you mean `dynastash put`?")


def test_version(cli: Cli) -> None:
    """The package's, before everything else."""
    for arguments in (["--version"], ["-V"], ["-V", "get"]):
        assert cli.ok(*arguments).text == f"dynastash {dynastash.__version__}\n"
    assert cli.real("--version").text == f"dynastash {dynastash.__version__}\n"


def test_global_options_anywhere(cli: Cli) -> None:
    """Before the command, behind it, behind its arguments; the last one wins."""
    cli.ok("put", "n", given=b"x")
    for arguments in (["-o", "json", "get", "n"], ["get", "-o", "json", "n"], ["get", "n", "-o", "json"]):
        assert cli.ok(*arguments).text.startswith("{")
    assert cli.ok("-o", "json", "get", "n", "-o", "table").text == "x"
    assert cli.ok("get", "n", "-o", "json", "-o", "table").text == "x"
    for arguments in (["-e", "other", "env"], ["env", "-e", "other"], ["-e", "dev", "env", "-e", "other"]):
        assert "other" in cli.ok(*arguments).text
    assert "environment local" in cli.ok("-v", "list").err
    assert "environment local" in cli.ok("list", "-v").err


def test_the_reference_is_up_to_date() -> None:
    """docs/reference/cli.md is what `python -m tests.cli.reference --write` makes."""
    assert reference.DOCUMENT.read_text(encoding="utf-8") == reference.text()
    assert reference.SOURCE.read_text(encoding="utf-8") == reference.summaries()
    assert reference.HELP.read_text(encoding="utf-8") == reference.overviews()
