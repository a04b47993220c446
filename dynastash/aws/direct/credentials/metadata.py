"""One small request to a server beside this machine: the instance's or the container's own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

from dynastash.aws.direct.connection import BrokenError, Connection, Timeouts
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.service import drive
from dynastash.aws.direct.target import Target
from dynastash.aws.direct.urls import Url

_LIMIT: Final = 64 * 1024  # bytes of an answer: credentials take up two thousand


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
    connection: Connection | None = None
    try:
        addresses = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        connection = Connection(
            Target(f"http://{url.authority}"), addresses, None, Timeouts(timeout, timeout, 2 * timeout), _LIMIT
        )
        connection.start(request, time.monotonic())
        drive(connection)
    except (OSError, UnicodeError, BrokenError) as error:
        raise HandOver(f"{url.authority} does not answer") from error
    finally:
        if connection is not None:
            connection.close()
    response = connection.response
    if response.status != 200:
        raise HandOver("the answer is not a success")
    return bytes(response.body)


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
