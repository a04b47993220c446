"""PowerShell: ``$env:NAME = 'value'``, for ``. ./FILE.ps1``. In ASCII, which every edition reads the same.

Windows PowerShell takes a file without a byte-order mark for the system's code page, and every edition takes curly
quotes for quotes: what is not printable ASCII is added as ``[char]0x….`` An empty variable is none there, and refused.
Read is what is written here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dynastash.transfer.formats.base import Entry, cannot, distinct, entry, refuse, text_of, text_value, variable

_FORM: Final = "a PowerShell script"
_LINE: Final = re.compile(
    r"\$env:([A-Za-z_][A-Za-z0-9_]*) = ('(?:[ -&(-~]|'')*'(?: \+ (?:'(?:[ -&(-~]|'')*'|\[char\]0x[0-9A-F]{1,4}))*)"
)
_PART: Final = re.compile(r"'((?:[^']|'')*)'|\[char\]0x([0-9A-F]+)")
_RUN: Final = re.compile(r"[ -~]+|[^ -~]")


class PowerShell:
    """One assignment a line."""

    def read(self, data: bytes) -> list[Entry]:
        found = []
        for number, line in enumerate(text_of(data).removeprefix("\ufeff").split("\n"), 1):
            line = line.removesuffix("\r")
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                refuse(number, "this is no assignment that is read", "write $env:NAME = 'value', in ASCII, one a line")
            units = "".join(
                part[1].replace("''", "'") if part[2] is None else chr(int(part[2], 16))
                for part in _PART.finditer(match[2])
            )
            found.append(entry(match[1], _whole(units), number))
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = []
        for each in entries:
            text = text_value(each, _FORM)
            if not text:
                cannot(each, _FORM, "it is empty, and to set a variable to nothing removes it", "leave it out")
            lines.append(f"$env:{variable(each, _FORM)} = {_quoted(text)}\n")
        return "".join(lines).encode("ascii")


def _quoted(text: str) -> str:
    parts = []
    for run in _RUN.findall(text):
        if " " <= run[0] <= "~":
            parts.append("'" + run.replace("'", "''") + "'")
        else:
            units = run.encode("utf-16-be")
            parts += [f"[char]0x{int.from_bytes(units[at : at + 2], 'big'):X}" for at in range(0, len(units), 2)]
    return " + ".join(parts if parts[0].startswith("'") else ["''", *parts])


def _whole(units: str) -> str:
    """Characters from units of UTF-16, which PowerShell's are; half of a pair stays one."""
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
