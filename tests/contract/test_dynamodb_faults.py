"""Lost replies, throttling and races of the DynamoDB store, on an engine that isolates transactions.

Never on moto: it lets several racing transactions win, and ignores their tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynastash.aws.base import Operation
from dynastash.aws.boto import BotoTransport
from dynastash.backoff import Backoff
from dynastash.errors import ConflictError, StoreNotFoundError, StoreUnavailableError
from dynastash.models import WrappedKey
from dynastash.stores.base import Change, HeadMark, RecordKey
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import first, following, head_item, same, version_item
from dynastash.testing.fakes import FakeClock
from tests.engines.engine import REGION, Engine
from tests.engines.servers import free_port
from tests.engines.transports import CountingTransport, Fault, Threaded, lost, throttled

pytestmark = pytest.mark.engine

TRANSACT, BATCH, UPDATE = Operation.TRANSACT_WRITE_ITEMS, Operation.BATCH_GET_ITEM, Operation.UPDATE_ITEM


class Patient:
    """The real clock for sleeping, and no deadline: a slow machine loses no race by it."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture
def wire(ministack: Engine) -> CountingTransport:
    """The engine's transport, with faults to order."""
    return CountingTransport(ministack.transport)


@pytest.fixture
def table(ministack: Engine) -> str:
    """A table of its own."""
    return ministack.create_table()


@pytest.fixture
def store(wire: CountingTransport, table: str) -> DynamoDBStore:
    """The store under test; it does not really wait."""
    return DynamoDBStore(wire, table, clock=FakeClock())


@pytest.fixture
def other(ministack: Engine, table: str) -> DynamoDBStore:
    """Somebody else's store on the same table."""
    return DynamoDBStore(ministack.transport, table)


class TestLostReplies:
    """A commit's reply does not arrive: did it happen?"""

    @pytest.mark.parametrize("after", [True, False], ids=["committed", "not committed"])
    def test_it_is_committed_once(self, store: DynamoDBStore, wire: CountingTransport, after: bool) -> None:
        """Sent again under the same token, whether or not the first one took effect."""
        store.commit(first("x"))
        change = following("x", 1, 1)
        wire.fail(TRANSACT, 1, Fault(lost(TRANSACT), after=after))
        store.commit(change)
        head, newest = store.newest("x")
        assert same(head, change.head)
        assert same(newest, change.create[0])
        assert len(list(store.history("x"))) == 2
        assert wire.requests[1] == wire.requests[2]

    def test_it_is_known_again_where_the_token_is_not(self, store: DynamoDBStore, wire: CountingTransport) -> None:
        """An engine that forgot the token refuses the repetition: the version's id tells that it is ours."""
        store.commit(first("x"))
        change = following("x", 1, 1)
        forgetful = _Forgetful(wire)
        wire.fail(TRANSACT, 1, Fault(lost(TRANSACT), after=True))
        DynamoDBStore(forgetful, store._table, clock=FakeClock()).commit(change)
        assert wire.calls[BATCH] == 1
        assert same(store.newest("x")[1], change.create[0])

    def test_it_is_known_again_under_later_ones(
        self, store: DynamoDBStore, other: DynamoDBStore, wire: CountingTransport
    ) -> None:
        """Somebody has already written the next version on top of ours."""
        store.commit(first("x"))
        change = following("x", 1, 1)
        wire.fail(TRANSACT, 1, Fault(lost(TRANSACT), True, meanwhile=lambda: other.commit(following("x", 2, 2))))
        DynamoDBStore(_Forgetful(wire), store._table, clock=FakeClock()).commit(change)
        assert len(list(store.history("x"))) == 3

    def test_somebody_else_won(self, store: DynamoDBStore, other: DynamoDBStore, wire: CountingTransport) -> None:
        """Ours was never carried out, and now it cannot be: a lost race, and one version."""
        store.commit(first("x"))
        theirs = following("x", 1, 1)
        wire.fail(TRANSACT, 1, Fault(lost(TRANSACT), meanwhile=lambda: other.commit(theirs)))
        with pytest.raises(ConflictError):
            store.commit(following("x", 1, 1))
        assert wire.calls[BATCH] == 1
        assert same(store.newest("x")[1], theirs.create[0])
        assert len(list(store.history("x"))) == 2

    def test_a_change_of_the_head_alone(self, store: DynamoDBStore, wire: CountingTransport) -> None:
        """Nothing but the head can tell."""
        store.commit(first("x"))
        head = head_item("x", revision=2, disabled={"NS": ["3", "1", "2"]})
        wire.fail(TRANSACT, 1, Fault(lost(TRANSACT), after=True))
        DynamoDBStore(_Forgetful(wire), store._table, clock=FakeClock()).commit(
            Change(head=head, expected=HeadMark(1, 1))
        )
        assert same(store.newest("x")[0], head)

    def test_a_head_alone_that_somebody_else_changed(
        self, store: DynamoDBStore, other: DynamoDBStore, wire: CountingTransport
    ) -> None:
        """Their head is not ours."""
        store.commit(first("x"))
        theirs = Change(head=head_item("x", revision=2, state={"S": "deleted"}), expected=HeadMark(1, 1))
        wire.fail(TRANSACT, 1, Fault(lost(TRANSACT), meanwhile=lambda: other.commit(theirs)))
        with pytest.raises(ConflictError):
            store.commit(Change(head=head_item("x", revision=2), expected=HeadMark(1, 1)))
        assert same(store.newest("x")[0], theirs.head)

    def test_it_stays_open(self, store: DynamoDBStore, wire: CountingTransport) -> None:
        """Every reply is lost: the message says that it may have happened. Here it did."""
        change = first("x")
        for number in range(1, 1000):
            wire.fail(TRANSACT, number, Fault(lost(TRANSACT), after=number == 1))
        with pytest.raises(StoreUnavailableError, match="may have been made"):
            store.commit(change)
        assert same(store.newest("x")[0], change.head)

    @pytest.mark.parametrize("after", [True, False], ids=["replaced", "not replaced"])
    def test_of_a_rewrap(self, store: DynamoDBStore, wire: CountingTransport, after: bool) -> None:
        """The repetition finds its own work done, or does it."""
        change = first("x")
        store.commit(change)
        wire.fail(UPDATE, 1, Fault(lost(UPDATE), after=after))
        store.replace_key(change.create[0], WrappedKey(b"new", "new key"), 5)
        assert store.newest("x")[1]["wrapped_key"] == {"B": b"new"}

    def test_of_a_rewrap_that_somebody_else_made(
        self, store: DynamoDBStore, other: DynamoDBStore, wire: CountingTransport
    ) -> None:
        """Theirs stays."""
        change = first("x")
        store.commit(change)
        theirs = WrappedKey(b"theirs", "their key")
        wire.fail(UPDATE, 1, Fault(lost(UPDATE), meanwhile=lambda: other.replace_key(change.create[0], theirs, 4)))
        with pytest.raises(ConflictError):
            store.replace_key(change.create[0], WrappedKey(b"new", "new key"), 5)
        assert store.newest("x")[1]["wrapped_key"] == {"B": b"theirs"}


class _Forgetful(Threaded):
    """Forgets tokens, as DynamoDB does after ten minutes."""

    def __init__(self, inner: CountingTransport) -> None:
        self._inner = inner
        self.region = inner.region

    def call(self, operation: Operation, request: Any) -> dict[str, Any]:
        return self._inner.call(operation, {k: v for k, v in request.items() if k != "ClientRequestToken"})


def test_throttled_writes_and_reads_come_through(store: DynamoDBStore, wire: CountingTransport) -> None:
    """A few refusals each, and nobody notices."""
    for number in (1, 2, 3):
        wire.fail(TRANSACT, number, Fault(throttled(TRANSACT)))
        wire.fail(BATCH, number, Fault(throttled(BATCH)))
    change = first("x")
    store.commit(change)
    key = RecordKey("x", "v#0000000001")
    assert same(store.fetch([key])[key], change.create[0])
    assert (wire.calls[TRANSACT], wire.calls[BATCH]) == (4, 4)


def test_all_of_many_writers_land(ministack: Engine, table: str) -> None:
    """Thirty-two writers on one secret, each until it wins: as many versions as writes, without a gap."""
    writers, each = 32, 4
    clock = Patient()

    def write(_: int) -> None:
        store = DynamoDBStore(ministack.transport, table, clock=clock)
        for _ in range(each):
            backoff = Backoff(clock)
            while True:
                found = store.newest("race")
                head = found[0] if found else None
                last = int(head["last"]["N"]) if head else 0
                try:
                    store.commit(following("race", last, last) if head else first("race"))
                    break
                except ConflictError:
                    assert backoff.pause()

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    store = DynamoDBStore(ministack.transport, table)
    numbers = [int(item["version"]["N"]) for item in store.history("race")]
    assert numbers == list(range(1, writers * each + 1))
    assert store.newest("race")[0]["last"] == {"N": str(writers * each)}


def test_a_listing_reads_one_entry_per_secret(store: DynamoDBStore, wire: CountingTransport) -> None:
    """However many versions there are: one page of the index."""
    for name in ("a/x", "a/y"):
        store.commit(first(name))
        for last in range(1, 20):
            store.commit(following(name, last, last))
    before = sum(wire.calls.values())
    assert [head["last"] for head in store.heads("a/")] == [{"N": "20"}] * 2
    assert sum(wire.calls.values()) - before == 1


@pytest.mark.parametrize("engine", ["ministack", "moto"])
class TestPages:
    """Answers that do not fit into one page, as the engines cut them."""

    def test_history_and_fetch_over_many_pages(self, engine: str, request: pytest.FixtureRequest) -> None:
        """Sixty records of 200 KiB: 12 MiB, twelve pages of a Query, in order and complete."""
        it: Engine = request.getfixturevalue(engine)
        table = it.create_table()
        wire = CountingTransport(it.transport)
        store = DynamoDBStore(wire, table)
        large = {"B": b"x" * 200 * 1024}
        store.commit(first("big", ciphertext=large))
        for last in range(1, 60, 15):
            versions = [
                version_item("big", last + more, ciphertext=large) for more in range(1, 16) if last + more <= 60
            ]
            newer = last + len(versions)
            head = head_item("big", last=newer, revision=newer)
            store.commit(Change(head=head, expected=HeadMark(last, last), create=versions))
        numbers = [int(item["version"]["N"]) for item in store.history("big")]
        assert numbers == list(range(1, 61))
        if engine == "ministack":
            assert wire.calls[Operation.QUERY] > 1
        keys = [RecordKey("big", f"v#{number:010d}") for number in range(1, 61)]
        assert set(store.fetch(keys)) == set(keys)


OPERATIONS: dict[str, Callable[[DynamoDBStore], object]] = {
    "newest": lambda store: store.newest("a"),
    "fetch": lambda store: store.fetch([RecordKey("a", "~head")]),
    "list": lambda store: list(store.heads()),
    "list a prefix": lambda store: list(store.heads("a/")),
    "history": lambda store: list(store.history("a")),
    "commit": lambda store: store.commit(first("a")),
    "rewrap": lambda store: store.replace_key(version_item("a", 1), WrappedKey(b"new", "key"), 1),
}


@pytest.mark.parametrize("engine", ["ministack", "moto"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_table(engine: str, operation: str, request: pytest.FixtureRequest) -> None:
    """Says which, where, and how to make it."""
    it: Engine = request.getfixturevalue(engine)
    with pytest.raises(StoreNotFoundError, match=f"table no-such-table in {REGION} does not exist") as caught:
        OPERATIONS[operation](DynamoDBStore(it.transport, "no-such-table"))
    assert "dynastash deploy" in (caught.value.hint or "")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_somebody_elses_table(operation: str, ministack: Engine) -> None:
    """A table of credstash's shape, with a secret in it, which reads by name find. moto words it differently."""
    client, table = ministack.client("dynamodb"), f"credential-store-{operation.replace(' ', '-')}"
    client.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("name", "version")],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}, {"AttributeName": "version", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName=table, Item={"name": {"S": "a"}, "version": {"S": "1"}, "contents": {"S": "x"}})
    with pytest.raises(StoreNotFoundError, match="not a dynastash table"):
        OPERATIONS[operation](DynamoDBStore(ministack.transport, table))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_a_network_it_is_said_soon(operation: str, ministack: Engine) -> None:
    """One line with the address, after a few attempts and five seconds of the clock."""
    clock = FakeClock()
    nowhere = BotoTransport(ministack.session(), endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailableError, match=r"out of reach.*127\.0\.0\.1") as caught:
        OPERATIONS[operation](DynamoDBStore(nowhere, "t", clock=clock))
    assert clock.monotonic() < 8
    assert "may have been made" not in str(caught.value)
    assert "\n" not in str(caught.value)
