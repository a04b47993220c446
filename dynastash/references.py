"""References: how `run`, `render` and `get` name what they want, ``dynastash://NAME[@VERSION][#FIELD]``.

The scheme may be left out wherever nothing but a reference can stand. What is behind the last ``@`` is a version if it
is all digits, or a stage if it is ``current``, ``previous`` or ``pending``; anything else belongs to the name, in which
an ``@`` is allowed. A name that ends in such a way itself is named with its stage behind it: the secret ``team@2`` is
``team@2@current``.

A name holds no ``#``. What is behind the first one is a field of a JSON value, taken literally, with nothing decoded:
the member of that very name, dots and all, or, where it starts with ``/``, what a JSON Pointer (RFC 6901) leads to.

Errors show names and the field asked for. They never list the fields that there are: members may be named after users,
tokens or hosts, and belong to the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from dynastash.errors import (
    DynastashError,
    FieldNotFoundError,
    InvalidArgumentError,
    InvalidNameError,
    InvalidReferenceError,
)
from dynastash.frozen import Frozen
from dynastash.models import Plaintext, Stage, check_name, check_version, encode

SCHEME: Final = "dynastash://"
MAX_FIELD: Final = 1024

_SHAPE: Final = "write NAME, NAME@VERSION or NAME#FIELD, as in app1/db/password@3"
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_ESCAPES: Final = re.compile(r"~(?![01])")


class Reference(Frozen):
    """What is wanted: a secret by its name, one of its versions by number or stage, and perhaps a field of its value.

    ``version`` is None where ``stage`` counts. ``field`` is as written: a member's name, or a JSON Pointer.
    """

    name: str
    version: int | None = None
    stage: Stage = Stage.CURRENT
    field: str | None = None

    def __str__(self) -> str:
        """As it can be parsed again, without the scheme and as short as that is possible."""
        if self.version is not None:
            end = f"@{self.version}"
        elif self.stage is not Stage.CURRENT or _version_in(self.name) is not None:
            end = f"@{self.stage}"
        else:
            end = ""
        return self.name + end + ("" if self.field is None else f"#{self.field}")


def is_reference(text: str) -> bool:
    """Whether ``text`` carries the scheme, and so is a reference or a mistake in one."""
    return text[: len(SCHEME)].lower() == SCHEME


def parse(text: str) -> Reference:
    """The reference that ``text`` is, with or without the scheme.

    Raises :class:`InvalidReferenceError`, whose message shows ``text``: a reference is public.
    """
    rest = text.removeprefix(SCHEME)
    if is_reference(rest):
        _refuse(text, f"the scheme is written {SCHEME}, once and in lower case")
    name, hash_sign, field = rest.partition("#")
    try:
        if hash_sign:
            check_field(field)
        end = _version_in(name)
        version, stage = None, Stage.CURRENT
        if end is not None:
            name = name[: -len(end) - 1]
            if end in tuple(Stage):
                stage = Stage(end)
            else:
                version = _number(end)
        return Reference(check_name(name), version, stage, field if hash_sign else None)
    except (InvalidNameError, InvalidReferenceError) as error:
        hint = error.hint if name else _SHAPE
        message = str(error) if text == name else f"{_shown(text)} is not a reference: {error}"
        raise InvalidReferenceError(message, hint=hint) from None


def check_field(field: str) -> str:
    """Return ``field`` unchanged if it can name a field, or raise :class:`InvalidReferenceError`."""
    if not field or len(field) > MAX_FIELD or not field.isprintable() or field != field.strip():
        raise InvalidReferenceError(
            f"{_shown(field)} is not a field",
            hint="write the name of a member, as in NAME#password, or a JSON Pointer, as in NAME#/db/password",
        )
    if field.startswith("/") and _ESCAPES.search(field):
        raise InvalidReferenceError(
            f"{_shown(field)} is not a JSON Pointer", hint="write ~0 for ~ and ~1 for / within a member's name"
        )
    return field


def field_of(value: Plaintext, field: str, what: str) -> Plaintext:
    """The text of a field of ``value``; ``what`` names the secret in errors.

    A string is its characters, a number is spelled as the value spells it, ``true`` and ``false`` are themselves.
    Raises :class:`FieldNotFoundError` where the value is not JSON (RFC 8259, members not named twice), where it has no
    such field, and where that is null, an object or a list.
    """
    found = _document(value, what)
    for step in _steps(field):
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and field.startswith("/") and _INDEX.fullmatch(step) and int(step) < len(found):
            found = found[int(step)]
        else:
            raise FieldNotFoundError(
                f"{what} has no field {field}",
                hint="a field is a member's name or, from a / on, a JSON Pointer; what there is, the value itself says",
            )
    if isinstance(found, bool):
        found = "true" if found else "false"
    if not isinstance(found, str):
        kind = "an object" if isinstance(found, dict) else "a list" if isinstance(found, list) else "null"
        raise FieldNotFoundError(
            f"field {field} of {what} is {kind}, which has no text", hint="name a text, a number, true or false"
        )
    try:
        return Plaintext(encode(found, f"field {field} of {what}"))
    except InvalidArgumentError as error:
        raise FieldNotFoundError(str(error), hint="store it as text that UTF-8 can carry") from None


class _NotJson(Exception):
    """The value is none; raised without saying at which of its characters."""


def _document(value: Plaintext, what: str) -> Any:
    try:
        return json.loads(
            value.expose().decode("utf-8"),
            parse_int=str,  # as it is written: 1.10 is not 1.1, and no digit of a long one gets lost
            parse_float=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_members,
        )
    except (ValueError, RecursionError, _NotJson):
        pass  # these carry the value, and an error raised in here would carry them
    raise FieldNotFoundError(f"the value of {what} is not JSON and has no fields", hint="leave out # and the field")


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):  # readers differ in which of the two they take
        raise _NotJson
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise _NotJson


def _steps(field: str) -> Sequence[str]:
    if not field.startswith("/"):
        return [field]
    return [step.replace("~1", "/").replace("~0", "~") for step in field[1:].split("/")]


def _version_in(name: str) -> str | None:
    """What is behind the last ``@``, if that is a version or a stage."""
    _, at, end = name.rpartition("@")
    return end if at and (end in tuple(Stage) or (end.isascii() and end.isdigit())) else None


def _number(digits: str) -> int:
    try:
        if not digits.startswith("0"):
            return check_version(int(digits))
    except DynastashError:
        pass
    except ValueError:  # int() refuses beyond 4,300 digits
        pass
    raise InvalidReferenceError(
        f"{digits[:20]} is not a version number",
        hint="if the name ends so, write @current behind it; versions are 1, 2, 3 …",
    )


def _refuse(text: str, hint: str) -> NoReturn:
    raise InvalidReferenceError(f"{_shown(text)} is not a reference", hint=hint)


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}… ({len(text)} characters)"
