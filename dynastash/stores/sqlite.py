"""The embedded store: one SQLite file, for one machine and any number of its processes.

Items are kept as they are, in JSON with binary in base64, under the same keys as in DynamoDB; a second table holds
the heads' names by namespace, as the sparse index does there. Every commit is one transaction that is on the disk
before the call returns (WAL, ``synchronous = FULL``).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dynastash.errors import (
    ConflictError,
    DynastashError,
    StoreAccessDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreUnavailableError,
)
from dynastash.files import check_private, create_once, prepare_directory
from dynastash.models import Item, WrappedKey
from dynastash.stores.base import Change, RecordKey
from dynastash.stores.itemjson import decode_item, encode_item

_HEAD: Final = "~head"
_APPLICATION_ID: Final = 0x64796E61  # "dyna", in the file's header: tells our files from anybody else's
_SCHEMA_VERSION: Final = 1
_BUSY_SECONDS: Final = 30.0
_BATCH: Final = 400  # bound parameters a statement, two a key: SQLite's oldest limit is 999

_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE records (
    name TEXT NOT NULL, record TEXT NOT NULL, item TEXT NOT NULL, PRIMARY KEY (name, record)
) WITHOUT ROWID, STRICT;
CREATE TABLE heads (
    name TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL CHECK (record = '{_HEAD}'),
    FOREIGN KEY (name, record) REFERENCES records (name, record)
) WITHOUT ROWID, STRICT;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""

_T = TypeVar("_T")


class SQLiteStore:
    """Items in the SQLite file ``path``.

    The file is made on first use, mode 0600, in a directory of mode 0700. Each thread has a connection of its own, and
    a forked child opens new ones.
    """

    transaction_size = 1000
    """SQLite has no limit; this one keeps a writer from holding the file for long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    @property
    def description(self) -> str:
        return str(self._path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def exists(self) -> bool:
        """Whether the file is there already."""
        return self._path.exists()

    def close(self) -> None:
        """Close the calling thread's connection. Other threads' connections close with their threads."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.close()

    def newest(self, name: str) -> Sequence[Item]:
        return self._read(
            "SELECT item FROM records WHERE name = ? ORDER BY record DESC LIMIT 2", (name,), self._decoded
        )

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        keys = list(dict.fromkeys(wanted))
        found: dict[RecordKey, Item] = {}
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            places = ", ".join(["(?, ?)"] * len(batch))
            rows = self._read(
                f"SELECT name, record, item FROM records WHERE (name, record) IN (VALUES {places})",  # noqa: S608
                [part for key in batch for part in key],
                lambda row: (RecordKey(row[0], row[1]), decode_item(row[2])),
            )
            found.update(rows)
        return found

    def heads(self, prefix: str = "") -> Iterator[Item]:
        # TEXT compares by its UTF-8 bytes, and U+10FFFF sorts behind every character that a name can have.
        yield from self._read(
            "SELECT item FROM heads JOIN records USING (name, record) WHERE name >= ? AND name < ? ORDER BY name",
            (prefix, prefix + "\U0010ffff"),
            self._decoded,
        )

    def history(self, name: str) -> Iterator[Item]:
        yield from self._read(
            "SELECT item FROM records WHERE name = ? AND record >= 'v#' AND record < 'v$' ORDER BY record",
            (name,),
            self._decoded,
        )

    def commit(self, change: Change) -> None:
        name = str(change.head["name"]["S"])
        with self._transaction() as connection:
            self._check_expected(connection, change, name)
            connection.execute(
                "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET item = excluded.item",
                (name, _HEAD, encode_item(change.head)),
            )
            connection.execute("INSERT INTO heads VALUES (?, ?) ON CONFLICT DO NOTHING", (name, _HEAD))
            for item in change.create:
                key = _key(item)
                if _stored(connection, key) is not None:
                    raise ConflictError(f"{key.record} of {key.name} exists already")
                connection.execute("INSERT INTO records VALUES (?, ?, ?)", (*key, encode_item(item)))
            for item in change.tombstones:
                self._expect_one(
                    connection.execute(
                        "UPDATE records SET item = ? WHERE name = ? AND record = ?", (encode_item(item), *_key(item))
                    ),
                    _key(item),
                )
            for key in change.delete:
                self._expect_one(
                    connection.execute("DELETE FROM records WHERE name = ? AND record = ?", tuple(key)), key
                )

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        key = _key(item)
        with self._transaction() as connection:
            stored = _stored(connection, key)
            if stored is None or any(stored.get(part) != item.get(part) for part in ("wrapped_key", "mac")):
                raise ConflictError(f"{key.record} of {key.name} has changed meanwhile")
            changed = {
                **stored,
                "wrapped_key": {"B": wrapped.blob},
                "key_id": {"S": wrapped.key_id},
                "rewrapped_at": {"N": str(at)},
            }
            connection.execute(
                "UPDATE records SET item = ? WHERE name = ? AND record = ?", (encode_item(changed), *key)
            )

    @staticmethod
    def _check_expected(connection: sqlite3.Connection, change: Change, name: str) -> None:
        stored = _stored(connection, RecordKey(name, _HEAD))
        if change.expected is None:
            if stored is not None:
                raise ConflictError(f"{name} exists already")
            return
        mark = {"last": {"N": str(change.expected.last)}, "revision": {"N": str(change.expected.revision)}}
        if stored is None or any(stored.get(part) != value for part, value in mark.items()):
            raise ConflictError(f"{name} has changed meanwhile")

    @staticmethod
    def _expect_one(cursor: sqlite3.Cursor, key: RecordKey) -> None:
        if cursor.rowcount != 1:
            raise ConflictError(f"{key.record} of {key.name} does not exist")

    @staticmethod
    def _decoded(row: tuple[Any, ...]) -> Item:
        return decode_item(row[0])

    def _read(self, statement: str, parameters: Sequence[object], make: Callable[[tuple[Any, ...]], _T]) -> list[_T]:
        with self._translated():
            connection = self._connection()
            if connection is None:
                return []
            return [make(row) for row in connection.execute(statement, parameters)]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            connection = self._connection(create=True)
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connection(self, *, create: bool = False) -> sqlite3.Connection | None:
        """The calling thread's connection, or None where the file does not exist and shall not be made."""
        process = os.getpid()
        if getattr(self._local, "process", None) != process:
            # SQLite's connections must not cross a fork; the parent's is left to the parent.
            self._local.connection = None
            self._local.process = process
        connection: sqlite3.Connection | None = self._local.connection
        if connection is None:
            if not create and not self._path.exists():
                return None
            connection = self._local.connection = self._open()
        return connection

    def _open(self) -> sqlite3.Connection:
        prepare_directory(self._path.parent)
        if not self._path.exists():
            create_once(self._path, _fill)
        # SQLite gives its -wal and -shm files the mode of the database.
        check_private(self._path, "the store")
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            self._check_ours(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_ours(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise StoreNotFoundError(
                f"{self._path} is an SQLite file, but not a dynastash store", hint="choose another path"
            )
        if version != _SCHEMA_VERSION:
            raise StoreError(
                f"the store {self._path} is of version {version}, which this release does not know",
                hint="upgrade dynastash",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DynastashError:
            raise
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise StoreAccessDeniedError(
                f"the store {self._path} cannot be opened: {error.strerror}",
                hint="check that you own the directory and may write to it",
            ) from error

    def _error(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorname", None)
        kind = (code or "").removeprefix("SQLITE_").partition("_")[0]
        if kind in ("BUSY", "LOCKED"):
            return StoreUnavailableError(
                f"the store {self._path} is busy", hint="another process holds it: try again", code=code
            )
        if kind == "FULL":
            return StoreUnavailableError(
                f"no space is left for the store {self._path}", hint="free some space; nothing was written", code=code
            )
        if kind in ("READONLY", "PERM", "AUTH", "CANTOPEN"):
            return StoreAccessDeniedError(
                f"the store {self._path} cannot be written",
                hint="check the file's and the directory's owner",
                code=code,
            )
        if kind in ("CORRUPT", "NOTADB"):
            return StoreError(f"the store {self._path} is damaged", hint="restore the file from a backup", code=code)
        return StoreError(f"the store {self._path} failed", hint="see the code", code=code or type(error).__name__)


def _fill(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)


def _key(item: Item) -> RecordKey:
    return RecordKey(str(item["name"]["S"]), str(item["record"]["S"]))


def _stored(connection: sqlite3.Connection, key: RecordKey) -> Item | None:
    row = connection.execute("SELECT item FROM records WHERE name = ? AND record = ?", tuple(key)).fetchone()
    return None if row is None else decode_item(row[0])


if TYPE_CHECKING:
    from dynastash.stores.base import Store

    def _conforms(store: SQLiteStore) -> Store:
        return store
