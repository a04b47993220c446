"""From a request's target and body to the bytes of its reply, and the books: calls, capacity, bytes."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, Final, NamedTuple

from bench.server import kms, others
from bench.server.dynamodb import READS, TARGET, DynamoDB
from bench.server.refusals import Refused

DELAYS: Final = {"dynamodb": 0.004, "kms": 0.012, "sts": 0.012, "ssm": 0.012, "secretsmanager": 0.012}
"""Seconds after which each service answers, unless told otherwise."""

_SERVICES: Final = {TARGET: "dynamodb", kms.TARGET: "kms", "AmazonSSM": "ssm", "secretsmanager": "secretsmanager"}
_KEPT: Final = 100_000  # replies


class Reply(NamedTuple):
    """A reply's bytes, headers included, and what the books say of it. ``delay`` is in seconds."""

    wire: bytes
    delay: float
    operation: str
    reads: float = 0.0
    writes: float = 0.0


class Service:
    """All services behind one address."""

    def __init__(self, delays: dict[str, float] | None = None) -> None:
        self.delays = {**DELAYS, **(delays or {})}
        self.dynamodb = DynamoDB()
        self._kept: dict[tuple[bytes, bytes], Reply] = {}
        self.reset()

    def reset(self) -> None:
        """Begin new books."""
        self._calls: Counter[str] = Counter()
        self._reads = self._writes = 0.0
        self._received = self._sent = 0
        self._began, self._cpu = time.monotonic(), time.process_time()

    def books(self) -> dict[str, Any]:
        """What happened since :meth:`reset`: calls by operation, capacity units, bytes, and seconds of this server."""
        return {
            "calls": dict(self._calls),
            "read_units": self._reads,
            "write_units": self._writes,
            "received": self._received,
            "sent": self._sent,
            "seconds": time.monotonic() - self._began,
            "cpu_seconds": time.process_time() - self._cpu,
        }

    def answer(self, target: bytes, body: bytes) -> Reply:
        """The reply to one request; ``target`` is empty for those that are no JSON."""
        reply = self._kept.get((target, body))
        if reply is None:
            reply = self._new(target, body)
        self._calls[reply.operation] += 1
        self._reads += reply.reads
        self._writes += reply.writes
        self._received += len(body)
        self._sent += len(reply.wire)
        return reply

    def control(self, path: str, body: bytes) -> bytes:
        """What the bench itself asks for, at once and outside the books."""
        if path == "/bench/load":
            document = json.loads(body)
            self.dynamodb.load(document["table"], document["items"])
            self._forget_reads()
        elif path == "/bench/reset":
            self.reset()
        return _http(json.dumps(self.books()))

    def _new(self, target: bytes, body: bytes) -> Reply:
        prefix, _, action = target.decode("ascii", "replace").partition(".")
        if not prefix:
            action, document = others.sts(body)
            return Reply(_http(document, "text/xml"), self.delays["sts"], f"sts:{action}")
        service = _SERVICES.get(prefix, "")
        operation = f"{service}:{action}"
        delay = self.delays.get(service, 0.0)
        try:
            request = json.loads(body)
            if service == "dynamodb":
                done = self.dynamodb.answer(action, request)
                reply = Reply(_http(done.body), delay, operation, done.reads, done.writes)
                if action not in READS:
                    self._forget_reads()
            elif service == "kms":
                reply = Reply(_http(json.dumps(kms.answer(action, request))), delay, operation)
            else:
                reply = Reply(_http(json.dumps(others.managed(action, request))), delay, operation)
        except Refused as refused:
            return Reply(_http(json.dumps(refused.document), status="400 Bad Request"), delay, operation)
        if operation == "kms:Decrypt" or action in READS:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[target, body] = reply
        return reply

    def _forget_reads(self) -> None:
        for key in [key for key in self._kept if key[0].startswith(TARGET.encode())]:
            del self._kept[key]


def _http(document: str, content: str = "application/x-amz-json-1.0", *, status: str = "200 OK") -> bytes:
    body = document.encode("utf-8", "surrogatepass")
    head = (
        f"HTTP/1.1 {status}\r\nServer: bench\r\nx-amzn-RequestId: BENCH\r\n"
        f"Content-Type: {content}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
