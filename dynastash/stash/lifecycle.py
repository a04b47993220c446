"""The end of secrets and versions: delete and undelete, destroy, prune; and new wrappings of old keys.

*Delete* hides and can be undone. *Destroy* erases the value for good and leaves a tombstone, so that the number is
never used again. *Prune* erases old versions and their tombstones, and the head remembers up to where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from dynastash.crypto import envelope, records
from dynastash.errors import ConflictError, InvalidArgumentError, VersionNotFoundError
from dynastash.models import Context, Head, Item, State, WrappedKey
from dynastash.stash.changes import Changes
from dynastash.stash.reader import Reader, Snapshot, no_secret, refuse_destroyed
from dynastash.stash.writer import require_no_pending, require_version
from dynastash.stores.base import RecordKey

TOMBSTONE_DAYS: Final = 90
"""How long a destroyed version's tombstone stays, the newest version's aside, which stays for good."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What became of one version's wrapped key: the key-encryption keys before and after."""

    name: str
    number: int
    before: str
    after: str


class Lifecycle:
    """Changes that add no version."""

    def __init__(self, reader: Reader, changes: Changes) -> None:
        self._reader = reader
        self._changes = changes

    def delete(self, name: str, *, recovery_days: int, if_version: int | None) -> Head:
        """Hide a secret. It can be undeleted until somebody purges it, ``recovery_days`` from now at the earliest."""

        def change(head: Head) -> Head:
            if head.state is State.DELETED:
                return head
            require_version(name, head, if_version)
            require_no_pending(head)
            now = self._reader.clock.now() // 1000
            return replace(head, state=State.DELETED, deleted_at=now, purge_at=now + recovery_days * 86_400)

        return self._change_head(name, change)

    def undelete(self, name: str) -> Head:
        """Take a deletion back."""
        return self._change_head(name, lambda head: replace(head, state=State.ACTIVE, deleted_at=None, purge_at=None))

    def disable(self, name: str, number: int) -> Head:
        """Hide one version, neither current nor pending."""

        def change(head: Head) -> Head:
            _require_unused(head, number)
            _require_existing(head, number)
            if len(head.disabled | {number}) > records.MAX_NUMBERS:
                raise ConflictError(f"{name} has too many deleted versions", hint=f"run `dynastash prune {name}`")
            return replace(head, disabled=head.disabled | {number})

        return self._change_head(name, change)

    def enable(self, name: str, number: int) -> Head:
        """Take the deletion of a version back."""

        def change(head: Head) -> Head:
            _require_existing(head, number)
            return replace(head, disabled=head.disabled - {number})

        return self._change_head(name, change)

    def destroy_versions(self, name: str, numbers: Collection[int]) -> Head:
        """Erase versions for good, neither current nor pending. Destroyed already is destroyed."""
        wanted = sorted(set(numbers))
        head: Head | None = None
        size = self._reader.store.transaction_size - 1
        for start in range(0, len(wanted), size):
            head = self._destroy_batch(name, wanted[start : start + size])
        if head is None:
            raise InvalidArgumentError("no version was named", hint="name the versions to destroy")
        return head

    def destroy(self, name: str) -> int:
        """Erase a secret for good and return how many versions that took. What was interrupted is finished."""
        self._changes.until_won(name, lambda: self._mark_destroyed(name))
        count = 0
        while batch := self._changes.until_won(name, lambda: self._bury_batch(name)):
            count += batch
        return count

    def prunable(self, name: str, *, keep: int | None, before_ms: int | None) -> list[int]:
        """The versions that :meth:`prune` would erase, in order."""
        head = self._authentic(name)
        return self._prunable(head, list(self._reader.store.history(name)), keep, before_ms)[0]

    def prune(self, name: str, *, keep: int | None, before_ms: int | None) -> list[int]:
        """Erase old versions and their tombstones: all but the newest ``keep``, all made before ``before_ms``.

        Both conditions hold where both are given. Stops before the first version that must stay: the newest, and those
        that are current, previous or pending.
        """
        pruned: list[int] = []
        while batch := self._changes.until_won(name, lambda: self._prune_batch(name, keep, before_ms)):
            pruned += batch
        return pruned

    def rewrap(self, name: str) -> Iterator[Rewrapped]:
        """Wrap the data keys of all live versions anew, under the key that new versions get. Opens no value.

        Yields each version when it is done; what was done stays done. A version that somebody else changes meanwhile is
        read again.
        """
        self._authentic(name)
        for key in [RecordKey(*records.key_of(item)) for item in self._reader.store.history(name)]:
            done = self._changes.until_won(name, partial(self._rewrap, key))
            if done is not None:
                yield done

    def _rewrap(self, key: RecordKey) -> Rewrapped | None:
        item = self._reader.store.fetch([key]).get(key)
        if item is None or records.is_tombstone(item):
            return None
        record = records.decode_version(item)
        envelope.check_identity(record, key.name, record.number)
        before = WrappedKey(record.wrapped_key, record.metadata.key_id or "")
        after = self._reader.keys.rewrap(
            before, Context(self._reader.environment, key.name, record.number, record.metadata.context)
        )
        with self._changes.race():
            self._reader.store.replace_key(item, after, self._reader.clock.now())
        return Rewrapped(key.name, record.number, before.key_id, after.key_id)

    def _change_head(self, name: str, change: Callable[[Head], Head]) -> Head:
        """Replace an authenticated head by ``change`` of it; the same head means that there is nothing to do."""

        def attempt() -> Head:
            snapshot, author = self._begin(name)
            refuse_destroyed(snapshot.head)
            trusted = self._reader.trusted(snapshot)
            changed = change(snapshot.head)
            if changed == snapshot.head:
                return changed
            successor = self._changes.touched(changed, author)
            self._changes.commit(snapshot, successor, trusted.keys)
            return successor

        return self._changes.until_won(name, attempt)

    def _destroy_batch(self, name: str, numbers: Sequence[int]) -> Head:
        def attempt() -> Head:
            snapshot, author = self._begin(name)
            head = snapshot.head
            refuse_destroyed(head)
            trusted = self._reader.trusted(snapshot)
            left = [number for number in numbers if number not in head.destroyed and number >= head.pruned_below]
            for number in left:
                _require_unused(head, number)
                _require_existing(head, number)
            if not left:
                return head
            if len(head.destroyed) + len(left) > records.MAX_NUMBERS:
                raise ConflictError(
                    f"{name} has too many destroyed versions for its head", hint=f"run `dynastash prune {name}` first"
                )
            successor = replace(
                self._changes.touched(head, author),
                destroyed=head.destroyed | set(left),
                disabled=head.disabled - set(left),
                previous=None if head.previous in left else head.previous,
            )
            self._changes.commit(snapshot, successor, trusted.keys, tombstones=self._tombstones(head, left, author))
            return successor

        return self._changes.until_won(name, attempt)

    def _mark_destroyed(self, name: str) -> None:
        snapshot, author = self._begin(name)
        head = snapshot.head
        if head.state is State.DESTROYED:
            return
        self._reader.trusted(snapshot)
        now = self._reader.clock.now()
        # From here on everything below the newest version counts as pruned; what is left of it is buried next.
        successor = Head(
            name=name,
            last=head.last,
            revision=head.revision + 1,
            pruned_below=head.last,
            state=State.DESTROYED,
            created_ms=head.created_ms,
            updated_ms=now,
            updated_by=author,
            destroyed=frozenset((head.last,)),
        )
        newest = snapshot.items[head.last]
        buried = [] if records.is_tombstone(newest) else [self._tombstone(newest, author, last=True)]
        self._changes.commit(snapshot, successor, None, tombstones=buried)

    def _bury_batch(self, name: str) -> int:
        snapshot, author = self._begin(name)
        if snapshot.head.state is not State.DESTROYED:  # somebody has recreated it meanwhile: nothing of that is ours
            return 0
        # Whole records: what merely claims to be a tombstone in its public attributes is buried too.
        keys = [RecordKey(*records.key_of(item)) for item in self._reader.store.history(name)]
        live = [item for item in self._reader.store.fetch(keys).values() if not records.is_tombstone(item)]
        batch = live[: self._reader.store.transaction_size - 1]
        if batch:
            newest = (name, records.version_key(snapshot.head.last))
            buried = [self._tombstone(item, author, last=records.key_of(item) == newest) for item in batch]
            successor = self._changes.touched(snapshot.head, author)
            self._changes.commit(snapshot, successor, None, tombstones=buried)
        return len(batch)

    def _prune_batch(self, name: str, keep: int | None, before_ms: int | None) -> list[int]:
        snapshot, author = self._begin(name)
        refuse_destroyed(snapshot.head)
        trusted = self._reader.trusted(snapshot)
        items = list(self._reader.store.history(name))
        numbers, present = self._prunable(snapshot.head, items, keep, before_ms)
        batch = numbers[: self._reader.store.transaction_size - 1]
        if batch:
            below = batch[-1] + 1
            head = self._changes.touched(snapshot.head, author)
            successor = replace(
                head,
                pruned_below=below,
                destroyed=frozenset(number for number in head.destroyed if number >= below),
                disabled=frozenset(number for number in head.disabled if number >= below),
            )
            erased = [RecordKey(name, records.version_key(number)) for number in batch if number in present]
            self._changes.commit(snapshot, successor, trusted.keys, delete=erased)
        return batch

    @staticmethod
    def _prunable(
        head: Head, items: Sequence[Item], keep: int | None, before_ms: int | None
    ) -> tuple[list[int], Mapping[int, records.VersionMetadata]]:
        present = {version.number: version for version in map(records.decode_metadata, items)}
        live = sorted(number for number, version in present.items() if version.destroyed_ms is None)
        kept = set(live[-keep:]) if keep else set()
        kept |= {number for number in (head.last, head.current, head.pending, head.previous) if number is not None}
        numbers: list[int] = []
        for number in range(head.pruned_below, head.last):
            version = present.get(number)
            young = before_ms is not None and version is not None and version.created_ms >= before_ms
            if number in kept or young:
                break
            numbers.append(number)
        return numbers, present

    def _tombstones(self, head: Head, numbers: Sequence[int], author: str) -> list[Item]:
        keys = [RecordKey(head.name, records.version_key(number)) for number in numbers]
        found = self._reader.store.fetch(keys)
        for key, number in zip(keys, numbers, strict=True):
            if key not in found:
                raise VersionNotFoundError(
                    f"version {number} of {head.name} is missing from the store", hint="run `dynastash verify`"
                )
        return [
            self._tombstone(found[key], author, last=number == head.last)
            for key, number in zip(keys, numbers, strict=True)
        ]

    def _tombstone(self, item: Item, author: str, *, last: bool) -> Item:
        now = self._reader.clock.now()
        ttl = None if last else now // 1000 + TOMBSTONE_DAYS * 86_400
        return records.encode_tombstone(item, destroyed_ms=now, destroyed_by=author, ttl=ttl)

    def _begin(self, name: str) -> tuple[Snapshot, str]:
        snapshot, author = self._changes.begin(name)
        if snapshot is None:
            raise no_secret(name)
        return snapshot, author

    def _authentic(self, name: str) -> Head:
        def attempt() -> Head:
            snapshot = self._reader.existing(name)
            self._reader.trusted(snapshot)
            return snapshot.head

        return self._reader.consistently(name, attempt)


def _require_unused(head: Head, number: int) -> None:
    if number in (head.current, head.pending):
        stage = "current" if number == head.current else "pending"
        raise ConflictError(
            f"version {number} of {head.name} is {stage}",
            hint="put, roll back or finish the rotation first, or take the whole secret",
        )


def _require_existing(head: Head, number: int) -> None:
    if not head.pruned_below <= number <= head.last or number in head.destroyed:
        raise VersionNotFoundError(
            f"{head.name} has no version {number}", hint=f"`dynastash history {head.name}` shows which it has"
        )
