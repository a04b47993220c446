"""HTTP/1.1 with keep-alive, on one event loop: as little work for each request as Python allows."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Final, cast

from bench.server.service import Service

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TARGET: Final = re.compile(rb"(?i)\r\nx-amz-target: *([\w.]+)")
_CLOSE: Final = re.compile(rb"(?i)\r\nconnection: *close")
_END: Final = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client. Requests are answered each after its service's delay."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        while self._received:
            end = self._received.find(_END)
            if end < 0:
                return
            head = self._received[:end]
            found = _LENGTH.search(head)
            start, length = end + len(_END), int(found[1]) if found else 0
            if len(self._received) < start + length:
                return
            body, self._received = self._received[start : start + length], self._received[start + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/bench/"):
            self._transport.write(self._service.control(path.decode("ascii"), body))
            return
        target = _TARGET.search(head)
        reply = self._service.answer(target[1] if target else b"", body)
        closing = _CLOSE.search(head) is not None
        if reply.delay:
            self._loop.call_later(reply.delay, self._send, reply.wire, closing)
        else:
            self._send(reply.wire, closing)

    def _send(self, wire: bytes, closing: bool) -> None:
        if not self._transport.is_closing():
            self._transport.write(wire)
            if closing:
                self._transport.close()


async def listen(service: Service, tls: ssl.SSLContext | None = None) -> tuple[asyncio.Server, int]:
    """A server on a free loopback port, and the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, ssl=tls, backlog=1024)
    return server, int(server.sockets[0].getsockname()[1])
