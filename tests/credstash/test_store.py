"""A table as credstash's commands have it, on ministack: what credstash gets wrong is right."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from dynastash.aws.base import Operation
from dynastash.credstash.binding import MARKS
from dynastash.credstash.contexts import Contexts
from dynastash.credstash.items import Label, Opened
from dynastash.credstash.keys import ANY_KEY, TableKeys
from dynastash.credstash.store import CredentialStore
from dynastash.credstash.table import Table
from dynastash.credstash.versions import number_of, padded
from dynastash.errors import (
    ConflictError,
    ContextMismatchError,
    DynastashError,
    FormatError,
    IntegrityError,
    InvalidArgumentError,
    InvalidNameError,
    KeyUnavailableError,
    KeyUnreachableError,
    SecretNotFoundError,
    StoreNotFoundError,
    UntrustedKeyError,
    ValueTooLargeError,
    VersionNotFoundError,
)
from dynastash.models import Plaintext
from dynastash.testing.fakes import FakeClock
from tests.credstash.kit import OldTable
from tests.engines.engine import Engine
from tests.engines.transports import CountingTransport, Fault, lost, rejected, unreachable

GET = Operation.QUERY, Operation.DECRYPT


@pytest.fixture
def wire(ministack: Engine) -> CountingTransport:
    """Counts."""
    return CountingTransport(ministack.transport)


@pytest.fixture
def old(ministack: Engine, wire: CountingTransport) -> OldTable:
    """An empty table."""
    return OldTable(ministack, wire)


def value_of(found: object) -> bytes:
    """Of an opened item."""
    assert isinstance(found, Opened), found
    return found.value.expose()


def got(store: CredentialStore, contexts: Contexts | None = None, **options: Any) -> dict[str, bytes | type]:
    """All values by name; the class of the error where there is none."""
    return {
        name: value_of(found) if isinstance(found, Opened) else type(found)
        for name, found in store.get_all(contexts or Contexts(), **options)
    }


def test_put_and_get(old: OldTable, wire: CountingTransport) -> None:
    """One call to the table and one to KMS each; what is written is bound."""
    store = old.store()
    assert store.put("a", 1, Plaintext(b"\x00\xffx"), context={"env": "prod"}, comment="why") == padded(1)
    assert wire.calls == {Operation.GENERATE_DATA_KEY: 1, Operation.PUT_ITEM: 1}
    wire.calls.clear()
    found = store.get("a", context={"env": "prod"})
    assert (value_of(found), found.bound, found.label) == (b"\x00\xffx", True, Label("a", padded(1), "why"))
    assert wire.calls == {Operation.QUERY: 1, Operation.DECRYPT: 1}
    with pytest.raises(ContextMismatchError, match="version 0000000000000000001 of a does not open"):
        store.get("a")


def test_the_latest_is_credstashs(old: OldTable) -> None:
    """The one that sorts last as text; any is found by its number, padded or not, or by its word."""
    store = old.store()
    for version in ("9", "10", padded(3), padded("rel-7")):
        old.add("a", version, version.encode())
    assert store.highest("a") == "9"
    assert value_of(store.get("a")) == b"9"
    assert value_of(store.get("a", 9)) == b"9"
    assert value_of(store.get("a", "10")) == b"10"
    assert value_of(store.get("a", 3)) == padded(3).encode()
    assert value_of(store.get("a", "rel-7")) == padded("rel-7").encode()
    assert store.highest("b") is None
    with pytest.raises(VersionNotFoundError, match="a has no version 4"):
        store.get("a", 4)
    with pytest.raises(SecretNotFoundError, match="has no b"):
        store.get("b", 4)
    with pytest.raises(SecretNotFoundError):
        store.get("b")
    for name in ("", "x" * 2049):
        with pytest.raises(InvalidNameError):
            store.get(name)


def test_a_version_is_not_overwritten(old: OldTable) -> None:
    """And the message says so in words of ours."""
    store = old.store()
    store.put("a", 1, Plaintext(b"one"))
    with pytest.raises(ConflictError, match="version 0000000000000000001 of a was not written: it exists already"):
        store.put("a", "1", Plaintext(b"two"))
    assert value_of(store.get("a")) == b"one"


def test_a_put_whose_answer_is_lost_is_recognized(old: OldTable, wire: CountingTransport) -> None:
    """The second attempt finds the first one's item there: no conflict, and no second version."""
    wire.fail(Operation.PUT_ITEM, 1, Fault(lost(Operation.PUT_ITEM), after=True))
    assert old.store().put("a", 1, Plaintext(b"x")) == padded(1)
    wire.fail(Operation.PUT_ITEM, 1, Fault(lost(Operation.PUT_ITEM), after=True))
    assert old.store().put_next("a", Plaintext(b"y")) == padded(2)
    assert len(old.items()) == 2


def test_parallel_puts_all_succeed(old: OldTable) -> None:
    """20 at once: 20 versions, of which credstash stores two."""
    store, versions = old.store(), []

    def put(number: int) -> None:
        versions.append(store.put_next("a", Plaintext(b"%d" % number)))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == [one["version"]["S"] for one in old.items()]
    assert len(set(versions)) == 20


def test_no_number_is_used_again(old: OldTable) -> None:
    """Neither after the latest was deleted, nor after all were."""
    store = old.store()
    used = [store.put("a", 1, Plaintext(b"x"))]
    used += [store.put_next("a", Plaintext(b"x")) for _ in range(3)]
    assert used == [padded(number) for number in (1, 2, 3, 4)]
    assert list(store.delete("a", 4)) == [padded(4)]
    assert list(store.delete("a", "3")) == [padded(3)]
    assert value_of(store.get("a")) == b"x"
    used.append(store.put_next("a", Plaintext(b"y")))
    assert used[-1] == padded(5)
    assert list(store.delete("a")) == [padded(1), padded(2), padded(5)]
    assert old.items() == []
    again = store.put_next("a", Plaintext(b"z"))
    assert again not in used
    assert (number_of(again) or 0) > 1_700_000_000_000
    assert store.put_next("a", Plaintext(b"z")) == padded((number_of(again) or 0) + 1)


def test_deleting(old: OldTable, wire: CountingTransport) -> None:
    """What is not there is told; the mark that is left does not touch the item's own part."""
    store = old.store()
    with pytest.raises(SecretNotFoundError):
        list(store.delete("a"))
    old.add("a", padded(1), b"x")
    old.add("a", padded(2), b"y")
    with pytest.raises(VersionNotFoundError):
        list(store.delete("a", 3))
    before = old.items()[0]
    assert list(store.delete("a", 2)) == [padded(2)]
    (after,) = old.items()
    assert after.pop(MARKS) == {"M": {"format": {"S": "1"}, "used": {"N": "2"}}}
    assert after == before
    assert value_of(store.get("a")) == b"x"
    assert wire.calls[Operation.DELETE_ITEM] == 1


def test_a_number_behind_which_nothing_sorts(old: OldTable) -> None:
    """credstash writes it and never serves it; here nothing is written."""
    store = old.store()
    for name, versions in (("a", ["9", "10"]), ("b", ["9" * 19]), ("c", [padded(1), "~"])):
        for version in versions:
            old.add(name, version, b"x")
        with pytest.raises(ConflictError):
            store.put_next(name, Plaintext(b"y"))
    assert len(old.items()) == 5


def test_all_of_them(old: OldTable, wire: CountingTransport) -> None:
    """One Scan and one Decrypt each; what does not open stands in its place, and nothing hangs."""
    old.add("a", padded(1), b"old")
    old.add("a", padded(2), b"new")
    old.add("b", padded(1), b"other", {"env": "prod"})
    old.add("c", "10", b"ten")
    old.add("c", "9", b"nine")
    old.add("d", padded(1), b"x")
    old.put({**old.items()[-1], "hmac": {"S": "00" * 32}})
    old.put({"name": {"S": "e"}, "version": {"S": "1"}, "comment": {"N": "1"}})
    old.add("f", padded(1), b"legacy", digest={"S": "WHIRLPOOL"})
    store = old.store()
    contexts = Contexts({}, {"b": {"env": "prod"}})
    wire.calls.clear()
    expected = {"a": b"new", "b": b"other", "c": b"nine", "d": IntegrityError, "e": FormatError}
    assert list(got(store, contexts).items())[:5] == list(expected.items())
    assert wire.calls == {Operation.SCAN: 1, Operation.DECRYPT: 5}
    assert got(store)["b"] is ContextMismatchError
    first = got(store, contexts, version=1)
    assert (first["a"], first["b"], first["c"]) == (b"old", b"other", VersionNotFoundError)
    assert got(store, contexts, version=9, wanted=lambda name: name == "c") == {"c": b"nine"}
    assert [label.version for label in store.labels() if label.name == "c"] == ["10", "9"]
    assert len(store.labels()) == 8
    assert wire.calls[Operation.GENERATE_DATA_KEY] == 0


def test_what_stands_in_the_way_of_all_is_raised(old: OldTable, wire: CountingTransport) -> None:
    """A key that does not exist, a service out of reach: no map is complete then."""
    for name in ("a", "b", "c"):
        old.add(name, padded(1), b"x")
    keys = old.keys(trusted=("alias/no-such-key",))
    wire.fail(Operation.DECRYPT, 1, Fault(rejected(Operation.DECRYPT, "NotFoundException")))  # the engine decrypts
    with pytest.raises(KeyUnavailableError, match="KMS key alias/no-such-key in eu-west-1 does not exist"):
        list(CredentialStore(old.table, keys).get_all(Contexts()))
    for number in range(1, 1000):
        wire.fail(Operation.DECRYPT, number, Fault(unreachable(Operation.DECRYPT)))
    with pytest.raises(KeyUnreachableError):
        list(CredentialStore(old.table, old.keys(clock=FakeClock())).get_all(Contexts()))


def test_a_strangers_key(old: OldTable, wire: CountingTransport) -> None:
    """An item that was wrapped under another key is refused, unless any will do, as with credstash.

    The engine opens with whatever key is named, so AWS's refusal is made here.
    """
    incorrect = Fault(rejected(Operation.DECRYPT, "IncorrectKeyException"))
    old.add("a", padded(1), b"theirs")
    wire.fail(Operation.DECRYPT, 1, incorrect)
    with pytest.raises(UntrustedKeyError, match="version 0000000000000000001 of a is wrapped under another than arn:"):
        old.store().get("a")
    wire.fail(Operation.DECRYPT, 1, incorrect)
    both = old.keys(trusted=("alias/another", old.key))
    assert value_of(CredentialStore(old.table, both).get("a")) == b"theirs"
    assert value_of(CredentialStore(old.table, old.keys(trusted=ANY_KEY)).get("a")) == b"theirs"
    asked = [request.get("KeyId") for operation, request in wire.requests if operation is Operation.DECRYPT]
    assert asked == [old.key, "alias/another", old.key, None]


def test_swapping_and_replaying(old: OldTable) -> None:
    """What credstash accepts with exit code 0: not of items that are bound."""
    store = old.store()
    store.put("admin", 1, Plaintext(b"root"))
    store.put("guest", 1, Plaintext(b"nobody"))
    store.put("guest", 2, Plaintext(b"somebody"))
    admin, guest, _ = old.items()
    old.put({**admin, "name": {"S": "guest"}, "version": {"S": padded(2)}})
    with pytest.raises(IntegrityError, match="version 0000000000000000002 of guest: it is bound to another name"):
        store.get("guest")
    old.put({**guest, "version": {"S": padded(3)}})
    with pytest.raises(IntegrityError, match="bound to another"):
        store.get("guest")
    assert value_of(store.get("guest", 1)) == b"nobody"
    old.put({key: value for key, value in admin.items() if key != MARKS} | {"version": {"S": padded(9)}})
    assert value_of(store.get("admin")) == b"root"
    with pytest.raises(IntegrityError, match="required"):
        old.store(require_binding=True).get("admin")


def test_what_cannot_be_written(old: OldTable, wire: CountingTransport) -> None:
    """Is refused before the table is asked."""
    store = old.store()
    with pytest.raises(ValueTooLargeError):
        store.put("a", 1, Plaintext(bytes(310_000)))
    with pytest.raises(InvalidArgumentError, match="'CRC32' is no digest"):
        store.put("a", 1, Plaintext(b"x"), digest="CRC32")
    assert store.put("b", 1, Plaintext(bytes(295_000)), digest="sha512") == padded(1)
    assert old.items()[0]["digest"] == {"S": "SHA512"}
    assert wire.calls[Operation.PUT_ITEM] == 1
    assert value_of(store.get("b")) == bytes(295_000)


@pytest.mark.parametrize(
    "ask",
    [lambda store: store.get("a"), lambda store: store.labels(), lambda store: store.put_next("a", Plaintext(b"x"))],
    ids=["get", "list", "put"],
)
def test_another_table(ministack: Engine, ask: Callable[[CredentialStore], object]) -> None:
    """One that is not there, and one of another shape, each in a sentence."""
    transport = ministack.transport
    keys = TableKeys(transport, key=ministack.create_key())
    with pytest.raises(StoreNotFoundError, match="credstash table no-such-table in eu-west-1 does not exist"):
        ask(CredentialStore(Table(transport, "no-such-table"), keys))
    other = ministack.create_table()
    ministack.client("dynamodb").put_item(TableName=other, Item={"name": {"S": "a"}, "record": {"S": "~head"}})
    with pytest.raises(DynastashError) as caught:
        ask(CredentialStore(Table(transport, other), keys))
    assert "is none: its keys are not name and version" in str(caught.value)


def test_what_somebody_else_has_changed_is_not_replaced_or_removed(old: OldTable, wire: CountingTransport) -> None:
    """The condition is the sealed part as it was read; a lost answer to our own change is recognized."""
    table, store = old.table, old.store()
    old.add("a", padded(1), b"one")
    before = table.latest("a")
    assert before is not None
    old.add("a", padded(1), b"theirs")
    for change in (lambda: table.replace(before, before), lambda: table.remove(before)):
        with pytest.raises(ConflictError, match="somebody else has changed it"):
            change()
    assert value_of(store.get("a")) == b"theirs"
    now = table.latest("a")
    assert now is not None
    new = {**now, "contents": {"S": ""}}
    wire.fail(Operation.PUT_ITEM, 1, Fault(lost(Operation.PUT_ITEM), after=True))
    table.replace(now, new)
    wire.fail(Operation.DELETE_ITEM, 1, Fault(lost(Operation.DELETE_ITEM), after=True))
    table.remove(new)
    assert old.items() == []
    foreign = {"name": {"S": "f"}, "version": {"S": "1"}}
    old.put(foreign)
    table.remove(foreign)
    assert old.items() == []
