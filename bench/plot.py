"""The goals as bars: ``python -m bench.plot NAME`` draws bench/results/NAME.json."""

from __future__ import annotations

import json
import sys

from bench.figures import RESULTS, plt, save


def draw(name: str) -> None:
    """A bar for each ratio, with its goal as a mark and its quartiles as a line."""
    document = json.loads((RESULTS / f"{name}.json").read_text())
    goals = [goal for goal in document["goals"] if goal["beside"]][::-1]
    _, axes = plt.subplots(figsize=(8, 0.36 * len(goals) + 1))
    for row, goal in enumerate(goals):
        low, high = goal["quartiles"]
        axes.barh(row, goal["median"], color="#cc6677" if goal["met"] is False else "#4477aa", height=0.6)
        axes.plot([low, high], [row, row], color="black", linewidth=1)
        if goal["goal"] is not None:
            axes.plot([goal["goal"]] * 2, [row - 0.4, row + 0.4], color="black", linewidth=2)
    axes.set_yticks(range(len(goals)), [f"{goal['work']} / {goal['beside']}" for goal in goals], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("ratio (lower is faster); the mark is the goal, the thin line the quartiles")
    save(name)


if __name__ == "__main__":
    draw(sys.argv[1])
