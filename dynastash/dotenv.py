"""Reading dotenv files, strictly: what cannot be read in one way only is refused, with its line.

There is no standard for these files, and readers differ in what they make of quotes, comments and ``$``. Read here is
what they agree on, so that no program gets another value than the one its file was written for:

- ``NAME=value``, one a line, ``export`` and blanks in front and blanks around ``=`` allowed; empty lines and lines that
  start with ``#`` are skipped. NAME is letters, digits and ``_`` and does not start with a digit.
- A bare value ends with its line, or before blanks and a ``#``, and has no blanks around it and no quotes in front.
- Between single quotes everything is literal, line ends too; a backslash may not stand before ``'`` or ``\\``.
- Between double quotes too, save ``\\n``, ``\\r``, ``\\t``, ``\\"`` and ``\\\\``; a backslash before anything else is
  refused.
- Nothing is ever expanded, and ``${`` outside single quotes is refused, since others would.
- No name twice, no NUL, and no text behind a closing quote except a comment.

python-dotenv, which reads all of this in the same way, goes on without a line that it cannot read, and expands: a
program would start with half of its file.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from dynastash.errors import InvalidArgumentError

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_BLANK: Final = re.compile(r"[ \t]*(#[^\n]*)?(\n|\Z)")
_ASSIGNMENT: Final = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=#'\"]+)[ \t]*=[ \t]*")
_BARE: Final = re.compile(r"[^\n]*")
_COMMENT: Final = re.compile(r"(?<![ \t])[ \t]+#.*")  # looks at a run of blanks once
_SINGLE: Final = re.compile(r"'([^']*)'")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


class Entry(NamedTuple):
    """One assignment: ``line`` counts from 1. The value may be a secret and has no ``repr``."""

    name: str
    value: str
    line: int

    def __repr__(self) -> str:
        return f"Entry({self.name}, line {self.line})"


def parse(text: str) -> list[Entry]:
    """The assignments of a dotenv file, in order.

    Raises :class:`InvalidArgumentError`, which names the line and quotes nothing of it but the name.
    """
    text = text.replace("\r\n", "\n")
    entries: dict[str, Entry] = {}
    place, line, counted = 0, 1, 0
    while place < len(text):
        line += text.count("\n", counted, place)
        counted = place
        if blank := _BLANK.match(text, place):
            place = blank.end()
            continue
        assignment = _ASSIGNMENT.match(text, place)
        if assignment is None or assignment[1] == "export":
            _refuse(line, "there is no NAME=value", "write one a line, or # in front of a comment")
        name = assignment[1]
        if not NAME.fullmatch(name):
            _refuse(line, "what stands before = is not a variable's name", "use letters, digits and _, no digit first")
        if name in entries:
            _refuse(line, f"{name} is there twice, first in line {entries[name].line}", "remove one of the two")
        value, place = _value(text, assignment.end(), line, name)
        if "\0" in value:
            _refuse(line, f"{name} has a NUL character", "no variable can hold one")
        entries[name] = Entry(name, value, line)
    return list(entries.values())


def _value(text: str, place: int, line: int, name: str) -> tuple[str, int]:
    """The value that starts at ``place``, and where the next line starts."""
    quote = text[place : place + 1]
    if quote not in ("'", '"') or not quote:
        return _bare(text, place, line, name)
    match = (_SINGLE if quote == "'" else _DOUBLE).match(text, place)
    if match is None:
        _refuse(line, f"the quote that {name} begins with is not closed", f"put a {quote} behind the value")
    end = _BLANK.match(text, match.end())
    if end is None or text[match.end() : match.end() + 1] == "#":
        _refuse(line, f"there is text behind the closing quote of {name}", "put the whole value between the quotes")
    if quote == "'":
        if re.search(r"\\['\\]|\\\Z", match[1]):
            _refuse(line, f"{name} has a backslash that readers disagree about", 'use " and double each backslash')
        return match[1], end.end()
    if "${" in match[1]:
        _refuse_expansion(line, name)
    if any(escape not in _ESCAPES for escape in _ESCAPED.findall(match[1])):
        _refuse(line, f"{name} has a backslash before what it does not escape", "write \\\\ for one, or use '")
    return _ESCAPED.sub(lambda escape: _ESCAPES[escape[1]], match[1]), end.end()


def _bare(text: str, place: int, line: int, name: str) -> tuple[str, int]:
    match = _BARE.match(text, place)
    assert match is not None
    value = _COMMENT.sub("", match[0]).rstrip(" \t")
    if value.startswith("#"):
        _refuse(line, f"the value of {name} begins with #", "put it between quotes, or the comment on its own line")
    if "${" in value:
        _refuse_expansion(line, name)
    if "\r" in value or value != value.strip():
        _refuse(line, f"{name} has white space around it that is neither blank nor tab", "put it between quotes")
    return value, match.end() + 1


def _refuse_expansion(line: int, name: str) -> NoReturn:
    _refuse(line, f"{name} has ${{, and nothing is expanded", "put it between single quotes if it is meant so")


def _refuse(line: int, what: str, hint: str) -> NoReturn:
    raise InvalidArgumentError(f"line {line}: {what}", hint=hint)
