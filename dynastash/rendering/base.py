"""What every kind of template offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from dynastash.frozen import Frozen
from dynastash.models import Plaintext
from dynastash.references import Reference

if TYPE_CHECKING:
    from dynastash.stash.api import Stash


class Use(Frozen):
    """A reference that a template makes. Line and column count from 1; ``column`` is None where it is not known."""

    reference: Reference
    line: int
    column: int | None


class Renderable(Protocol):
    """A template that was read without complaint."""

    @property
    def uses(self) -> Sequence[Use]:
        """The references that are known without rendering, in the order of the file."""
        ...

    @property
    def open_ended(self) -> bool:
        """Whether there may be further ones, which only rendering finds."""
        ...

    def render(self, stash: Stash) -> Plaintext:
        """The whole result, or an error and nothing: :class:`TemplateError`, :class:`PartialError`, or a secret's own.

        The references in :attr:`uses` are resolved in one batch.
        """
        ...
