"""What each operation makes of a head and of the records: every attribute, those too that it must leave alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynastash.crypto import records
from dynastash.errors import (
    ConflictError,
    DynastashError,
    IntegrityError,
    RollbackError,
    RotationError,
    SecretDeletedError,
    SecretDestroyedError,
)
from dynastash.generate import RandomBytes
from dynastash.models import (
    Context,
    DataKey,
    Head,
    Item,
    Plaintext,
    SecretInfo,
    Stage,
    State,
    Version,
    WrappedKey,
    from_ms,
)
from dynastash.stash import views
from dynastash.stash.api import Stash
from dynastash.stash.rotation import GenerateRotator, Rotation, rotation_item
from dynastash.stores.base import Change
from tests.unit.stash_kit import HEAD, Between, CountingKeys, World, v
from tests.unit.test_stash_basics import forge_newest

DAY = 86_400
POLICY = RandomBytes(16)


class Stopping(GenerateRotator):
    """Leaves its version pending."""

    def set(self, rotation: Rotation) -> None:
        raise RotationError("stopped", step="set")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four versions, of which the second is deleted, under a policy and with tags."""
    world = World(tmp_path)
    for number in range(1, 4):
        world.clock.advance(1)
        world.stash.put("n", f"value {number}", comment=f"comment {number}", tags={"team": "a"})
    world.clock.advance(1)
    world.stash.generate(
        "n",
        POLICY,
        comment="comment 4",
        content_type="text/x",
        expires_at=from_ms(world.clock.now() + 9_000_000),
        context={"app": "x"},
    )
    world.stash.delete("n", 2)
    return world


def head(world: World) -> Head:
    """As it is stored."""
    return replace(records.decode_head(world.item("n", HEAD)), seal=None)  # type: ignore[arg-type]


def stopped(stash: Stash, rotator: Any = None) -> None:
    """Stage a version and stop there."""
    with pytest.raises(RotationError):
        stash.rotate("n", Stopping(POLICY))


def rotated(stash: Stash) -> None:
    """By the policy that the secret carries."""
    stash.rotate("n", comment="rotated")


CHANGES: dict[str, tuple[Callable[[Stash], object], Callable[[Head, int], dict[str, Any]]]] = {
    "put": (
        lambda stash: stash.put("n", "new"),
        lambda old, now: {"last": 5, "current": 5, "previous": 4, "comment": None, "expires_at": None},
    ),
    "put with everything": (
        lambda stash: stash.put("n", "new", comment="new", tags={"b": "c"}, expires_at=from_ms(4_000_000_000_000)),
        lambda old, now: {
            "last": 5,
            "current": 5,
            "previous": 4,
            "comment": "new",
            "expires_at": 4_000_000_000,
            "tags": {"b": "c"},
        },
    ),
    "put, write only": (
        lambda stash: stash.put("n", "new", write_only=True),
        lambda old, now: {
            "last": 5,
            "current": 5,
            "previous": 4,
            "comment": None,
            "expires_at": None,
            "created_ms": now,
            "disabled": frozenset(),
            "tags": {},
            "rotation": {},
        },
    ),
    "generate": (
        lambda stash: stash.generate("n", RandomBytes(32), comment="generated"),
        lambda old, now: {
            "last": 5,
            "current": 5,
            "previous": 4,
            "comment": "generated",
            "expires_at": None,
            "rotation": rotation_item(RandomBytes(32)),
        },
    ),
    "roll back": (
        lambda stash: stash.rollback("n"),
        lambda old, now: {
            "last": 5,
            "current": 5,
            "previous": 4,
            "comment": "rollback to version 3",
            "expires_at": None,
        },
    ),
    "stage": (stopped, lambda old, now: {"last": 5, "pending": 5}),
    "rotate": (
        rotated,
        lambda old, now: {
            "last": 5,
            "current": 5,
            "previous": 4,
            "comment": "rotated",
            "expires_at": None,
            "revision": old.revision + 2,
        },
    ),
    "abort": (
        lambda stash: (stopped(stash), stash.abort("n")),
        lambda old, now: {"last": 5, "revision": old.revision + 2},
    ),
    "delete": (
        lambda stash: stash.delete("n"),
        lambda old, now: {
            "state": State.DELETED,
            "deleted_at": now // 1000,
            "purge_at": now // 1000 + 30 * DAY,
        },
    ),
    "delete and undelete": (
        lambda stash: (stash.delete("n", recovery_days=1), stash.undelete("n")),
        lambda old, now: {"revision": old.revision + 2},
    ),
    "delete a version": (lambda stash: stash.delete("n", 1), lambda old, now: {"disabled": frozenset({1, 2})}),
    "delete the newest version, which is not current": (
        lambda stash: (stopped(stash), stash.abort("n"), stash.delete("n", 5)),
        lambda old, now: {"last": 5, "disabled": frozenset({2, 5}), "revision": old.revision + 3},
    ),
    "undelete a version": (lambda stash: stash.undelete("n", 2), lambda old, now: {"disabled": frozenset()}),
    "destroy a version": (
        lambda stash: stash.destroy("n", [2]),
        lambda old, now: {"destroyed": frozenset({2}), "disabled": frozenset()},
    ),
    "destroy the previous version": (
        lambda stash: stash.destroy("n", [3]),
        lambda old, now: {"destroyed": frozenset({3}), "previous": None},
    ),
    "prune": (
        lambda stash: stash.prune("n", keep=1),
        lambda old, now: {"pruned_below": 3, "disabled": frozenset()},
    ),
    "prune below what was destroyed": (
        lambda stash: (stash.put("n", "5"), stash.put("n", "6"), stash.destroy("n", [4]), stash.prune("n", keep=4)),
        lambda old, now: {
            "last": 6,
            "current": 6,
            "previous": 5,
            "comment": None,
            "expires_at": None,
            "pruned_below": 2,
            "destroyed": frozenset({4}),
            "revision": old.revision + 4,
        },
    ),
    "prune what was destroyed": (
        lambda stash: (stash.destroy("n", [1]), stash.prune("n", keep=3)),
        lambda old, now: {"pruned_below": 2, "revision": old.revision + 2},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_makes_of_the_head(world: World, name: str) -> None:
    """Counted on by one, dated, signed by whoever did it, and nothing else changed."""
    change, expected = CHANGES[name]
    before = head(world)
    world.clock.advance(100)
    now = world.clock.now()
    change(world.fresh(identity=lambda: "somebody else"))
    common = {"revision": before.revision + 1, "updated_ms": now, "updated_by": "somebody else"}
    assert head(world) == replace(before, **common | expected(before, now))


@pytest.mark.parametrize(
    "nothing",
    [
        lambda stash: stash.undelete("n"),
        lambda stash: stash.undelete("n", 1),
        lambda stash: stash.delete("n", 2),
        lambda stash: stash.prune("n", keep=4),
        lambda stash: stash.prune("n", keep=4, dry_run=True),
        lambda stash: stash.prune("n", keep=1, dry_run=True),
        lambda stash: list(stash.verify()),
        lambda stash: stash.get_many(prefix=""),
        lambda stash: stash.history("n"),
        lambda stash: list(stash.rewrap("n")),
    ],
)
def test_what_changes_nothing_writes_no_head(world: World, nothing: Callable[[Stash], object]) -> None:
    """Done already is done."""
    before = world.item("n", HEAD)
    world.clock.advance(100)
    nothing(world.fresh(identity=lambda: "somebody else"))
    assert world.item("n", HEAD) == before


def test_a_deleted_secret_keeps_its_date(world: World) -> None:
    """A second delete does not move it."""
    world.stash.delete("n", recovery_days=2)
    before = world.item("n", HEAD)
    world.clock.advance(DAY)
    assert world.fresh().delete("n").purge_at is not None
    assert world.item("n", HEAD) == before


def test_what_a_destruction_leaves(world: World) -> None:
    """Numbers and dates; no stage, no policy, no tag, no comment."""
    before = head(world)
    world.clock.advance(100)
    now = world.clock.now()
    world.fresh(identity=lambda: "somebody else").destroy("n")
    assert head(world) == Head(
        name="n",
        last=4,
        revision=before.revision + 2,  # the mark, and the erasure of what is below
        pruned_below=4,
        state=State.DESTROYED,
        created_ms=before.created_ms,
        updated_ms=now,
        updated_by="somebody else",
        destroyed=frozenset({4}),
    )
    for number in range(1, 5):
        tombstone = records.decode_metadata(world.item("n", v(number)))  # type: ignore[arg-type]
        assert (tombstone.number, tombstone.destroyed_ms, tombstone.destroyed_by) == (number, now, "somebody else")
        ttl = world.item("n", v(number)).get("ttl")
        assert ttl == (None if number == 4 else {"N": str(now // 1000 + 90 * DAY)})


def test_a_tombstone_is_not_buried_again(world: World) -> None:
    """It tells who destroyed the version, and when."""
    stopped(world.stash)
    world.stash.abort("n")
    world.stash.destroy("n", [1, 5])
    before = [world.item("n", v(number)) for number in (1, 5)]
    world.clock.advance(100)
    world.fresh(identity=lambda: "somebody else").destroy("n")
    assert [world.item("n", v(number)) for number in (1, 5)] == before


@pytest.mark.parametrize(("number", "versions"), [(1, [1]), (1, None), (5, None)])
def test_a_ruined_version_is_buried_by_its_name(world: World, number: int, versions: list[int] | None) -> None:
    """Nothing of its record is believed; alone, with its secret, and as the newest."""
    stopped(world.stash)
    world.stash.abort("n")
    world.edit("n", v(number), id=None)
    world.fresh().destroy("n", versions)
    tombstone = records.decode_metadata(world.item("n", v(number)))  # type: ignore[arg-type]
    assert (tombstone.name, tombstone.number) == ("n", number)
    assert tombstone.created_by == "unknown: the record was damaged"


def test_what_begins_anew(world: World) -> None:
    """Behind the numbers that were used, and with nothing of what was."""
    world.stash.destroy("n")
    before = head(world)
    world.clock.advance(100)
    now = world.clock.now()
    world.fresh(identity=lambda: "somebody else").put("n", "anew", recreate=True, tags={"x": "y"})
    assert head(world) == Head(
        name="n",
        last=5,
        revision=before.revision + 1,
        pruned_below=4,
        state=State.ACTIVE,
        created_ms=now,
        updated_ms=now,
        updated_by="somebody else",
        current=5,
        destroyed=frozenset({4}),
        tags={"x": "y"},
    )


def test_the_first_version(tmp_path: Path) -> None:
    """Of a secret that was never there."""
    world = World(tmp_path)
    now = world.clock.now()
    world.fresh(identity=lambda: "somebody").put("n", "first", comment="c", content_type="t", context={"a": "b"})
    assert head(world) == Head(
        name="n",
        last=1,
        revision=1,
        pruned_below=1,
        state=State.ACTIVE,
        created_ms=now,
        updated_ms=now,
        updated_by="somebody",
        current=1,
        comment="c",
    )
    (version,) = world.fresh().history("n")
    assert (version.number, version.created_by, version.comment, version.content_type, dict(version.context)) == (
        1, "somebody", "c", "t", {"a": "b"}
    )  # fmt: skip
    assert version.created_at == from_ms(now)


def test_what_comes_along_with_a_rotation(world: World) -> None:
    """Content type and context; not the comment, nor the expiry."""
    rotated(world.stash)
    version = world.fresh().get("n").version
    assert (version.comment, version.content_type, dict(version.context), version.expires_at) == (
        "rotated", "text/x", {"app": "x"}, None
    )  # fmt: skip


def test_what_a_rotator_is_told(world: World) -> None:
    """Environment, name, both versions with their values and tags, and the number to come."""
    told: list[Rotation] = []

    class Telling(GenerateRotator):
        def create(self, rotation: Rotation) -> Plaintext:
            told.append(rotation)
            return Plaintext(b"rotated")

        def set(self, rotation: Rotation) -> None:
            told.append(rotation)

        def test(self, rotation: Rotation) -> None:
            told.append(rotation)

    world.stash.rotate("n", Telling(POLICY))
    create, set_, test = told
    assert (create.environment, create.name, create.version, create.pending) == ("prod", "n", 5, None)
    assert create.current.number == 4 and dict(create.current.tags) == {"team": "a"}
    assert set_ == test
    assert (set_.version, set_.current) == (5, create.current)
    assert set_.pending is not None
    assert (set_.pending.number, set_.pending.value, dict(set_.pending.tags)) == (5, b"rotated", {"team": "a"})
    assert [stage.value for stage in set_.pending.version.stages] == ["pending"]


class Meddling(GenerateRotator):
    """Does something else to the secret while it makes a value."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__(POLICY)
        self._meddle = meddle

    def create(self, rotation: Rotation) -> Plaintext:
        self._meddle()
        return super().create(rotation)


@pytest.mark.parametrize(
    ("meddle", "kind", "message"),
    [
        (lambda stash: stash.put("n", "other"), ConflictError, "^n is at version 5, and version 4 was expected"),
        (lambda stash: stash.delete("n"), SecretDeletedError, "^n is deleted"),
        (lambda stash: stash.destroy("n"), SecretDestroyedError, "^n is marked as destroyed"),
        (stopped, ConflictError, "^a rotation of n is pending"),
    ],
)
def test_a_new_version_is_not_staged_on_what_was_not_looked_at(
    world: World, meddle: Callable[[Stash], object], kind: type[Exception], message: str
) -> None:
    """The secret changed while its rotator was busy."""
    with pytest.raises(kind, match=message):
        world.stash.rotate("n", Meddling(lambda: meddle(world.fresh())))


def test_what_is_staged_is_refused_on_no_forged_word(world: World) -> None:
    """The head is authenticated before it may say no."""
    forge = Meddling(lambda: world.edit("n", HEAD, state={"S": "deleted"}))
    with pytest.raises(IntegrityError):
        world.stash.rotate("n", forge)


def test_an_expiry_goes_to_the_head_with_the_promotion(world: World) -> None:
    """Where listings find it."""
    world.stash.rotate("n", expires_at=from_ms(4_000_000_000_000))
    assert head(world).expires_at == 4_000_000_000


def test_an_abort_is_refused_once_the_version_is_current(world: World) -> None:
    """Somebody resumed the rotation between our look and our change."""
    stopped(world.stash)

    class Resumed(Between):
        looks = 0

        def newest(self, name: str) -> Sequence[Item]:
            self.looks += 1
            if self.looks == 2:
                world.fresh().resume("n", GenerateRotator(POLICY))
            return super().newest(name)

    with pytest.raises(ConflictError, match="version 5 of n is not pending any more"):
        world.fresh(Resumed(world.store)).abort("n")
    assert head(world).current == 5


class Lost(Between):
    """Whoever commits loses the race."""

    def commit(self, change: Change) -> None:
        raise ConflictError("lost")


@pytest.mark.parametrize(
    "call",
    [
        lambda stash: stash.put("n", "new"),
        lambda stash: stash.rotate("n"),
        lambda stash: stash.abort("n"),
        lambda stash: stash.delete("n", 1),
        lambda stash: stash.undelete("n", 2),
        lambda stash: stash.destroy("n"),
        lambda stash: stash.destroy("n", [1]),
        lambda stash: stash.prune("n", keep=1),
        lambda stash: stash.resume("n", GenerateRotator(POLICY)),
    ],
)
def test_whose_patience_ends_is_told_for_which_secret(
    world: World, call: Callable[[Stash], object], request: pytest.FixtureRequest
) -> None:
    """And nothing was written."""
    if request.node.callspec.indices["call"] in (2, 8):
        stopped(world.stash)
    before = world.item("n", HEAD)
    with pytest.raises(DynastashError, match="other writers kept changing n; nothing was written"):
        call(world.fresh(Lost(world.store)))
    assert world.item("n", HEAD) == before


@pytest.mark.parametrize(
    ("before", "expected", "kind", "message"),
    [
        (lambda stash: None, 0, ConflictError, "^n is at version 4, and no such secret was expected$"),
        (lambda stash: None, 3, ConflictError, "^n is at version 4, and version 3 was expected$"),
        (lambda stash: stash.delete("n"), None, SecretDeletedError, "^n is deleted$"),
        (lambda stash: stash.destroy("n"), None, SecretDestroyedError, "^n is marked as destroyed$"),
    ],
)
def test_a_put_that_is_refused_says_what_is(
    world: World, before: Callable[[Stash], object], expected: int | None, kind: type[Exception], message: str
) -> None:
    """Of which secret, and what was expected."""
    before(world.stash)
    with pytest.raises(kind, match=message):
        world.fresh().put("n", "new", if_version=expected)


def test_a_write_that_finds_records_apart_says_of_which_secret(world: World) -> None:
    """It is not written over what is missing."""
    world.drop("n", v(4))
    with pytest.raises(IntegrityError, match=r"^the records of n do not fit together"):
        world.fresh().put("n", "new")


def test_a_rotation_of_another_version_says_of_which_secret(world: World) -> None:
    """Before anybody makes a value."""
    with pytest.raises(ConflictError, match=r"^n is at version 4, and version 3 was expected$"):
        world.stash.rotate("n", if_version=3)


def test_a_rotator_that_resumes_is_told_the_same(world: World) -> None:
    """Environment, name, number and both versions."""
    stopped(world.stash)
    told: list[Rotation] = []

    class Telling(GenerateRotator):
        def set(self, rotation: Rotation) -> None:
            told.append(rotation)

    world.fresh().resume("n", Telling(POLICY))
    (rotation,) = told
    assert rotation.pending is not None
    assert (rotation.environment, rotation.name, rotation.version) == ("prod", "n", 5)
    assert (rotation.current.number, rotation.pending.number) == (4, 5)


def test_what_is_shown_of_a_secret() -> None:
    """All that its head says, times as datetimes; of its policy, whether there is one."""
    made = Head(
        name="n", last=9, revision=7, pruned_below=2, state=State.DELETED, created_ms=1, updated_ms=2,
        updated_by="somebody", current=8, pending=9, previous=6, deleted_at=3, purge_at=4, comment="c", expires_at=5,
        tags={"a": "b"}, rotation=rotation_item(POLICY),
    )  # fmt: skip
    assert views.info(made) == SecretInfo(
        name="n", current=8, last=9, state=State.DELETED, created_at=from_ms(1), updated_at=from_ms(2),
        updated_by="somebody", pending=9, previous=6, comment="c", expires_at=from_ms(5000), tags={"a": "b"},
        rotation=True, deleted_at=from_ms(3000), purge_at=from_ms(4000),
    )  # fmt: skip
    assert views.info(replace(made, rotation={})).rotation is False


def test_what_is_shown_of_a_version() -> None:
    """All that its record says, and what the head says of it."""
    made = Head(
        name="n", last=9, revision=7, pruned_below=2, state=State.ACTIVE, created_ms=1, updated_ms=2,
        updated_by="somebody", current=8, previous=6, disabled=frozenset({6}),
    )  # fmt: skip
    record = records.VersionMetadata(
        name="n", number=6, created_ms=1, created_by="me", key_id="k", comment="c", content_type="t", expires_at=2,
        context={"a": "b"}, rewrapped_ms=3, destroyed_ms=4, destroyed_by="you",
    )  # fmt: skip
    shown = Version(
        name="n", number=6, created_at=from_ms(1), created_by="me", stages=(Stage.PREVIOUS,), comment="c",
        content_type="t", expires_at=from_ms(2000), context={"a": "b"}, key_id="k", rewrapped_at=from_ms(3),
        destroyed_at=from_ms(4), destroyed_by="you", disabled=True,
    )  # fmt: skip
    assert views.version(record, made) == shown
    bare = records.VersionMetadata(name="n", number=7, created_ms=0, created_by="me", rewrapped_ms=0, destroyed_ms=0)
    assert views.version(bare, made) == Version(
        name="n", number=7, created_at=from_ms(0), created_by="me", rewrapped_at=from_ms(0), destroyed_at=from_ms(0)
    )
    assert views.version(replace(bare, rewrapped_ms=None, destroyed_ms=None), made).destroyed_at is None


def test_generate_takes_what_put_takes(world: World) -> None:
    """Every argument, by name."""
    expires = from_ms(4_000_000_000_000)
    for made in (
        world.fresh().put("a", "x", if_version=0, comment="c", content_type="t", expires_at=expires,
                          tags={"a": "b"}, context={"c": "d"}),
        world.fresh().generate("b", POLICY, if_version=0, comment="c", content_type="t", expires_at=expires,
                               tags={"a": "b"}, context={"c": "d"}),
    ):  # fmt: skip
        assert (made.comment, made.content_type, made.expires_at, dict(made.context)) == (
            "c", "t", expires, {"c": "d"}
        )  # fmt: skip
        assert dict(world.fresh().get(made.name).tags) == {"a": "b"}
    calls: list[Callable[..., object]] = [
        lambda stash, name, **options: stash.put(name, "x", **options),
        lambda stash, name, **options: stash.generate(name, POLICY, **options),
    ]
    for call, name in zip(calls, "ab", strict=True):
        with pytest.raises(ConflictError):
            call(world.fresh(), name, if_version=2)
        keys = CountingKeys(world.keys)
        call(world.fresh(keys=keys), name, write_only=True)
        assert keys.calls == ["generate"]
        call(world.fresh(keys=keys), name)
        assert sorted(keys.calls) == ["generate", "generate", "unwrap"]
        world.stash.destroy(name)
        with pytest.raises(SecretDestroyedError):
            call(world.fresh(), name)
        call(world.fresh(), name, recreate=True)
        assert world.fresh().get(name).number == 4


def test_a_listing_asks_for_no_key_unless_it_is_verified(world: World) -> None:
    """One unwrap a secret then."""
    keys = CountingKeys(world.keys)
    assert world.fresh(keys=keys).list() == world.fresh(keys=keys).list("")
    assert keys.calls == []
    assert world.fresh(keys=keys).list(verified=True) == world.fresh().list()
    assert keys.calls == ["unwrap"]


def test_what_is_not_current_yet_has_reached_nothing(tmp_path: Path) -> None:
    """A first version that is pending counts for no min_version."""
    world = World(tmp_path)
    world.stash.put("other", "x")
    forge_newest(world, "n", 1, current=None, pending=1)
    assert world.fresh().get("n", stage="pending").value == b"far"
    with pytest.raises(RollbackError, match=r"^n is at version 0, and version 1 at least was expected$"):
        world.fresh().get("n", stage="pending", min_version=1)
    with pytest.raises(ConflictError, match=r"^a rotation of n is pending \(version 1\)$"):
        world.fresh().rollback("n", 1)


def test_a_stash_says_where_it_is_and_nothing_else(world: World) -> None:
    """In a log or a debugger."""
    assert repr(world.stash) == f"<Stash prod: {world.store.description}>"
    assert (world.stash.where, world.stash.key) == (world.store.description, "the test's key")


def test_what_a_key_provider_is_asked(world: World) -> None:
    """The wrapped key as it is stored, under the name that is stored with it, and all that the key is bound to."""
    asked: list[tuple[WrappedKey, Context]] = []

    class Asked(CountingKeys):
        def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
            asked.append((wrapped, context))
            return super().unwrap(wrapped, context)

    item: Any = world.item("n", v(4))
    stash = world.fresh(keys=Asked(world.keys))
    for read in (lambda: stash.get("n"), lambda: stash.get_many(["n"]), lambda: list(stash.verify())):
        read()
        (wrapped, context) = asked[-1]
        assert (wrapped.blob, wrapped.key_id) == (item["wrapped_key"]["B"], item["key_id"]["S"])
        assert context == Context("prod", "n", 4, {"app": "x"})
