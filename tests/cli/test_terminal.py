"""At a terminal: the hidden prompt, a final newline, and nothing that could steer it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.runner import Cli
from tests.cli.terminal import Terminal

PROMPT, AGAIN = b"Value of n (hidden): ", b"The same once more: "


def at_terminal(cli: Cli, *arguments: str, **more: object) -> Terminal:
    """dynastash in a terminal."""
    return Terminal([sys.executable, "-m", "dynastash", *arguments], cli.variables, cli.cwd, **more)


def answers(terminal: Terminal, *typed: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """Type each answer when its question is shown, counting the questions; then wait for the end."""
    asked: dict[bytes, int] = {}
    for question, answer in typed:
        asked[question] = asked.get(question, 0) + 1
        terminal.expect(question, asked[question])
        terminal.type(answer)
    return terminal.finish()


def test_hidden_prompt_with_confirmation(cli: Cli) -> None:
    """The value is asked for twice, not shown, and stored without the newline."""
    with at_terminal(cli, "put", "n") as terminal:
        code, seen = answers(terminal, (PROMPT, "pä ss\n".encode()), (AGAIN, "pä ss\n".encode()))
    assert code == 0, seen
    assert "pä ss".encode() not in seen and b"p\xc3" not in seen
    assert cli.ok("get", "n").out == "pä ss".encode()


def test_answers_that_differ_are_asked_for_again(cli: Cli) -> None:
    """Until both agree."""
    with at_terminal(cli, "put", "n") as terminal:
        code, seen = answers(terminal, (PROMPT, b"one\n"), (AGAIN, b"two\n"), (PROMPT, b"three\n"), (AGAIN, b"three\n"))
    assert (code, b"the two differ" in seen) == (0, True)
    assert cli.ok("get", "n").out == b"three"


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["ctrl-c", "ctrl-d"])
def test_leaving_the_prompt(cli: Cli, key: bytes) -> None:
    """At the first question or at the second: exit 130, a newline, nothing written."""
    for question in (PROMPT, AGAIN):
        with at_terminal(cli, "put", "n") as terminal:
            terminal.expect(PROMPT)
            if question == AGAIN:
                terminal.type(b"x\n")
                terminal.expect(AGAIN)
            code, seen = terminal.insist(key)
        assert code == 130
        assert seen.replace(PROMPT, b"").replace(AGAIN, b"").replace(b"^C", b"").strip() == b""
        assert cli("get", "n").code == 3


def test_an_empty_answer_stores_nothing(cli: Cli) -> None:
    """Return alone is no value."""
    with at_terminal(cli, "put", "n") as terminal:
        code, seen = answers(terminal, (PROMPT, b"\n"))
    assert (code, b"error: no value was given" in seen) == (2, True)
    assert cli("get", "n").code == 3


def test_a_line_that_the_terminal_cut_off_is_refused(cli: Cli) -> None:
    """Linux drops what exceeds 4,095 bytes of a line; storing the rest would lose the end of the value."""
    line = b"x" * 5000 + b"\n"
    with at_terminal(cli, "put", "n") as terminal:
        code, seen = answers(terminal, (PROMPT, line), (AGAIN, line))
    assert (code, b"may have lost its end" in seen) == (2, True)
    assert cli("get", "n").code == 3


def test_an_answer_that_is_no_text(cli: Cli) -> None:
    """Bytes that are not UTF-8 end in an error that does not quote them."""
    with at_terminal(cli, "put", "n") as terminal:
        code, seen = answers(terminal, (PROMPT, b"se\xffcret\n"))
    assert (code, b"not text in this terminal" in seen, b"cret" in seen) == (2, True, False)


def test_a_name_that_is_refused_is_not_asked_a_value_for(cli: Cli) -> None:
    """The error comes before the question."""
    with at_terminal(cli, "put", "../n") as terminal:
        code, seen = terminal.finish()
    assert (code, b"hidden" in seen) == (2, False)


def test_pipe_wins_over_terminal(cli: Cli) -> None:
    """With a pipe as standard input nobody is asked, though there is a terminal."""
    with at_terminal(cli, "put", "n", stdin=subprocess.PIPE) as terminal:
        assert terminal.process.stdin is not None
        terminal.process.stdin.write(b"x")
        terminal.process.stdin.close()
        code, seen = terminal.finish()
    assert (code, b"hidden" in seen) == (0, False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"correct horse", b"correct horse\r\n"),
        (b"correct horse\n", b"correct horse\r\n"),
        (b"a\r\nb", b"a\r\r\nb\r\n"),
        ("pä\t🔑".encode(), "pä\t🔑\r\n".encode()),
        (b"", b"\r\n"),
    ],
)
def test_a_terminal_gets_a_final_newline(cli: Cli, value: bytes, shown: bytes) -> None:
    """Exactly one; the terminal itself turns each newline into two characters."""
    cli.ok("put", "n", given=value)
    with at_terminal(cli, "get", "n") as terminal:
        code, seen = terminal.finish()
    assert code == 0
    assert seen.replace(b"        ", b"\t") == shown


@pytest.mark.parametrize(
    "value",
    [b"\xff", b"a\x00", b"a\x1b[2J", b"a\x07", b"a\x9b", "a\u009b2J".encode(), "a\u202eb".encode(), b"real\rfake"],
)
def test_binary_and_controls_never_reach_a_terminal_unasked(cli: Cli, value: bytes) -> None:
    """Exit 2 with advice and nothing of the value; --raw shows it, a redirection has it."""
    cli.ok("put", "n", given=value)
    with at_terminal(cli, "get", "n") as terminal:
        code, seen = terminal.finish()
    assert code == 2
    assert value not in seen and b"\x1b" not in seen
    assert b"hint: redirect the output" in seen
    with at_terminal(cli, "get", "n", "--raw") as terminal:
        assert terminal.finish() == (0, value)
    assert cli.real("get", "n").out == value


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_json_and_yaml_spell_out_what_steers_a_terminal(cli: Cli, form: str) -> None:
    """Escapes, C1 controls and changes of direction stay escaped, at a terminal too."""
    cli.ok("put", "n", given="a\x1b[2J\u009b\u202e\x7fä🔑".encode())
    with at_terminal(cli, "get", "n", "-o", form) as terminal:
        code, seen = terminal.finish()
    assert code == 0
    text = seen.decode().replace("\r\n", "\n")
    assert text.replace("\n", "").isprintable()


def test_help_fits_the_terminal(cli: Cli) -> None:
    """A wide terminal gets lines up to 100 columns, a pipe 80."""
    with at_terminal(cli, "put", "--help") as terminal:
        _, seen = terminal.finish()
    assert 80 < max(map(len, seen.decode().splitlines())) <= 101
    assert max(map(len, cli.real("put", "--help").text.splitlines())) <= 80
