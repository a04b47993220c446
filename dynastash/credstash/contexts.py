"""The encryption contexts that a table's items were put with: credstash does not keep them, so the user says them."""

from __future__ import annotations

from collections.abc import Mapping

from dynastash.credstash.items import Label
from dynastash.credstash.versions import number_of
from dynastash.errors import ContextMismatchError, DynastashError
from dynastash.frozen import Frozen, field

Pairs = Mapping[str, str]
"""An encryption context; the empty one is none."""


class Contexts(Frozen):
    """``general`` is every item's context but for those that ``of`` names, whose context is what stands there alone.

    A key of ``of`` is a name, ``NAME@VERSION`` for one version of it (padded or not), or the beginning of names with
    ``*`` behind it. The most exact one counts: version before name before the longest beginning.
    """

    general: Pairs = field(default_factory=dict)
    of: Mapping[str, Pairs] = field(default_factory=dict)

    def for_item(self, label: Label) -> Pairs:
        """The context to open that item with."""
        if not self.of:
            return self.general
        number = number_of(label.version)
        exact = [f"{label.name}@{label.version}", label.name]
        if number is not None:
            exact.insert(1, f"{label.name}@{number}")
        for key in exact:
            if key in self.of:
                return self.of[key]
        begins = [key for key in self.of if key.endswith("*") and label.name.startswith(key[:-1])]
        return self.of[max(begins, key=len)] if begins else self.general


def with_advice(error: DynastashError, name: str) -> str:
    """``error`` of an item of ``name`` with what to do about it, which for a context is the option that gives it."""
    import shlex

    hint = error.hint
    if isinstance(error, ContextMismatchError):
        hint = f"name it with --context-of {shlex.quote(name)} KEY=VALUE"
    return f"{error}; {hint}" if hint else str(error)
