"""The goals, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.measure import Sample
from bench.ratios import Ratio, absolute, paired

Rounds = Mapping[str, Sequence[Sample]]
"""A group's samples by contestant, round by round."""

NODE: Final = "the quickest Node client"
_NODE_CLIENTS: Final = ("nodecredstash", "npm credstash")


@dataclass(frozen=True, slots=True)
class Goal:
    """``own`` is to be at most ``limit`` times ``other`` by ``measure``; at most ``limit`` itself without ``other``.

    A ``limit`` of None asks for the figure alone.
    """

    work: str
    group: str
    own: str
    other: str | None
    limit: float | None
    measure: str = "wall"
    unit: str = ""

    def met(self, found: Ratio) -> bool | None:
        """Whether ``found`` is good enough; None where nothing was asked for."""
        return None if self.limit is None else found.median <= self.limit

    def reached(self, results: Mapping[str, Rounds]) -> Ratio | None:
        """What was measured; None where one of the two did not run."""
        rounds = results.get(self.group, {})
        other = _quickest_node(rounds) if self.other == NODE else self.other
        if self.own not in rounds or (other is not None and other not in rounds) or (self.other and not other):
            return None
        own = [value_of(sample, self.measure) for sample in rounds[self.own]]
        if other is None:
            return absolute(own)
        return paired(own, [value_of(sample, self.measure) for sample in rounds[other]])


def value_of(sample: Sample, measure: str) -> float:
    """``wall`` and ``cpu`` in seconds, ``memory`` in MB, ``printed`` by the program, ``read_units`` by the server."""
    if measure == "printed":
        return float(sample.output)
    if measure == "read_units":
        return float(sample.books["read_units"])
    return float(getattr(sample, measure))


GOALS: Final = (
    Goal("get", "get", "dynastash", "credstash", 0.13),
    Goal("get, TLS", "get, TLS", "dynastash", "credstash", 0.15),
    Goal("get", "get", "dynastash", NODE, 0.5),
    Goal("get", "get", "dynastash", "floor", 1.6),
    Goal("get, botocore's credentials", "get, botocore's credentials", "dynastash", "credstash", 0.45),
    Goal("put", "put", "dynastash", "credstash", 0.15),
    Goal("run with 25 secrets", "run", "dynastash run", "credstash getall", None),
    Goal("all of 200, 64 in flight", "all 200", "dynastash, 64 in flight", "credstash", 0.09),
    Goal("all of 200, 64 in flight", "all 200", "dynastash, 64 in flight", "floor", 2.0),
    Goal("all of 200, 64 in flight", "all 200", "dynastash, 64 in flight", "gcredstash", 0.07),
    Goal("all of 1,000, 64 in flight", "all 1000", "dynastash, 64 in flight", "credstash", 0.05),
    Goal("all of 1,000, 64 in flight", "all 1000", "dynastash, 64 in flight", "floor", 2.0),
    Goal("all of 1,000, default", "all 1000", "dynastash", "credstash", 0.07),
    Goal("list 1,000 × 10", "list 1000 × 10", "dynastash", "credstash", 0.08),
    Goal("list 1,000 × 10, as JSON", "list 1000 × 10", "dynastash -o json", "credstash", 0.08),
    Goal("list 1,000 × 10: capacity", "list 1000 × 10", "dynastash", "credstash", 0.05, "read_units"),
    Goal("--help", "help", "dynastash --help", "credstash", 0.25),
    Goal("completion of a name", "help", "completion of a name", "credstash", 0.25),
    Goal("library: CPU of a warm get", "library", "dynastash", "boto3 clients", 0.2, "printed"),
    Goal("library: a cached get", "library", "cached", None, 20, "printed", "µs"),
    Goal("memory of get", "get", "dynastash", None, 32, "memory", "MB"),
    Goal("memory of all of 1,000", "all 1000", "dynastash", None, 40, "memory", "MB"),
    Goal("embedded get", "embedded", "dynastash get", "floor of get", 1.5),
    Goal("embedded put", "embedded", "dynastash put", "floor of put", 1.5),
)


def _quickest_node(rounds: Rounds) -> str | None:
    found = [name for name in _NODE_CLIENTS if name in rounds]
    return min(found, key=lambda name: absolute([sample.wall for sample in rounds[name]]).median, default=None)
