"""Daemon threads for readings that nobody waits for: started with the first, gone with the last."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

THREADS: Final = 4


class Background:
    """Runs calls in at most ``threads`` threads, which end where nothing is left to do."""

    def __init__(self, threads: int = THREADS) -> None:
        self._limit = threads
        self.renew()

    def renew(self) -> None:
        """Begin anew, as in a forked child: the threads are the parent's, and so is what they were doing."""
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Have ``call`` run soon: in the caller's thread where no other can be started."""
        with self._lock:
            self._waiting.append(call)
            start = self._running < self._limit
            self._running += start
        if start:
            try:
                threading.Thread(target=self._work, name="dynastash-cache", daemon=True).start()
            except RuntimeError:  # too many threads, or the interpreter is ending
                self._work()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                call = self._waiting.popleft()
            try:
                call()
            except Exception:  # noqa: S110 - whoever asks next meets it in a thread of their own
                pass
