"""Versions as credstash has them: text that is compared byte by byte, and usually a number padded to 19 digits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dynastash.errors import ConflictError

WIDTH: Final = 19
_LONGEST: Final = 1024  # bytes that DynamoDB takes of a range key


def padded(version: int | str) -> str:
    """``version`` with zeros before it up to 19 characters, which makes the order of texts that of numbers.

    A longer one stays as it is, and so does, behind the zeros, what is no number: both are what credstash writes.
    """
    return str(version).rjust(WIDTH, "0")


def number_of(label: str) -> int | None:
    """The whole number that ``label`` spells, padded or not; None where it spells none."""
    return int(label) if label.isascii() and label.isdigit() and len(label) <= _LONGEST else None


def order(label: str) -> bytes:
    """What versions are sorted by: DynamoDB's own order, of the texts' bytes."""
    return label.encode("utf-8", "surrogatepass")


def spellings(version: int | str) -> tuple[str, ...]:
    """Under what a version that somebody asks for may stand, in the order to look for it.

    A short number is padded first, as credstash looks for it. Behind that comes ``version`` as it was given: credstash
    cannot find those at all, and tables from its early days, or of other writers, hold them. For a word it is the other
    way round.
    """
    given = str(version)
    forms = (padded(given), given) if number_of(given) is not None else (given, padded(given))
    return tuple(dict.fromkeys(form for form in forms if form))


def following(name: str, labels: Iterable[str], *, used: int, first: int) -> str:
    """The version behind all of ``labels``, which are those that ``name`` has, and behind the number ``used``.

    Where it has none, ``first``. Raises :class:`ConflictError` where the result would not become the latest, because it
    sorts before another: behind a word, behind unpadded numbers, or at the end of 19 digits.
    """
    held = sorted(labels, key=order)
    numbers = [number for label in held if (number := number_of(label)) is not None]
    if not held:
        return padded(max(first, used + 1))
    if number_of(held[-1]) is None:
        raise ConflictError(
            f"the latest version of {name} is {held[-1]!r}, which no number follows",
            hint="say which version to write; credstash serves the one that sorts last",
        )
    label = padded(max(*numbers, used) + 1)
    if order(label) <= order(held[-1]):
        raise ConflictError(
            f"version {int(label)} of {name} would not become its latest: {held[-1]} sorts behind it",
            hint="credstash compares versions as text; give the versions of this name 19 digits, or move it away",
        )
    return label
