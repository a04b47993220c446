"""Ratios of what was measured side by side: each round gives one, and their median is the figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """A median and the quartiles around it, of ``rounds`` pairs."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}–{_short(self.high)})"


def paired(own: Sequence[float], other: Sequence[float]) -> Ratio:
    """``own`` to ``other``, round by round. Raises ValueError for sequences of different or no length."""
    ratios = [mine / theirs for mine, theirs in zip(own, other, strict=True)]
    if not ratios:
        raise ValueError("no rounds")
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0], 1)
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high, len(ratios))


def absolute(values: Sequence[float]) -> Ratio:
    """The spread of ``values`` themselves."""
    return paired(values, [1.0] * len(values))


def _short(value: float) -> str:
    return f"{value:.3f}" if value < 0.2 else f"{value:.2f}" if value < 10 else f"{value:.0f}"
