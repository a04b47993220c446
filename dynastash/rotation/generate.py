"""The rotator for secrets that nobody but their readers knows: nothing outside has to accept the new value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynastash.generate import Policy
from dynastash.models import Plaintext
from dynastash.rotation.creating import create_value
from dynastash.stash.rotation import Rotation


class GenerateRotator:
    """Makes values by ``policy``. There is no other system, so that set and test have nothing to do."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def create(self, rotation: Rotation) -> Plaintext:
        """A new value by the policy."""
        return create_value(self._policy)

    def set(self, rotation: Rotation) -> None:
        """Nothing: readers are the only ones who have to know."""

    def test(self, rotation: Rotation) -> None:
        """Nothing: a value that no system checks cannot fail."""


if TYPE_CHECKING:
    from dynastash.stash.rotation import Rotator

    def _conforms(rotator: GenerateRotator) -> Rotator:
        return rotator
