"""New wrappings of old data keys: the move from one key-encryption key to another, without opening a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from dynastash.crypto import envelope, records
from dynastash.errors import ContextMismatchError, DynastashError, EnvelopeError, UntrustedKeyError
from dynastash.models import Context, WrappedKey
from dynastash.stash.changes import Changes
from dynastash.stash.reader import Reader
from dynastash.stores.base import RecordKey


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What became of one version's wrapped key: the key-encryption keys before and after."""

    name: str
    number: int
    before: str
    after: str


def rewrap(reader: Reader, changes: Changes, name: str) -> Iterator[Rewrapped]:
    """Wrap the data keys of all live versions of ``name`` anew, under the key that new versions get. Opens no value.

    Yields each version when it is done; what was done stays done. None is skipped on the word of its ``key_id``, which
    anybody could have written. A version that somebody else changes meanwhile is read again. Where one is damaged, the
    others are done first, and then its error is raised.
    """

    def begin() -> list[int]:
        snapshot = reader.existing(name)
        reader.trusted(snapshot)
        return [
            number
            for item in reader.store.history(name)
            if (number := records.parse_version_key(str(item["record"]["S"]))) is not None
        ]

    damage: DynastashError | None = None
    for number in reader.consistently(name, begin):
        try:
            done = changes.until_won(name, partial(_rewrap, reader, changes, name, number))
        except (EnvelopeError, ContextMismatchError, UntrustedKeyError) as error:
            damage = damage or error
            continue
        if done is not None:
            yield done
    if damage is not None:
        raise damage


def _rewrap(reader: Reader, changes: Changes, name: str, number: int) -> Rewrapped | None:
    key = RecordKey(name, records.version_key(number))
    item = reader.store.fetch([key]).get(key)
    if item is None or records.is_tombstone(item):
        return None
    record = envelope.check_identity(records.decode_version(item), name, number)
    before = WrappedKey(record.wrapped_key, record.metadata.key_id or "")
    after = reader.keys.rewrap(before, Context(reader.environment, name, number, record.metadata.context))
    with changes.race():
        reader.store.replace_key(item, after, reader.clock.now())
    return Rewrapped(name, number, before.key_id, after.key_id)
