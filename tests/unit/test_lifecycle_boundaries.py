"""The life of a secret at the very moment: an age that is just reached, a secret that lives again just then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dynastash.crypto.records import MAX_ID_BYTES, decode_head
from dynastash.errors import ConflictError
from dynastash.models import Item, State, from_ms
from dynastash.stash import batches
from dynastash.stash.api import Stash
from dynastash.stash.verify import Problem
from dynastash.stores.base import Change, RecordKey, Store
from tests.unit.stash_kit import HEAD, Between, World, v
from tests.unit.test_lifecycle import Killed, Mortal, Sized
from tests.unit.test_stash_basics import forge_newest

NAME = "app/db"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Six versions, a minute apart, the newest a minute old."""
    world = World(tmp_path)
    for number in range(1, 7):
        world.stash.put(NAME, f"value {number}")
        world.clock.advance(60)
    return world


@pytest.mark.parametrize(
    ("age", "gone"), [(241.001, [1, 2]), (240.001, [1, 2]), (240, [1, 2]), (239.999, [1, 2, 3]), (0, [1, 2, 3, 4])]
)
def test_older_than_is_older_than(world: World, age: float, gone: list[int]) -> None:
    """To the millisecond: version 3 is 240 seconds old, and stays where only older ones go."""
    assert world.stash.prune(NAME, older_than=timedelta(seconds=age), dry_run=True) == gone
    assert world.stash.prune(NAME, older_than=timedelta(seconds=age)) == gone
    assert [version.number for version in world.stash.history(NAME)] == [n for n in range(1, 7) if n not in gone]


def test_both_conditions_hold(world: World) -> None:
    """Neither the newest few nor the young ones go."""
    assert world.stash.prune(NAME, keep=4, older_than=timedelta(0), dry_run=True) == [1, 2]
    assert world.stash.prune(NAME, keep=1, older_than=timedelta(seconds=300), dry_run=True) == [1]


def test_a_secret_that_lives_again_is_not_erased_further(world: World) -> None:
    """Recreated by somebody who does not finish the erasure first: it stops, and verify shows what is left."""
    other = world.fresh()
    other._lifecycle.finish = lambda name: None  # type: ignore[assignment,method-assign,return-value]

    class Meddled(Between):
        transaction_size = 3  # type: ignore[assignment]
        commits = 0

        def commit(self, change: Change) -> None:
            super().commit(change)
            self.commits += 1
            if self.commits == 2:
                other.put(NAME, "new", recreate=True)

    world.fresh(Meddled(world.store)).destroy(NAME)
    assert world.fresh().get(NAME).text == "new"
    assert world.stash.list()[0].state is State.ACTIVE
    findings = [(f.version, f.problem) for result in world.fresh().verify() for f in result.findings]
    assert findings == [(number, Problem.STRAY) for number in (3, 4, 5)]
    assert world.stash.prune(NAME, keep=1) == [1, 2, 3, 4, 5, 6]
    assert [f for result in world.fresh().verify() for f in result.findings] == []


def test_a_purge_is_due_at_its_second(world: World) -> None:
    """Not a millisecond before."""
    purge_at = world.stash.delete(NAME, recovery_days=1).purge_at
    assert purge_at is not None
    world.clock.advance(86_399.999)
    with pytest.raises(ConflictError):
        world.fresh().purge(NAME)
    world.clock.advance(0.001)
    assert from_ms(world.clock.now()) == purge_at
    world.fresh().purge(NAME)
    assert world.stash.list()[0].state is State.DESTROYED


@pytest.mark.parametrize("odd", [{"purge_at": 1}, {"state": State.DELETED, "deleted_at": 1}])
def test_a_purge_takes_a_deletion_and_a_date(world: World, odd: dict[str, Any]) -> None:
    """A head with one of the two, which no release writes, is not due."""
    reader = world.stash._reader
    snapshot = reader.snapshot(NAME)
    assert snapshot is not None
    world.stash._changes.commit(snapshot, replace(snapshot.head, **odd), reader.trusted(snapshot).keys)
    with pytest.raises(ConflictError, match="is not due to be destroyed"):
        world.fresh().purge(NAME)


def test_what_somebody_else_has_pruned_is_not_written_again(world: World) -> None:
    """Between our read and our commit: it counts as pruned, and the head is theirs."""

    class Meddled(Between):
        meddled = False

        def commit(self, change: Change) -> None:
            if not self.meddled:
                self.meddled = True
                world.fresh(identity=lambda: "test:them").prune(NAME, keep=2)
            super().commit(change)

    assert world.fresh(Meddled(world.store)).prune(NAME, keep=2) == [1, 2, 3, 4]
    assert world.stash.list()[0].updated_by == "test:them"


@pytest.mark.parametrize("change", [lambda stash: stash.destroy(NAME, [3]), lambda stash: stash.delete(NAME, 3)])
def test_a_prune_killed_between_batches_forgets_nothing(world: World, change: Callable[[Stash], object]) -> None:
    """What comes next is still known as destroyed, or as deleted."""
    change(world.stash)
    before = decode_head(world.item(NAME, HEAD))  # type: ignore[arg-type]
    with pytest.raises(Killed):
        world.fresh(Mortal(Sized(world.store, 3), 1, after=True)).prune(NAME, keep=1)
    after = decode_head(world.item(NAME, HEAD))  # type: ignore[arg-type]
    assert (after.pruned_below, after.destroyed, after.disabled) == (3, before.destroyed, before.disabled)
    assert [found for result in world.fresh().verify() for found in result.findings] == []


class Watched(Between):
    """Notes how many records each read asks for."""

    transaction_size = 100  # type: ignore[assignment]

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.reads: list[int] = []

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        self.reads.append(len(wanted))
        return super().fetch(wanted)


@pytest.mark.parametrize(
    ("size", "count", "found", "reads"),
    [(3, 6, 2, [2]), (7, 6, 6, [6]), (100, 40, 40, [32, 8]), (35, 40, 34, [32, 2]), (33, 40, 32, [32]), (3, 0, 0, [])],
)
def test_one_transaction_takes_so_many(world: World, size: int, count: int, found: int, reads: list[int]) -> None:
    """The head has its place in it; 32 are read at once, and none is that does not fit."""
    store = Watched(world.store)
    store.transaction_size = size  # type: ignore[misc]
    first = world.fresh(store)._lifecycle._first(NAME, range(1, count + 1))
    assert list(first) == list(range(1, found + 1))
    assert [number for number, item in first.items() if item is not None] == list(range(1, min(found, 6) + 1))
    assert store.reads == reads


def test_one_transaction_takes_so_many_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the limit, and one record in any case, however large."""
    lifecycle = world.stash._lifecycle
    sizes = [batches.size_of(world.item(NAME, v(number))) for number in range(1, 7)]  # type: ignore[arg-type]
    for limit, found in [(sum(sizes[:3]), 3), (sum(sizes[:3]) - 1, 2), (sizes[0], 1), (0, 1), (sum(sizes), 6)]:
        monkeypatch.setattr(batches, "MAX_BYTES", limit)
        assert list(lifecycle._first(NAME, range(1, 7))) == list(range(1, found + 1))
        items = [world.item(NAME, v(number)) for number in range(1, 7)]
        lengths = [len(batch) for batch in batches.batches(items, 100)]  # type: ignore[arg-type]
        assert (lengths[0], sum(lengths)) == (found, 6)
    assert len(set(sizes)) == 1
    monkeypatch.setattr(batches, "MAX_BYTES", sum(sizes[:3]))
    assert [len(batch) for batch in batches.batches(items, 100)] == [3, 3]  # type: ignore[arg-type]
    world.drop(NAME, v(2))  # what is not there has no size
    monkeypatch.setattr(batches, "MAX_BYTES", sizes[0] + sizes[2])
    assert list(lifecycle._first(NAME, range(1, 7))) == [1, 2, 3]


@pytest.mark.parametrize("number", [2, 6])
@pytest.mark.parametrize("damage", [{}, {"version": {"N": "99"}}, {"id": None}])
def test_what_a_tombstone_says(world: World, number: int, damage: dict[str, Any]) -> None:
    """Of a version that can be read, of one under another number, and of a ruined one; the newest stays longer."""
    item: Any = world.item(NAME, v(number))
    ruined = {attribute: value for attribute, value in (item | damage).items() if value is not None}
    world.clock.advance(100)
    now = world.clock.now()
    head = decode_head(world.item(NAME, HEAD))  # type: ignore[arg-type]
    made = dict(world.stash._lifecycle._tombstone(NAME, number, ruined, head, "somebody"))
    expected = {part: item[part] for part in ("name", "record", "format", "version", "id", "created_at", "created_by")}
    expected |= {"destroyed_at": {"N": str(now)}, "destroyed_by": {"S": "somebody"}}
    if number == 2:
        expected["ttl"] = {"N": str(now // 1000 + 90 * 86_400)}
    if "id" in damage:
        assert made["id"] != expected.pop("id")
        assert len(made.pop("id")["B"]) == MAX_ID_BYTES  # type: ignore[arg-type]
        expected["created_at"] = {"N": str(now)}
        expected["created_by"] = {"S": "unknown: the record was damaged"}
    assert made == expected


def test_versions_are_destroyed_in_as_many_transactions_as_it_takes(world: World) -> None:
    """All of them, and what comes back is the head as it is then."""
    store = Sized(world.store, 3)
    head = world.fresh(store)._lifecycle.destroy_versions(NAME, [1, 2, 3, 4, 5], if_version=None)
    assert head.destroyed == {1, 2, 3, 4, 5}
    assert replace(decode_head(world.item(NAME, HEAD)), seal=None) == head  # type: ignore[arg-type]
    head = world.fresh(store)._lifecycle.destroy(NAME, if_version=None, overdue=False)
    assert decode_head(world.item(NAME, HEAD)) == head  # type: ignore[arg-type]


def test_a_destruction_returns_its_head_after_several_transactions(world: World) -> None:
    """The last one's."""
    head = world.fresh(Sized(world.store, 3))._lifecycle.destroy(NAME, if_version=None, overdue=False)
    assert decode_head(world.item(NAME, HEAD)) == head  # type: ignore[arg-type]


def test_what_is_recreated_before_the_erasure_goes_on_is_left_alone(world: World) -> None:
    """And what is told is the destruction's own head, not what somebody has made of the secret since."""
    world.stash.destroy(NAME)

    class Recreated(Between):
        def history(self, name: str) -> Iterator[Item]:
            world.fresh().put(NAME, "again", recreate=True)
            return super().history(name)

    head = world.fresh(Recreated(world.store))._lifecycle.finish(NAME)
    assert head is not None
    assert head.state is State.DESTROYED
    assert world.fresh().get(NAME).text == "again"


def test_a_head_has_room_for_512_deleted_versions(world: World) -> None:
    """The last one fits."""
    forge_newest(world, "m", 600, pruned_below=1, disabled=frozenset(range(1, 512)))
    world.stash.delete("m", 512)
    assert decode_head(world.item("m", HEAD)).disabled == set(range(1, 513))  # type: ignore[arg-type]
