"""The stores that processes share, and ways to break them that the checker has to notice."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dynastash.aws.base import Operation, Transport
from dynastash.errors import ConflictError
from dynastash.keys.local import LocalKeys
from dynastash.models import DataKey, Head, Item
from dynastash.stash.api import Stash
from dynastash.stash.highwater import HighWater
from dynastash.stores.base import Change, HeadMark, RecordKey, Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.stores.sqlite import SQLiteStore
from tests.engines.transports import Threaded, lost

ENVIRONMENT: Final = "prod"
_KEY: Final = DataKey(bytes(range(32)))


@contextlib.contextmanager
def opened(engine: str, losing: float) -> Iterator[Callable[[], Store]]:
    """What gives each process, once it is forked, its own way to one new store. ``losing`` of all replies get lost."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o700)
        if engine == "sqlite":
            yield lambda: SQLiteStore(directory / "prod.db")
            return
        from tests.engines import servers
        from tests.engines.engine import Engine

        with servers.ministack(directory) as url:
            table = Engine("ministack", url).create_table()
            transport = Engine("ministack", url).transport  # with no connection that a fork could share
            transport._client("dynamodb")
            yield lambda: DynamoDBStore(Lossy(transport, losing) if losing else transport, table)


def client(store: Store, sabotage: str | None = None) -> Stash:
    """A client that has seen nothing yet, on a store that ``sabotage`` breaks."""
    seen: HighWater | None = None
    if sabotage is not None:
        store, seen = SABOTAGE[sabotage](store), _Blind()
    return Stash(ENVIRONMENT, store, LocalKeys(_KEY), identity=lambda: "tester", seen=seen)


class Lossy(Threaded):
    """Loses some of the replies, before or after the server has acted."""

    def __init__(self, inner: Transport, losing: float) -> None:
        self._inner = inner
        self._losing = losing
        self._random = random.Random()

    @property
    def region(self) -> str:
        return self._inner.region

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        loses = self._random.random() < self._losing
        if loses and self._random.random() < 0.5:
            raise lost(operation)
        reply = self._inner.call(operation, request)
        if loses:
            raise lost(operation)
        return reply


class _Passing:
    """A store that passes everything on."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class StaleReads(_Passing):
    """Answers some reads with what it answered before."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._answers: dict[str, Sequence[Item]] = {}

    def newest(self, name: str) -> Sequence[Item]:
        if name not in self._answers or random.random() < 0.7:
            self._answers[name] = self._inner.newest(name)
        return self._answers[name]


class LostWrites(_Passing):
    """Says of some commits that they are done, and does nothing."""

    def commit(self, change: Change) -> None:
        if random.random() < 0.95:
            self._inner.commit(change)


class NoCompare(_Passing):
    """Commits whatever the head has become meanwhile, over versions that are there already."""

    def commit(self, change: Change) -> None:
        try:
            self._inner.commit(change)
        except ConflictError:
            name = str(change.head["name"]["S"])
            head = self._inner.fetch([RecordKey(name, "~head")]).get(RecordKey(name, "~head"))
            if head is None:
                raise
            mark = HeadMark(int(head["last"]["N"]), int(head["revision"]["N"]))
            keys = [RecordKey(name, str(item["record"]["S"])) for item in change.create]
            there = self._inner.fetch(keys)
            self._inner.commit(
                replace(
                    change,
                    expected=mark,
                    create=[item for item, key in zip(change.create, keys, strict=True) if key not in there],
                    tombstones=[item for item, key in zip(change.create, keys, strict=True) if key in there],
                    delete=(),
                )
            )


class _Blind(HighWater):
    """Remembers nothing, so that the client itself does not notice what its store does."""

    def observe(self, head: Head) -> None:
        pass


SABOTAGE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "stale-reads": StaleReads,
    "lost-writes": LostWrites,
    "no-compare": NoCompare,
}
"""By name: what breaks a store."""
