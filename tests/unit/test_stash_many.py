"""Several secrets at once, and listings: all or nothing, and a listing that lags behind."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dynastash.crypto import envelope, records
from dynastash.errors import (
    ContextMismatchError,
    ExpiredError,
    FormatError,
    IntegrityError,
    InvalidArgumentError,
    InvalidNameError,
    KeyUnavailableError,
    PartialError,
    RotationError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    StoreUnavailableError,
    UnsupportedFormatError,
    VersionNotFoundError,
)
from dynastash.generate import Password
from dynastash.models import Context, DataKey, Head, Item, State, WrappedKey, from_ms
from dynastash.stash import listing, together
from dynastash.stash.reader import Opened
from dynastash.stash.rotation import GenerateRotator
from dynastash.stores.base import RecordKey
from tests.unit.stash_kit import HEAD, Between, CountingKeys, CountingStore, World, v


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for name in ("app/c", "app/a", "app/b/deep", "app", "apple", "Z"):
        world.stash.put(name, f"value of {name}")
    return world


class TestGetMany:
    """By name."""

    def test_comes_in_the_order_of_the_names(self, world: World) -> None:
        """And each once, whatever was asked twice; of any iterable."""
        found = world.fresh().get_many(iter(["apple", "app/a", "apple", "Z"]))
        assert list(found) == ["apple", "app/a", "Z"]
        assert all(secret.text == f"value of {name}" == f"value of {secret.name}" for name, secret in found.items())

    def test_of_nothing_is_nothing(self, world: World) -> None:
        """No names, no secrets; a prefix of nobody, too."""
        assert world.stash.get_many([]) == {}
        assert world.stash.get_many(prefix="nobody/") == {}

    def test_names_or_a_prefix(self, world: World) -> None:
        """Exactly one of them; one name is not a list of letters."""
        for given in ({}, {"names": ["a"], "prefix": "a"}, {"names": "abc"}):
            with pytest.raises(InvalidArgumentError):
                world.stash.get_many(**given)  # type: ignore[arg-type]
        with pytest.raises(InvalidNameError):
            world.stash.get_many(["app", "no name"])
        with pytest.raises(InvalidNameError):
            world.stash.get_many(prefix="/app")

    def test_all_or_nothing(self, world: World) -> None:
        """Every failure is named, with its own error, and nothing else is."""
        soon = from_ms(world.clock.now()) + timedelta(seconds=1)
        world.stash.put("expired", b"", expires_at=soon)
        world.clock.advance(2)
        for name in ("deleted", "destroyed", "forged", "moved", "missing-version"):
            world.stash.put(name, b"")
        world.stash.delete("deleted")
        world.stash.destroy("destroyed")
        world.edit("forged", HEAD, comment={"S": "x"})
        world.edit("moved", v(1), wrapped_key=world.item("Z", v(1))["wrapped_key"])
        world.drop("missing-version", v(1))
        with pytest.raises(PartialError) as caught:
            world.fresh().get_many(
                ["Z", "expired", "deleted", "destroyed", "forged", "moved", "missing-version", "nobody", "app"]
            )
        assert {name: type(error) for name, error in caught.value.failures.items()} == {
            "expired": ExpiredError,
            "deleted": SecretDeletedError,
            "destroyed": SecretDestroyedError,
            "forged": IntegrityError,
            "moved": ContextMismatchError,
            "missing-version": IntegrityError,
            "nobody": SecretNotFoundError,
        }
        assert str(caught.value).startswith("7 of 9 secrets could not be had: expired: version 1 of expired expired")
        assert str(caught.value).endswith("; and 4 more")
        assert caught.value.hint

    def test_the_key_provider_failing_for_one(self, world: World) -> None:
        """That is one secret's failure, not everybody's."""

        class Picky(CountingKeys):
            def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
                if context.name == "app":
                    raise KeyUnavailableError("throttled")
                return super().unwrap(wrapped, context)

        with pytest.raises(PartialError, match=r"^1 of 2 secrets could not be had: app: throttled$") as caught:
            world.fresh(keys=Picky(world.keys, concurrency=4)).get_many(["app", "Z"])
        assert list(caught.value.failures) == ["app"]

    def test_the_store_failing_is_no_partial_failure(self, world: World) -> None:
        """Also where it fails at the second look."""

        class Failing(Between):
            def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
                return {}

            def newest(self, name: str) -> Any:
                raise StoreUnavailableError("busy")

            def heads(self, prefix: str = "") -> Iterator[Item]:
                return super().heads(prefix)

        with pytest.raises(StoreUnavailableError):
            world.fresh(Failing(world.store)).get_many(prefix="app")

    def test_a_version_between_head_and_version_is_no_error(self, world: World) -> None:
        """The batch's two reads are of two moments: the secret is read again in one piece."""

        class Late(Between):
            """Somebody destroys the version between the two reads of a batch, after putting another."""

            reads = 0

            def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
                self.reads += 1
                if self.reads == 2:
                    world.stash.put("Z", b"newer")
                    world.stash.destroy("Z", [1])
                return super().fetch(wanted)

        assert world.fresh(Late(world.store)).get_many(["Z", "app"])["Z"].value == b"newer"


class TestReads:
    """Two batched reads, whatever is found: what is final is not read again by its name."""

    @pytest.mark.parametrize(
        ("name", "reads"),
        [("nobody", ["fetch"]), ("destroyed", ["fetch"]), ("damaged", ["fetch", "fetch"]), ("app", ["fetch", "fetch"])],
    )
    def test_of_one(self, world: World, name: str, reads: list[str]) -> None:
        """A client that has seen the secret, and one that has not."""
        for other in ("destroyed", "damaged"):
            world.stash.put(other, b"x")
        world.stash.destroy("destroyed")
        world.edit("damaged", v(1), mac=None)
        for seen in (False, True):
            stash = world.fresh(store := CountingStore(world.store))
            if seen:
                stash.get("app")
                store.calls.clear()
            with nullcontext() if name == "app" else pytest.raises(PartialError):
                stash.get_many([name])
            assert store.calls == reads

    def test_what_is_seen_holds_no_records(self, world: World) -> None:
        """Of a thousand secrets, the values are held and not the records; each is sealed under its current version."""
        found = together.named(world.fresh()._reader, ["app", "Z"], lambda opened: opened)
        for opened in found.values():
            assert isinstance(opened, Opened)
            assert opened.snapshot.items == {}
            assert opened.sealed_under.record is opened.record is opened.sealing
        alone = world.fresh()._reader.current("app")
        assert alone.sealed_under.record is alone.record is alone.sealing


class TestGettingReady:
    """What opening records takes is imported while the store's first answer is on its way."""

    @pytest.mark.parametrize(
        "read",
        [
            lambda stash: stash.get("app"),
            lambda stash: stash.get_many(["app"]),
            lambda stash: stash.get_many(prefix="app"),
            lambda stash: stash.put("app", b"new"),
        ],
    )
    @pytest.mark.parametrize(("concurrency", "times"), [(1, 0), (2, 1), (8, 1)])
    def test_once_and_where_there_is_something_to_wait_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch, read: Any, concurrency: int, times: int
    ) -> None:
        """In a thread that the end of the process waits for: it would be aborted amid the import of native code."""
        ready: list[str] = []

        def prepare() -> None:
            thread = threading.current_thread()
            ready.append(f"{thread.name}, {'daemon' if thread.daemon else 'awaited'}")

        class Preparing(CountingKeys):
            def prepare(self) -> None:
                self.calls.append("prepare")

        class Ready(Between):
            def newest(self, name: str) -> Sequence[Item]:
                assert "prepare" in keys.calls or not times
                return super().newest(name)

            def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
                assert "prepare" in keys.calls or not times
                return super().fetch(wanted)

            def heads(self, prefix: str = "") -> Iterator[Item]:
                assert "prepare" in keys.calls or not times
                return super().heads(prefix)

        monkeypatch.setattr(envelope, "prepare", prepare)
        stash = world.fresh(Ready(world.store), keys := Preparing(world.keys, concurrency))
        read(stash)
        read(stash)
        for thread in threading.enumerate():
            if thread.name == "dynastash" and not thread.daemon:
                thread.join()
        assert keys.calls.count("prepare") == times
        assert ready == ["dynastash, awaited"] * times


class TestPrefix:
    """By the beginning of the name."""

    def test_is_a_plain_string(self, world: World) -> None:
        """It may end within a segment; an empty one means all. In the order of bytes: capitals first."""
        stash = world.fresh()
        assert list(stash.get_many(prefix="app/")) == ["app/a", "app/b/deep", "app/c"]
        assert list(stash.get_many(prefix="app")) == ["app", "app/a", "app/b/deep", "app/c", "apple"]
        assert next(iter(stash.get_many(prefix=""))) == "Z"
        assert len(stash.get_many(prefix="")) == 6

    def test_leaves_out_what_is_deleted_or_destroyed(self, world: World) -> None:
        """They were taken away on purpose; an expired one is a failure: somebody still wants it."""
        world.stash.delete("app/a")
        world.stash.destroy("app/c")
        assert list(world.fresh().get_many(prefix="app/")) == ["app/b/deep"]
        soon = from_ms(world.clock.now()) + timedelta(seconds=1)
        world.stash.put("app/x", b"", expires_at=soon)
        world.clock.advance(1)
        with pytest.raises(PartialError) as caught:
            world.fresh().get_many(prefix="app/")
        assert list(caught.value.failures) == ["app/x"]

    def test_does_not_leave_out_what_is_said_to_be_deleted(self, world: World) -> None:
        """Nobody makes a secret vanish from a start-up script by a word in the head."""
        world.edit("app/a", HEAD, state={"S": "deleted"})
        with pytest.raises(PartialError) as caught:
            world.fresh().get_many(prefix="app/")
        assert isinstance(caught.value.failures["app/a"], IntegrityError)

    @pytest.mark.parametrize("seen", [True, False])
    def test_a_listing_that_lags(self, world: World, seen: bool) -> None:
        """The index shows an earlier head: the secret is read again by its name, by those who know more and who do not.

        Whoever does not know more may still get the earlier version, if that is whole.
        """
        lagging = Lagging(world.store)
        stash = world.stash if seen else world.fresh()
        world.stash.put("app/a", b"newer")
        stash._reader.store = lagging
        found = stash.get_many(prefix="app/")
        assert found["app/a"].value == (b"newer" if seen else b"value of app/a")
        assert list(found) == ["app/a", "app/b/deep", "app/c"]

    def test_a_listing_that_lags_behind_an_erasure(self, world: World) -> None:
        """The listed head's version is gone by now: not an error but an earlier moment."""
        world.stash.generate("app/a", Password())
        lagging = Lagging(world.store)
        world.stash.put("app/a", b"newest")
        world.stash.destroy("app/a", [1, 2])
        assert world.fresh(lagging).get_many(prefix="app/a")["app/a"].value == b"newest"

    def test_a_listing_that_lags_behind_a_destruction(self, world: World) -> None:
        """Destroyed since: named, rather than left out in silence."""
        lagging = Lagging(world.store)
        world.stash.destroy("app/a")
        with pytest.raises(PartialError) as caught:
            world.fresh(lagging).get_many(prefix="app/")
        assert {name: type(error) for name, error in caught.value.failures.items()} == {"app/a": SecretDestroyedError}

    def test_a_malformed_head_fails_with_its_name(self, world: World) -> None:
        """As one of the failures; a head whose name is no name fails the listing."""
        world.edit("app/a", HEAD, namespace={"S": "elsewhere"})
        with pytest.raises(PartialError) as caught:
            world.fresh().get_many(prefix="app/")
        assert isinstance(caught.value.failures["app/a"], FormatError)

        class Nameless(Between):
            def heads(self, prefix: str = "") -> Iterator[Item]:
                yield {"name": {"S": "no name"}, "record": {"S": HEAD}}

        with pytest.raises(FormatError):
            world.fresh(Nameless(world.store)).get_many(prefix="app/")

    def test_a_store_that_lists_more_than_it_was_asked_for(self, world: World) -> None:
        """app/'s secrets must not come with somebody else's."""

        class Generous(Between):
            def heads(self, prefix: str = "") -> Iterator[Item]:
                return super().heads("")

        for call in ("get_many", "list"):
            with pytest.raises(IntegrityError, match="outside of the prefix"):
                getattr(world.fresh(Generous(world.store)), call)(prefix="app/")

    def test_a_head_without_current_version_is_its_own_failure(self, world: World) -> None:
        """A first version that is still pending: there is nothing to give out yet."""
        from tests.unit.test_stash_basics import forge_newest

        forge_newest(world, "app/pending", 1, current=None, pending=1)
        with pytest.raises(PartialError) as caught:
            world.fresh().get_many(prefix="app/")
        assert {name: type(error) for name, error in caught.value.failures.items()} == {
            "app/pending": VersionNotFoundError
        }


class Lagging(Between):
    """An index that shows the heads as they were when it was made."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.then = list(inner.heads())

    def heads(self, prefix: str = "") -> Iterator[Item]:
        return (item for item in self.then if str(item["name"]["S"]).startswith(prefix))


class Stopping(GenerateRotator):
    """Leaves its version pending."""

    def set(self, rotation: object) -> None:
        raise RotationError("stopped", step="set")


def heads(store: Any) -> list[Head]:
    """As a listing shows them."""
    return [records.decode_head(item) for item in store.heads()]


class TestList:
    """From heads alone."""

    def test_shows_what_the_heads_say(self, world: World) -> None:
        """State, stages, comment, tags; sorted by bytes."""
        world.stash.put("app/a", b"2", comment="why", tags={"a": "b"})
        world.stash.delete("Z")
        world.stash.destroy("apple")
        listed = {info.name: info for info in world.fresh().list()}
        assert list(listed) == ["Z", "app", "app/a", "app/b/deep", "app/c", "apple"]
        info = listed["app/a"]
        assert (info.current, info.previous, info.pending, info.last) == (2, 1, None, 2)
        assert (info.comment, dict(info.tags), info.state) == ("why", {"a": "b"}, State.ACTIVE)
        assert (listed["Z"].state, listed["apple"].state) == (State.DELETED, State.DESTROYED)
        assert (listed["apple"].current, listed["apple"].last) == (None, 1)
        assert [info.name for info in world.stash.list("app/b")] == ["app/b/deep"]
        with pytest.raises(InvalidNameError):
            world.stash.list("//")

    def test_nothing_is_there_before_the_first_put(self, tmp_path: Path) -> None:
        """An empty list, and no file for it."""
        world = World(tmp_path)
        assert world.stash.list() == []
        assert world.stash.get_many(prefix="") == {}
        assert not world.path.exists()

    def test_verified_checks_every_seal(self, world: World) -> None:
        """What is deleted too; what is destroyed has no seal. Each failure is named."""
        world.stash.delete("Z")
        world.stash.destroy("apple")
        assert [info.name for info in world.fresh().list(verified=True)] == [
            "Z", "app", "app/a", "app/b/deep", "app/c", "apple",
        ]  # fmt: skip
        for name in ("Z", "app", "app/a", "app/c"):
            world.edit(name, HEAD, updated_by={"S": "an attacker"})
        assert world.fresh().list()[0].updated_by == "an attacker"
        with pytest.raises(PartialError) as caught:
            world.fresh().list(verified=True)
        assert {name: type(error) for name, error in caught.value.failures.items()} == dict.fromkeys(
            ("Z", "app", "app/a", "app/c"), IntegrityError
        )
        assert str(caught.value) == "4 of 6 secrets fail verification: Z, app, app/a …"

    def test_verified_shows_the_head_that_was_checked(self, world: World) -> None:
        """Not the listed one, which may lag; destroyed since the listing is no failure."""
        world.stash.put("app/c", b"2")
        with pytest.raises(RotationError):
            world.stash.rotate("app/c", Stopping(Password()))
        lagging = Lagging(world.store)
        world.stash.put("app/a", b"2")
        world.stash.destroy("app/c")
        listed = {info.name: info for info in world.fresh(lagging).list("app/", verified=True)}
        assert listed["app/a"].current == 2
        gone = listed["app/c"]
        assert (gone.state, gone.current, gone.previous, gone.pending) == (State.DESTROYED, None, None, None)
        (head,) = listing.verified(world.fresh()._reader, [head for head in heads(lagging) if head.name == "app/c"])
        assert head.seal is None

    def test_a_malformed_head_is_named(self, world: World) -> None:
        """Whoever has to mend it must know which."""
        world.edit("app/a", HEAD, last={"S": "1"})
        with pytest.raises(FormatError, match=r"the head of app/a is malformed: last: "):
            world.fresh().list()
        assert [info.name for info in world.fresh().list("app/b")] == ["app/b/deep"]

    def test_a_head_of_a_later_release_is_named_too(self, world: World) -> None:
        """It said only that some record is of a format that this release does not know."""
        world.edit("app/a", HEAD, format={"N": "2"})
        with pytest.raises(UnsupportedFormatError, match=r"the head of app/a: .* of format 2") as caught:
            world.fresh().list()
        assert caught.value.hint == "upgrade dynastash"


class TestHistory:
    """Every version, oldest first."""

    def test_shows_stages_and_what_is_left_of_destroyed_versions(self, world: World) -> None:
        """When, by whom; and which are deleted."""
        for value in ("2", "3", "4"):
            world.stash.put("Z", value, comment=f"comment {value}")
        world.stash.destroy("Z", [2])
        world.stash.delete("Z", 1)
        history = world.fresh().history("Z")
        assert [(version.number, version.stages, version.disabled) for version in history] == [
            (1, (), True), (2, (), False), (3, ("previous",), False), (4, ("current",), False),
        ]  # fmt: skip
        assert [version.comment for version in history] == [None, None, "comment 3", "comment 4"]
        assert (history[1].destroyed_at, history[1].destroyed_by) == (from_ms(world.clock.now()), "test:somebody")

    def test_of_a_destroyed_secret(self, world: World) -> None:
        """Its tombstone is there for good."""
        world.stash.destroy("Z")
        (version,) = world.fresh().history("Z")
        assert (version.number, version.destroyed_by) == (1, "test:somebody")

    def test_is_of_the_moment_of_its_head(self, world: World) -> None:
        """A version that comes between the two reads is not shown, and is no error."""

        class Busy(Between):
            def history(self, name: str) -> Iterator[Item]:
                world.stash.put("Z", b"newer")
                return super().history(name)

        store = CountingStore(Busy(world.store))
        (version,) = world.fresh(store).history("Z")
        assert (version.number, version.stages) == (1, ("current",))
        assert store.calls == ["fetch", "history"]

    def test_asks_for_no_version_by_key(self, world: World) -> None:
        """What the protocol calls history is all it reads of them."""
        store = CountingStore(world.store)
        world.fresh(store).history("Z")
        assert store.fetched == [HEAD]
