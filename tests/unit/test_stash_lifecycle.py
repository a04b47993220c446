"""delete, undelete, destroy, prune, recreate, rewrap: what goes, what stays, and what is never used again."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from dynastash.crypto import records
from dynastash.errors import (
    ConflictError,
    DynastashError,
    FormatError,
    IntegrityError,
    InvalidArgumentError,
    KeyUnavailableError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    StoreUnavailableError,
    VersionNotFoundError,
)
from dynastash.generate import Password
from dynastash.models import Context, Head, Item, State, WrappedKey, from_ms
from dynastash.stores.base import Change, RecordKey
from tests.unit.stash_kit import HEAD, Between, CountingKeys, World, v

DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five versions, an hour apart."""
    world = World(tmp_path)
    for number in range(1, 6):
        world.stash.put("n", f"value {number}", comment=f"comment {number}")
        world.clock.advance(3600)
    return world


def head(world: World, name: str = "n") -> Head:
    return records.decode_head(world.item(name, HEAD))  # type: ignore[arg-type]


def live(world: World, name: str = "n") -> list[int]:
    """The versions that still have a value."""
    return [
        number for record in world.records(name)
        if (number := records.parse_version_key(record)) and "ciphertext" in world.item(name, record)
    ]  # fmt: skip


class TestDelete:
    """Hidden, and back again."""

    def test_a_secret_is_hidden_until_it_is_undeleted(self, world: World) -> None:
        """From every way of reading a value; its history stays to be seen."""
        info = world.stash.delete("n")
        assert (info.state, info.current) == (State.DELETED, 5)
        for call in (
            lambda: world.fresh().get("n"),
            lambda: world.fresh().get("n", version=1),
            lambda: world.fresh().get("n", stage="previous"),
            lambda: world.fresh().put("n", b""),
            lambda: world.fresh().rollback("n"),
            lambda: world.fresh().rotate("n", policy=Password()),
            lambda: world.fresh().policy("n"),
        ):
            with pytest.raises(SecretDeletedError):
                call()
        assert len(world.fresh().history("n")) == 5
        assert world.stash.undelete("n").state is State.ACTIVE
        assert world.fresh().get("n").text == "value 5"
        assert world.fresh().put("n", b"6").number == 6

    def test_twice_is_once(self, world: World) -> None:
        """And so is undeleting what is not deleted: nothing is written."""
        world.stash.delete("n")
        revision = head(world).revision
        world.clock.advance(60)
        world.stash.delete("n")
        assert head(world).revision == revision
        world.stash.undelete("n")
        world.stash.undelete("n")
        assert head(world).revision == revision + 1

    @pytest.mark.parametrize("days", [0, 7, 3650])
    def test_it_becomes_overdue_after_its_recovery_window(self, world: World, days: int) -> None:
        """To the second; nothing happens to it by itself."""
        world.stash.delete("n", recovery_days=days)
        if days:
            world.clock.advance(days * DAY - 1)
            assert world.stash.overdue() == []
            world.clock.advance(1)
        assert [info.name for info in world.fresh().overdue()] == ["n"]
        assert world.fresh().overdue("other") == []
        world.stash.undelete("n")
        assert world.fresh().overdue() == []
        assert world.fresh().get("n").text == "value 5"

    @pytest.mark.parametrize("days", [-1, 3651])
    def test_the_recovery_window_has_limits(self, world: World, days: int) -> None:
        """Ten years."""
        with pytest.raises(InvalidArgumentError):
            world.stash.delete("n", recovery_days=days)

    def test_one_version(self, world: World) -> None:
        """Hidden by number and by stage, and refused as a rollback's target; the others are not concerned."""
        world.stash.delete("n", 4)
        for call in (
            lambda: world.fresh().get("n", version=4),
            lambda: world.fresh().get("n", stage="previous"),
            lambda: world.fresh().rollback("n"),
        ):
            with pytest.raises(SecretDeletedError, match="version 4 of n is deleted"):
                call()
        assert world.fresh().get("n").text == "value 5"
        assert world.fresh().rollback("n", 3).number == 6
        world.stash.undelete("n", 4)
        assert world.fresh().get("n", version=4).text == "value 4"

    def test_neither_current_nor_pending(self, world: World) -> None:
        """Whoever wants that deletes the secret."""
        with pytest.raises(ConflictError, match="version 5 of n is current"):
            world.stash.delete("n", 5)
        with pytest.raises(VersionNotFoundError):
            world.stash.delete("n", 6)
        with pytest.raises(VersionNotFoundError):
            world.stash.undelete("n", 6)
        with pytest.raises(ConflictError, match="is at version 5"):
            world.stash.delete("n", 1, if_version=4)
        with pytest.raises(SecretNotFoundError):
            world.stash.delete("other")

    def test_a_head_has_room_for_512(self, world: World) -> None:
        """The next one is refused, not written and then refused by every reader."""
        from tests.unit.test_stash_basics import forge_newest

        forge_newest(world, "m", 600, pruned_below=1, disabled=frozenset(range(1, 513)))
        with pytest.raises(ConflictError, match="too many deleted versions"):
            world.stash.delete("m", 513)
        world.stash.undelete("m", 7)
        world.stash.delete("m", 513)
        assert len(head(world, "m").disabled) == 512


class TestDestroy:
    """Erased, and never used again."""

    def test_versions(self, world: World) -> None:
        """Tombstones say who and when; the head knows of them, and neither stage nor deletion stands on them."""
        world.stash.delete("n", 2)
        world.stash.destroy("n", [4, 2, 2])
        assert live(world) == [1, 3, 5]
        changed = head(world)
        assert (changed.destroyed, changed.disabled, changed.previous) == ({2, 4}, frozenset(), None)
        tombstone = world.item("n", v(2))
        assert set(tombstone) == {
            "name", "record", "format", "version", "id", "created_at", "created_by", "destroyed_at", "destroyed_by",
            "ttl",
        }  # fmt: skip
        assert tombstone["ttl"] == {"N": str(world.clock.now() // 1000 + 90 * DAY)}
        for call in (
            lambda: world.fresh().get("n", version=2),
            lambda: world.fresh().rollback("n", 2),
            lambda: world.fresh().undelete("n", 2),
        ):
            with pytest.raises(VersionNotFoundError):
                call()
        assert world.fresh().put("n", b"6").number == 6

    def test_twice_is_once(self, world: World) -> None:
        """Nothing is written the second time."""
        world.stash.destroy("n", [1])
        before = world.sql("SELECT * FROM records")
        world.stash.destroy("n", [1])
        assert world.sql("SELECT * FROM records") == before

    def test_the_newest_tombstone_stays_for_good(self, world: World) -> None:
        """Its number is the proof of how far the numbers have gone."""
        world.stash.generate("n", Password())
        from tests.unit.test_stash_races import stop_rotation

        stop_rotation(world)
        world.stash.abort("n")
        world.stash.destroy("n", [7])
        assert "ttl" not in world.item("n", v(7))
        assert world.fresh().get("n").number == 6
        assert world.fresh().put("n", b"").number == 8

    @pytest.mark.parametrize("versions", [[5], [1, 5]])
    def test_current_is_refused(self, world: World, versions: list[int]) -> None:
        """And nothing of the rest is done."""
        with pytest.raises(ConflictError):
            world.stash.destroy("n", versions)
        assert live(world) == [1, 2, 3, 4, 5]

    def test_what_is_not_there_is_refused(self, world: World) -> None:
        """An empty list, a number to come, a missing record, a secret that nobody has."""
        with pytest.raises(InvalidArgumentError):
            world.stash.destroy("n", [])
        with pytest.raises(VersionNotFoundError):
            world.stash.destroy("n", [6])
        with pytest.raises(SecretNotFoundError):
            world.stash.destroy("other")
        world.drop("n", v(2))
        with pytest.raises(VersionNotFoundError, match="missing from the store"):
            world.stash.destroy("n", [1, 2])
        assert live(world) == [1, 3, 4, 5]

    @pytest.mark.parametrize("size", [2, 3, 100])
    def test_a_secret(self, world: World, size: int) -> None:
        """All its values, in transactions of any size; what is left are tombstones and a head without a seal."""
        store = Small(world.store, size)
        world.fresh(store).destroy("n")
        assert live(world) == []
        gone = head(world)
        assert (gone.state, gone.current, gone.previous, gone.seal, gone.last) == (State.DESTROYED, None, None, None, 5)
        for call in (
            lambda: world.fresh().get("n"),
            lambda: world.fresh().get("n", version=1),
            lambda: world.fresh().put("n", b""),
            lambda: world.fresh().undelete("n"),
            lambda: world.fresh().delete("n"),
            lambda: world.fresh().destroy("n", [1]),
            lambda: world.fresh().prune("n", keep=1),
            lambda: list(world.fresh().rewrap("n")),
        ):
            with pytest.raises(SecretDestroyedError):
                call()
        world.fresh(store).destroy("n")
        assert [version.destroyed_by for version in world.fresh().history("n")] == ["test:somebody"] * 5

    @pytest.mark.parametrize("commits", [1, 2, 3])
    def test_what_was_interrupted_is_finished(self, world: World, commits: int) -> None:
        """Killed between two transactions: nothing is given out, and the same call goes on."""

        class Dying(Small):
            def commit(self, change: Change) -> None:
                nonlocal commits
                super().commit(change)
                commits -= 1
                if commits == 0:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            world.fresh(Dying(world.store, 2)).destroy("n")
        assert live(world)
        with pytest.raises(SecretDestroyedError):
            world.fresh().get("n")
        world.fresh(Small(world.store, 2)).destroy("n")
        assert live(world) == []

    def test_recreated_goes_on_behind_the_numbers(self, world: World) -> None:
        """On purpose only; with nothing of the old secret but its numbers."""
        world.stash.put("n", b"6", tags={"old": "tags"})
        world.stash.destroy("n")
        with pytest.raises(ConflictError, match="does not exist"):
            world.stash.put("n", b"7", recreate=True, if_version=6)
        version = world.fresh().put("n", b"again", recreate=True, if_version=0)
        assert version.number == 7
        secret = world.fresh().get("n")
        assert (secret.value, dict(secret.tags)) == (b"again", {})
        with pytest.raises(VersionNotFoundError):
            world.fresh().get("n", version=6)
        assert head(world).state is State.ACTIVE
        # recreate where nothing was destroyed is a put like any other
        assert world.stash.put("n", b"8", recreate=True).number == 8
        assert world.stash.generate("fresh", Password(), recreate=True).number == 1

    def test_somebody_recreating_meanwhile_is_left_alone(self, world: World) -> None:
        """An interrupted destruction that goes on must not bury what came after it."""

        class Meddled(Small):
            def commit(self, change: Change) -> None:
                super().commit(change)
                if change.expected is not None and change.expected.last == 5 and len(change.tombstones) == 1:
                    world.fresh().put("n", b"again", recreate=True)

        destroyed = world.fresh(Meddled(world.store, 2)).destroy("n")
        assert world.fresh().get("n").value == b"again"
        assert destroyed.state is State.DESTROYED, "destroy told what somebody else made of the secret since"

    def test_a_version_pruned_in_between_is_no_missing_version(self, world: World) -> None:
        """It was told as missing from the store, with the advice to verify; pruned is destroyed, and no harm done."""

        class Meddled(Between):
            pruned = False

            def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
                if not self.pruned and RecordKey("n", v(1)) in wanted:
                    self.pruned = True
                    world.fresh().prune("n", keep=2)
                return super().fetch(wanted)

        destroyed = world.fresh(Meddled(world.store)).destroy("n", [1])
        assert (destroyed.state, destroyed.current) == (State.ACTIVE, 5)
        assert head(world).pruned_below > 1
        assert not any(checked.findings for checked in world.fresh().verify())


class Small(Between):
    """A store that takes little at once."""

    def __init__(self, inner: object, size: int) -> None:
        super().__init__(inner)  # type: ignore[arg-type]
        self.size = size

    @property
    def transaction_size(self) -> int:
        return self.size

    def commit(self, change: Change) -> None:
        assert 1 + len(change.create) + len(change.tombstones) + len(change.delete) <= self.size
        super().commit(change)


class TestPrune:
    """Old versions and their tombstones, from the oldest on."""

    @pytest.mark.parametrize(("keep", "gone"), [(1, [1, 2, 3]), (2, [1, 2, 3]), (3, [1, 2]), (5, []), (99, [])])
    @pytest.mark.parametrize("size", [2, 100])
    def test_all_but_the_newest(self, world: World, keep: int, gone: list[int], size: int) -> None:
        """Current and previous stay in any case."""
        stash = world.fresh(Small(world.store, size))
        assert stash.prune("n", keep=keep, dry_run=True) == gone
        assert live(world) == [1, 2, 3, 4, 5]
        assert stash.prune("n", keep=keep) == gone
        assert world.records("n") == [v(number) for number in range(1, 6) if number not in gone] + [HEAD]
        assert head(world).pruned_below == len(gone) + 1
        assert stash.prune("n", keep=keep) == []
        for number in gone:
            with pytest.raises(VersionNotFoundError, match="was destroyed"):
                world.fresh().get("n", version=number)
        assert world.fresh().put("n", b"").number == 6

    def test_by_age(self, world: World) -> None:
        """Made before that; the versions are an hour apart, the newest an hour old."""
        assert world.stash.prune("n", older_than=timedelta(hours=4), dry_run=True) == [1]
        assert world.stash.prune("n", older_than=timedelta(hours=3, minutes=59), dry_run=True) == [1, 2]
        assert world.stash.prune("n", older_than=timedelta(0), keep=3) == [1, 2]

    def test_tombstones_go_with_the_rest(self, world: World) -> None:
        """And the head forgets them: it only knows up to where everything is gone."""
        world.stash.delete("n", 1)
        world.stash.destroy("n", [2])
        assert world.stash.prune("n", keep=1) == [1, 2, 3]
        changed = head(world)
        assert (changed.destroyed, changed.disabled, changed.pruned_below) == (frozenset(), frozenset(), 4)
        assert len(world.fresh().history("n")) == 2

    @pytest.mark.parametrize(
        "given", [{}, {"keep": 0}, {"keep": -1}, {"older_than": timedelta(seconds=-1)}], ids=str
    )  # fmt: skip
    def test_what_to_keep_must_be_said(self, world: World, given: dict[str, object]) -> None:
        """Nothing is erased by default."""
        with pytest.raises(InvalidArgumentError):
            world.stash.prune("n", **given)  # type: ignore[arg-type]

    def test_of_nobody(self, world: World) -> None:
        """No such secret."""
        for dry_run in (True, False):
            with pytest.raises(SecretNotFoundError):
                world.stash.prune("other", keep=1, dry_run=dry_run)


class TestRewrap:
    """New wrappings of the same data keys."""

    def test_every_live_version_gets_one(self, world: World) -> None:
        """No value is opened or changed; tombstones are passed over."""
        world.stash.destroy("n", [2])
        before = {number: world.item("n", v(number)) for number in (1, 3, 4, 5)}
        keys = CountingKeys(world.keys)
        done = list(world.fresh(keys=keys).rewrap("n"))
        assert [(one.name, one.number) for one in done] == [("n", 1), ("n", 3), ("n", 4), ("n", 5)]
        assert all(one.before == one.after != "" for one in done)
        assert keys.calls.count("rewrap") == 4
        for number, old in before.items():
            new = world.item("n", v(number))
            assert new["wrapped_key"] != old["wrapped_key"]
            assert new["rewrapped_at"] == {"N": str(world.clock.now())}
            assert {k: w for k, w in new.items() if k not in ("wrapped_key", "rewrapped_at")} == {
                k: w for k, w in old.items() if k != "wrapped_key"
            }
            assert world.fresh().get("n", version=number).text == f"value {number}"
        assert world.stash.history("n")[0].rewrapped_at == from_ms(world.clock.now())

    def test_many_secrets_come_in_order_each_with_what_became_of_it(self, world: World) -> None:
        """A damaged one with what could be done and its error, and none of the others the worse for it."""
        for name in ("a", "b"):
            world.stash.put(name, "x")
        world.edit("n", v(2), mac=None)
        for concurrency in (1, 4):
            stash = world.fresh(keys=CountingKeys(world.keys, concurrency))
            found = list(stash.rewrap_many(["b", "n", "m", "a"]))
            assert [(one.name, [(each.name, each.number) for each in one.versions]) for one in found] == [
                ("b", [("b", 1)]), ("n", [("n", number) for number in (1, 3, 4, 5)]), ("m", []), ("a", [("a", 1)]),
            ]  # fmt: skip
            assert [type(one.error) for one in found] == [type(None), FormatError, SecretNotFoundError, type(None)]

    @pytest.mark.parametrize("error", [StoreUnavailableError("busy"), KeyUnavailableError("gone")])
    def test_of_many_secrets_what_would_fail_for_all_is_raised(self, world: World, error: DynastashError) -> None:
        """The next secret would fare no better."""

        class Failing(Between):
            def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
                raise error

        with pytest.raises(type(error)):
            list(world.fresh(Failing(world.store)).rewrap_many(["n"]))

    @pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (3, 3)])
    def test_of_many_secrets_as_many_are_under_way_as_the_keys_can_take(
        self, world: World, concurrency: int, most: int
    ) -> None:
        """Each of them one version after the other."""
        names = [f"many/{number}" for number in range(4)]
        for name in names:
            for _ in range(3):
                world.stash.put(name, "x")
        met = threading.Barrier(most)
        threads: dict[str, set[int]] = {name: set() for name in names}

        class Watched(CountingKeys):
            def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
                threads[context.name].add(threading.get_ident())
                if context.version == 1 and context.name != names[-1]:
                    met.wait(30)  # all three, or BrokenBarrierError
                return super().rewrap(wrapped, context)

        found = list(world.fresh(keys=Watched(world.keys, concurrency)).rewrap_many(names))
        assert [len(one.versions) for one in found] == [3] * 4
        assert [len(each) for each in threads.values()] == [1] * 4

    def test_what_somebody_else_changes_is_read_again(self, world: World) -> None:
        """Their rewrap counts, and ours after it; a version destroyed meanwhile is passed over."""

        class Meddled(Between):
            times = 1

            def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
                if self.times:
                    self.times = 0
                    list(world.fresh().rewrap("n"))
                    world.fresh().destroy("n", [2])
                super().replace_key(item, wrapped, at)

        done = list(world.fresh(Meddled(world.store)).rewrap("n"))
        assert [one.number for one in done] == [1, 3, 4, 5]
        assert world.fresh().get("n", version=1).text == "value 1"

    def test_a_record_that_is_not_the_one_asked_for_is_not_rewrapped(self, world: World) -> None:
        """Nor one under a head that is not authentic."""

        class Confusing(Between):
            def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
                return {key: {**item, "name": {"S": "other"}} for key, item in super().fetch(wanted).items()}

        with pytest.raises(IntegrityError):
            list(world.fresh(Confusing(world.store)).rewrap("n"))
        world.edit("n", HEAD, comment={"S": "x"})
        with pytest.raises(IntegrityError):
            list(world.fresh().rewrap("n"))


def test_a_head_is_sealed_unless_its_secret_is_destroyed(world: World) -> None:
    """A guard for whoever changes the rules: neither the one without the other."""
    snapshot = world.stash._reader.snapshot("n")
    assert snapshot is not None
    with pytest.raises(ValueError, match="sealed unless"):
        world.stash._lifecycle._changes.commit(snapshot, snapshot.head, None)
