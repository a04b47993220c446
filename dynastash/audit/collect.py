"""What is kept of a stream of events: the newest few, or who did what how often. Memory follows the result."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from dynastash.audit.events import Event, Kind


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest events, in order of their time; ``left`` are as many older ones as there were besides."""

    events: tuple[Event, ...]
    left: int


def newest(events: Iterable[Event], limit: int) -> Newest:
    """The ``limit`` newest of ``events``, whatever order they come in."""
    kept: list[tuple[datetime, int, Event]] = []
    order = count()
    left = 0
    for event in events:
        entry = (event.at, -next(order), event)  # of one moment, those that came first
        if len(kept) < limit:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)
            left += 1
    # What came first of one moment stays first.
    return Newest(tuple(event for _, _, event in sorted(kept, key=lambda each: (each[0], -each[1]))), left)


@dataclass(slots=True)
class Uses:
    """How often one principal did one thing to one secret, done or refused, and when."""

    kind: Kind
    name: str
    principal: str
    done: int
    refused: int
    versions: set[int]
    first: datetime
    last: datetime


def summary(events: Iterable[Event]) -> list[Uses]:
    """``events`` by secret, principal and kind, in this order."""
    found: dict[tuple[str, str, Kind], Uses] = {}
    for event in events:
        key = event.name, event.principal, event.kind
        uses = found.get(key)
        if uses is None:
            uses = found[key] = Uses(event.kind, event.name, event.principal, 0, 0, set(), event.at, event.at)
        uses.done += event.done
        uses.refused += not event.done
        uses.first, uses.last = min(uses.first, event.at), max(uses.last, event.at)
        if event.version is not None and event.done:
            uses.versions.add(event.version)
    return [found[key] for key in sorted(found)]
