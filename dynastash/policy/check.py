"""What existing policies open: as globs of names, each tried with a name that fits it and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dynastash.errors import InvalidNameError
from dynastash.models import check_name
from dynastash.policy import operations
from dynastash.policy.document import NAME_KEY, Access, Target
from dynastash.policy.evaluator import Decision, Document, Verdict, evaluate, statements
from dynastash.policy.globs import intersection, within, witness
from dynastash.policy.names import Pattern
from dynastash.policy.request import AMBIENT, Request

LEADING_KEYS: Final = "dynamodb:leadingkeys"


@dataclass(frozen=True, slots=True)
class Opened:
    """What is possible with the secrets whose names fit the glob ``names``.

    ``uses`` says what works with dynastash; ``opens`` and ``replaces`` what is possible with any client.
    ``without`` are globs within ``names`` with which nothing is possible.
    """

    names: str
    uses: Mapping[Access, Verdict]
    opens: Verdict
    replaces: Verdict
    without: tuple[str, ...] = field(default=(), compare=False)

    @property
    def nothing(self) -> bool:
        """Whether nothing is possible, for certain."""
        return self.opens is self.replaces is Verdict.DENIED and set(self.uses.values()) == {Verdict.DENIED}

    def same(self, other: Opened) -> bool:
        """Whether the same is possible with the names of ``other``."""
        return (self.opens, self.replaces, self.uses) == (other.opens, other.replaces, other.uses)


@dataclass(frozen=True, slots=True)
class TooWide:
    """``statement``, by Sid or number, gives more than is needed: ``what``, and ``advice`` on what to write."""

    statement: str
    what: str
    advice: str


def opened(documents: Sequence[Document], target: Target) -> list[Opened]:
    """The secrets that policies open or let replace, the widest glob of those with the same answers.

    Who asks, from where and when is not known: where that decides, the answer is "cannot say".
    """
    parsed = [each for document in documents for each in statements(document)]  # complains before anything is said
    target = with_named_keys(documents, target)

    def judge(request: Request) -> Decision:
        return evaluate(documents, request)

    globs = {"*"}
    for each in parsed:
        for _, key, values in each.conditions():
            if key.lower() in (LEADING_KEYS, NAME_KEY.lower()):
                globs.update(values)
    meetings = {glob for one in globs for other in globs for glob in intersection(one, other)}
    found = [_tried(names, judge, target) for names in sorted(globs | meetings) if _is_possible(names)]
    return [
        Opened(
            each.names,
            each.uses,
            each.opens,
            each.replaces,
            tuple(other.names for other in found if other.nothing and within(other.names, each.names)),
        )
        for each in found
        if not each.nothing and not any(_wider(other, each) and other.same(each) for other in found)
    ]


def with_named_keys(documents: Sequence[Document], target: Target) -> Target:
    """``target`` with the keys that policies name by ARN, where it has its own by alias only.

    Nobody can tell here which key has the alias, so each of them may be the one.
    """
    if target.keys is None or not target.key.startswith("alias/"):
        return target
    service = target.keys.removesuffix("*")
    named = {
        pattern
        for document in documents
        for each in statements(document)
        for pattern in each.patterns("Resource")
        if pattern.startswith(service) and "*" not in pattern and "?" not in pattern
    }
    return replace(target, trusted_keys=(*target.trusted_keys, *sorted(named)))


def beyond(found: Sequence[Opened], wanted: Mapping[Access, Sequence[Pattern]]) -> list[TooWide]:
    """What is opened or can be replaced and is not among ``wanted``: of each glob, what has no pattern to cover it."""
    written = [each.text for access in wanted for each in wanted[access] if access is not Access.READ]
    read = [each.text for access in wanted for each in wanted[access] if access is not Access.WRITE_ONLY]
    findings = []
    for each in found:
        for what, verdict, patterns in (("opens", each.opens, read), ("changes", each.replaces, written)):
            if verdict is not Verdict.DENIED and not any(within(each.names, pattern) for pattern in patterns):
                perhaps = " perhaps" if verdict is Verdict.UNKNOWN else ""
                findings.append(TooWide("all", f"{what}{perhaps} {each.names}", "it was not among what was asked for"))
    return findings


def _tried(names: str, judge: operations.Judge, target: Target) -> Opened:
    name = witness(names)
    return Opened(
        names,
        {access: operations.permits(judge, access, target, name, AMBIENT) for access in Access},
        operations.may_open(judge, target, name, AMBIENT),
        operations.may_replace(judge, target, name, AMBIENT),
    )


def _wider(one: Opened, other: Opened) -> bool:
    return one.names != other.names and within(other.names, one.names)


def _is_possible(glob: str) -> bool:
    """Whether a secret's name can fit."""
    try:
        check_name(witness(glob))
    except InvalidNameError:
        return False
    return True
