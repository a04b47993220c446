"""``python -m bench.scale``: how time, calls, capacity and memory grow with the secrets and with their versions."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.contestants import Field
from bench.installs import HOME, install
from bench.measure import Arena, Contestant, arena
from bench.report import table, write
from bench.run import CREDENTIALS, seed
from bench.server.process import running

RESULTS: Final = Path(__file__).with_name("results")
BY_SECRETS: Final = ((10, 1), (100, 1), (1_000, 1), (10_000, 1))
BY_VERSIONS: Final = ((100, 1), (100, 10), (100, 100))
WORKS: Final = ("get", "list", "verify", "export", "rewrap")
_REWRAPPED: Final = 1_000  # six calls for each record: minutes for more
_HEADERS: Final = (
    "work",
    "secrets",
    "versions",
    "s",
    "CPU s",
    "CPU ms each",
    "MB",
    "DynamoDB",
    "KMS",
    "read units",
    "write units",
)


def main() -> None:
    """Measure, print, write and plot."""
    field = Field(install())
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=HOME) as place, running(Path(place)) as server:
        variables = {**CREDENTIALS, **server.variables()}
        with arena(Path(place), variables, server.control) as ours:
            for secrets, versions in dict.fromkeys((*BY_SECRETS, *BY_VERSIONS)):
                seed(server, [f"s{secrets}x{versions}:{secrets}:{versions}"])
                for work in WORKS:
                    if work == "rewrap" and secrets * versions > _REWRAPPED:
                        continue
                    found.append(_measure(ours, field, work, secrets, versions))
                    print(*_row(found[-1]), file=sys.stderr, flush=True)
    write(RESULTS / "scale.json", {"measured": found})
    print(table(_HEADERS, map(_row, found)))
    draw()


def _measure(ours: Arena, field: Field, work: str, secrets: int, versions: int) -> dict[str, Any]:
    contestant = _contestant(field, work, f"s{secrets}x{versions}")
    count = 1 if secrets * versions >= 10_000 else 3
    samples = [ours.run(contestant) for _ in range(count)]
    books = samples[-1].books
    calls = {
        service: sum(number for name, number in books["calls"].items() if name.startswith(service))
        for service in ("dynamodb", "kms")
    }
    return {
        "work": work,
        "secrets": secrets,
        "versions": versions,
        "seconds": statistics.median(sample.wall for sample in samples),
        "cpu": statistics.median(sample.cpu for sample in samples),
        "memory": statistics.median(sample.memory for sample in samples),
        **calls,
        "read_units": books["read_units"],
        "write_units": books["write_units"],
    }


def _contestant(field: Field, work: str, name: str) -> Contestant:
    arguments = {
        "get": ("get", "--prefix", "", "-o", "json"),
        "list": ("list", "-o", "json"),
        "verify": ("verify",),
        "export": ("export", "--sealed", "backup.dynastash"),
        "rewrap": ("rewrap", "--prefix", ""),
    }[work]
    made = field.dynastash(work, *arguments, table=name)
    if work != "export":
        return made
    command = f"rm -f backup.dynastash; exec {' '.join(made.command)}"
    return Contestant(work, ["/bin/sh", "-c", command], made.variables)


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    records = found["secrets"] * (found["versions"] if found["work"] in ("verify", "export", "rewrap") else 1)
    return (
        found["work"],
        f"{found['secrets']:,}",
        str(found["versions"]),
        f"{found['seconds']:.2f}",
        f"{found['cpu']:.2f}",
        f"{found['cpu'] / records * 1000:.2f}",
        f"{found['memory']:.0f}",
        f"{found['dynamodb']:,}",
        f"{found['kms']:,}",
        f"{found['read_units']:,.0f}",
        f"{found['write_units']:,.0f}",
    )


def draw() -> None:
    """CPU and memory against secrets, and against versions."""
    from bench.figures import plt, save

    measured = json.loads((RESULTS / "scale.json").read_text())["measured"]
    _, axes = plt.subplots(2, 2, figsize=(9, 6.5))
    for column, (axis, points) in enumerate((("secrets", BY_SECRETS), ("versions", BY_VERSIONS))):
        for row, (measure, label) in enumerate((("cpu", "seconds of CPU"), ("memory", "peak of memory, MB"))):
            panel = axes[row][column]
            for work in WORKS:
                line = list(_line(measured, work, points, axis, measure))
                panel.plot(*zip(*line, strict=True), marker="o", markersize=3, label=work)
            panel.set_xscale("log")
            panel.set_yscale("log" if row == 0 else "linear")
            panel.set_ylim(bottom=0 if row else None)
            panel.set_xlabel(f"{axis}{' (one version each)' if column == 0 else ' of each of 100 secrets'}")
            panel.set_ylabel(label)
    axes[0][0].legend(fontsize=8, frameon=False)
    save("scale")


def _line(
    measured: list[dict[str, Any]], work: str, points: tuple[tuple[int, int], ...], axis: str, measure: str
) -> Iterator[tuple[float, float]]:
    for found in measured:
        if found["work"] == work and (found["secrets"], found["versions"]) in points:
            yield found[axis], found[measure]


if __name__ == "__main__":
    main()
