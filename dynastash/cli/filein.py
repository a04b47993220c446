"""A file of secrets for `import`, read and understood as a whole before anything else is done."""

from __future__ import annotations

import sys
from pathlib import Path

from dynastash.cli.newfile import inaccessible
from dynastash.cli.options import Usage
from dynastash.errors import InvalidArgumentError, TransferError
from dynastash.places import History, Revision
from dynastash.transfer.formats import open_format
from dynastash.transfer.formats.base import MAX_FILE


def read_file(path: str, described: str, form: str) -> list[History]:
    """The secrets in the file, each with the one value that it has. ``path`` may be -, standard input.

    Raises :class:`TransferError` for a file that cannot be read and :class:`InvalidArgumentError` for one that is not
    of the form, with its name and the line.
    """
    data = _bytes(path, described)
    if len(data) > MAX_FILE:
        raise InvalidArgumentError(
            f"{described} is too large for a file of secrets", hint=f"split it: at most {MAX_FILE >> 20} MiB are read"
        )
    try:
        entries = open_format(form).read(data)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{described}, read as {form}: {error}", hint=error.hint) from None
    return [History(each.key, (Revision("", each.value),)) for each in entries]


def _bytes(path: str, described: str) -> bytes:
    try:
        if path != "-":
            with Path(path).open("rb") as file:
                return file.read(MAX_FILE + 1)
        if sys.stdin is None or sys.stdin.isatty():
            raise Usage("standard input is a terminal", "pipe the file in, or name it")
        return sys.stdin.buffer.read(MAX_FILE + 1)
    except OSError as error:
        raise inaccessible(described, "read", error, "check the file") from error
    except ValueError:  # a NUL in the path
        pass
    raise TransferError("that is not a path", hint="check the name of the file")
