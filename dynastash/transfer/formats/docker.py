"""``docker run --env-file``: a line is ``NAME=value`` to its very end, without quotes, escapes or expansion.

By Docker's documentation and source: blanks before a name are skipped, so are empty lines and lines that start with
``#``; a name without ``=`` takes its value from whoever starts the container, and is refused here. A line is cut at 64
KiB. So no value has a line's end in it, nor a carriage return as its last character.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dynastash.transfer.formats.base import Entry, cannot, distinct, entry, refuse, text_of, text_value, variable

_FORM: Final = "an env file of docker's"
_LONGEST: Final = 64 * 1024 - 2  # what Go's scanner takes, with a line's end


class Docker:
    """One variable a line, taken literally."""

    def read(self, data: bytes) -> list[Entry]:
        found = []
        for number, line in enumerate(text_of(data).removeprefix("\ufeff").split("\n"), 1):
            line = line.removesuffix("\r").lstrip(" \t")
            if not line or line.startswith("#"):
                continue
            key, equals, value = line.partition("=")
            if not equals:
                refuse(number, "there is no =, and docker would take the value from elsewhere", "write NAME=value")
            if not key or any(letter.isspace() for letter in key):
                refuse(number, "what stands before = is not a variable's name", "docker takes no blanks in it")
            if "\0" in value:
                refuse(number, f"{key!r} has a NUL character", "no variable can hold one")
            found.append(entry(key, value, number))
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = []
        for each in entries:
            text = text_value(each, _FORM)
            if "\n" in text or text.endswith("\r"):
                cannot(each, _FORM, "it has a line's end, and there is no escape for one", "json and shell hold it")
            line = f"{variable(each, _FORM)}={text}".encode()
            if len(line) > _LONGEST:
                cannot(each, _FORM, "the line would be longer than 64 KiB", "mount it as a file instead")
            lines.append(line + b"\n")
        return b"".join(lines)
