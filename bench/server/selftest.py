"""Is the server fast enough not to be the bottleneck? A client that does nothing else asks it as fast as it can."""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from bench.server import kms
from bench.server.process import Running

_CONNECTIONS: Final = 64
_SECONDS: Final = 1.0
_SINGLE: Final = 20


def measure(server: Running) -> dict[str, float]:
    """Decrypts a second, microseconds of CPU for each, and by how much a reply comes later than it should, in ms."""
    body = json.dumps(
        {
            "CiphertextBlob": _blob(),
            "KeyId": "alias/bench",
            "EncryptionContext": {"dynastash:name": "self-test"},
        }
    ).encode()
    request = (
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: TrentService.Decrypt\r\n"
        b"Content-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body
    address = urlsplit(server.where["others http"])
    assert address.hostname is not None
    assert address.port is not None
    place = (address.hostname, address.port)
    late = _lateness(place, request)
    server.control("reset")
    answered = _storm(place, request)
    books = server.control("books")
    return {
        "rate": answered / _SECONDS,
        "cpu_us": books["cpu_seconds"] / answered * 1e6,
        "busy": books["cpu_seconds"] / books["seconds"],
        "late_ms": late,
    }


def sentence(found: Mapping[str, float]) -> str:
    """What :func:`measure` found, in words."""
    return (
        f"latency server: {found['rate']:,.0f} Decrypts a second answered to {_CONNECTIONS} connections "
        f"({_CONNECTIONS} / 12 ms would be {_CONNECTIONS / 0.012:,.0f}), {found['cpu_us']:.0f} µs of CPU each, "
        f"{found['busy']:.0%} busy; a single reply comes {found['late_ms']:.1f} ms after its delay"
    )


def _blob() -> str:
    import base64

    return base64.b64encode(kms.wrap("alias/bench", bytes(32), {"dynastash:name": "self-test"})).decode("ascii")


def _lateness(place: tuple[str, int], request: bytes) -> float:
    with socket.create_connection(place) as connection:
        times = []
        for _ in range(_SINGLE):
            began = time.perf_counter()
            connection.sendall(request)
            connection.recv(65536)
            times.append(time.perf_counter() - began)
    return (statistics.median(times) - 0.012) * 1000


def _storm(place: tuple[str, int], request: bytes) -> int:
    """How many replies come to 64 connections that ask again at once."""
    with selectors.DefaultSelector() as selector:
        connections = [socket.create_connection(place) for _ in range(_CONNECTIONS)]
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
        answered = 0
        ends = time.perf_counter() + _SECONDS
        while time.perf_counter() < ends:
            for key, _ in selector.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.recv(65536)
                key.fileobj.sendall(request)
                answered += 1
        for connection in connections:
            connection.close()
    return answered
