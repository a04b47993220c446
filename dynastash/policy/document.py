"""The least that a principal needs on an environment, as an IAM policy document.

Each action is there because dynastash calls it, and no further. What guards the values is KMS: the encryption context
names the environment and the secret. What guards the records is ``dynamodb:LeadingKeys``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dynastash.errors import InvalidArgumentError
from dynastash.models import RESERVED, check_environment
from dynastash.policy.names import EVERYTHING, Pattern, reduce_patterns

Json = dict[str, Any]

INDEX: Final = "by-namespace"
ENVIRONMENT_KEY: Final = f"kms:EncryptionContext:{RESERVED}env"
NAME_KEY: Final = f"kms:EncryptionContext:{RESERVED}name"
CONTEXT_KEYS: Final = tuple(f"{RESERVED}{name}" for name in ("env", "format", "name", "version"))
"""The pairs that every encryption context of dynastash has."""

MANAGED_LIMIT: Final = 6144
"""Characters of a managed policy, white space not counted; more is refused by IAM."""

INLINE_LIMIT: Final = 10240
"""Characters of all inline policies of a role together."""

_REWRAPPED: Final = ("key_id", "mac", "name", "record", "rewrapped_at", "wrapped_key")


class Access(StrEnum):
    """What somebody may do with secrets. ROTATE includes WRITE, which includes READ.

    WRITE_ONLY puts new versions and opens none: for ``put --write-only``.
    """

    READ = "read"
    WRITE = "write"
    WRITE_ONLY = "write-only"
    ROTATE = "rotate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The environment that a policy is for, by the ARNs of its table and keys.

    ``key`` mints data keys and opens them; ``trusted_keys`` open them too, during a move between keys. A key is an ARN,
    or ``alias/NAME`` with ``keys`` the ARN of all keys that may have it (``arn:aws:kms:…:key/*``). ``context_keys`` are
    the further keys of the encryption contexts in use (``put --context``); a context with any other key is refused.
    """

    environment: str
    table: str
    key: str
    trusted_keys: tuple[str, ...] = ()
    keys: str | None = None
    context_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_environment(self.environment)
        for key in (self.key, *self.trusted_keys):
            if key.startswith("alias/") and self.keys is None:
                raise InvalidArgumentError(
                    f"a policy cannot name a key by its alias {key} alone", hint="give the key's ARN"
                )

    @property
    def index(self) -> str:
        """The ARN of the index that lists the secrets."""
        return f"{self.table}/index/{INDEX}"


def policy_document(
    target: Target,
    wanted: Mapping[Access, Iterable[Pattern]],
    *,
    administer: bool = False,
    copying: Sequence[Json] = (),
) -> Json:
    """The policy for all of ``wanted``, and with ``administer`` for the environment itself.

    ``copying`` are the statements of :mod:`dynastash.policy.copies`.

    An administrator looks after the table and the key, rewraps, and removes records in an emergency; opens no value and
    mints no data key. Raises :class:`InvalidArgumentError` where nothing is wanted.
    """
    given = {access: list(wanted.get(access, ())) for access in Access}
    rotating = given[Access.ROTATE]
    writing = given[Access.WRITE] + rotating
    reading = given[Access.READ] + writing
    storing = writing + given[Access.WRITE_ONLY]
    statements = [
        *_reading(target, reduce_patterns(reading), reduce_patterns(reading + storing)),
        *_writing(target, reduce_patterns(storing), reduce_patterns(rotating)),
        *(_administering(target) if administer else ()),
        *copying,
    ]
    if not statements:
        raise InvalidArgumentError(
            "a policy for nothing was asked for", hint="say what is to be read, written, rotated"
        )
    return {"Version": "2012-10-17", "Statement": statements}


def without_keys(document: Mapping[str, Any]) -> Json:
    """A policy of ours without its statements about keys, for a principal that uses them by grants."""
    return {**document, "Statement": [each for each in document["Statement"] if not _uses_keys(each)]}


def size(document: Mapping[str, Any]) -> int:
    """Characters as IAM counts them: without white space."""
    import json

    return len("".join(json.dumps(document, separators=(",", ":"), ensure_ascii=False).split()))


def _reading(target: Target, opened: list[Pattern], read: list[Pattern]) -> list[Json]:
    if not read:
        return []
    found = [
        _allow(
            "ReadRecords",
            ["dynamodb:BatchGetItem", "dynamodb:Query"],
            target.table,
            _leading_keys(read),
        )
    ]
    if EVERYTHING in opened:
        found.append(_allow("ListEverything", ["dynamodb:Query", "dynamodb:Scan"], target.index, {}))
    elif namespaces := sorted({each.namespace for each in opened if each.namespace is not None}):
        found.append(_allow("ListNames", ["dynamodb:Query"], target.index, _keys("StringEquals", namespaces)))
    if opened:
        found += _with_key(
            "OpenValues", "kms:Decrypt", target, [target.key, *target.trusted_keys], _named(target, opened)
        )
    return found


def _writing(target: Target, stored: list[Pattern], pruned: list[Pattern]) -> list[Json]:
    found = []
    if stored:
        within = _leading_keys(stored)
        found.append(_allow("WriteInTransactions", ["dynamodb:PutItem"], target.table, _in_transaction(within)))
    if pruned:
        within = _leading_keys(pruned)
        found.append(_allow("PruneInTransactions", ["dynamodb:DeleteItem"], target.table, _in_transaction(within)))
    if stored:
        found += _with_key("MintDataKeys", "kms:GenerateDataKey", target, [target.key], _named(target, stored))
    return found


def _administering(target: Target) -> list[Json]:
    # Neither PutKeyPolicy, CreateGrant nor anything with aliases: each would be a way to open values.
    environment = {"StringEquals": {ENVIRONMENT_KEY: target.environment}, "Null": {NAME_KEY: "false"}}
    same = environment | ({} if target.trusted_keys else {"Bool": {"kms:ReEncryptOnSameKey": "true"}})
    return [
        _allow(
            "AdministerTable",
            [
                "dynamodb:CreateBackup",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeTable",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:ListTagsOfResource",
                "dynamodb:TagResource",
                "dynamodb:UntagResource",
                "dynamodb:UpdateContinuousBackups",
                "dynamodb:UpdateTable",
                "dynamodb:UpdateTimeToLive",
            ],
            target.table,
            {},
        ),
        _allow(
            "ReadSealedRecords",
            ["dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"],
            [target.table, target.index],
            {},
        ),
        _allow("RemoveRecords", ["dynamodb:DeleteItem"], target.table, {}),
        _allow(
            "ReplaceWrappedKeys",
            ["dynamodb:UpdateItem"],
            target.table,
            {
                "ForAllValues:StringEquals": {"dynamodb:Attributes": list(_REWRAPPED)},
                "Null": {"dynamodb:Attributes": "false"},
            },
        ),
        *_with_key("RewrapFrom", "kms:ReEncryptFrom", target, [target.key, *target.trusted_keys], same),
        *_with_key("RewrapTo", "kms:ReEncryptTo", target, [target.key], same),
        *_with_key(
            "AdministerKey",
            [
                "kms:DescribeKey",
                "kms:DisableKey",
                "kms:EnableKey",
                "kms:EnableKeyRotation",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListResourceTags",
            ],
            target,
            [target.key],
            {},
        ),
    ]


def _uses_keys(statement: Json) -> bool:
    actions = statement["Action"]
    return all(each.startswith("kms:") for each in ([actions] if isinstance(actions, str) else actions))


def _leading_keys(patterns: list[Pattern]) -> Json:
    return _keys("StringLike", [each.text for each in patterns])


def _keys(operator: str, values: Sequence[str]) -> Json:
    # ForAllValues holds of nothing too: without Null a request that sends no keys, such as a Scan, would pass.
    return {
        f"ForAllValues:{operator}": {"dynamodb:LeadingKeys": list(values)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def _in_transaction(within: Json) -> Json:
    return {**within, "ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}


def _named(target: Target, patterns: list[Pattern]) -> Json:
    """The encryption context of these secrets, one value each, and no key in it that dynastash would not send.

    Names of condition keys ignore case and those of a context do not: without the last condition a context could name
    two secrets, as ``dynastash:name`` and as ``Dynastash:Name``.
    """
    return {
        "StringEquals": {ENVIRONMENT_KEY: target.environment},
        "StringLike": {NAME_KEY: [each.text for each in patterns]},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": [*CONTEXT_KEYS, *sorted(target.context_keys)]},
    }


def _with_key(sid: str, actions: str | list[str], target: Target, keys: list[str], condition: Json) -> list[Json]:
    """One statement for keys by ARN, and one for keys by alias."""
    listed = [actions] if isinstance(actions, str) else actions
    keys = list(dict.fromkeys(keys))
    arns = [key for key in keys if not key.startswith("alias/")]
    aliases = [key for key in keys if key.startswith("alias/")]
    found = []
    if arns:
        found.append(_allow(sid, listed, arns, condition))
    if aliases and target.keys is not None:
        by_alias = {**condition, "ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}}
        found.append(_allow(f"{sid}ByAlias" if arns else sid, listed, target.keys, by_alias))
    return found


def _allow(sid: str, actions: list[str], resources: str | list[str], condition: Json) -> Json:
    """A statement with single values as text, as people write them."""
    statement: Json = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": _single(actions),
        "Resource": _single(resources),
    }
    if condition:
        statement["Condition"] = {
            operator: {key: _single(value) for key, value in pairs.items()} for operator, pairs in condition.items()
        }
    return statement


def _single(value: str | list[str]) -> str | list[str]:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
