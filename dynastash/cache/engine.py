"""The rules of the cache, without waiting: what is served, what is read again, what is kept and what is forgotten.

Every method returns at once, apart from :meth:`Engine.fly` and :meth:`Engine.fly_together`, which read from the stash.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from dynastash.cache.background import Background
from dynastash.cache.entries import Entries, Entry, Key, Moment
from dynastash.cache.failures import concerns_one_version, passing
from dynastash.cache.flights import Abandoned, Flight
from dynastash.cache.forking import take_part
from dynastash.clock import Clock
from dynastash.errors import DynastashError, PartialError
from dynastash.models import Secret

_EARLIEST: Final = 0.75
_LATEST: Final = 0.95
"""The part of its time to live after which an entry is read again, drawn anew each time, so that the processes of a
fleet which started at one moment do not go on asking at one moment."""
_QUIET: Final = (1.0, 30.0)
"""Seconds without another attempt after the first failure, doubling, and at most."""
_JITTER: Final = random.SystemRandom()  # a generator with a state would go on alike in every forked child


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds and sizes; :class:`~dynastash.cache.caching.CachingStash` documents them."""

    ttl: float
    max_stale: float
    max_wait: float
    max_entries: int
    max_bytes: int
    refresh_ahead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a cache has done since it was made, or since this process was forked; the last two are what it holds now.

    A request is a *hit* where it was answered with a value within its time to live, *stale* where it got an older one
    because a reading failed or did not end, and otherwise a *miss*. ``fetches`` are readings from the stash, a batch
    counting as one; ``refreshes`` are those among them that were made ahead of time, ``failures`` those that failed.
    ``evictions`` are entries that had to make room.
    """

    hits: int = 0
    misses: int = 0
    stale: int = 0
    fetches: int = 0
    refreshes: int = 0
    failures: int = 0
    evictions: int = 0
    entries: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """Nothing fresh was there. ``lead``: the caller has to see to it that ``flight`` is flown.

    ``stale`` may stand in if it fails. ``at`` is when the question was asked, ``invalidations`` how many there were.
    """

    flight: Flight
    lead: bool
    stale: Entry | None
    at: Moment
    invalidations: int


class Engine:
    """Entries and flights under one lock, which is never held while anything is read. Survives forks."""

    def __init__(self, fetch: Callable[[Key], Sequence[Secret]], clock: Clock, limits: Limits) -> None:
        self.background = Background()
        self.clock = clock
        self.limits = limits
        self._fetch = fetch
        self._lock = threading.Lock()
        self._entries = Entries(limits.max_entries, limits.max_bytes)
        self._flights: dict[Key, Flight] = {}
        self._invalidations = 0
        self._counts: dict[str, int] = {}
        take_part(self)

    def look(self, key: Key) -> tuple[Secret, ...] | Claim:
        """What is kept, if it may be served without asking; else a claim on a flight."""
        now = Moment.of(self.clock)
        with self._lock:
            entry = self._alive(key, now)
            if entry is None:
                return self._claim(key, now, None)
            age = now.since(entry.at)
            in_time = age < self.limits.ttl
            # After a failure nobody tries again for a moment, and nobody waits.
            if age < entry.renew_after or now.monotonic < entry.quiet_until:
                self._count("hits" if in_time else "stale")
                return entry.secrets
            if not in_time or not self.limits.refresh_ahead:
                return self._claim(key, now, entry)
            self._count("hits")
            if key in self._flights:
                return entry.secrets
            self._count("refreshes")
            renewal = self._take_off(key, now)
        self.background.submit(partial(self.fly, renewal))
        return entry.secrets

    def fly(self, flight: Flight) -> None:
        """Read what ``flight`` is for and let everybody have it. Raises only what is no :class:`DynastashError`."""
        self.fly_together([flight], lambda: {flight.key: tuple(self._fetch(flight.key))})

    def fly_together(self, flights: Sequence[Flight], read: Callable[[], Mapping[Key, tuple[Secret, ...]]]) -> None:
        """As :meth:`fly`, for several that ``read`` reads at once."""
        self.count("fetches")
        try:
            found = read()
            landed = [(flight, found[flight.key]) for flight in flights]
        except DynastashError as error:
            self.count("failures")
            for flight in flights:
                self._failed(flight, error)
        except BaseException:
            for flight in flights:
                self.abandon(flight)
            raise
        else:
            for flight, secrets in landed:
                self._landed(flight, secrets)

    def aside(self, key: Key) -> Claim:
        """A claim on a flight that nobody else will join, and whose catch is not kept."""
        now = Moment.of(self.clock)
        flight = Flight(key, now)
        flight.void = True
        return Claim(flight, True, None, now, self._invalidations)

    def abandon(self, flight: Flight) -> None:
        """Let nobody wait for a flight that will not be flown."""
        self._settle(flight, Abandoned())

    def accepts(self, flight: Flight, asked: Claim) -> bool:
        """Whether what ``flight`` brought answers a question that was first asked with the claim ``asked``."""
        return asked.at.since(flight.at) < self.limits.ttl and (
            asked.invalidations < flight.floor_since or flight.reaches_floor()
        )

    def stands_in(self, entry: Entry) -> bool:
        """Whether ``entry`` may be served although a reading failed or does not end. Counts it as served."""
        now = Moment.of(self.clock)
        age = now.since(entry.at)
        good = not entry.expired(now) and age < self.limits.ttl + self.limits.max_stale
        if good:
            self.count("hits" if age < self.limits.ttl else "stale")
        return good

    def invalidate(self, name: str, version: int | None) -> None:
        """Forget ``name``, or what is known of it up to ``version``; what is being read now will not be kept either."""
        with self._lock:
            self._invalidations += 1
            for key, entry in self._entries.items():
                if key.covers(name) and _outdated(key, entry, name, version):
                    self._entries.drop(key)
            for key, flight in list(self._flights.items()):
                if not key.covers(name) or (version is not None and key.fixed):
                    continue
                if version is not None and key == Key(name):
                    flight.floor = max(flight.floor, version + 1)
                    flight.floor_since = self._invalidations
                else:
                    self._detach(flight)

    def clear(self) -> None:
        """Forget everything, and what is being read now."""
        with self._lock:
            self._invalidations += 1
            for key, _ in self._entries.items():
                self._entries.drop(key)
            for flight in list(self._flights.values()):
                self._detach(flight)

    def refused(self, name: str, error: DynastashError) -> None:
        """Forget what an ``error`` about ``name`` denies to everybody."""
        if not passing(error) and not concerns_one_version(error):
            self.invalidate(name, None)

    def statistics(self) -> Statistics:
        """The counts as they are."""
        with self._lock:
            return Statistics(**self._counts, entries=len(self._entries), bytes=self._entries.bytes)

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """The values stay; flights, threads and counts are the parent's. Each child renews at a time of its own."""
        self._lock = threading.Lock()
        self._flights = {}
        self._counts = {}
        self.background.renew()
        for entry in self._entries:
            entry.renew_after = self._renew_after()

    def _alive(self, key: Key, now: Moment) -> Entry | None:
        entry = self._entries.get(key)
        if entry is not None and (entry.expired(now) or now.since(entry.at) >= self.limits.ttl + self.limits.max_stale):
            self._entries.drop(key)
            return None
        return entry

    def _claim(self, key: Key, now: Moment, stale: Entry | None) -> Claim:
        flight = self._flights.get(key)
        return Claim(flight or self._take_off(key, now), flight is None, stale, now, self._invalidations)

    def _take_off(self, key: Key, now: Moment) -> Flight:
        flight = self._flights[key] = Flight(key, now)
        return flight

    def _detach(self, flight: Flight) -> None:
        flight.void = True
        self._flights.pop(flight.key, None)

    def _landed(self, flight: Flight, secrets: tuple[Secret, ...]) -> None:
        with self._lock:
            self._over(flight)
            if secrets and not flight.void and all(secret.number >= flight.floor for secret in secrets):
                self._keep(flight.key, flight.at, secrets)
                if flight.key.prefix:
                    for secret in secrets:
                        self._keep(Key(secret.name), flight.at, (secret,))
        flight.done.set_result(secrets)

    def _keep(self, key: Key, at: Moment, secrets: tuple[Secret, ...]) -> None:
        present = self._entries.peek(key)
        if present is not None and present.at.monotonic > at.monotonic:  # read later, although it landed before
            return
        for other, entry in self._entries.items():
            if at.since(entry.at) >= self.limits.ttl + self.limits.max_stale:
                self._entries.drop(other)  # nobody will ever get it again
        self._count("evictions", self._entries.put(key, Entry(secrets, at, self._renew_after())))

    def _failed(self, flight: Flight, error: DynastashError) -> None:
        if isinstance(error, PartialError) and not flight.key.prefix:
            own = error.failures.get(flight.key.name)
            if own is None:  # it was withheld for the others' sake: whoever wants it alone asks again
                self.abandon(flight)
                return
            error = own
        if passing(error):
            self._rest(flight)
        elif not flight.void:
            self._forget(flight.key, error)
        self._settle(flight, error)

    def _rest(self, flight: Flight) -> None:
        """Have nobody try again for a moment, where something is there to be served meanwhile."""
        least, most = _QUIET
        with self._lock:
            entry = self._entries.peek(flight.key)
            if entry is not None and not flight.void:
                quiet = min(least * 2**entry.failures, most) * _JITTER.uniform(0.5, 1)
                entry.failures = min(entry.failures + 1, 10)
                entry.quiet_until = self.clock.monotonic() + quiet

    def _forget(self, key: Key, error: DynastashError) -> None:
        if key.prefix:
            failures = error.failures if isinstance(error, PartialError) else {}
            for name, failure in failures.items():
                self.refused(name, failure)
        else:
            self.refused(key.name, error)
        with self._lock:
            self._entries.drop(key)

    def _settle(self, flight: Flight, error: Exception) -> None:
        with self._lock:
            self._over(flight)
        flight.done.set_exception(error)

    def _over(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _renew_after(self) -> float:
        return self.limits.ttl * _JITTER.uniform(_EARLIEST, _LATEST)

    def count(self, what: str) -> None:
        """Count one more of ``what``, a field of :class:`Statistics`."""
        with self._lock:
            self._count(what)

    def _count(self, what: str, many: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + many


def _outdated(key: Key, entry: Entry, name: str, version: int | None) -> bool:
    if version is None:
        return True
    if key.fixed:
        return False
    if key.stage is not None:  # the stages moved when the version was replaced
        return True
    return any(secret.name == name and secret.number <= version for secret in entry.secrets)
