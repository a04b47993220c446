"""``python -m bench.storm``: simulate every scenario, print a table, write and plot bench/results/storm.json."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from bench.report import table, write
from bench.storm.simulation import CLIENTS, SEED, scenarios, simulate

RESULTS: Final = Path(__file__).resolve().parents[1] / "results"
_POINTS: Final = 120


def main() -> None:
    """Simulate all, or a part of the clients with the same part of the quotas."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS, help="fewer have as much smaller quotas")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    for scenario in scenarios(given.clients):
        result = simulate(scenario, given.seed)
        waits = result.waits
        step = max(1, len(waits) // _POINTS)
        curve = [[round(wait, 3), (at + 1) / len(result.outcomes)] for at, wait in enumerate(waits)]
        found.append({**result.summary(), "curve": curve[::step] + curve[-1:]})
        print(table(_HEADERS, [_row(found[-1])]).splitlines()[-1], flush=True)
    write(RESULTS / "storm.json", {"clients": given.clients, "seed": given.seed, "scenarios": found})
    print("\n" + table(_HEADERS, map(_row, found)))
    draw()


_HEADERS: Final = ("scenario", "KMS/s", "failed", "50 %", "90 %", "99 %", "Decrypts", "throttled")


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    times = ("—" if found[name] is None else f"{found[name]:.1f} s" for name in ("p50", "p90", "p99"))
    share = f"{found['throttled'] / max(1, found['calls']):.0%}"
    return (
        found["scenario"],
        f"{found['kms_rate']:,.0f}",
        f"{found['failed']:,}",
        *times,
        f"{found['decrypts']:,}",
        share,
    )


def draw() -> None:
    """What share of the clients had their secrets, and when."""
    from bench.figures import plt, save

    document = json.loads((RESULTS / "storm.json").read_text())
    rates = sorted({found["kms_rate"] for found in document["scenarios"]}, reverse=True)
    _, axes = plt.subplots(1, len(rates), figsize=(11, 4.2), sharey=True)
    for rate, panel in zip(rates, axes, strict=True):
        for found in document["scenarios"]:
            if found["kms_rate"] == rate:
                first = found["scenario"] == "dynastash"
                panel.plot(*zip(*found["curve"], strict=True), label=found["scenario"], linewidth=2.5 if first else 1)
        panel.set_title(f"KMS: {rate:,.0f} requests a second", fontsize=10)
        panel.set_xlabel("seconds since its start")
        panel.set_xlim(0, 60)
    axes[0].set_ylabel("share of the clients that have their secrets")
    axes[0].legend(fontsize=7, frameon=False)
    save("storm")


if __name__ == "__main__":
    main()
