"""Does the table still have what CloudTrail saw? A version that was opened, and is not there, was taken away.

What is evidence, and what is not:

* **An unwrap or a rewrap that KMS did** is: dynastash opens only what it has read from the table, so the version was
  there. It must still be there, or be below the head's ``pruned_below``, or be among the head's destroyed versions:
  ``last`` never falls, and no number is used twice. If the version in the table was created after it was opened, it
  is another one.
* **A mint of version N** says that somebody read a head whose ``last`` was N - 1, and no more: the put may have lost a
  race, been refused, or died. So N = ``last`` + 1 is normal, and N beyond it is evidence that ``last`` was higher.
* **What KMS refused, and a dry run,** is no evidence: the context is then anybody's claim.

Whoever may use the key can call KMS without dynastash, with any context that the key's policies let through. A finding
is therefore a rollback, a table that was restored or replaced, or such a caller, whom the event names.

The table's word is taken for what it holds now: `verify` is what authenticates it. And nothing follows from events that
are not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final

from dynastash.audit.events import Event, Kind
from dynastash.crypto import records
from dynastash.errors import EnvelopeError
from dynastash.models import Head, Item, State, from_ms
from dynastash.stores.base import RecordKey, Store

SKEW: Final = timedelta(minutes=10)
"""How far a writer's clock may be ahead: AWS refuses one that is 5 minutes off."""

_PRINCIPALS: Final = 5
_BATCH: Final = 100


class Problem(StrEnum):
    """What the table lacks."""

    ROLLED_BACK = "rolled back"
    """A version beyond the table's newest was opened, or the secret is gone."""

    MINTED_BEYOND = "minted beyond"
    """A version was begun whose predecessor the table does not have, and nobody was seen to open it."""

    MISSING = "missing"
    """A version that was opened is not there, neither pruned nor destroyed."""

    REPLACED = "replaced"
    """The version in the table is younger than the one that was opened."""

    UNREADABLE = "unreadable"
    """The table's head cannot be read, so nothing can be said."""


@dataclass(slots=True)
class Evidence:
    """When something was done to one version, how often, and by whom (the first few)."""

    version: int
    first: Event
    last: Event
    count: int = 0
    principals: dict[str, None] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """One event more."""
        self.count += 1
        self.first = min(self.first, event, key=lambda each: each.at)
        self.last = max(self.last, event, key=lambda each: each.at)
        if len(self.principals) < _PRINCIPALS:
            self.principals[event.principal] = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit. ``version`` is the highest concerned; ``reached`` what the secret had got to."""

    name: str
    version: int
    problem: Problem
    message: str
    first: datetime
    last: datetime
    principals: tuple[str, ...]
    reached: int


_Make = Callable[[Evidence, Problem, str], Finding]


@dataclass(slots=True)
class Seen:
    """What events prove of each secret: which versions were opened, and the highest that was begun."""

    opened: dict[str, dict[int, Evidence]] = field(default_factory=dict)
    begun: dict[str, Evidence] = field(default_factory=dict)
    events: int = 0

    def add(self, event: Event) -> None:
        """Take in an event; what is no evidence is passed over."""
        self.events += 1
        name, version = event.secret, event.version
        if name is None or version is None or not event.done:
            return
        if event.kind is Kind.MINT:
            known = self.begun.get(name)
            if known is None or version > known.version:
                known = self.begun[name] = Evidence(version, event, event)
            if version == known.version:
                known.add(event)
        else:
            versions = self.opened.setdefault(name, {})
            versions.setdefault(version, Evidence(version, event, event)).add(event)


def take(events: Iterable[Event]) -> Seen:
    """All of ``events``. Memory grows with the versions that occur, not with the events."""
    seen = Seen()
    for event in events:
        seen.add(event)
    return seen


def findings(seen: Seen, store: Store) -> Iterator[Finding]:
    """What ``seen`` proves and ``store`` lacks, by name. Read the events before: what is written meanwhile is newer."""
    names = iter(sorted({*seen.opened, *seen.begun}))
    while batch := list(islice(names, _BATCH)):
        heads = store.fetch([RecordKey(name, records.HEAD) for name in batch])
        for name in batch:
            yield from _of_one(name, seen, heads.get(RecordKey(name, records.HEAD)), store)


def _of_one(name: str, seen: Seen, item: Item | None, store: Store) -> Iterator[Finding]:
    opened = seen.opened.get(name, {})
    begun = seen.begun.get(name)
    reached = max([*opened, begun.version - 1 if begun else 0])

    def finding(evidence: Evidence, problem: Problem, message: str) -> Finding:
        return Finding(
            name,
            evidence.version,
            problem,
            message,
            evidence.first.at,
            evidence.last.at,
            tuple(evidence.principals),
            reached,
        )

    head: Head | None = None
    if item is not None:
        try:
            head = records.decode_head(item)
        except EnvelopeError as error:
            if some := next(iter(opened.values()), begun):
                yield finding(some, Problem.UNREADABLE, f"the head cannot be read: {error}")
            return
    last = head.last if head is not None else 0
    where = f"the table's newest is {last}" if head is not None else "the table has no such secret"
    beyond = [evidence for version, evidence in opened.items() if version > last]
    if beyond:
        top = max(beyond, key=lambda evidence: evidence.version)
        yield finding(top, Problem.ROLLED_BACK, f"version {top.version} was opened, and {where}")
    elif begun is not None and begun.version > last + 1:
        yield finding(
            begun,
            Problem.MINTED_BEYOND,
            f"version {begun.version} was begun, behind version {begun.version - 1}, and {where}",
        )
    if head is not None:
        yield from _inside(head, {v: e for v, e in opened.items() if v <= last}, store, finding)


def _inside(head: Head, opened: Mapping[int, Evidence], store: Store, finding: _Make) -> Iterator[Finding]:
    """What is wrong up to the head's newest version."""
    kept = {version: evidence for version, evidence in opened.items() if version >= head.pruned_below}
    if not kept:
        return
    created: dict[int, int] = {}
    there: set[int] = set()
    for item in store.history(head.name):
        number = records.parse_version_key(str(item["record"]["S"]))
        if number is None:
            continue
        there.add(number)
        try:
            created[number] = records.decode_metadata(item).created_ms
        except EnvelopeError:
            continue  # `verify` speaks of those
    for version, evidence in sorted(kept.items()):
        if version not in there:
            if version not in head.destroyed and head.state is not State.DESTROYED:
                yield finding(evidence, Problem.MISSING, f"version {version} was opened, and the table lacks it")
        elif (
            version in created
            and version not in head.destroyed
            and evidence.first.at + SKEW < from_ms(created[version])
        ):
            yield finding(
                evidence,
                Problem.REPLACED,
                f"version {version} was opened at {evidence.first.at:%Y-%m-%d %H:%M:%S}, and the table's was created "
                f"at {from_ms(created[version]):%Y-%m-%d %H:%M:%S}",
            )
