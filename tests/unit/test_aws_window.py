"""How many calls are in flight: as many as asked for, and fewer while AWS says that it is too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dynastash.aws.window import Window


def test_it_begins_with_all_that_was_asked_for() -> None:
    """Nobody has complained yet."""
    assert Window(32).allowed == 32


def test_throttling_halves_it_once_for_the_calls_of_one_moment() -> None:
    """The others of that moment are throttled too, and say nothing new; the next moment's do."""
    window = Window(32)
    for left in reversed(range(32)):
        window.throttled(left)
    assert window.allowed == 16
    for left in reversed(range(16)):
        window.throttled(left)
    assert window.allowed == 8


def test_it_recovers_by_one_for_each_window_of_successes() -> None:
    """Slowly: from 8 to 9 takes eight of them, and it never exceeds what was asked for."""
    window = Window(16)
    window.throttled(0)
    assert window.allowed == 8
    for _ in range(7):
        window.succeeded()
    assert window.allowed == 8
    window.succeeded()
    window.succeeded()
    assert window.allowed == 9
    for _ in range(1000):
        window.succeeded()
    assert window.allowed == 16


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=300))
def test_at_least_one_call_is_always_allowed(maximum: int, answers: list[bool]) -> None:
    """And never more than the maximum, whatever the answers are."""
    window = Window(maximum)
    for good in answers:
        if good:
            window.succeeded()
        else:
            window.throttled(window.allowed - 1)
        assert 1 <= window.allowed <= maximum
