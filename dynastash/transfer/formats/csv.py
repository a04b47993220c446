"""CSV by RFC 4180 with the header ``name,value``: what spreadsheets and every language's readers take.

A field stands between quotes wherever it has a comma, a quote or a line's end in it. A byte-order mark, which Excel
writes, is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from dynastash.transfer.formats.base import Entry, cannot, distinct, entry, refuse, text_of, text_value

_FORM: Final = "a CSV file"
_HEADER: Final = ["name", "value"]
_FIELD: Final = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"|([^",\r\n]*)')  # possessive: nothing is kept to go back to
_END: Final = re.compile(r"\r?\n|\Z")


class Csv:
    """Two columns and a header."""

    def read(self, data: bytes) -> list[Entry]:
        records = _records(text_of(data).removeprefix("\ufeff"))
        _, header = next(records, (1, []))
        if header != _HEADER:
            refuse(1, "the header is not name,value", "put it in front; there are two columns")
        found = []
        for line, fields in records:
            if len(fields) != len(_HEADER):
                refuse(line, f"there are {len(fields)} fields, and not a name and a value", "put commas between quotes")
            found.append(entry(fields[0], fields[1], line))
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = [",".join(_HEADER)]
        for each in entries:
            if not each.key:
                cannot(each, _FORM, "it has no key", "choose another prefix")
            lines.append(f"{_quoted(each.key)},{_quoted(text_value(each, _FORM))}")
        return "".join(line + "\r\n" for line in lines).encode("utf-8")


def _quoted(text: str) -> str:
    if text and re.fullmatch("[A-Za-z0-9_./:@%+-]+", text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it starts in; empty lines are none."""
    place, line = 0, 1
    while place < len(text):
        start, fields = place, list[str]()
        while True:
            match = _FIELD.match(text, place)
            assert match is not None
            fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
            place = match.end()
            if text[place : place + 1] != ",":
                break
            place += 1
        end = _END.match(text, place)
        if end is None and match[0] == "" and text[place] == '"':
            refuse(
                line, "the quote that a field begins with is not closed", 'double each " in it, and put one behind it'
            )
        if end is None:
            refuse(line, "there is a quote or a carriage return outside of quotes", 'write "a ""quoted"" field"')
        place = end.end()
        if fields != [""] or text[start] == '"':
            yield line, fields
        line += text.count("\n", start, place)
