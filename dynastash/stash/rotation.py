"""Rotation: create → set → test → finish, so that a failure at any step leaves the current version current.

The new value is first written as a *pending* version. A rotator then makes the target system accept it and proves
that it does; only after that does the pending version become current. Whatever stops in between, a crash included,
leaves the pending version in place, and the rotation is resumed (set, test and finish again: they are idempotent)
or aborted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dynastash.models import Plaintext, Secret


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
