"""What IAM would answer to a request, as far as policies alone can tell.

Identity policies, a permissions boundary and a key's own policy are known here; service control policies, session
policies and grants are not. Where a policy says what is not understood, the answer is "cannot say", never "denied".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dynastash.errors import PolicyError
from dynastash.policy.conditions import all_of, any_of, covers, holds, opposite
from dynastash.policy.request import Request

Document = Mapping[str, Any]
"""A policy document as JSON has it: ``{"Version": …, "Statement": […]}``."""

_ELEMENTS: Final = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)


class Verdict(StrEnum):
    """The answer to a request."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "cannot say"

    @property
    def truth(self) -> bool | None:
        """True, False, or None for "cannot say"."""
        return {"allowed": True, "denied": False}.get(self.value)

    @classmethod
    def of(cls, truth: bool | None) -> Verdict:
        """The verdict for :attr:`truth`."""
        return cls.UNKNOWN if truth is None else cls.ALLOWED if truth else cls.DENIED


@dataclass(frozen=True, slots=True)
class Decision:
    """``statements`` are those that decided, by Sid or number; ``explicit`` says that one of them is a Deny."""

    verdict: Verdict
    statements: tuple[str, ...] = ()
    explicit: bool = False

    @property
    def allowed(self) -> bool:
        """Whether it is certainly allowed."""
        return self.verdict is Verdict.ALLOWED

    @property
    def denied(self) -> bool:
        """Whether it is certainly denied."""
        return self.verdict is Verdict.DENIED


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, checked for its shape; ``name`` is its Sid, or its number in the document from 1."""

    name: str
    allows: bool
    body: Document

    def asks(self, request: Request) -> bool | None:
        """Whether the statement is about the request: its action, resource and conditions."""
        return all_of(
            (
                self._element("Action", request.action, request, ignore_case=True),
                self._element("Resource", request.resource, request),
                *(
                    holds(operator, key, wanted, request)
                    for operator, pairs in self.body.get("Condition", {}).items()
                    for key, wanted in pairs.items()
                ),
                None if self.body.keys() - _ELEMENTS else True,
            )
        )

    def names(self, principals: Sequence[str]) -> bool | None:
        """Whether it is about one of ``principals``; True for a statement that names none, as in identity policies."""
        if "NotPrincipal" in self.body:
            return opposite(_principal(self.body["NotPrincipal"], principals))
        return _principal(self.body["Principal"], principals) if "Principal" in self.body else True

    def patterns(self, element: str) -> list[str]:
        """The globs of ``Action``, ``Resource`` or a negation of them; none where it is not there."""
        return _listed(self.body.get(element, []))

    def conditions(self) -> Iterable[tuple[str, str, list[str]]]:
        """Operator, condition key and values of each condition."""
        for operator, pairs in self.body.get("Condition", {}).items():
            for key, wanted in pairs.items():
                yield operator, key, [str(value) for value in _listed(wanted)]

    def _element(self, name: str, text: str, request: Request, ignore_case: bool = False) -> bool | None:
        if name in self.body:
            return any_of(covers(pattern, text, request, ignore_case) for pattern in self.patterns(name))
        if f"Not{name}" in self.body:
            return opposite(any_of(covers(one, text, request, ignore_case) for one in self.patterns(f"Not{name}")))
        return True  # a key's policy may leave its resource out: it is the key itself


def statements(document: Document) -> list[Statement]:
    """The statements of a policy document. Raises :class:`~dynastash.errors.PolicyError` for what is none."""
    found = document.get("Statement") if isinstance(document, Mapping) else None
    if found is None:
        raise PolicyError("this is not a policy document: it has no Statement")
    return [_statement(body, number) for number, body in enumerate(_listed(found), 1)]


def evaluate(identity: Sequence[Document], request: Request, *, boundary: Document | None = None) -> Decision:
    """What the policies of an identity say of ``request``, within its permissions boundary if there is one."""
    decision = _decide([each for document in identity for each in statements(document)], request)
    if boundary is None or decision.denied:
        return decision
    limit = _decide(statements(boundary), request)
    if decision.allowed or limit.denied:
        return limit
    return decision


def evaluate_key(key_policy: Document, identity: Sequence[Document], request: Request) -> Decision:
    """What KMS answers to ``request.principal``: the key's policy decides, and lets the identity's own policies speak
    where it allows the account of the caller.

    A role's session asks as the session and as its role.
    """
    principal = request.principal or ""
    account = principal.split(":")[4] if principal.count(":") >= 5 else ""
    partition = principal.split(":")[1] if ":" in principal else "aws"
    root = f"arn:{partition}:iam::{account}:root"
    own = statements(key_policy)
    theirs = [each for document in identity for each in statements(document)]
    denials = [each for each in own if not each.allows and each.names([principal, root, account]) is not False]
    direct = [each for each in own if each.allows and each.names([principal]) is not False]
    of_account = [each for each in own if each.allows and each.names([root, account]) is not False]
    by_key = _decide([*denials, *direct, *(each for each in theirs if not each.allows)], request)
    if by_key.allowed or by_key.explicit:
        return by_key
    delegated, by_identity = _decide([*denials, *of_account], request), _decide(theirs, request)
    verdict = all_of((delegated.verdict.truth, by_identity.verdict.truth))
    if verdict is True:
        return Decision(Verdict.ALLOWED, delegated.statements + by_identity.statements)
    if verdict is None or by_key.verdict is Verdict.UNKNOWN:
        return Decision(Verdict.UNKNOWN, by_key.statements + delegated.statements + by_identity.statements)
    return by_identity if by_identity.denied else delegated


def _decide(found: Sequence[Statement], request: Request) -> Decision:
    asked = [(each, each.asks(request)) for each in found]
    denying = tuple(each.name for each, asks in asked if asks is True and not each.allows)
    if denying:
        return Decision(Verdict.DENIED, denying, explicit=True)
    allowing = tuple(each.name for each, asks in asked if asks is True and each.allows)
    doubtful = [each for each, asks in asked if asks is None]
    if allowing and not any(not each.allows for each in doubtful):
        return Decision(Verdict.ALLOWED, allowing)
    if allowing or any(each.allows for each in doubtful):
        return Decision(Verdict.UNKNOWN, tuple(each.name for each in doubtful))
    return Decision(Verdict.DENIED)


def _statement(body: object, number: int) -> Statement:
    if not isinstance(body, Mapping) or body.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"statement {number} neither allows nor denies", hint="its Effect must be Allow or Deny")
    name = str(body.get("Sid") or number)
    for element in ("Action", "Resource"):
        given = [body[key] for key in (element, f"Not{element}") if key in body]
        if len(given) > 1 or (element == "Action" and not given):
            raise PolicyError(f"statement {name} needs either {element} or Not{element}")
        if not all(isinstance(text, str) for value in given for text in _listed(value)):
            raise PolicyError(f"the {element} of statement {name} is not text")
    conditions = body.get("Condition", {})
    if not isinstance(conditions, Mapping) or not all(isinstance(pairs, Mapping) for pairs in conditions.values()):
        raise PolicyError(f"the Condition of statement {name} is not operators with condition keys")
    return Statement(name, body["Effect"] == "Allow", body)


def _principal(element: Any, principals: Sequence[str]) -> bool | None:
    if element == "*":
        return True
    if not isinstance(element, Mapping):
        return None
    named = [str(one) for kind, ones in element.items() if kind == "AWS" for one in _listed(ones)]
    return "*" in named or not set(named).isdisjoint(principals)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
