"""Locating references: which versions they lead to, from heads and versions as they stand, without a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynastash.crypto import records
from dynastash.errors import DynastashError, IntegrityError
from dynastash.models import Head, Item, Version
from dynastash.references import Reference
from dynastash.stash import views
from dynastash.stash.reader import Inconsistent, Reader, known, no_secret, refuse_destroyed, required
from dynastash.stash.resolving import advised
from dynastash.stores.base import RecordKey


def locate(reader: Reader, references: Iterable[Reference]) -> dict[Reference, Version | DynastashError]:
    """The version that each reference leads to, or why its value could not be had; in order, and each once.

    Two batched reads for all. Nothing is opened or authenticated, and whether a field exists is not known.
    """
    wanted = list(dict.fromkeys(references))
    names = dict.fromkeys(reference.name for reference in wanted)
    floors = {name: reader.seen.floor(name) for name in names}
    items = reader.store.fetch([RecordKey(name, records.HEAD) for name in names])
    chosen: dict[Reference, tuple[Head, int] | DynastashError] = {}
    for reference in wanted:
        try:
            chosen[reference] = _choose(reader, reference, items, floors[reference.name])
        except DynastashError as error:
            chosen[reference] = error
    keys = {_version(choice[0], choice[1]) for choice in chosen.values() if isinstance(choice, tuple)}
    versions = reader.store.fetch(list(keys)) if keys else {}
    return {reference: _located(reader, reference, chosen[reference], versions) for reference in wanted}


def _choose(
    reader: Reader, reference: Reference, items: Mapping[RecordKey, Item], floor: tuple[int, int]
) -> tuple[Head, int]:
    item = items.get(RecordKey(reference.name, records.HEAD))
    if item is None:
        reader.seen.check(None, reference.name, floor)
        raise no_secret(reference.name)
    try:
        head = reader.decode_head(reference.name, item)
    except Inconsistent:
        raise IntegrityError(f"the store answered with another record than the head of {reference.name}") from None
    reader.seen.check(head, reference.name, floor)
    refuse_destroyed(head)
    number = reference.version
    return head, required(head, reference.stage) if number is None else known(head, number)


def _located(
    reader: Reader,
    reference: Reference,
    choice: tuple[Head, int] | DynastashError,
    versions: Mapping[RecordKey, Item],
) -> Version | DynastashError:
    try:
        if isinstance(choice, DynastashError):
            raise choice
        head, number = choice
        item = versions.get(_version(head, number))
        if item is None or records.is_tombstone(item) or records.key_of(item) != _version(head, number):
            raise IntegrityError(
                f"version {number} of {head.name} is missing",
                hint="if it was not destroyed at this moment, compare the table with a backup: `dynastash verify`",
            )
        metadata = records.decode_metadata(item)
        reader.permit(head, metadata)
        return views.version(metadata, head)
    except DynastashError as error:
        return advised(reference, error)


def _version(head: Head, number: int) -> RecordKey:
    return RecordKey(head.name, records.version_key(number))
