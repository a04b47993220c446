"""Reads from a replica's Region while the first is out of reach. Writes never leave the first.

Every write is a condition on what the first Region holds, so one that was planned from a stale replica loses there, and
is planned anew. What a replica shows may be some seconds old: the high-water marks refuse what is older than the caller
has seen already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from dynastash.aws.base import CallError, Failure, Operation, Transport
from dynastash.aws.flight import ThreadedFlight
from dynastash.clock import Clock, SystemClock

if TYPE_CHECKING:
    from dynastash.aws.base import Flight

READS: Final = frozenset((Operation.QUERY, Operation.SCAN, Operation.BATCH_GET_ITEM, Operation.DECRYPT))
ATTEMPTS: Final = 2
"""Failed reads in a row, from whatever thread, after which the first Region counts as out of reach."""

REST: Final = 30.0
"""Seconds for which it is not asked then; the next read after that tries it again."""

_ABSENT: Final = ("NotFoundException", "ResourceNotFoundException")


class FallbackTransport:
    """``first``, and for reads ``second`` while ``first`` gives no answer.

    A refusal is an answer, and so is a request to slow down. ``notice`` is told of each change; without it, the logger
    ``dynastash`` is.
    """

    def __init__(
        self,
        first: Transport,
        second: Transport,
        *,
        notice: Callable[[str], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._first = first
        self._second = second
        self._notice = notice or _log
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._failures = 0
        self._until: float | None = None
        """When the first is to be asked again; None while it answers."""

    @property
    def region(self) -> str:
        """The first Region: where writes go."""
        return self._first.region

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply of the first, or of the second while the first gives none."""
        if operation not in READS:
            return self._first.call(operation, request)
        until = self._until
        if until is not None and self._clock.monotonic() < until:
            return self._elsewhere(operation, request, None)
        try:
            reply = self._first.call(operation, request)
        except CallError as error:
            if error.failure not in (Failure.UNREACHABLE, Failure.AMBIGUOUS):
                self._answered()
                raise
            if not self._given_up():
                raise
            return self._elsewhere(operation, request, error)
        self._answered()
        return reply

    def flight(self) -> Flight:
        """Many calls at once, each in a thread: any of them may turn to the second."""
        return ThreadedFlight(self.call)

    def prepare(self, *services: str) -> None:
        """Connect to the first."""
        self._first.prepare(*services)

    def access_key(self) -> str:
        """The id of the access key in use."""
        return self._first.access_key()

    def _answered(self) -> None:
        with self._lock:
            came_back = self._until is not None
            self._failures, self._until = 0, None
        if came_back:
            self._notice(f"{self._first.region} answers again: reading there")

    def _given_up(self) -> bool:
        with self._lock:
            self._failures += 1
            if self._failures < ATTEMPTS:
                return False
            first_time = self._until is None
            self._until = self._clock.monotonic() + REST
        if first_time:
            self._notice(
                f"{self._first.region} is out of reach: reading in {self._second.region}, "
                "whose replica may be some seconds behind"
            )
        return True

    def _elsewhere(self, operation: Operation, request: Mapping[str, Any], error: CallError | None) -> dict[str, Any]:
        key = request.get("KeyId")
        if isinstance(key, str) and ":key/mrk-" in key:  # a multi-Region key's replica has the same id
            request = {**request, "KeyId": key.replace(f":{self._first.region}:", f":{self._second.region}:", 1)}
        try:
            return self._second.call(operation, request)
        except CallError as failure:
            if failure.failure is Failure.REJECTED and failure.code in _ABSENT:
                raise CallError(
                    operation,
                    Failure.UNREACHABLE,
                    failure.code,
                    f"no answer in {self._first.region}, and in {self._second.region}: {failure.message}",
                ) from error
            raise


def _log(message: str) -> None:
    import logging

    logging.getLogger("dynastash").warning(message)


if TYPE_CHECKING:

    def _conforms(transport: FallbackTransport) -> Transport:
        return transport
