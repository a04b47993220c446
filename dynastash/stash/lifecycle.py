"""The end of secrets and versions: delete and undelete, destroy, prune.

*Delete* hides and can be undone. *Destroy* erases the value for good and leaves a tombstone, so that the number is
never used again. *Prune* erases old versions and their tombstones, and the head remembers up to where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Final

from dynastash.crypto import attributes, records
from dynastash.errors import ConflictError, FormatError, InvalidArgumentError, VersionNotFoundError
from dynastash.frozen import replace
from dynastash.models import Head, Item, State, from_seconds
from dynastash.stash import batches
from dynastash.stash.changes import Changes, void
from dynastash.stash.reader import Inconsistent, Reader, Snapshot, no_secret, refuse_destroyed
from dynastash.stash.writer import require_no_pending, require_version
from dynastash.stores.base import RecordKey

TOMBSTONE_DAYS: Final = 90
"""How long a destroyed version's tombstone stays, the newest version's aside, which stays until it is pruned."""

_READ: Final = 32  # whole records in memory at once: some 13 MB at most


class Lifecycle:
    """Changes that add no version."""

    def __init__(self, reader: Reader, changes: Changes) -> None:
        self._reader = reader
        self._changes = changes

    def delete(self, name: str, *, recovery_days: int, if_version: int | None) -> Head:
        """Hide a secret. It can be undeleted until somebody purges it, ``recovery_days`` from now at the earliest.

        Deleted already is deleted; its recovery window stays.
        """

        def change(head: Head) -> Head:
            require_version(name, head, if_version)
            if head.state is State.DELETED:
                return head
            require_no_pending(head)
            now = self._reader.clock.now() // 1000
            return replace(head, state=State.DELETED, deleted_at=now, purge_at=now + recovery_days * 86_400)

        return self._change_head(name, change)

    def undelete(self, name: str) -> Head:
        """Take a deletion back."""
        return self._change_head(name, lambda head: replace(head, state=State.ACTIVE, deleted_at=None, purge_at=None))

    def disable(self, name: str, number: int, *, if_version: int | None) -> Head:
        """Hide one version, neither current nor pending."""

        def change(head: Head) -> Head:
            require_version(name, head, if_version)
            _require_unused(head, number)
            _require_existing(head, number)
            if len(head.disabled | {number}) > attributes.MAX_NUMBERS:
                raise ConflictError(f"{name} has too many deleted versions", hint=f"run `dynastash prune {name}`")
            return replace(head, disabled=head.disabled | {number})

        return self._change_head(name, change)

    def enable(self, name: str, number: int) -> Head:
        """Take the deletion of a version back."""

        def change(head: Head) -> Head:
            _require_existing(head, number)
            return replace(head, disabled=head.disabled - {number})

        return self._change_head(name, change)

    def destroy_versions(self, name: str, numbers: Collection[int], *, if_version: int | None) -> Head:
        """Erase versions for good, neither current nor pending. Destroyed already is destroyed.

        All of them are checked before the first one is erased.
        """
        left = sorted(set(numbers))
        if not left:
            raise InvalidArgumentError("no version was named", hint="name the versions to destroy")
        while True:
            head, done = self._changes.until_won(name, partial(self._destroy_batch, name, left, if_version))
            left = left[done:]
            if not left:
                return head

    def destroy(self, name: str, *, if_version: int | None, overdue: bool) -> Head:
        """Erase a secret for good. What was interrupted is finished.

        ``overdue`` refuses where the secret is not deleted, or its recovery window is not over.
        """
        head = self._changes.until_won(name, lambda: self._mark_destroyed(name, if_version, overdue))
        return self.finish(name) or head

    def finish(self, name: str) -> Head | None:
        """Erase what an interrupted destruction of a secret left. Its head; None where the secret is not destroyed."""
        snapshot = self._reader.consistently(name, lambda: self._reader.snapshot(name))
        if snapshot is None or snapshot.head.state is not State.DESTROYED:
            return None
        head = snapshot.head
        left = self._numbers(name)
        while left:
            done, found = self._changes.until_won(name, partial(self._bury_batch, name, left))
            if not done:  # somebody has recreated it meanwhile: nothing of that is ours, nor for us to report
                break
            head, left = found, left[done:]
        return head

    def prunable(self, name: str, *, keep: int | None, before_ms: int | None) -> list[int]:
        """The versions that :meth:`prune` would erase, in order."""
        head = self._authentic(name)
        return _prunable(head, self._reader.store.history(name), keep, before_ms)

    def prune(self, name: str, *, keep: int | None, before_ms: int | None) -> list[int]:
        """Erase old versions and their tombstones: all but the newest ``keep``, all made before ``before_ms``.

        Both conditions hold where both are given. Stops before the first version that must stay: the newest, and those
        that are current, previous or pending. Whatever an interrupted erasure left below goes in any case.
        """
        left = self.prunable(name, keep=keep, before_ms=before_ms)
        pruned: list[int] = []
        while left:
            done = self._changes.until_won(name, partial(self._prune_batch, name, left))
            pruned += left[:done]
            left = left[done:] if done else []
        return pruned

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

    def _destroy_batch(self, name: str, numbers: Sequence[int], if_version: int | None) -> tuple[Head, int]:
        """The head after destroying the first of ``numbers``, and how many of them that were."""
        snapshot, author = self._begin(name)
        head = snapshot.head
        refuse_destroyed(head)
        trusted = self._reader.trusted(snapshot)
        require_version(name, head, if_version)
        for number in numbers:
            _require_unused(head, number)
            if number > head.last:
                raise _no_version(head, number)
        destroyed = head.destroyed.union(number for number in numbers if number >= head.pruned_below)
        if len(destroyed) > attributes.MAX_NUMBERS:
            raise ConflictError(
                f"{name} has too many destroyed versions for its head", hint=f"run `dynastash prune {name}` first"
            )
        found = self._first(name, numbers)
        erased: dict[int, Item] = {}
        for number, item in found.items():
            if item is None and number >= head.pruned_below and number not in head.destroyed:
                again = self._reader.snapshot(name)
                if again is None or again.head != head:  # pruned since the head was read
                    raise Inconsistent
                raise VersionNotFoundError(
                    f"version {number} of {name} is missing from the store", hint="run `dynastash verify`"
                )
            # What stands in the place of a destroyed version is erased again, whoever put it there.
            if item is not None and not (_is_erased(item) and number in head.destroyed):
                erased[number] = item
        added = {number for number in found if number >= head.pruned_below} - head.destroyed
        if not erased and not added:
            return head, len(found)
        successor = replace(
            self._changes.touched(head, author),
            destroyed=head.destroyed | added,
            disabled=head.disabled - added,
            previous=None if head.previous in added else head.previous,
        )
        buried = [self._tombstone(name, number, item, head, author) for number, item in erased.items()]
        self._changes.commit(snapshot, successor, trusted.keys, tombstones=buried)
        return successor, len(found)

    def _mark_destroyed(self, name: str, if_version: int | None, overdue: bool) -> Head:
        snapshot, author = self._begin(name)
        head = snapshot.head
        if head.state is State.DESTROYED:
            return head
        self._reader.trusted(snapshot)
        require_version(name, head, if_version)
        now = self._reader.clock.now()
        if overdue and (head.state is not State.DELETED or head.purge_at is None or head.purge_at * 1000 > now):
            due = from_seconds(head.purge_at)
            raise ConflictError(
                f"{name} is not due to be destroyed: "
                + (f"only from {due:%Y-%m-%d %H:%M} UTC" if due else "it is active"),
                hint="wait, or destroy it by its name",
            )
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
        buried = [] if _is_erased(newest) else [self._tombstone(name, head.last, newest, head, author)]
        self._changes.commit(snapshot, successor, None, tombstones=buried)
        return successor

    def _bury_batch(self, name: str, numbers: Sequence[int]) -> tuple[int, Head]:
        """How many of ``numbers`` are done with (none, once the secret lives again), and the head after it."""
        snapshot, author = self._begin(name)
        head = snapshot.head
        if head.state is not State.DESTROYED:
            return 0, head
        found = self._first(name, numbers)
        # Whole records: what merely claims to be a tombstone in its public attributes is buried too.
        live = {number: item for number, item in found.items() if item is not None and not _is_erased(item)}
        if live:
            buried = [self._tombstone(name, number, item, head, author) for number, item in live.items()]
            head = self._changes.touched(head, author)
            self._changes.commit(snapshot, head, None, tombstones=buried)
        return len(found), head

    def _prune_batch(self, name: str, numbers: Sequence[int]) -> int:
        """Erase the first of ``numbers`` and return how many they were. No older version ever gains a stage."""
        snapshot, author = self._begin(name)
        head = snapshot.head
        refuse_destroyed(head)
        trusted = self._reader.trusted(snapshot)
        staying = _staying(head)
        found = self._first(name, list(takewhile(lambda number: number not in staying, numbers)))
        below = max([head.pruned_below, *(number + 1 for number in found)])
        erased = [RecordKey(name, records.version_key(number)) for number, item in found.items() if item is not None]
        if erased or below > head.pruned_below:
            successor = replace(
                self._changes.touched(head, author),
                pruned_below=below,
                destroyed=frozenset(number for number in head.destroyed if number >= below),
                disabled=frozenset(number for number in head.disabled if number >= below),
            )
            self._changes.commit(snapshot, successor, trusted.keys, delete=erased)
        return len(found)

    def _first(self, name: str, numbers: Sequence[int]) -> dict[int, Item | None]:
        """The records of the first of ``numbers``, as many as one transaction takes; None for what is not there."""
        found: dict[int, Item | None] = {}
        total = 0
        limit = self._reader.store.transaction_size - 1
        for start in range(0, min(limit, len(numbers)), _READ):
            chunk = numbers[start : min(start + _READ, limit)]
            items = self._reader.store.fetch([RecordKey(name, records.version_key(number)) for number in chunk])
            for number in chunk:
                item = items.get(RecordKey(name, records.version_key(number)))
                total += batches.size_of(item) if item is not None else 0
                if found and total > batches.MAX_BYTES:
                    return found
                found[number] = item
        return found

    def _numbers(self, name: str) -> list[int]:
        """The versions of ``name`` that have a record of any kind."""
        return [number for number, _ in _numbered(self._reader.store.history(name))]

    def _tombstone(self, name: str, number: int, item: Item, head: Head, author: str) -> Item:
        now = self._reader.clock.now()
        ttl = None if number == head.last else now // 1000 + TOMBSTONE_DAYS * 86_400
        try:
            return records.encode_tombstone(
                {**item, "version": records.number(number)}, destroyed_ms=now, destroyed_by=author, ttl=ttl
            )
        except FormatError:
            # Ruined beyond what a tombstone keeps, and erased like any other: nothing of it is believed.
            ruin = void(name, number, now, created_by="unknown: the record was damaged")
            return records.encode_tombstone(ruin, destroyed_ms=now, destroyed_by=author, ttl=ttl)

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
        raise _no_version(head, number)


def _no_version(head: Head, number: int) -> VersionNotFoundError:
    """The error for a version that is beyond the newest, or gone."""
    return VersionNotFoundError(
        f"{head.name} has no version {number}", hint=f"`dynastash history {head.name}` shows which it has"
    )


def _is_erased(item: Item) -> bool:
    """Whether ``item`` is a tombstone and nothing else."""
    try:
        return records.is_tombstone(item) and records.decode_metadata(item).destroyed_ms is not None
    except FormatError:
        return False


def _staying(head: Head) -> set[int]:
    return {number for number in (head.last, head.current, head.pending, head.previous) if number is not None}


def _numbered(items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
    for item in items:
        number = records.parse_version_key(str(item["record"]["S"]))
        if number is not None:  # anything else under v# is nobody's version, and verify's to find
            yield number, item


def _prunable(head: Head, items: Iterable[Item], keep: int | None, before_ms: int | None) -> list[int]:
    """What may go, oldest first. A version that cannot be read is live, and of no age."""
    made: dict[int, int | None] = {}  # of what is live: when
    present: set[int] = set()
    for number, item in _numbered(items):
        present.add(number)
        try:
            version = records.decode_metadata(item)
        except FormatError:
            made[number] = None
            continue
        if version.destroyed_ms is None:
            made[number] = version.created_ms
    kept = _staying(head) | (set(sorted(number for number in made if number <= head.last)[-keep:]) if keep else set())

    def goes(number: int) -> bool:
        if number in kept:
            return False
        if before_ms is None or number not in made:
            return True
        created = made[number]
        return created is not None and created < before_ms

    leftovers = sorted(number for number in present if number < head.pruned_below)
    return leftovers + list(takewhile(goes, range(head.pruned_below, head.last)))
