"""Scenarios, and what comes of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import dynastash.backoff
from bench.storm.clients import Credstash, Dynastash, Measures, Outcome
from bench.storm.quotas import KMS_RATE, KMS_SMALL_RATE, Account, Loop

CLIENTS: Final = 10_000
SEED: Final = 20261125


@dataclass(frozen=True, slots=True)
class Scenario:
    """Clients of one kind in one Region. ``measures`` is None for credstash.

    Fewer clients than 10,000 have as much smaller quotas, unless ``share`` says what part of them.
    """

    name: str
    measures: Measures | None = field(default_factory=Measures)
    kms_rate: float = KMS_RATE
    clients: int = CLIENTS
    share: float | None = None


@dataclass(slots=True)
class Result:
    """Every client's outcome, the calls made by name, and the account as it was left."""

    scenario: Scenario
    outcomes: list[Outcome]
    calls: dict[str, int]
    account: Account

    @property
    def waits(self) -> list[float]:
        """From each client's own start to its having everything, those that failed left out; ascending."""
        ended = [(found.ended, found.began) for found in self.outcomes if not found.failed]
        return sorted(end - began for end, began in ended if end is not None)

    def summary(self) -> dict[str, Any]:
        """Figures for a table."""
        waits = self.waits
        failed = sum(found.failed for found in self.outcomes)
        last = max((found.ended or 0.0 for found in self.outcomes if not found.failed), default=None)
        return {
            "scenario": self.scenario.name,
            "kms_rate": self.scenario.kms_rate,
            "failed": failed,
            **{f"p{percent}": _percentile(waits, percent) for percent in (50, 90, 99)},
            "last": last,
            "calls": sum(count for name, count in self.calls.items() if "throttled" not in name),
            "throttled": sum(count for name, count in self.calls.items() if "throttled" in name),
            "decrypts": self.calls.get("Decrypt", 0),
        }


SCENARIOS: Final = (
    Scenario("dynastash"),
    Scenario("without jitter", Measures(jitter=False)),
    Scenario("without the window", Measures(window=False, hold=False)),
    Scenario("without holding places", Measures(hold=False)),
    Scenario("without any of these, nor back-off", Measures(jitter=False, backoff=False, window=False, hold=False)),
    Scenario("without batches: one get after another", Measures(batch=False)),
    Scenario("without a cache: four threads ask", Measures(cache=False)),
    Scenario("starts spread over a minute", Measures(spread=60.0)),
    Scenario("credstash getall", None),
)


def scenarios(clients: int = CLIENTS) -> Iterator[Scenario]:
    """Each in a large Region and in a small one."""
    for rate in (KMS_RATE, KMS_SMALL_RATE):
        for scenario in SCENARIOS:
            yield Scenario(scenario.name, scenario.measures, rate, clients)


def simulate(scenario: Scenario, seed: int = SEED) -> Result:
    """Run ``scenario``. The same seed gives the same result."""
    loop = Loop()
    account = Account(loop, scenario.kms_rate, share=scenario.share or scenario.clients / CLIENTS)
    chance = random.Random(seed)
    calls: Counter[str] = Counter()
    outcomes: list[Outcome] = []
    measures = scenario.measures
    with _seeded(chance):
        for _ in range(scenario.clients):
            outcome = Outcome(began=chance.uniform(0, measures.spread if measures else 1.0))
            outcomes.append(outcome)
            client = (
                Credstash(loop, account, outcome, calls, chance)
                if measures is None
                else Dynastash(loop, account, measures, outcome, calls)
            )
            loop.after(outcome.began, client.start)
        loop.run()
    return Result(scenario, outcomes, dict(calls), account)


@contextmanager
def _seeded(chance: random.Random) -> Iterator[None]:
    """dynastash draws its jitter from the operating system, which nobody can repeat: from ``chance`` in here."""
    before = dynastash.backoff._JITTER
    dynastash.backoff._JITTER = chance  # type: ignore[assignment]
    try:
        yield
    finally:
        dynastash.backoff._JITTER = before


def _percentile(ascending: list[float], percent: int) -> float | None:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)] if ascending else None
