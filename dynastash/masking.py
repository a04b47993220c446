"""Keeping known values out of what a program prints, wherever its writes happen to end.

A safety net under programs that print what they should not (``set -x``, a debug log), not a guarantee: a value that
the program has cut up or encoded in a way of its own passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from struct import Struct
from typing import Final

MASK: Final = b"****"

SHORTEST: Final = 4
"""Values of fewer bytes are not masked: they would be found everywhere, and the gaps would give them away."""

SHORTEST_PART: Final = 8
"""A line of a value, or a text within a JSON value, is sought on its own from that many bytes on."""

_BLOCK: Final = 4
_CLASSES: Final = (8, 16)
_PART: Final = 64  # samples: what is gone through once more, one by one, where one of them matches
_PIECE: Final = 64
_LONG: Final = 4096
_LONG_PIECE: Final = 512


class Mask:
    """A filter over a stream of bytes that puts ``****`` where one of ``values`` stands.

    Each value is found as it is, without the white space around it, line by line, as a text within JSON that the value
    is, and in the encodings of :mod:`dynastash.encodings`. Whatever could be the beginning of one is held back until
    the next bytes, or the end, decide: at most 63 bytes, or 511 where a value is longer than 4 KiB.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        self._patterns = _Patterns({piece for value in values for form in _forms(value) for piece in _pieces(form)})
        self._held = b""
        self._covered = 0  # how much of the beginning of what is held belongs to a value that is masked already

    def feed(self, data: bytes) -> bytes:
        """What may be shown now of ``data`` and of what was held back before it."""
        self._held += data
        return self._show(len(self._held) - self._patterns.begun(self._held))

    def flush(self) -> bytes:
        """What is left at the end of the stream; where it ends within a value, the beginning of that is masked too."""
        undecided = self._patterns.begun(self._held)
        if undecided < SHORTEST:
            return self._show(len(self._held))
        shown, covered = self._show(len(self._held) - undecided), self._covered
        self._held, self._covered = b"", 0
        return shown if covered >= undecided else shown + MASK

    def _show(self, end: int) -> bytes:
        """Give up the first ``end`` bytes of what is held, values masked; one that reaches further stays covered."""
        shown, covered = [], self._covered
        for start, stop in self._patterns.spans(self._held):
            if start >= end:
                break
            if start >= covered:
                shown += [self._held[covered:start], MASK]
            covered = max(covered, stop)
        shown.append(self._held[covered:end])
        self._held = self._held[end:]
        self._covered = max(covered - end, 0)
        return b"".join(shown)


class _Patterns:
    """Many byte strings, sought all at once.

    Text is looked at in samples: of patterns with at least L bytes, one of any L - 3 blocks of four bytes in a row lies
    within each occurrence, so that every (L - 3)th block of the text is enough to find it by. The samples are compared
    with the blocks that patterns begin with in C, by a set; only where one of them matches is there more to do. The
    few patterns that are too short for that are sought one by one.
    """

    def __init__(self, patterns: set[bytes]) -> None:
        self._longest = max(map(len, patterns), default=0)
        self._short = [pattern for pattern in patterns if len(pattern) < _CLASSES[0]]
        self._samples = [
            _Samples(least, chosen)
            for least, most in zip(_CLASSES, (*_CLASSES[1:], self._longest + 1), strict=True)
            if (chosen := [pattern for pattern in patterns if least <= len(pattern) < most])
        ]
        self._by_start: dict[bytes, list[bytes]] = defaultdict(list)
        for pattern in patterns:
            for length in range(1, _BLOCK + 1):
                self._by_start[pattern[:length]].append(pattern)

    def begun(self, text: bytes) -> int:
        """Length of the longest end of ``text`` that a pattern could begin with."""
        tail, starts = text[max(0, len(text) - self._longest + 1) :], self._by_start
        for start in [start for start in range(len(tail)) if tail[start : start + _BLOCK] in starts]:
            end = tail[start:]
            if any(len(pattern) > len(end) and pattern.startswith(end) for pattern in starts[end[:_BLOCK]]):
                return len(end)
        return 0

    def spans(self, text: bytes) -> list[tuple[int, int]]:
        """Where patterns stand in ``text``, overlapping ones too, in order."""
        found = [span for pattern in self._short for span in _occurrences(text, pattern)]
        for samples in self._samples:
            found += samples.spans(text)
        found.sort()
        return found


class _Samples:
    """Patterns of at least ``least`` bytes, by the blocks that a sample could hit them at."""

    def __init__(self, least: int, patterns: Iterable[bytes]) -> None:
        self._step = least - _BLOCK + 1
        self._blocks: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
        for pattern in patterns:
            for offset in range(self._step):
                self._blocks[pattern[offset : offset + _BLOCK]].append((pattern, offset))
        self._known = frozenset(self._blocks)
        self._unpack = Struct(f"{_BLOCK}s{self._step - _BLOCK}x").iter_unpack

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        whole = len(text) - len(text) % self._step
        view, part = memoryview(text), self._step * _PART
        for start in range(0, whole, part):
            some = view[start : min(start + part, whole)]
            if not self._known.isdisjoint(chain.from_iterable(self._unpack(some))):
                for number, (block,) in enumerate(self._unpack(some)):
                    if block in self._known:
                        yield from self._at(text, start + number * self._step, block)
        if (block := text[whole : whole + _BLOCK]) in self._known:
            yield from self._at(text, whole, block)

    def _at(self, text: bytes, place: int, block: bytes) -> Iterator[tuple[int, int]]:
        for pattern, offset in self._blocks[block]:
            start = place - offset
            if start >= 0 and text.startswith(pattern, start):
                yield start, start + len(pattern)


def _occurrences(data: bytes, pattern: bytes) -> Iterator[tuple[int, int]]:
    start = data.find(pattern)
    while start >= 0:
        yield start, start + len(pattern)
        start = data.find(pattern, start + 1)


def _forms(value: bytes) -> Iterator[bytes]:
    from dynastash.encodings import encoded, texts_within

    bare = value.strip()
    if len(bare) < SHORTEST:
        return
    lines = (line.strip() for line in bare.splitlines())
    parts = {part for part in (*lines, *texts_within(bare)) if len(part) >= SHORTEST_PART}
    for form in {bare, value, *parts, *encoded(bare), *encoded(value)}:
        if len(form) >= SHORTEST:
            yield form


def _pieces(form: bytes) -> Iterator[bytes]:
    """A long form cut up, each piece sought on its own: most of a part of it is masked too, and little is held back."""
    size = _PIECE if len(form) <= _LONG else _LONG_PIECE
    for start in range(0, len(form), size):
        yield form[start : start + size] if start + size <= len(form) else form[-size:]
