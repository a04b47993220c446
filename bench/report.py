"""What was measured, as a table to read and a document to keep."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.goals import GOALS, Rounds
from bench.ratios import absolute, paired


def goals_table(results: Mapping[str, Rounds]) -> str:
    """Goal by goal: the median of the pairs and the quartiles around it, and whether the goal is met."""
    rows = []
    for goal in GOALS:
        found = goal.reached(results)
        if found is None:
            continue
        unit = f" {goal.unit}" if goal.unit else ""
        limit = "—" if goal.limit is None else f"≤ {goal.limit:g}{unit}"
        verdict = {True: "met", False: "MISSED", None: ""}[goal.met(found)]
        rows.append((goal.work, goal.other or "in itself", limit, f"{found}{unit}", verdict))
    return table(("work", "beside", "goal", "measured (quartiles)", ""), rows)


def contestants_table(group: str, rounds: Rounds) -> str:
    """Everybody of a group beside the first one."""
    first = next(iter(rounds))
    rows = []
    for name, samples in rounds.items():
        wall, cpu, memory = (
            absolute([getattr(sample, measure) for sample in samples]).median for measure in ("wall", "cpu", "memory")
        )
        ratio = paired([sample.wall for sample in samples], [sample.wall for sample in rounds[first]])
        books = samples[-1].books
        calls = sum(books["calls"].values())
        rows.append(
            (
                name,
                str(ratio),
                f"{wall * 1000:.0f}",
                f"{cpu * 1000:.0f}",
                f"{memory:.0f}",
                str(calls),
                f"{books['read_units']:g}",
            )
        )
    return table((group, f"beside {first}", "ms", "CPU ms", "MB", "calls", "read units"), rows)


def document(results: Mapping[str, Rounds], versions: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, for a file."""
    goals = []
    for goal in GOALS:
        found = goal.reached(results)
        if found is not None:
            goals.append(
                {
                    "work": goal.work,
                    "beside": goal.other,
                    "measure": goal.measure,
                    "goal": goal.limit,
                    "median": round(found.median, 4),
                    "quartiles": [round(found.low, 4), round(found.high, 4)],
                    "rounds": found.rounds,
                    "met": goal.met(found),
                }
            )
    return {
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "versions": dict(versions),
        **more,
        "goals": goals,
        "samples": {
            group: {name: [sample.figures() for sample in samples] for name, samples in rounds.items()}
            for group, rounds in results.items()
        },
    }


def write(path: Path, found: Mapping[str, Any]) -> None:
    """As JSON, numbers short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 5)), indent=1)
    path.write_text(text + "\n")


def table(headers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headers, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "  ".join("─" * width for width in widths), *shown[1:]])
