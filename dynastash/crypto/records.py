"""Between the items that a store holds and the records that the rules think in (docs/format-v1.md, section 4).

Decoding checks types, lengths and ranges and nothing else: it runs before any key is at hand, on whatever a hostile
table holds, and raises only :class:`FormatError` and :class:`UnsupportedFormatError`. Whether a record is authentic
is for :mod:`dynastash.crypto.envelope` to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from dynastash.crypto import attributes
from dynastash.crypto.aead import NONCE, TAG
from dynastash.crypto.kdf import SUITE
from dynastash.crypto.padding import LARGEST, SMALLEST
from dynastash.crypto.transcript import integer
from dynastash.errors import FormatError, InvalidNameError, UnsupportedFormatError
from dynastash.frozen import Frozen, field
from dynastash.models import (
    AttributeValue,
    Head,
    Item,
    State,
    check_name,
    namespace_of,
)

FORMAT: Final = 1
HEAD: Final = "~head"
"""Sort key of a head. ``~`` sorts after ``v``, so one descending Query gives the head and the newest version."""

MAX_REVISION: Final = 10**38 - 1  # what DynamoDB counts exactly
MAX_WRAPPED: Final = 6144  # what KMS Decrypt takes
MAX_ID_BYTES: Final = 16
SALT: Final = 32
MAC: Final = 64

_FORMAT: Final = attributes.typed("N", integer)
_SUITE: Final = attributes.blob(len(SUITE))
_ID: Final = attributes.blob(MAX_ID_BYTES)
_SALT: Final = attributes.blob(SALT)
_NONCE: Final = attributes.blob(NONCE)
_CIPHERTEXT: Final = attributes.blob(SMALLEST + TAG, LARGEST + TAG)
_MAC: Final = attributes.blob(MAC)
_WRAPPED: Final = attributes.blob(1, MAX_WRAPPED)
_REVISION: Final = attributes.whole(1, MAX_REVISION)
_VERSION_KEY = re.compile(r"v#([0-9]{10})")
_T = TypeVar("_T")


def version_key(version: int) -> str:
    """Sort key of a version: ``v#`` and ten digits."""
    return f"v#{version:010d}"


class VersionRecord(Frozen):
    """A live version, decoded and still sealed. ``item`` is what the MAC covers, unknown attributes included."""

    name: str
    number: int
    id: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    metadata: VersionMetadata
    item: Item = field(repr=False)


class VersionMetadata(Frozen, kw_only=True):
    """What a version's record says in the clear; of a tombstone, what is left of it."""

    name: str
    number: int
    created_ms: int
    created_by: str
    key_id: str | None = None
    comment: str | None = None
    content_type: str | None = None
    expires_at: int | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    rewrapped_ms: int | None = None
    destroyed_ms: int | None = None
    destroyed_by: str | None = None


VERSION_ATTRIBUTES: Final = frozenset(
    (
        *("name", "record", "format", "suite", "version", "id", "salt", "nonce", "ciphertext", "mac"),
        *("wrapped_key", "key_id", "rewrapped_at", "created_at", "created_by"),
        *("comment", "content_type", "expires_at", "context"),
    )
)
"""What a live version's record may carry as far as this release knows."""

_KEPT: Final = ("name", "record", "format", "version", "id", "created_at", "created_by")
_TOMBSTONE: Final = frozenset((*_KEPT, "destroyed_at", "destroyed_by", "ttl"))


def key_of(item: Item) -> tuple[str, str]:
    """The item's own ``(name, record)``."""
    reader = attributes.Reader(item)
    name = reader.required("name", attributes.NAME)
    try:
        check_name(name)
    except InvalidNameError:
        raise FormatError("the record's name is not a secret's name") from None
    return name, reader.required("record", attributes.SORT_KEY)


def is_tombstone(item: Item) -> bool:
    """Whether the item says that its version was destroyed."""
    return "destroyed_at" in item and "ciphertext" not in item


def _identity(reader: attributes.Reader, item: Item) -> tuple[str, int]:
    """Format, name and number, in agreement with the sort key."""
    _check_format(reader)
    name, record = key_of(item)
    number = reader.required("version", attributes.NUMBER)
    if record != version_key(number):
        raise FormatError("the record's sort key and version disagree")
    return name, number


def _check_format(reader: attributes.Reader) -> None:
    if (found := reader.required("format", _FORMAT)) != FORMAT:
        raise UnsupportedFormatError(
            f"the record is of format {found}, which this release does not know", hint="upgrade dynastash"
        )


def decode_version(item: Item) -> VersionRecord:
    """A live version record."""
    reader = attributes.Reader(item)
    name, number = _identity(reader, item)
    if reader.required("suite", _SUITE) != SUITE:
        raise UnsupportedFormatError(
            "the record is of a suite that this release does not know", hint="upgrade dynastash"
        )
    return VersionRecord(
        name=name,
        number=number,
        id=reader.required("id", _ID),
        salt=reader.required("salt", _SALT),
        nonce=reader.required("nonce", _NONCE),
        ciphertext=reader.required("ciphertext", _CIPHERTEXT),
        mac=reader.required("mac", _MAC),
        wrapped_key=reader.required("wrapped_key", _WRAPPED),
        metadata=VersionMetadata(
            key_id=reader.required("key_id", attributes.KEY_ID), **_described(reader, name, number)
        ),
        item=item,
    )


def decode_metadata(item: Item) -> VersionMetadata:
    """A version's public part: of a live record without its binary attributes, or of a tombstone."""
    reader = attributes.Reader(item)
    name, number = _identity(reader, item)
    if is_tombstone(item):
        if not _TOMBSTONE.issuperset(item):
            raise FormatError("a tombstone carries more than a tombstone does")
        reader.optional("id", _ID)
        reader.optional("ttl", attributes.STAMP_S)
        return VersionMetadata(
            name=name,
            number=number,
            created_ms=reader.required("created_at", attributes.STAMP_MS),
            created_by=reader.required("created_by", attributes.ANY_TEXT),
            destroyed_ms=reader.required("destroyed_at", attributes.STAMP_MS),
            destroyed_by=reader.required("destroyed_by", attributes.ANY_TEXT),
        )
    return VersionMetadata(key_id=reader.optional("key_id", attributes.KEY_ID), **_described(reader, name, number))


def _described(reader: attributes.Reader, name: str, number: int) -> dict[str, Any]:
    # DynamoDB would erase a record with a ttl and copy one with a namespace, ciphertext and all, into the index.
    reader.refuse("a live version", "ttl", "namespace", "destroyed_at", "destroyed_by")
    return {
        "name": name,
        "number": number,
        "created_ms": reader.required("created_at", attributes.STAMP_MS),
        "created_by": reader.required("created_by", attributes.ANY_TEXT),
        "comment": reader.optional("comment", attributes.COMMENT),
        "content_type": reader.optional("content_type", attributes.ANY_TEXT),
        "expires_at": reader.optional("expires_at", attributes.STAMP_S),
        "context": reader.optional("context", attributes.CONTEXT) or {},
        "rewrapped_ms": reader.optional("rewrapped_at", attributes.STAMP_MS),
    }


def decode_head(item: Item) -> Head:
    """A head."""
    reader = attributes.Reader(item)
    _check_format(reader)
    reader.refuse("the head", "ttl")  # DynamoDB would erase it
    name, record = key_of(item)
    if record != HEAD:
        raise FormatError("the head's sort key is not a head's")
    if reader.required("namespace", attributes.NAME) != namespace_of(name):
        raise FormatError("the head stands in another namespace than its name")
    last = reader.required("last", attributes.NUMBER)
    try:
        state = State(reader.required("state", attributes.STATE))
    except ValueError:
        raise FormatError("state: the head is in an unknown state") from None
    if state is State.DESTROYED:
        reader.refuse("a destroyed secret's head", "seal", "current", "pending", "previous")
    stage = attributes.whole(1, last)
    seal = reader.optional("seal", _MAC)
    head = Head(
        name=name,
        last=last,
        revision=reader.required("revision", _REVISION),
        pruned_below=reader.required("pruned_below", attributes.NUMBER),
        state=state,
        created_ms=reader.required("created_at", attributes.STAMP_MS),
        updated_ms=reader.required("updated_at", attributes.STAMP_MS),
        updated_by=reader.required("updated_by", attributes.ANY_TEXT),
        current=reader.optional("current", stage),
        pending=reader.optional("pending", stage),
        previous=reader.optional("previous", stage),
        destroyed=reader.optional("destroyed", attributes.NUMBERS) or frozenset(),
        disabled=reader.optional("disabled", attributes.NUMBERS) or frozenset(),
        deleted_at=reader.optional("deleted_at", attributes.STAMP_S),
        purge_at=reader.optional("purge_at", attributes.STAMP_S),
        comment=reader.optional("comment", attributes.COMMENT),
        expires_at=reader.optional("expires_at", attributes.STAMP_S),
        tags=reader.optional("tags", attributes.PAIRS) or {},
        rotation=reader.optional("rotation", attributes.ROTATION) or {},
        extra={key: value for key, value in item.items() if key not in _HEAD_ATTRIBUTES},
        seal=seal,
    )
    if state is not State.DESTROYED and (seal is None or head.sealing_version is None):
        raise FormatError("the head has no seal, or no version to check it with")
    return head


def text(content: str) -> AttributeValue:
    """An S attribute."""
    return {"S": content}


def number(content: int) -> AttributeValue:
    """An N attribute."""
    return {"N": str(content)}


def blob(content: bytes) -> AttributeValue:
    """A B attribute."""
    return {"B": content}


def pairs(content: Mapping[str, str]) -> AttributeValue:
    """An M attribute of S."""
    return {"M": {key: text(value) for key, value in content.items()}}


def _number_set(content: Collection[int]) -> AttributeValue:
    return {"NS": [str(member) for member in sorted(content)]}


# Attribute name → the head's field and how to write it. One table for both directions' names.
_HEAD_FIELDS: Final[tuple[tuple[str, str, Callable[[Any], AttributeValue]], ...]] = (
    ("name", "name", text),
    ("last", "last", number),
    ("revision", "revision", number),
    ("pruned_below", "pruned_below", number),
    ("state", "state", lambda content: text(content.value)),
    ("created_at", "created_ms", number),
    ("updated_at", "updated_ms", number),
    ("updated_by", "updated_by", text),
    ("current", "current", number),
    ("pending", "pending", number),
    ("previous", "previous", number),
    ("destroyed", "destroyed", _number_set),
    ("disabled", "disabled", _number_set),
    ("deleted_at", "deleted_at", number),
    ("purge_at", "purge_at", number),
    ("comment", "comment", text),
    ("expires_at", "expires_at", number),
    ("tags", "tags", pairs),
    ("rotation", "rotation", lambda content: {"M": dict(content)}),
    ("seal", "seal", blob),
)
_HEAD_ATTRIBUTES: Final = frozenset(name for name, _, _ in _HEAD_FIELDS) | {"record", "format", "namespace"}


def encode_head(head: Head) -> dict[str, AttributeValue]:
    """The item of a head; absent stages, empty sets and empty maps are left out."""
    item: dict[str, AttributeValue] = dict(head.extra)
    item |= {"record": text(HEAD), "format": number(FORMAT), "namespace": text(namespace_of(head.name))}
    for attribute, name, write in _HEAD_FIELDS:
        value = getattr(head, name)
        if value is not None and value != {} and value != frozenset():
            item[attribute] = write(value)
    return item


def encode_version(metadata: VersionMetadata, **binaries: bytes) -> dict[str, AttributeValue]:
    """The item of a live version, without its MAC: public attributes from ``metadata``, the rest as given."""
    item: dict[str, AttributeValue] = {
        "name": text(metadata.name),
        "record": text(version_key(metadata.number)),
        "format": number(FORMAT),
        "suite": blob(SUITE),
        "version": number(metadata.number),
        "created_at": number(metadata.created_ms),
        "created_by": text(metadata.created_by),
    }
    if metadata.key_id is not None:
        item["key_id"] = text(metadata.key_id)
    if metadata.comment is not None:
        item["comment"] = text(metadata.comment)
    if metadata.content_type is not None:
        item["content_type"] = text(metadata.content_type)
    if metadata.expires_at is not None:
        item["expires_at"] = number(metadata.expires_at)
    if metadata.context:
        item["context"] = pairs(metadata.context)
    return item | {name: blob(content) for name, content in binaries.items()}


def encode_tombstone(item: Item, *, destroyed_ms: int, destroyed_by: str, ttl: int | None) -> dict[str, AttributeValue]:
    """What stays of the version record ``item`` when its value is destroyed. ``ttl`` in epoch seconds.

    ``item`` need not be authentic, but what is kept of it must be well-formed: :class:`FormatError` otherwise.
    """
    tombstone: dict[str, AttributeValue] = {
        **{name: item[name] for name in _KEPT if name in item},
        "destroyed_at": number(destroyed_ms),
        "destroyed_by": text(destroyed_by),
    }
    if ttl is not None:
        tombstone["ttl"] = number(ttl)
    decode_metadata(tombstone)
    if "id" not in tombstone:  # of what is kept, the one thing that decoding public attributes does without
        raise FormatError("the record has no id")
    return tombstone


def parse_version_key(record: str) -> int | None:
    """The number in a version's sort key, or None for any other sort key (there is no version 0)."""
    match = _VERSION_KEY.fullmatch(record)
    return (int(match[1]) or None) if match else None
