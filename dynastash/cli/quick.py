"""What is asked for most, without click, which is half a start-up.

That is ``get NAME`` and ``… | put NAME`` as scripts use them, ``list [PREFIX]``, ``--help``, and the completion of a
name. Only a command line that click would understand in the very same way is taken; every other one is click's.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from dynastash.cli.outcome import outcome
from dynastash.cli.output import FORMATS, say, say_written, settle_streams, write_text, write_value
from dynastash.cli.settings import Settings

if TYPE_CHECKING:
    from dynastash.models import Secret

COMPLETE: Final = "_DYNASTASH_COMPLETE"
"""The variable by which a shell's completion script asks for completions (:mod:`dynastash.cli.completion`)."""

_ENV: Final = ("-e", "--env")
_OUTPUT: Final = ("-o", "--output")
_SHELLS: Final = ("bash", "zsh", "fish")
_COMMANDS: Final = ("get", "put", "list")


class _Asked:
    """A command, its one argument, and what the two options say that are understood here."""

    __slots__ = ("argument", "command", "env", "output")

    def __init__(self, command: str, argument: str = "", *, env: str | None = None, output: str | None = None) -> None:
        self.command = command
        self.argument = argument
        self.env = env
        self.output = output


def run(arguments: list[str]) -> int | None:
    """Carry the command line out and return its exit code; None for one that is click's."""
    if COMPLETE in os.environ:
        return _complete(os.environ[COMPLETE])
    if arguments in ([], ["-h"], ["--help"]):
        return _help()
    asked = _understand(arguments)
    if asked is None:
        return None
    if asked.command == "put":
        from dynastash.cli import stdin

        if not stdin.is_given():
            return None
    settle_streams()
    settings = Settings()
    settings.take({"env": asked.env, "output": asked.output})
    act = {"get": _get, "put": _put, "list": _list}[asked.command]
    return outcome(lambda: act(settings, asked.argument), settings)


def show_value(secret: Secret, *, raw: bool) -> None:
    """A value to stdout, unless that is a terminal which it would disturb."""
    if not write_value(secret.value, raw=raw):
        from dynastash.errors import InvalidArgumentError

        raise InvalidArgumentError(
            f"version {secret.number} of {secret.name} is binary or has control characters, and this is a terminal",
            hint="redirect the output into a file or a pipe, or add --raw",
        )


def _get(settings: Settings, name: str) -> int:
    show_value(settings.stash().get(name), raw=False)
    return 0


def warn_of(value: bytes) -> None:
    """A word on a value that may not be meant."""
    if not value:
        say("warning: the value is empty")


def _put(settings: Settings, name: str) -> int:
    from dynastash.cli import stdin

    stash = settings.stash()
    value = stdin.read()
    warn_of(value)
    say_written(stash, "put", stash.put(name, value))
    return 0


def _list(settings: Settings, prefix: str) -> int:
    from dynastash.cli.listed import show

    show(settings, prefix)
    return 0


def _understand(arguments: list[str]) -> _Asked | None:
    """What is asked for, where it is one of a few things and nothing else.

    Behind an @ may stand a version; and what is wrong with a name is better explained by who knows references.
    """
    words: list[str] = []
    given: dict[str, str] = {}
    left = iter(arguments)
    for argument in left:
        if argument in _ENV or argument in _OUTPUT:
            value = next(left, "")
            if not value or value.startswith("-"):
                return None
            given["env" if argument in _ENV else "output"] = value
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    if not 1 <= len(words) <= 2 or words[0] not in _COMMANDS:
        return None
    from dynastash.models import is_name

    asked = _Asked(*words, **given)
    if asked.command == "list":
        return asked if asked.output in (None, *FORMATS) and (asked.argument == "" or is_name(asked.argument)) else None
    if asked.output is not None or not is_name(asked.argument):
        return None
    return asked if asked.command == "put" or "@" not in asked.argument else None


def _help() -> int | None:
    """The overview, as it was laid out beforehand for the usual widths of a terminal."""
    from dynastash.cli import helptext

    text = helptext.BY_WIDTH.get(min(_columns(), max(helptext.BY_WIDTH)))
    if text is None:
        return None
    settle_streams()

    def show() -> int:
        write_text(text)
        return 0

    return outcome(show, Settings())


def _columns() -> int:
    """How wide the terminal is, as shutil.get_terminal_size finds out, without the archives that come with it."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ is not None else 0
        except (ValueError, OSError):  # it is none of the operating system's, or no terminal
            columns = 0
    return columns or 80


def _complete(shell: str) -> int | None:
    """Offer names of secrets, where a command's first argument is one and nothing stands before it but ``-e ENV``."""
    if shell not in _SHELLS:
        return None
    from dynastash.cli import completing
    from dynastash.cli.summaries import NAMED

    words = completing.split(os.environ.get("COMP_LINE", ""))
    incomplete = words.pop()
    env = None
    if len(words) > 2 and words[1] in _ENV:
        env = words[2]
        del words[1:3]
    if len(words) != 2 or words[1] not in NAMED or incomplete.startswith("-") or (env or "").startswith("-"):
        return None
    settle_streams()
    settings = Settings()
    settings.take({"env": env})
    try:
        completing.offer(shell, incomplete, completing.names(settings, incomplete))
    except (Exception, KeyboardInterrupt):
        return 1
    return 0
