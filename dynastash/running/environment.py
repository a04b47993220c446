"""The environment of the program: what it inherits, what it gets, and what the operating system will not take."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dynastash.errors import InvalidArgumentError, ValueTooLargeError
from dynastash.running.plan import Assigned
from dynastash.running.variables import LOCAL_KEY

Environment = dict[bytes, bytes]

_PRISTINE: Final = (b"PATH",)
_COERCED: Final = (b"C.UTF-8", b"C.utf8", b"UTF-8")
_PAGES: Final = 32  # MAX_ARG_STRLEN, in pages, of Linux


def inherited(*, pristine: bool = False, passed: Iterable[str] = ()) -> Environment:
    """Our own environment as the program inherits it: without the local key, and of a pristine one ``PATH`` alone.

    ``passed`` names variables that go along in any case.
    """
    ours = _own()
    kept = {os.fsencode(name) for name in passed}
    if pristine:
        kept.update(_PRISTINE)
        return {name: value for name, value in ours.items() if name in kept}
    return {name: value for name, value in ours.items() if name != LOCAL_KEY.encode() or name in kept}


def with_plain(environment: Environment, plain: Mapping[str, str]) -> Environment:
    """``environment`` with variables that are no secrets."""
    return environment | {os.fsencode(name): value.encode("utf-8") for name, value in plain.items()}


def with_secrets(environment: Environment, assigned: Iterable[Assigned]) -> Environment:
    """``environment`` with a variable for each secret.

    Raises :class:`InvalidArgumentError` for a value with a NUL byte, and :class:`ValueTooLargeError` for one that the
    operating system takes in no variable.
    """
    filled = dict(environment)
    for each in assigned:
        value = each.secret.value
        if b"\0" in value:
            raise InvalidArgumentError(
                f"{each.label} has a NUL byte, which no variable can hold",
                hint="hand it over as a file: add --files auto",
            )
        size, limit = len(each.variable) + len(value) + 2, _largest()
        if size > limit:
            raise ValueTooLargeError(
                f"{each.label} is too large for a variable: {len(value)} bytes of {limit}, the name included",
                hint="hand it over as a file: add --files auto",
            )
        filled[each.variable.encode("ascii")] = value
    return filled


def _largest() -> int:
    return _PAGES * os.sysconf("SC_PAGE_SIZE") if sys.platform == "linux" else sys.maxsize


def _own() -> Environment:
    """What we were given. Python adds LC_CTYPE of its own where the locale is C (PEP 538)."""
    ours = dict(os.environb)
    if ours.get(b"LC_CTYPE") in _COERCED:
        try:
            given = Path("/proc/self/environ").read_bytes().split(b"\0")
        except OSError:
            return ours
        if not any(each.startswith(b"LC_CTYPE=") for each in given):
            del ours[b"LC_CTYPE"]
    return ours
