"""What dynastash asks of AWS for a secret, and what anybody could ask who is not dynastash, as requests to IAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dynastash.models import RESERVED, namespace_of
from dynastash.policy.conditions import all_of, any_of
from dynastash.policy.document import CONTEXT_KEYS, Access, Target
from dynastash.policy.evaluator import Decision, Verdict
from dynastash.policy.request import Request

Judge = Callable[[Request], Decision]
"""Decides a request: for example :func:`~dynastash.policy.evaluator.evaluate` with some policies."""

READING: Final = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLSelect", "dynamodb:Query")
SCANNING: Final = ("dynamodb:Scan", "dynamodb:ExportTableToPointInTime")
STORING: Final = (
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)
ERASING: Final = ("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PartiQLDelete")

_IN_TRANSACTION: Final = {"dynamodb:EnclosingOperation": "TransactWriteItems"}
_USES: Final = {
    Access.READ: ("Query", "BatchGetItem", "Decrypt"),
    Access.WRITE: ("Query", "BatchGetItem", "Decrypt", "PutItem", "GenerateDataKey"),
    Access.WRITE_ONLY: ("Query", "BatchGetItem", "PutItem", "GenerateDataKey"),
    Access.ROTATE: ("Query", "BatchGetItem", "Decrypt", "PutItem", "GenerateDataKey", "DeleteItem"),
}


def table_request(
    action: str, target: Target, names: Sequence[str], *, in_transaction: bool = False, unknown: tuple[str, ...] = ()
) -> Request:
    """``action`` on the items of ``names`` in the table; a Scan names none."""
    context: dict[str, str | Sequence[str]] = {"dynamodb:LeadingKeys": list(names)} if names else {}
    if in_transaction:
        context |= _IN_TRANSACTION
    return Request(action, target.table, context, unknown=unknown)


def list_request(target: Target, namespace: str, unknown: tuple[str, ...] = ()) -> Request:
    """The Query that lists the secrets of one namespace."""
    return Request("dynamodb:Query", target.index, {"dynamodb:LeadingKeys": [namespace]}, unknown=unknown)


def key_request(
    action: str,
    target: Target,
    name: str,
    *,
    key: str | None = None,
    further: Sequence[str] = (),
    unknown: tuple[str, ...] = (),
) -> Request:
    """``action`` on a key of the environment for a version of ``name``, with ``further`` keys in the context.

    The key is the environment's own unless ``key`` says another; an alias stands for a key that has it.
    """
    key = target.key if key is None else key
    by_alias = key.startswith("alias/")
    resource = f"{(target.keys or '').removesuffix('*')}00000000-0000-0000-0000-000000000000" if by_alias else key
    context: dict[str, str | Sequence[str]] = {
        f"kms:EncryptionContext:{RESERVED}env": target.environment,
        f"kms:EncryptionContext:{RESERVED}name": name,
        f"kms:EncryptionContext:{RESERVED}version": "1",
        f"kms:EncryptionContext:{RESERVED}format": "1",
        "kms:EncryptionContextKeys": [*CONTEXT_KEYS, *further],
    }
    if by_alias:
        context["kms:ResourceAliases"] = [key]
    return Request(action, resource, context, unknown=unknown)


def requests_of(access: Access, target: Target, name: str, unknown: tuple[str, ...] = ()) -> list[Request]:
    """Every request that dynastash makes in using ``access`` on the secret ``name``; each must be allowed."""
    found = []
    for action in _USES[access]:
        if action in ("Decrypt", "GenerateDataKey"):
            found.append(key_request(f"kms:{action}", target, name, unknown=unknown))
        else:
            transacted = action in ("PutItem", "DeleteItem")
            found.append(
                table_request(f"dynamodb:{action}", target, [name], in_transaction=transacted, unknown=unknown)
            )
    return found


def permits(judge: Judge, access: Access, target: Target, name: str, unknown: tuple[str, ...] = ()) -> Verdict:
    """Whether ``access`` to ``name`` works: the least of the answers to all that it takes."""
    return Verdict.of(all_of(judge(each).verdict.truth for each in requests_of(access, target, name, unknown)))


def may_open(judge: Judge, target: Target, name: str, unknown: tuple[str, ...] = ()) -> Verdict:
    """Whether somebody could get at the values of ``name`` in any way: its records by whatever call, and their keys.

    An answer of "denied" is a promise; more than what dynastash itself would call is tried.
    """
    records = any_of(
        [
            *(judge(table_request(action, target, [name], unknown=unknown)).verdict.truth for action in READING),
            *(judge(table_request(action, target, [], unknown=unknown)).verdict.truth for action in SCANNING),
        ]
    )
    keys = any_of(
        judge(key_request("kms:Decrypt", target, name, key=key, unknown=unknown)).verdict.truth
        for key in (target.key, *target.trusted_keys)
    )
    return Verdict.of(all_of((records, keys)))


def may_replace(judge: Judge, target: Target, name: str, unknown: tuple[str, ...] = ()) -> Verdict:
    """Whether somebody could change or erase records of ``name`` in any way."""
    return Verdict.of(
        any_of(
            judge(table_request(action, target, [name], in_transaction=transacted, unknown=unknown)).verdict.truth
            for action in (*STORING, *ERASING)
            for transacted in (True, False)
        )
    )


def may_list(judge: Judge, target: Target, name: str, unknown: tuple[str, ...] = ()) -> Verdict:
    """Whether somebody could list the namespace that ``name`` stands in."""
    return judge(list_request(target, namespace_of(name), unknown)).verdict
