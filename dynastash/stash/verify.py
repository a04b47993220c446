"""Is everything in the store what dynastash wrote? Every record of an environment, checked (docs/format-v1.md).

Reads the whole store once, in its own order, a few records at a time. A scan is not of one moment: a secret whose
records do not fit together is read again by its name, with its head before and after, before anything is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final, TypeVar

from dynastash.backoff import Backoff
from dynastash.crypto import envelope, records
from dynastash.crypto.kdf import DerivedKeys
from dynastash.crypto.records import VersionMetadata, VersionRecord
from dynastash.errors import (
    ContextMismatchError,
    EnvelopeError,
    KeyProviderError,
    RollbackError,
    UntrustedKeyError,
)
from dynastash.frozen import Frozen, field, replace
from dynastash.models import DataKey, Head, Item, State
from dynastash.stash.reader import Reader
from dynastash.stash.unwrapping import key_request, with_keys
from dynastash.stores.base import RecordKey

_AT_ONCE: Final = 32
_STALE_MS: Final = 86_400_000
"""A rotation that is pending for longer than a day has been forgotten."""

_READ: Final = 32  # whole records in memory at once, for each call in flight 4: some 50 MB at most


_T = TypeVar("_T")
_Report = Callable[[int | None, "Problem", str], None]


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

    ROLLED_BACK = "rolled back"
    """The secret is at an earlier state than this client has seen, or gone."""

    EXPIRED = "expired"
    """The current version's expiry has passed."""

    OVERDUE = "overdue"
    """A deleted secret whose recovery window is over, or a rotation pending for more than a day."""


class Finding(Frozen):
    """One thing that is wrong. ``version`` is None where it concerns the head or the whole secret."""

    name: str
    version: int | None
    problem: Problem
    message: str


class Verified(Frozen):
    """What was checked of one secret: its name, its live versions and tombstones, and what is wrong."""

    name: str
    versions: int
    tombstones: int
    findings: Sequence[Finding]


_OF_ONE_MOMENT: Final = frozenset((Problem.MALFORMED, Problem.UNKNOWN, Problem.EXPIRED, Problem.OVERDUE))
"""What is wrong with one record alone. Everything else may come of reading while somebody writes."""


class _Looked(Frozen):
    """One item, looked at by itself. ``number`` is None for the head and for what is neither; ciphertext is gone."""

    name: str
    record: str
    number: int | None = None
    head: tuple[Head, Item] | None = None
    live: VersionMetadata | None = None
    tombstone: VersionMetadata | None = None
    keys: DerivedKeys | None = field(default=None, repr=False)
    findings: Sequence[Finding] = ()


def verify(reader: Reader, *, prefix: str, structure_only: bool) -> Iterator[Verified]:
    """Check every secret whose name starts with ``prefix``, in the store's order.

    ``structure_only`` opens no data key: what is not authenticated then is only checked for its shape and for the
    invariants. Failures of the store, and a key provider that refuses as a whole, are raised.
    """
    results = _verify(reader, prefix, structure_only)
    while True:
        # A few at a time, and never across a yield: whoever asks may stop asking.
        with reader.seen.together():
            some = list(islice(results, _AT_ONCE))
        if not some:
            return
        yield from some


def _verify(reader: Reader, prefix: str, structure_only: bool) -> Iterator[Verified]:
    unseen = {name for name in reader.seen.names() if name.startswith(prefix)}
    items = (item for item in reader.store.scan() if str(item["name"]["S"]).startswith(prefix))
    secret: _Secret | None = None
    for looked in _looked(reader, items, structure_only):
        if secret is None or secret.name != looked.name:
            if secret is not None:
                yield _settled(reader, secret, structure_only)
            secret = _Secret(looked.name)
            unseen.discard(looked.name)
        secret.add(looked)
    if secret is not None:
        yield _settled(reader, secret, structure_only)
    for name in sorted(unseen):  # seen before and not there, unless it was written behind the scan
        yield _settled(reader, _Secret(name), structure_only)


def _looked(reader: Reader, items: Iterable[Item], structure_only: bool) -> Iterator[_Looked]:
    """Each of ``items`` looked at, in order, several data keys at once."""
    looks = map(_look, items)
    if structure_only:
        yield from (looked for looked, _ in looks)
        return
    wanted = ((look, None if look[1] is None else key_request(reader.environment, look[1])) for look in looks)
    for (looked, record), key in with_keys(reader.keys, wanted):
        yield looked if record is None or key is None else _authenticated(reader, looked, record, key)


def _settled(reader: Reader, secret: _Secret, structure_only: bool) -> Verified:
    """What is to be reported of ``secret``, after reading it again where that could make a difference.

    Its head is read before and after its versions: where nobody has written between, all are of one moment. Where
    somebody always does, what is found each time is true: the rest was their work.
    """
    verified = secret.check(reader, reader.seen.floor(secret.name), structure_only)
    if _certain(verified):
        return verified
    backoff = Backoff(reader.clock)
    always: Sequence[Finding] | None = None
    while True:
        floor = reader.seen.floor(secret.name)
        before = _revision(reader, secret.name)
        verified = _read(reader, secret, structure_only).check(reader, floor, structure_only)
        if _certain(verified) or before == _revision(reader, secret.name):
            return verified
        always = [found for found in verified.findings if always is None or found in always]
        if not backoff.pause():
            return replace(verified, findings=tuple(always))


def _certain(verified: Verified) -> bool:
    return all(finding.problem in _OF_ONE_MOMENT for finding in verified.findings)


def _revision(reader: Reader, name: str) -> object:
    key = RecordKey(name, records.HEAD)
    return reader.store.fetch([key]).get(key, {}).get("revision")


def _read(reader: Reader, scanned: _Secret, structure_only: bool) -> _Secret:
    """A secret by its name: its versions a few at a time, its head last, and what was found beside them."""
    name = scanned.name
    keys = [RecordKey(name, str(item["record"]["S"])) for item in reader.store.history(name)]
    keys.append(RecordKey(name, records.HEAD))
    keys += [RecordKey(name, record) for record in scanned.foreign if RecordKey(name, record) not in keys]

    def items() -> Iterator[Item]:
        for start in range(0, len(keys), _READ):
            chunk = keys[start : start + _READ]
            found = reader.store.fetch(chunk)
            yield from (found[key] for key in chunk if key in found)

    secret = _Secret(name)
    for looked in _looked(reader, items(), structure_only):
        secret.add(looked)
    return secret


def _look(item: Item) -> tuple[_Looked, VersionRecord | None]:
    """What ``item`` is by itself, and the record that is still to be opened, where it is a live version."""
    name, record = str(item["name"]["S"]), str(item["record"]["S"])
    number = records.parse_version_key(record)
    findings: list[Finding] = []

    def report(problem: Problem, message: str) -> None:
        findings.append(Finding(name, number, problem, message))

    head: tuple[Head, Item] | None = None
    live: VersionRecord | None = None
    tombstone: VersionMetadata | None = None
    try:
        if record == records.HEAD:
            decoded = records.decode_head(item)
            head = decoded, item
            for attribute in sorted(decoded.extra):
                report(Problem.UNKNOWN, f"the head has an unknown attribute {attribute!r}")
        elif number is None:
            report(Problem.STRAY, f"the record {record!r} is neither a head nor a version")
        elif records.is_tombstone(item):
            tombstone = records.decode_metadata(item)
        else:
            live = envelope.check_identity(records.decode_version(item), name, number)
            for attribute in sorted(item.keys() - records.VERSION_ATTRIBUTES):
                report(Problem.UNKNOWN, f"the record has an unknown attribute {attribute!r}")
    except EnvelopeError as error:
        report(Problem.MALFORMED, str(error))
    return _Looked(name, record, number, head, live.metadata if live else None, tombstone, None, tuple(findings)), live


def _authenticated(reader: Reader, looked: _Looked, record: VersionRecord, key: DataKey | KeyProviderError) -> _Looked:
    """``looked`` with its record's keys, or what is wrong with it. A provider that refuses as a whole is raised."""
    findings = list(looked.findings)

    def opened() -> DerivedKeys:
        if isinstance(key, KeyProviderError):
            raise key
        return envelope.open_record(reader.environment, record, key)[1]

    def report(problem: Problem, message: str) -> None:
        findings.append(Finding(looked.name, looked.number, problem, message))

    return replace(looked, keys=_guarded(report, opened), findings=tuple(findings))


def _guarded(report: Callable[[Problem, str], None], check: Callable[[], _T]) -> _T | None:
    """The result of ``check``; None, and a report, for what is wrong with the record. All else is raised."""
    try:
        return check()
    except (EnvelopeError, ContextMismatchError, UntrustedKeyError) as error:
        report(Problem.FORGED, str(error))
        return None


class _Secret:
    """One secret's records, held against each other. Grows by some hundred bytes for each version."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.foreign: list[str] = []  # sort keys of neither versions nor head, which no history shows
        self._findings: list[Finding] = []
        self._live: dict[int, VersionMetadata] = {}
        self._keys: dict[int, DerivedKeys] = {}
        self._tombstones: set[int] = set()
        self._malformed: set[int] = set()
        self._head: tuple[Head, Item] | None = None
        self._headless = True

    def add(self, looked: _Looked) -> None:
        """One more of the secret's records."""
        self._findings += looked.findings
        if looked.number is None:
            if looked.record != records.HEAD:
                self.foreign.append(looked.record)
            self._headless = self._headless and not any(
                finding.problem is Problem.MALFORMED for finding in looked.findings
            )
            self._head = looked.head or self._head
        elif looked.live is not None:
            self._live[looked.number] = looked.live
            if looked.keys is not None:
                self._keys[looked.number] = looked.keys
        elif looked.tombstone is not None:
            self._tombstones.add(looked.number)
        else:
            self._malformed.add(looked.number)

    def check(self, reader: Reader, floor: tuple[int, int], structure_only: bool) -> Verified:
        """All that is wrong with the secret. ``floor`` is from before it was read."""
        findings = list(self._findings)

        def report(number: int | None, problem: Problem, message: str) -> None:
            findings.append(Finding(self.name, number, problem, message))

        if self._head is None:
            if self._headless:  # a malformed one has been reported
                report(None, Problem.MISSING, "the secret has no head")
        else:
            head, item = self._head
            for number, problem, message in violations(head, self._live, self._tombstones, self._malformed):
                report(number, problem, message)
            self._check_times(head, reader.clock.now(), report)
            if not structure_only:
                self._check_seal(reader, head, item, report)
        try:
            reader.seen.check(self._head[0] if self._head is not None else None, self.name, floor)
        except RollbackError as error:
            report(None, Problem.ROLLED_BACK, str(error))
        return Verified(self.name, len(self._live), len(self._tombstones), tuple(findings))

    def _check_times(self, head: Head, now: int, report: _Report) -> None:
        current = self._live.get(head.current or 0)
        if current is not None:
            if (current.comment, current.expires_at) != (head.comment, head.expires_at):
                report(head.current, Problem.MISMATCH, "the head's copy of comment or expiry differs")
            if head.state is State.ACTIVE and current.expires_at is not None and current.expires_at * 1000 <= now:
                report(head.current, Problem.EXPIRED, "the current version has expired")
        if head.state is State.DELETED and head.purge_at is not None and head.purge_at * 1000 <= now:
            report(None, Problem.OVERDUE, "the secret is deleted and its recovery window is over")
        pending = self._live.get(head.pending or 0)
        if pending is not None and now - pending.created_ms > _STALE_MS:
            report(head.pending, Problem.OVERDUE, "a rotation is pending for more than a day")

    def _check_seal(self, reader: Reader, head: Head, item: Item, report: _Report) -> None:
        if head.state is State.DESTROYED:  # it has none
            return
        number = head.sealing_version or 0
        sealing = self._keys.get(number)
        if sealing is None:
            if number in self._live or number in self._malformed:  # a missing one is reported by its number
                report(None, Problem.FORGED, "the head cannot be authenticated: its version does not open")
            return

        def seal() -> None:
            envelope.check_seal(reader.environment, head, item, sealing)
            reader.seen.observe(head)

        _guarded(lambda problem, message: report(None, problem, message), seal)


def violations(
    head: Head, live: Collection[int], tombstones: Collection[int], malformed: Collection[int] = ()
) -> Iterator[tuple[int, Problem, str]]:
    """Where a secret's versions do not fit its head: invariants I2 to I4, and what they leave open.

    What is ``malformed`` is there, and nobody knows as what.
    """
    there = {*live, *tombstones, *malformed}
    if head.last not in there:
        yield head.last, Problem.MISSING, "the newest version is missing"
    for number in sorted(there):
        if number > head.last:
            yield number, Problem.STRAY, "the version is beyond the head's newest"
        elif number in live and number < head.pruned_below:
            yield number, Problem.STRAY, "the version is left over from an interrupted erasure"
        elif number in live and (number in head.destroyed or head.state is State.DESTROYED):
            yield number, Problem.MISMATCH, "the head calls the version destroyed, and it is not"
        elif number in tombstones and number >= head.pruned_below and number not in head.destroyed:
            yield number, Problem.MISSING, "the version was destroyed, and the head does not know of it"
    for first, last in _gaps(head.pruned_below, head.last, there | head.destroyed):
        more = f", and all up to version {last}" if last > first else ""
        yield first, Problem.MISSING, f"the version is missing{more}"
    for number in sorted(head.destroyed | head.disabled):
        if not head.pruned_below <= number <= head.last or number in head.destroyed & head.disabled:
            yield number, Problem.MISMATCH, "the head speaks of a version that it cannot have"
    if head.pruned_below > head.last:
        yield head.last, Problem.MISMATCH, "the head calls its newest version pruned"
    for stage, staged in (("current", head.current), ("pending", head.pending), ("previous", head.previous)):
        if staged is not None and staged not in live and staged not in malformed:
            yield staged, Problem.MISSING, f"the {stage} version has no value"


def _gaps(start: int, end: int, there: Collection[int]) -> Iterator[tuple[int, int]]:
    """The runs of numbers from ``start`` up to ``end`` that are not ``there``: few, whatever a forged head claims."""
    following = start
    for number in sorted(number for number in {end, *there} if start <= number <= end):
        if number > following:
            yield following, number - 1
        following = number + 1
