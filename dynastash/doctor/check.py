"""Checks: what each says, in which order they are made, and that none of them stops or delays the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dynastash.errors import DynastashError, ServiceAccessDeniedError

LIMIT: Final = 15.0
"""Seconds that a check may take."""


class Status(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something should be done all the same."""

    FAILED = "failed"
    """It does not work."""

    SKIPPED = "skipped"
    """Nobody can say: another check failed before, or the caller may not look."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found. ``hint`` is the next step, None where there is nothing to do."""

    status: Status
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the diagnosis; ``name`` is stable from release to release."""

    name: str
    status: Status
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """A check that is yet to be made.

    ``needs`` are the checks that must have gone well before; ``unless`` those that must not have failed: what nobody
    could say of them is no obstacle. ``limit`` is in seconds.
    """

    name: str
    look: Callable[[], Outcome]
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    limit: float = LIMIT


def ok(message: str) -> Outcome:
    """All is well."""
    return Outcome(Status.OK, message)


def warning(message: str, hint: str | None = None) -> Outcome:
    """It works, but."""
    return Outcome(Status.WARNING, message, hint)


def failed(message: str, hint: str | None = None) -> Outcome:
    """It does not work."""
    return Outcome(Status.FAILED, message, hint)


def skipped(message: str, hint: str | None = None) -> Outcome:
    """Nobody can say."""
    return Outcome(Status.SKIPPED, message, hint)


def run(probes: Sequence[Probe]) -> Iterator[Check]:
    """Make the checks one after the other, yielding each as soon as it is made."""
    made: dict[str, Status] = {}
    for probe in probes:
        in_the_way = [name for name in probe.needs if made.get(name) not in (Status.OK, Status.WARNING)]
        in_the_way += [name for name in probe.unless if made.get(name) is Status.FAILED]
        outcome = skipped(f"needs {in_the_way[0]}") if in_the_way else _within(probe)
        made[probe.name] = outcome.status
        yield Check(probe.name, outcome.status, outcome.message, outcome.hint)


def _within(probe: Probe) -> Outcome:
    """The outcome, made by a thread of its own: whatever hangs is left behind."""
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(_guarded(probe)), daemon=True, name=f"doctor-{probe.name}")
    thread.start()
    thread.join(probe.limit)
    if found:
        return found[0]
    return failed(f"no answer within {probe.limit:.0f} seconds", "check the network, proxies and credential processes")


def _guarded(probe: Probe) -> Outcome:
    try:
        return probe.look()
    except ServiceAccessDeniedError as error:
        return skipped(str(error), error.hint)
    except DynastashError as error:
        return failed(str(error), error.hint)
    except Exception as error:
        return failed(
            f"unexpected {type(error).__name__}; this is a defect of dynastash", "please report it with this line"
        )
