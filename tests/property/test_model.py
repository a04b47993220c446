"""Any sequence of operations does what the model says, on the embedded store and on DynamoDB as ministack has it.

After each step the whole store is verified and compared (tests/property/model.py). The steps are the same on every run;
``python -m tests.property.soak`` takes others, as many as one likes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from dynastash.stores.base import Store
from dynastash.stores.sqlite import SQLiteStore
from tests.engines.engine import Engine
from tests.property import soak
from tests.property.model import OPERATIONS, Walk

_T = TypeVar("_T")
STEPS = 2000


class HypothesisDraw:
    """Choices by hypothesis, which finds the shortest way to a difference."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def choice(self, options: Sequence[_T]) -> _T:
        return self._data.draw(st.sampled_from(options))

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))


def machine(make: Callable[[], Store], steps: Counter[str], *, check_all: bool) -> type[RuleBasedStateMachine]:
    """A state machine with a rule for each operation, which counts in ``steps``."""

    def begin(self: Any) -> None:
        RuleBasedStateMachine.__init__(self)
        self.walk = Walk(make, check_all=check_all)

    def end(self: Any) -> None:
        steps.update(self.walk.steps)

    def taking(operation: str) -> Any:
        def step(self: Any, data: st.DataObject) -> None:
            self.walk.step(operation, HypothesisDraw(data))

        step.__name__ = operation
        return rule(data=st.data())(step)

    rules = {
        f"{operation}_{copy}": taking(operation)  # hypothesis takes each rule as often as any other
        for operation, weight in OPERATIONS.items()
        for copy in range(weight)
    }
    return type("Machine", (RuleBasedStateMachine,), {"__init__": begin, "teardown": end, **rules})


def run(make: Callable[[], Store], *, check_all: bool = True) -> Counter[str]:
    """Run the machine until it has taken its steps and return how many of each operation that were."""
    steps: Counter[str] = Counter()
    run_state_machine_as_test(
        machine(make, steps, check_all=check_all),
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{steps.total()} steps: " + ", ".join(f"{name} {count}" for name, count in steps.most_common()))
    return steps


def test_sqlite_does_what_the_model_says(tmp_path: Path) -> None:
    """In transactions of any size and of three records."""
    count = itertools.count()

    def make() -> Store:
        number = next(count)
        store = SQLiteStore(tmp_path / "private" / f"{number}.db")
        if number % 2:
            store.transaction_size = 3
        return store

    steps = run(make)
    assert steps.total() >= STEPS
    assert steps.keys() == OPERATIONS.keys()


@pytest.mark.engine
def test_dynamodb_does_what_the_model_says(ministack: Engine) -> None:
    """The same machine on tables of ministack, with a local key: it has no ReEncrypt."""
    count = itertools.count()

    def make() -> Store:
        store = ministack.store()
        if next(count) % 2:
            store._transaction_size = 3
        return store

    steps = run(make, check_all=False)
    assert steps.total() >= STEPS
    assert steps.keys() == OPERATIONS.keys()


def test_the_soak_takes_as_many_steps_as_one_likes(capsys: pytest.CaptureFixture[str]) -> None:
    """Random choices reach other ways than hypothesis's: a thousand steps of them too, by the command itself."""
    assert soak.main(["--steps", "1000", "--engine", "sqlite", "--seed", "ci"]) == 0
    assert "1000 steps in 5 walks" in capsys.readouterr().out
