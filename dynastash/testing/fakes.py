"""Stand-ins for the outside world. Tests only."""

from __future__ import annotations

import threading


class FakeClock:
    """A clock that moves when told to, and when somebody sleeps."""

    def __init__(self, now: int = 1_767_225_600_000) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> int:
        return self._now + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._elapsed += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass without anybody sleeping."""
        with self._lock:
            self._elapsed += seconds
