"""The life of a secret on DynamoDB and KMS as emulators have them: batches, races, moves between keys and tables."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from dynastash.aws.base import CallError, Failure, Operation, Transport
from dynastash.errors import (
    ConflictError,
    DynastashError,
    KeyUnavailableError,
    SecretDestroyedError,
    UntrustedKeyError,
)
from dynastash.keys.kms import KmsKeys
from dynastash.models import State
from dynastash.stash.api import Stash
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.transfer.sealed import check_sealed, export_sealed, import_sealed
from tests.engines.engine import Engine
from tests.engines.transports import Threaded

pytestmark = pytest.mark.engine
NAME = "app/db"


class AsAws(Threaded):
    """A transport to moto that says what AWS says: for a blob under another key than the one named,
    IncorrectKeyException, where moto says that access is denied."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.region = inner.region

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.inner.call(operation, request)
        except CallError as error:
            if operation in (Operation.DECRYPT, Operation.RE_ENCRYPT) and error.code == "AccessDeniedException":
                raise CallError(operation, Failure.REJECTED, "IncorrectKeyException", error.message) from error
            raise


class Site:
    """A table and a key, and clients that share nothing but these."""

    def __init__(self, engine: Engine, *, size: int = 100) -> None:
        self.engine = engine
        self.table = engine.create_table()
        self.key = engine.create_key()
        self.size = size

    def client(self, *, table: str | None = None, key: str | None = None, trusted: tuple[str, ...] = ()) -> Stash:
        transport = AsAws(self.engine.transport) if self.engine.name == "moto" else self.engine.transport
        store = DynamoDBStore(transport, table or self.table, transaction_size=self.size)
        return Stash("prod", store, KmsKeys(transport, key or self.key, trusted), identity=lambda: "test:somebody")


def problems(stash: Stash) -> list[object]:
    return [finding for result in stash.verify() for finding in result.findings]


@pytest.mark.parametrize("size", [100, 10, 2])
def test_a_whole_life(ministack: Engine, size: int) -> None:
    """Every operation once, in transactions of AWS's size, of DynamoDB Local's and of the smallest; then clean."""
    stash = Site(ministack, size=size).client()
    for number in range(1, 26):
        stash.put(NAME, f"value {number}", tags={"team": "a"})
    stash.delete(NAME, 24)
    assert stash.delete(NAME).state is State.DELETED
    stash.undelete(NAME)
    stash.undelete(NAME, 24)
    stash.destroy(NAME, range(1, 15))
    assert problems(stash) == []
    assert stash.prune(NAME, keep=3) == list(range(1, 23))
    assert stash.rollback(NAME, 23).number == 26
    assert problems(stash) == []
    stash.delete(NAME, recovery_days=0)
    assert [info.name for info in stash.overdue()] == [NAME]
    stash.purge(NAME)
    assert [version.destroyed_at is not None for version in stash.history(NAME)] == [True] * 4
    assert stash.put(NAME, "new", recreate=True).number == 27
    assert problems(stash) == []
    assert stash.prune(NAME, keep=1) == [23, 24, 25, 26]
    assert stash.get(NAME, min_version=27).text == "new"


def test_more_versions_than_one_transaction_takes(ministack: Engine) -> None:
    """120 versions, of which 15 are larger together than a transaction may be."""
    site = Site(ministack)
    stash = site.client()
    for _ in range(105):
        stash.put(NAME, "small")
    for _ in range(15):
        stash.put(NAME, bytes(300_000))
    file = io.BytesIO()
    export_sealed(stash.store, "prod", file, at=1)
    stash.destroy(NAME, range(50, 120))
    assert problems(stash) == []
    assert len(stash.prune(NAME, older_than=timedelta(0))) == 119
    file.seek(0)
    assert check_sealed(file, "prod").items == 121
    file.seek(0)
    copy = site.client(table=ministack.create_table())
    list(import_sealed(copy.store, "prod", file))
    assert problems(copy) == []
    assert copy.get(NAME, version=120).value == bytes(300_000)
    copy.destroy(NAME)
    assert problems(copy) == []


def test_a_tombstone_is_left_to_ttl_unless_it_is_the_newest(ministack: Engine) -> None:
    """What DynamoDB will erase, and when: no live record and no v#last ever carries a ttl."""
    site = Site(ministack)
    stash = site.client()
    for _ in range(3):
        stash.put(NAME, "x")
    stash.destroy(NAME)
    items = ministack.client("dynamodb").scan(TableName=site.table)["Items"]
    with_ttl = {item["record"]["S"] for item in items if "ttl" in item}
    assert with_ttl == {"v#0000000001", "v#0000000002"}
    (ttl,) = {item["ttl"]["N"] for item in items if item["record"]["S"] == "v#0000000001"}
    destroyed = next(item["destroyed_at"]["N"] for item in items if item["record"]["S"] == "v#0000000001")
    assert int(ttl) == int(destroyed) // 1000 + 90 * 86_400


def test_a_disabled_key_is_no_finding(ministack: Engine) -> None:
    """verify ends with the key's own error; without the key, it goes on."""
    site = Site(ministack)
    stash = site.client()
    stash.put(NAME, "x")
    ministack.client("kms").disable_key(KeyId=site.key)
    with pytest.raises(KeyUnavailableError):
        problems(stash)
    assert [result.findings for result in stash.verify(structure_only=True)] == [()]


def race(*calls: Callable[[], object]) -> list[BaseException | None]:
    """All at once; what each ended in."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> BaseException | None:
        barrier.wait()
        try:
            call()
        except DynastashError as error:
            return error
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("size", [100, 3])
def test_races_to_the_end(ministack: Engine, size: int) -> None:
    """Writers, pruners, destroyers and a verifier on one secret: each ends well or in a conflict, and all is clean."""
    site = Site(ministack, size=size)
    first = site.client()
    for _ in range(8):
        first.put(NAME, "x")
    verifier = site.client()
    ended = race(
        *[lambda: site.client().put(NAME, "y") for _ in range(3)],
        lambda: site.client().prune(NAME, keep=2),
        lambda: site.client().prune(NAME, keep=3),
        lambda: site.client().destroy(NAME, [1, 2, 3, 4, 5]),
        lambda: site.client().destroy(NAME, [2, 4, 6]),
        lambda: site.client().delete(NAME, 7),
        lambda: [problems(verifier).__eq__([]) or pytest.fail("a false alarm") for _ in range(5)],
    )
    assert all(error is None or isinstance(error, DynastashError) for error in ended)
    assert ended[:5] == [None] * 5
    assert ended[8] is None
    assert first.list(NAME)[0].last == 11
    assert problems(site.client()) == []


@pytest.mark.parametrize("size", [100, 3])
def test_a_destruction_that_races_with_writers(ministack: Engine, size: int) -> None:
    """Whoever comes after it is refused; whoever comes before is destroyed too; nothing live is left."""
    site = Site(ministack, size=size)
    first = site.client()
    for _ in range(6):
        first.put(NAME, "x")
    ended = race(
        *[lambda: site.client().put(NAME, "y") for _ in range(3)],
        *[lambda: site.client().destroy(NAME) for _ in range(3)],
        lambda: site.client().prune(NAME, keep=1),
    )
    assert ended[3:6] == [None] * 3
    assert all(error is None or type(error) is SecretDestroyedError for error in ended)
    assert all(version.destroyed_at for version in site.client().history(NAME))
    assert problems(site.client()) == []


def test_of_racing_recreations_one_begins(ministack: Engine) -> None:
    """if_version=0 says: unless somebody else has."""
    site = Site(ministack)
    site.client().put(NAME, "x")
    site.client().destroy(NAME)
    ended = race(*[lambda: site.client().put(NAME, "y", recreate=True, if_version=0) for _ in range(4)])
    assert sorted(type(error).__name__ for error in ended) == ["ConflictError"] * 3 + ["NoneType"]
    assert {type(error) for error in ended if error} == {ConflictError}
    assert problems(site.client()) == []


# --- moto: it has ReEncrypt


def test_a_move_from_one_kms_key_to_another(moto: Engine) -> None:
    """Nothing is skipped, stopped half-way it goes on, and in the end the old key is not trusted any more."""
    site = Site(moto)
    old = site.client()
    for name in ("app/a", "app/b"):
        for number in range(3):
            old.put(name, f"{name} {number}", context={"team": "a"})
    old.destroy("app/a", [1])
    old.delete("app/b")
    new_key = moto.create_key()
    alone = site.client(key=new_key)
    with pytest.raises(UntrustedKeyError):
        alone.get("app/a")
    moving = site.client(key=new_key, trusted=(site.key,))
    running = moving.rewrap("app/a")
    assert (first := next(running)).number == 2
    assert (first.before, first.after) == (site.key, new_key)
    running.close()  # type: ignore[attr-defined]
    assert problems(moving) == []
    assert [done.number for name in ("app/a", "app/b") for done in moving.rewrap(name)] == [2, 3, 1, 2, 3]
    assert problems(alone) == []
    assert alone.get("app/a", version=2).text == "app/a 1"
    alone.undelete("app/b")
    assert alone.get("app/b").text == "app/b 2"
    assert all(version.key_id == new_key for version in alone.history("app/b"))


def test_a_rewrap_does_not_bring_back_what_was_destroyed(moto: Engine) -> None:
    """Destroyed between the read and the write: the tombstone stays, and the others are done."""
    site = Site(moto)
    stash, other = site.client(), site.client()
    for _ in range(3):
        stash.put(NAME, "x")

    class Meddling(KmsKeys):
        def rewrap(self, wrapped, context):  # type: ignore[no-untyped-def]
            if context.version == 1:
                other.destroy(NAME, [1])
            return super().rewrap(wrapped, context)

    keys = Meddling(moto.transport, site.key)
    running = Stash("prod", stash.store, keys, identity=lambda: "test:somebody")
    assert [done.number for done in running.rewrap(NAME)] == [2, 3]
    assert stash.history(NAME)[0].destroyed_at is not None
    assert problems(stash) == []
