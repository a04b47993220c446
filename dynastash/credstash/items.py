"""Items of a credstash table: everything that any client ever wrote is read, what every client reads is written.

Written are the MAC as text in lower case, a digest that is always there, base64 in one line, and the marks of our own
in a map that no other client looks at (:mod:`dynastash.credstash.binding`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from dynastash.credstash import binding, digests, format
from dynastash.credstash.binding import MARKS, Marks
from dynastash.credstash.format import ItemKeys
from dynastash.credstash.versions import number_of
from dynastash.crypto.transcript import is_map
from dynastash.errors import EnvelopeError, FormatError, IntegrityError, InvalidNameError, ValueTooLargeError
from dynastash.frozen import Frozen, field
from dynastash.models import AttributeValue, Item, Plaintext, WrappedKey, encode, from_seconds

MAX_ITEM: Final = 400 * 1024
"""Bytes of an item, as DynamoDB counts them: the names and values of its attributes."""

MAX_NAME: Final = 2048
MAX_VERSION: Final = 1024
"""Bytes of a name and of a version, which are the keys of a table."""

_REQUIRED: Final = ("key", "contents", "hmac")
_OVERHEAD: Final = 12 * 1024  # a wrapped key as long as KMS makes them, in base64, and the marks of the longest name
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_MAX_WRAPPED: Final = 6144  # what KMS takes
_MAX_SECONDS: Final = 253_402_300_799  # the end of the year 9999


class Label(Frozen):
    """What is known of an item without reading the rest: one version of one name, and its comment."""

    name: str
    version: str
    comment: str | None = None


class Entry(Frozen):
    """An item whose shape is right, and nothing else about it is known yet.

    ``wrapped`` has no key's id: credstash does not keep it. ``marks`` are None where no dynastash wrote the item.
    """

    label: Label
    wrapped: WrappedKey
    ciphertext: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    digest: str
    marks: Marks | None = None
    created_at: datetime | None = None


class Opened(Frozen):
    """An item's value. ``bound`` is whether name, version and all else were proved to belong to it."""

    label: Label
    value: Plaintext
    bound: bool
    marks: Marks | None = None
    created_at: datetime | None = None


def label_of(item: Item) -> Label:
    """Which version of which name ``item`` is. Raises :class:`FormatError` where it is no item of such a table."""
    name, version = _text(item, "name"), _text(item, "version")
    if name is None or version is None:
        raise FormatError("an item without name or version")
    comment = (_attribute(item, "comment") or {}).get("S")
    return Label(name, version, comment if isinstance(comment, str) and comment else None)


def marks_of(item: Item) -> Marks | None:
    """The marks that ``item`` bears, of which nothing is proved; None also where they cannot be read."""
    try:
        return binding.parse(_attribute(item, MARKS))
    except EnvelopeError:  # somebody else's attribute, or a later dynastash's: it says nothing to us
        return None


def highest_used(items: Iterable[Item]) -> int:
    """The highest version number that any of ``items`` has or remembers; 0 for none."""
    highest = 0
    for item in items:
        marks = marks_of(item)
        used = (marks.used if marks else None) or 0
        highest = max(highest, number_of(label_of(item).version) or 0, used)
    return highest


def check_label(label: Label) -> Label:
    """``label`` unchanged, or :class:`InvalidNameError` where DynamoDB has no room for it."""
    for what, text, longest in (("name", label.name, MAX_NAME), ("version", label.version, MAX_VERSION)):
        if not text or len(encode(text, f"the {what}")) > longest:
            raise InvalidNameError(
                f"{'the empty text' if not text else 'so long a text'} is no {what} in a credstash table",
                hint=f"use 1 to {longest} bytes",
            )
    return label


def parse(item: Item) -> Entry:
    """Read ``item``, as tolerantly as credstash. Raises :class:`FormatError` and what the marks raise."""
    label = label_of(item)
    missing = [attribute for attribute in _REQUIRED if attribute not in item]
    if missing:
        raise FormatError(f"it is no item of credstash's: it has no {' and no '.join(missing)}")
    blob = _decoded(item, "key", _MAX_WRAPPED)
    if not blob:
        raise FormatError("its key is empty")
    digest = _text(item, "digest")
    return Entry(
        label=label,
        wrapped=WrappedKey(blob, ""),
        ciphertext=_decoded(item, "contents", MAX_ITEM),
        mac=_mac(_attribute(item, "hmac") or {}),
        digest=digests.DEFAULT if digest is None else digest,
        marks=binding.parse(_attribute(item, MARKS)),
        created_at=_seconds(_attribute(item, "created_at")),
    )


def open_entry(entry: Entry, keys: ItemKeys, *, require_binding: bool = False) -> Opened:
    """The value of ``entry``, whose data key is ``keys``.

    Where it is bound, the binding must be right; with ``require_binding``, it must be there. Raises
    :class:`IntegrityError` or :class:`~dynastash.errors.UnsupportedFormatError`.
    """
    value = format.decrypt(keys, entry.ciphertext, entry.mac, entry.digest)
    bound = entry.marks is not None and entry.marks.mac is not None
    if entry.marks is not None and bound:
        binding.check(keys, _covered(entry.label, entry.wrapped, entry.ciphertext, entry.digest), entry.marks)
    elif require_binding:
        raise IntegrityError(
            "it is not bound to its name and version, which is required here",
            hint="only dynastash binds: whoever can write the table may have put there what belongs elsewhere",
        )
    return Opened(entry.label, value, bound, entry.marks, entry.created_at)


def seal(
    label: Label,
    value: Plaintext,
    keys: ItemKeys,
    wrapped: WrappedKey,
    *,
    digest: str = digests.DEFAULT,
    marks: Marks | None = None,
) -> Item:
    """The item to write, bound. ``keys`` are new, and ``wrapped`` is their wrapping; ``marks`` say more, if anything.

    Raises :class:`InvalidNameError`, and :class:`ValueTooLargeError` where it is larger than DynamoDB takes.
    """
    check_label(label)
    ciphertext, mac = format.encrypt(keys, value, digest)
    bound = binding.bind(keys, _covered(label, wrapped, ciphertext, digest), marks or Marks())
    item: Item = {
        "name": {"S": label.name},
        "version": {"S": label.version},
        "key": {"S": base64.b64encode(wrapped.blob).decode("ascii")},
        "contents": {"S": base64.b64encode(ciphertext).decode("ascii")},
        "hmac": {"S": mac.hex()},
        "digest": {"S": digest},
        **({"comment": {"S": label.comment}} if label.comment else {}),
        MARKS: binding.attribute(bound),
    }
    if (size := _size(item)) > MAX_ITEM:
        raise ValueTooLargeError(
            f"version {label.version} of {label.name} would take {size} bytes in the table, where {MAX_ITEM} have room",
            hint="credstash's format holds about 300,000 bytes of a value",
        )
    return item


def largest(label: Label) -> int:
    """How many bytes of a value are sure to have room under ``label``, whatever the wrapped key and the marks take."""
    taken = len(encode(label.name + label.version + (label.comment or ""), "the label"))
    return (MAX_ITEM - _OVERHEAD - taken) // 4 * 3


def _size(item: Item) -> int:
    """Bytes as DynamoDB counts them, or a few more."""
    total = 0
    for name, value in item.items():
        ((_, content),) = value.items()
        total += len(name) + (len(content.encode()) if isinstance(content, str) else 3 + _size(content) + len(content))
    return total


def _covered(label: Label, wrapped: WrappedKey, ciphertext: bytes, digest: str) -> Item:
    """What the binding covers besides the marks: what the attributes mean, whichever way they are spelled."""
    return {
        "name": {"S": label.name},
        "version": {"S": label.version},
        "comment": {"S": label.comment or ""},
        "digest": {"S": digest},
        "key": {"B": wrapped.blob},
        "contents": {"B": ciphertext},
    }


def _attribute(item: Item, name: str) -> AttributeValue | None:
    value = item.get(name)
    if value is not None and not is_map(value):
        raise FormatError(f"its {name} is not an attribute's value")
    return value


def _text(item: Item, attribute: str) -> str | None:
    value = _attribute(item, attribute)
    if value is None:
        return None
    found = value.get("S")
    if not isinstance(found, str):
        raise FormatError(f"its {attribute} is not text")
    return found


def _decoded(item: Item, attribute: str, longest: int) -> bytes:
    """Base64 that may be broken into lines."""
    text = (_text(item, attribute) or "").replace("\n", "").replace("\r", "")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = None
    if data is None:
        raise FormatError(f"its {attribute} is not base64")
    if len(data) > longest:
        raise FormatError(f"its {attribute} has {len(data)} bytes, more than there can be")
    return data


def _mac(value: AttributeValue) -> bytes:
    """Hexadecimal in any case, as text or, since credstash 1.13.1, as the bytes of that text."""
    found = value.get("S", value.get("B"))
    try:
        text = found.decode("ascii") if isinstance(found, bytes) else found
    except UnicodeDecodeError:
        text = None
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise FormatError("its hmac is not hexadecimal")
    return bytes.fromhex(text)


def _seconds(value: AttributeValue | None) -> datetime | None:
    """When unicreds or Terraform's provider wrote the item; None for anything else, which decides nothing."""
    text = None if value is None else value.get("N")
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > len(str(_MAX_SECONDS)):
        return None
    return from_seconds(int(text)) if 0 < int(text) <= _MAX_SECONDS else None
