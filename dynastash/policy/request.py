"""One call to AWS as IAM sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

AMBIENT: Final = ("aws:*", "saml:*", "sts:*", "kms:ViaService", "kms:CallerAccount")
"""Condition keys that say who asks, from where and when: what a policy by itself leaves open."""


@dataclass(frozen=True, slots=True)
class Request:
    """An action on a resource, with its condition keys; of a key's policy also who asks, as an ARN.

    A condition key that is not in ``context`` is absent from the request, unless ``unknown`` names it (or its start,
    with a ``*`` behind): then a condition on it cannot be decided. Names of condition keys ignore case.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    principal: str | None = None
    unknown: tuple[str, ...] = ()

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key, none where it is absent; None where that is not known."""
        wanted = key.lower()
        found = [value for name, value in self.context.items() if name.lower() == wanted]
        if found:  # several where a context has two keys that differ in case only
            return [text for value in found for text in ([value] if isinstance(value, str) else value)]
        for name in self.unknown:
            if wanted.startswith(name[:-1].lower()) if name.endswith("*") else wanted == name.lower():
                return None
        return []
