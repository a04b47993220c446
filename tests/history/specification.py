"""One secret as callers may see it: a state, and what each operation makes of it, one at a time.

Where the library does an operation in two steps, the history has both as operations (a rotation), or the second one's
outcome is allowed to rest on the first one's state (abort, prune); said where it is so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.history.operations import Operation

NONE, ACTIVE, DELETED, DESTROYED = "none", "active", "deleted", "destroyed"
PATIENCE = "patience"
"""The refusal of a writer that lost every race until its patience ended: true in any state."""


class State(NamedTuple):
    """A secret. Versions are numbers, 0 meaning none; ``values`` has those of 1 to ``last``, None for what is gone."""

    status: str = NONE
    last: int = 0
    current: int = 0
    previous: int = 0
    pending: int = 0
    below: int = 1
    gone: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()
    values: tuple[str | None, ...] = ()

    def exists(self, number: int) -> bool:
        """Whether version ``number`` is there to be read or hidden."""
        return self.below <= number <= self.last and number not in self.gone

    @property
    def alive(self) -> bool:
        """Whether there is a secret with a current version."""
        return self.status in (ACTIVE, DELETED)

    @property
    def staying(self) -> set[int]:
        """The versions that no prune takes."""
        return {self.last, self.current, self.previous, self.pending} - {0}


READS = frozenset({"get", "get version", "get previous", "begin rotation", "begin resume"})
"""The kinds that change nothing. A read without an outcome says nothing and is left out."""


def changes(operation: Operation) -> bool:
    """Whether ``operation`` may change the state: a write that was not refused."""
    return operation.kind not in READS and operation.refusal is None


def step(state: State, operation: Operation) -> Sequence[State]:
    """The states that ``operation`` may lead to with the outcome that it had; none where it cannot have had it."""
    if operation.refusal is not None:
        return [state] if operation.refusal == PATIENCE or _refuses(state, operation) else []
    return _STEPS[operation.kind](state, operation.arguments, operation.result)


def _refuses(state: State, operation: Operation) -> bool:
    kind, arguments, error = operation.kind, operation.arguments, operation.refusal
    number = arguments.get("version", 0)
    if kind == "put":
        return error == _put_refusal(state, arguments)
    if error == "SecretNotFoundError":
        return state.status == NONE
    if error == "SecretDestroyedError":
        return state.status == DESTROYED and kind != "destroy"
    if not state.alive:
        return False
    used = number in (state.current, state.pending)
    deleted = state.status == DELETED
    return {
        ("get", "SecretDeletedError"): deleted,
        ("get version", "VersionNotFoundError"): not state.exists(number),
        ("get version", "SecretDeletedError"): state.exists(number) and (deleted or number in state.hidden),
        ("get previous", "VersionNotFoundError"): not state.previous,
        ("get previous", "SecretDeletedError"): bool(state.previous) and (deleted or state.previous in state.hidden),
        ("begin rotation", "SecretDeletedError"): deleted,
        ("begin rotation", "ConflictError"): not deleted and bool(state.pending),
        ("stage", "SecretDeletedError"): deleted,
        ("stage", "ConflictError"): not deleted and (bool(state.pending) or state.current != arguments.get("current")),
        ("begin resume", "VersionNotFoundError"): not state.pending,
        ("begin resume", "SecretDeletedError"): deleted,
        ("promote", "SecretDeletedError"): deleted,
        ("promote", "ConflictError"): not deleted and state.pending != number,
        ("abort", "VersionNotFoundError"): not state.pending,
        ("abort", "SecretDeletedError"): deleted,
        ("abort", "ConflictError"): not deleted,  # something else was pending a moment ago
        ("delete", "ConflictError"): not deleted and bool(state.pending),
        ("delete version", "ConflictError"): used,
        ("delete version", "VersionNotFoundError"): not used and not state.exists(number),
        ("undelete version", "VersionNotFoundError"): not state.exists(number),
        ("destroy version", "ConflictError"): used,
        ("destroy version", "VersionNotFoundError"): number > state.last,
    }.get((kind, error or ""), False)


def _put_refusal(state: State, arguments: Mapping[str, Any]) -> str | None:
    reborn = arguments["recreate"] and state.status == DESTROYED
    if state.status == DESTROYED and not reborn:
        return "SecretDestroyedError"
    if state.status == DELETED:
        return "SecretDeletedError"
    if arguments["if_version"] not in (None, state.current) or state.pending:
        return "ConflictError"
    return None


def _added(state: State, value: str) -> State:
    return state._replace(last=state.last + 1, values=(*state.values, value))


def _fits(result: Mapping[str, Any] | None, **expected: object) -> bool:
    return result is None or all(result.get(name) == value for name, value in expected.items())


def _put(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    if _put_refusal(state, given) is not None or not _fits(result, version=state.last + 1):
        return []
    hidden = frozenset() if state.status == DESTROYED else state.hidden
    after = _added(state, given["value"])
    return [after._replace(status=ACTIVE, current=after.last, previous=state.current, hidden=hidden)]


def _get(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    right = state.status == ACTIVE and _fits(result, version=state.current, value=state.values[state.current - 1])
    return [state] if right else []


def _get_version(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    number = given["version"]
    shown = state.status == ACTIVE and state.exists(number) and number not in state.hidden
    return [state] if shown and _fits(result, value=state.values[number - 1]) else []


def _get_previous(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    number = state.previous
    if state.status != ACTIVE or not number or number in state.hidden:
        return []
    return [state] if _fits(result, version=number, value=state.values[number - 1]) else []


def _begin_rotation(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    return [] if state.pending else _get(state, given, result)


def _stage(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    allowed = state.status == ACTIVE and not state.pending and state.current == given["current"]
    if not allowed or not _fits(result, version=state.last + 1):
        return []
    after = _added(state, given["value"])
    return [after._replace(pending=after.last)]


def _promote(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    number = given["version"]
    if state.status != ACTIVE:
        return []
    if not state.pending and state.current == number:  # done already is done
        return [state]
    if state.pending != number:
        return []
    return [state._replace(current=number, previous=state.current, pending=0)]


def _begin_resume(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    if state.status != ACTIVE or not state.pending:
        return []
    shown = {
        "version": state.current,
        "value": state.values[state.current - 1],
        "pending": state.pending,
        "pending_value": state.values[state.pending - 1],
    }
    return [state] if _fits(result, **shown) else []


def _abort(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    if state.status != ACTIVE or not state.pending or not _fits(result, version=state.pending):
        return []
    return [state._replace(pending=0)]


def _delete(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    if not state.alive or (state.status == ACTIVE and state.pending):
        return []
    return _shown([state._replace(status=DELETED)], result)


def _undelete(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    return _shown([state._replace(status=ACTIVE)], result) if state.alive else []


def _destroy(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    if state.status == NONE:
        return []
    if state.status == DESTROYED:
        return _shown([state], result)
    nothing = (None,) * state.last
    after = State(DESTROYED, state.last, below=state.last, gone=frozenset({state.last}), values=nothing)
    return _shown([after], result)


def _destroy_version(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    number = given["version"]
    if not state.alive or number > state.last or number in (state.current, state.pending):
        return []
    if not state.exists(number):
        return _shown([state], result)
    after = _without(state, {number})._replace(gone=state.gone | {number}, hidden=state.hidden - {number})
    return _shown([after._replace(previous=0 if number == state.previous else state.previous)], result)


def _delete_version(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    number = given["version"]
    if not state.alive or not state.exists(number) or number in (state.current, state.pending):
        return []
    return _shown([state._replace(hidden=state.hidden | {number})], result)


def _undelete_version(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    number = given["version"]
    if not state.alive or not state.exists(number):
        return []
    return _shown([state._replace(hidden=state.hidden - {number})], result)


def _prune(state: State, given: Mapping[str, Any], result: Mapping[str, Any] | None) -> Sequence[State]:
    """What goes is chosen by a look a moment before; what was given a stage since then stays."""
    if not state.alive:
        return []
    if result is None:
        return [_pruned(state, below) for below in range(state.below + 1, min(state.staying) + 1)]
    numbers = set(result["versions"])
    if not numbers:
        return [state]
    below = max(state.below, max(numbers) + 1)
    whole = numbers.issuperset(range(state.below, below))
    return [_pruned(state, below)] if whole and not numbers & state.staying else []


def _pruned(state: State, below: int) -> State:
    numbers = set(range(state.below, below))
    return _without(state, numbers)._replace(below=below, gone=state.gone - numbers, hidden=state.hidden - numbers)


def _without(state: State, numbers: set[int]) -> State:
    values = tuple(None if number in numbers else value for number, value in enumerate(state.values, 1))
    return state._replace(values=values)


def _shown(states: Sequence[State], result: Mapping[str, Any] | None) -> Sequence[State]:
    """Those of ``states`` that a :class:`SecretInfo` shows like ``result``."""
    return [state for state in states if _fits(result, state=state.status, current=state.current, last=state.last)]


_STEPS: Mapping[str, Callable[[State, Mapping[str, Any], Mapping[str, Any] | None], Sequence[State]]] = {
    "put": _put,
    "get": _get,
    "get version": _get_version,
    "get previous": _get_previous,
    "begin rotation": _begin_rotation,
    "stage": _stage,
    "promote": _promote,
    "begin resume": _begin_resume,
    "abort": _abort,
    "delete": _delete,
    "undelete": _undelete,
    "destroy": _destroy,
    "destroy version": _destroy_version,
    "delete version": _delete_version,
    "undelete version": _undelete_version,
    "prune": _prune,
}
