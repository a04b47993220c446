"""The arithmetic of the bench."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.goals import NODE, Goal
from bench.measure import Sample
from bench.ratios import absolute, paired

TIMES = st.floats(1e-3, 1e3)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=30))
def test_a_ratio_is_the_median_of_the_rounds(rounds: list[tuple[float, float]]) -> None:
    """And not the ratio of the medians: a slow moment meets both of a pair."""
    found = paired([own for own, _ in rounds], [other for _, other in rounds])
    assert found.median == pytest.approx(statistics.median(own / other for own, other in rounds))
    assert found.low <= found.median <= found.high
    assert found.rounds == len(rounds)


@given(st.lists(st.tuples(TIMES, TIMES, TIMES), min_size=1, max_size=30))
def test_noise_that_meets_both_of_a_pair_does_not_show(rounds: list[tuple[float, float, float]]) -> None:
    """Were each side's median taken by itself, it would."""
    quiet = paired([own for own, _, _ in rounds], [other for _, other, _ in rounds])
    noisy = paired([own * noise for own, _, noise in rounds], [other * noise for _, other, noise in rounds])
    assert noisy.median == pytest.approx(quiet.median)


def test_rounds_that_do_not_match_are_refused() -> None:
    """A lost round would shift every pair behind it."""
    with pytest.raises(ValueError, match="zip"):
        paired([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="no rounds"):
        absolute([])


def sample(wall: float, **more: object) -> Sample:
    return Sample(wall, wall / 2, 30.0, **more)  # type: ignore[arg-type]


def test_a_goal_takes_the_quickest_node_client() -> None:
    """Whichever that is on this machine."""
    rounds = {
        "dynastash": [sample(1.0), sample(1.0)],
        "nodecredstash": [sample(4.0), sample(4.0)],
        "npm credstash": [sample(2.0), sample(2.0)],
    }
    found = Goal("get", "get", "dynastash", NODE, 0.5).reached({"get": rounds})
    assert found is not None
    assert found.median == 0.5


@pytest.mark.parametrize("other", [NODE, "gcredstash"])
def test_a_goal_beside_somebody_absent_is_left_out(other: str) -> None:
    """Rather than compared with nobody."""
    rounds = {"dynastash": [sample(1.0)]}
    assert Goal("get", "get", "dynastash", other, 0.5).reached({"get": rounds}) is None


def test_goals_by_other_measures() -> None:
    """What a program printed, and what the server counted."""
    rounds = {"dynastash": [sample(1.0, output=b"12.5\n", books={"read_units": 3.0})]}
    for measure, expected in (("printed", 12.5), ("read_units", 3.0), ("memory", 30.0), ("cpu", 0.5)):
        found = Goal("work", "get", "dynastash", None, 20, measure).reached({"get": rounds})
        assert found is not None
        assert found.median == expected
