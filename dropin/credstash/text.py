"""credstash's small helpers of text: versions, context pairs, wildcards. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dynastash.credstash.versions import padded

WILDCARD: Final = "*"


def paddedInt(i: int | str) -> str:  # noqa: N802
    """``i`` as a version is written: with zeros in front up to 19 characters. What is longer stays as it is."""
    return padded(i)


def key_value_pair(string: str) -> list[str]:
    """``[key, value]`` of ``key=value``, with one ``=`` and both sides there.

    Raises :class:`argparse.ArgumentTypeError`, as a parser of arguments expects it.
    """
    pair = pair_in(string)
    if pair is None:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f'{string!r} is not the form of "key=value"')
    return pair


def pair_in(string: str) -> list[str] | None:
    """As :func:`key_value_pair`; None for what is no pair."""
    pair = string.split("=")
    return pair if len(pair) == 2 and "" not in pair else None


def expand_wildcard(string: str, secrets: Iterable[str]) -> list[str]:
    """Those of ``secrets`` that fit ``string``, in their order. ``*`` stands for any text, all else for itself."""
    return [secret for secret in secrets if fits(string, secret)]


def fits(pattern: str, name: str) -> bool:
    """Whether ``pattern``, in which ``*`` stands for any text, covers the whole of ``name``. Takes linear time."""
    first, *middle = pattern.split(WILDCARD)
    if not middle:
        return name == pattern
    *middle, last = middle
    if not name.startswith(first):
        return False
    place = len(first)
    for part in middle:  # the first place where each fits leaves the most room for the others
        found = name.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(name) - place >= len(last) and name.endswith(last)
