"""Plain templates: any file, with references in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynastash.models import Plaintext
from dynastash.rendering.base import Renderable, Use
from dynastash.template import take_apart

if TYPE_CHECKING:
    from dynastash.stash.api import Stash


class PlainTemplate:
    """``data``, with ``{{ dynastash://… }}`` in it. Raises :class:`TemplateError` for a malformed reference."""

    def __init__(self, data: bytes) -> None:
        self._template = take_apart(data)

    @property
    def uses(self) -> Sequence[Use]:
        return [Use(found.reference, found.line, found.column) for found in self._template.placeholders]

    @property
    def open_ended(self) -> bool:
        return False

    def render(self, stash: Stash) -> Plaintext:
        uses = self.uses
        secrets = stash.resolve([use.reference for use in uses]) if uses else {}
        return self._template.fill({reference: secret.plaintext for reference, secret in secrets.items()})


if TYPE_CHECKING:

    def _conforms(template: PlainTemplate) -> Renderable:
        return template
