"""How a question is answered, as steps that a thread carries out by waiting and an event loop without."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from dynastash.cache.engine import Claim, Engine
from dynastash.cache.entries import Key
from dynastash.cache.failures import passing
from dynastash.cache.flights import Abandoned, Flight
from dynastash.errors import DynastashError, StoreError
from dynastash.models import Secret
from dynastash.stash import questions, views

_T = TypeVar("_T")


@dataclass(slots=True)
class Step:
    """Fly ``fly`` (None: others do), then wait for ``flights``, at most ``timeout`` seconds.

    ``urgent``: the caller has nothing else to be served, and may read in a thread of their own. Whoever carries the
    step out sets ``taken`` when the flight is sure to end.
    """

    fly: Callable[[], None] | None
    urgent: bool
    flights: Sequence[Flight]
    timeout: float | None
    taken: bool = False


Asking = Generator[Step, None, _T]
Batch = Callable[[Sequence[str]], Mapping[str, Secret]]
"""Opens the current versions of names, all or none."""


def carry_out(asking: Asking[_T], engine: Engine) -> _T:
    """The answer, by waiting in this thread."""
    with_steps = iter(asking)
    while True:
        try:
            step = next(with_steps)
        except StopIteration as end:
            answer: _T = end.value
            return answer
        try:
            if step.fly is not None and step.urgent:
                step.taken = True
                step.fly()
            elif step.fly is not None:
                engine.background.submit(step.fly)
                step.taken = True
            wait([flight.done for flight in step.flights], step.timeout)
        except BaseException:
            asking.close()
            raise


def one(engine: Engine, key: Key) -> Asking[tuple[Secret, ...]]:
    """What ``key`` asks for."""
    asked: Claim | None = None
    urgent = False
    while True:
        claim = engine.look(key)
        if not isinstance(claim, Claim):
            return claim
        asked = asked or claim
        flight = claim.flight
        yield from _flown(engine, [claim], partial(engine.fly, flight) if claim.lead else None, urgent)
        found = _outcome(engine, claim, asked)
        if isinstance(found, DynastashError):
            engine.count("misses")
            raise found
        if found is not None:
            return found
        urgent = True


def single(engine: Engine, key: Key) -> Asking[Secret]:
    """The one secret that ``key`` asks for."""
    (secret,) = yield from one(engine, key)
    return secret


def at_least(engine: Engine, key: Key, min_version: int) -> Asking[Secret]:
    """As :func:`single`; what is kept below ``min_version`` is read again, and then refused."""
    secret = yield from single(engine, key)
    if secret.number < min_version:
        engine.invalidate(key.name, min_version - 1)
        secret = yield from single(engine, key)
    if secret.number < min_version:
        engine.invalidate(key.name, None)
        questions.reached(key.name, secret.number, min_version)
    return secret


def under(engine: Engine, key: Key) -> Asking[dict[str, Secret]]:
    """All secrets under the prefix that ``key`` is."""
    found = yield from one(engine, key)
    return {secret.name: secret for secret in found}


def aside(engine: Engine, key: Key, read: Callable[[], Secret]) -> Asking[Secret]:
    """What ``read`` reads about ``key``, without looking at what is kept and without keeping it."""
    claim = engine.aside(key)
    yield from _flown(
        engine, [claim], partial(engine.fly_together, [claim.flight], lambda: {key: (read(),)}), urgent=True
    )
    found = _outcome(engine, claim, claim)
    if isinstance(found, DynastashError):
        engine.count("misses")
        engine.refused(key.name, found)
        raise found
    assert found is not None
    return found[0]


def many(engine: Engine, names: Iterable[str], read: Batch) -> Asking[dict[str, Secret]]:
    """The current versions of ``names``, of which ``read`` gets those that are missing, in one batch."""
    found = yield from outcomes(engine, names, read)
    failures = {name: outcome for name, outcome in found.items() if isinstance(outcome, DynastashError)}
    if failures:
        raise _together(failures, len(found))
    return {name: outcome for name, outcome in found.items() if isinstance(outcome, Secret)}


def outcomes(engine: Engine, names: Iterable[str], read: Batch) -> Asking[dict[str, Secret | DynastashError]]:
    """As :func:`many`, but each secret that cannot be had is there with its error."""
    keys = [Key(name) for name in dict.fromkeys(names)]
    asked: dict[Key, Claim] = {}
    found: dict[Key, tuple[Secret, ...] | DynastashError | None] = dict.fromkeys(keys)
    urgent = False
    while missing := [key for key in keys if found[key] is None]:
        claims: list[Claim] = []
        for key in missing:
            seen = engine.look(key)
            if isinstance(seen, Claim):
                claims.append(seen)
                asked.setdefault(key, seen)
            else:
                found[key] = seen
        if claims:
            leading = [claim.flight for claim in claims if claim.lead]
            yield from _flown(engine, claims, partial(_fly_batch, engine, leading, read) if leading else None, urgent)
            for claim in claims:
                found[claim.flight.key] = _outcome(engine, claim, asked[claim.flight.key])
            urgent = True
    ready: dict[str, Secret | DynastashError] = {}
    for key, outcome in found.items():
        if isinstance(outcome, DynastashError):
            engine.count("misses")
            ready[key.name] = outcome
        elif outcome is not None:
            ready[key.name] = outcome[0]
    return ready


def _flown(engine: Engine, claims: Sequence[Claim], fly: Callable[[], None] | None, urgent: bool) -> Asking[None]:
    """One step. Where it is not carried out, its flights are given up."""
    patient = all(claim.stale is not None for claim in claims)
    step = Step(
        fly, urgent or not patient, [claim.flight for claim in claims], engine.limits.max_wait if patient else None
    )
    try:
        yield step
    finally:
        if not step.taken:
            for claim in claims:
                if claim.lead:
                    engine.abandon(claim.flight)


def _outcome(engine: Engine, claim: Claim, asked: Claim) -> tuple[Secret, ...] | DynastashError | None:
    """What a flight brought to one who waited for it; None where they have to ask again."""
    flight = claim.flight
    error = flight.failure() if flight.done.done() else None
    if flight.done.done() and error is None:
        if not engine.accepts(flight, asked):
            return None
        engine.count("misses")
        return flight.done.result()
    if claim.stale is not None and (error is None or passing(error)) and engine.stands_in(claim.stale):
        return claim.stale.secrets
    if error is None or isinstance(error, Abandoned):
        return None
    assert isinstance(error, DynastashError)
    return error


def _fly_batch(engine: Engine, flights: Sequence[Flight], read: Batch) -> None:
    def reading() -> dict[Key, tuple[Secret, ...]]:
        return {Key(name): (secret,) for name, secret in read([flight.key.name for flight in flights]).items()}

    engine.fly_together(flights, reading)


def _together(failures: Mapping[str, DynastashError], asked: int) -> DynastashError:
    """As the stash tells it: a store that fails as a whole by its own error, anything else by each secret."""
    first = next(iter(failures.values()))
    if isinstance(first, StoreError) and all(str(error) == str(first) for error in failures.values()):
        return first
    return views.partial(failures, asked)
