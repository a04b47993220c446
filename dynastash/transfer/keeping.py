"""Keeping a target equal with a stash: looked at again and again, and only what has changed is carried over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dynastash.crypto.records import decode_head
from dynastash.errors import DynastashError
from dynastash.frozen import Frozen, replace
from dynastash.models import State
from dynastash.places import Target
from dynastash.references import parse
from dynastash.stash.polling import heads
from dynastash.transfer import outgoing
from dynastash.transfer.choosing import Selection, choose
from dynastash.transfer.outgoing import Done, Plan

if TYPE_CHECKING:
    from dynastash.models import Item
    from dynastash.stash.api import Stash

WHOLE: Final = 60
"""Every so many looks everything is compared, whatever the heads say: somebody may have changed the target."""


class Rules(Frozen, kw_only=True):
    """``empty`` allows that nothing starts with a prefix any more; the others are as :func:`outgoing.plan` has them."""

    empty: bool = False
    remove: bool = True
    take_over: bool = False
    adopt: bool = False


class Round(Frozen):
    """What is to be done now at ``target``, where ``whole`` says that everything was compared."""

    target: Target
    planned: Plan
    whole: bool


class Keeper:
    """Looks at the secrets of ``stash`` that are ``asked`` for, and plans what keeps ``target`` equal with them.

    ``few`` is the same place, for rounds in which a few keys changed. One look is one read of the heads: a batch for
    those that are named, one read of the index for each prefix. Nothing is opened unless a head is another.
    """

    def __init__(self, stash: Stash, target: Target, few: Target, asked: Selection, rules: Rules) -> None:
        self._stash = stash
        self._target = target
        self._few = few
        self._asked = asked
        self._rules = rules
        self._names = [parse(text).name for _, text in asked.secrets]
        self._heads: dict[str, Item] | None = None
        self._coming: dict[str, Item] | None = None
        self._looks = 0

    def look(self) -> Round | None:
        """What is to be done, or None where nothing has changed since the last :meth:`done`.

        Everything is compared at first, whenever a secret has come or gone, and at every 60th look.
        """
        found = heads(self._stash.store, self._names, self._asked.prefixes)
        self._looks += 1
        before, self._coming = self._heads, found
        if before is None or before.keys() != found.keys() or self._looks >= WHOLE:
            return self._round(self._asked, self._target, whole=True)
        changed = frozenset(name for name, head in found.items() if before[name] != head)
        if not changed:
            return None
        if any(_gone(found[name]) for name in changed):
            return self._round(self._asked, self._target, whole=True)
        return self._round(replace(self._asked, only=changed), self._few, whole=False)

    def done(self, this: Round, results: Sequence[Done]) -> None:
        """``this`` was carried out with ``results``; where any failed, everything is compared at the next look."""
        self._heads = self._coming if all(each.error is None for each in results) else None
        if this.whole:
            self._looks = 0

    def _round(self, asked: Selection, target: Target, *, whole: bool) -> Round:
        rules = self._rules
        chosen = choose(self._stash, asked, empty=rules.empty)
        planned = outgoing.plan(
            target,
            chosen.outgoing,
            chosen.unreadable,
            remove=rules.remove and whole,
            take_over=rules.take_over,
            adopt=rules.adopt,
        )
        return Round(target, planned, whole)


def _gone(head: Item) -> bool:
    """Whether a head may be that of a secret that is not handed out any more, as far as it says itself."""
    try:
        decoded = decode_head(head)
    except DynastashError:
        return True
    return decoded.state is not State.ACTIVE or decoded.current is None
