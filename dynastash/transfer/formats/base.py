"""What every form of a file of secrets offers, and what reading and writing them has in common.

Reading is strict: what readers could understand in two ways is refused with its line, and nothing but keys is ever
quoted. Writing refuses what the form cannot hold, with the secret's name, so that every value that is written is read
back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NoReturn, Protocol

from dynastash.errors import InvalidArgumentError
from dynastash.frozen import Frozen
from dynastash.models import Plaintext

MAX_FILE: Final = 16 << 20
"""Bytes of a file that is read."""

_VARIABLE: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")


class Entry(Frozen):
    """One secret in a file: its key there, and its value. ``label`` names it in errors, ``line`` counts from 1."""

    key: str
    value: Plaintext
    label: str = ""
    line: int | None = None


class Format(Protocol):
    """One form. Both ways raise :class:`~dynastash.errors.InvalidArgumentError`, which shows no part of a value."""

    def read(self, data: bytes) -> list[Entry]:
        """What a file says, in its order, no key twice."""
        ...

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        """A file that says ``entries``; ``name`` is its own name, where the form has one."""
        ...


def text_of(data: bytes) -> str:
    """A file's text, which has to be UTF-8."""
    text = decoded(data)
    if text is None:
        raise InvalidArgumentError("it is not UTF-8 text", hint="save it as UTF-8")
    return text


def decoded(data: bytes) -> str | None:
    """``data`` as text, or None: a ``UnicodeDecodeError`` would carry the value."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def text_value(entry: Entry, form: str, *, nul: bool = False) -> str:
    """The value of ``entry`` as text, which ``form`` has to have; ``nul``: it can hold that character too."""
    text = decoded(entry.value.expose())
    if text is None:
        cannot(entry, form, "it is not UTF-8 text", "export it by itself, with `dynastash get`, or as kubernetes")
    if not nul and "\0" in text:
        cannot(entry, form, "it has a NUL character", "export it by itself, with `dynastash get`, or as json")
    return text


def variable(entry: Entry, form: str) -> str:
    """The key of ``entry``, which has to be a variable's name."""
    if not _VARIABLE.fullmatch(entry.key):
        cannot(entry, form, f"its key {entry.key!r} is not a variable's name", "use letters, digits and _")
    return entry.key


def is_variable(key: str) -> bool:
    """Whether ``key`` is letters, digits and ``_``, no digit first."""
    return _VARIABLE.fullmatch(key) is not None


def cannot(entry: Entry, form: str, why: str, hint: str) -> NoReturn:
    """Refuse to write ``entry``."""
    raise InvalidArgumentError(f"{form} cannot hold {entry.label or entry.key}: {why}", hint=hint)


def refuse(line: int | None, what: str, hint: str) -> NoReturn:
    """Refuse to read on."""
    raise InvalidArgumentError(what if line is None else f"line {line}: {what}", hint=hint)


def refuse_manifest(document: Mapping[str, object], nested: Collection[str]) -> None:
    """Refuse a manifest of Kubernetes's where secrets were meant: its own lines, and base64, would become secrets.

    ``nested`` are the members of ``document`` that are mappings.
    """
    if document.keys() >= {"apiVersion", "kind"} and "metadata" in nested:
        refuse(None, "this is a manifest of Kubernetes's", "give --format kubernetes")


def entry(key: str, text: str, line: int | None = None) -> Entry:
    """What a file says of ``key``; lone surrogates are refused."""
    data = None
    try:
        key.encode("utf-8")
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        pass  # it carries the text, and an error raised in here would carry it
    if data is None:
        refuse(line, f"{key!r} has half of a surrogate pair, which is no character", "write the whole character")
    return Entry(key, Plaintext(data), line=line)


def distinct(entries: Iterable[Entry]) -> list[Entry]:
    """``entries``, no key twice."""
    found: dict[str, Entry] = {}
    for each in entries:
        if each.key in found:
            first = found[each.key].line
            where = f", first in line {first}" if first is not None else ""
            refuse(each.line, f"{each.key!r} is there twice{where}", "remove one of the two")
        found[each.key] = each
    return list(found.values())
