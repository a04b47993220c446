"""An environment on this machine: its directory, file, key and disk. Nothing is made, changed or shown."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Final

from dynastash.config import Environment
from dynastash.crypto import records
from dynastash.doctor.check import Outcome, failed, ok, skipped, warning
from dynastash.errors import DynastashError, EnvelopeError, KeyUnavailableError
from dynastash.files import check_private
from dynastash.models import Context, DataKey, WrappedKey

LOW: Final = 100 << 20
"""Bytes of free space below which there is a word of warning."""

NONE: Final = 1 << 20
"""Bytes below which nothing can be written for long."""


class Local:
    """The store and the key of an embedded environment; ``key_text`` is the key from the environment's variable."""

    def __init__(self, environment: Environment, key_text: str | None) -> None:
        self._environment = environment
        self._directory = environment.directory
        self._database = environment.directory / f"{environment.name}.db"
        self._key_file = environment.directory / f"{environment.name}.key"
        self._key_text = key_text

    def directory(self) -> Outcome:
        """Whether only its owner may enter and write."""
        try:
            found = self._directory.stat()
        except FileNotFoundError:
            return ok(f"{self._directory} will be made by the first put")
        except OSError as error:
            return failed(f"{self._directory} cannot be looked into: {error.strerror}", "check its owner and mode")
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISDIR(found.st_mode):
            return failed(f"{self._directory} is not a directory", "choose another path")
        if mode & 0o022:
            return failed(
                f"{self._directory} can be written by other users ({mode:o})", f"run `chmod 700 {self._directory}`"
            )
        if found.st_uid != os.geteuid():
            return warning(f"{self._directory} belongs to another user", "use a directory of your own")
        if mode & 0o055:
            return warning(
                f"{self._directory} can be entered by other users ({mode:o})", f"run `chmod 700 {self._directory}`"
            )
        return ok(f"{self._directory} ({mode:o})")

    def store(self) -> Outcome:
        """Whether the file is whole, ours, and private."""
        if not self._database.exists():
            return ok(f"{self._database} will be made by the first put")
        check_private(self._database, "the store")
        from dynastash.stores.sqlite import SQLiteStore

        store = SQLiteStore(self._database, busy_timeout=2.0)
        try:
            count = sum(1 for _ in store.heads())
        finally:
            store.close()
        return ok(f"{self._database}: {count or 'no'} secret{'' if count == 1 else 's'}")

    def integrity(self) -> Outcome:
        """SQLite's own look at every page."""
        if not self._database.exists():
            return skipped("nothing is stored yet")
        try:
            with contextlib.closing(
                sqlite3.connect(f"{self._database.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
            ) as connection:
                found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
                dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
        except sqlite3.Error as error:
            return failed(f"SQLite cannot read the store: {error}", "restore the file from a backup")
        if found != ["ok"] or dangling is not None:
            return failed("the store is damaged", "restore the file from a backup, then run `dynastash verify`")
        return ok("SQLite finds no damage; `dynastash verify` authenticates the records")

    def key(self) -> Outcome:
        """Whether the key is there, private, and opens what is stored."""
        where, key = self._load()
        if key is None:
            if self._database.exists():
                return failed(
                    f"the key-encryption key is missing: {where}",
                    "restore it from a backup: without it nothing in the store can be opened",
                )
            return ok(f"{where} will be made by the first put")
        return self._opens(where, key)

    def _load(self) -> tuple[str, DataKey | None]:
        from dynastash.keys.local import key_from_file, key_from_keyring, key_from_text

        if self._key_text:
            return "DYNASTASH_LOCAL_KEY", key_from_text(self._key_text, "DYNASTASH_LOCAL_KEY")
        if self._environment.keyring:
            entry = f"{self._environment.name}@{self._directory}"
            where = "the operating system's keyring"
            missing: list[str] = []

            def never() -> bool:  # asked only where there is none
                missing.append(where)
                return False

            try:
                key = key_from_keyring(entry, create=never, directory=self._directory)
            except KeyUnavailableError:
                if not missing:
                    raise
                return where, None
            return where, key
        if not self._key_file.exists():
            return str(self._key_file), None
        return str(self._key_file), key_from_file(self._key_file, create=lambda: False)

    def _opens(self, where: str, key: DataKey) -> Outcome:
        from dynastash.keys.local import LocalKeys
        from dynastash.stores.sqlite import SQLiteStore

        store = SQLiteStore(self._database, busy_timeout=2.0)
        keys = LocalKeys(key, description=where)
        try:
            for head in store.heads():
                for item in store.newest(str(head["name"]["S"])):
                    try:
                        record = records.decode_version(item)
                        metadata = record.metadata
                        context = Context(self._environment.name, metadata.name, metadata.number, metadata.context)
                        wrapped = WrappedKey(record.wrapped_key, metadata.key_id or "")
                    except EnvelopeError:
                        continue  # a head, a tombstone, or what verify complains of
                    keys.unwrap(wrapped, context)
                    return ok(f"{where} opens the store")
        except DynastashError as error:
            return failed(f"{where} does not open the store: {error}", error.hint)
        finally:
            store.close()
        return ok(where)

    def space(self) -> Outcome:
        """Free space where the store stands."""
        there = self._directory
        while not there.exists() and there != there.parent:
            there = there.parent
        free = shutil.disk_usage(there).free
        said = f"{free >> 20:,} MiB free".replace(",", " ")
        if free < NONE:
            return failed(said, "free some space: nothing can be written")
        if free < LOW:
            return warning(said, "free some space")
        return ok(said)


def state_file(path: Path | None, environment: str) -> Outcome:
    """The high-water marks' file, if the environment has one."""
    if path is None:
        return ok("none: each process remembers for itself")
    if not path.exists():
        return ok(f"{path} will be made by the first use")
    from dynastash.statefile import StateFile

    StateFile(path, environment, lambda: "").names()  # reads all of it
    return ok(str(path))
