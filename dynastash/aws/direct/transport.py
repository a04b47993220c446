"""The transport without the SDK: one attempt for each call, over kept connections."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from dynastash.aws.base import CallError, Operation
from dynastash.aws.direct import protocol
from dynastash.aws.direct.connection import BrokenError, Connection, Timeouts
from dynastash.aws.direct.http1 import Response
from dynastash.aws.direct.service import Service, drive
from dynastash.aws.direct.target import Target
from dynastash.aws.limits import CONNECT_TIMEOUT, IDENTITY_TIMEOUT, READ_TIMEOUT

if TYPE_CHECKING:
    from dynastash.aws.base import Flight, Transport
    from dynastash.aws.direct.flight import DirectFlight
    from dynastash.aws.direct.signing import Credentials
    from dynastash.aws.direct.tls import TlsSettings, Trust

_ATTEMPT: Final = 30.0  # seconds that a server may take, one byte at a time
_TIMEOUTS: Final = Timeouts(CONNECT_TIMEOUT, READ_TIMEOUT, _ATTEMPT)
_IDENTITY_TIMEOUTS: Final = Timeouts(IDENTITY_TIMEOUT, IDENTITY_TIMEOUT, 2 * IDENTITY_TIMEOUT)

# A page of 1 MiB, or a batch of 16, with binary in base64 and every attribute's name; a key and its data keys.
_LIMITS: Final = {"dynamodb": 32 << 20}
_SMALL: Final = 1 << 18


class Source(Protocol):
    """Where credentials come from. Safe to use from several threads."""

    def get(self) -> Credentials:
        """Credentials that are good now. Raises :class:`~dynastash.errors.ConfigError` without any.

        Raises :class:`CallError`, of whatever operation, where asking again may help.
        """
        ...


class Attempt:
    """One attempt at a call: what to send, where, and whether the clock was set right for it already."""

    __slots__ = ("body", "codec", "operation", "repeated", "service")

    def __init__(self, operation: Operation, service: Service, codec: protocol.Codec, body: bytes) -> None:
        self.operation = operation
        self.service = service
        self.codec = codec
        self.body = body
        self.repeated = False


class DirectTransport:
    """Calls signed with ``source``'s credentials, to the URLs that ``endpoints`` gives for the services' names.

    Safe to use from several threads, and in a forked process, which gets connections of its own. ``timeouts`` and
    ``identity_timeouts``, the latter for STS, are those of the SDK's transport unless given.
    """

    def __init__(
        self,
        source: Source,
        *,
        region: str,
        endpoints: Callable[[str], str],
        tls: TlsSettings | None = None,
        timeouts: Timeouts = _TIMEOUTS,
        identity_timeouts: Timeouts = _IDENTITY_TIMEOUTS,
    ) -> None:
        self._source = source
        self._region = region
        self._endpoints = endpoints
        self._tls = tls
        self._timeouts = timeouts
        self._identity_timeouts = identity_timeouts
        self._codecs: dict[Operation, protocol.Codec] = {}
        self._ahead = 0.0  # seconds that AWS's clock is ahead of ours, as far as it complained
        self._trust: Trust | None = None
        self._services: dict[str, Service] = {}
        self._begin()

    @property
    def region(self) -> str:
        """The Region that calls go to."""
        return self._region

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply, or :class:`CallError`, or :class:`~dynastash.errors.ConfigError` where no call can be made.

        A time that AWS refuses is set right by AWS's own, and the call sent once more.
        """
        attempt = self.attempt(operation, request)
        while True:
            response = self._exchange(attempt)
            if not self.must_repeat(attempt, response):
                return attempt.codec.reply(response)

    def flight(self) -> DirectFlight:
        """Many calls at once over as many connections, driven by the caller's thread."""
        from dynastash.aws.direct.flight import DirectFlight

        return DirectFlight(self)

    def prepare(self, *services: str) -> None:
        """Connect to ``services`` in the background. What fails is met again by the call."""
        for name in services:
            try:
                self._service(name).prepare()
            except Exception:  # noqa: S110 - the call says what is wrong, to whom it concerns
                pass

    def access_key(self) -> str:
        """The id of the access key in use. Raises :class:`~dynastash.errors.CredentialsError` without any."""
        try:
            return self._source.get().access_key
        except CallError as error:
            from dynastash.aws.botoerrors import credentials_failure

            raise credentials_failure(cause if isinstance(cause := error.__cause__, Exception) else error) from error

    def close(self) -> None:
        """Close the connections that are kept. A later call makes new ones."""
        for service in self._services.values():
            service.close()

    def attempt(self, operation: Operation, request: Mapping[str, Any]) -> Attempt:
        """What sending ``request`` takes. Raises :class:`CallError` or :class:`~dynastash.errors.ConfigError`."""
        codec = self._codecs.get(operation)
        if codec is None:
            codec = self._codecs[operation] = protocol.Codec(operation)
        try:
            service = self._service(codec.service)
        except CallError as error:  # the credentials' account is a part of the host's name
            raise _of(operation, error) from error.__cause__
        return Attempt(operation, service, codec, codec.body(request))

    def signed(self, attempt: Attempt) -> bytes:
        """The bytes to send now.

        Raises :class:`~dynastash.errors.ConfigError` where there are no credentials, and :class:`CallError` where those
        who give them cannot be reached.
        """
        codec = attempt.codec
        try:
            credentials = self._source.get()
        except CallError as error:
            raise _of(attempt.operation, error) from error.__cause__
        return attempt.service.request(
            credentials, codec.content_type, codec.target, attempt.body, int(time.time() + self._ahead)
        )

    def must_repeat(self, attempt: Attempt, response: Response) -> bool:
        """Whether ``response`` refuses the time of a first attempt; the next is then signed for the server's."""
        if response.status < 400 or attempt.repeated:
            return False
        now = protocol.server_time(attempt.operation, response)
        if now is None:
            return False
        self._ahead = now - time.time()
        attempt.repeated = True
        return True

    def _exchange(self, attempt: Attempt) -> Response:
        request = self.signed(attempt)
        connection: Connection | None = None
        try:
            connection = attempt.service.connection()
            connection.start(request, time.monotonic())
            drive(connection)
        except BrokenError as error:
            attempt.service.discard(connection, error)
            raise failed(attempt.operation, error) from error.__cause__
        except BaseException:  # half an answer must not be what the next call reads
            attempt.service.discard(connection)
            raise
        response = connection.response
        attempt.service.give_back(connection)
        return response

    def _service(self, name: str) -> Service:
        if self._process != os.getpid():
            self.close()
            self._begin()
        service = self._services.get(name)
        if service is None:
            with self._lock:
                service = self._services.get(name) or self._make_service(name)
                self._services[name] = service
        return service

    def _make_service(self, name: str) -> Service:
        target = Target(self._endpoints(name))
        timeouts = self._identity_timeouts if name == "sts" else self._timeouts
        trust = self._trusted() if target.tls else None
        return Service(name, self._region, target, trust, timeouts, _LIMITS.get(name, _SMALL))

    def _trusted(self) -> Trust:
        if self._trust is None:
            from dynastash.aws.direct.tls import TlsSettings, Trust  # brings ssl along

            self._trust = Trust(self._tls or TlsSettings())
        return self._trust

    def _begin(self) -> None:
        """Start without connections: at first, and in a forked process, where they belong to the parent."""
        self._process = os.getpid()
        self._lock = allocate_lock()  # the parent's may be held by a thread that exists there only
        self._services = {}
        self._trust = None


def failed(operation: Operation, error: BrokenError) -> CallError:
    """The error of a call for a broken attempt at it."""
    return CallError(operation, error.failure, error.code, error.message)


def _of(operation: Operation, error: CallError) -> CallError:
    """``error``, met on the way to credentials, as that of the call that they were for."""
    return CallError(operation, error.failure, error.code, error.message)


if TYPE_CHECKING:

    def _conforms(transport: DirectTransport) -> Transport:
        return transport

    def _flies(flight: DirectFlight) -> Flight:
        return flight
