"""Finding the program, and becoming it."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from dynastash.errors import CommandError, CommandNotFoundError
from dynastash.running.environment import Environment

_PYTHON_IGNORES: Final = ("SIGPIPE", "SIGXFSZ")


def find(command: str, environment: Environment) -> str:
    """The path of ``command``, by the PATH of the program's own environment unless it has a slash.

    Raises :class:`CommandNotFoundError`, or :class:`CommandError` for what is there and cannot be executed.
    """
    if "/" in command:
        places = [command]
    else:
        path = os.fsdecode(environment.get(b"PATH", os.fsencode(os.defpath)))
        places = [f"{directory or '.'}/{command}" for directory in path.split(os.pathsep)] if command else []
    there = [place for place in places if os.path.exists(place)]  # noqa: PTH110  # pathlib drops a leading ./
    for place in there:
        if os.path.isfile(place) and os.access(place, os.X_OK):  # noqa: PTH113
            return place
    if there:
        what = "a directory" if os.path.isdir(there[0]) else "not executable"  # noqa: PTH112
        raise CommandError(f"{there[0]} is {what}", hint="name a program, or make it one with `chmod +x`")
    raise CommandNotFoundError(
        f"there is no command {command!r}" + ("" if "/" in command else " in PATH"), hint="check what stands behind --"
    )


def become(path: str, argv: Sequence[str], environment: Environment) -> NoReturn:
    """Replace this process with the program. Returns never; raises :class:`CommandError` where that is impossible."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    kept = {number: signal.getsignal(number) for number in restored_signals()}
    for number in kept:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(path, list(argv), environment)  # noqa: S606  # no shell is the point
    except OSError as error:
        for number, handler in kept.items():
            signal.signal(number, handler)
        raise not_started(path, environment, error) from error


def restored_signals() -> list[signal.Signals]:
    """The signals that Python ignores for itself, and that a program must find as it would without us."""
    return [signal.Signals[name] for name in _PYTHON_IGNORES if hasattr(signal, name)]


def not_started(path: str, environment: Environment, error: OSError) -> CommandError:
    """What the operating system's refusal means, and what to do."""
    if error.errno == errno.ENOENT:  # it was there a moment ago
        return CommandNotFoundError(
            f"{path} cannot be started: the interpreter that its first line names was not found",
            hint="check its first line",
        )
    if error.errno == errno.ENOEXEC:
        return CommandError(
            f"{path} is neither a binary of this machine nor a script whose first line names its interpreter",
            hint="begin the script with a line such as #!/bin/sh",
        )
    if error.errno == errno.E2BIG:
        size = sum(len(name) + len(value) + 2 for name, value in environment.items())
        return CommandError(
            f"{path} cannot be started: its arguments and environment, {size} bytes in {len(environment)} variables, "
            "are too large for this system",
            hint="hand the secrets over as files: add --files auto; or name fewer",
        )
    return CommandError(f"{path} cannot be started: {error.strerror}", hint="check the program's file")
