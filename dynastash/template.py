"""References in any text file: ``{{ dynastash://NAME@VERSION#FIELD }}``, found and replaced, byte by byte.

Everything else in the file is left as it is: its encoding, its line ends, other braces. A reference stands on one line;
blanks within the braces do not count. For the letters ``{{ dynastash://`` themselves write ``{{! dynastash://``: one
exclamation mark behind the braces is taken away. What is put in is not looked at again, so a value that contains a
reference is a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dynastash.errors import InvalidReferenceError, TemplateError
from dynastash.frozen import Frozen
from dynastash.models import Plaintext
from dynastash.references import SCHEME, Reference, is_reference, parse

MAX_TEMPLATE: Final = 4 << 20
MAX_OUTPUT: Final = 64 << 20

_OPENING: Final = re.compile(rb"\{\{(!*)[ \t]*dynastash:", re.IGNORECASE)
_CLOSING: Final = b"}}"


class Placeholder(Frozen):
    """A reference and where it stands: line and column count from 1, columns in characters."""

    reference: Reference
    line: int
    column: int


class Template(Frozen):
    """A file taken apart: ``parts`` are what stays as it is, and placeholders."""

    parts: Sequence[bytes | Placeholder]

    @property
    def placeholders(self) -> list[Placeholder]:
        """In the order of the file."""
        return [part for part in self.parts if isinstance(part, Placeholder)]

    def fill(self, values: Mapping[Reference, Plaintext]) -> Plaintext:
        """The file with each placeholder replaced. Raises :class:`TemplateError` beyond 64 MiB."""
        filled = [values[part.reference].expose() if isinstance(part, Placeholder) else part for part in self.parts]
        if sum(map(len, filled)) > MAX_OUTPUT:
            raise too_large_result()
        return Plaintext(b"".join(filled))


def take_apart(data: bytes) -> Template:
    """The template that ``data`` is.

    Raises :class:`TemplateError`, with line and column, for what begins like a reference and is none.
    """
    if len(data) > MAX_TEMPLATE:
        raise TemplateError("the template is too large", hint=f"at most {MAX_TEMPLATE >> 20} MiB")
    if any(SCHEME.encode(encoding) in data for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")):
        raise TemplateError("the template has references in UTF-16 or UTF-32", hint="convert it to UTF-8")
    return Template(tuple(part for part in _parts(data) if part))


def too_large_result() -> TemplateError:
    """The error for a result beyond :data:`MAX_OUTPUT`."""
    return TemplateError("the result is too large", hint=f"at most {MAX_OUTPUT >> 20} MiB")


def _parts(data: bytes) -> Iterator[bytes | Placeholder]:
    position = 0
    line, counted = 1, 0
    while opening := _OPENING.search(data, position):
        marks = opening[1]
        if marks:
            yield data[position : opening.start()] + b"{{" + marks[1:]
            yield data[opening.end(1) : opening.end()]
            position = opening.end()
            continue
        yield data[position : opening.start()]
        line += data.count(b"\n", counted, opening.start())
        counted = opening.start()
        begins = data.rfind(b"\n", 0, opening.start()) + 1
        column = len(data[begins : opening.start()].decode("utf-8", "replace")) + 1
        end = data.find(_CLOSING, opening.end())
        inside = data[opening.start() + 2 : end] if end >= 0 else b"\n"
        if b"\n" in inside:
            raise misplaced("the reference is not closed", "write }} behind it, on the same line", line, column)
        yield Placeholder(_reference(inside, line, column), line, column)
        position = end + 2
    yield data[position:]


def _reference(inside: bytes, line: int, column: int) -> Reference:
    try:
        text = inside.decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        raise misplaced("the reference is not UTF-8 text", None, line, column) from None
    if not is_reference(text):  # a name may hold a colon: without this, a slash left out would name another secret
        raise misplaced("what stands here is not a reference", f"write {{{{ {SCHEME}NAME }}}}", line, column)
    try:
        return parse(text)
    except InvalidReferenceError as error:
        raise misplaced(str(error), error.hint, line, column) from None


def misplaced(message: str, hint: str | None, line: int | None, column: int | None = None) -> TemplateError:
    """An error in a template, at its place."""
    place = "" if line is None else f"line {line}: " if column is None else f"line {line}, column {column}: "
    return TemplateError(f"{place}{message}", hint=hint, line=line, column=column)
