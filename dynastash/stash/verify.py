"""Is everything in the store what dynastash wrote? Every record of an environment, checked (docs/format-v1.md).

Reads the whole store once, in its own order, secret by secret. What does not fit together is read again by name before
it is reported: a scan is not of one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dynastash.crypto import envelope, records
from dynastash.crypto.kdf import DerivedKeys
from dynastash.crypto.records import VersionMetadata, VersionRecord
from dynastash.errors import DynastashError, KeyAccessDeniedError, KeyUnavailableError, StoreError
from dynastash.models import Context, Head, Item, State, WrappedKey
from dynastash.stash import parallel
from dynastash.stash.reader import Reader
from dynastash.stores.base import RecordKey

_STALE_MS: Final = 86_400_000
"""A rotation that is pending for longer than a day has been forgotten."""


class Problem(StrEnum):
    """What kind of thing is wrong."""

    MALFORMED = "malformed"
    """A record that does not decode."""

    FORGED = "forged"
    """A version or a head that fails authentication, or a data key that does not open."""

    MISSING = "missing"
    """A record that must exist does not (I1 to I4)."""

    STRAY = "stray"
    """A record that must not exist does: of no secret, beyond the head, or left over from an interrupted erasure."""

    MISMATCH = "mismatch"
    """The head says something else of a version than the version does."""

    UNKNOWN = "unknown"
    """An attribute that this release does not know."""

    EXPIRED = "expired"
    """The current version's expiry has passed."""

    OVERDUE = "overdue"
    """A deleted secret whose recovery window is over, or a rotation pending for more than a day."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``version`` is None where it concerns the head or the whole secret."""

    name: str
    version: int | None
    problem: Problem
    message: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked of one secret: its name, its live versions and tombstones, and what is wrong."""

    name: str
    versions: int
    tombstones: int
    findings: Sequence[Finding]


def verify(reader: Reader, *, prefix: str, structure_only: bool) -> Iterator[Verified]:
    """Check every secret whose name starts with ``prefix``, in the store's order.

    ``structure_only`` opens no data key: what is not authenticated then is only checked for its shape and for the
    invariants. Failures of the store, and a key provider that refuses as a whole, are raised.
    """

    def check(group: tuple[str, Sequence[Item]]) -> Verified:
        name, items = group
        found = _Check(reader, name, items, structure_only).run()
        if not found.findings:
            return found
        return _Check(reader, name, _again(reader, name), structure_only).run()

    batch: list[tuple[str, Sequence[Item]]] = []
    size = 4 * reader.keys.concurrency
    for group in _secrets(reader, prefix):
        batch.append(group)
        if len(batch) == size:
            yield from parallel.each(check, batch, limit=reader.keys.concurrency)
            batch = []
    yield from parallel.each(check, batch, limit=reader.keys.concurrency)


def _secrets(reader: Reader, prefix: str) -> Iterator[tuple[str, list[Item]]]:
    """The store's items, those of one secret together, as the protocol promises."""
    name: str | None = None
    items: list[Item] = []
    for item in reader.store.scan():
        own = str(item["name"]["S"])
        if own != name:
            if name is not None and name.startswith(prefix):
                yield name, items
            name, items = own, []
        items.append(item)
    if name is not None and name.startswith(prefix):
        yield name, items


def _again(reader: Reader, name: str) -> list[Item]:
    keys = [RecordKey(name, str(item["record"]["S"])) for item in reader.store.history(name)]
    found = reader.store.fetch([RecordKey(name, records.HEAD), *keys])
    return [found[key] for key in sorted(found, key=lambda key: key.record)]


class _Check:
    """One secret's items, held against each other."""

    def __init__(self, reader: Reader, name: str, items: Sequence[Item], structure_only: bool) -> None:
        self._reader = reader
        self._name = name
        self._items = items
        self._structure_only = structure_only
        self._findings: list[Finding] = []
        self._live: dict[int, VersionRecord] = {}
        self._tombstones: dict[int, VersionMetadata] = {}
        self._head: tuple[Head, Item] | None = None

    def run(self) -> Verified:
        """Sort, then check what is there against the head, then against the keys."""
        for item in self._items:
            self._sort(item)
        if self._head is None:
            self._report(None, Problem.MISSING, "the secret has no head")
        else:
            head, item = self._head
            self._check_invariants(head)
            self._check_times(head)
            if not self._structure_only:
                self._check_seals(head, item)
        return Verified(self._name, len(self._live), len(self._tombstones), tuple(self._findings))

    def _report(self, version: int | None, problem: Problem, message: str) -> None:
        self._findings.append(Finding(self._name, version, problem, message))

    def _sort(self, item: Item) -> None:
        record = str(item["record"]["S"])
        number = records.parse_version_key(record)
        try:
            if record == records.HEAD:
                self._head = records.decode_head(item), item
                for attribute in sorted(self._head[0].extra):
                    self._report(None, Problem.UNKNOWN, f"the head has an unknown attribute {attribute!r}")
            elif number is None:
                self._report(None, Problem.STRAY, f"the record {record!r} is neither a head nor a version")
            elif records.is_tombstone(item):
                self._tombstones[number] = records.decode_metadata(item)
            else:
                self._live[number] = records.decode_version(item)
                for attribute in sorted(item.keys() - records.VERSION_ATTRIBUTES):
                    self._report(number, Problem.UNKNOWN, f"the record has an unknown attribute {attribute!r}")
        except DynastashError as error:
            self._report(number, Problem.MALFORMED, str(error))

    def _check_invariants(self, head: Head) -> None:
        malformed = {finding.version for finding in self._findings if finding.problem is Problem.MALFORMED}
        there = self._live.keys() | self._tombstones.keys() | malformed
        if head.last not in there:
            self._report(head.last, Problem.MISSING, "the newest version is missing")
        for number in sorted(there - {None}, key=lambda number: number or 0):
            assert number is not None
            if number > head.last:
                self._report(number, Problem.STRAY, "the version is beyond the head's newest")
            elif number < head.pruned_below and number in self._live:
                self._report(number, Problem.STRAY, "the version is left over from an interrupted erasure")
            elif number in self._live and number in head.destroyed:
                self._report(number, Problem.MISMATCH, "the head calls the version destroyed, and it is not")
            elif number in self._tombstones and number >= head.pruned_below and number not in head.destroyed:
                self._report(number, Problem.MISSING, "the version was destroyed, and the head does not know of it")
        for number in range(head.pruned_below, head.last):
            if number not in there and number not in head.destroyed:
                self._report(number, Problem.MISSING, "the version is missing")
        for stage in ("current", "pending", "previous"):
            number = getattr(head, stage)
            if number is not None and number not in self._live and number not in malformed:
                self._report(number, Problem.MISSING, f"the {stage} version has no value")

    def _check_times(self, head: Head) -> None:
        now = self._reader.clock.now()
        current = self._live.get(head.current or 0)
        if current is not None:
            metadata = current.metadata
            if (metadata.comment, metadata.expires_at) != (head.comment, head.expires_at):
                self._report(head.current, Problem.MISMATCH, "the head's copy of comment or expiry differs")
            if head.state is State.ACTIVE and metadata.expires_at is not None and metadata.expires_at * 1000 <= now:
                self._report(head.current, Problem.EXPIRED, "the current version has expired")
        if head.state is State.DELETED and head.purge_at is not None and head.purge_at * 1000 <= now:
            self._report(None, Problem.OVERDUE, "the secret is deleted and its recovery window is over")
        if head.pending is not None and now - head.updated_ms > _STALE_MS:
            self._report(head.pending, Problem.OVERDUE, "a rotation is pending for more than a day")

    def _check_seals(self, head: Head, item: Item) -> None:
        derived = {number: self._open(record) for number, record in sorted(self._live.items())}
        sealing = derived.get(head.sealing_version or 0)
        if head.state is State.DESTROYED:
            return
        if sealing is None:
            self._report(None, Problem.FORGED, "the head cannot be authenticated: its version does not open")
            return
        self._guarded(None, lambda: envelope.check_seal(self._reader.environment, head, item, sealing))

    def _open(self, record: VersionRecord) -> DerivedKeys | None:
        opened: list[DerivedKeys] = []

        def attempt() -> None:
            wrapped = WrappedKey(record.wrapped_key, record.metadata.key_id or "")
            context = Context(self._reader.environment, self._name, record.number, record.metadata.context)
            data_key = self._reader.keys.unwrap(wrapped, context)
            _, keys = envelope.open_record(
                self._reader.environment, envelope.check_identity(record, self._name, record.number), data_key
            )
            opened.append(keys)

        self._guarded(record.number, attempt)
        return opened[0] if opened else None

    def _guarded(self, number: int | None, check: Callable[[], None]) -> None:
        try:
            check()
        except (StoreError, KeyAccessDeniedError, KeyUnavailableError):
            raise  # says nothing of the record
        except DynastashError as error:
            self._report(number, Problem.FORGED, str(error))
