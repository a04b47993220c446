"""Requests to put to policies: what an application does with its own secrets, and what it must not get away with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dynastash.models import namespace_of
from dynastash.policy.document import CONTEXT_KEYS, Access, Target, policy_document
from dynastash.policy.evaluator import Document, evaluate
from dynastash.policy.names import Pattern, parse_pattern
from dynastash.policy.operations import key_request, requests_of, table_request
from dynastash.policy.request import Request
from tests import iam

ACCOUNT = "111122223333"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/dynastash-dev"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OLD_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/99999999-2222-3333-4444-555555555555"
OTHER_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/aaaaaaaa-2222-3333-4444-555555555555"
DEV = Target(environment="dev", table=TABLE, key=KEY)
PROD = Target(environment="prod", table=TABLE.replace("-dev", "-prod"), key=OTHER_KEY)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"

ENV, NAME, KEYS = (
    "kms:EncryptionContext:dynastash:env",
    "kms:EncryptionContext:dynastash:name",
    "kms:EncryptionContextKeys",
)


def document(*, target: Target = DEV, administer: bool = False, **wanted: str | Sequence[str]) -> dict[str, object]:
    """The policy for ``read="app1/*"`` and the like."""
    return policy_document(
        target,
        {
            Access(access.replace("_", "-")): [
                parse_pattern(text) for text in ([texts] if isinstance(texts, str) else texts)
            ]
            for access, texts in wanted.items()
        },
        administer=administer,
    )


def allowed(policy: Document, request: Request) -> bool:
    """What the product's evaluator and the tests' own both say; they must agree, and must not be in doubt."""
    decision = evaluate([policy], request)
    assert decision.allowed or decision.denied, f"in doubt about {request}"
    asked = iam.Request(
        ROLE,
        request.action,
        request.resource,
        {key: value if isinstance(value, str) else list(value) for key, value in request.context.items()},
    )
    assert iam.evaluate_identity([policy], asked) is decision.allowed, request
    return decision.allowed


def does(policy: Document, access: Access, name: str, target: Target = DEV) -> bool:
    """Whether all that ``access`` takes is allowed."""
    return all(allowed(policy, request) for request in requests_of(access, target, name))


def table(action: str, *names: str, target: Target = DEV, transacted: bool = False) -> Request:
    """A request to the table for the items of ``names``."""
    return table_request(f"dynamodb:{action}", target, names, in_transaction=transacted)


def index(action: str, *namespaces: str, target: Target = DEV) -> Request:
    """A request to the index."""
    return Request(f"dynamodb:{action}", target.index, {"dynamodb:LeadingKeys": namespaces} if namespaces else {})


def key(action: str, name: str, *, target: Target = DEV, arn: str | None = None) -> Request:
    """A request to KMS with the encryption context of one version."""
    return key_request(f"kms:{action}", target, name, key=arn)


def without(request: Request, *keys: str) -> Request:
    """The request without these condition keys, and without mention of them among the context's keys."""
    left: Mapping[str, str | Sequence[str]] = {k: v for k, v in request.context.items() if k not in keys}
    gone = {k.removeprefix("kms:EncryptionContext:") for k in keys}
    return replace(request, context={k: [p for p in v if p not in gone] if k == KEYS else v for k, v in left.items()})


def with_keys(request: Request, pairs: Mapping[str, str]) -> Request:
    """The request with further pairs in its encryption context."""
    more = {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}
    return replace(request, context={**request.context, **more, KEYS: [*CONTEXT_KEYS, *pairs]})


def attempts(name: str, own: str, target: Target = DEV) -> list[tuple[str, Request]]:
    """All that could get at, or into, the secret ``name``, by whoever may use ``own``."""
    listing = namespace_of(name)
    found = [
        ("query", table("Query", name, target=target)),
        ("get", table("GetItem", name, target=target)),
        ("batch get", table("BatchGetItem", name, target=target)),
        ("batch get beside one's own", table("BatchGetItem", own, name, target=target)),
        ("transacted get", table("GetItem", name, target=target, transacted=True)),
        ("PartiQL", table("PartiQLSelect", name, target=target)),
        ("put", table("PutItem", name, target=target)),
        ("transacted put", table("PutItem", name, target=target, transacted=True)),
        ("update", table("UpdateItem", name, target=target)),
        ("transacted update", table("UpdateItem", name, target=target, transacted=True)),
        ("delete", table("DeleteItem", name, target=target)),
        ("transacted delete", table("DeleteItem", name, target=target, transacted=True)),
        ("batch write", table("BatchWriteItem", name, target=target)),
        ("batch write beside one's own", table("BatchWriteItem", own, name, target=target)),
        ("PartiQL insert", table("PartiQLInsert", name, target=target)),
        ("decrypt", key("Decrypt", name, target=target)),
        ("mint", key("GenerateDataKey", name, target=target)),
        ("re-encrypt from", key("ReEncryptFrom", name, target=target)),
        ("re-encrypt to", key("ReEncryptTo", name, target=target)),
        ("decrypt under both names", with_keys(key("Decrypt", name, target=target), {"Dynastash:Name": own})),
    ]
    if listing != namespace_of(own):
        found.append(("list", index("Query", listing, target=target)))
    return found


def anywhere(target: Target = DEV) -> list[tuple[str, Request]]:
    """What no application may, whatever its secrets."""
    return [
        ("scan", table("Scan", target=target)),
        ("scan the index", index("Scan", target=target)),
        ("query without keys", table("Query", target=target)),
        ("export", table("ExportTableToPointInTime", target=target)),
        ("PartiQL without keys", table("PartiQLSelect", target=target)),
        ("grant", Request("kms:CreateGrant", target.key)),
        ("change the key's policy", Request("kms:PutKeyPolicy", target.key)),
        ("delete the table", Request("dynamodb:DeleteTable", target.table)),
        ("change the table", Request("dynamodb:UpdateTable", target.table)),
    ]


def patterns(*texts: str) -> list[Pattern]:
    """Patterns from their spelling."""
    return [parse_pattern(text) for text in texts]


def plain(node: Any) -> Any:
    """A policy with single values as lists and without an order among values, as IAM reads it."""
    if isinstance(node, dict):
        return {
            key: plain(value if isinstance(value, dict | list) or key in ("Sid", "Effect", "Version") else [value])
            for key, value in node.items()
        }
    if isinstance(node, list):
        return sorted((plain(value) for value in node), key=str)
    return node
