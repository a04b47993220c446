"""What SQLite and the file system refuse, in the words of the domain."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from dynastash.errors import StoreAccessDeniedError, StoreError, StoreNotFoundError, StoreUnavailableError


def database_error(error: sqlite3.Error, path: Path) -> StoreError:
    """The error for what SQLite says of the store ``path``."""
    code = getattr(error, "sqlite_errorname", None)
    kind = (code or "").removeprefix("SQLITE_").partition("_")[0]
    if kind in ("BUSY", "LOCKED"):
        return StoreUnavailableError(f"the store {path} is busy", hint="another process holds it: try again", code=code)
    if kind == "FULL":
        return _full(path, code)
    if kind in ("READONLY", "PERM", "AUTH", "CANTOPEN"):
        return _denied(path, code)
    if kind in ("CORRUPT", "NOTADB"):
        return damaged(path, code)
    return StoreError(
        f"the store {path} failed: {code or type(error).__name__}",
        hint="check the disk and the file, and restore it from a backup if need be",
        code=code,
    )


def system_error(error: OSError, path: Path) -> StoreError:
    """The error for what the file system says of the store ``path``."""
    code = errno.errorcode.get(error.errno or 0)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path, code)
    return StoreAccessDeniedError(
        f"the store {path} cannot be opened: {error.strerror}",
        hint="check that you own the directory and may write to it",
        code=code,
    )


def damaged(path: Path, code: str | None) -> StoreError:
    """The error for a file that is not whole."""
    return StoreError(f"the store {path} is damaged", hint="restore the file from a backup", code=code)


def foreign(path: Path) -> StoreNotFoundError:
    """The error for a file that dynastash has not made."""
    if path.stat().st_size:
        return StoreNotFoundError(f"{path} is not a dynastash store", hint="choose another path")
    return StoreNotFoundError(
        f"{path} is not a dynastash store but an empty file",
        hint="restore it from a backup; if nothing was ever stored there, remove it: the next put makes a store",
    )


def _full(path: Path, code: str | None) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"no space is left for the store {path}", hint="free some space; nothing was written", code=code
    )


def _denied(path: Path, code: str | None) -> StoreAccessDeniedError:
    directory = path.resolve().parent
    if not os.access(directory, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        return StoreAccessDeniedError(
            f"the store {path} cannot be opened: its directory cannot be written",
            hint="SQLite keeps files beside the store while it is open, even to read: make the directory writable, or "
            "copy the store and its key to one that is",
            code=code,
        )
    return StoreAccessDeniedError(
        f"the store {path} cannot be opened or written",
        hint="check the file's and the directory's owner and mode",
        code=code,
    )
