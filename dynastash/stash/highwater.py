"""What a client has already seen of each secret: the store must never show less."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

from dynastash.errors import RollbackError
from dynastash.models import Head


class HighWater:
    """The highest ``last`` and ``revision`` of each secret that were seen authenticated, in this process.

    :class:`dynastash.statefile.StateFile` is the same in a file, for all processes.

    The floor for a read is taken before the read begins: another thread may raise it meanwhile, and a strongly
    consistent read owes only what was there when it began.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, int]] = {}

    def floor(self, name: str) -> tuple[int, int]:
        """``(last, revision)`` that a read beginning now must reach."""
        return self._seen.get(name, (0, 0))

    def names(self) -> Collection[str]:
        """The secrets that were seen."""
        return list(self._seen)

    def together(self) -> AbstractContextManager[None]:
        """What is observed within belongs together: whoever keeps it elsewhere may do so once, at the end."""
        return nullcontext()

    def keep(self) -> None:
        """Have everything that was observed kept, whatever else goes on: an operation is about to return."""

    def check(self, head: Head | None, name: str, floor: tuple[int, int]) -> None:
        """Raise :class:`RollbackError` where ``head`` is behind ``floor``; None is behind everything but nothing."""
        last, revision = (head.last, head.revision) if head is not None else (0, 0)
        if last < floor[0] or revision < floor[1]:
            raise RollbackError(
                f"the store shows an earlier state of {name} than it did before (version {last}, then {floor[0]})",
                hint="the table was rolled back or tampered with: compare it with a backup and the audit log",
            )

    def observe(self, head: Head) -> None:
        """Remember an authenticated head."""
        if self._process != os.getpid():  # a fork while another thread held the lock: nobody is left to release it
            self._process, self._lock = os.getpid(), threading.Lock()
        with self._lock:
            last, revision = self._seen.get(head.name, (0, 0))
            self._seen[head.name] = (max(last, head.last), max(revision, head.revision))
