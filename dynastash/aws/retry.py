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

from dynastash.aws.base import CallError, Failure, Operation, Transport
from dynastash.backoff import Backoff
from dynastash.clock import Clock
from dynastash.errors import ConfigError

_WRITES: Final = (Operation.TRANSACT_WRITE_ITEMS, Operation.UPDATE_ITEM)
UNREACHABLE: Final = 5.0
"""Seconds without any connection after which a call fails."""


def patiently(transport: Transport, operation: Operation, request: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Carry out one call with as many attempts as the policy allows.

    Raises the last attempt's :class:`CallError`, whose ``uncertain`` then speaks for all attempts, and lets
    :class:`~dynastash.errors.ConfigError` through.
    """
    backoff = Backoff(clock)
    uncertain = False
    connected = clock.monotonic()
    while True:
        try:
            return transport.call(operation, request)
        except ConfigError as error:
            if uncertain and operation in _WRITES:  # credentials that ran out between two attempts, say
                raise type(error)(
                    f"{error}; and an earlier attempt to write may have been carried out",
                    hint=f"look at the secret before you repeat it; {error.hint or 'check the configuration'}",
                ) from error
            raise
        except CallError as error:
            uncertain = uncertain or error.uncertain
            error.uncertain = uncertain
            now = clock.monotonic()
            if error.failure is not Failure.UNREACHABLE:
                connected = now
            hopeless = error.failure is Failure.REJECTED or (not uncertain and now - connected >= UNREACHABLE)
            if hopeless or not backoff.pause():
                raise
