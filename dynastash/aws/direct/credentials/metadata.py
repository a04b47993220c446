"""One small request to a server beside this machine: the instance's or the container's own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.urls import Url

_LIMIT: Final = 64 * 1024  # bytes of a whole answer: credentials take up two thousand


def ask(method: str, url: Url, headers: Mapping[str, str], timeout: float) -> bytes:
    """The body of the answer to a request without one.

    ``timeout`` holds for connecting, and again for the whole answer, in seconds. Raises :class:`HandOver` for whatever
    is not a complete answer with status 200: no way there, a redirect, too much, too little.
    """
    if any(not _plain(part) for part in (*headers, *headers.values())):
        raise HandOver("a header cannot be sent")
    lines = [f"{method} {url.target} HTTP/1.1", f"Host: {url.authority}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method == "PUT":
        lines.append("Content-Length: 0")
    request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")
    try:
        with socket.create_connection((url.host, url.port), timeout) as connection:
            connection.sendall(request)
            return _answer(connection, time.monotonic() + timeout)
    except OSError as error:
        raise HandOver(f"{url.authority} does not answer") from error


def document(body: bytes, *fields: str) -> dict[str, Any]:
    """``body`` as a JSON object in which each of ``fields`` is text. Raises :class:`HandOver` for anything else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or any(not isinstance(content.get(field), str) for field in fields):
        raise HandOver("the answer does not hold credentials")
    if any(not content[field] or not _plain(content[field]) for field in fields):
        raise HandOver("the answer holds credentials that cannot be used")
    return content


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _answer(connection: socket.socket, deadline: float) -> bytes:
    received = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(16 * 1024)
        received += part
        if len(received) > _LIMIT:
            raise HandOver("the answer is too long")
        body = _complete(bytes(received), ended=not part)
        if body is not None:
            return body


def _complete(received: bytes, *, ended: bool) -> bytes | None:
    """The body, once all of the answer is there; None before."""
    head, blank, body = received.partition(b"\r\n\r\n")
    if not blank:
        if ended:
            raise HandOver("the answer is incomplete")
        return None
    status, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = status.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or rest[:3] != "200" or rest[3:4].strip():
        raise HandOver("the answer is not a success")
    lengths = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() == "transfer-encoding":
            raise HandOver("the answer is framed in another way")
        if name.lower() == "content-length":
            lengths.append(value.strip())
    if not lengths:
        return body if ended else None
    if len(set(lengths)) != 1 or not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) < 9):
        raise HandOver("the answer is framed in another way")
    if len(body) > int(lengths[0]) or (ended and len(body) < int(lengths[0])):
        raise HandOver("the answer has another length than it says")
    return body if len(body) == int(lengths[0]) else None
