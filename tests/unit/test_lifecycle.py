"""The life of a secret where it is interrupted, refused, or finds what somebody else has damaged.

What each operation does when all goes well is in test_stash_lifecycle.py; any sequence of them, in tests/property.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dynastash.crypto import records
from dynastash.errors import (
    ConflictError,
    ContextMismatchError,
    DynastashError,
    IntegrityError,
    InvalidArgumentError,
    RollbackError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    UnsupportedFormatError,
    VersionNotFoundError,
)
from dynastash.generate import Password, RandomBytes
from dynastash.keys.local import LocalKeys
from dynastash.models import Context, DataKey, Item, Stage, State, WrappedKey
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash import batches
from dynastash.stash.api import Stash
from dynastash.stash.verify import Problem
from dynastash.stores.base import Change, RecordKey
from dynastash.transfer.sealed import export_sealed, import_sealed
from tests.unit.stash_kit import HEAD, Between, CountingStore, World, v

NAME = "app/db"


class Sized(Between):
    """A store that takes ``size`` records in a change, the head included, and insists."""

    def __init__(self, inner: Between | object, size: int) -> None:
        super().__init__(inner)  # type: ignore[arg-type]
        self.size = size

    @property
    def transaction_size(self) -> int:
        return self.size

    def commit(self, change: Change) -> None:
        assert 1 + len(change.create) + len(change.tombstones) + len(change.delete) <= self.size
        super().commit(change)


class Killed(BaseException):
    """kill -9, as far as a thread can have it."""


class Mortal(Between):
    """A store whose client dies at the ``count``-th write, ``after`` it took effect or before."""

    def __init__(self, inner: object, count: int, after: bool) -> None:
        super().__init__(inner)  # type: ignore[arg-type]
        self.left = count
        self.after = after

    def _write(self, write: Callable[[], None]) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        write()
        if self.left == 0:
            raise Killed

    def commit(self, change: Change) -> None:
        self._write(lambda: super(Mortal, self).commit(change))

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        self._write(lambda: super(Mortal, self).replace_key(item, wrapped, at))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Six versions, a minute apart."""
    return filled(tmp_path)


def filled(directory: Path) -> World:
    world = World(directory)
    for number in range(1, 7):
        world.stash.put(NAME, f"value {number}", tags={"team": "a"})
        world.clock.advance(60)
    return world


def problems(stash: Stash) -> set[tuple[int | None, Problem]]:
    return {(found.version, found.problem) for result in stash.verify() for found in result.findings}


def state(stash: Stash, name: str = NAME) -> tuple[object, ...]:
    """What a secret has come to, times and authors aside."""
    (info,) = [info for info in stash.list() if info.name == name]
    versions = [(v.number, v.destroyed_at is not None, v.disabled, v.stages) for v in stash.history(name)]
    return info.state, info.last, info.current, dict(info.tags), versions


# --- interruptions


@dataclass(frozen=True)
class Operation:
    """``prepare`` makes the secret ready; ``run`` is what dies; ``again`` what its caller does then, if not the same.

    ``left`` are the kinds of finding that verify may show in between. ``once``: repeating it adds nothing, wherever it
    died.
    """

    run: Callable[[Stash], object]
    prepare: Callable[[Stash], object] = lambda stash: None
    again: Callable[[Stash], object] | None = None
    left: Collection[Problem] = ()
    once: bool = True


def rotate_on(stash: Stash) -> object:
    """Whoever finds a rotation interrupted finishes it; whoever finds it finished leaves it."""
    info = stash.list(NAME)[0]
    if info.pending is not None:
        return stash.resume(NAME, GenerateRotator(Password()))
    return stash.rotate(NAME, if_version=6) if info.current == 6 else None


def destroyed(stash: Stash) -> None:
    stash.destroy(NAME)


OPERATIONS: Mapping[str, Operation] = {
    "put": Operation(lambda stash: stash.put(NAME, "new", comment="new"), once=False),
    "put if version": Operation(
        lambda stash: stash.put(NAME, "new", if_version=6),
        again=lambda stash: stash.put(NAME, "new", if_version=6) if stash.get(NAME).text != "new" else None,
    ),
    "put, write only": Operation(lambda stash: stash.put(NAME, "new", write_only=True), once=False),
    "generate": Operation(lambda stash: stash.generate(NAME, RandomBytes(16)), once=False),
    "rotate": Operation(
        lambda stash: stash.rotate(NAME, policy=RandomBytes(16)),
        prepare=lambda stash: None,
        again=lambda stash: (
            rotate_on(stash) if stash.policy(NAME) else stash.rotate(NAME, policy=RandomBytes(16), if_version=6)
        ),
    ),
    "rollback": Operation(lambda stash: stash.rollback(NAME, 2), once=False),
    "delete": Operation(lambda stash: stash.delete(NAME)),
    "undelete": Operation(lambda stash: stash.undelete(NAME), prepare=lambda stash: stash.delete(NAME)),
    "delete a version": Operation(lambda stash: stash.delete(NAME, 2)),
    "undelete a version": Operation(lambda stash: stash.undelete(NAME, 2), prepare=lambda stash: stash.delete(NAME, 2)),
    "destroy versions": Operation(lambda stash: stash.destroy(NAME, [1, 2, 3, 4, 5])),
    "destroy": Operation(destroyed, left={Problem.STRAY}),
    "purge": Operation(
        lambda stash: stash.purge(NAME),
        prepare=lambda stash: stash.delete(NAME, recovery_days=0),
        left={Problem.STRAY, Problem.OVERDUE},
    ),
    "prune": Operation(lambda stash: stash.prune(NAME, keep=1)),
    "prune by age": Operation(lambda stash: stash.prune(NAME, older_than=timedelta(seconds=150))),
    "recreate": Operation(
        lambda stash: stash.put(NAME, "new", recreate=True),
        prepare=destroyed,
        again=lambda stash: stash.put(NAME, "new", recreate=True, if_version=0) if current(stash) is None else None,
    ),
    "rewrap": Operation(lambda stash: list(stash.rewrap(NAME))),
}


def current(stash: Stash) -> int | None:
    return stash.list(NAME)[0].current


@pytest.mark.parametrize("size", [1000, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_write(tmp_path: Path, name: str, size: int) -> None:
    """Before it or after it: the store verifies clean, save for what is known to be left; again, and it is done."""
    operation = OPERATIONS[name]
    smooth = filled(tmp_path / "smooth")
    stash = smooth.fresh(Sized(smooth.store, size))
    operation.prepare(stash)
    operation.run(stash)
    done = state(smooth.fresh())
    for count in range(1, 30):
        deaths = 0
        for after in (False, True):
            world = filled(tmp_path / f"{count}-{after}")
            store = Sized(world.store, size)
            operation.prepare(world.fresh(store))
            try:
                operation.run(world.fresh(Mortal(store, count, after)))
            except Killed:
                deaths += 1
            else:
                assert state(world.fresh()) == done
                continue
            assert {problem for _, problem in problems(world.fresh())} <= set(operation.left)
            (operation.again or operation.run)(world.fresh(store))
            if operation.once or not after:
                assert state(world.fresh()) == done
            else:  # the one before it counts: nothing that was committed is lost
                assert state(world.fresh())[1:3] == (8, 8)
            assert problems(world.fresh()) == set()
        if not deaths:
            break
    else:
        pytest.fail("the operation never came to an end")
    assert count > 1  # it has been killed at least once


@pytest.mark.parametrize("size", [1000, 3])
def test_an_import_killed_at_any_write(tmp_path: Path, size: int) -> None:
    """What is there verifies, or lacks what is still to come; the same call goes on."""
    source = filled(tmp_path / "source")
    source.stash.put("b", "other")
    source.stash.destroy("b")
    source.stash.destroy(NAME, [2])
    file = io.BytesIO()
    counts = export_sealed(source.store, "prod", file, at=1)
    assert (counts.secrets, counts.items) == (2, 9)
    for count in range(1, 20):
        deaths = 0
        for after in (False, True):
            target = World(tmp_path / f"{count}-{after}")
            store = Sized(target.store, size)
            try:
                list(import_sealed(Mortal(store, count, after), "prod", io.BytesIO(file.getvalue())))
            except Killed:
                deaths += 1
            assert {problem for _, problem in problems(target.fresh())} <= {Problem.MISSING}
            list(import_sealed(store, "prod", io.BytesIO(file.getvalue())))
            assert problems(target.fresh()) == set()
            assert state(target.fresh()) == state(source.fresh())
            assert state(target.fresh(), "b") == state(source.fresh(), "b")
        if not deaths:
            break
    assert 1 < count < 19


def test_killed_while_destroying_then_recreated(world: World) -> None:
    """Recreating finishes the erasure first: no value outlives its destruction under a number below."""
    small = Sized(world.store, 3)
    with pytest.raises(Killed):
        world.fresh(Mortal(small, 2, True)).destroy(NAME)
    assert problems(world.fresh()) == {(number, Problem.STRAY) for number in (3, 4, 5)}
    assert world.fresh(small).put(NAME, "new", recreate=True).number == 7
    assert problems(world.fresh()) == set()
    assert [version.number for version in world.fresh().history(NAME) if version.destroyed_at is None] == [7]


def test_what_is_left_below_goes_with_a_prune(world: World) -> None:
    """A live record below all that the head knows, as a client without our care may leave it: found, and erased."""
    items = [world.item(NAME, v(number)) for number in (2, 3)]
    world.stash.prune(NAME, keep=2)
    for item in items:
        world.write(item)
    assert problems(world.fresh()) == {(2, Problem.STRAY), (3, Problem.STRAY)}
    stash = world.fresh(Sized(world.store, 2))
    assert stash.prune(NAME, keep=1000, dry_run=True) == [2, 3]
    assert stash.prune(NAME, keep=1000) == [2, 3]
    assert problems(world.fresh()) == set()
    assert [version.number for version in world.stash.history(NAME)] == [5, 6]


# --- refusals, boundaries, and doing it twice


def outcome(call: Callable[[], object]) -> type[DynastashError] | None:
    try:
        call()
    except DynastashError as error:
        return type(error)
    return None


LIFE: Mapping[str, Callable[[Stash], object]] = {
    "delete": lambda stash: stash.delete(NAME),
    "delete 2": lambda stash: stash.delete(NAME, 2),
    "undelete": lambda stash: stash.undelete(NAME),
    "undelete 2": lambda stash: stash.undelete(NAME, 2),
    "destroy": lambda stash: stash.destroy(NAME),
    "destroy 2": lambda stash: stash.destroy(NAME, [2]),
    "purge": lambda stash: stash.purge(NAME),
    "prune": lambda stash: stash.prune(NAME, keep=1),
    "prune, dry": lambda stash: stash.prune(NAME, keep=1, dry_run=True),
    "rewrap": lambda stash: list(stash.rewrap(NAME)),
    "diff": lambda stash: stash.diff(NAME, 2, 3),
    "recreate": lambda stash: stash.put(NAME, "x", recreate=True),
}
SITUATIONS: Mapping[str, tuple[Callable[[World], object], Mapping[str, type[DynastashError]]]] = {
    "no such secret": (
        lambda world: [world.drop(NAME, record) for record in world.records(NAME)],
        {**dict.fromkeys(LIFE, SecretNotFoundError)},
    ),
    "active": (lambda world: None, {"purge": ConflictError}),
    "deleted": (
        lambda world: world.stash.delete(NAME),
        {"purge": ConflictError, "diff": SecretDeletedError, "recreate": SecretDeletedError},
    ),
    "version 2 deleted": (
        lambda world: world.stash.delete(NAME, 2),
        {"purge": ConflictError, "diff": SecretDeletedError},
    ),
    "version 2 destroyed": (
        lambda world: world.stash.destroy(NAME, [2]),
        {
            "purge": ConflictError,
            **dict.fromkeys(("delete 2", "undelete 2", "diff"), VersionNotFoundError),
        },
    ),
    "version 2 pruned": (
        lambda world: world.stash.prune(NAME, keep=2),
        {
            "purge": ConflictError,
            **dict.fromkeys(("delete 2", "undelete 2", "diff"), VersionNotFoundError),
        },
    ),
    "destroyed": (
        lambda world: world.stash.destroy(NAME),
        dict.fromkeys(LIFE.keys() - {"destroy", "purge", "recreate"}, SecretDestroyedError),
    ),
    "a rotation is pending": (
        lambda world: outcome(lambda: world.stash.rotate(NAME, Stuck())),
        {"delete": ConflictError, "purge": ConflictError, "recreate": ConflictError},
    ),
    "the head was changed": (
        lambda world: world.edit(NAME, HEAD, updated_by={"S": "somebody"}),
        dict.fromkeys(LIFE, IntegrityError),
    ),
    "the newest version is gone": (
        lambda world: world.drop(NAME, v(6)),
        dict.fromkeys(LIFE, IntegrityError),
    ),
}


class Stuck:
    """A rotator whose target never accepts."""

    def create(self, rotation: object) -> str:
        return "pending"

    def set(self, rotation: object) -> None:
        raise OSError

    def test(self, rotation: object) -> None:
        raise AssertionError


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("operation", LIFE)
def test_each_operation_in_each_situation(tmp_path: Path, situation: str, operation: str) -> None:
    """Refused with the error that is meant, and then nothing is written; done, and then twice is once."""
    world = filled(tmp_path)
    arrange, refused = SITUATIONS[situation]
    arrange(world)
    before = world.sql("SELECT name, record, item FROM records ORDER BY 1, 2")
    wanted = refused.get(operation)
    if situation == "no such secret" and operation == "recreate":
        wanted = None
    assert outcome(lambda: LIFE[operation](world.fresh())) is wanted
    if wanted is not None:
        assert world.sql("SELECT name, record, item FROM records ORDER BY 1, 2") == before
    elif operation not in ("rewrap", "recreate"):
        after = world.sql("SELECT name, record, item FROM records ORDER BY 1, 2")
        again = outcome(lambda: LIFE[operation](world.fresh()))
        assert again in (None, SecretDestroyedError, VersionNotFoundError)
        assert world.sql("SELECT name, record, item FROM records ORDER BY 1, 2") == after


def test_if_version_holds(world: World) -> None:
    """For every way to delete or destroy: another current version is a conflict, and nothing happens."""
    before = state(world.stash)
    for call in (
        lambda: world.stash.delete(NAME, if_version=5),
        lambda: world.stash.delete(NAME, 2, if_version=5),
        lambda: world.stash.destroy(NAME, if_version=5),
        lambda: world.stash.destroy(NAME, [2], if_version=5),
        lambda: world.stash.delete(NAME, if_version=0),
    ):
        assert outcome(call) is ConflictError
    assert state(world.stash) == before
    world.stash.delete(NAME, 2, if_version=6)
    world.stash.destroy(NAME, [2], if_version=6)
    world.stash.delete(NAME, if_version=6)
    assert outcome(lambda: world.stash.delete(NAME, if_version=5)) is ConflictError
    world.stash.destroy(NAME, if_version=6)
    assert state(world.stash)[0] is State.DESTROYED
    world.stash.destroy(NAME, if_version=6)  # what is done is done


def test_all_versions_are_checked_before_the_first_is_erased(world: World) -> None:
    """One that must stay, or that there is not, in a later batch: nothing is erased."""
    stash = world.fresh(Sized(world.store, 2))
    before = state(stash)
    for numbers, error in (([1, 2, 3, 6], ConflictError), ([1, 2, 3, 7], VersionNotFoundError)):
        assert outcome(lambda numbers=numbers: stash.destroy(NAME, numbers)) is error  # type: ignore[misc]
        assert state(stash) == before
    stash.destroy(NAME, iter([5, 1, 1, 3]))
    assert [n for n, gone, *_ in state(stash)[4] if gone] == [1, 3, 5]  # type: ignore[attr-defined]


def test_a_head_has_room_for_512_destroyed_versions(tmp_path: Path) -> None:
    """512 are written and read again; one more is refused before anything is erased, and a prune makes room."""
    world = World(tmp_path)
    for number in range(516):
        world.stash.put(NAME, str(number))
    world.stash.destroy(NAME, range(2, 513))
    before = state(world.stash)
    assert outcome(lambda: world.stash.destroy(NAME, [513, 514])) is ConflictError
    assert state(world.stash) == before
    world.stash.destroy(NAME, [513])
    assert len(records.decode_head(world.item(NAME, HEAD)).destroyed) == 512
    assert outcome(lambda: world.stash.destroy(NAME, [514])) is ConflictError
    assert problems(world.fresh()) == set()
    assert world.stash.prune(NAME, keep=2) == list(range(1, 515))
    assert problems(world.fresh()) == set()
    assert records.decode_head(world.item(NAME, HEAD)).destroyed == set()


def test_purge_only_when_due(world: World) -> None:
    """To the second, and on the authenticated head: a listing that is behind destroys nothing."""
    world.stash.delete(NAME, recovery_days=7)
    deleted = world.clock.now()
    due = -(-deleted // 1000) * 1000  # whole seconds
    world.clock.advance((due - deleted) / 1000 + 7 * 86_400 - 1)
    assert outcome(lambda: world.stash.purge(NAME)) is ConflictError
    world.clock.advance(1)
    assert [info.name for info in world.stash.overdue()] == [NAME]
    world.fresh().undelete(NAME)
    assert outcome(lambda: world.stash.purge(NAME)) is ConflictError
    assert world.stash.get(NAME).text == "value 6"
    world.stash.delete(NAME, recovery_days=0)
    world.stash.purge(NAME)
    world.stash.purge(NAME)
    assert state(world.stash)[0] is State.DESTROYED


@pytest.mark.parametrize(
    ("given", "error"),
    [({"min_version": n}, None if n <= 6 else RollbackError) for n in (1, 5, 6, 7)]
    + [
        ({"min_version": 6, "version": 2}, None),
        ({"min_version": 7, "version": 2}, RollbackError),
        ({"min_version": 6, "stage": Stage.PREVIOUS}, None),
        ({"min_version": 7, "stage": "previous"}, RollbackError),
        ({"min_version": 0}, InvalidArgumentError),
        ({"min_version": True}, InvalidArgumentError),
    ],
)
def test_min_version(world: World, given: dict[str, object], error: type[DynastashError] | None) -> None:
    """What the secret has reached is its current version, whichever one is asked for."""
    assert outcome(lambda: world.stash.get(NAME, **given)) is error  # type: ignore[arg-type]


def test_min_version_refuses_a_secret_put_back_as_a_whole(world: World) -> None:
    """Its complete earlier state: authentic in every record, and too old for whoever knows better."""
    old = world.sql("SELECT name, record, item FROM records")
    world.stash.put(NAME, "value 7")
    world.drop(NAME, v(7))
    for name, record, text in old:
        world.write_at(str(name), str(record), str(text))
    assert world.fresh().get(NAME).text == "value 6"
    assert outcome(lambda: world.fresh().get(NAME, min_version=7)) is RollbackError
    assert outcome(lambda: world.stash.get(NAME)) is RollbackError


def test_a_pending_version_does_not_count(world: World) -> None:
    """min_version is about what is current, however far the numbers have gone."""
    outcome(lambda: world.stash.rotate(NAME, Stuck()))
    assert outcome(lambda: world.stash.get(NAME, min_version=7)) is RollbackError
    assert world.stash.get(NAME, stage="pending", min_version=6).number == 7


# --- damage


def test_destroy_takes_what_is_ruined(world: World) -> None:
    """A record of which nothing is left to keep becomes a tombstone like any other, alone or with its secret."""
    ruins: list[dict[str, object]] = [
        {"id": None},
        {"id": {"S": "x"}},
        {"created_at": {"N": "-1"}},
        {"version": {"N": "99"}},
    ]
    for number, ruin in enumerate(ruins, start=1):
        world.edit(NAME, v(number), **ruin)
    world.write_at(NAME, v(5), "{}")
    assert {problem for _, problem in problems(world.fresh())} == {Problem.MALFORMED}
    world.fresh().destroy(NAME, [1, 3])
    assert {number for number, _ in problems(world.fresh())} == {2, 4, 5}
    world.fresh(Sized(world.store, 3)).destroy(NAME)
    assert problems(world.fresh()) == set()
    (first, *_) = world.stash.history(NAME)
    assert first.created_by == "unknown: the record was damaged"
    for number in range(1, 6):
        assert set(world.item(NAME, v(number))) == records._TOMBSTONE
    assert "ttl" not in world.item(NAME, v(6))


def test_destroy_takes_what_was_put_back(world: World) -> None:
    """A destroyed version's old record in its place again, or a tombstone that carries more: erased again."""
    live = world.item(NAME, v(2))
    world.stash.destroy(NAME, [2, 3])
    world.write(live)
    world.edit(NAME, v(3), ciphertext2={"B": b"hidden"})
    assert problems(world.fresh()) == {(2, Problem.MISMATCH), (3, Problem.MALFORMED)}
    world.fresh().destroy(NAME, [2, 3])
    assert problems(world.fresh()) == set()


def test_destroy_finds_what_only_claims_to_be_a_tombstone(world: World) -> None:
    """In a secret that is destroyed already: whole records are looked at, not their public attributes."""
    live = world.item(NAME, v(2))
    world.stash.destroy(NAME)
    world.write({**live, "destroyed_at": {"N": "1"}, "destroyed_by": {"S": "x"}})
    world.fresh().destroy(NAME)
    assert set(world.item(NAME, v(2))) == records._TOMBSTONE


def test_a_future_format_is_not_erased_unread(world: World) -> None:
    """What this release does not know, it leaves alone and says so."""
    world.edit(NAME, v(2), format={"N": "2"})
    assert outcome(lambda: world.fresh().destroy(NAME, [2])) is UnsupportedFormatError
    assert outcome(lambda: world.fresh().prune(NAME, keep=1)) is UnsupportedFormatError
    assert world.item(NAME, v(2))["format"] == {"N": "2"}


def test_a_missing_version_is_not_called_destroyed(world: World) -> None:
    """A loss is verify's to find; a prune, which erases it anyway, goes past it."""
    world.drop(NAME, v(2))
    assert outcome(lambda: world.stash.destroy(NAME, [1, 2])) is VersionNotFoundError
    assert world.stash.get(NAME, version=1).text == "value 1"
    assert problems(world.fresh()) == {(2, Problem.MISSING)}
    assert world.stash.prune(NAME, keep=2) == [1, 2, 3, 4]
    assert problems(world.fresh()) == set()


def test_a_tombstone_that_time_has_taken_is_not_missed(world: World) -> None:
    """DynamoDB's TTL removes tombstones: destroying again and pruning go on without them."""
    world.stash.destroy(NAME, [1, 2])
    world.drop(NAME, v(1))
    assert problems(world.fresh()) == set()
    world.stash.destroy(NAME, [1, 2])
    assert world.stash.prune(NAME, keep=2) == [1, 2, 3, 4]
    assert problems(world.fresh()) == set()


def test_a_tombstone_that_was_last_keeps_no_ttl(world: World) -> None:
    """v#last must exist for good. Once others come behind it, a prune removes it, and nothing else does."""
    outcome(lambda: world.stash.rotate(NAME, Stuck()))
    world.stash.abort(NAME)
    world.stash.destroy(NAME, [7, 1])
    assert "ttl" not in world.item(NAME, v(7))
    assert "ttl" in world.item(NAME, v(1))
    world.stash.put(NAME, "value 8")
    assert "ttl" not in world.item(NAME, v(7))
    world.stash.put(NAME, "value 9")
    assert world.stash.prune(NAME, keep=1) == [1, 2, 3, 4, 5, 6, 7]
    assert world.records(NAME) == sorted([v(8), v(9), HEAD])


def test_an_unreadable_version_counts_as_one_of_no_age(world: World) -> None:
    """Kept where age decides, for nobody knows it; erased where only the count does."""
    world.edit(NAME, v(3), created_at={"S": "yesterday"})
    assert world.stash.prune(NAME, older_than=timedelta(0), dry_run=True) == [1, 2]
    assert world.stash.prune(NAME, keep=4, dry_run=True) == [1, 2]
    assert world.stash.prune(NAME, keep=3) == [1, 2, 3]


def test_a_record_under_a_key_of_no_version_is_left_to_verify(world: World) -> None:
    """v#000 is nobody's version: nothing trips over it, verify shows it."""
    world.write_at(NAME, "v#000", "{}")
    assert problems(world.fresh()) == {(None, Problem.STRAY)}
    assert world.stash.prune(NAME, keep=3) == [1, 2, 3]
    assert len(list(world.stash.rewrap(NAME))) == 3
    world.stash.destroy(NAME)
    assert problems(world.fresh()) == {(None, Problem.STRAY)}


# --- races


def test_a_prune_stops_where_somebody_else_was_faster(world: World) -> None:
    """Destroyed under its hands: an error, and no later batch. Pruned further by another: their work counts."""

    class Meddled(Sized):
        def __init__(self, inner: object, meddle: Callable[[], object]) -> None:
            super().__init__(inner, 3)
            self.meddle: Callable[[], object] | None = meddle

        def commit(self, change: Change) -> None:
            super().commit(change)
            meddle, self.meddle = self.meddle, None
            if meddle:
                meddle()

    stash = world.fresh(Meddled(world.store, lambda: world.fresh().prune(NAME, keep=1)))
    assert stash.prune(NAME, keep=3) == [1, 2, 3]
    assert world.records(NAME) == [v(5), v(6), HEAD]
    for number in range(7, 11):
        world.fresh().put(NAME, f"value {number}")
    stash = world.fresh(Meddled(world.store, lambda: world.fresh().destroy(NAME)))
    assert outcome(lambda: stash.prune(NAME, keep=1)) is SecretDestroyedError
    assert problems(world.fresh()) == set()


def test_a_version_that_gained_a_stage_stops_a_prune(world: World) -> None:
    """It cannot happen by our own rules; should a head ever say so, it is believed."""
    stash = world.fresh()
    stash._lifecycle.prunable = lambda name, **_: [1, 5, 6]  # type: ignore[method-assign]
    assert stash.prune(NAME, keep=1) == [1]
    assert world.records(NAME)[0] == v(2)


def test_finish_is_for_the_destroyed_alone(world: World) -> None:
    """Nothing is read, let alone erased, of a secret that lives, or that nobody has."""
    store = CountingStore(world.store)
    stash = world.fresh(store)
    assert stash._lifecycle.finish(NAME) is stash._lifecycle.finish("nobody") is None
    assert store.calls == ["newest", "newest"]


# --- rewrap


class Moving(LocalKeys):
    """From one local key to another: opens what either wrapped, wraps under the new one."""

    def __init__(self, new: DataKey, *old: LocalKeys) -> None:
        super().__init__(new)
        self.old = old
        self.rewrapped: list[int] = []

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        for keys in self.old:
            try:
                return keys.unwrap(wrapped, context)
            except DynastashError:
                pass
        return super().unwrap(wrapped, context)

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        self.rewrapped.append(context.version)
        return super().rewrap(wrapped, context)


def test_rewrap_moves_every_version_to_the_new_key(world: World) -> None:
    """Deleted versions and deleted secrets too, whatever key_id claims; after it the old key is not needed."""
    new = DataKey(bytes(reversed(range(32))))
    world.stash.delete(NAME, 2)
    world.edit(NAME, v(4), key_id={"S": LocalKeys(new)._key()[1]})  # claims to have moved already
    world.stash.delete(NAME)
    keys = Moving(new, LocalKeys(DataKey(bytes(range(32)))))
    done = list(world.fresh(keys=keys).rewrap(NAME))
    assert [rewrapped.number for rewrapped in done] == keys.rewrapped == [1, 2, 3, 4, 5, 6]
    assert {rewrapped.after for rewrapped in done} == {LocalKeys(new)._key()[1]}
    moved = world.fresh(keys=LocalKeys(new))
    assert problems(moved) == set()
    moved.undelete(NAME)
    assert moved.get(NAME, version=4).text == "value 4"


def test_rewrap_does_the_others_where_one_is_damaged(world: World) -> None:
    """And raises for it at the end: whoever is about to retire a key must know."""
    world.edit(NAME, v(2), wrapped_key={"B": b"\x01" * 61})
    world.edit(NAME, v(3), id=None)
    done = []
    with pytest.raises(ContextMismatchError, match="version 2"):
        for rewrapped in world.stash.rewrap(NAME):
            done.append(rewrapped.number)
    assert done == [1, 4, 5, 6]


def test_rewrap_goes_on_where_it_was_stopped(world: World) -> None:
    """Whoever stops asking stops it; what was done is done, and doing it again harms nothing."""
    running = world.stash.rewrap(NAME)
    assert next(running).number == 1
    running.close()  # type: ignore[attr-defined]
    done = {version.number for version in world.stash.history(NAME) if version.rewrapped_at}
    assert done == {1}
    assert len(list(world.stash.rewrap(NAME))) == 6
    assert problems(world.fresh()) == set()


# --- size


def test_transactions_are_bounded_by_bytes(tmp_path: Path) -> None:
    """DynamoDB takes 4 MB in one: 14 of the largest versions go in two, though 99 would do by their count."""
    world = World(tmp_path)
    for _ in range(15):
        world.stash.put(NAME, bytes(300_000))
    store = Sized(CountingStore(world.store), 100)
    world.fresh(store).destroy(NAME, range(1, 15))
    assert store.inner.calls.count("commit") == 2  # type: ignore[attr-defined]
    file = io.BytesIO()
    fresh = World(tmp_path / "other")
    for _ in range(15):
        fresh.stash.put(NAME, bytes(300_000))
    export_sealed(fresh.store, "prod", file, at=1)
    file.seek(0)
    target = World(tmp_path / "target")
    sizes: list[int] = []

    class Measured(Between):
        def commit(self, change: Change) -> None:
            sizes.append(sum(map(batches.size_of, change.create)))
            super().commit(change)

    list(import_sealed(Measured(target.store), "prod", file))
    assert len(sizes) == 2
    assert max(sizes) <= batches.MAX_BYTES
    assert problems(target.stash) == set()


def test_whole_records_are_read_a_few_at_a_time(world: World) -> None:
    """However many versions are erased: never more than 32 whole records in one read."""
    for number in range(7, 101):
        world.stash.put(NAME, str(number))
    asked: list[int] = []

    class Watched(Between):
        def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
            asked.append(len(wanted))
            return super().fetch(wanted)

    stash = world.fresh(Watched(world.store))
    stash.destroy(NAME, range(1, 50))
    stash.prune(NAME, keep=10)
    list(stash.rewrap(NAME))
    list(stash.verify())
    stash.destroy(NAME)
    assert max(asked) == 32


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"a": {"S": "ü"}}, 4),
        ({"ab": {"B": bytes(10)}}, 13),
        ({"a": {"NS": ["1", "22"]}, "b": {"BOOL": True}}, 1 + 2 + 2 + 3 + 1 + 4 + 1),
        ({"a": {"M": {"k": {"NULL": True}}}}, 1 + 1 + 1 + 4 + 1),
    ],
)
def test_size_of_an_item(item: Item, size: int) -> None:
    """Names, type letters and contents, with a byte for each member: never less than what DynamoDB counts."""
    assert batches.size_of(item) == size
    assert list(batches.batches([item] * 5, 2)) == [[item] * 2, [item] * 2, [item]]
    assert list(batches.batches([], 2)) == []
