"""The canonical bytes of a record: what its MAC and a head's seal are computed over (docs/format-v1.md, section 5).

Two records have the same transcript only if they are equal as DynamoDB items: each part is preceded by its type and
its length, attributes and map keys are sorted by their bytes, sets by their members.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeGuard

from dynastash.errors import FormatError
from dynastash.models import Item

MAX_DEPTH: Final = 32
"""DynamoDB nests no deeper; a limit keeps a hostile record from exhausting the stack."""

_CANONICAL_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_MAX_DIGITS: Final = 39  # no number that the format itself knows is longer, and int() takes its time over long ones


def length_prefixed(data: bytes) -> bytes:
    """``LP(x)``: the length as a big-endian u32, then the bytes."""
    return len(data).to_bytes(4, "big") + data


def transcript(domain: bytes, environment: str, item: Item, *, without: Collection[str] = ()) -> bytes:
    """``T(domain, item)``. Attributes named in ``without`` are left out, at the top level only.

    Raises :class:`FormatError` for a number that is not a canonical integer, a duplicate or empty set, an unknown
    type, or nesting deeper than DynamoDB allows.
    """
    if not isinstance(item, Mapping):
        raise FormatError("the record is not a map of attributes")
    covered = {name: value for name, value in item.items() if name not in without}
    return domain + length_prefixed(utf8(environment)) + _pairs(covered, 0)


def canonical_integer(text: object) -> str:
    """``text`` if it spells an integer canonically (``0|-?[1-9][0-9]*``); anything else is :class:`FormatError`.

    Of any length: DynamoDB keeps 38 significant digits, but a whole number may have 126 places.
    """
    if type(text) is str and text.isdigit() and text.isascii() and (text[0] != "0" or text == "0"):
        return text  # what the pattern says, of nearly all numbers and in half the time
    if not isinstance(text, str) or not _CANONICAL_INTEGER.fullmatch(text):
        raise FormatError("a number in the record is not a canonical integer")
    return text


def integer(text: object) -> int:
    """The number in one of the format's own attributes; :class:`FormatError` where not canonical or absurdly long."""
    canonical = canonical_integer(text)
    if len(canonical) > _MAX_DIGITS:
        raise FormatError("a number in the record is out of range")
    return int(canonical)


def utf8(text: object) -> bytes:
    """UTF-8 without normalization; :class:`FormatError` for anything that is not text."""
    if not isinstance(text, str):
        raise FormatError("an attribute that should be text is not")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("an attribute holds text that is not unicode") from None


def is_map(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether ``value`` is a mapping. Nearly all are dictionaries, which is quicker to see than what is a mapping."""
    return type(value) is dict or isinstance(value, Mapping)


def _pairs(pairs: Mapping[str, Any], depth: int) -> bytes:
    named = sorted([(utf8(name), name) for name in pairs])
    return _count(pairs) + b"".join([length_prefixed(key) + encode_value(pairs[name], depth) for key, name in named])


def encode_value(value: object, depth: int = 0) -> bytes:
    """``V``: an attribute's type and content, ``depth`` maps and lists deep; :class:`FormatError` as above."""
    if not is_map(value) or len(value) != 1:
        raise FormatError("an attribute does not have exactly one type")
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return b"S" + length_prefixed(utf8(content))
        case "N":
            return b"N" + length_prefixed(canonical_integer(content).encode("ascii"))
        case "B":
            return b"B" + length_prefixed(binary(content))
        case "BOOL" if isinstance(content, bool):
            return b"T\x01" if content else b"T\x00"
        case "NULL" if content is True:
            return b"0"
        case "NS":
            numbers = _ascending([canonical_integer(member) for member in _members(content)])
            return b"n" + _count(numbers) + b"".join(length_prefixed(number.encode("ascii")) for number in numbers)
        case "SS":
            strings = sorted(utf8(member) for member in _members(content))
            return b"s" + _count(strings) + b"".join(length_prefixed(string) for string in strings)
        case "M" if isinstance(content, Mapping):
            return b"M" + _pairs(content, _deeper(depth))
        case "L" if isinstance(content, list | tuple):
            below = _deeper(depth)
            return b"L" + _count(content) + b"".join(encode_value(member, below) for member in content)
    raise FormatError("an attribute is of a type that the format does not have")


def binary(content: object) -> bytes:
    """``content`` as bytes; :class:`FormatError` for anything else."""
    if not isinstance(content, bytes):
        raise FormatError("an attribute that should be binary is not")
    return content


def _members(content: object) -> Collection[Any]:
    if not isinstance(content, list | tuple | set | frozenset) or not content:
        raise FormatError("a set in the record is empty or malformed")
    try:
        distinct = len(set(content)) == len(content)
    except TypeError:
        raise FormatError("a set in the record has a malformed member") from None
    if not distinct:
        raise FormatError("a set in the record has a member twice")
    return content


def _ascending(numbers: list[str]) -> list[str]:
    """Canonical integers in numeric order: among those of one sign, the longer one is the further from zero."""

    def magnitude(number: str) -> tuple[int, str]:
        return len(number), number

    negative = sorted((number for number in numbers if number.startswith("-")), key=magnitude, reverse=True)
    return negative + sorted((number for number in numbers if not number.startswith("-")), key=magnitude)


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise FormatError("the record is nested too deeply")
    return depth + 1


def _count(members: Collection[object]) -> bytes:
    return len(members).to_bytes(4, "big")
