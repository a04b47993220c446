"""Sources made of lists, and moving them into a stash as `migrate` and `import` do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dynastash.models import Plaintext
from dynastash.places import History, Revision
from dynastash.stash.api import Stash
from dynastash.testing.fakes import FakeClock
from dynastash.transfer.arriving import Arrival, Arrived
from dynastash.transfer.digests import Digests
from dynastash.transfer.planning import Planned, Rules, plan

WHOLE = Rules(whole=True)
SINGLE = Rules(whole=False)


def revision(label: str, value: bytes | str | None, **more: Any) -> Revision:
    """One revision; None stands for a value that cannot be had."""
    data = value.encode() if isinstance(value, str) else value
    problem = more.pop("problem", None if value is not None else "its bytes are damaged")
    return Revision(label, None if data is None else Plaintext(data), problem=problem, **more)


def history(key: str, *values: bytes | str | None, **more: Any) -> History:
    """A secret with ``values`` as versions 1, 2, 3 … as credstash numbers them."""
    return History(key, tuple(revision(f"{number:019}", value) for number, value in enumerate(values, 1)), **more)


def planned(histories: Iterable[History], stash: Stash, rules: Rules = WHOLE) -> list[Planned]:
    """The plan alone."""
    return plan(histories, stash, rules, Digests(), clock=FakeClock())


def moved(histories: Iterable[History], stash: Stash, rules: Rules = WHOLE) -> list[Arrived]:
    """The plan carried out."""
    digests = Digests()
    return list(Arrival(stash, rules, digests).carry_out(plan(histories, stash, rules, digests, clock=FakeClock())))


def held(stash: Stash) -> dict[str, list[tuple[int, bytes, str | None]]]:
    """Every version in ``stash``: its number, value and comment."""
    return {
        info.name: [
            (version.number, stash.get(info.name, version=version.number).value, version.comment)
            for version in stash.history(info.name)
        ]
        for info in stash.list()
    }


def actions(plans: Sequence[Planned]) -> dict[str, str]:
    """What becomes of each key."""
    return {each.key: str(each.action) for each in plans}
