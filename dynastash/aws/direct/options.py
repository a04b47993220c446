"""Single settings, from the environment's variables or a profile."""

from __future__ import annotations

from collections.abc import Mapping

from dynastash.aws.direct.handover import HandOver


class Options:
    """Settings of a profile by the names that they have there. ``AWS_`` and the name in capitals overrides most."""

    __slots__ = ("_profile", "_variables")

    def __init__(self, profile: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self._profile = profile
        self._variables = variables

    def get(self, name: str, variable: str | None = None) -> str | None:
        """The setting ``name``, unless ``variable`` is set. None where neither is.

        Raises :class:`HandOver` for one that is empty: botocore takes that in one way here and in another there.
        """
        variable = variable or f"AWS_{name.upper()}"
        value = self._variables[variable] if variable in self._variables else self._profile.get(name)
        if value == "":
            raise HandOver(f"{name} is set to nothing")
        return value

    def on(self, name: str) -> bool:
        """Whether the switch ``name`` is on."""
        return (self.get(name) or "").lower() == "true"

    def number(self, name: str, default: int) -> int:
        """The setting ``name`` as a small positive number."""
        value = self.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 3 and int(value) > 0):
            raise HandOver(f"{name} is not a small number", fault=True)
        return int(value)
