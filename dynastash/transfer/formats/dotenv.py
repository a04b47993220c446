"""Dotenv files, as :mod:`dynastash.dotenv` reads them and every reader of them does.

Readers disagree about ``$`` outside single quotes, and python-dotenv expands ``${…}`` even there; none has an escape
that the others know. A value that has ``${``, or both ``'`` and a ``$`` or a backquote, is therefore refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dynastash import dotenv
from dynastash.transfer.formats.base import Entry, cannot, entry, text_of, text_value, variable

_FORM: Final = "a dotenv file"
_BARE: Final = re.compile("[A-Za-z0-9_./:@%+,-]+")
_LITERAL: Final = re.compile(r"(?:[^'\\\r]|\\(?!['\\]|\Z))*")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HINT: Final = "json and shell hold it"


class Dotenv:
    """``NAME=value``, quoted where that is needed."""

    def read(self, data: bytes) -> list[Entry]:
        return [entry(found.name, found.value, found.line) for found in dotenv.parse(text_of(data))]

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        lines = [f"{variable(each, _FORM)}={_quoted(each)}\n" for each in entries]
        return "".join(lines).encode("utf-8")


def _quoted(each: Entry) -> str:
    text = text_value(each, _FORM)
    if _BARE.fullmatch(text):
        return text
    if "${" in text:
        cannot(each, _FORM, "it has ${, which readers expand", _HINT)
    if _LITERAL.fullmatch(text):
        return f"'{text}'"
    if "$" in text or "`" in text:
        cannot(each, _FORM, "it has a $ or a backquote, and needs quotes in which readers expand those", _HINT)
    return '"' + "".join(_ESCAPES.get(letter, letter) for letter in text) + '"'
