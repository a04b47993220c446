"""A stash on the embedded store, and hands that reach into its file behind its back."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from dynastash.clock import Clock
from dynastash.keys.base import KeyProvider
from dynastash.keys.local import LocalKeys
from dynastash.models import Context, DataKey, Item, WrappedKey
from dynastash.stash.api import Stash
from dynastash.stores.base import Change, RecordKey, Store
from dynastash.stores.itemjson import decode_item, encode_item
from dynastash.stores.sqlite import SQLiteStore
from dynastash.testing.fakes import FakeClock

KEY = DataKey(bytes(range(32)))
HEAD = "~head"


def v(number: int) -> str:
    """A version's sort key."""
    return f"v#{number:010d}"


class World:
    """One store file, a clock, and as many clients as a test wants."""

    def __init__(self, directory: Path, environment: str = "prod") -> None:
        self.environment = environment
        self.path = directory / "private" / f"{environment}.db"
        self.clock = FakeClock()
        self.store = SQLiteStore(self.path)
        self.keys = LocalKeys(KEY, description="the test's key")
        self.stash = self.fresh()

    def fresh(
        self,
        store: Store | None = None,
        keys: KeyProvider | None = None,
        *,
        environment: str | None = None,
        identity: Callable[[], str] = lambda: "test:somebody",
        clock: Clock | None = None,
    ) -> Stash:
        """A client that has seen nothing yet."""
        return Stash(
            environment or self.environment,
            store or self.store,
            keys or self.keys,
            identity=identity,
            clock=clock or self.clock,
        )

    def sql(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """One statement, by a connection of its own, without the store's rules."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(statement, parameters).fetchall()
        finally:
            connection.close()

    def item(self, name: str, record: str) -> dict[str, object]:
        """What the file holds."""
        ((text,),) = self.sql("SELECT item FROM records WHERE name = ? AND record = ?", (name, record))
        return dict(decode_item(str(text)))

    def records(self, name: str) -> list[str]:
        """The sort keys of ``name``."""
        return [str(row[0]) for row in self.sql("SELECT record FROM records WHERE name = ? ORDER BY record", (name,))]

    def write(self, item: Mapping[str, object]) -> None:
        """Put an item where it says that it belongs."""
        name, record = item["name"]["S"], item["record"]["S"]  # type: ignore[index]
        self.write_at(name, record, encode_item(item))  # type: ignore[arg-type]
        if record == HEAD:
            self.sql("INSERT OR IGNORE INTO heads VALUES (?, ?)", (name, record))

    def write_at(self, name: str, record: str, text: str) -> None:
        """Put any text anywhere."""
        self.sql("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (name, record, text))

    def edit(self, name: str, record: str, **attributes: object) -> None:
        """Change attributes of an item; None drops one."""
        item = self.item(name, record) | attributes
        self.write({attribute: value for attribute, value in item.items() if value is not None})

    def drop(self, name: str, record: str) -> None:
        """Delete an item."""
        self.sql("DELETE FROM records WHERE name = ? AND record = ?", (name, record))


class Between:
    """A store in front of another: hands every call on, and lets a test replace any of them."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def description(self) -> str:
        return self.inner.description

    @property
    def transaction_size(self) -> int:
        return self.inner.transaction_size

    def newest(self, name: str) -> Sequence[Item]:
        return self.inner.newest(name)

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        return self.inner.fetch(wanted)

    def heads(self, prefix: str = "") -> Iterator[Item]:
        return self.inner.heads(prefix)

    def history(self, name: str) -> Iterator[Item]:
        return self.inner.history(name)

    def scan(self) -> Iterator[Item]:
        return self.inner.scan()

    def commit(self, change: Change) -> None:
        self.inner.commit(change)

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        self.inner.replace_key(item, wrapped, at)


class CountingStore(Between):
    """Notes each call and the sort keys that it asks for."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: list[str] = []
        self.fetched: list[str] = []

    def newest(self, name: str) -> Sequence[Item]:
        self.calls.append("newest")
        return super().newest(name)

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        self.calls.append("fetch")
        self.fetched += [key.record for key in wanted]
        return super().fetch(wanted)

    def heads(self, prefix: str = "") -> Iterator[Item]:
        self.calls.append("heads")
        return super().heads(prefix)

    def history(self, name: str) -> Iterator[Item]:
        self.calls.append("history")
        return super().history(name)

    def commit(self, change: Change) -> None:
        self.calls.append("commit")
        super().commit(change)


class CountingKeys(KeyProvider):
    """Notes each call, in front of another key provider."""

    description = ""
    concurrency = 1

    def __init__(self, inner: KeyProvider, concurrency: int = 1) -> None:
        self.inner = inner
        self.concurrency = concurrency
        self.description = inner.description
        self.calls: list[str] = []

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        self.calls.append("generate")
        return self.inner.generate(context)

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        self.calls.append("unwrap")
        return self.inner.unwrap(wrapped, context)

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        self.calls.append("rewrap")
        return self.inner.rewrap(wrapped, context)


def mode(path: Path) -> int:
    """Permissions alone."""
    return stat.S_IMODE(os.stat(path).st_mode)
