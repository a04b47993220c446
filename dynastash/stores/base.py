"""What a store is: it keeps items under a name and a sort key, and never sees a value.

A store moves items in and out unchanged, types and all, and commits a secret's head together with the records that
go with it or not at all. What an item means, and whether to believe it, is decided above.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from dynastash.frozen import Frozen, field
from dynastash.models import Item, WrappedKey

# Called, because the class statement would have each annotation compiled, for longer than this module takes to load.
RecordKey = NamedTuple("RecordKey", [("name", str), ("record", str)])  # noqa: UP014
"""Where an item stands: the secret's name, and ``~head`` or ``v#`` and ten digits."""


class HeadMark(Frozen):
    """What the head must still say for a change to be committed: its highest version and its write counter."""

    last: int
    revision: int


class Change(Frozen, kw_only=True):
    """One secret's change, all or nothing.

    ``head`` replaces the head if that still is as ``expected``; None means that there must be none. ``create`` are
    version records that must not exist yet; ``tombstones`` replace existing version records; ``delete`` erases
    version records. ``token`` makes a repetition of the same change harmless: a new change takes a new one.
    """

    head: Item
    expected: HeadMark | None
    create: Sequence[Item] = ()
    tombstones: Sequence[Item] = ()
    delete: Sequence[RecordKey] = ()
    token: str = field(default_factory=lambda: os.urandom(16).hex())


class Store(Protocol):
    """Keeps items. ``dynastash.testing.contracts.StoreContract`` is this protocol as tests.

    Reads are strongly consistent, ``heads`` aside. Every failure is a :class:`~dynastash.errors.StoreError`, apart
    from the lost race that ``commit`` reports. Implementations are safe to use from several threads.
    """

    @property
    def description(self) -> str:
        """Where the items are, in a few words, for messages: ``table dynastash-prod in eu-west-1``."""
        ...

    @property
    def transaction_size(self) -> int:
        """The most records that one change may touch, its head included; at least 2."""
        ...

    def newest(self, name: str) -> Sequence[Item]:
        """The up to two items of ``name`` that sort last: its head and its newest version. One read."""
        ...

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        """The items that exist among ``wanted``, whole, in as few reads as the store allows."""
        ...

    def heads(self, prefix: str = "") -> Iterator[Item]:
        """The heads of all secrets whose name starts with ``prefix``, in the order of their names' UTF-8.

        The cost follows the number of secrets, not of versions. May lag behind writes for a moment.
        """
        ...

    def history(self, name: str) -> Iterator[Item]:
        """The version records of ``name``, oldest first, at least their public attributes; no head."""
        ...

    def scan(self) -> Iterator[Item]:
        """Every item there is, whole, those of one secret together and in the order of their sort keys.

        Not of one moment: what is written meanwhile may be there or not.
        """
        ...

    def commit(self, change: Change) -> None:
        """Carry out ``change``, durably.

        Raises :class:`~dynastash.errors.ConflictError` where the head is not as expected, a record to be created is
        there already, or one to be replaced or deleted is not; then nothing has changed.
        """
        ...

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        """Give the version record ``item`` another wrapping of its data key; ``at`` is in epoch milliseconds.

        Raises :class:`~dynastash.errors.ConflictError` unless the stored record still has the ``wrapped_key`` and the
        ``mac`` of ``item``.
        """
        ...
