"""matplotlib, set to write the same SVG each time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "dynastash"
mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["axes.spines.top"] = mpl.rcParams["axes.spines.right"] = False

from matplotlib import pyplot as plt  # noqa: E402 (what it draws with is chosen above)

__all__ = ["plt", "save"]

RESULTS: Final = Path(__file__).with_name("results")


def save(name: str) -> None:
    """The current figure as bench/results/NAME.svg."""
    figure = plt.gcf()
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
