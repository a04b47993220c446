"""Items and changes as a store sees them, for tests of stores."""

from __future__ import annotations

import secrets

from dynastash.crypto.transcript import transcript
from dynastash.models import AttributeValue, Item, namespace_of
from dynastash.stores.base import Change, HeadMark, RecordKey


def head_item(name: str, *, last: int = 1, revision: int = 1, **more: AttributeValue) -> Item:
    """A head as far as a store looks at it."""
    return {
        "name": {"S": name},
        "record": {"S": "~head"},
        "namespace": {"S": namespace_of(name)},
        "last": {"N": str(last)},
        "revision": {"N": str(revision)},
        **more,
    }


def version_item(name: str, number: int, **more: AttributeValue) -> Item:
    """A version record as far as a store looks at it, told from others by its random ``id``."""
    return {
        "name": {"S": name},
        "record": {"S": f"v#{number:010d}"},
        "version": {"N": str(number)},
        "id": {"B": secrets.token_bytes(16)},
        "wrapped_key": {"B": b"wrapped"},
        "key_id": {"S": "key"},
        "mac": {"B": b"mac"},
        "ciphertext": {"B": b"sealed"},
        **more,
    }


def same(one: Item, other: Item) -> bool:
    """Whether two items are equal for DynamoDB: the order of sets does not matter, everything else does."""
    return transcript(b"", "", one) == transcript(b"", "", other)


def first(name: str, **more: AttributeValue) -> Change:
    """The change that creates a secret."""
    return Change(head=head_item(name), expected=None, create=[version_item(name, 1, **more)])


def following(name: str, last: int, revision: int) -> Change:
    """The change that adds version ``last + 1`` to a secret that is at ``last`` and ``revision``."""
    return Change(
        head=head_item(name, last=last + 1, revision=revision + 1),
        expected=HeadMark(last, revision),
        create=[version_item(name, last + 1)],
    )


def head_key(name: str) -> RecordKey:
    """Where the head of ``name`` stands."""
    return RecordKey(name, "~head")


def version_key(name: str, number: int) -> RecordKey:
    """Where version ``number`` of ``name`` stands."""
    return RecordKey(name, f"v#{number:010d}")
