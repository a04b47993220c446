"""Terraform's variables: ``name = "value"``. Read are such assignments, and comments.

``${`` and ``%{`` are written ``$${`` and ``%%{``, by HCL's rules. Terraform brings text into Unicode's composed form:
what is not in that form would come out as other bytes, and is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from dynastash.transfer.formats.base import Entry, cannot, distinct, entry, refuse, text_of, text_value

_FORM: Final = "a file of Terraform's variables"
_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_-]*")
_LINE: Final = re.compile(
    r'[ \t]*([A-Za-z_][A-Za-z0-9_-]*)[ \t]*=[ \t]*"((?:[^"\\\r\n]|\\.)*)"[ \t]*(?:(?:#|//)[^\n]*)?'
)
_BLANK: Final = re.compile(r"[ \t]*(?:(?:#|//).*)?")
_ESCAPED: Final = re.compile(r'\\(?:([nrt"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))')
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPES: Final = {letter: f"\\{escape}" for escape, letter in _LETTERS.items()}


class Tfvars:
    """One variable a line, all of them texts."""

    def read(self, data: bytes) -> list[Entry]:
        found = []
        for number, line in enumerate(text_of(data).split("\n"), 1):
            line = line.removesuffix("\r")
            if _BLANK.fullmatch(line):
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                refuse(number, "this is no assignment of a text", 'write name = "value", one a line')
            found.append(entry(match[1], _plain(match[2], match[1], number), number))
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = []
        for each in entries:
            if not _NAME.fullmatch(each.key):
                cannot(each, _FORM, f"its key {each.key!r} is not a variable's name", "use letters, digits, _ and -")
            lines.append(f'{each.key} = "{_quoted(each)}"\n')
        return "".join(lines).encode("utf-8")


def _quoted(each: Entry) -> str:
    text = text_value(each, _FORM)
    if unicodedata.normalize("NFC", text) != text:
        cannot(each, _FORM, "Terraform would compose its characters anew", "json holds it")
    if "$${" in text or "%%{" in text:
        cannot(each, _FORM, "it has $${ or %%{, for which there is no escape", "json holds it")
    escaped = "".join(_ESCAPES.get(letter) or _letter(letter) for letter in text)
    return escaped.replace("${", "$${").replace("%{", "%%{")


def _letter(letter: str) -> str:
    if letter.isprintable() and not unicodedata.combining(letter):
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def _plain(text: str, key: str, line: int) -> str:
    if _ESCAPED.sub("", text).count("\\"):
        refuse(line, f"{key} has a backslash before what it does not escape", "write \\\\ for one")
    for mark in "$%":
        if re.search(rf"(?<!\{mark})\{mark}{{", text) or f"{mark}{mark}{mark}{{" in text:
            refuse(line, f"{key} has {mark}{{, which is a template to Terraform", f"write {mark}{mark}{{ for it")
    text = text.replace("$${", "${").replace("%%{", "%{")
    plain = None
    try:
        plain = _ESCAPED.sub(lambda found: _LETTERS[found[1]] if found[1] else chr(int(found[2] or found[3], 16)), text)
    except (ValueError, OverflowError):
        pass
    if plain is None:
        refuse(line, f"{key} has an escape that is no character", "mend it")
    return plain
