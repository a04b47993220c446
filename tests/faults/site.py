"""An environment behind the proxy: its records are written once, and every case gets a table with copies of them."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from dynastash.aws import boto
from dynastash.aws.boto import BotoTransport
from dynastash.clock import Clock
from dynastash.crypto import envelope, records
from dynastash.generate import Password
from dynastash.keys.base import KeyProvider
from dynastash.keys.kms import KmsKeys
from dynastash.models import Context, DataKey, Item, WrappedKey
from dynastash.stash.api import Stash
from dynastash.stash.verify import Finding
from dynastash.stores.base import Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.fakes import FakeClock
from dynastash.transfer.sealed import export_sealed
from tests.engines.engine import Engine
from tests.faults.proxy import Proxy

ENVIRONMENT = "prod"
POLICY = Password(length=20)
TRANSACTION = 3
"""Records in one change: so few that erasing and restoring take several."""

State = Mapping[str, Any]
"""What an environment holds, times aside: for each secret its head, and for each version its value."""


class Memo(KeyProvider):
    """A key provider that remembers what it has unwrapped: most records are copies of the same ones."""

    concurrency = 1

    def __init__(self, inner: KeyProvider) -> None:
        self._inner = inner
        self._known: dict[tuple[object, ...], DataKey] = {}

    @property
    def description(self) -> str:
        return self._inner.description

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        return self._inner.generate(context)

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        place = wrapped.blob, *sorted(context.pairs().items())
        if place not in self._known:
            self._known[place] = self._inner.unwrap(wrapped, context)
        return self._known[place]

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        return self._inner.rewrap(wrapped, context)


class HurriedClock:
    """On which four times as much time passes as anybody sleeps: calls take time too, and the tests take less.

    Each thread has a time of its own, so that waits side by side do not add up; ``longest`` is the longest of them.
    """

    def __init__(self) -> None:
        self._own = threading.local()
        self.longest = 0.0

    def now(self) -> int:
        return FakeClock().now() + round(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return float(getattr(self._own, "elapsed", 0.0))

    def sleep(self, seconds: float) -> None:
        self._own.elapsed = elapsed = self.monotonic() + 4 * seconds
        self.longest = max(self.longest, elapsed)


def furnish(stash: Stash) -> None:
    """Secrets in every state."""
    stash.generate("app/multi", POLICY, comment="made")
    for number in (2, 3, 4, 5):
        stash.put("app/multi", f"multi {number}", tags={"team": "a"}, context={"purpose": "test"})
    stash.delete("app/multi", 2)
    for number in (1, 2):
        stash.put("app/other", f"other {number}")
    stash.put("gone/deleted", "deleted 1")
    stash.delete("gone/deleted")
    for number in (1, 2):
        stash.put("gone/destroyed", f"destroyed {number}")
    stash.destroy("gone/destroyed")
    stash.generate("rot/pending", POLICY)
    with pytest.raises(Exception, match="stopped at the set step"):
        stash.rotate("rot/pending", _Stops())


class _Stops:
    """A rotator whose target is down: it leaves a pending version."""

    def create(self, rotation: object) -> Any:
        from dynastash.models import Plaintext

        return Plaintext(b"pending 2")

    def set(self, rotation: object) -> None:
        raise OSError

    def test(self, rotation: object) -> None:
        """Never reached."""


def state_of(store: Store, keys: KeyProvider, known: frozenset[bytes] = frozenset()) -> State:
    """What ``store`` holds. Values that are not in ``known`` are random: of those only the lengths count."""
    state: dict[str, Any] = {}
    for item in store.scan():
        name, record = records.key_of(item)
        state[f"{name} {record}"] = _head(item) if record == records.HEAD else _version(item, keys, known)
    return state


def _head(item: Item) -> object:
    head = records.decode_head(item)
    return (
        (head.state, head.last, head.revision, head.current, head.previous, head.pending, head.pruned_below),
        (tuple(sorted(head.destroyed)), tuple(sorted(head.disabled)), head.comment, head.expires_at),
        (tuple(sorted(head.tags.items())), repr(head.rotation)),
    )


def _version(item: Item, keys: KeyProvider, known: frozenset[bytes]) -> object:
    if records.is_tombstone(item):
        return "tombstone"
    record = records.decode_version(item)
    metadata = record.metadata
    context = Context(ENVIRONMENT, metadata.name, metadata.number, metadata.context)
    data_key = keys.unwrap(WrappedKey(record.wrapped_key, metadata.key_id or ""), context)
    plaintext, _ = envelope.open_record(ENVIRONMENT, record, data_key)
    value = plaintext.expose()
    return (
        value if value in known else f"random, {len(value)} bytes",
        (metadata.comment, tuple(sorted(metadata.context.items()))),
        "rewrapped" if metadata.rewrapped_ms is not None else "",
    )


def impatient(transport: BotoTransport, seconds: float) -> BotoTransport:
    """``transport`` with clients that wait for so long only."""
    config = boto.client_config
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto, "client_config", lambda *_: config(4.0, seconds))
        for service in ("dynamodb", "kms"):
            transport._client(service)
    return transport


@dataclass
class Place:
    """A table for one case, and the two ways to it."""

    site: Site
    table: str
    clock: HurriedClock = field(default_factory=HurriedClock)

    def stash(self, *, patient: bool = True) -> Stash:
        """A client that has seen nothing yet and goes through the proxy."""
        transport = self.site.patient if patient else self.site.hasty
        store = DynamoDBStore(transport, self.table, clock=self.clock, transaction_size=TRANSACTION)
        # One call after the other: what a fault leaves done and undone is then the same each time.
        keys = KmsKeys(transport, self.site.key, clock=self.clock, concurrency=1)
        return Stash(ENVIRONMENT, store, keys, identity=lambda: "tester", clock=self.clock)

    @property
    def _direct(self) -> DynamoDBStore:
        return DynamoDBStore(self.site.dynamodb.transport, self.table)

    def state(self) -> State:
        """What the engine holds, not by way of the proxy."""
        return state_of(self._direct, self.site.memo, self.site.known)

    def findings(self) -> list[Finding]:
        """What ``verify`` finds, not by way of the proxy."""
        clock: Clock = FakeClock()
        stash = Stash(ENVIRONMENT, self._direct, self.site.memo, identity=lambda: "auditor", clock=clock)
        return [finding for checked in stash.verify() for finding in checked.findings]


class Site:
    """A furnished environment: DynamoDB at one engine, KMS at the same or at another, and a proxy before both."""

    def __init__(self, dynamodb: Engine, kms: Engine, proxy: Proxy) -> None:
        self.dynamodb = dynamodb
        self.kms = kms
        self.proxy = proxy
        self.patient = impatient(BotoTransport(dynamodb.session(), endpoint_url=proxy.url), 60.0)
        self.hasty = impatient(BotoTransport(dynamodb.session(), endpoint_url=proxy.url), 0.3)
        self.key = kms.create_key()
        self.memo = Memo(KmsKeys(kms.transport, self.key))
        table = dynamodb.create_table()
        store = DynamoDBStore(dynamodb.transport, table)
        clock = FakeClock()
        furnish(Stash(ENVIRONMENT, store, KmsKeys(kms.transport, self.key), identity=lambda: "maker", clock=clock))
        self.items = list(store.scan())
        backup = io.BytesIO()
        export_sealed(store, ENVIRONMENT, backup, at=clock.now())
        self.backup = backup.getvalue()
        written = [f"multi {n}" for n in range(2, 6)] + ["other 1", "other 2", "deleted 1", "pending 2", "new"]
        self.known = frozenset(text.encode() for text in written)

    def place(self, *, empty: bool = False) -> Place:
        """A new table with the records, or an empty one."""
        table = self.dynamodb.create_table()
        requests = [{"PutRequest": {"Item": item}} for item in ([] if empty else self.items)]
        for start in range(0, len(requests), 25):
            batch = {table: requests[start : start + 25]}
            assert not self.dynamodb.client("dynamodb").batch_write_item(RequestItems=batch)["UnprocessedItems"]
        return Place(self, table)

    def demolish(self, place: Place) -> None:
        """Give the engine its memory back."""
        self.dynamodb.client("dynamodb").delete_table(TableName=place.table)


Run = Callable[[Stash, "Site"], object]
