"""Rotation: create → set → test → finish, so that a failure at any step leaves the current version current.

The new value is first written as a *pending* version. A rotator then makes the target system accept it and proves
that it does; only after that does the pending version become current. Whatever stops in between, a crash included,
leaves the pending version in place, and the rotation is resumed (set, test and finish again: they are idempotent)
or aborted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from dynastash.errors import DynastashError, FormatError, RotationError
from dynastash.generate import Policy, from_item, generate
from dynastash.models import Head, Item, Plaintext, Secret

_T = TypeVar("_T")
_POLICY: Final = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
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

    A foreign exception's text is not quoted: it may hold a value.
    """
    try:
        return call(rotation)
    except RotationError:
        raise
    except DynastashError as error:
        raise RotationError(
            f"rotating {rotation.name} stopped at the {step} step: {error}", step=step, hint=_next(rotation, step)
        ) from error
    except Exception as error:
        raise RotationError(
            f"rotating {rotation.name} stopped at the {step} step: the rotator raised {type(error).__name__}",
            step=step,
            hint=_next(rotation, step),
        ) from error


def _next(rotation: Rotation, step: str) -> str:
    if step == "create":
        return f"nothing was written; version {rotation.current.number} is current"
    return (
        f"version {rotation.current.number} is still current; mend it and run `dynastash rotate {rotation.name} "
        "--resume`, or give up with `--abort`"
    )
