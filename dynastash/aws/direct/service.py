"""One AWS service as the transport sees it: where it is, how requests to it are signed, the connections kept to it."""

from __future__ import annotations

import socket
import time
from _thread import allocate_lock, start_new_thread
from collections import deque
from collections.abc import Sequence
from select import POLLIN, POLLOUT, poll
from typing import TYPE_CHECKING, Any, Final

from dynastash._version import __version__
from dynastash.aws.base import Failure
from dynastash.aws.direct.connection import DONE, WRITE, BrokenError, Connection
from dynastash.aws.direct.signing import Credentials, Signer, canonical_headers, canonical_path
from dynastash.aws.limits import CONNECTIONS
from dynastash.errors import CredentialsError

if TYPE_CHECKING:
    from dynastash.aws.direct.connection import Timeouts
    from dynastash.aws.direct.target import Target
    from dynastash.aws.direct.tls import Trust

_DATE: Final = "\0"  # its place in a template; no header holds such a character
_USER_AGENT: Final = f"dynastash/{__version__}"
_ADDRESSES_KEPT: Final = 30.0  # seconds; AWS's own records live for a minute or less
_IDLE: Final = 60.0  # seconds; what stands in between forgets idle connections without a word, some after minutes


class _Head:
    """What the heads of all requests to one operation have in common: all but the date, the signature and the length.

    ``before`` and ``after`` the date stands the beginning of the canonical form; ``names`` are the signed headers';
    ``lines`` go over the wire, up to where the date follows.
    """

    __slots__ = ("after", "before", "lines", "names")

    def __init__(self, target: Target, token: str | None, content_type: str, action: str | None) -> None:
        signed = {"content-type": content_type, "host": target.authority, "x-amz-date": _DATE}
        if token:
            signed["x-amz-security-token"] = token
        if action is not None:
            signed["x-amz-target"] = action
        self.names, headers = canonical_headers(signed.items())
        self.before, _, self.after = f"POST\n{canonical_path(target.path)}\n\n{headers}".partition(_DATE)
        sent = "".join([f"{name}: {value}\r\n" for name, value in signed.items() if value is not _DATE])
        self.lines = f"POST {target.path} HTTP/1.1\r\n{sent}user-agent: {_USER_AGENT}\r\nx-amz-date: "


class Service:
    """Requests to one service, and connections to carry them. Safe to use from several threads, not from two processes.

    ``trust`` is None for plain HTTP; ``limit`` is the most bytes that an answer may have.
    """

    def __init__(
        self, name: str, region: str, target: Target, trust: Trust | None, timeouts: Timeouts, limit: int
    ) -> None:
        self._target = target
        self._trust = trust
        self._timeouts = timeouts
        self._limit = limit
        self._signer = Signer(region, name)
        self._dated: tuple[int, str] = (0, "")
        self._heads: tuple[Credentials | None, dict[str | None, _Head]] = (None, {})
        self._idle: deque[Connection] = deque(maxlen=CONNECTIONS)
        self._addresses: tuple[float, Sequence[tuple[Any, ...]]] = (0.0, ())
        self._preparing: Any = None

    def request(
        self, credentials: Credentials, content_type: str, action: str | None, body: bytes, seconds: int
    ) -> bytes:
        """A signed request, as it goes over the wire. ``seconds`` is the time since the epoch, ``action`` the target.

        Raises :class:`CredentialsError` where the credentials cannot stand in a header.
        """
        dated = self._dated
        if dated[0] != seconds:
            self._dated = dated = (seconds, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds)))
        kept = self._heads
        if kept[0] is not credentials:  # renewed
            _check(credentials)
            self._heads = kept = (credentials, {})
        head = kept[1].get(action)
        if head is None:
            head = kept[1][action] = _Head(self._target, credentials.token, content_type, action)
        date = dated[1]
        signed = self._signer.seal(credentials, date, f"{head.before}{date}{head.after}", head.names, body)
        return (f"{head.lines}{date}\r\nAuthorization: {signed}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body

    def connection(self) -> Connection:
        """A kept connection that is still there, else a new one that has yet to connect.

        Waits for one that :meth:`prepare` is about to have ready. Raises :class:`BrokenError` where the host has no
        address.
        """
        while True:
            if kept := self.kept():
                return kept
            preparing = self._preparing
            if preparing is None:
                return self.new()
            if not preparing.acquire(timeout=self._timeouts.connect):
                return self.new()
            preparing.release()  # for whoever else waits

    def kept(self) -> Connection | None:
        """A kept connection that is still there."""
        while self._idle:
            try:
                connection = self._idle.pop()  # the one that was used last
            except IndexError:  # another thread was quicker
                return None
            if time.monotonic() - connection.idle_since < _IDLE and connection.usable():
                return connection
            connection.close()
        return None

    def new(self) -> Connection:
        """A new connection that has yet to connect. Raises :class:`BrokenError` where the host has no address."""
        return Connection(self._target, self._resolve(), self._trust, self._timeouts, self._limit)

    def give_back(self, connection: Connection) -> None:
        """Keep ``connection``, whose last response is complete, if it can serve again."""
        if connection.response.persistent and len(self._idle) < CONNECTIONS:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()

    def discard(self, connection: Connection | None, error: BrokenError | None = None) -> None:
        """Close ``connection``, which an attempt was made with; where it did not come about, learn from that."""
        if connection is not None:
            connection.close()
        if error is not None and error.failure is Failure.UNREACHABLE:
            self._addresses = (0.0, ())

    def prepare(self) -> None:
        """Connect in the background, so that the next request finds a connection. Failures are met again by that."""
        if self._idle or self._preparing is not None:
            return
        lock = allocate_lock()
        lock.acquire()
        self._preparing = lock
        # Not threading's: the interpreter waits for none of these when it ends, and starting one waits for nothing.
        try:
            start_new_thread(self._prepare, (lock,))
        except RuntimeError:  # too many threads: nobody is to wait for this one
            self._preparing = None
            raise

    def _prepare(self, lock: Any) -> None:
        connection: Connection | None = None
        try:
            connection = self.new()
            connection.connect(time.monotonic())
            drive(connection)
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        except Exception:
            if connection is not None:
                connection.close()
        finally:
            self._preparing = None
            lock.release()

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _resolve(self) -> Sequence[tuple[Any, ...]]:
        asked, addresses = self._addresses
        now = time.monotonic()
        if addresses and now - asked < _ADDRESSES_KEPT:
            return addresses
        try:  # with bytes, for text makes Python import the codec for international names
            addresses = socket.getaddrinfo(self._target.host.encode(), self._target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise BrokenError(
                Failure.UNREACHABLE,
                "EndpointConnectionError",
                f'could not connect to the endpoint URL: "{self._target.url}"',
            ) from error
        self._addresses = (now, addresses)
        return addresses


def drive(connection: Connection) -> None:
    """Do what was begun with ``connection``, and wait as that takes. Raises as its methods do."""
    wanted = connection.proceed(time.monotonic())
    while wanted != DONE:
        waiter = poll()
        waiter.register(connection.fileno(), POLLOUT if wanted == WRITE else POLLIN)
        left = connection.deadline - time.monotonic()
        ready = waiter.poll(max(0, left * 1000))
        now = time.monotonic()
        if ready:
            wanted = connection.proceed(now)
        elif now >= connection.deadline:
            wanted = connection.expired(now)


def _check(credentials: Credentials) -> None:
    for name, value in (("access key", credentials.access_key), ("session token", credentials.token or "")):
        if not (value.isascii() and value.isprintable()):
            raise CredentialsError(
                f"the AWS {name} holds characters that no {name} has",
                hint="copy the credentials once more: a line break or a quotation mark may have got into them",
            )
