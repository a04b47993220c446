"""Java properties, as ``java.util.Properties`` loads them: escapes for all that is not ASCII.

``load`` takes bytes for ISO 8859-1 and readers of resource bundles for UTF-8, so that what is not ASCII could be read
in two ways: it is written, and has to be written, as ``\\uXXXX``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from dynastash.transfer.formats.base import Entry, cannot, distinct, entry, refuse, text_value

_FORM: Final = "a file of Java properties"
_SPACE: Final = " \t\f"
_ESCAPES: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\\": "\\\\"}
_LETTERS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_KEY: Final = re.compile(r"(?:[^\\ \t\f=:]|\\.)*", re.DOTALL)
_SEPARATOR: Final = re.compile(r"[ \t\f]*[=:]?[ \t\f]*")
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CONTINUED: Final = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")


class Properties:
    """``key=value`` in ASCII."""

    def read(self, data: bytes) -> list[Entry]:
        if not data.isascii():
            line = data[: next(at for at, byte in enumerate(data) if byte > 127)].count(b"\n") + 1
            refuse(line, "there is a character that is not ASCII, which Java reads in two ways", "write it as \\uXXXX")
        found = []
        for line, text in _logical(data.decode("ascii")):
            key = _KEY.match(text)
            assert key is not None
            separator = _SEPARATOR.match(text, key.end())
            assert separator is not None
            found.append(entry(_plain(key[0], line), _plain(text[separator.end() :], line), line))
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = []
        for each in entries:
            if not each.key:
                cannot(each, _FORM, "it has no key", "choose another prefix")
            key = re.sub("[ =:#!]", r"\\\g<0>", _escaped(each.key))
            value = _escaped(text_value(each, _FORM, nul=True))
            lines.append(key + ("=\\" if value.startswith(" ") else "=") + value + "\n")
        return "".join(lines).encode("ascii")


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines as Java sees them: without comments and empty ones, and with those that a backslash goes on in."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate(re.split("\r\n|\r|\n", text), 1):
        line = line.lstrip(_SPACE)
        if not start and (not line or line[0] in "#!"):
            continue
        start = start or number
        if _CONTINUED.search(line):
            parts.append(line[:-1])
            continue
        yield start, "".join([*parts, line])
        parts, start = [], 0
    if start:
        refuse(start, "it ends with a backslash, and nothing follows", "remove it")


def _plain(text: str, line: int) -> str:
    if re.search(r"(?<!\\)(?:\\\\)*\\u(?![0-9A-Fa-f]{4})", text):
        refuse(
            line, "there is a \\u without four hexadecimal digits", "write \\u00e9, or \\\\u for a backslash and a u"
        )
    units = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else _LETTERS.get(found[2], found[2]), text)
    # Java's characters are units of UTF-16: two escapes may be one character.
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _escaped(text: str) -> str:
    return "".join(_letter(letter) for letter in text)


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if " " <= letter <= "~":
        return letter
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
