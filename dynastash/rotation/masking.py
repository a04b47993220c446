"""Keeping known values out of what a program prints, wherever its writes happen to end.

A safety net under programs that print what they should not (``set -x``, a debug log), not a guarantee: a value that
the program has cut up or encoded in a way of its own passes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Final

MASK: Final = b"****"

SHORTEST: Final = 4
"""Values of fewer bytes are not masked: they would be found everywhere, and the gaps would give them away."""

_SHORTEST_LINE: Final = 8
_PIECE: Final = 64


class Mask:
    """A filter over a stream of bytes that puts ``****`` where one of ``values`` stands.

    Each value is found as it is, without the white space around it, as the inside of a JSON string, in base64, and
    line by line. Whatever could be the beginning of one is held back until the next bytes, or the end, decide.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        self._forms = sorted({form for value in values for form in _forms(value)})
        self._held = b""
        self._covered = 0  # how much of the beginning of what is held belongs to a value that is masked already

    def feed(self, data: bytes) -> bytes:
        """What may be shown now of ``data`` and of what was held back before it."""
        self._held += data
        return self._show(len(self._held) - self._undecided())

    def flush(self) -> bytes:
        """What is left at the end of the stream; where it ends within a value, the beginning of that is masked too."""
        undecided = self._undecided()
        if undecided < SHORTEST:
            return self._show(len(self._held))
        shown, covered = self._show(len(self._held) - undecided), self._covered
        self._held, self._covered = b"", 0
        return shown if covered >= undecided else shown + MASK

    def _undecided(self) -> int:
        """Length of the longest end of what is held that a value could begin with."""
        longest = 0
        for form in self._forms:
            for length in range(min(len(form) - 1, len(self._held)), longest, -1):
                if self._held.endswith(form[:length]):
                    longest = length
                    break
        return longest

    def _show(self, end: int) -> bytes:
        """Give up the first ``end`` bytes of what is held, values masked; one that reaches further stays covered."""
        shown, covered = [], self._covered
        for start, stop in self._spans():
            if start >= end:
                break
            if start >= covered:
                shown += [self._held[covered:start], MASK]
            covered = max(covered, stop)
        shown.append(self._held[covered:end])
        self._held = self._held[end:]
        self._covered = max(covered - end, 0)
        return b"".join(shown)

    def _spans(self) -> list[tuple[int, int]]:
        """Where values stand in what is held, overlapping ones too, in order."""
        return sorted(span for form in self._forms for span in _occurrences(self._held, form))


def _occurrences(data: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    start = data.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = data.find(form, start + 1)


def _forms(value: bytes) -> Iterator[bytes]:
    bare = value.strip()
    if len(bare) < SHORTEST:
        return
    lines = [line for line in (line.strip() for line in bare.splitlines()) if len(line) >= _SHORTEST_LINE]
    for form in (bare, base64.b64encode(value), *_in_json(bare), *lines):
        yield from _pieces(form)


def _in_json(value: bytes) -> Iterator[bytes]:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return
    yield json.dumps(text)[1:-1].encode("ascii")
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8")


def _pieces(form: bytes) -> Iterator[bytes]:
    """A long form cut up, each piece sought on its own: most of a part of it is masked too, and little is held back."""
    for start in range(0, len(form), _PIECE):
        yield form[start : start + _PIECE] if start + _PIECE <= len(form) else form[-_PIECE:]
