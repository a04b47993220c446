"""A transport that lets a call through only where IAM would: the conditions that no engine evaluates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynastash.aws.base import CallError, Failure, Operation, Transport
from dynastash.policy.evaluator import Document, evaluate
from dynastash.policy.request import Request
from tests.engines.transports import Threaded


class PolicedTransport(Threaded):
    """``inner`` for a principal with ``policies``; ``denied`` keeps what was refused.

    ``table`` and ``key`` are ARNs, ``aliases`` other names of the key.
    """

    def __init__(
        self, inner: Transport, policies: Sequence[Document], *, table: str, key: str, aliases: Sequence[str] = ()
    ) -> None:
        self._inner = inner
        self._policies = policies
        self._table = table
        self._key = key
        self._aliases = aliases
        self.denied: list[Request] = []

    @property
    def region(self) -> str:
        return self._inner.region

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        for asked in self._requests(operation, request):
            decision = evaluate(self._policies, asked)
            assert decision.allowed or decision.denied, asked
            if decision.denied:
                self.denied.append(asked)
                code = "AccessDeniedException"
                raise CallError(operation, Failure.REJECTED, code, f"not authorized to perform {asked.action}")
        return self._inner.call(operation, request)

    def _requests(self, operation: Operation, request: Mapping[str, Any]) -> Iterator[Request]:
        match operation:
            case Operation.QUERY | Operation.SCAN:
                index = request.get("IndexName")
                values = request.get("ExpressionAttributeValues", {})
                keys = [values[name]["S"] for name in (":namespace" if index else ":name",) if name in values]
                resource = f"{self._table}/index/{index}" if index else self._table
                leading = {"dynamodb:LeadingKeys": keys} if operation is Operation.QUERY else {}
                yield Request(f"dynamodb:{operation.action}", resource, leading)
            case Operation.BATCH_GET_ITEM:
                (asked,) = request["RequestItems"].values()
                names = sorted({key["name"]["S"] for key in asked["Keys"]})
                yield Request("dynamodb:BatchGetItem", self._table, {"dynamodb:LeadingKeys": names})
            case Operation.TRANSACT_WRITE_ITEMS:
                for action in request["TransactItems"]:
                    ((kind, body),) = action.items()
                    name = (body.get("Item") or body["Key"])["name"]["S"]
                    yield Request(
                        f"dynamodb:{'ConditionCheckItem' if kind == 'ConditionCheck' else kind + 'Item'}",
                        self._table,
                        {"dynamodb:LeadingKeys": [name], "dynamodb:EnclosingOperation": "TransactWriteItems"},
                    )
            case Operation.UPDATE_ITEM:
                attributes = sorted({*request["Key"], *request["ExpressionAttributeNames"].values()})
                keys = [request["Key"]["name"]["S"]]
                context = {"dynamodb:LeadingKeys": keys, "dynamodb:Attributes": attributes}
                yield Request("dynamodb:UpdateItem", self._table, context)
            case Operation.PUT_ITEM | Operation.DELETE_ITEM:
                keys = [(request.get("Item") or request["Key"])["name"]["S"]]
                yield Request(f"dynamodb:{operation.action}", self._table, {"dynamodb:LeadingKeys": keys})
            case Operation.DECRYPT | Operation.GENERATE_DATA_KEY:
                yield self._use(operation.action, request["KeyId"], request["EncryptionContext"])
            case Operation.RE_ENCRYPT:
                source, destination = request["SourceKeyId"], request["DestinationKeyId"]
                same = {"kms:ReEncryptOnSameKey": str(self._arn(source) == self._arn(destination)).lower()}
                yield self._use("ReEncryptFrom", source, request["SourceEncryptionContext"], same)
                yield self._use("ReEncryptTo", destination, request["DestinationEncryptionContext"], same)

    def _use(self, action: str, key: str, pairs: Mapping[str, str], more: Mapping[str, str] | None = None) -> Request:
        context: dict[str, str | Sequence[str]] = {
            f"kms:EncryptionContext:{name}": text for name, text in pairs.items()
        }
        return Request(
            f"kms:{action}", self._arn(key), {**context, "kms:EncryptionContextKeys": list(pairs), **(more or {})}
        )

    def _arn(self, key: str) -> str:
        return self._key if key in self._aliases else key
