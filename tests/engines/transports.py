"""Transports that count, fail on cue, or follow a script; and the direct one, to any URL."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dynastash.aws.base import CallError, Failure, Operation, Transport
from dynastash.aws.direct.signing import Credentials
from dynastash.aws.direct.transport import DirectTransport
from dynastash.aws.flight import ThreadedFlight


@dataclass(frozen=True)
class Fault:
    """What happens to one call: it raises ``error``, ``after`` it took effect or instead of it.

    ``meanwhile`` runs just before the error reaches the caller: somebody else's work.
    """

    error: Exception
    after: bool = False
    meanwhile: Callable[[], object] = lambda: None


def lost(operation: Operation) -> CallError:
    """A reply that never came."""
    return CallError(operation, Failure.AMBIGUOUS, "ReadTimeoutError", "read timeout")


def throttled(operation: Operation) -> CallError:
    """A request to slow down."""
    return CallError(operation, Failure.THROTTLED, "ThrottlingException", "rate exceeded")


def unreachable(operation: Operation) -> CallError:
    """No connection."""
    return CallError(operation, Failure.UNREACHABLE, "EndpointConnectionError", "could not connect")


def rejected(operation: Operation, code: str, message: str = "", reasons: tuple[str, ...] = ()) -> CallError:
    """A refusal."""
    return CallError(operation, Failure.REJECTED, code, message, reasons=reasons)


class Threaded:
    """What a transport needs besides ``region`` and ``call``."""

    call: Callable[[Operation, Mapping[str, Any]], dict[str, Any]]

    def flight(self) -> ThreadedFlight:
        return ThreadedFlight(lambda operation, request: self.call(operation, request))

    def prepare(self, *services: str) -> None:
        """Nothing."""

    def access_key(self) -> str:
        return "AKIAEXAMPLE"


class CountingTransport(Threaded):
    """Passes calls on to ``inner``, keeps count of them, and lets the ones that tests chose fail."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._faults: dict[tuple[Operation, int], Fault] = {}
        self.calls: Counter[Operation] = Counter()
        self.requests: list[tuple[Operation, Mapping[str, Any]]] = []

    @property
    def region(self) -> str:
        return self._inner.region

    def fail(self, operation: Operation, number: int, fault: Fault) -> None:
        """Let the ``number``-th call of ``operation`` from now on fail; 1 is the next."""
        with self._lock:
            self._faults[operation, self.calls[operation] + number] = fault

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls[operation] += 1
            self.requests.append((operation, request))
            fault = self._faults.pop((operation, self.calls[operation]), None)
        if fault is None:
            return self._inner.call(operation, request)
        if fault.after:
            self._inner.call(operation, request)
        fault.meanwhile()
        raise fault.error


class ScriptedTransport(Threaded):
    """Answers each call with the next of ``script``: a reply, or an error to raise. Keeps the requests."""

    region = "eu-west-1"

    def __init__(self, *script: Mapping[str, Any] | Exception) -> None:
        self._script = list(script)
        self.requests: list[tuple[Operation, Mapping[str, Any]]] = []

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append((operation, request))
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    @property
    def left(self) -> int:
        """Answers that nobody has asked for yet."""
        return len(self._script)


class StaticSource:
    """Made-up credentials that stay as they are until a test renews them."""

    def __init__(self, access_key: str = "AKIAEXAMPLE", secret_key: str = "secret", token: str | None = None) -> None:
        self.renew(access_key, secret_key, token)

    def renew(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        """Have these from now on."""
        self._credentials = Credentials(access_key, secret_key, token)

    def get(self) -> Credentials:
        return self._credentials


def direct(url: str, **options: Any) -> DirectTransport:
    """The direct transport with every service at ``url``; ``options`` as its constructor has them."""
    return DirectTransport(
        options.pop("source", StaticSource()), region="eu-west-1", endpoints=lambda _: url, **options
    )
