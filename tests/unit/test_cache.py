"""What the cache serves, for how long, and what it forgets; by one thread and a clock that moves when told to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dynastash.cache.caching import CachingStash
from dynastash.cache.failures import passing
from dynastash.errors import (
    ContextMismatchError,
    CredentialsError,
    DynastashError,
    ExpiredError,
    FormatError,
    IntegrityError,
    InvalidArgumentError,
    InvalidNameError,
    KeyAccessDeniedError,
    KeyUnavailableError,
    KeyUnreachableError,
    PartialError,
    RollbackError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    StoreAccessDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreUnavailableError,
    UntrustedKeyError,
    VersionNotFoundError,
)
from dynastash.models import Stage
from tests.unit.cache_kit import NAME, World, inline
from tests.unit.stash_kit import World as StashWorld

PASSING = [StoreUnavailableError("throttled"), KeyUnreachableError("out of reach")]
ANSWERS = [
    StoreAccessDeniedError("denied"),
    KeyAccessDeniedError("denied"),
    CredentialsError("expired credentials"),
    KeyUnavailableError("the key is disabled"),
    StoreNotFoundError("no table"),
    StoreError("malformed answer"),
    SecretNotFoundError("gone"),
    SecretDeletedError("deleted"),
    SecretDestroyedError("destroyed"),
    ExpiredError("expired"),
    IntegrityError("forged"),
    FormatError("malformed"),
    RollbackError("earlier state"),
    ContextMismatchError("moved"),
    UntrustedKeyError("a stranger's"),
]


class TestTime:
    """How old a value may get."""

    def test_a_value_is_read_once_within_its_time(self) -> None:
        """And read again behind it; ``refresh_ahead`` off, so at the latest moment there is."""
        world = World(refresh_ahead=False)
        for _ in range(5):
            assert world.cache.get(NAME).number == 1
            world.clock.advance(10)
        assert world.calls == [NAME]
        world.source.rotate(NAME)
        world.clock.advance(50)
        assert world.cache.get(NAME).number == 2

    def test_time_counts_from_before_the_reading(self) -> None:
        """What took long to read is that much older: it was true when the reading began."""
        world = World(refresh_ahead=False, max_stale=0)
        slow = world.source._answer

        def answer(*asked: object, **more: Any) -> Any:
            found = slow(*asked, **more)
            world.clock.advance(90)
            return found

        world.source._answer = answer  # type: ignore[method-assign]
        world.cache.get(NAME)
        world.clock.advance(10)
        world.cache.get(NAME)
        assert len(world.calls) == 2

    def test_a_machine_that_slept_does_not_stop_time(self) -> None:
        """The monotonic clock stands still in a frozen function; the wall clock knows better."""
        world = World(max_stale=0)
        world.cache.get(NAME)
        world.clock._now += 100_001
        world.source.rotate(NAME)
        assert world.cache.get(NAME).number == 2

    def test_a_wall_clock_set_back_does_not_lengthen_time(self) -> None:
        """The monotonic clock does not go back."""
        world = World(max_stale=0)
        world.cache.get(NAME)
        world.clock._now -= 3_600_000
        world.clock.advance(100)
        world.source.rotate(NAME)
        assert world.cache.get(NAME).number == 2

    def test_a_value_expires_while_it_is_kept(self) -> None:
        """Its own ``expires_at`` ends it, whatever time to live is left, and whatever cannot be reached."""
        world = World()
        expires = datetime.fromtimestamp(world.clock.now() / 1000 + 20, UTC)
        world.source.rotate(NAME, expires_at=expires)
        assert world.cache.get(NAME).number == 2
        world.clock.advance(19)
        assert world.cache.get(NAME).number == 2
        world.clock.advance(1)
        world.source.failures[NAME] = ExpiredError("expired")
        with pytest.raises(ExpiredError):
            world.cache.get(NAME)
        world.source.failures[NAME] = StoreUnavailableError("out of reach")
        with pytest.raises(StoreUnavailableError):
            world.cache.get(NAME)

    def test_it_is_read_ahead_behind_the_callers_back(self) -> None:
        """Between three quarters and nineteen twentieths of its time, at a moment drawn by lot for each process."""
        moments = set()
        for _ in range(20):
            world = inline(World())
            world.cache.get(NAME)
            world.source.rotate(NAME)
            for second in range(1, 100):
                world.clock.advance(1)
                number = world.cache.get(NAME).number
                if world.cache.statistics().refreshes:
                    assert number == 1, "the caller who sets it off is not kept waiting"
                    assert world.cache.get(NAME).number == 2
                    moments.add(second)
                    break
            assert world.cache.statistics().misses == 1
        assert min(moments) >= 75
        assert max(moments) <= 95
        assert len(moments) > 3

    def test_without_reading_ahead_there_is_no_thread(self) -> None:
        """Nor with it, before the first time; and none is left behind."""
        for ahead in (False, True):
            world = World(refresh_ahead=ahead, max_stale=0)
            before = threading.active_count()
            world.cache.get(NAME)
            world.clock.advance(70)
            world.cache.get(NAME)
            world.clock.advance(100)
            world.cache.get(NAME)
            assert threading.active_count() == before


class TestErrors:
    """When an older value stands in (docs/adr/0015)."""

    @pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
    def test_nobody_answered(self, error: DynastashError) -> None:
        """The old value stands in, up to its limit, and then the error is told."""
        world = inline(World())
        world.cache.get(NAME)
        world.source.failing = error
        world.clock.advance(149)
        assert world.cache.get(NAME).number == 1
        assert world.cache.statistics().stale == 1
        world.clock.advance(1)
        with pytest.raises(type(error), match=str(error)):
            world.cache.get(NAME)
        assert world.cache.statistics().entries == 0

    @pytest.mark.parametrize("error", ANSWERS, ids=lambda error: type(error).__name__)
    def test_no_is_an_answer(self, error: DynastashError) -> None:
        """It is told at once, and everything of the secret is forgotten: a later silence does not bring it back."""
        world = inline(World(NAME, "other"))
        for stage in (None, "previous"):
            world.cache.get(NAME, stage=stage)
        world.cache.get(NAME, version=1)
        world.cache.get_many(prefix="app1/")
        world.cache.get("other")
        world.source.failures[NAME] = error
        world.clock.advance(101)
        with pytest.raises(type(error), match=str(error)):
            world.cache.get(NAME)
        assert world.cache.statistics().entries == 1
        world.source.failures[NAME] = StoreUnavailableError("out of reach")
        for version in (None, 1):
            with pytest.raises(StoreUnavailableError):
                world.cache.get(NAME, version=version)

    def test_a_version_that_is_missing_says_nothing_of_the_others(self) -> None:
        """Whoever asks for version 99 does not cost everybody else a reading."""
        world = inline(World())
        world.cache.get(NAME)
        world.source.failures[NAME] = VersionNotFoundError("no version 99")
        with pytest.raises(VersionNotFoundError):
            world.cache.get(NAME, version=99)
        assert world.cache.get(NAME).number == 1

    def test_behind_the_callers_back_no_is_an_answer_too(self) -> None:
        """The reading ahead that is denied ends the value at once, before its time."""
        world = inline(World())
        world.cache.get(NAME)
        world.source.failures[NAME] = StoreAccessDeniedError("denied")
        world.clock.advance(96)
        world.cache.get(NAME)
        with pytest.raises(StoreAccessDeniedError):
            world.cache.get(NAME)

    def test_after_a_failure_nobody_asks_for_a_moment(self) -> None:
        """A thousand requests during an outage are a few readings, further and further apart."""
        world = inline(World(max_stale=1000.0))
        world.cache.get(NAME)
        world.source.failing = StoreUnavailableError("throttled")
        world.clock.advance(100)
        assert world.calls == [NAME]
        for _ in range(1000):
            world.cache.get(NAME)
            world.clock.advance(0.1)
        assert 5 <= len(world.calls) <= 14
        assert world.cache.statistics().stale == 1000
        world.source.failing = None
        world.clock.advance(30)
        world.source.rotate(NAME)
        assert world.cache.get(NAME).number == 2

    def test_with_no_staleness_allowed_the_error_is_told(self) -> None:
        """``max_stale=0``."""
        world = inline(World(max_stale=0))
        world.cache.get(NAME)
        world.source.failing = StoreUnavailableError("throttled")
        world.clock.advance(99.999)
        assert world.cache.get(NAME).number == 1
        world.clock.advance(0.001)
        with pytest.raises(StoreUnavailableError):
            world.cache.get(NAME)

    def test_that_there_is_none_is_not_kept(self) -> None:
        """A secret that is put a moment later is there."""
        world = World(NAME)
        with pytest.raises(SecretNotFoundError):
            world.cache.get("app1/new")
        with pytest.raises(PartialError):
            world.cache.get_many([NAME, "app1/new"])
        assert world.cache.get_many(prefix="app2/") == {}
        world.source.rotate("app1/new")
        world.source.rotate("app2/new")
        assert world.cache.get("app1/new").number == 1
        assert set(world.cache.get_many(prefix="app2/")) == {"app2/new"}

    def test_a_defect_is_told_and_nobody_waits_for_ever(self) -> None:
        """What is no error of ours comes out as it is, also where an old value would do; then all is well again."""
        world = inline(World())
        world.source.failing = ZeroDivisionError()
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                world.cache.get(NAME)
        world.source.failing = None
        world.cache.get(NAME)
        world.source.failing = ZeroDivisionError()
        world.clock.advance(101)
        with pytest.raises(ZeroDivisionError):
            world.cache.get_many([NAME])

    def test_several_failures_pass_if_each_does(self) -> None:
        """One no among them is a no."""
        assert passing(PartialError("p", {"a": PASSING[0], "b": PASSING[1]}))
        assert not passing(PartialError("p", {"a": PASSING[0], "b": ANSWERS[0]}))
        assert not passing(PartialError("p", {}))
        assert not any(map(passing, ANSWERS))


class TestInvalidate:
    """The moment when a login fails."""

    def test_the_next_reading_is_new(self) -> None:
        """Of current, stages, versions and prefixes alike; not of other secrets."""
        world = World(NAME, "other")
        for ask in (_current, _previous, _under, _one):
            ask(world)
        world.cache.get("other")
        assert len(world.calls) == 5
        world.cache.invalidate(NAME)
        for ask in (_current, _previous, _under, _one):
            ask(world)
        assert world.cache.get("other").number == 1
        assert len(world.calls) == 4

    def test_only_what_was_refused(self) -> None:
        """Another caller has read the new version already: it stays."""
        world = World()
        world.cache.get(NAME, version=1)
        refused = world.cache.get(NAME)
        world.source.rotate(NAME)
        world.cache.invalidate(NAME, version=refused.number)
        assert world.cache.get(NAME).number == 2
        world.cache.invalidate(NAME, version=refused.number)
        assert world.cache.get(NAME).number == 2
        world.cache.get(NAME, version=1)
        assert world.calls == [(NAME, 1, None), NAME, NAME]

    def test_clear_forgets_everything(self) -> None:
        """Whatever it is."""
        world = World(NAME, "other")
        _current(world)
        _under(world)
        world.cache.get("other")
        world.cache.clear()
        assert world.cache.statistics().entries == world.cache.statistics().bytes == 0

    @pytest.mark.parametrize("name", ["", "../up", None])
    def test_a_name_that_is_none_is_refused(self, name: Any) -> None:
        """Instead of forgetting nothing."""
        with pytest.raises(InvalidNameError):
            World().cache.invalidate(name)


def _current(world: World) -> object:
    return world.cache.get(NAME)


def _previous(world: World) -> object:
    return world.cache.get(NAME, stage=Stage.PREVIOUS)


def _under(world: World) -> object:
    return world.cache.get_many(prefix="app1/")


def _one(world: World) -> object:
    return world.cache.get(NAME, version=1)


class TestQuestions:
    """What may be asked, and what counts as the same question."""

    def test_versions_and_stages_are_kept_each_for_itself(self) -> None:
        """And ``current`` is the same as none."""
        world = World()
        for _ in range(2):
            for question in (
                {},
                {"stage": "current"},
                {"stage": Stage.PREVIOUS},
                {"stage": "previous"},
                {"version": 1},
            ):
                world.cache.get(NAME, **question)  # type: ignore[arg-type]
        assert world.calls == [NAME, (NAME, None, "previous"), (NAME, 1, None)]

    @pytest.mark.parametrize(
        ("question", "error"),
        [
            ({"version": True}, InvalidArgumentError),
            ({"version": 0}, InvalidArgumentError),
            ({"version": 1, "stage": "previous"}, InvalidArgumentError),
            ({"stage": "newest"}, InvalidArgumentError),
            ({"stage": ""}, InvalidArgumentError),
            ({"min_version": 0}, InvalidArgumentError),
        ],
    )
    def test_nonsense_is_refused(self, question: dict[str, Any], error: type[Exception]) -> None:
        """Also where something that is equal in Python is kept."""
        world = World()
        world.cache.get(NAME, version=1)
        with pytest.raises(error):
            world.cache.get(NAME, **question)
        with pytest.raises(InvalidNameError):
            world.cache.get(["not", "a", "name"])  # type: ignore[arg-type]
        for names, prefix in ((None, None), ([NAME], ""), (NAME, None)):
            with pytest.raises(InvalidArgumentError):
                world.cache.get_many(names, prefix=prefix)

    def test_a_version_that_is_too_low_is_read_again(self) -> None:
        """And refused if it stays so; what is kept is forgotten then."""
        world = World()
        world.cache.get(NAME)
        world.source.rotate(NAME)
        assert world.cache.get(NAME, min_version=1).number == 1
        assert world.cache.get(NAME, min_version=2).number == 2
        assert len(world.calls) == 2
        with pytest.raises(RollbackError, match="is at version 2, and version 3"):
            world.cache.get(NAME, min_version=3)
        assert world.cache.statistics().entries == 0
        assert world.cache.get(NAME, version=1, min_version=2).number == 1
        assert world.cache.statistics().entries == 0

    def test_many_are_one_batch_of_what_is_missing(self) -> None:
        """In the order of the names."""
        names = [f"n{number}" for number in range(5)]
        world = World(*names)
        world.cache.get("n3")
        assert list(world.cache.get_many([*reversed(names), "n0"])) == list(reversed(names))
        assert world.calls == ["n3", ("n4", "n2", "n1", "n0")]
        world.cache.get_many(names)
        assert world.cache.get_many([]) == {}
        assert world.calls == []

    def test_many_stand_in_for_each_other_not_at_all(self) -> None:
        """Two of three cannot be reached: one is kept and stands in, the other is not, and all are refused."""
        world = inline(World("a", "b", "c"))
        world.cache.get_many(["a", "b"])
        world.clock.advance(120)
        world.source.failures = {name: KeyUnreachableError("out of reach") for name in "bc"}
        assert set(world.cache.get_many(["a", "b"])) == {"a", "b"}
        with pytest.raises(PartialError) as caught:
            world.cache.get_many(["a", "b", "c"])
        assert set(caught.value.failures) == {"c"}
        world.source.failures["b"] = KeyAccessDeniedError("denied")
        world.clock.advance(20)
        with pytest.raises(PartialError) as caught:
            world.cache.get_many(["a", "b"])
        assert set(caught.value.failures) == {"b"}

    def test_a_store_that_fails_as_a_whole_says_so(self) -> None:
        """As the stash does it: by its own error."""
        world = World("a", "b")
        world.source.failing = StoreUnavailableError("out of reach")
        with pytest.raises(StoreUnavailableError):
            world.cache.get_many(["a", "b"])

    def test_references_are_answered_from_what_is_kept(self, tmp_path: Path) -> None:
        """In one batch what is missing, a value once for all of its fields; errors as the stash tells them."""
        stash = StashWorld(tmp_path).stash
        stash.put("a", '{"user": "u", "port": 1}')
        stash.put("b", "one")
        stash.put("b", "two")
        cache = CachingStash(stash)
        wanted = ["a#user", "a#port", "b", "b@1", "b@previous"]
        for _ in range(2):
            found = cache.resolve(wanted)
            assert found == stash.resolve(wanted)
            assert [secret.text for secret in found.values()] == ["u", "1", "two", "one", "one"]
        assert cache.statistics().fetches == 3
        for bad in (["a#pass"], ["a#pass", "b"], ["c", "b@9", "a"], ["c@1"], "a", ["no name"]):
            with pytest.raises(DynastashError) as theirs:
                stash.resolve(bad)
            with pytest.raises(type(theirs.value)) as ours:
                cache.resolve(bad)
            assert (str(ours.value), ours.value.hint) == (str(theirs.value), theirs.value.hint)

    def test_a_prefix_fills_in_its_secrets(self) -> None:
        """They need not be read one by one afterwards; what was read later by itself is not put back."""
        world = World("app1/a", "app1/b")
        assert set(world.cache.get_many(prefix="app1/")) == {"app1/a", "app1/b"}
        world.cache.get_many(["app1/b", "app1/a"])
        assert world.calls == ["app1/*"]

    def test_a_prefix_with_a_secret_that_is_denied(self) -> None:
        """All or nothing, and the secret is forgotten."""
        world = World("app1/a", "app1/b")
        world.cache.get_many(prefix="app1/")
        world.source.failures["app1/a"] = KeyAccessDeniedError("denied")
        world.clock.advance(101)
        with pytest.raises(PartialError):
            world.cache.get_many(prefix="app1/")
        assert world.cache.statistics().entries == 1


class TestBounds:
    """How much is kept."""

    def test_the_least_recently_used_goes_first(self) -> None:
        """By number of entries."""
        world = World("a", "b", "c", max_entries=2)
        for name in ("a", "b", "a", "c", "a"):
            world.cache.get(name)
        assert world.calls == ["a", "b", "c"]
        world.cache.get("b")
        assert world.calls == ["b"]
        assert world.cache.statistics().evictions == 2
        assert world.cache.statistics().entries == 2

    def test_by_bytes_too(self) -> None:
        """And what is larger than all the room is served and not kept."""
        world = World("a", "b", "c", max_bytes=250)
        for name in "abc":
            world.source.rotate(name, size=100)
            world.cache.get(name)
        assert (world.cache.statistics().entries, world.cache.statistics().bytes) == (2, 200)
        world.source.rotate("a", size=251)
        world.cache.invalidate("a")
        assert world.cache.get("a").number == 3
        assert world.cache.statistics().bytes == 200

    def test_what_nobody_can_get_any_more_is_not_kept(self) -> None:
        """Values beyond all their limits leave the memory when another one comes."""
        world = World("a", "b")
        world.cache.get("a")
        world.clock.advance(150)
        world.cache.get("b")
        assert world.cache.statistics().entries == 1

    @pytest.mark.parametrize(
        "limit",
        [{"ttl": 0}, {"ttl": -1}, {"ttl": float("nan")}, {"max_stale": -1}, {"max_wait": -1}, {"max_entries": 0}],
    )
    def test_impossible_limits_are_refused(self, limit: dict[str, Any]) -> None:
        """When the cache is made."""
        with pytest.raises(InvalidArgumentError):
            World(**limit)


def test_no_repr_shows_a_value() -> None:
    """Nor do the statistics."""
    world = World()
    found = world.cache.get(NAME)
    engine = world.cache._engine
    for shown in (world.cache, world.cache.statistics(), *engine._entries, engine):
        assert found.text not in repr(shown)
    assert repr(world.cache) == "<CachingStash prod: memory, 1 kept>"


def test_each_request_counts_once() -> None:
    """Hits, misses and stale ones add up to the requests."""
    world = inline(World())
    for _ in range(3):
        world.cache.get(NAME)
    world.source.failing = StoreUnavailableError("out of reach")
    world.clock.advance(101)
    world.cache.get(NAME)
    world.cache.get(NAME)
    world.clock.advance(101)
    with pytest.raises(StoreUnavailableError):
        world.cache.get(NAME)
    found = world.cache.statistics()
    assert (found.hits, found.misses, found.stale) == (2, 2, 2)
    assert (found.fetches, found.failures, found.refreshes) == (3, 2, 0)


class TestRetryOn:
    """Logging in again with the new value."""

    class Refused(Exception):
        """What a database driver raises."""

    def test_a_rotation_goes_unnoticed(self) -> None:
        """The first call has the old value, the second the new one; the arguments are the same."""
        world = World()
        world.cache.get(NAME)
        world.source.rotate(NAME)
        tried: list[tuple[int, str, int]] = []

        @world.cache.retry_on(self.Refused, NAME)
        def login(secret: Any, host: str, *, port: int) -> str:
            """Log in."""
            tried.append((secret.number, host, port))
            if secret.number < 2:
                raise self.Refused
            return "connected"

        assert login("db", port=5432) == "connected"
        assert tried == [(1, "db", 5432), (2, "db", 5432)]
        assert (login.__name__, login.__doc__) == ("login", "Log in.")

    def test_a_refused_value_is_not_tried_twice(self) -> None:
        """No newer version comes: the function's own error is raised, after one call, and the patience is kept."""
        world = World()
        calls: list[int] = []

        @world.cache.retry_on((self.Refused, OSError), NAME, patience=2.0)
        def login(secret: Any) -> None:
            calls.append(secret.number)
            raise self.Refused("login failed")

        with pytest.raises(self.Refused, match="login failed"):
            login()
        assert calls == [1]
        assert 1.0 <= sum(world.clock.slept) <= 2.0
        assert world.cache.get(NAME).number == 1

    def test_it_waits_for_a_rotation_to_finish(self) -> None:
        """The target system has the new value a moment before it becomes current."""
        world = World()
        sleep = world.clock.sleep

        def meanwhile(seconds: float) -> None:
            sleep(seconds)
            if len(world.clock.slept) == 3:
                world.source.rotate(NAME)

        world.clock.sleep = meanwhile  # type: ignore[method-assign]

        @world.cache.retry_on(self.Refused, NAME, patience=60.0)
        def login(secret: Any) -> int:
            if secret.number < 2:
                raise self.Refused
            return int(secret.number)

        assert login() == 2

    def test_it_is_called_at_most_twice(self) -> None:
        """Also where the newer value is refused as well; and other errors are not ours to judge."""
        world = World()
        calls: list[int] = []

        @world.cache.retry_on(self.Refused, NAME)
        def login(secret: Any, error: type[Exception]) -> None:
            calls.append(secret.number)
            world.source.rotate(NAME)
            raise error

        with pytest.raises(self.Refused):
            login(self.Refused)
        assert calls == [1, 2]
        with pytest.raises(ZeroDivisionError):
            login(ZeroDivisionError)
        assert len(calls) == 3

    def test_methods_get_it_as_a_keyword(self) -> None:
        """``into``; several secrets by several decorators."""
        cache = World("user", "password").cache

        class Pool:
            @cache.retry_on(self.Refused, "user", into="user")
            @cache.retry_on(self.Refused, "password", into="password")
            def login(self, host: str, *, user: Any, password: Any) -> tuple[str, str, str]:
                return host, user.name, password.name

        assert Pool().login("db") == ("db", "user", "password")

    def test_a_coroutine_function_is_refused(self) -> None:
        """It would block the event loop; the hint names the other one."""

        async def login(secret: Any) -> None: ...

        with pytest.raises(InvalidArgumentError) as caught:
            World().cache.retry_on(self.Refused, NAME)(login)
        assert "AsyncStash" in str(caught.value.hint)
        with pytest.raises(InvalidNameError):
            World().cache.retry_on(self.Refused, "no name")


def test_it_is_what_the_package_calls_so() -> None:
    """The public name."""
    import dynastash

    assert dynastash.CachingStash is CachingStash
