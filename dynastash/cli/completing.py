"""Answering a shell that asks what could stand at its cursor (:mod:`dynastash.cli.completion`), without click."""

from __future__ import annotations

import os
from collections.abc import Iterable

from dynastash.cli.output import shortened, visible, write_text
from dynastash.cli.settings import Settings
from dynastash.errors import DynastashError
from dynastash.models import State


def names(settings: Settings, incomplete: str) -> list[tuple[str, str | None]]:
    """Secrets whose names start with what is typed, and their comments; none where they cannot be had.

    Nothing is said and nobody is asked: a prompt is no place to complain.
    """
    settings.asks = False
    settings.verbose = False
    try:
        found = settings.stash().list(incomplete)
    except DynastashError:
        return []
    return [(info.name, shortened(info.comment)) for info in found if info.state is State.ACTIVE]


def offer(shell: str, incomplete: str, items: Iterable[tuple[str, str | None]]) -> None:
    """Print each word that could stand there, with its description where ``shell`` shows one."""
    hidden = _hidden(incomplete) if shell == "bash" else 0
    write_text("".join(f"{_line(shell, value, description)[hidden:]}\n" for value, description in items))


def _line(shell: str, value: str, description: str | None) -> str:
    if shell == "bash" or not description:
        return value
    return f"{value}\t{visible(description)}"


def split(line: str) -> list[str]:
    """The words of a command line as a shell sees them, the last one unfinished and possibly empty."""
    import shlex

    lexer = shlex.shlex(line + "x", posix=True)  # a last word, though the line should end in a space
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words += lexer
    except ValueError:  # within quotes, or behind a backslash
        words.append(lexer.token or "x")
    words[-1] = words[-1][:-1]
    # Assignments may precede the command.
    while len(words) > 1 and "=" in words[0]:
        words.pop(0)
    return words


def _hidden(incomplete: str) -> int:
    """How much of the unfinished word lies before the part that bash replaces: up to its last word break.

    An @ begins the part that is replaced, as in the name of a host; any other break ends what stays.
    """
    breaks = os.environ.get("COMP_WORDBREAKS", "")
    ends = (incomplete.rfind(char) + (char != "@") for char in breaks)
    return max((0, *ends))
