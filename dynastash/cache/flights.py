"""One reading under way, which everybody who asks for the same thing meanwhile waits for."""

from __future__ import annotations

import copy
from concurrent.futures import Future

from dynastash.cache.entries import Key, Moment
from dynastash.errors import DynastashError
from dynastash.models import Secret


class Abandoned(Exception):
    """The reading ended without an answer of the stash's: by Ctrl-C, a defect, or another secret of its batch."""


class Flight:
    """A reading of ``key`` that began ``at``.

    ``void`` flights were invalidated: what they bring is for those who asked before, and is not kept. Below ``floor``,
    the same goes for whoever asked after the invalidation numbered ``floor_since``.
    """

    __slots__ = ("at", "done", "floor", "floor_since", "key", "void")

    def __init__(self, key: Key, at: Moment) -> None:
        self.key = key
        self.at = at
        self.void = False
        self.floor = 0
        self.floor_since = 0
        self.done: Future[tuple[Secret, ...]] = Future()
        self.done.set_running_or_notify_cancel()  # from now on nobody who waits can cancel it for the others

    def failure(self) -> BaseException | None:
        """Why it failed, as an exception of the caller's own: one raised in two threads would mix their tracebacks."""
        error = self.done.exception(timeout=0)
        if not isinstance(error, DynastashError):
            return error
        own = copy.copy(error).with_traceback(error.__traceback__)
        own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
        return own

    def reaches_floor(self) -> bool:
        """Whether what it brought is not what an invalidation during it named as outdated."""
        return all(secret.number >= self.floor for secret in self.done.result(timeout=0))
