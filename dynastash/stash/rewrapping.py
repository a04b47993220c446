"""New wrappings of old data keys: the move from one key-encryption key to another, without opening a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from dynastash import parallel
from dynastash.crypto import records
from dynastash.errors import (
    ConfigError,
    ContextMismatchError,
    DynastashError,
    EnvelopeError,
    KeyAccessDeniedError,
    KeyUnavailableError,
    StoreError,
    UntrustedKeyError,
)
from dynastash.frozen import Frozen
from dynastash.stash.changes import Changes
from dynastash.stash.reader import Reader
from dynastash.stash.unwrapping import key_request
from dynastash.stores.base import RecordKey


class Rewrapped(Frozen):
    """What became of one version's wrapped key: the key-encryption keys before and after."""

    name: str
    number: int
    before: str
    after: str


class RewrappedSecret(Frozen):
    """What became of one secret: the versions that were done, and why not all of them were."""

    name: str
    versions: Sequence[Rewrapped]
    error: DynastashError | None = None


def rewrap(reader: Reader, changes: Changes, name: str, *, at_once: Callable[[], int]) -> Iterator[Rewrapped]:
    """Wrap the data keys of all live versions of ``name`` anew, under the key that new versions get. Opens no value.

    Yields each version when it is done, in order, ``at_once`` of them under way; what was done stays done. None is
    skipped on the word of its ``key_id``, which anybody could have written. A version that somebody else changes
    meanwhile is read again. Where one is damaged, the others are done first, and then its error is raised.
    """

    def begin() -> list[int]:
        snapshot = reader.existing(name)
        # Whoever administers may re-encrypt and not open. Nothing below goes by what the head says.
        with suppress(KeyAccessDeniedError):
            reader.trusted(snapshot)
        return [
            number
            for item in reader.store.history(name)
            if (number := records.parse_version_key(str(item["record"]["S"]))) is not None
        ]

    def one(number: int) -> Rewrapped | DynastashError | None:
        try:
            return changes.until_won(name, partial(_rewrap, reader, changes, name, number))
        except (EnvelopeError, ContextMismatchError, UntrustedKeyError) as error:
            return error

    damage: DynastashError | None = None
    for done in parallel.streamed(one, reader.consistently(name, begin), limit=at_once):
        if isinstance(done, DynastashError):
            damage = damage or done
        elif done is not None:
            yield done
    if damage is not None:
        raise damage


def rewrap_many(reader: Reader, changes: Changes, names: Iterable[str]) -> Iterator[RewrappedSecret]:
    """:func:`rewrap` of many secrets, several at once, in order.

    A secret that cannot be rewrapped is there with its error. Failures of the store, and a key provider that refuses as
    a whole, are raised: the next secret would fare no better.
    """

    def one(name: str) -> RewrappedSecret:
        done: list[Rewrapped] = []
        try:
            done += rewrap(reader, changes, name, at_once=lambda: 1)
        except (StoreError, KeyUnavailableError, KeyAccessDeniedError, ConfigError):
            raise
        except DynastashError as error:
            return RewrappedSecret(name, done, error)
        return RewrappedSecret(name, done)

    return parallel.streamed(one, names, limit=lambda: reader.keys.concurrency)


def _rewrap(reader: Reader, changes: Changes, name: str, number: int) -> Rewrapped | None:
    key = RecordKey(name, records.version_key(number))
    item = reader.store.fetch([key]).get(key)
    if item is None or records.is_tombstone(item):
        return None
    record = reader.sealed(name, number, item)
    before, context = key_request(reader.environment, record)
    after = reader.keys.rewrap(before, context)
    with changes.race():
        reader.store.replace_key(item, after, reader.clock.now())
    return Rewrapped(name, number, before.key_id, after.key_id)
