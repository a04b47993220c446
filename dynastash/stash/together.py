"""Reading many secrets together: two rounds of batched reads, then their data keys side by side.

What has been read is let go of as soon as it is opened: of a thousand secrets, the values are held and not the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from dynastash import parallel
from dynastash.crypto import records
from dynastash.crypto.records import VersionRecord
from dynastash.errors import DynastashError, EnvelopeError, KeyProviderError, StoreError
from dynastash.keys.base import KeyRequest
from dynastash.models import DataKey, Item, State
from dynastash.stash.reader import Inconsistent, Opened, Reader, Snapshot, no_secret, outside_prefix, refuse_destroyed
from dynastash.stash.unwrapping import key_request, with_keys
from dynastash.stores.base import RecordKey

_T = TypeVar("_T")
View = Callable[[Opened], _T]


def named(reader: Reader, names: Iterable[str], view: View[_T]) -> dict[str, _T | DynastashError]:
    """What ``view`` makes of the current version of each of ``names``, in their order, and each once.

    A secret that cannot be had is there with its error, as is one of which ``view`` raises a :class:`DynastashError`;
    failures of the store itself are raised.
    """
    reader.get_ready()
    wanted = list(dict.fromkeys(names))
    floors = {name: reader.seen.floor(name) for name in wanted}
    found = reader.store.fetch([RecordKey(name, records.HEAD) for name in wanted])
    heads = {key.name: item for key, item in found.items() if key.record == records.HEAD}
    del found
    return _open(reader, wanted, heads, floors, view)


def with_prefix(reader: Reader, prefix: str, view: View[_T]) -> dict[str, _T | DynastashError]:
    """As :func:`named`, for the secrets that the listing shows under ``prefix``; destroyed ones are left out."""
    reader.get_ready()
    heads: dict[str, Item] = {}
    for item in reader.store.heads(prefix):
        name, _ = records.key_of(item)
        if not name.startswith(prefix):
            raise outside_prefix()
        if item.get("state") != {"S": State.DESTROYED}:
            heads[name] = item
    # A listing may lag behind what this process has seen; whatever does not fit is read again by name.
    return _open(reader, list(heads), heads, {name: reader.seen.floor(name) for name in heads}, view)


def _open(
    reader: Reader, wanted: list[str], heads: dict[str, Item], floors: dict[str, tuple[int, int]], view: View[_T]
) -> dict[str, _T | DynastashError]:
    """``heads`` is emptied on the way."""
    looks = {name: _first_look(reader, name, heads.pop(name, None), floors[name]) for name in wanted}
    keys = {
        name: RecordKey(name, records.version_key(look.head.current))
        for name, look in looks.items()
        if isinstance(look, Snapshot) and look.head.current is not None
    }
    versions = dict(reader.store.fetch(list(keys.values()))) if keys else {}

    def candidates() -> Iterator[tuple[_Candidate, KeyRequest | None]]:
        for name in wanted:
            candidate = _Candidate(name, looks.pop(name))
            if name in keys and (item := versions.pop(keys[name], None)) is not None:
                candidate.choose(reader, item)
            record = candidate.record
            yield candidate, None if record is None else key_request(reader.environment, record)

    viewed: dict[str, _T | DynastashError] = {}
    again: list[str] = []  # two moments of a commit look like tampering until the secret is read again in one piece

    def keep(name: str, opened: Opened | DynastashError) -> None:
        try:
            viewed[name] = opened if isinstance(opened, DynastashError) else view(opened)
        except DynastashError as error:
            viewed[name] = error

    with reader.seen.together():
        for candidate, key in with_keys(reader.keys, candidates()):
            if (opened := candidate.settled(reader, key)) is None:
                again.append(candidate.name)
            else:
                keep(candidate.name, opened)
        for name, opened in zip(
            again,
            parallel.each(lambda name: _current(reader, name), again, limit=reader.keys.concurrency),
            strict=True,
        ):
            keep(name, opened)
    return {name: viewed[name] for name in wanted} if again else viewed


class _Candidate:
    """One of many secrets on its way: what its head says, the version to be opened, or why it cannot be had."""

    __slots__ = ("_failure", "_snapshot", "name", "record")

    def __init__(self, name: str, look: Snapshot | DynastashError | None) -> None:
        self.name = name
        self.record: VersionRecord | None = None
        self._snapshot = look if isinstance(look, Snapshot) else None
        self._failure = look if isinstance(look, DynastashError) else None

    def choose(self, reader: Reader, item: Item) -> None:
        """Have the current version opened, which is ``item``, unless that is none."""
        if self._snapshot is None or (number := self._snapshot.head.current) is None or records.is_tombstone(item):
            return
        try:
            self.record = reader.sealed(self.name, number, item)
        except DynastashError as error:
            self._failure = error

    def settled(self, reader: Reader, key: DataKey | KeyProviderError | None) -> Opened | DynastashError | None:
        """What has become of the secret now that its key is there; None: it has to be read again."""
        if self._failure is not None:
            return self._failure
        if isinstance(key, KeyProviderError):
            return key
        if self.record is None or self._snapshot is None or key is None:
            return None
        try:
            record = reader.opened(self.record, key)
            reader.check_seal(self._snapshot, record)
            return Opened(self._snapshot, record, record)
        except DynastashError as error:
            return error


def _first_look(
    reader: Reader, name: str, item: Item | None, floor: tuple[int, int]
) -> Snapshot | DynastashError | None:
    """What one of many heads says: enough to go on, or final, or None: to be read again by its name."""
    try:
        if item is None:
            reader.seen.check(None, name, floor)
            return no_secret(name)
        try:
            head = reader.decode_head(name, item)
            reader.seen.check(head, name, floor)
        except (Inconsistent, EnvelopeError):
            return None
        refuse_destroyed(head)
        return Snapshot(head, item, {})
    except DynastashError as error:
        return error


def _current(reader: Reader, name: str) -> Opened | DynastashError:
    """The current version, or what keeps it from being had; failures of the store itself are raised."""
    try:
        return reader.current(name)
    except StoreError:
        raise
    except DynastashError as error:
        return error
