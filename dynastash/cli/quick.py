"""``dynastash get NAME`` and ``… | dynastash put NAME`` as scripts use them, without click, which is half a start-up.

Only a command line that click would understand in the very same way is taken; every other one is click's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from dynastash.cli import stdin
from dynastash.cli.outcome import outcome
from dynastash.cli.output import say, say_written, settle_streams, write_value
from dynastash.cli.settings import Settings
from dynastash.models import is_name

if TYPE_CHECKING:
    from dynastash.models import Secret

_ENV: Final = ("-e", "--env")


def run(arguments: list[str]) -> int | None:
    """Carry out ``[-e ENV] get NAME`` or ``put NAME`` and return its exit code; None for any other command line."""
    understood = _understand(arguments)
    if understood is None:
        return None
    command, name, env = understood
    if command == "put" and not stdin.is_given():
        return None
    settle_streams()
    settings = Settings()
    settings.take({"env": env})
    return outcome(lambda: (_get if command == "get" else _put)(settings, name), settings)


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
    stash = settings.stash()
    value = stdin.read()
    warn_of(value)
    say_written(stash, "put", stash.put(name, value))
    return 0


def _understand(arguments: list[str]) -> tuple[str, str, str | None] | None:
    """The command, the name and the environment that are asked for, where nothing else is.

    Behind an @ may stand a version; and what is wrong with a name is better explained by who knows references.
    """
    words: list[str] = []
    env: str | None = None
    left = iter(arguments)
    for argument in left:
        if argument in _ENV:
            env = next(left, "")
            if not env or env.startswith("-"):
                return None
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    if len(words) != 2 or words[0] not in ("get", "put") or "_DYNASTASH_COMPLETE" in os.environ:
        return None
    command, name = words
    return (command, name, env) if is_name(name) and (command == "put" or "@" not in name) else None
