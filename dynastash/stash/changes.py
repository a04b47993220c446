"""One head compare-and-swap, and its repetition where another writer was faster (docs/format-v1.md, section 6)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from dynastash import parallel
from dynastash.backoff import Backoff
from dynastash.crypto import envelope, records
from dynastash.crypto.kdf import DerivedKeys
from dynastash.errors import ConflictError
from dynastash.frozen import replace
from dynastash.models import Head, Item, State
from dynastash.stash.reader import Reader, Snapshot
from dynastash.stores.base import Change, HeadMark, RecordKey

_T = TypeVar("_T")


class Changes:
    """How one environment's secrets are changed, whatever the change is."""

    def __init__(self, reader: Reader, identity: Callable[[], str]) -> None:
        self._reader = reader
        self._identity = identity
        self._known_author: str | None = None

    def begin(self, name: str) -> tuple[Snapshot | None, str]:
        """The secret as the store shows it, and who is going to change it."""
        self._reader.get_ready()
        return parallel.both(lambda: self._reader.snapshot(name), self._author, limit=self._reader.keys.concurrency)

    def _author(self) -> str:
        if self._known_author is None:  # two threads may ask at once: they get the same answer
            self._known_author = self._identity()
        return self._known_author

    def touched(self, head: Head, author: str) -> Head:
        """``head`` as the next one begins: counted on, dated, signed with a name, not yet sealed."""
        return replace(
            head, revision=head.revision + 1, updated_ms=self._reader.clock.now(), updated_by=author, seal=None
        )

    def commit(
        self,
        snapshot: Snapshot | None,
        head: Head,
        keys: DerivedKeys | None,
        *,
        create: Sequence[Item] = (),
        tombstones: Sequence[Item] = (),
        delete: Sequence[RecordKey] = (),
    ) -> None:
        """Put ``head`` in the place of ``snapshot``'s, with the records that go with it.

        ``keys`` are those of the version that the head is sealed under; None for the head of a destroyed secret. A lost
        race is for :meth:`until_won` to see.
        """
        expected = HeadMark(snapshot.head.last, snapshot.head.revision) if snapshot is not None else None
        if (keys is None) != (head.state is State.DESTROYED):
            raise ValueError("a head is sealed unless its secret is destroyed")
        item = records.encode_head(head) if keys is None else envelope.seal_head(self._reader.environment, head, keys)
        change = Change(
            head=item,
            expected=expected,
            create=create,
            tombstones=tombstones,
            delete=delete,
        )
        with self.race():
            self._reader.store.commit(change)
        self._reader.seen.observe(head)
        self._reader.seen.keep()

    @contextmanager
    def race(self) -> Iterator[None]:
        """What loses a race in here is for :meth:`until_won` to repeat."""
        try:
            yield
        except ConflictError as error:
            raise _LostRace from error

    def until_won(self, name: str, attempt: Callable[[], _T]) -> _T:
        """Repeat ``attempt``, from its read on, until it does not lose the race or the patience ends.

        What it reads may be of two moments: then it is repeated too (:meth:`Reader.consistently`).
        """
        backoff = Backoff(self._reader.clock)
        while True:
            try:
                return self._reader.consistently(name, attempt)
            except _LostRace as error:
                if not backoff.pause():
                    raise ConflictError(
                        f"other writers kept changing {name}; nothing was written", hint="try again later"
                    ) from error.__cause__


class _LostRace(Exception):
    """Another writer changed the head between our read and our commit."""


def void(name: str, number: int, now: int, *, created_by: str) -> Item:
    """What a tombstone is made of for a version of which nothing is known: it was never there, or is ruined."""
    return {
        "name": records.text(name),
        "record": records.text(records.version_key(number)),
        "format": records.number(records.FORMAT),
        "version": records.number(number),
        "id": records.blob(os.urandom(records.MAX_ID_BYTES)),
        "created_at": records.number(now),
        "created_by": records.text(created_by),
    }
