"""An HTTP proxy between the real client and a running engine that lets single requests go wrong.

It understands just enough of HTTP/1.1 and of AWS's JSON protocol: a request's head, its ``X-Amz-Target`` and its body.
Everything passes through unchanged, but for the requests that :meth:`Proxy.disturb` names. What happens to those is
a :data:`Trouble`: it gets an :class:`Exchange` and may ask the engine, answer, answer wrongly, or hang up.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlsplit

CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True)
class Reply:
    """An answer: of the engine, or of the proxy's own making."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": CONTENT_TYPE})


class HungUp(Exception):
    """The connection is gone: there will be no further request on it."""


class Exchange:
    """One request that is to go wrong."""

    def __init__(self, service: str, operation: str, head: Mapping[str, str], body: bytes, link: _Link) -> None:
        self.service = service
        self.operation = operation
        self.body = body
        self._head = head
        self._link = link

    def forward(self, body: bytes | None = None) -> Reply:
        """Let the engine act on the request, or on ``body`` in its place; the client hears nothing of it yet."""
        return self._link.ask(self.service, self._head, self.body if body is None else body)

    def answer(self, reply: Reply, *, length: int | None = None) -> None:
        """Send ``reply``; ``length`` is what the head claims, where that shall not be the truth."""
        self._link.client.sendall(encoded(reply, length))

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._link.client.sendall(data)

    def close(self) -> None:
        """End the connection in good order."""
        raise HungUp

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self._link.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise HungUp

    def hang(self) -> None:
        """Say nothing until the client has had enough and hangs up."""
        with contextlib.suppress(OSError):
            while self._link.client.recv(1024):
                pass
        raise HungUp


Trouble = Callable[[Exchange], None]


@dataclass(frozen=True)
class Disturbance:
    """Which requests go wrong: the ``nth`` of ``operation`` from its beginning on, or each from there on."""

    operation: str
    nth: int
    trouble: Trouble
    forever: bool = False

    def strikes(self, operation: str, number: int) -> bool:
        """Whether the ``number``-th request of ``operation`` is meant."""
        return operation == self.operation and (number == self.nth or (self.forever and number > self.nth))


class Proxy:
    """A running proxy: its ``url``, and what has passed since :meth:`begin`.

    ``engines`` are the endpoint URLs by service, ``dynamodb`` and ``kms``: two engines may stand behind one proxy.
    """

    def __init__(self, engines: Mapping[str, str]) -> None:
        self._engines = {service: _address(url) for service, url in engines.items()}
        self._lock = threading.Lock()
        self._disturbances: tuple[Disturbance, ...] = ()
        self.requests: Counter[str] = Counter()
        self.struck = 0
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _Link(proxy, self.request, proxy._engines).serve()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def begin(self, *disturbances: Disturbance) -> None:
        """Count anew from here on, and let ``disturbances`` happen; without any, nothing goes wrong."""
        with self._lock:
            self.requests.clear()
            self.struck = 0
            self._disturbances = disturbances

    def trouble_for(self, operation: str) -> Trouble | None:
        """Count a request of ``operation``; what shall happen to it, if anything."""
        with self._lock:
            self.requests[operation] += 1
            for disturbance in self._disturbances:
                if disturbance.strikes(operation, self.requests[operation]):
                    self.struck += 1
                    return disturbance.trouble
        return None


class _Link:
    """One client's connection, and the connections to the engines on its behalf."""

    def __init__(self, proxy: Proxy, client: socket.socket, engines: Mapping[str, tuple[str, int]]) -> None:
        self.client = client
        self._proxy = proxy
        self._engines = engines
        self._open: dict[str, http.client.HTTPConnection] = {}
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def serve(self) -> None:
        """Pass requests on, one after the other, until either side has had enough."""
        incoming = self.client.makefile("rb")
        try:
            while (request := _read_request(incoming)) is not None:
                head, body = request
                service, operation = _target(head)
                trouble = self._proxy.trouble_for(operation)
                if trouble is None:
                    self.client.sendall(encoded(self.ask(service, head, body)))
                else:
                    trouble(Exchange(service, operation, head, body, self))
        except (HungUp, OSError):  # ours, or a client that was killed
            pass
        finally:
            incoming.close()  # a reset is sent when the last reference to the socket is closed
            self.client.close()
            for connection in self._open.values():
                connection.close()

    def ask(self, service: str, head: Mapping[str, str], body: bytes) -> Reply:
        """The engine's answer."""
        connection = self._open.get(service)
        if connection is None:
            connection = self._open[service] = http.client.HTTPConnection(*self._engines[service])
        sent = {name: text for name, text in head.items() if name.lower() not in ("content-length", "expect")}
        connection.request("POST", "/", body=body, headers=sent)
        with connection.getresponse() as response:
            kept = {
                name: text
                for name, text in response.getheaders()
                if name.lower().startswith("x-amz") or name.lower() == "content-type"
            }
            return Reply(response.status, response.read(), kept)


def encoded(reply: Reply, length: int | None = None) -> bytes:
    """``reply`` on the wire; ``length`` is what it claims of its body, by default the truth."""
    lines = [f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {text}" for name, text in reply.headers.items()]
    lines.append(f"Content-Length: {len(reply.body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body


def _read_request(incoming: BinaryIO) -> tuple[dict[str, str], bytes] | None:
    if not incoming.readline():
        return None
    head: dict[str, str] = {}
    while (line := incoming.readline().decode("latin-1").strip()) != "":
        name, _, text = line.partition(":")
        head[name.strip()] = text.strip()
    length = int({name.lower(): text for name, text in head.items()}.get("content-length", "0"))
    return head, incoming.read(length)


def _target(head: Mapping[str, str]) -> tuple[str, str]:
    """The service and the operation that ``X-Amz-Target`` names."""
    target = next((text for name, text in head.items() if name.lower() == "x-amz-target"), "")
    prefix, _, operation = target.partition(".")
    return ("kms" if prefix == "TrentService" else "dynamodb"), operation


def _address(url: str) -> tuple[str, int]:
    parts: Any = urlsplit(url)
    return parts.hostname, parts.port
