"""What can go wrong with one request, by name: each a function of the exchange (:mod:`tests.faults.proxy`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dynastash.errors import (
    CredentialsError,
    DynastashError,
    KeyAccessDeniedError,
    KeyUnavailableError,
    StoreAccessDeniedError,
)
from tests.faults.proxy import CONTENT_TYPE, Exchange, Reply, Trouble, encoded

DYNAMODB = frozenset(("Query", "Scan", "BatchGetItem", "TransactWriteItems", "UpdateItem"))
KMS = frozenset(("GenerateDataKey", "Decrypt", "ReEncrypt"))
WRITES = frozenset(("TransactWriteItems", "UpdateItem"))
ALL = DYNAMODB | KMS


class End(Enum):
    """How a call must end that meets a trouble."""

    RESULT = "with the true result"
    ERROR = "with an error of ours"
    EITHER = "with the true result or an error of ours"


@dataclass(frozen=True)
class Fault:
    """A trouble, the operations that it can happen to, whether it stays, and how the call must end.

    ``error`` is what an error must be. ``impatient`` asks for a client that waits for a fraction of a second only.
    """

    trouble: Trouble
    operations: frozenset[str] = ALL
    forever: bool = False
    end: End = End.RESULT
    error: type[DynastashError] | Mapping[str, type[DynastashError]] = DynastashError
    impatient: bool = False

    def expected(self, service: str) -> type[DynastashError]:
        """The error that is due at a request to ``service``."""
        return self.error[service] if isinstance(self.error, Mapping) else self.error


def refused(
    code: str | Mapping[str, str], status: int = 400, message: str = "go away", **more: Any
) -> Callable[[Exchange], None]:
    """An error in AWS's form, without the engine's hearing of the request. ``code`` may differ by service."""

    def trouble(exchange: Exchange) -> None:
        name = code if isinstance(code, str) else code[exchange.service]
        namespace = "com.amazonaws.dynamodb.v20120810" if exchange.service == "dynamodb" else "com.amazonaws.kms"
        document = {"__type": f"{namespace}#{name}", "message": message, **more}
        exchange.answer(Reply(status, json.dumps(document).encode()))

    return trouble


def cancelled(reason: str) -> Callable[[Exchange], None]:
    """A transaction cancelled for ``reason`` at its first action."""

    def trouble(exchange: Exchange) -> None:
        actions = json.loads(exchange.body)["TransactItems"]
        reasons = [{"Code": reason, "Message": "why"}] + [{"Code": "None"}] * (len(actions) - 1)
        message = f"Transaction cancelled, please refer cancellation reasons [{reason}]"
        refused("TransactionCanceledException", message=message, CancellationReasons=reasons)(exchange)

    return trouble


def acted(trouble: Trouble) -> Trouble:
    """As ``trouble``, after the engine has carried the request out."""

    def after(exchange: Exchange) -> None:
        exchange.forward()
        trouble(exchange)

    return after


def plain(status: int, body: bytes, content_type: str = "text/html") -> Trouble:
    """An answer that is not AWS's: a load balancer's, a captive portal's."""
    return lambda exchange: exchange.answer(Reply(status, body, {"Content-Type": content_type}))


def truncated(exchange: Exchange) -> None:
    """The head promises the whole body, and the connection ends in the middle of it."""
    reply = exchange.forward()
    exchange.answer(Reply(reply.status, reply.body[: len(reply.body) // 2], reply.headers), length=len(reply.body))
    exchange.close()


def cut_short(exchange: Exchange) -> None:
    """The head promises less than the body has: what arrives is whole to HTTP, and cut."""
    reply = exchange.forward()
    exchange.answer(reply, length=len(reply.body) // 2)
    exchange.close()


def too_long(exchange: Exchange) -> None:
    """The head promises more than there will ever be."""
    reply = exchange.forward()
    exchange.answer(reply, length=len(reply.body) + 10)
    exchange.close()


def slow(exchange: Exchange) -> None:
    """The answer comes in a dozen pieces."""
    data = encoded(exchange.forward())
    size = len(data) // 12 + 1
    for start in range(0, len(data), size):
        exchange.send(data[start : start + size])
        time.sleep(0.002)


def unprocessed(exchange: Exchange) -> None:
    """The engine is asked for half of the keys only (rounded down); the others come back as unprocessed."""
    request = json.loads(exchange.body)
    ((table, asked),) = request["RequestItems"].items()
    keys = asked["Keys"]
    left = {table: {**asked, "Keys": keys[len(keys) // 2 :]}}
    if len(keys) // 2 == 0:
        document: dict[str, Any] = {"Responses": {table: []}, "UnprocessedKeys": left}
        exchange.answer(Reply(200, json.dumps(document).encode()))
        return
    request["RequestItems"] = {table: {**asked, "Keys": keys[: len(keys) // 2]}}
    reply = exchange.forward(json.dumps(request).encode())
    document = {**json.loads(reply.body), "UnprocessedKeys": left}
    exchange.answer(Reply(200, json.dumps(document).encode()))


def none_processed(exchange: Exchange) -> None:
    """All keys come back as unprocessed."""
    asked = json.loads(exchange.body)["RequestItems"]
    document = {"Responses": {}, "UnprocessedKeys": asked}
    exchange.answer(Reply(200, json.dumps(document).encode()))


THROTTLING = {"dynamodb": "ProvisionedThroughputExceededException", "kms": "ThrottlingException"}
INTERNAL = {"dynamodb": "InternalServerError", "kms": "KMSInternalException"}
UNAVAILABLE = {"dynamodb": "ServiceUnavailable", "kms": "DependencyTimeoutException"}
SIGNATURE = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T001500Z - 5 min.)"
REFUSED = {"dynamodb": StoreAccessDeniedError, "kms": KeyAccessDeniedError}
STATELESS = ALL - WRITES
"""What an empty success is no answer to. To a write it is: whoever answers so has taken the responsibility."""

FAULTS: Mapping[str, Fault] = {
    # Once: the call must not notice, or not fail at least.
    "throttled": Fault(refused(THROTTLING)),
    "throttled by the account": Fault(refused({"dynamodb": "RequestLimitExceeded", "kms": "ThrottlingException"})),
    "too many requests": Fault(plain(429, b"slow down")),
    "500": Fault(refused(INTERNAL, 500)),
    "500 after it acted": Fault(acted(refused(INTERNAL, 500))),
    "503": Fault(refused(UNAVAILABLE, 503)),
    "502 of a load balancer": Fault(plain(502, b"<html>502 Bad Gateway</html>")),
    "504 of a load balancer after it acted": Fault(acted(plain(504, b"<html>504 Gateway Timeout</html>"))),
    "reset": Fault(Exchange.reset),
    "closed": Fault(Exchange.close),
    "reset after it acted": Fault(acted(Exchange.reset)),
    "closed after it acted": Fault(acted(Exchange.close)),
    "no answer": Fault(Exchange.hang, impatient=True),
    "no answer after it acted": Fault(acted(Exchange.hang), impatient=True),
    "slow": Fault(slow),
    "truncated": Fault(truncated),
    "content length too small": Fault(cut_short),
    "content length too large": Fault(too_long),
    "not HTTP": Fault(lambda exchange: (exchange.send(b"\x00\xff\r\n\r\n garbage \r\n\r\n"), exchange.close())[1]),
    "a page": Fault(plain(200, b"<html>please sign in</html>")),
    "a page after it acted": Fault(acted(plain(200, b"<html>please sign in</html>"))),
    "nothing": Fault(plain(200, b"")),
    "garbage in braces": Fault(plain(200, b"{garbage}", CONTENT_TYPE)),
    "bytes in braces": Fault(plain(200, b"{\x80\xff}", CONTENT_TYPE)),
    "an empty document": Fault(plain(200, b"{}", CONTENT_TYPE), STATELESS, end=End.EITHER),
    "a foreign document": Fault(
        plain(200, b'{"Items": 1, "Responses": [], "Plaintext": "AA==", "CiphertextBlob": "%%%"}', "application/json"),
        STATELESS,
        end=End.EITHER,
    ),
    "unprocessed keys": Fault(unprocessed, frozenset(("BatchGetItem",))),
    "no key processed": Fault(none_processed, frozenset(("BatchGetItem",))),
    "transaction conflict": Fault(cancelled("TransactionConflict"), frozenset(("TransactWriteItems",))),
    "transaction throttled": Fault(cancelled("ThrottlingError"), frozenset(("TransactWriteItems",))),
    "transaction in progress": Fault(refused("TransactionInProgressException"), frozenset(("TransactWriteItems",))),
    "conflict with a transaction": Fault(refused("TransactionConflictException"), frozenset(("UpdateItem",))),
    # From here on for good: the call must say so.
    "throttled for good": Fault(refused(THROTTLING), forever=True, end=End.ERROR),
    "500 for good": Fault(refused(INTERNAL, 500), forever=True, end=End.ERROR),
    "reset for good": Fault(Exchange.reset, forever=True, end=End.ERROR),
    "no reply for good": Fault(acted(Exchange.reset), forever=True, end=End.ERROR),
    "denied for good": Fault(refused("AccessDeniedException"), forever=True, end=End.ERROR, error=REFUSED),
    "clock skew": Fault(
        refused("InvalidSignatureException", message=SIGNATURE), forever=True, end=End.ERROR, error=CredentialsError
    ),
    "request time too skewed": Fault(
        refused("RequestTimeTooSkewed", 403), forever=True, end=End.ERROR, error=CredentialsError
    ),
    "key disabled": Fault(
        refused("DisabledException"), KMS, forever=True, end=End.ERROR, error={"kms": KeyUnavailableError}
    ),
    "no key processed for good": Fault(
        none_processed, frozenset(("BatchGetItem",)), forever=True, end=End.ERROR
    ),
    "conflicts for good": Fault(
        cancelled("TransactionConflict"), frozenset(("TransactWriteItems",)), forever=True, end=End.ERROR
    ),
}  # fmt: skip
