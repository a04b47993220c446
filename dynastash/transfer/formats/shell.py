"""POSIX shell: ``export NAME='value'``, for ``. FILE`` or ``eval``. Between single quotes nothing is expanded.

Read is what is written here and no other shell: assignments of quoted and harmless text, comments and empty lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dynastash.transfer.formats.base import Entry, distinct, entry, refuse, text_of, text_value, variable

_FORM: Final = "a shell script"
_BLANK: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_START: Final = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
_PART: Final = re.compile(r"'([^']*)'|\\(['\"\\$`])|([A-Za-z0-9_./:@%+,-]+)")
_END: Final = re.compile(r"[ \t]*(?:[ \t]#[^\n]*)?(?:\n|\Z)")


class Shell:
    """One assignment a line, or over several where the value has more."""

    def read(self, data: bytes) -> list[Entry]:
        text = text_of(data)
        found: list[Entry] = []
        place, line, counted = 0, 1, 0
        while place < len(text):
            line += text.count("\n", counted, place)
            counted = place
            if blank := _BLANK.match(text, place):
                place = blank.end()
                continue
            start = _START.match(text, place)
            if start is None:
                refuse(line, "this is no assignment", "write export NAME='value', one a line; other shell is not read")
            place, pieces = start.end(), list[str]()
            while part := _PART.match(text, place):
                pieces.append(next(piece for piece in part.groups() if piece is not None))
                place = part.end()
            value = "".join(pieces)
            end = _END.match(text, place)
            if end is None:
                refuse(line, f"{start[1]} has what a shell would expand or end at", "put it all between single quotes")
            if "\0" in value:
                refuse(line, f"{start[1]} has a NUL character", "no variable can hold one")
            found.append(entry(start[1], value, line))
            place = end.end()
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = []
        for each in entries:
            text = text_value(each, _FORM).replace("'", "'\\''")
            lines.append(f"export {variable(each, _FORM)}='{text}'\n")
        return "".join(lines).encode("utf-8")
