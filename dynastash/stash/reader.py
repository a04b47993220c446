"""Reading: from what the store answers to what may be believed (docs/format-v1.md, sections 5 and 6).

The order is always the same. Shapes first; then the record must be the one asked for; then the key provider opens its
data key; then the whole record's MAC, the ciphertext, and the seal of the head; and only then are the head's state
and the version's expiry looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dynastash.clock import Clock
from dynastash.crypto import envelope, records
from dynastash.crypto.kdf import DerivedKeys
from dynastash.errors import (
    DynastashError,
    ExpiredError,
    FormatError,
    IntegrityError,
    RollbackError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    VersionNotFoundError,
)
from dynastash.keys.base import KeyProvider
from dynastash.models import Context, Head, Item, Plaintext, Stage, State, WrappedKey, from_seconds
from dynastash.stash import parallel
from dynastash.stash.highwater import HighWater
from dynastash.stores.base import RecordKey, Store

_REREADS: Final = (0.05, 0.1, 0.15)
"""A Query is read-committed against transactions: head and newest version may be of two moments. Seconds to wait."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A secret as the store shows it: shapes checked, nothing authenticated. ``items`` are the versions at hand."""

    head: Head
    item: Item
    items: Mapping[int, Item]
    floor: tuple[int, int]


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """One version, authenticated and decrypted."""

    metadata: records.VersionMetadata
    plaintext: Plaintext
    keys: DerivedKeys = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A version together with a head whose seal was checked. ``sealing`` is the version that the seal is under."""

    snapshot: Snapshot
    record: OpenRecord
    sealing: OpenRecord

    @property
    def head(self) -> Head:
        """The authenticated head."""
        return self.snapshot.head


class _Inconsistent(Exception):
    """Head and versions do not fit together: two moments of a commit, or tampering. Read again to know."""


class Reader:
    """Opens secrets of one environment."""

    def __init__(self, environment: str, store: Store, keys: KeyProvider, clock: Clock, seen: HighWater) -> None:
        self.environment = environment
        self.store = store
        self.keys = keys
        self.clock = clock
        self.seen = seen

    def snapshot(self, name: str) -> Snapshot | None:
        """Head and newest version in one read, or None where there is no such secret."""

        def attempt() -> Snapshot | None:
            floor = self.seen.floor(name)
            items = list(self.store.newest(name))
            if not items:
                self.seen.check(None, name, floor)
                return None
            head, item = self._decode_head(name, items[0])
            self.seen.check(head, name, floor)
            if len(items) < 2 or records.key_of(items[1]) != (name, records.version_key(head.last)):
                raise _Inconsistent
            return Snapshot(head, item, {head.last: items[1]}, floor)

        return self._consistently(name, attempt)

    def current(self, name: str) -> Opened:
        """The current version. One read and one unwrap, where current is the newest version."""
        return self._open_selected(name, lambda head: _required(head, Stage.CURRENT))

    def staged(self, name: str, stage: Stage) -> Opened:
        """The version that carries ``stage``."""
        return self._open_selected(name, lambda head: _required(head, stage))

    def version(self, name: str, number: int) -> Opened:
        """Version ``number``: head and version in one read, then the version that the seal is under."""

        def attempt() -> Opened:
            floor = self.seen.floor(name)
            head_key, key = RecordKey(name, records.HEAD), RecordKey(name, records.version_key(number))
            found = self.store.fetch([head_key, key])
            if head_key not in found:
                if key in found:
                    raise _Inconsistent
                self.seen.check(None, name, floor)
                raise _no_secret(name)
            head, item = self._decode_head(name, found[head_key])
            self.seen.check(head, name, floor)
            items = {number: found[key]} if key in found else {}
            return self._open_known(Snapshot(head, item, items, floor), number)

        return self._consistently(name, attempt)

    def many(self, names: Iterable[str]) -> dict[str, Opened | DynastashError]:
        """The current versions of ``names``: two rounds of batched reads, then unwraps side by side.

        A secret that cannot be had is there with its error; failures of the store itself are raised.
        """
        wanted = list(dict.fromkeys(names))
        floors = {name: self.seen.floor(name) for name in wanted}
        heads = self.store.fetch([RecordKey(name, records.HEAD) for name in wanted])
        return self._open_many(wanted, {key.name: item for key, item in heads.items()}, floors)

    def with_prefix(self, prefix: str) -> dict[str, Opened | DynastashError]:
        """As :meth:`many`, for the secrets that the listing shows under ``prefix``; destroyed ones are left out."""
        heads: dict[str, Item] = {}
        for item in self.store.heads(prefix):
            name, _ = records.key_of(item)
            if not name.startswith(prefix):
                raise FormatError("the store listed a secret outside of the prefix asked for")
            if item.get("state") != {"S": State.DESTROYED}:
                heads[name] = item
        # A listing may lag behind what this process has seen; whatever does not fit is read again by name.
        return self._open_many(list(heads), heads, {name: self.seen.floor(name) for name in heads})

    def trusted(self, snapshot: Snapshot) -> OpenRecord:
        """Check the seal of ``snapshot`` and return the version that it is under. One unwrap."""
        number = snapshot.head.sealing_version
        if number is None:
            raise IntegrityError(f"{snapshot.head.name} has no version to check its head with")
        record = self._open_item(snapshot.head.name, number, self._item(snapshot, number))
        self._check_seal(snapshot, record)
        return record

    def open_beside(self, snapshot: Snapshot, number: int) -> Opened:
        """Open version ``number`` of ``snapshot``, and beside it the version that the seal is under."""
        sealing = snapshot.head.sealing_version
        if number == sealing:
            record = self.trusted(snapshot)
            return Opened(snapshot, record, record)
        name, item = snapshot.head.name, self._item(snapshot, number)
        record, trusted = parallel.both(
            lambda: self._open_item(name, number, item),
            lambda: self.trusted(snapshot),
            limit=self.keys.concurrency,
        )
        return Opened(snapshot, record, trusted)

    def usable(self, opened: Opened, *, expired: bool = False) -> Opened:
        """``opened`` if state and expiry allow its use. ``expired`` lets an expired version through."""
        head, metadata = opened.head, opened.record.metadata
        if head.state is State.DELETED:
            raise SecretDeletedError(f"{head.name} is deleted", hint="undelete it, or put it under another name")
        if metadata.number in head.disabled:
            raise SecretDeletedError(
                f"version {metadata.number} of {head.name} is deleted", hint="undelete it, or ask for another version"
            )
        if not expired and metadata.expires_at is not None and metadata.expires_at * 1000 <= self.clock.now():
            raise ExpiredError(
                f"version {metadata.number} of {head.name} expired on {_day(metadata.expires_at)}",
                hint=f"put or rotate {head.name}",
            )
        return opened

    def _open_selected(self, name: str, select: Callable[[Head], int]) -> Opened:
        def attempt() -> Opened:
            snapshot = self.snapshot(name)
            if snapshot is None:
                raise _no_secret(name)
            refuse_destroyed(snapshot.head)
            return self.open_beside(snapshot, select(snapshot.head))

        return self._consistently(name, attempt)

    def _open_known(self, snapshot: Snapshot, number: int) -> Opened:
        head = snapshot.head
        refuse_destroyed(head)
        if number > head.last or number < head.pruned_below or number in head.destroyed:
            # Whoever falsifies a head can only make this refuse: no value is returned on its word.
            raise _no_version(head, number)
        item = snapshot.items.get(number)
        if item is None or records.is_tombstone(item):
            raise _Inconsistent
        return self.open_beside(snapshot, number)

    def _open_many(
        self, wanted: list[str], heads: Mapping[str, Item], floors: Mapping[str, tuple[int, int]]
    ) -> dict[str, Opened | DynastashError]:
        snapshots: dict[str, Snapshot | DynastashError] = {}
        for name in wanted:
            try:
                if name not in heads:
                    self.seen.check(None, name, floors[name])
                    raise _no_secret(name)
                head, item = self._decode_head(name, heads[name])
                refuse_destroyed(head)
                _required(head, Stage.CURRENT)
                snapshots[name] = Snapshot(head, item, {}, floors[name])
            except DynastashError as error:
                snapshots[name] = error
        keys = {
            name: RecordKey(name, records.version_key(_required(found.head, Stage.CURRENT)))
            for name, found in snapshots.items()
            if isinstance(found, Snapshot)
        }
        versions = self.store.fetch(keys.values())

        def open_one(name: str) -> Opened | DynastashError:
            found = snapshots[name]
            if isinstance(found, DynastashError):
                return found
            try:
                number = _required(found.head, Stage.CURRENT)
                try:
                    self.seen.check(found.head, name, found.floor)
                    item = versions.get(keys[name])
                    if item is None:
                        raise _Inconsistent
                    return self.open_beside(Snapshot(found.head, found.item, {number: item}, found.floor), number)
                except (_Inconsistent, IntegrityError, FormatError, RollbackError):
                    # Two moments of a commit look like tampering until the secret is read again in one piece.
                    return self.current(name)
            except DynastashError as error:
                return error

        return dict(zip(wanted, parallel.each(open_one, wanted, limit=self.keys.concurrency), strict=True))

    def _consistently(self, name: str, attempt: Callable[[], _T]) -> _T:
        for delay in _REREADS:
            try:
                return attempt()
            except _Inconsistent:
                self.clock.sleep(delay)
        try:
            return attempt()
        except _Inconsistent:
            raise IntegrityError(
                f"the records of {name} do not fit together: one is missing, or the head was changed",
                hint="the table was tampered with or restored in part: compare it with a backup",
            ) from None

    def _item(self, snapshot: Snapshot, number: int) -> Item:
        """The item of version ``number``, from the snapshot or by one more read."""
        if number in snapshot.items:
            return snapshot.items[number]
        key = RecordKey(snapshot.head.name, records.version_key(number))
        found = self.store.fetch([key])
        if key not in found:
            raise _Inconsistent
        return found[key]

    def _open_item(self, name: str, number: int, item: Item) -> OpenRecord:
        record = envelope.check_identity(records.decode_version(item), name, number)
        metadata = record.metadata
        data_key = self.keys.unwrap(
            WrappedKey(record.wrapped_key, metadata.key_id or ""),
            Context(self.environment, name, number, metadata.context),
        )
        plaintext, keys = envelope.open_record(self.environment, record, data_key)
        return OpenRecord(metadata, plaintext, keys)

    def _check_seal(self, snapshot: Snapshot, record: OpenRecord) -> None:
        envelope.check_seal(self.environment, snapshot.head, snapshot.item, record.keys)
        self.seen.observe(snapshot.head)

    @staticmethod
    def _decode_head(name: str, item: Item) -> tuple[Head, Item]:
        if records.key_of(item) != (name, records.HEAD):
            raise _Inconsistent
        return records.decode_head(item), item


def refuse_destroyed(head: Head) -> None:
    """Raise :class:`SecretDestroyedError` for the head of a destroyed secret."""
    if head.state is State.DESTROYED:
        raise SecretDestroyedError(f"{head.name} was destroyed", hint="its values are gone; use another name")


def _required(head: Head, stage: Stage) -> int:
    number: int | None = getattr(head, stage.value)
    if number is None:
        raise VersionNotFoundError(
            f"{head.name} has no {stage} version", hint=f"`dynastash history {head.name}` shows which it has"
        )
    return number


def _no_secret(name: str) -> SecretNotFoundError:
    return SecretNotFoundError(
        f"there is no secret {name}", hint="`dynastash list` shows the names; is it another environment's?"
    )


def _no_version(head: Head, number: int) -> VersionNotFoundError:
    if number > head.last:
        return VersionNotFoundError(f"{head.name} has no version {number}", hint=f"the newest is version {head.last}")
    return VersionNotFoundError(
        f"version {number} of {head.name} was destroyed", hint=f"`dynastash history {head.name}` shows what is left"
    )


def _day(seconds: int) -> str:
    return f"{from_seconds(seconds):%Y-%m-%d %H:%M} UTC"
