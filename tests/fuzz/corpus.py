"""The corpus: one file for each target, one input on each line in base64, those that reach something new."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

DIRECTORY = Path(__file__).with_name("corpus")
MAX_INPUT = 4096  # bytes; larger inputs find nothing that smaller ones do not, and stay out of the repository
MAX_INPUTS = 150


def load(target: str) -> list[bytes]:
    """The inputs that are kept for ``target``."""
    path = DIRECTORY / f"{target}.txt"
    return [base64.b64decode(line) for line in path.read_text("ascii").split()] if path.exists() else []


def save(target: str, inputs: Iterable[bytes]) -> int:
    """Keep ``inputs``, the shortest ones, each once; how many that are."""
    kept = sorted({data for data in inputs if len(data) <= MAX_INPUT}, key=lambda data: (len(data), data))[:MAX_INPUTS]
    DIRECTORY.mkdir(exist_ok=True)
    text = "".join(base64.b64encode(data).decode("ascii") + "\n" for data in kept)
    (DIRECTORY / f"{target}.txt").write_text(text, "ascii")
    return len(kept)
