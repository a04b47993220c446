"""Where a value comes from that is not on the command line: a file, a pipe, a hidden prompt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from dynastash.cli import stdin
from dynastash.cli.options import Usage
from dynastash.cli.output import say
from dynastash.errors import InvalidArgumentError

_LONGEST_LINE: Final = 4095
"""Bytes of a line that a terminal hands over: Linux drops what is typed or pasted beyond."""


def read_value(path: str | None, name: str) -> bytes:
    """The value of ``name``, byte for byte: from the file ``path``, from standard input, or asked for.

    One byte more than the largest value at most, which is enough for the library to refuse it. Raises
    :class:`~dynastash.errors.InvalidArgumentError` and usage errors.
    """
    if path is not None and path != "-":
        try:
            with Path(path).open("rb") as file:
                return stdin.limited(file)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = error.strerror if isinstance(error, OSError) else "it is not a path"
            raise InvalidArgumentError(
                f"{path[:200]} cannot be read: {reason}", hint="check the path given with --file"
            ) from error
    if sys.stdin is not None:
        if path is None and sys.stdin.isatty():
            return _prompt(name)
        if path == "-" or stdin.is_given():
            return stdin.read()
    raise Usage(
        f"no value for {name}: standard input is neither a pipe, a file nor a terminal",
        "pipe the value in, or give --file or --generate",
    )


def _prompt(name: str) -> bytes:
    """Ask for a value twice, unseen, until both agree. Ctrl-C and Ctrl-D end it."""
    import getpass

    while True:
        try:
            text = getpass.getpass(f"Value of {name} (hidden): ")
            if not text:
                raise Usage("no value was given", "an empty one can be piped in: `printf '' | dynastash put ...`")
            again = getpass.getpass("The same once more: ")
            value = text.encode("utf-8")
        except UnicodeError:
            # Not chained: the cause quotes what was typed.
            raise Usage("what was typed is not text in this terminal's encoding", "use a pipe or --file") from None
        if len(value) >= _LONGEST_LINE:
            raise Usage(
                f"a terminal hands over lines of less than {_LONGEST_LINE} bytes, and this one may have lost its end",
                "use a pipe or --file",
            )
        if text == again:
            return value
        say("the two differ: type the value again, or press Ctrl-C")
