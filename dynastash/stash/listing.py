"""Listing: what heads and versions say in the clear, without opening them. Nothing here is authenticated."""

from __future__ import annotations

from collections.abc import Sequence

from dynastash.crypto import records
from dynastash.crypto.records import VersionMetadata
from dynastash.errors import (
    DynastashError,
    FormatError,
    IntegrityError,
    PartialError,
    SecretDestroyedError,
    UnsupportedFormatError,
)
from dynastash.frozen import replace
from dynastash.models import Head, Item, State
from dynastash.stash import together
from dynastash.stash.reader import Inconsistent, Reader, no_secret, outside_prefix
from dynastash.stores.base import RecordKey


def heads(reader: Reader, prefix: str) -> list[Head]:
    """The heads of the secrets whose names start with ``prefix``, as the store lists them."""
    return [_head(item, prefix) for item in reader.store.heads(prefix)]


def verified(reader: Reader, listed: Sequence[Head]) -> list[Head]:
    """Each of ``listed`` read again and its seal checked; :class:`PartialError` names those that fail.

    A destroyed secret has no key left to check its head with: it comes as it was listed.
    """
    names = (head.name for head in listed if head.state is not State.DESTROYED)
    found = together.named(reader, names, lambda opened: opened.head)
    checked: list[Head] = []
    failures: dict[str, DynastashError] = {}
    for head in listed:
        opened = found.get(head.name)
        if opened is None:
            checked.append(head)
        elif isinstance(opened, SecretDestroyedError):  # since it was listed
            gone = replace(head, state=State.DESTROYED, current=None, pending=None, previous=None, seal=None)
            checked.append(gone)
        elif isinstance(opened, DynastashError):
            failures[head.name] = opened
        else:
            checked.append(opened)
    if failures:
        some = ", ".join(list(failures)[:3]) + (" …" if len(failures) > 3 else "")
        raise PartialError(f"{len(failures)} of {len(listed)} secrets fail verification: {some}", failures)
    return checked


def history(reader: Reader, name: str) -> tuple[Head, list[VersionMetadata]]:
    """The head of ``name`` and its versions' public parts, oldest first, of one moment."""

    def attempt() -> tuple[Head, list[VersionMetadata]]:
        floor = reader.seen.floor(name)
        key = RecordKey(name, records.HEAD)
        found = reader.store.fetch([key])
        versions = [records.decode_metadata(item) for item in reader.store.history(name)]
        if key not in found:
            reader.seen.check(None, name, floor)
            if versions:
                raise Inconsistent
            raise no_secret(name)
        head = reader.decode_head(name, found[key])
        reader.seen.check(head, name, floor)
        if any(version.name != name for version in versions):
            raise IntegrityError(f"the store answered with another secret's records than those of {name}")
        # Versions are read after the head: one more may have come since, and none that the head knows may be missing.
        known = [version for version in versions if version.number <= head.last]
        if not known or known[-1].number != head.last:
            raise Inconsistent
        return head, known

    return reader.consistently(name, attempt)


def _head(item: Item, prefix: str) -> Head:
    name, _ = records.key_of(item)
    if not name.startswith(prefix):
        raise outside_prefix()
    try:
        return records.decode_head(item)
    except UnsupportedFormatError as error:
        raise UnsupportedFormatError(f"the head of {name}: {error}", hint=error.hint) from None
    except FormatError as error:
        raise FormatError(
            f"the head of {name} is malformed: {error}",
            hint="restore it from a backup: `dynastash verify` shows everything that is wrong, and a prefix of other "
            "names lists those",
        ) from None
