"""Sealed backups: an environment's records as they are, in one file. No plaintext, no key, no call to KMS.

The file is JSON lines in UTF-8: a header, then one line for each item, those of one secret together, then a trailer
that counts them and carries a SHA-256 of every line before it, so that a truncated or damaged file is noticed. It
proves nothing against an attacker: that is what the records' own MACs and seals are for, and ``verify`` after the
restore. Only the key-encryption key that sealed them opens them again.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from dynastash.crypto import records
from dynastash.crypto.transcript import transcript
from dynastash.errors import ConflictError, DynastashError, TransferError
from dynastash.models import Head, Item
from dynastash.stores.base import Change, HeadMark, RecordKey, Store
from dynastash.stores.itemjson import decode_item, encode_item

_KIND: Final = "dynastash sealed export"
_FORMAT: Final = 1
_MAX_LINE: Final = 1 << 20  # an item of 400 KB in base64, and room


@dataclass(frozen=True, slots=True)
class Counts:
    """What a backup or a restore went through. ``skipped`` are secrets that the store had already, the same."""

    secrets: int
    items: int
    skipped: int = 0


def export_sealed(store: Store, environment: str, file: IO[bytes], *, at: int) -> Counts:
    """Write every item of ``store`` to ``file``. ``at`` is the moment in epoch milliseconds, for the header.

    Secrets that change meanwhile are written whole: a secret whose items are not of one moment is read again.
    """
    digest = hashlib.sha256()
    secrets = items = 0

    def write(line: str) -> None:
        data = line.encode("utf-8") + b"\n"
        digest.update(data)
        file.write(data)

    write(json.dumps({"kind": _KIND, "format": _FORMAT, "environment": environment, "at": at}))
    for group in _groups(store.scan()):
        whole = group if _is_whole(group) else _again(store, group)
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
    expected = HeadMark(head.last, head.revision) if records.HEAD in there else None
    size = store.transaction_size - 1
    for start in range(0, max(len(missing), 1), size):
        store.commit(Change(head=head_item, expected=expected, create=missing[start : start + size]))
        expected = HeadMark(head.last, head.revision)
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


def _is_whole(group: Sequence[Item]) -> bool:
    """Whether the items end with a head and its newest version."""
    try:
        head = records.decode_head(group[-1])
    except DynastashError:
        return False
    return len(group) > 1 and group[-2].get("record") == {"S": records.version_key(head.last)}


def _again(store: Store, group: Sequence[Item]) -> list[Item]:
    name = str(group[0]["name"]["S"])
    found = _stored(store, name)
    whole = [found[record] for record in sorted(found)]
    if not _is_whole(whole):
        raise TransferError(
            f"the records of {name} do not fit together", hint="run `dynastash verify` and mend what it finds"
        )
    return whole


def _read(file: IO[bytes], environment: str) -> Iterator[tuple[Counts, list[Item]]]:
    """The secrets of a backup with the counts so far; at the end an empty one, once the trailer was checked."""
    digest = hashlib.sha256()
    header = _line(file, digest)
    if header is None or header.get("kind") != _KIND:
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
        before = digest.hexdigest()
        line = _line(file, digest)
        if line is None:
            raise TransferError("the file ends too early", hint="take another copy of the backup")
        if "sha256" in line and "name" not in line:
            break
        item = decode_item(json.dumps(line))
        if group and group[-1].get("record") == {"S": records.HEAD}:
            secrets += 1
            yield Counts(secrets, items), group
            group = []
        _check_item(item, group)
        group.append(item)
        items += 1
    if group:
        secrets += 1
    if line != {"secrets": secrets, "items": items, "sha256": before} or file.read(1):
        raise TransferError("the file is damaged: its trailer does not fit", hint="take another copy of the backup")
    if group:
        yield Counts(secrets, items), group
    yield Counts(secrets, items), []


def _check_item(item: Item, group: Sequence[Item]) -> None:
    try:
        name, record = records.key_of(item)
    except DynastashError as error:
        raise TransferError(f"the file holds something that is not a record: {error}") from error
    if record != records.HEAD and records.parse_version_key(record) is None:
        raise TransferError(f"the file holds a record of {name} that is neither a head nor a version")
    if group and (str(group[-1]["name"]["S"]) != name or str(group[-1]["record"]["S"]) >= record):
        raise TransferError(f"the file's records of {name} are not in order")


def _line(file: IO[bytes], digest: Any) -> dict[str, Any] | None:
    data = file.readline(_MAX_LINE)
    if not data:
        return None
    try:
        line = json.loads(data.decode("utf-8"))
        if not isinstance(line, dict) or not data.endswith(b"\n"):
            raise ValueError
    except (ValueError, RecursionError):
        raise TransferError("the file is damaged: a line of it cannot be read") from None
    digest.update(data)
    return line
