"""Files that only their owner may read, and that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from dynastash.errors import ConfigError


def prepare_directory(path: Path) -> None:
    """Make ``path`` a directory that only its owner can enter (0700), or refuse one that others may write to."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & 0o022:
        raise ConfigError(f"the directory {path} can be written by other users", hint=f"run `chmod 700 {path}`")


def check_private(path: Path, what: str) -> None:
    """Refuse a file that anyone but its owner may read or write; ``what`` names it in the error."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{what} {path} is open to other users", hint=f"run `chmod 600 {path}`")


def create_once(path: Path, fill: Callable[[Path], None]) -> None:
    """Create ``path`` (0600) with the content that ``fill`` writes into the empty file it is given.

    Of several processes that do this at once one wins, and none ever sees half a file: the file is filled under
    another name in the same directory, brought to the disk, and linked into place.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        fill(temporary)
        _sync(temporary)
        with contextlib.suppress(FileExistsError):  # another process was first: its file is the file
            os.link(temporary, path)
    finally:
        for leftover in path.parent.glob(temporary.name + "*"):
            leftover.unlink()
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
