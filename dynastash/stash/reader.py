"""Reading: from what the store answers to what may be believed (docs/format-v1.md, sections 5 and 6).

The order is always the same. Shapes first; then the record must be the one asked for; then the key provider opens its
data key; then the whole record's MAC, the ciphertext, and the seal of the head; and only then are the head's state
and the version's expiry looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

from dynastash import parallel
from dynastash.clock import Clock
from dynastash.crypto import envelope, records
from dynastash.crypto.kdf import DerivedKeys
from dynastash.crypto.records import VersionRecord
from dynastash.errors import (
    EnvelopeError,
    ExpiredError,
    IntegrityError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    VersionNotFoundError,
)
from dynastash.frozen import Frozen, field, replace
from dynastash.keys.base import KeyProvider
from dynastash.models import DataKey, Head, Item, Plaintext, Stage, State, from_seconds
from dynastash.stash.highwater import HighWater
from dynastash.stash.unwrapping import key_request
from dynastash.stores.base import RecordKey, Store

_REREADS: Final = (0.05, 0.1, 0.15)
"""A Query is read-committed against transactions: head and newest version may be of two moments. Seconds to wait."""


_T = TypeVar("_T")


class Snapshot(Frozen):
    """A secret as the store shows it: shapes checked, nothing authenticated. ``items`` are the versions at hand."""

    head: Head
    item: Item
    items: Mapping[int, Item]


class OpenRecord(Frozen):
    """One version, authenticated and decrypted."""

    metadata: records.VersionMetadata
    plaintext: Plaintext
    keys: DerivedKeys = field(repr=False)


class Opened(Frozen):
    """A version together with a head whose seal was checked. ``sealing`` is the version that the seal is under."""

    snapshot: Snapshot
    record: OpenRecord
    sealing: OpenRecord

    @property
    def head(self) -> Head:
        """The authenticated head."""
        return self.snapshot.head

    @property
    def sealed_under(self) -> Opened:
        """The version that the head's seal is under: current, and pending where there is no current."""
        return replace(self, record=self.sealing)


class Inconsistent(Exception):
    """Head and versions do not fit together: two moments of a commit, or tampering. Read again to know.

    Raised by what is called within :meth:`Reader.consistently`, and never out of it.
    """


class Reader:
    """Opens secrets of one environment."""

    def __init__(self, environment: str, store: Store, keys: KeyProvider, clock: Clock, seen: HighWater) -> None:
        self.environment = environment
        self.store = store
        self.keys = keys
        self.clock = clock
        self.seen = seen
        self._ready = False

    def get_ready(self) -> None:
        """Before the store's first answer: what opening its records takes is got ready while it is on its way."""
        if self._ready:
            return
        self._ready = True
        if self.keys.concurrency > 1:  # or there is nothing to wait for, and nothing to be done meanwhile
            self.keys.prepare()
            # Awaited: a process that ended amid the import of a native module would be aborted.
            parallel.Begun(envelope.prepare, awaited=True)

    def consistently(self, name: str, attempt: Callable[[], _T]) -> _T:
        """The result of ``attempt``, which reads ``name`` anew each time: again while its records do not fit together.

        After three times more that is no coincidence, and :class:`IntegrityError`.
        """
        for delay in (*_REREADS, None):
            try:
                found = attempt()
            except Inconsistent:
                if delay is not None:
                    self.clock.sleep(delay)
            else:
                self.seen.keep()
                return found
        raise IntegrityError(
            f"the records of {name} do not fit together: one is missing, or the head was changed",
            hint="the table was tampered with or restored in part: compare it with a backup",
        )

    def snapshot(self, name: str) -> Snapshot | None:
        """Head and newest version in one read, or None where there is no such secret. Raises :class:`Inconsistent`."""
        floor = self.seen.floor(name)
        items = list(self.store.newest(name))
        if not items:
            self.seen.check(None, name, floor)
            return None
        head = self.decode_head(name, items[0])
        self.seen.check(head, name, floor)
        if len(items) < 2 or records.key_of(items[1]) != (name, records.version_key(head.last)):
            raise Inconsistent
        return Snapshot(head, items[0], {head.last: items[1]})

    def existing(self, name: str) -> Snapshot:
        """As :meth:`snapshot`, for a secret that is there and not destroyed."""
        snapshot = self.snapshot(name)
        if snapshot is None:
            raise no_secret(name)
        refuse_destroyed(snapshot.head)
        return snapshot

    def current(self, name: str) -> Opened:
        """The current version. One read and one unwrap, where current is the newest version."""
        return self._selected(name, lambda head: required(head, Stage.CURRENT))

    def staged(self, name: str, stage: Stage) -> Opened:
        """The version that carries ``stage``."""
        return self._selected(name, lambda head: required(head, stage))

    def version(self, name: str, number: int) -> Opened:
        """Version ``number``: head and newest version first, so that a head put back is noticed, then what is missing.

        Two reads and two unwraps at most.
        """
        return self._selected(name, lambda head: known(head, number))

    def pending(self, name: str) -> int:
        """The number of the pending version, on the word of an authenticated head. The version is not opened."""

        def attempt() -> int:
            snapshot = self.existing(name)
            self.trusted(snapshot)
            return required(snapshot.head, Stage.PENDING)

        return self.consistently(name, attempt)

    def trusted(self, snapshot: Snapshot) -> OpenRecord:
        """Check the seal of ``snapshot`` and return the version that it is under. One unwrap."""
        number = _sealing(snapshot.head)
        snapshot = self._complete(snapshot, number)
        record = self._open_item(snapshot.head.name, number, snapshot.items[number])
        self.check_seal(snapshot, record)
        return record

    def vouch(self, snapshot: Snapshot) -> None:
        """Check the seal before anybody is refused on the head's word. A destroyed secret's head has none to check."""
        if snapshot.head.state is not State.DESTROYED:
            self.trusted(snapshot)

    def open_beside(self, snapshot: Snapshot, number: int) -> Opened:
        """Open version ``number`` of ``snapshot``, and beside it the version that the seal is under."""
        sealing = _sealing(snapshot.head)
        complete = self._complete(snapshot, number, sealing)
        if number == sealing:
            record = self.trusted(complete)
            return Opened(complete, record, record)
        record, trusted = parallel.both(
            lambda: self._open_item(complete.head.name, number, complete.items[number]),
            lambda: self.trusted(complete),
            limit=self.keys.concurrency,
        )
        return Opened(complete, record, trusted)

    def described(self, snapshot: Snapshot, number: int) -> records.VersionMetadata:
        """What the record of version ``number`` says of itself, unopened."""
        name = snapshot.head.name
        item = self._complete(snapshot, number).items[number]
        if records.key_of(item) != (name, records.version_key(number)):
            raise IntegrityError(f"the store answered with another record than version {number} of {name}")
        return records.decode_metadata(item)

    def usable(self, opened: Opened, *, expired: bool = False) -> Opened:
        """``opened`` if state and expiry allow its use. ``expired`` lets an expired version through."""
        self.permit(opened.head, opened.record.metadata, expired=expired)
        return opened

    def permit(self, head: Head, metadata: records.VersionMetadata, *, expired: bool = False) -> None:
        """Refuse a version whose state or expiry does not allow its use."""
        if head.state is State.DELETED:
            raise SecretDeletedError(f"{head.name} is deleted", hint=f"`dynastash undelete {head.name}` takes it back")
        if metadata.number in head.disabled:
            raise SecretDeletedError(
                f"version {metadata.number} of {head.name} is deleted",
                hint=f"`dynastash undelete {head.name} --version {metadata.number}` takes it back",
            )
        if not expired and metadata.expires_at is not None and metadata.expires_at * 1000 <= self.clock.now():
            pending = metadata.number == head.pending
            raise ExpiredError(
                f"version {metadata.number} of {head.name} expired on {_day(metadata.expires_at)}",
                hint=f"end its rotation with `dynastash rotate {head.name} --abort`, then rotate again"
                if pending
                else f"put or rotate {head.name}",
            )

    @staticmethod
    def decode_head(name: str, item: Item) -> Head:
        """The head of ``name``, which is what the store was asked for; :class:`Inconsistent` where it is not that."""
        if records.key_of(item) != (name, records.HEAD):
            raise Inconsistent
        with concerning(f"the head of {name}"):
            return records.decode_head(item)

    def _selected(self, name: str, select: Callable[[Head], int]) -> Opened:
        self.get_ready()

        def attempt() -> Opened:
            snapshot = self.existing(name)
            try:
                number = select(snapshot.head)
            except VersionNotFoundError:
                self.vouch(snapshot)
                raise
            return self.open_beside(snapshot, number)

        return self.consistently(name, attempt)

    def _complete(self, snapshot: Snapshot, *numbers: int) -> Snapshot:
        """``snapshot`` with ``numbers`` at hand, by one more read at most. They must exist, and not as tombstones."""
        name = snapshot.head.name
        missing = {RecordKey(name, records.version_key(number)): number for number in numbers}
        missing = {key: number for key, number in missing.items() if number not in snapshot.items}
        if missing:
            found = self.store.fetch(list(missing))
            items = {number: found[key] for key, number in missing.items() if key in found}
            snapshot = replace(snapshot, items={**snapshot.items, **items})
        if any(number not in snapshot.items or records.is_tombstone(snapshot.items[number]) for number in numbers):
            raise Inconsistent
        return snapshot

    def _open_item(self, name: str, number: int, item: Item) -> OpenRecord:
        record = self.sealed(name, number, item)
        return self.opened(record, self.keys.unwrap(*key_request(self.environment, record)))

    @staticmethod
    def sealed(name: str, number: int, item: Item) -> VersionRecord:
        """``item`` decoded, which has to be the record of version ``number`` of ``name``."""
        with concerning(f"version {number} of {name}"):
            return envelope.check_identity(records.decode_version(item), name, number)

    def opened(self, record: VersionRecord, data_key: DataKey) -> OpenRecord:
        """``record`` authenticated and decrypted with its data key."""
        with concerning(f"version {record.number} of {record.name}"):
            plaintext, keys = envelope.open_record(self.environment, record, data_key)
        return OpenRecord(record.metadata, plaintext, keys)

    def check_seal(self, snapshot: Snapshot, record: OpenRecord) -> None:
        """The head of ``snapshot`` must be sealed under ``record``; from then on it may not fall below this state."""
        with concerning(f"the head of {snapshot.head.name}"):
            envelope.check_seal(self.environment, snapshot.head, snapshot.item, record.keys)
        self.seen.observe(snapshot.head)


@contextmanager
def concerning(what: str) -> Iterator[None]:
    """Let an :class:`EnvelopeError` from in here say which record it concerns, and what to do."""
    try:
        yield
    except EnvelopeError as error:
        hint = (
            error.hint or "the table was tampered with or damaged: compare it with a backup, and run `dynastash verify`"
        )
        raise type(error)(f"{what}: {error}", hint=hint) from None


def refuse_destroyed(head: Head) -> None:
    """Raise :class:`SecretDestroyedError` for the head of a destroyed secret."""
    if head.state is State.DESTROYED:
        raise SecretDestroyedError(
            f"{head.name} is marked as destroyed",
            hint=f"`dynastash put {head.name} --recreate` begins anew; if nobody did it, run `dynastash verify`",
        )


def no_secret(name: str) -> SecretNotFoundError:
    """The error for a name that the store does not know."""
    return SecretNotFoundError(
        f"there is no secret {name}", hint="`dynastash list` shows the names; is it another environment's?"
    )


def outside_prefix() -> IntegrityError:
    """The error for a listing that shows what was not asked for."""
    return IntegrityError("the store listed a secret outside of the prefix asked for")


def _sealing(head: Head) -> int:
    number = head.sealing_version
    if number is None:  # a destroyed secret's: every other head without is malformed
        raise IntegrityError(f"{head.name} has no version to check its head with")
    return number


def required(head: Head, stage: Stage) -> int:
    """The number of the version at ``stage``, or :class:`VersionNotFoundError`."""
    number: int | None = getattr(head, stage.value)
    if number is None:
        found = f": version {head.current} is current" if head.current is not None else ""
        raise VersionNotFoundError(
            f"{head.name} has no {stage} version{found}", hint=f"`dynastash history {head.name}` shows what it has"
        )
    return number


def known(head: Head, number: int) -> int:
    """``number`` if there is such a version, or :class:`VersionNotFoundError`."""
    if number > head.last:
        raise VersionNotFoundError(f"{head.name} has no version {number}", hint=f"the newest is version {head.last}")
    if number < head.pruned_below or number in head.destroyed:
        raise VersionNotFoundError(
            f"version {number} of {head.name} was destroyed", hint=f"`dynastash history {head.name}` shows what is left"
        )
    return number


def _day(seconds: int) -> str:
    return f"{from_seconds(seconds):%Y-%m-%d %H:%M} UTC"
