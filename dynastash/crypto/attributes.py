"""Taking an item apart, attribute by attribute: each of the right type, length and range, or :class:`FormatError`.

A *reader* here is a function from an attribute value, whatever a hostile table holds, to what it spells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from dynastash.crypto.transcript import binary, encode_value, integer, is_map, utf8
from dynastash.errors import FormatError
from dynastash.models import MAX_COMMENT, MAX_NAME, MAX_PAIRS, MAX_PAIRS_BYTES, MAX_VERSION, RESERVED, Item

MAX_ROTATION_BYTES: Final = 4096
MAX_NUMBERS: Final = 512
MAX_EPOCH_MS: Final = 253_402_300_799_999  # the end of the year 9999, as far as datetime goes
MAX_EPOCH_S: Final = MAX_EPOCH_MS // 1000

_T = TypeVar("_T")


class Reader:
    """Takes attributes out of an item one by one, checking each."""

    def __init__(self, item: Item) -> None:
        if not isinstance(item, Mapping):
            raise FormatError("the record is not a map of attributes")
        self._item = item

    def refuse(self, what: str, *names: str) -> None:
        for name in names:
            if name in self._item:
                raise FormatError(f"{what} carries {name}")

    def required(self, name: str, read: Callable[[object], _T]) -> _T:
        found = self._item.get(name)
        if found is None and name not in self._item:
            raise FormatError(f"the record has no {name}")
        try:
            return read(found)
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from None

    def optional(self, name: str, read: Callable[[object], _T]) -> _T | None:
        return self.required(name, read) if name in self._item else None


def typed(kind: str, convert: Callable[[Any], _T]) -> Callable[[object], _T]:
    def read(value: object) -> _T:
        if not is_map(value) or len(value) != 1 or kind not in value:
            raise FormatError(f"the attribute is not of type {kind}")
        return convert(value[kind])

    return read


# The three below are asked some thirty times for each secret: what nearly all attributes are is seen at a glance, and
# only what is not goes the long way.


def text(maximum: int | None = None, minimum: int = 0) -> Callable[[object], str]:
    def convert(content: object) -> str:
        length = len(utf8(content))
        if length < minimum or (maximum is not None and length > maximum):
            raise FormatError("the text is too long or too short")
        return str(content)

    slowly = typed("S", convert)
    short = MAX_PAIRS_BYTES if maximum is None else maximum

    def read(value: object) -> str:
        if type(value) is dict and len(value) == 1:
            content = value.get("S")
            if type(content) is str and content.isascii() and minimum <= len(content) <= short:
                return content
        return slowly(value)

    return read


def whole(minimum: int, maximum: int) -> Callable[[object], int]:
    def convert(content: object) -> int:
        number = integer(content)
        if not minimum <= number <= maximum:
            raise FormatError("the number is out of range")
        return number

    slowly = typed("N", convert)

    def read(value: object) -> int:
        if type(value) is dict and len(value) == 1:
            content = value.get("N")
            if type(content) is str and content.isdigit() and content.isascii() and content[0] != "0":
                number = int(content) if len(content) < 20 else maximum + 1
                if minimum <= number <= maximum:
                    return number
        return slowly(value)

    return read


def blob(minimum: int, maximum: int | None = None) -> Callable[[object], bytes]:
    largest = minimum if maximum is None else maximum

    def convert(content: object) -> bytes:
        data = binary(content)
        if not minimum <= len(data) <= largest:
            raise FormatError("the binary has a wrong length")
        return data

    slowly = typed("B", convert)

    def read(value: object) -> bytes:
        if type(value) is dict and len(value) == 1:
            content = value.get("B")
            if type(content) is bytes and minimum <= len(content) <= largest:
                return content
        return slowly(value)

    return read


def _numbers(content: object) -> frozenset[int]:
    if not isinstance(content, list | tuple | set | frozenset) or not 0 < len(content) <= MAX_NUMBERS:
        raise FormatError("the set is empty, malformed or too large")
    numbers = frozenset(integer(member) for member in content)
    if len(numbers) != len(content) or not all(1 <= number <= MAX_VERSION for number in numbers):
        raise FormatError("the set has a member twice or out of range")
    return numbers


def _pairs(content: object) -> dict[str, str]:
    if not isinstance(content, Mapping) or not 0 < len(content) <= MAX_PAIRS:
        raise FormatError("the map is empty, malformed or too large")
    read = text(MAX_PAIRS_BYTES)
    pairs = {key: read(value) for key, value in content.items()}
    if sum(len(utf8(key)) + len(utf8(value)) for key, value in pairs.items()) > MAX_PAIRS_BYTES:
        raise FormatError("the map is too large")
    return pairs


def _context(content: object) -> dict[str, str]:
    pairs = _pairs(content)
    if any(key.startswith(RESERVED) for key in pairs):
        raise FormatError("the context has a reserved key")
    return pairs


def _rotation(content: object) -> Item:
    if not isinstance(content, Mapping) or not content or len(encode_value({"M": content})) > MAX_ROTATION_BYTES:
        raise FormatError("the map is empty, malformed or too large")
    return content


NAME = text(MAX_NAME, 1)
ANY_TEXT = text()  # the format sets no limit; DynamoDB's 400 KB for an item does
KEY_ID = text(minimum=1)
SORT_KEY = text(64, 1)
STATE = text(32)
COMMENT = text(MAX_COMMENT)
STAMP_MS = whole(0, MAX_EPOCH_MS)
STAMP_S = whole(0, MAX_EPOCH_S)
NUMBER = whole(1, MAX_VERSION)
NUMBERS = typed("NS", _numbers)
PAIRS = typed("M", _pairs)
CONTEXT = typed("M", _context)
ROTATION = typed("M", _rotation)
