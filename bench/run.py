"""``make bench`` and ``make bench-quick``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench import report
from bench.contestants import DATABASE_MS, KMS_MS, Field, groups, tables
from bench.goals import Rounds
from bench.installs import HOME, ROOT, install
from bench.measure import Failed, arena
from bench.server import selftest
from bench.server.kms import REGION
from bench.server.process import Running, running

RESULTS: Final = ROOT / "bench/results"
CREDENTIALS: Final = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "AKIABENCHBENCHBENCH0",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def run(*, quick: bool, only: str = "") -> int:
    """Measure, print and keep. Returns the exit code: 0 even where a goal is missed, for that is a result too."""
    installed = install()
    results: dict[str, Rounds] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=HOME) as place, running(Path(place)) as server:
        home = Path(place)
        capacity = selftest.measure(server)
        print(f"{selftest.sentence(capacity)}\n")
        seed(server, tables(quick=quick))
        busiest = 0.0
        for group in groups(Field(installed), quick=quick, home=home):
            if only and only not in group.name:
                continue
            variables = {**CREDENTIALS, **server.variables(tls=group.tls), **(group.variables or {})}
            rounds: dict[str, list[Any]] = {contestant.name: [] for contestant in group.contestants}
            given = {name: value for name, value in variables.items() if value}
            try:
                with arena(home, given, server.control) as ours:
                    for found in ours.rounds(group.contestants, group.rounds):
                        for name, sample in found.items():
                            rounds[name].append(sample)
                            busiest = max(busiest, sample.books["cpu_seconds"] / sample.wall)
            except Failed as failure:
                print(f"{group.name}: {failure}", file=sys.stderr)
                return 1
            results[group.name] = rounds
            print(f"{report.contestants_table(group.name, rounds)}\n", flush=True)
    more = {
        "delays_ms": {"dynamodb": DATABASE_MS, "kms": KMS_MS},
        "server": {**capacity, "busiest": busiest},
        "seconds": time.monotonic() - began,
    }
    print(report.goals_table(results))
    print(f"\nThe server was busy for {busiest:.0%} of a run at most. All of this took {more['seconds']:.0f} s.")
    name = "quick" if quick else "bench"
    if not only:
        report.write(RESULTS / f"{name}.json", report.document(results, installed.versions(), more))
        subprocess.run([sys.executable, "-m", "bench.plot", name], check=True, cwd=ROOT)
        print(f"Written: bench/results/{name}.json and {name}.svg")
    return 0


def seed(server: Running, orders: list[str]) -> None:
    """In a process of its own: what it takes shall not stay with this one."""
    subprocess.run([sys.executable, "-m", "bench.seeds", json.dumps(server.where), *orders], check=True, cwd=ROOT)
