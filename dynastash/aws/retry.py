"""Patience with AWS: the one retry policy, whichever transport carries the calls.

Every call that dynastash makes is a read, repeatable without harm, or identified by a token or a condition. So anything
but a refusal is sent again, byte for byte the same, with full jitter (:mod:`dynastash.backoff`) until 30 seconds have
passed.

No network at all is different: a person at a terminal wants to hear of it, and waiting seldom mends it. After
:data:`UNREACHABLE` seconds in which no connection came about (a lost packet, a restarting proxy and a failing-over name
server are over by then) the call fails; unless an earlier attempt of it may have been carried out, for then knowing
how it ended is worth the full wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dynastash.aws.base import WRITES, CallError, Failure, Operation, Transport
from dynastash.aws.window import Window
from dynastash.backoff import Backoff
from dynastash.clock import Clock
from dynastash.errors import ConfigError

UNREACHABLE: Final = 5.0
"""Seconds without any connection after which a call fails."""


class Patience:
    """What to do about one call's failed attempts."""

    def __init__(self, operation: Operation, clock: Clock) -> None:
        self._operation = operation
        self._clock = clock
        self._backoff = Backoff(clock)
        self._connected = clock.monotonic()
        self._uncertain = False

    def after(self, error: CallError) -> float | None:
        """Seconds to wait before the same request is sent again; None where ``error`` is the call's end.

        ``error.uncertain`` then speaks for all attempts.
        """
        self._uncertain = self._uncertain or error.uncertain
        error.uncertain = self._uncertain
        now = self._clock.monotonic()
        if error.failure is not Failure.UNREACHABLE:
            self._connected = now
        if error.failure is Failure.REJECTED or (not self._uncertain and now - self._connected >= UNREACHABLE):
            return None
        return self._backoff.delay()

    def impossible(self, error: ConfigError) -> ConfigError:
        """``error``, which is the call's end, with what it leaves open: credentials that ran out between two attempts,
        say, do not tell how the first one ended."""
        if not (self._uncertain and self._operation in WRITES):
            return error
        told = type(error)(
            f"{error}; and an earlier attempt to write may have been carried out",
            hint=f"look at the secret before you repeat it; {error.hint or 'check the configuration'}",
        )
        told.__cause__ = error
        return told


def patiently(
    transport: Transport,
    operation: Operation,
    request: Mapping[str, Any],
    clock: Clock,
    window: Window | None = None,
) -> dict[str, Any]:
    """Carry out one call with as many attempts as the policy allows. ``window`` is told how it fares.

    Raises the last attempt's :class:`CallError`, whose ``uncertain`` then speaks for all attempts, and lets
    :class:`~dynastash.errors.ConfigError` through.
    """
    patience = Patience(operation, clock)
    while True:
        try:
            reply = transport.call(operation, request)
        except ConfigError as error:
            told = patience.impossible(error)
            if told is error:
                raise
            raise told from error
        except CallError as error:
            if window is not None and error.failure is Failure.THROTTLED:
                window.throttled(window.allowed - 1)
            delay = patience.after(error)
            if delay is None:
                raise
            clock.sleep(delay)
        else:
            if window is not None:
                window.succeeded()
            return reply
