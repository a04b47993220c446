"""What the cache holds: opened secrets with the moment they were true, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dynastash.clock import Clock
from dynastash.models import Secret


class Moment(NamedTuple):
    """One reading of both clocks: monotonic seconds, and wall-clock milliseconds."""

    monotonic: float
    wall: int

    @classmethod
    def of(cls, clock: Clock) -> Moment:
        """Now."""
        return cls(clock.monotonic(), clock.now())

    def since(self, earlier: Moment) -> float:
        """Seconds since ``earlier``, by the clock that saw more of them.

        The monotonic clock stands still while a machine sleeps or a function is frozen; the wall clock may be set back.
        """
        return max(self.monotonic - earlier.monotonic, (self.wall - earlier.wall) / 1000)


class Key(NamedTuple):
    """What was asked for: a secret's current version, one version, one stage, or all under a prefix."""

    name: str
    version: int | None = None
    stage: str | None = None
    prefix: bool = False

    def covers(self, name: str) -> bool:
        """Whether an answer to this may contain ``name``."""
        return name.startswith(self.name) if self.prefix else name == self.name

    @property
    def fixed(self) -> bool:
        """Whether the answer is the same version for ever."""
        return self.version is not None


@dataclass(slots=True)
class Entry:
    """One answer of the stash. ``at`` is when its reading began: what was true then may have changed since.

    ``renew_after`` is the age in seconds from which on it is read again. After a failure to do so, nobody tries before
    ``quiet_until`` on the monotonic clock.
    """

    secrets: tuple[Secret, ...]
    at: Moment
    renew_after: float
    failures: int = 0
    quiet_until: float = 0.0

    def expired(self, now: Moment) -> bool:
        """Whether one of the versions is past its own ``expires_at``."""
        return any(
            secret.version.expires_at is not None and secret.version.expires_at.timestamp() * 1000 <= now.wall
            for secret in self.secrets
        )

    @property
    def size(self) -> int:
        """Bytes of values."""
        return sum(len(secret.value) for secret in self.secrets)


class Entries:
    """Entries by key, the least recently used ones given up first. Not safe to use from several threads."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, key: Key) -> Entry | None:
        """The entry, which is thereby used."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def peek(self, key: Key) -> Entry | None:
        """The entry, without counting as a use."""
        return self._entries.get(key)

    def put(self, key: Key, entry: Entry) -> int:
        """Keep ``entry`` and return how many others had to go. One that is larger than all the room is not kept."""
        self.drop(key)
        if entry.size > self._max_bytes:
            return 0
        self._entries[key] = entry
        self.bytes += entry.size
        displaced = 0
        while len(self._entries) > self._max_entries or self.bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.size
            displaced += 1
        return displaced

    def drop(self, key: Key) -> None:
        """Forget one entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size

    def items(self) -> list[tuple[Key, Entry]]:
        """A snapshot of keys and entries, the least recently used first."""
        return list(self._entries.items())
