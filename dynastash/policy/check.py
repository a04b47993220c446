"""What existing policies open: as globs of names, each tried with a name that fits it and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dynastash.errors import InvalidNameError
from dynastash.models import check_name
from dynastash.policy import operations
from dynastash.policy.document import NAME_KEY, Access, Target
from dynastash.policy.evaluator import Decision, Document, Verdict, evaluate, statements
from dynastash.policy.globs import intersection, within, witness
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


def opened(documents: Sequence[Document], target: Target) -> list[Opened]:
    """The secrets that policies open or let replace, the widest glob of those with the same answers.

    Who asks, from where and when is not known: where that decides, the answer is "cannot say".
    """
    parsed = [each for document in documents for each in statements(document)]  # complains before anything is said

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
