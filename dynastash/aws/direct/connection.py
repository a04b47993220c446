"""One connection to one service: a socket that never blocks, driven by whoever waits for it.

How far it came decides what a failure means. Before the first byte of a request is handed to the socket, nothing was
done; from then on the server may have carried it out, whatever happens.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from errno import EINPROGRESS
from typing import TYPE_CHECKING, Any, Final

from dynastash.aws.base import Failure
from dynastash.aws.direct.http1 import Response, ResponseError, UnreadableError
from dynastash.aws.errors import one_line, unverified

if TYPE_CHECKING:
    from dynastash.aws.direct.target import Target
    from dynastash.aws.direct.tls import Trust

DONE: Final = 0
READ: Final = 1
WRITE: Final = 2
"""What a connection waits for; the same numbers as in :mod:`selectors`."""

_CHUNK: Final = 65536

_NEW, _CONNECTING, _HANDSHAKING, _READY = range(4)


class BrokenError(Exception):
    """An attempt that ended without an answer, whatever was asked: a ``CallError`` in want of its operation."""

    def __init__(self, failure: Failure, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.code = code
        self.message = message


class Timeouts:
    """Seconds to connect, without a byte sent or received, and for an attempt as a whole."""

    __slots__ = ("connect", "read", "total")

    def __init__(self, connect: float, read: float, total: float) -> None:
        self.connect = connect
        self.read = read
        self.total = total


class Connection:
    """A connection to ``target`` by way of one of ``addresses``, as :func:`socket.getaddrinfo` gives them.

    ``deadline`` is the monotonic time at which whoever waits must call :meth:`expired`; ``response`` is the answer,
    once :meth:`proceed` has returned ``DONE``. For one thread at a time.
    """

    __slots__ = (
        "_addresses",
        "_ends",
        "_next",
        "_out",
        "_sent",
        "_stage",
        "_target",
        "_timeouts",
        "_trust",
        "_trusts_few",
        "deadline",
        "idle_since",
        "limit",
        "response",
        "sock",
    )

    def __init__(
        self, target: Target, addresses: Sequence[tuple[Any, ...]], trust: Trust | None, timeouts: Timeouts, limit: int
    ) -> None:
        self._target = target
        self._addresses = addresses
        self._trust = trust
        self._timeouts = timeouts
        self.limit = limit
        self._next = 0
        self._stage = _NEW
        self._trusts_few = trust is not None and trust.few_suffice(target.host)
        self._out: bytes | memoryview = b""
        self._sent = False
        self._ends = 0.0
        self.deadline = 0.0
        self.idle_since = 0.0
        self.sock: socket.socket | None = None
        self.response = Response(0)

    def start(self, request: bytes, now: float) -> None:
        """Begin an attempt at ``now``, the monotonic time; :meth:`proceed` carries it out."""
        self._out = request
        self._sent = False
        self._ends = now + self._timeouts.total
        self.response = Response(self.limit)

    def connect(self, now: float) -> None:
        """Begin to connect without anything to send yet; :meth:`proceed` carries it out."""
        self._ends = now + self._timeouts.total

    def proceed(self, now: float) -> int:
        """Go on as far as it goes without waiting: ``READ`` or ``WRITE`` where it does not, ``DONE`` at the end.

        Raises :class:`BrokenError`, or :class:`~dynastash.errors.ConfigError` for a certificate or a bundle of
        authorities that is not good. The connection is of no use then, and to be closed.
        """
        if self._stage != _READY:
            wanted = self._establish(now)
            if wanted:
                return wanted
        if self._out:
            return self._send(now)
        return self._receive(now) if self._sent else DONE

    def expired(self, now: float) -> int:
        """The deadline has come: go on with the next address, or raise as :meth:`proceed` does."""
        if self._stage == _READY:
            raise self._unanswered("ReadTimeoutError", "read timeout on")
        if self._stage == _CONNECTING and self._next < len(self._addresses) and now < self._ends:
            self.close()
            return self.proceed(now)
        raise self._unreached("ConnectTimeoutError", "connect timeout on")

    def usable(self) -> bool:
        """Whether an idle connection is still there: the server has neither closed it nor said anything unasked."""
        if self._stage != _READY or self.sock is None:
            return False
        try:
            self.sock.recv(1)
        except OSError as error:
            # TLS has housekeeping of its own, such as session tickets, which is not for us to see.
            return self._wanted(error) == READ
        return False

    def fileno(self) -> int:
        """The socket's file descriptor; -1 without one."""
        return -1 if self.sock is None else self.sock.fileno()

    def close(self) -> None:
        """Close the socket, whatever goes on."""
        self._stage = _NEW
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def _establish(self, now: float) -> int:
        if self._stage == _CONNECTING:
            assert self.sock is not None
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.close()
            else:
                self._connected(now)
        while self._stage == _NEW:
            if self._next >= len(self._addresses):
                raise self._unreached("EndpointConnectionError", _FAILED)
            family, kind, protocol, _, address = self._addresses[self._next]
            self._next += 1
            self.deadline = min(now + self._timeouts.connect, self._ends)
            self._open(family, kind, protocol)
            assert self.sock is not None
            try:
                failed = self.sock.connect_ex(address)
            except OSError:  # an address that this machine cannot even express
                failed = -1
            if failed == EINPROGRESS:
                self._stage = _CONNECTING
                return WRITE
            if failed:
                self.close()
            else:
                self._connected(now)
        return self._shake_hands(now) if self._stage == _HANDSHAKING else DONE

    def _open(self, family: int, kind: int, protocol: int) -> None:
        try:
            self.sock = sock = socket.socket(family, kind, protocol)
        except OSError as error:  # no more file descriptors, for one
            raise self._unreached("EndpointConnectionError", _FAILED) from error
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _connected(self, now: float) -> None:
        if self._trust is None:
            self._stage = _READY
            self.deadline = min(now + self._timeouts.read, self._ends)
            return
        assert self.sock is not None
        context = self._trust.context(self._trusts_few)
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host, do_handshake_on_connect=False)
        except OSError as error:  # closed again already
            raise self._lost(error, Failure.UNREACHABLE) from error
        self._stage = _HANDSHAKING
        self.deadline = min(now + self._timeouts.connect, self._ends)

    def _shake_hands(self, now: float) -> int:
        sock: Any = self.sock
        try:
            sock.do_handshake()
        except OSError as error:
            if wanted := self._wanted(error):
                return wanted
            if type(error).__name__ == "SSLCertVerificationError":
                return self._distrusted(error, now)
            raise self._lost(error, Failure.UNREACHABLE) from error
        self._stage = _READY
        self.deadline = min(now + self._timeouts.read, self._ends)
        return DONE

    def _distrusted(self, error: OSError, now: float) -> int:
        """Once more with the whole bundle, where only a part of it did not verify the server."""
        if not self._trusts_few:
            raise unverified(self._target.url) from error
        assert self._trust is not None
        self._trust.mistrust(self._target.host)
        self._trusts_few = False
        self.close()
        self._next -= 1  # the address that has just answered
        return self._establish(now)

    def _send(self, now: float) -> int:
        assert self.sock is not None
        self._sent = True  # from here on nobody knows
        while self._out:
            try:
                count = self.sock.send(self._out)
            except OSError as error:
                if wanted := self._wanted(error):
                    return wanted
                raise self._lost(error, Failure.AMBIGUOUS) from error
            self.deadline = min(now + self._timeouts.read, self._ends)
            self._out = b"" if count == len(self._out) else memoryview(self._out)[count:]
        return READ

    def _receive(self, now: float) -> int:
        assert self.sock is not None
        response = self.response
        while True:
            try:
                data = self.sock.recv(_CHUNK)
            except OSError as error:
                if wanted := self._wanted(error):
                    return wanted
                raise self._lost(error, Failure.AMBIGUOUS) from error
            try:
                if not data:
                    response.end()
                elif not response.feed(data):
                    self.deadline = min(now + self._timeouts.read, self._ends)
                    continue
            except UnreadableError as error:
                raise BrokenError(Failure.AMBIGUOUS, "MalformedReply", str(error)) from None
            except ResponseError:
                raise self._unanswered("ConnectionClosedError", _CLOSED) from None
            return DONE

    def _wanted(self, error: OSError) -> int:
        """What ``error`` asks to wait for; 0 for a real one."""
        if isinstance(error, BlockingIOError):
            return WRITE if self._out else READ
        match type(error).__name__:  # of ssl, which a plain connection has no need of
            case "SSLWantReadError":
                return READ
            case "SSLWantWriteError":
                return WRITE
        return 0

    def _lost(self, error: OSError, failure: Failure) -> BrokenError:
        kinds = [cls.__name__ for cls in type(error).__mro__]
        if "SSLError" in kinds and kinds[0] not in ("SSLEOFError", "SSLZeroReturnError"):
            return BrokenError(failure, "SSLError", f"SSL validation failed for {self._target.url} {one_line(error)}")
        return BrokenError(failure, "ConnectionClosedError", f'{_CLOSED} endpoint URL: "{self._target.url}"')

    def _unreached(self, code: str, what: str) -> BrokenError:
        return BrokenError(Failure.UNREACHABLE, code, f'{what} endpoint URL: "{self._target.url}"')

    def _unanswered(self, code: str, what: str) -> BrokenError:
        return BrokenError(Failure.AMBIGUOUS, code, f'{what} endpoint URL: "{self._target.url}"')


_FAILED: Final = "could not connect to the"
_CLOSED: Final = "connection was closed before we received a valid response from"
