"""Standard input as a value."""

from __future__ import annotations

import os
import stat
import sys
from typing import IO

from dynastash.errors import InvalidArgumentError
from dynastash.models import MAX_VALUE


def is_given() -> bool:
    """Whether standard input was given to be read. /dev/null, as under cron, is not: it would store an empty value."""
    if sys.stdin is None:
        return False
    mode = os.fstat(sys.stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def read() -> bytes:
    """Standard input, byte for byte; one byte more than the largest value at most."""
    try:
        return limited(sys.stdin.buffer)
    except OSError as error:
        raise InvalidArgumentError(
            f"standard input cannot be read: {error.strerror}", hint="pipe the value in, or give --file"
        ) from error


def limited(file: IO[bytes]) -> bytes:
    """What ``file`` holds; one byte more than the largest value, which is enough for it to be refused."""
    return file.read(MAX_VALUE + 1)
