"""What in an existing policy is wider than any use of dynastash needs, statement by statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dynastash.policy.check import LEADING_KEYS, TooWide, with_named_keys
from dynastash.policy.conditions import covers
from dynastash.policy.document import ENVIRONMENT_KEY, NAME_KEY, Target
from dynastash.policy.evaluator import Document, Statement, evaluate, statements
from dynastash.policy.operations import key_request
from dynastash.policy.request import AMBIENT, Request

_READS: Final = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
_WRITES: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
_USES: Final = ("kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")
_MOVES: Final = ("kms:ReEncryptFrom", "kms:ReEncryptTo")
_NEVER: Final = {
    "dynamodb:BatchWriteItem": "it writes records past their head; dynastash writes in transactions",
    "dynamodb:DeleteTable": "it removes every secret",
    "dynamodb:ExportTableToPointInTime": "it copies every record, whatever LeadingKeys say",
    "dynamodb:PartiQLSelect": "PartiQL reads without naming keys; dynastash never uses it",
    "dynamodb:PartiQLInsert": "dynastash never uses PartiQL",
    "dynamodb:PartiQLUpdate": "dynastash never uses PartiQL",
    "dynamodb:PartiQLDelete": "dynastash never uses PartiQL",
    "kms:CreateGrant": "a grant gives away what the key allows, to anybody",
    "kms:Encrypt": "it wraps data keys of the caller's choice; dynastash never calls it",
    "kms:PutKeyPolicy": "whoever writes the key's policy opens every secret",
    "kms:ScheduleKeyDeletion": "without the key every secret is lost",
}
_NOTHING: Final = Request("")


def too_wide(documents: Sequence[Document], target: Target) -> list[TooWide]:
    """What the Allow statements that concern the environment's table and keys give beyond need."""
    moving = bool(target.trusted_keys)
    target = with_named_keys(documents, target)
    values = _uses_values(documents, target)
    return [
        TooWide(each.name, what, advice)
        for document in documents
        for each in statements(document)
        if each.allows and _concerns(each, target)
        for what, advice in _findings(each, target, values, moving)
    ]


def _findings(statement: Statement, target: Target, values: bool, moving: bool) -> Iterator[tuple[str, str]]:
    yield from _elements(statement, target)
    named = [action for action in _NEVER if _named(statement, action)]
    for action in named:
        yield f"allows {action}", f"leave it out: {_NEVER[action]}"
    if _allows(statement, (*_READS, "dynamodb:Scan")) and values and _on_table(statement, target):
        yield from _keyless(statement, "reads")
    if _allows(statement, ("dynamodb:Scan",)) and values and _on_table(statement, target):
        yield "allows dynamodb:Scan on the table", "leave it out: a Scan reads every record, and needs no keys"
    if _allows(statement, _WRITES if values else ("dynamodb:PutItem",)):
        yield from _keyless(statement, "changes")
        if not _has(statement, "dynamodb:EnclosingOperation"):
            yield (
                "writes outside transactions",
                'add "ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}',
            )
    if _allows(statement, _USES):
        yield from _contexts(statement, target, (ENVIRONMENT_KEY, NAME_KEY))
    if _allows(statement, _MOVES):
        yield from _contexts(statement, target, (ENVIRONMENT_KEY,))
        if not moving and not _has(statement, "kms:ReEncryptOnSameKey"):
            yield (
                "re-encrypts to and from other keys",
                'add "Bool": {"kms:ReEncryptOnSameKey": "true"}: another key would be decryption under another name',
            )
    yield from _ragged(statement)


def _elements(statement: Statement, target: Target) -> Iterator[tuple[str, str]]:
    for element in ("NotAction", "NotResource"):
        if statement.patterns(element):
            yield f"allows by {element}", f"name what is allowed, in {element.removeprefix('Not')}"
    for pattern in statement.patterns("Action"):
        if "*" in pattern or "?" in pattern:
            yield f"allows {pattern}", "name the actions one by one; `dynastash policy` prints those that are needed"
    own = (target.table, target.index, target.key, *target.trusted_keys)
    for pattern in statement.patterns("Resource"):
        if pattern not in own and not _aliased(statement, pattern, target) and ("*" in pattern or "?" in pattern):
            yield f"is about {pattern}", f"name the environment's own: {', '.join(_fitting(statement, target))}"


def _keyless(statement: Statement, verb: str) -> Iterator[tuple[str, str]]:
    """Items without a condition on their keys, or with one that a request without keys passes."""
    quantified = [operator for operator, key, _ in statement.conditions() if key.lower() == LEADING_KEYS]
    required = any(
        operator == "Null" and key.lower() == LEADING_KEYS and values == ["false"]
        for operator, key, values in ((o, k, [v.lower() for v in vs]) for o, k, vs in statement.conditions())
    )
    likes = [operator for operator in quantified if operator != "Null"]
    if not likes:
        yield f"{verb} the records of every secret", 'add "ForAllValues:StringLike": {"dynamodb:LeadingKeys": […]}'
    elif not required and any("ForAllValues" in operator or "IfExists" in operator for operator in likes):
        yield f"{verb} records in requests without keys", 'add "Null": {"dynamodb:LeadingKeys": "false"}'
    if any("ForAnyValue" in operator for operator in likes):
        yield f"{verb} foreign records beside one of its own", "write ForAllValues instead of ForAnyValue"


def _contexts(statement: Statement, target: Target, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        found = [operator for operator, name, _ in statement.conditions() if name.lower() == key.lower()]
        if not [operator for operator in found if operator != "Null"] and not (key == ENVIRONMENT_KEY and found):
            fitting = target.environment if key == ENVIRONMENT_KEY else "app1/*"
            yield f"uses the key without {key}", f'add "StringLike": {{"{key}": "{fitting}"}}'
        elif any(":" in operator or "IfExists" in operator for operator in found):
            yield (
                f"accepts requests without {key}",
                "write StringEquals or StringLike, without ForAllValues or IfExists",
            )


def _ragged(statement: Statement) -> Iterator[tuple[str, str]]:
    """Globs that end within a segment."""
    seen = set()
    for operator, key, values in statement.conditions():
        if "Like" in operator and "Not" not in operator and key.lower() in (LEADING_KEYS, NAME_KEY.lower()):
            for glob in values:
                start = glob.partition("*")[0].partition("?")[0]
                if start != glob and start and not start.endswith("/") and glob not in seen:
                    seen.add(glob)
                    yield f"covers names that only start like {start}", f"write {start}/* instead of {glob}"


def _uses_values(documents: Sequence[Document], target: Target) -> bool:
    """Whether the policies open or mint data keys at all; an administrator's do not."""
    return not all(
        evaluate(
            documents, Request(action, key_request(action, target, "x").resource, unknown=(*AMBIENT, "kms:*"))
        ).denied
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    )


def _concerns(statement: Statement, target: Target) -> bool:
    return bool(_fitting(statement, target)) or bool(statement.patterns("NotResource"))


def _fitting(statement: Statement, target: Target) -> list[str]:
    keys = [key for key in (target.key, *target.trusted_keys) if not key.startswith("alias/")]
    own = {"dynamodb": [target.table, target.index], "kms": keys or [target.keys or ""]}
    services = [s for s in own if any(_service(pattern, s) for pattern in statement.patterns("Action"))]
    services = services if statement.patterns("Action") else list(own)
    return [arn for service in services for arn in own[service] if _resource(statement, arn)]


def _service(pattern: str, service: str) -> bool:
    return covers(pattern.partition(":")[0], service, _NOTHING, True) is True


def _resource(statement: Statement, arn: str) -> bool:
    patterns = statement.patterns("Resource")
    return not patterns or any(covers(pattern, arn, _NOTHING) is not False for pattern in patterns)


def _on_table(statement: Statement, target: Target) -> bool:
    return _resource(statement, target.table)


def _aliased(statement: Statement, pattern: str, target: Target) -> bool:
    return pattern == target.keys and _has(statement, "kms:ResourceAliases")


def _allows(statement: Statement, actions: Sequence[str]) -> bool:
    return any(_action(statement, action) for action in actions)


def _named(statement: Statement, action: str) -> bool:
    """Whether the action is meant by its own name, not by a wildcard for all."""
    return any(
        covers(pattern, action, _NOTHING, True) is True and pattern not in ("*", "kms:*", "dynamodb:*")
        for pattern in statement.patterns("Action")
    )


def _action(statement: Statement, action: str) -> bool:
    return any(covers(pattern, action, _NOTHING, True) is True for pattern in statement.patterns("Action"))


def _has(statement: Statement, key: str) -> bool:
    return any(name.lower() == key.lower() for _, name, _ in statement.conditions())
