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
    FormatError,
    StoreError,
)
from dynastash.files import check_private, create_once, prepare_directory
from dynastash.models import Item, WrappedKey
from dynastash.stores.base import Change, RecordKey
from dynastash.stores.itemjson import decode_item, encode_item
from dynastash.stores.sqlite_errors import damaged, database_error, foreign, system_error

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

# trusted_schema: a file is not believed to bring functions along. fullfsync: on macOS, fsync alone is not the disk.
_PRAGMAS: Final = (
    "synchronous = FULL", "fullfsync = ON", "foreign_keys = ON", "secure_delete = ON", "trusted_schema = OFF",
)  # fmt: skip

_T = TypeVar("_T")


class SQLiteStore:
    """Items in the SQLite file ``path``.

    The file is made on first use, mode 0600, in a directory of mode 0700. Each thread has a connection of its own, and
    a forked child opens new ones. A file that was replaced, as by a restore, is noticed at the next operation.
    ``busy_timeout`` is in seconds: how long to wait for another process that is writing.
    """

    transaction_size = 1000
    """SQLite has no limit; this one keeps a writer from holding the file for long."""

    def __init__(self, path: Path, *, busy_timeout: float = _BUSY_SECONDS) -> None:
        self._path = path.absolute()
        self._busy_timeout = busy_timeout
        self._local = threading.local()
        self._open_here: set[sqlite3.Connection] = set()

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
        self._local.opened = None

    def newest(self, name: str) -> Sequence[Item]:
        return self._read(
            "SELECT name, record, item FROM records WHERE name = ? ORDER BY record DESC LIMIT 2", (name,), _decoded
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
                lambda row: (RecordKey(row[0], row[1]), _decoded(row)),
            )
            found.update(rows)
        return found

    def heads(self, prefix: str = "") -> Iterator[Item]:
        # TEXT compares by its UTF-8 bytes, and U+10FFFF sorts behind every character that a name can have.
        yield from self._read(
            "SELECT name, record, item FROM heads JOIN records USING (name, record)"
            " WHERE name >= ? AND name < ? ORDER BY name",
            (prefix, prefix + "\U0010ffff"),
            _decoded,
        )

    def history(self, name: str) -> Iterator[Item]:
        yield from self._read(
            "SELECT name, record, item FROM records WHERE name = ? AND record >= 'v#' AND record < 'v$'"
            " ORDER BY record",
            (name,),
            _public,
        )

    def scan(self) -> Iterator[Item]:
        names = self._read("SELECT DISTINCT name FROM records ORDER BY name", (), lambda row: str(row[0]))
        for name in names:
            yield from self._read(
                "SELECT name, record, item FROM records WHERE name = ? ORDER BY record", (name,), _decoded
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
        opened: _Opened | None = getattr(self._local, "opened", None)
        file = _identity(self._path)
        if opened is None or opened.file != file or opened.process != os.getpid():
            # SQLite's connections must not cross a fork, and would go on reading and writing a file that was replaced.
            self._local.opened = opened = None
            if file is None and not create:
                return None
            opened = self._local.opened = self._open()
        return opened.connection

    def _open(self) -> _Opened:
        prepare_directory(self._path.parent)
        if not self._path.exists():
            create_once(self._path, _fill)
        # A link leads to another directory, in which SQLite makes its -wal and -shm files, of the mode of the database.
        path = self._path.resolve(strict=True)
        prepare_directory(path.parent)
        check_private(path, "the store")
        file = _identity(path)
        # mode=rw: a file that vanished meanwhile is an error, and not made anew by SQLite, readable for everybody.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            self._check_ours(connection)
        except BaseException:
            connection.close()
            raise
        return _Opened(connection, file, self._open_here)

    def _check_ours(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise foreign(self._path)
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
            raise database_error(error, self._path) from error
        except UnicodeDecodeError:  # SQLite's message about a damaged schema quotes it, and Python cannot read that
            raise damaged(self._path, "SQLITE_CORRUPT") from None
        except OSError as error:
            raise system_error(error, self._path) from error


class _Opened:
    """One thread's connection. It is closed when its thread lets go of it, and only in the process that opened it.

    ``keep`` holds on to it beyond that: in a forked child the threads of the parent are gone and let go of everything,
    and a connection that is closed there could roll back in the shared memory of a transaction that goes on here.
    """

    def __init__(self, connection: sqlite3.Connection, file: tuple[int, int] | None, keep: set[sqlite3.Connection]):
        self.connection = connection
        self.file = file
        self.process = os.getpid()
        self._keep = keep
        keep.add(connection)

    def __del__(self) -> None:
        if self.process == os.getpid():
            self._keep.discard(self.connection)
            self.connection.close()


def _fill(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at ``path`` from another that took its place; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _key(item: Item) -> RecordKey:
    return RecordKey(str(item["name"]["S"]), str(item["record"]["S"]))


def _decoded(row: tuple[Any, ...]) -> Item:
    """The item of a row ``name, record, item``.

    What is not readable, or says that it stands elsewhere, comes as its key alone: no record, for whoever reads it.
    """
    name, record, text = row
    key: Item = {"name": {"S": name}, "record": {"S": record}}
    try:
        item = decode_item(text)
    except FormatError:
        return key
    return item if all(item.get(part) == value for part, value in key.items()) else key


def _public(row: tuple[Any, ...]) -> Item:
    """As :func:`_decoded`, without the ciphertext: a long history is not a large one."""
    return {name: value for name, value in _decoded(row).items() if name != "ciphertext"}


def _stored(connection: sqlite3.Connection, key: RecordKey) -> Item | None:
    row = connection.execute(
        "SELECT name, record, item FROM records WHERE name = ? AND record = ?", tuple(key)
    ).fetchone()
    return None if row is None else _decoded(row)


if TYPE_CHECKING:
    from dynastash.stores.base import Store

    def _conforms(store: SQLiteStore) -> Store:
        return store
