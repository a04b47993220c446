"""Files that secrets are read from, and new ones that appear only when they are whole."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from dynastash.errors import TransferAccessDeniedError, TransferError, TransferUnavailableError

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # on memory sticks, say


@contextmanager
def new_file(path: str) -> Iterator[IO[bytes]]:
    """A file (0600) that is at ``path`` afterwards, where none may have been; nothing is, where this fails.

    Raises :class:`TransferError`.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise inaccessible(path, "written", error, "choose another file") from error


def inaccessible(path: str, what: str, error: OSError, hint: str) -> TransferError:
    """The error for a file that cannot be ``what``, read or written."""
    kind = TransferError
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        kind, hint = TransferAccessDeniedError, "check the owner and the modes of the file and of its directory"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        kind, hint = TransferUnavailableError, "free some space, or choose another file; nothing is left of this one"
    return kind(f"{path} cannot be {what}: {error.strerror}", hint=hint)


def _publish(temporary: Path, target: Path) -> None:
    """Give a finished file its name, if nobody has it."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):  # a link to nowhere is somebody's too
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        temporary.rename(target)
