"""Waiting between attempts: full jitter up to a deadline.

Measured in the design with 32 writers on one secret: 50 ms doubling up to 1 s, 30 s in all, lets every put land.
"""

from __future__ import annotations

from typing import Final

from dynastash.clock import Clock

DEADLINE: Final = 30.0
_BASE: Final = 0.05
_CAP: Final = 1.0


class _Jitter:
    """The operating system's randomness, imported by those who have to wait: most do not."""

    @staticmethod
    def uniform(low: float, high: float) -> float:
        import random

        return random.SystemRandom().uniform(low, high)


_JITTER = _Jitter()


class Backoff:
    """One operation's patience. ``deadline`` is in seconds from the construction on."""

    def __init__(self, clock: Clock, deadline: float = DEADLINE) -> None:
        self._clock = clock
        self._ends = clock.monotonic() + deadline
        self._ceiling = _BASE

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; negative behind it."""
        return self._ends - self._clock.monotonic()

    def delay(self) -> float | None:
        """Seconds to wait before another attempt, or None where none would start in time. Each call counts as one."""
        delay = _JITTER.uniform(0, self._ceiling)
        self._ceiling = min(self._ceiling * 2, _CAP)
        return None if delay >= self.remaining else delay

    def pause(self) -> bool:
        """Wait before another attempt and return True, or return False where none would start in time."""
        delay = self.delay()
        if delay is None:
            return False
        self._clock.sleep(delay)
        return True
