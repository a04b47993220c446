"""A small evaluator of IAM and key policies: what no emulator evaluates is proved on the documents themselves.

It knows what the project's policies use: Allow and Deny, globs, principals, and the condition operators String*, Bool
and Null with IfExists, ForAllValues and ForAnyValue. Anything else raises, so that a policy never passes unread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One call: who, what, on what, and the request's condition keys (several values as a list)."""

    principal: str
    action: str
    resource: str = "*"
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether an IAM glob (``*``, ``?``) covers the whole text."""
    expression = "".join({"*": ".*", "?": "."}.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def evaluate_key(key_policy: Document, request: Request, identity: Sequence[Document] = ()) -> bool:
    """Whether KMS carries out the request: the key policy decides, and lets identity policies speak where it names
    the account of the caller."""
    account = request.principal.split(":")[4]
    root = f"arn:aws:iam::{account}:root"
    own = [s for s in _statements(key_policy) if _asks(s, request)]
    theirs = [s for document in identity for s in _statements(document) if _asks(s, request)]
    if any(s["Effect"] == "Deny" for s in theirs):
        return False
    if any(s["Effect"] == "Deny" and _names(s, {request.principal, root}) for s in own):
        return False
    allows = [s for s in own if s["Effect"] == "Allow"]
    if any(_names(s, {request.principal}) for s in allows):
        return True
    return any(_names(s, {root}) for s in allows) and any(s["Effect"] == "Allow" for s in theirs)


def evaluate_identity(documents: Sequence[Document], request: Request) -> bool:
    """Whether the identity's own policies allow the request."""
    asked = [s for document in documents for s in _statements(document) if _asks(s, request)]
    return any(s["Effect"] == "Allow" for s in asked) and not any(s["Effect"] == "Deny" for s in asked)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _statements(document: Document) -> list[Document]:
    known = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    statements = _list(document["Statement"])
    for statement in statements:
        if not set(statement) <= known or statement["Effect"] not in ("Allow", "Deny"):
            raise ValueError(f"a statement that is not understood: {statement}")
    return statements


def _asks(statement: Document, request: Request) -> bool:
    return (
        any(matches(pattern, request.action, ignore_case=True) for pattern in _list(statement["Action"]))
        and any(matches(pattern, request.resource) for pattern in _list(statement["Resource"]))
        and all(
            _holds(operator, key, wanted, request.context)
            for operator, pairs in statement.get("Condition", {}).items()
            for key, wanted in pairs.items()
        )
    )


def _names(statement: Document, principals: set[str]) -> bool:
    principal = statement["Principal"]
    if principal == "*":
        return True
    named = [arn for kind, arns in principal.items() if kind == "AWS" for arn in _list(arns)]
    return "*" in named or not principals.isdisjoint(named)


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, str | list[str]]) -> bool:
    """One line of a Condition block. Names of condition keys ignore case, as in AWS; values do not."""
    quantifier, _, operator = operator.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    texts = [str(text) for text in _list(wanted)]
    present = {name.lower(): value for name, value in context.items()}
    if operator == "Null":
        return (key.lower() not in present) == (texts == ["true"])
    if key.lower() not in present:
        # An absent key satisfies IfExists, ForAllValues and every negated operator; ForAnyValue it never does.
        return if_exists or quantifier == "ForAllValues" or (not quantifier and "Not" in operator)
    values = _list(present[key.lower()])
    verdicts = [_compare(operator, value, texts) for value in values]
    if quantifier == "ForAnyValue":
        return any(verdicts)
    if quantifier not in ("", "ForAllValues") or (not quantifier and len(values) != 1):
        raise ValueError(f"{quantifier or 'a single value'} does not fit {key}")
    return all(verdicts)


def _compare(operator: str, value: str, texts: list[str]) -> bool:
    match operator:
        case "StringEquals":
            return value in texts
        case "StringNotEquals":
            return value not in texts
        case "StringLike":
            return any(matches(text, value) for text in texts)
        case "StringNotLike":
            return not any(matches(text, value) for text in texts)
        case "Bool":
            return value.lower() in [text.lower() for text in texts]
        case _:
            raise ValueError(f"an operator that is not understood: {operator}")
