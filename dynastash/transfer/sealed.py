"""Sealed backups: an environment's records as they are, in one file. No plaintext, no key, no call to KMS.

The file is JSON lines in UTF-8: a header, then one line for each item, those of one secret together, then a trailer
that counts them and carries a SHA-256 of every line before it, so that a truncated or damaged file is noticed. It
proves nothing against an attacker: that is what the records' own MACs and seals are for, and ``verify`` after the
restore. Only the key-encryption key that sealed them opens them again.

One secret is in memory at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Final

from dynastash.backoff import Backoff
from dynastash.clock import Clock, SystemClock
from dynastash.crypto import records
from dynastash.crypto.transcript import transcript
from dynastash.errors import ConflictError, EnvelopeError, TransferError
from dynastash.frozen import Frozen
from dynastash.models import Head, Item
from dynastash.stash.batches import batches
from dynastash.stash.verify import violations
from dynastash.stores.base import Change, HeadMark, RecordKey, Store
from dynastash.stores.itemjson import decode_item, encode_item

_KIND: Final = "dynastash sealed export"
_FORMAT: Final = 1
_MAX_LINE: Final = 4 << 20  # an item of 400 KB, each byte of it spelled \\u0000


class Counts(Frozen):
    """What a backup or a restore went through. ``skipped`` are secrets that the store had already, the same."""

    secrets: int
    items: int
    skipped: int = 0


def export_sealed(store: Store, environment: str, file: IO[bytes], *, at: int, clock: Clock | None = None) -> Counts:
    """Write every item of ``store`` to ``file``. ``at`` is the moment in epoch milliseconds, for the header.

    Secrets that change meanwhile are written whole: a secret whose items are not of one moment is read again. Raises
    :class:`TransferError` for a secret that is damaged so that it could not be restored.
    """
    digest = hashlib.sha256()
    secrets = items = 0

    def write(line: str) -> None:
        data = line.encode("utf-8") + b"\n"
        digest.update(data)
        file.write(data)

    write(json.dumps({"kind": _KIND, "format": _FORMAT, "environment": environment, "at": at}))
    for group in _groups(store.scan()):
        whole = group if _fits(group) else _again(store, str(group[0]["name"]["S"]), clock or SystemClock())
        secrets += 1
        for item in whole:
            write(encode_item(item))
            items += 1
    trailer = {"secrets": secrets, "items": items, "sha256": digest.hexdigest()}
    file.write(json.dumps(trailer).encode() + b"\n")
    return Counts(secrets, items)


def check_sealed(file: IO[bytes], environment: str) -> Counts:
    """Read a backup through to its end and check header, trailer and digest; write nothing.

    Raises :class:`TransferError` where it is no backup, damaged, incomplete, or of another environment: records are
    bound to their environment's name and would never open under another.
    """
    return deque((counts for counts, _ in _read(file, environment)), maxlen=1).pop()


def import_sealed(store: Store, environment: str, file: IO[bytes]) -> Iterator[Counts]:
    """Restore a backup, secret by secret; yields the counts so far. :func:`check_sealed` has been through it before.

    A secret that the store has already stays if it is the same, and is refused if it differs: no version is lowered and
    none is overwritten. What was interrupted goes on with the same call.
    """
    skipped = 0
    for counts, group in _read(file, environment):
        if group:
            skipped += not _restore(store, group)
            yield Counts(counts.secrets, counts.items, skipped)


def _restore(store: Store, items: Sequence[Item]) -> bool:
    """Write one secret, and return False where the store has it already."""
    head_item = items[-1]
    head = records.decode_head(head_item)
    there = _stored(store, head.name)
    missing = [item for item in items[:-1] if str(item["record"]["S"]) not in there]
    if records.HEAD in there:
        _refuse_other(head, head_item, there[records.HEAD], items, there)
        if not missing:
            return False
    elif there:
        raise ConflictError(f"the store has versions of {head.name} and no head", hint="restore into an empty store")
    # The head goes in with the newest versions; each further batch only adds what that head speaks of already.
    missing.reverse()
    mark = HeadMark(head.last, head.revision)
    expected = mark if records.HEAD in there else None
    for batch in batches(missing, store.transaction_size - 1):
        store.commit(Change(head=head_item, expected=expected, create=batch))
        expected = mark
    return True


def _refuse_other(
    head: Head, head_item: Item, stored_head: Item, items: Sequence[Item], there: dict[str, Item]
) -> None:
    if not _same(stored_head, head_item):
        found = records.decode_head(stored_head)
        raise ConflictError(
            f"{head.name} is in the store already, at version {found.last}, revision {found.revision}; the backup has "
            f"version {head.last}, revision {head.revision}",
            hint="a restore never replaces a secret: use an empty store",
        )
    for item in items[:-1]:
        stored = there.get(str(item["record"]["S"]))
        if stored is not None and not _same(stored, item):
            raise ConflictError(
                f"{item['record']['S']} of {head.name} is in the store already, and is another",
                hint="a restore never replaces a version: use an empty store",
            )


def _same(one: Item, other: Item) -> bool:
    return transcript(b"", "", one) == transcript(b"", "", other)


def _stored(store: Store, name: str) -> dict[str, Item]:
    keys = [RecordKey(name, str(item["record"]["S"])) for item in store.history(name)]
    found = store.fetch([*keys, RecordKey(name, records.HEAD)])
    return {key.record: item for key, item in found.items()}


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    group: list[Item] = []
    for item in items:
        if group and group[0]["name"] != item["name"]:
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _fits(group: Sequence[Item]) -> bool:
    """Whether the items are a secret of one moment: well-formed, and each version as the head says.

    Versions never change, rewraps aside: what fits a head is what was there when that was written.
    """
    try:
        head = _check_group(group)
    except TransferError:
        return False
    dead = {_number(item) for item in group[:-1] if records.is_tombstone(item)}
    live = {_number(item) for item in group[:-1]} - dead
    return next(violations(head, live, dead), None) is None


def _again(store: Store, name: str, clock: Clock) -> list[Item]:
    """The items of ``name``, read between two looks at its head."""
    backoff = Backoff(clock)
    key = RecordKey(name, records.HEAD)
    while True:
        before = store.fetch([key]).get(key, {}).get("revision")
        found = _stored(store, name)
        whole = [found[record] for record in sorted(found)]
        if _fits(whole):
            return whole
        if whole and before == whole[-1].get("revision") == store.fetch([key]).get(key, {}).get("revision"):
            break
        if not backoff.pause():
            raise TransferError(f"{name} kept changing while it was read", hint="export again at a quieter time")
    try:
        _check_group(whole)
    except TransferError as error:
        raise TransferError(
            f"the records of {name} could not be restored: {error}",
            hint="run `dynastash verify` and mend what it finds",
        ) from error
    return whole  # left over from an interrupted erasure, or damaged within what a restore brings back as it is


def _number(item: Item) -> int:
    return int(item["version"]["N"])


def _read(file: IO[bytes], environment: str) -> Iterator[tuple[Counts, list[Item]]]:
    """The secrets of a backup with the counts so far; at the end an empty one, once the trailer was checked."""
    digest = hashlib.sha256()
    first = _line(file, digest)
    header = _object(first) if first is not None else {}
    if header.get("kind") != _KIND:
        raise TransferError("the file is not a sealed export of dynastash", hint="choose another file")
    if header.get("format") != _FORMAT:
        raise TransferError("the file is of a format that this release does not know", hint="upgrade dynastash")
    if header.get("environment") != environment:
        raise TransferError(
            f"the file is of environment {str(header.get('environment'))[:40]!r}, not of {environment}",
            hint="records open only in an environment of the same name: use -e",
        )
    group: list[Item] = []
    secrets = items = 0
    while True:
        before = digest.copy()
        line = _line(file, digest)
        if line is None:
            raise TransferError("the file ends too early", hint="take another copy of the backup")
        item = _item(line)
        if "name" not in item:
            break
        _check_order(item, group)
        group.append(item)
        items += 1
        if item["record"] == {"S": records.HEAD}:
            _check_group(group)
            secrets += 1
            yield Counts(secrets, items), group
            group = []
    trailer = {"secrets": secrets, "items": items, "sha256": before.hexdigest()}
    if group or _object(line) != trailer or file.read(1):
        raise TransferError("the file is damaged: its trailer does not fit", hint="take another copy of the backup")
    yield Counts(secrets, items), []


def _item(line: bytes) -> Item:
    try:
        return decode_item(line.decode("utf-8"))
    except (EnvelopeError, UnicodeDecodeError):
        raise TransferError("the file is damaged: a line of it cannot be read") from None


def _check_order(item: Item, group: Sequence[Item]) -> None:
    """That ``item`` may come behind the items of ``group``, in order, all of one secret."""
    try:
        name, record = records.key_of(item)
    except EnvelopeError as error:
        raise TransferError(f"the file holds something that is not a record: {error}") from None
    if record != records.HEAD and records.parse_version_key(record) is None:
        raise TransferError("the file holds a record that is neither a head nor a version")
    if group:
        before, last = records.key_of(group[-1])
        if before != name or last >= record:
            raise TransferError(f"the file's records of {before} are not complete and in order")


def _check_group(group: Sequence[Item]) -> Head:
    """The head of a secret that can be restored: all its records are well-formed, and its newest version is there."""
    name = str(group[0]["name"]["S"]) if group else "a secret"
    try:
        for item in group[:-1]:
            (records.decode_metadata if records.is_tombstone(item) else records.decode_version)(item)
        head = records.decode_head(group[-1])
        for item in group:
            transcript(b"", "", item)  # of types that every store takes, in what this release does not know too
    except (EnvelopeError, IndexError) as error:
        raise TransferError(f"a record of {name} is malformed: {error}") from None
    if len(group) < 2 or group[-2]["record"] != {"S": records.version_key(head.last)}:
        raise TransferError(f"the newest version of {name} is missing")
    return head


def _line(file: IO[bytes], digest: Any) -> bytes | None:
    data = file.readline(_MAX_LINE)
    if not data:
        return None
    if not data.endswith(b"\n"):
        raise TransferError("the file is damaged: a line of it is cut off, or too long")
    digest.update(data)
    return data


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8"))
        if not isinstance(found, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise TransferError("the file is damaged: a line of it cannot be read") from None
    return found
