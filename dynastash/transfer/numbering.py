"""The source's version numbers, in few characters: for a tag of a secret whose versions are numbered anew here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote

TAG: Final = "source-versions"
"""The tag that tells, in the order of the versions here, which ones they were at the source."""

_NUMBER: Final = re.compile("0*([0-9]+)")


def compact(labels: Sequence[str]) -> str | None:
    """``labels`` from the first version on, as in ``1-3,5,7-12``; None where they are 1, 2, 3 … or the source has none.

    Whole numbers lose their padding, unless two are equal without it. Everything else is percent-encoded, hyphens too,
    so that what has one is a range of whole numbers.
    """
    if not any(labels) or _canonical(labels) == [str(number) for number in range(1, len(labels) + 1)]:
        return None
    return ",".join(_ranges(_canonical(labels)))


def _canonical(labels: Iterable[str]) -> list[str]:
    plain = [(label, match[1] if (match := _NUMBER.fullmatch(label)) else None) for label in labels]
    times = Counter(number for _, number in plain)
    return [
        number if number is not None and times[number] == 1 else quote(label, safe="").replace("-", "%2D")
        for label, number in plain
    ]


def _ranges(labels: Sequence[str]) -> Iterator[str]:
    start = 0
    for end in range(1, len(labels) + 1):
        if end < len(labels) and _follows(labels[end - 1], labels[end]):
            continue
        first, last = labels[start], labels[end - 1]
        yield first if start == end - 1 else f"{first},{last}" if start == end - 2 else f"{first}-{last}"
        start = end


def _follows(one: str, other: str) -> bool:
    """Whether ``other`` is the whole number behind ``one``, both without padding."""
    if not (_whole(one) and _whole(other)) or len(one) > 4000:  # int() refuses beyond 4,300 digits
        return False
    return int(other) == int(one) + 1


def _whole(text: str) -> bool:
    return text == "0" or (text.isascii() and text.isdecimal() and text[0] != "0")
