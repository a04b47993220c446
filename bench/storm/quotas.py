"""Simulated time, and what may be had in it: KMS's requests, a table's capacity units."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable
from typing import Any, Final

KMS_RATE: Final = 10_000.0
"""Symmetric requests a second of an account in the larger Regions; 5,500 in the smaller ones."""

KMS_SMALL_RATE: Final = 5_500.0
PARTITION_RATE: Final = 3_000.0
"""Read units a second of one partition, whatever the table may have."""

PARTITIONS: Final = 4
"""A new on-demand table serves 12,000 read units a second."""


class Loop:
    """Events in the order of their times; also the clock of those who ask for one."""

    def __init__(self) -> None:
        self.time = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        """Have ``act`` done ``seconds`` from now."""
        self._count += 1
        heapq.heappush(self._events, (self.time + seconds, self._count, act, arguments))

    def run(self) -> None:
        """Until nothing is left to do."""
        while self._events:
            self.time, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)

    def now(self) -> int:
        """Milliseconds."""
        return round(self.time * 1000)

    def monotonic(self) -> float:
        """Seconds."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Nobody sleeps in here: they come back later."""
        raise NotImplementedError


class Quota:
    """A bucket that fills with ``rate`` units a second and holds one second's worth."""

    def __init__(self, loop: Loop, rate: float) -> None:
        self._loop = loop
        self.rate = rate
        self._level = rate
        self._filled = loop.time
        self.granted = 0.0
        self.refused = 0.0

    def take(self, units: float) -> bool:
        """Whether ``units`` are there; they are gone then."""
        self._level = min(self.rate, self._level + (self._loop.time - self._filled) * self.rate)
        self._filled = self._loop.time
        if units > self._level:
            self.refused += units
            return False
        self._level -= units
        self.granted += units
        return True


class Account:
    """What the clients share: KMS, a table of some partitions, and one partition of its index."""

    def __init__(self, loop: Loop, kms_rate: float = KMS_RATE, *, share: float = 1.0) -> None:
        """``share`` of all that, for as much fewer clients."""
        self.kms = Quota(loop, kms_rate * share)
        self.index = Quota(loop, PARTITION_RATE * share)
        self.partitions = [Quota(loop, PARTITION_RATE * share) for _ in range(PARTITIONS)]

    def partition_of(self, secret: int) -> Quota:
        """Where the records of a secret are."""
        return self.partitions[zlib.crc32(b"secret-%d" % secret) % len(self.partitions)]
