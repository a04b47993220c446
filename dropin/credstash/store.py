"""What a name given as the table turns out to be: a store of credentials, whichever format it is in.

Versions are text here, as credstash has them: digits with zeros in front up to 19 characters, or whatever was put.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dynastash.frozen import Frozen
from dynastash.models import Plaintext

Context = Mapping[str, str]
"""The encryption context: pairs that whoever opens an item has to give again."""


class Listed(Frozen):
    """One version of a secret, unopened."""

    name: str
    version: str
    comment: str | None = None


class Entry(Frozen, kw_only=True):
    """What is to be stored. ``version`` is None for the next one; ``digest`` belongs to old tables."""

    name: str
    value: Plaintext
    version: str | None
    context: Context
    comment: str | None = None
    digest: str = "SHA256"


class Deleted(Frozen):
    """The versions that are gone, and, where they can be had back, how."""

    versions: Sequence[str] = ()
    note: str | None = None


class Store(Protocol):
    """An old table or an environment. Raises :class:`~dynastash.errors.DynastashError` and nothing else."""

    @property
    def description(self) -> str:
        """Which one that is, for messages."""
        ...

    def get(self, name: str, version: str, context: Context) -> Plaintext:
        """The value of ``version``, or with ``""`` of the newest. Raises :class:`~credstash.errors.ItemNotFound`."""
        ...

    def get_all(self, wanted: Callable[[str], bool], version: str, context: Context) -> dict[str, Plaintext]:
        """The values of all secrets whose names are ``wanted``, by name, sorted.

        All or nothing: where one cannot be had, :class:`~dynastash.errors.PartialError` has the reason for each.
        """
        ...

    def listed(self) -> Sequence[Listed]:
        """Every version of every secret, sorted by name and version."""
        ...

    def highest(self, name: str) -> str | None:
        """The newest version of ``name``; None where there is none."""
        ...

    def put(self, entry: Entry) -> str:
        """Store one version and return which one it is.

        Raises :class:`~dynastash.errors.ConflictError` where the version is there already.
        """
        ...

    def delete(self, name: str, version: str | None = None) -> Deleted:
        """Delete every version of ``name``, or one, and return which ones; none where there is none."""
        ...
