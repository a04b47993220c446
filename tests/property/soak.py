"""The stateful model test for as long as one likes: ``python -m tests.property.soak --steps N --engine ENGINE``.

Random operations on a stash and on its model (tests/property/model.py); after each of them everything is verified and
compared. The first difference ends it with exit code 1 and the seed that repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dynastash.stores.base import Store
from dynastash.stores.sqlite import SQLiteStore
from tests.property.model import OPERATIONS, Walk

_T = TypeVar("_T")
_WALK = 200  # steps with one store, of which 3 secrets get some 30 versions each


class RandomDraw:
    """Choices by a seeded generator."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def choice(self, options: Sequence[_T]) -> _T:
        return self._random.choice(options)

    def integer(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def operation(self) -> str:
        """One operation's name, by its weight."""
        return self._random.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]


@contextlib.contextmanager
def stores(engine: str) -> Iterator[Callable[[], Store]]:
    """What makes empty stores of ``engine``; every other one takes only two records at a time beside the head."""
    count = 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o700)
        if engine == "sqlite":

            def make() -> Store:
                nonlocal count
                count += 1
                store = SQLiteStore(directory / f"{count}.db")
                if count % 2:
                    store.transaction_size = 3
                return store

            yield make
            return
        from tests.engines import servers
        from tests.engines.engine import Engine

        with servers.ministack(directory) as url:
            running = Engine("ministack", url)

            def make_table() -> Store:
                nonlocal count
                count += 1
                running.transaction_size = 3 if count % 2 else 100
                return running.store()

            yield make_table


def main(arguments: list[str]) -> int:
    """Walk, and print what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.soak", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--engine", choices=("sqlite", "ministack"), default="sqlite")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args(arguments)
    steps: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    begun = time.monotonic()
    walks = 0
    with stores(options.engine) as make:
        while steps.total() < options.steps:
            walks += 1
            draw = RandomDraw(f"{options.seed}/{walks}")
            walk = Walk(make, check_all=options.engine == "sqlite")
            try:
                for _ in range(min(_WALK, options.steps - steps.total())):
                    walk.step(draw.operation(), draw)
            except Exception:
                print(
                    f"walk {walks} of seed {options.seed} failed after {walk.steps.total()} steps: {dict(walk.steps)}"
                )
                raise
            steps += walk.steps
            refused += walk.refused
            if walks % 25 == 0:
                print(f"{steps.total()} steps, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    took = time.monotonic() - begun
    print(f"{options.engine}, seed {options.seed}: {steps.total()} steps in {walks} walks, {took:.0f} s, 0 findings")
    print("operations: " + ", ".join(f"{name} {count}" for name, count in steps.most_common()))
    print(f"refused as expected: {refused.total()}: " + ", ".join(f"{n} {c}" for n, c in refused.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
