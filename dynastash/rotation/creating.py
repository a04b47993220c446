"""The create step that rotators share: a new value by a generation policy."""

from __future__ import annotations

from dynastash.errors import DynastashError, RotationError
from dynastash.generate import Policy, generate
from dynastash.models import Plaintext


def create_value(policy: Policy) -> Plaintext:
    """A new value by ``policy``. Raises :class:`RotationError` where none can be made."""
    try:
        return generate(policy)
    except DynastashError as error:
        raise RotationError(f"no value could be made: {error}", step="create", hint=error.hint) from error
