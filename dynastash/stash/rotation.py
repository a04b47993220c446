"""Rotation: create → set → test → finish, so that a failure at any step leaves the current version current.

The new value is first written as a *pending* version. A rotator then makes the target system accept it and proves
that it does; only after that does the pending version become current. Whatever stops in between, a crash included,
leaves the pending version in place, and the rotation is resumed (set, test and finish again: they are idempotent)
or aborted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Final, Protocol, TypeVar

from dynastash.errors import ConflictError, DynastashError, ExpiredError, FormatError, RotationError
from dynastash.frozen import Frozen
from dynastash.generate import Policy, from_item, generate
from dynastash.models import Head, Item, Plaintext, Secret

_T = TypeVar("_T")
_POLICY: Final = "policy"


class Rotation(Frozen, kw_only=True):
    """What a rotator is told.

    ``version`` is the pending version's number; in the create step, where ``pending`` is still None, the number that
    it will have unless another writer comes first.
    """

    environment: str
    name: str
    version: int
    current: Secret
    pending: Secret | None = None


class Rotator(Protocol):
    """Knows how to change one kind of credential. Steps may be repeated after a failure and must be idempotent.

    A step that cannot be done raises :class:`~dynastash.errors.RotationError`.
    """

    def create(self, rotation: Rotation) -> Plaintext:
        """A new value. Nothing outside has been told about it yet."""
        ...

    def set(self, rotation: Rotation) -> None:
        """Make the target system accept the pending value."""
        ...

    def test(self, rotation: Rotation) -> None:
        """Prove that the pending value works."""
        ...


def policy_of(head: Head) -> Policy | None:
    """The policy that a secret carries, or None. The head's seal has been checked."""
    stored = head.rotation.get(_POLICY)
    if stored is None:
        return None
    if set(stored) != {"M"}:
        raise FormatError(f"the rotation policy of {head.name} is malformed", hint="give the policy anew when rotating")
    return from_item(stored["M"])


def rotation_item(policy: Policy) -> Item:
    """A policy as a head's ``rotation`` carries it: in a map of its own, which leaves room beside it."""
    return {_POLICY: {"M": policy.to_item()}}


class GenerateRotator:
    """For a secret that nobody but dynastash's readers knows: a new value by a policy, and nobody to tell."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def create(self, rotation: Rotation) -> Plaintext:
        """A new value by the policy."""
        return generate(self._policy)

    def set(self, rotation: Rotation) -> None:
        """Nobody needs to be told."""

    def test(self, rotation: Rotation) -> None:
        """Nothing to prove."""


def run_step(rotation: Rotation, step: str, call: Callable[[Rotation], _T]) -> _T:
    """Have a rotator do one step; whatever it raises becomes a :class:`RotationError` that says what to do next.

    A foreign exception is told by its type and its place alone: its text may hold a value.
    """
    stopped = f"rotating {rotation.name} stopped at the {step} step"
    try:
        return call(rotation)
    except RotationError as error:
        error.hint = error.hint or _next(rotation, step)
        raise
    except DynastashError as error:
        hint = error.hint if isinstance(error, ConflictError | ExpiredError) else None
        raise RotationError(f"{stopped}: {error}", step=step, hint=hint or _next(rotation, step)) from error
    except Exception as error:
        raised = f"{type(error).__name__}{_place(error)}"
    # Out here, where the foreign exception is neither cause nor context and no traceback prints it.
    raise RotationError(f"{stopped}: the rotator raised {raised}", step=step, hint=_next(rotation, step))


def _place(error: Exception) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return f" ({PurePath(last.tb_frame.f_code.co_filename).name}, line {last.tb_lineno})" if last is not None else ""


def _next(rotation: Rotation, step: str) -> str:
    if step == "create":
        return f"nothing was written; version {rotation.current.number} is current"
    resume = f"run `dynastash rotate {rotation.name} --resume -- PROGRAM`, or give up with `--abort`"
    if step == "finish":  # a lost reply leaves it open
        return (
            f"`dynastash history {rotation.name}` shows whether version {rotation.version} is current; if not, {resume}"
        )
    return f"version {rotation.current.number} is still current; mend it and {resume}"
