"""The cache against what it may serve, by every order of requests, rotations, failures, invalidations and time.

The model knows when each version was read. A value that is served must have been read within its time, or else within
the limit of staleness after nobody answered; never from before an invalidation or a denial.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dynastash.cache.failures import passing
from dynastash.errors import (
    DynastashError,
    IntegrityError,
    KeyAccessDeniedError,
    KeyUnreachableError,
    PartialError,
    SecretDeletedError,
    StoreUnavailableError,
)
from tests.unit.cache_kit import World, inline

TTL = 100.0
MAX_STALE = 50.0
NAMES = ("app1/a", "app1/b", "app2/c")
QUIET = 30.0
FAILURES = {
    "denied": KeyAccessDeniedError("denied"),
    "deleted": SecretDeletedError("deleted"),
    "forged": IntegrityError("forged"),
    "key": KeyUnreachableError("out of reach"),
    "throttled": StoreUnavailableError("throttled"),
}


@dataclass
class Reading:
    """What the source answered about a name: a version, or a failure."""

    at: float
    number: int | None
    error: DynastashError | None


class CacheMachine(RuleBasedStateMachine):
    """Requests against the model."""

    refresh_ahead = True

    def __init__(self) -> None:
        super().__init__()
        self.world = inline(World(*NAMES, ttl=TTL, max_stale=MAX_STALE, refresh_ahead=self.refresh_ahead))
        self.readings: dict[str, list[Reading]] = {name: [] for name in NAMES}
        answer = self.world.source._answer

        def recorded(*asked: object, names: list[str] | None = None) -> object:
            wanted = names if names is not None else [str(asked[0])] if len(asked) == 1 else []
            at = self.now
            try:
                found = answer(*asked, names=names)
            except DynastashError as error:
                for name in wanted:
                    own = error.failures.get(name) if isinstance(error, PartialError) else error
                    if own is not None:
                        self.readings[name].append(Reading(at, None, own))
                raise
            for name, secret in found.items():
                self.readings[name].append(Reading(at, secret.number, None))
            return found

        self.world.source._answer = recorded  # type: ignore[assignment, method-assign]

    @property
    def now(self) -> float:
        return self.world.clock.monotonic()

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0, 60.0, 74.0, 96.0, 100.0, 149.0, 150.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(name=st.sampled_from(NAMES))
    def rotate(self, name: str) -> None:
        self.world.source.rotate(name)

    @rule(name=st.sampled_from(NAMES), failure=st.sampled_from([None, *FAILURES]))
    def fail(self, name: str, failure: str | None) -> None:
        if failure is None:
            self.world.source.failures.pop(name, None)
        else:
            self.world.source.failures[name] = FAILURES[failure]

    @rule(name=st.sampled_from(NAMES))
    def get(self, name: str) -> None:
        known = {name: len(self.readings[name])}
        try:
            found = self.world.cache.get(name)
        except DynastashError as error:
            self.refused(name, error)
        else:
            self.served(name, found.number, known)

    @rule(names=st.lists(st.sampled_from(NAMES), unique=True))
    def get_many(self, names: list[str]) -> None:
        self.several(names, lambda: self.world.cache.get_many(names))

    @rule(prefix=st.sampled_from(["", "app1/"]))
    def get_prefix(self, prefix: str) -> None:
        names = [name for name in NAMES if name.startswith(prefix)]
        try:
            found = self.world.cache.get_many(prefix=prefix)
        except DynastashError:
            return  # what a prefix keeps is kept as a whole: the single names say nothing of it
        assert list(found) == names
        for name in names:
            self.allowed(name, found[name].number)

    @rule(name=st.sampled_from(NAMES))
    def invalidate(self, name: str) -> None:
        self.world.cache.invalidate(name)
        self.readings[name].clear()

    @rule(name=st.sampled_from(NAMES))
    def refuse_newest(self, name: str) -> None:
        """A login failed with the version that the source has now: only what is newer may be served."""
        number = self.world.source.secrets[name].number
        self.world.cache.invalidate(name, version=number)
        self.readings[name] = [reading for reading in self.readings[name] if reading.number is None]

    @rule()
    def clear(self) -> None:
        self.world.cache.clear()
        for readings in self.readings.values():
            readings.clear()

    def several(self, names: list[str], ask: object) -> None:
        known = {name: len(self.readings[name]) for name in names}
        try:
            found = ask()  # type: ignore[operator]
        except PartialError as error:
            assert set(error.failures) <= set(names)
            for name, failure in error.failures.items():
                self.refused(name, failure)
        except DynastashError as error:
            assert passing(error)
        else:
            assert list(found) == names
            for name in names:
                self.served(name, found[name].number, known)

    def usable(self, name: str) -> list[Reading]:
        """Readings that are not denied since."""
        usable: list[Reading] = []
        for reading in self.readings[name]:
            if reading.error is not None and not passing(reading.error):
                usable = []
            elif reading.error is None:
                usable.append(reading)
        return usable

    def allowed(self, name: str, number: int) -> None:
        """The value was read, and is not older than it may be."""
        read = [reading.at for reading in self.usable(name) if reading.number == number]
        assert read, f"version {number} of {name} was invalidated, denied or never read"
        age = self.now - max(read)
        assert age < TTL + MAX_STALE
        if age >= TTL:
            assert any(
                reading.error is not None and passing(reading.error) and self.now - reading.at < QUIET
                for readings in self.readings.values()  # a prefix is refused for any of its secrets
                for reading in readings
            ), f"{name} is {age} s old, and nobody failed to answer"

    def served(self, name: str, number: int, known: dict[str, int]) -> None:
        self.allowed(name, number)
        before = self.readings[name][: known[name]]
        if len(self.readings[name]) > known[name] and before and before[-1].number is not None:
            assert self.now - before[-1].at >= 0.75 * TTL, "it was read again too early"

    def refused(self, name: str, error: DynastashError) -> None:
        if passing(error):
            assert all(self.now - reading.at >= TTL + MAX_STALE for reading in self.usable(name)), (
                "an older value could have stood in"
            )
        else:
            assert error is not self.world.source.failures.get(name)
            assert str(error) == str(self.world.source.failures[name])

    @invariant()
    def nothing_is_left_over(self) -> None:
        engine = self.world.cache._engine
        assert engine._flights == {}
        assert engine._entries.bytes == sum(entry.size for entry in engine._entries)


class WithoutRefreshAhead(CacheMachine):
    refresh_ahead = False


TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCacheWithoutRefreshAhead = WithoutRefreshAhead.TestCase
TestCacheWithoutRefreshAhead.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
