"""Values on their way out of a stash: planned against what a place holds, written, and read back.

:func:`plan` compares what is wanted with what is there and changes nothing, :func:`apply` carries the changes out, and
:func:`verify` reads them back from the place. A run that was interrupted is gone on with by the same call: what is
there already is the same by then. No step shows a value; what was written is compared by digests under a key of the
run's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from dynastash import parallel
from dynastash.backoff import Backoff
from dynastash.clock import Clock, SystemClock
from dynastash.errors import ConfigError, DynastashError, TransferError
from dynastash.frozen import Frozen
from dynastash.places import Held, Outgoing, Target
from dynastash.transfer.digests import Digests

AT_ONCE: Final = 4
"""Writes in flight: services for secrets take tens of calls a second, not hundreds."""

_PATIENCE: Final = 10.0


class Action(StrEnum):
    """What is to happen to one key of the target."""

    CREATE = "create"
    UPDATE = "update"
    TAKE_OVER = "take over"
    """Somebody else made it, and it is to be ours from now on."""

    ADOPT = "adopt"
    """Somebody else made it, with this very value, and it is to be ours from now on."""

    REMOVE = "remove"
    SAME = "same"
    CONFLICT = "conflict"
    """Somebody else made it, and it holds something else: left alone."""

    REFUSED = "refused"
    """The target cannot hold the value as it is."""

    UNREADABLE = "unreadable"
    """The stash does not give the value out; what the target has is left alone."""


CHANGES: Final = (Action.CREATE, Action.UPDATE, Action.TAKE_OVER, Action.ADOPT, Action.REMOVE)
PROBLEMS: Final = (Action.CONFLICT, Action.REFUSED, Action.UNREADABLE)


class Withheld(Frozen):
    """A secret that is wanted at a target and is not given out: its ``name``, and the ``reason``."""

    name: str
    reason: str


class Step(Frozen):
    """What is to happen to ``key``. ``reason`` says why, of what is not self-evident, and never with a value."""

    action: Action
    key: str
    outgoing: Outgoing | None = None
    held: Held | None = None
    reason: str | None = None
    withheld: Withheld | None = None

    @property
    def name(self) -> str | None:
        """The secret that it is about: the one wanted there, or else the one that was written there."""
        if self.outgoing is not None:
            return self.outgoing.name
        if self.withheld is not None:
            return self.withheld.name
        return None if self.held is None else self.held.name

    @property
    def version(self) -> int | None:
        """The version wanted there, or else the one that is."""
        if self.outgoing is not None:
            return self.outgoing.version
        return None if self.held is None else self.held.version


class Plan(Frozen):
    """Every key that is wanted or was made by this environment, in the order of the keys' bytes."""

    steps: tuple[Step, ...]

    def of(self, *actions: Action) -> tuple[Step, ...]:
        """The steps of these kinds."""
        return tuple(step for step in self.steps if step.action in actions)

    @property
    def changes(self) -> tuple[Step, ...]:
        """What :func:`apply` would carry out, in its order: removals last."""
        return (*self.of(*(action for action in CHANGES if action is not Action.REMOVE)), *self.of(Action.REMOVE))

    @property
    def problems(self) -> tuple[Step, ...]:
        """What cannot be done."""
        return self.of(*PROBLEMS)

    @property
    def takes_away(self) -> bool:
        """Whether something that a reader may use now is replaced or removed."""
        return bool(self.of(Action.UPDATE, Action.TAKE_OVER, Action.REMOVE))


class Done(Frozen):
    """One step that was tried: done where ``error`` is None."""

    step: Step
    error: DynastashError | None = None


def plan(
    target: Target,
    wanted: Iterable[Outgoing],
    unreadable: Mapping[str, Withheld] | None = None,
    *,
    remove: bool = True,
    take_over: bool = False,
    adopt: bool = False,
) -> Plan:
    """What it takes for ``target`` to hold exactly ``wanted`` of what this environment made there.

    ``unreadable`` are keys that are wanted and whose values the stash does not give out: what the target holds there
    stays. Without ``remove`` nothing is taken away. ``take_over`` makes ours what somebody else made under a key that
    is wanted, ``adopt`` only where that has the very value. Raises :class:`~dynastash.errors.DynastashError` where the
    target cannot be read.
    """
    by_key = {each.key: each for each in wanted}
    withheld = dict(unreadable or {})
    refusals = {key: reason for key, each in by_key.items() if (reason := target.refusal(each)) is not None}
    keys = by_key.keys() | withheld.keys()
    held = target.held(sorted(keys - refusals.keys()))
    steps = [
        _step(each, held.get(key), refusals.get(key), take_over, adopt)
        for key, each in by_key.items()
        if key not in withheld
    ]
    steps += [Step(Action.UNREADABLE, key, None, held.get(key), each.reason, each) for key, each in withheld.items()]
    if remove:
        steps += [
            Step(Action.REMOVE, key, None, each, "no longer wanted there")
            for key, each in held.items()
            if each.owned and key not in keys
        ]
    return Plan(tuple(sorted(steps, key=lambda step: step.key.encode("utf-8", "surrogatepass"))))


def _step(outgoing: Outgoing, held: Held | None, refusal: str | None, take_over: bool, adopt: bool) -> Step:
    def step(action: Action, reason: str | None = None) -> Step:
        return Step(action, outgoing.key, outgoing, held, reason)

    if refusal is not None:
        return step(Action.REFUSED, refusal)
    if held is None:
        return step(Action.CREATE)
    equal = held.value is not None and held.value == outgoing.value
    if not held.owned:
        if adopt and equal:
            return step(Action.ADOPT, "others', same value")
        if take_over:
            return step(Action.TAKE_OVER, held.problem)
        if equal:
            return step(Action.SAME, "others', same value")
        return step(Action.CONFLICT, held.problem or "somebody else made it, with another value")
    if not equal:
        edited = held.version == outgoing.version and held.name == outgoing.name
        return step(Action.UPDATE, held.problem or ("another value of this version is there" if edited else None))
    if held.version not in (None, outgoing.version) or held.name not in (None, outgoing.name):
        return step(Action.UPDATE, "the value is the same, and of another version")
    return step(Action.SAME)


def apply(target: Target, planned: Plan, *, at_once: int = AT_ONCE) -> Iterator[Done]:
    """Carry the plan's changes out, several at a time; yields each when it is done, or has failed.

    One failure does not keep the others from being tried. What is no longer wanted goes last, and stays where its
    secret could not be written under the new key. Raises what every further step would meet too: missing credentials
    and a wrong configuration.
    """

    def write(step: Step) -> Done:
        assert step.outgoing is not None
        outgoing = step.outgoing
        return _tried(step, lambda: target.write(outgoing, step.held))

    failed: set[str | None] = {step.name for step in planned.problems}
    for done in parallel.streamed(
        write, (step for step in planned.changes if step.action is not Action.REMOVE), limit=lambda: at_once
    ):
        if done.error is not None:
            failed.add(done.step.name)
        yield done

    def remove(step: Step) -> Done:
        held = step.held
        assert held is not None
        if held.name is not None and held.name in failed:
            return Done(
                step,
                TransferError(
                    f"{step.key} was not removed: {held.name} could not be written under its other key",
                    hint="mend that first",
                ),
            )
        return _tried(step, lambda: target.remove(held))

    yield from parallel.streamed(remove, planned.of(Action.REMOVE), limit=lambda: at_once)


def verify(
    target: Target,
    results: Sequence[Done],
    *,
    clock: Clock | None = None,
    digests: Digests | None = None,
) -> list[Done]:
    """``results``, with an error for each change that the target does not show when it is read again.

    Nothing is read where nothing was changed. A service that shows a change a moment later is asked again for some
    seconds. Raises :class:`~dynastash.errors.DynastashError` where the target cannot be read.
    """
    digests = digests or Digests()
    changed = [done.step for done in results if done.error is None]
    if not changed:
        return list(results)
    wanted = {step.key: None if step.outgoing is None else digests.of(step.outgoing.value) for step in changed}
    written = sorted(key for key, digest in wanted.items() if digest is not None)
    patience = Backoff(clock or SystemClock(), _PATIENCE)
    while True:
        held = target.held(written)  # what was removed would be there too, unasked for, among what is ours
        differing = {key for key, digest in wanted.items() if _shown(held.get(key), digests) != digest}
        if not differing or not patience.pause():
            break
    return [
        Done(done.step, _unverified(done.step, held.get(done.step.key)))
        if done.error is None and done.step.key in differing
        else done
        for done in results
    ]


def _shown(held: Held | None, digests: Digests) -> bytes | None:
    if held is None:
        return None
    return b"" if held.value is None else digests.of(held.value)


def _unverified(step: Step, held: Held | None) -> TransferError:
    if step.action is Action.REMOVE:
        return TransferError(f"{step.key} was removed, and is still there", hint="look at it again in a moment")
    said = "is not there" if held is None else held.problem or "holds another value"
    return TransferError(
        f"{step.key} was written, and reading it back shows otherwise: {said}",
        hint="is somebody else writing there?",
    )


def _tried(step: Step, act: Callable[[], None]) -> Done:
    try:
        act()
    except ConfigError:
        raise
    except DynastashError as error:
        return Done(step, error)
    return Done(step)
