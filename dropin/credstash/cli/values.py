"""Values as credstash's words name them: the word itself, ``@FILE``, ``-``. Byte for byte, whatever they hold."""

from __future__ import annotations

import os
import sys
from typing import Final

from credstash.cli.arguments import Usage
from credstash.text import pair_in
from dynastash.errors import DynastashError, InvalidArgumentError
from dynastash.models import Plaintext

MOST: Final = 64 * 1024 * 1024
"""Bytes that are read of a file or of standard input: more than any table takes, and less than any memory has."""


def read(word: str, *, literal: bool = False) -> bytes:
    """What ``word`` names: a file behind ``@``, standard input for ``-``, otherwise ``word`` itself."""
    if literal or not word or word[0] not in "@-" or (word[0] == "-" and word != "-"):
        return os.fsencode(word)  # the bytes that were typed, also where they are no text in this locale
    if word == "-":
        return _standard_input()
    path = os.path.expanduser(word[1:])  # noqa: PTH111
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(MOST)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        # Not by its name: a value that begins with @ was meant, perhaps.
        raise Usage(
            f"the file behind @ cannot be read: {reason}; --literal stores a value that begins with @"
        ) from error


def prompted(name: str) -> bytes:
    """Ask for the value of ``name``, unseen."""
    import getpass

    try:
        return getpass.getpass(f"{name}: ").encode("utf-8")
    except UnicodeError:
        pass  # it quotes what was typed
    raise InvalidArgumentError("what was typed is not text in this terminal's encoding", hint="use @FILE or -")


def pairs(words: list[str], *, shown: bool = True) -> dict[str, str]:
    """A context of ``KEY=VALUE`` words. Raises :class:`Usage`, quoting a word only where it may be ``shown``."""
    found: dict[str, str] = {}
    for number, word in enumerate(words, 1):
        pair = pair_in(word)
        if pair is None:
            raise Usage(f'{repr(word) if shown else f"context word {number}"} is not the form of "key=value"')
        found[pair[0]] = pair[1]
    return found


def named(document: bytes) -> dict[str, Plaintext]:
    """The names and values of a JSON object. Nothing of it is quoted but the names."""
    import json
    from collections import Counter

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            times = Counter(name for name, _ in pairs)
            twice = next(name for name in times if times[name] > 1)
            raise InvalidArgumentError(f"{twice} is there twice", hint="nothing was stored: leave one of the two out")
        return found

    try:
        read = json.loads(document, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:  # InvalidArgumentError is a ValueError, and says it better
        if isinstance(error, DynastashError):
            raise
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidArgumentError(
            f"what putall was given is not JSON{place}", hint='write {"NAME": "VALUE"}, @FILE or -'
        ) from None
    if not isinstance(read, dict):
        raise InvalidArgumentError("what putall was given is no JSON object", hint='write {"NAME": "VALUE"}')
    wrong = [name for name, value in read.items() if not isinstance(value, str)]
    if wrong:
        raise InvalidArgumentError(
            f"the value of {', '.join(wrong[:3])} is not text", hint="nothing was stored: put it between quotes"
        )
    return {name: Plaintext(value.encode("utf-8", "surrogatepass")) for name, value in read.items()}


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise InvalidArgumentError("standard input is closed", hint="leave out <&-, or give @FILE")
    try:
        return sys.stdin.buffer.read(MOST)
    except OSError as error:
        raise InvalidArgumentError(
            f"standard input cannot be read: {error.strerror}", hint="pipe the value in, or give @FILE"
        ) from error
