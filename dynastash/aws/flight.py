"""A flight for transports that can only wait for one call at a time: a thread for each call under way."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dynastash.aws.base import Operation
from dynastash.aws.limits import CONNECTIONS

if TYPE_CHECKING:
    from dynastash.aws.base import Flight

_Call = Callable[[Operation, Mapping[str, Any]], dict[str, Any]]
_Job = tuple[int, Operation, Mapping[str, Any]]


class ThreadedFlight:
    """Carries out calls by ``call`` in up to 64 threads, which start as they are needed and end with the flight.

    They do not keep a process from ending: a caller that closes the flight does not care about what is left.
    """

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[int, dict[str, Any] | Exception]] = queue.SimpleQueue()
        self._threads = 0
        self._under_way = 0
        self._closed = False

    def send(self, ticket: int, operation: Operation, request: Mapping[str, Any]) -> None:
        """Start a call, or make it at once where no thread can be started."""
        self._under_way += 1
        if self._threads < min(self._under_way, CONNECTIONS):
            try:
                threading.Thread(target=self._work, name="dynastash-aws", daemon=True).start()
                self._threads += 1
            except RuntimeError:  # too many threads: those that there are have to do
                if not self._threads:
                    self._carry_out(ticket, operation, request)
                    return
        self._jobs.put((ticket, operation, request))

    def wait(self, timeout: float | None) -> list[tuple[int, dict[str, Any] | Exception]]:
        """The calls that have ended since."""
        ended: list[tuple[int, dict[str, Any] | Exception]] = []
        try:
            ended.append(self._ended.get(timeout=timeout) if timeout != 0 else self._ended.get_nowait())
            while True:
                ended.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        self._under_way -= len(ended)
        return ended

    def close(self) -> None:
        """Start nothing more; what is under way ends by itself."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closed:
                self._carry_out(*job)

    def _carry_out(self, ticket: int, operation: Operation, request: Mapping[str, Any]) -> None:
        try:
            self._ended.put((ticket, self._call(operation, request)))
        except Exception as error:
            self._ended.put((ticket, error))


if TYPE_CHECKING:

    def _conforms(flight: ThreadedFlight) -> Flight:
        return flight
