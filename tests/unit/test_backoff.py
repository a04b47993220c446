"""Waiting between attempts, by a clock that does not wait."""

from __future__ import annotations

import pytest

from dynastash import backoff
from dynastash.backoff import DEADLINE, Backoff
from dynastash.clock import SystemClock
from dynastash.testing.fakes import FakeClock

CEILINGS = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
"""Seconds: from 50 ms doubling to 1 s."""


class Drawn:
    """Stands in for the random source: remembers the ranges asked for and draws a fixed share of each."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.ranges: list[tuple[float, float]] = []

    def uniform(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return low + (high - low) * self.share


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_full_jitter_doubles_to_the_cap(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait is drawn between nothing and a ceiling that doubles from 50 ms to 1 s."""
    drawn = Drawn(1.0)
    monkeypatch.setattr(backoff, "_JITTER", drawn)
    patience = Backoff(clock)
    assert all(patience.pause() for _ in CEILINGS)
    assert drawn.ranges == [(0, ceiling) for ceiling in CEILINGS]
    assert clock.slept == CEILINGS


def test_it_sleeps_what_it_drew(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever share of the ceiling comes up."""
    monkeypatch.setattr(backoff, "_JITTER", Drawn(0.25))
    patience = Backoff(clock)
    assert patience.pause()
    assert patience.pause()
    assert clock.slept == [0.0125, 0.025]


def test_real_jitter_stays_in_range_and_varies() -> None:
    """The operating system's randomness: within every ceiling, hardly ever twice the same, spread over the range."""
    first = []
    for _ in range(300):
        clock = FakeClock()
        patience = Backoff(clock)
        for ceiling in CEILINGS:
            assert patience.pause()
            assert 0 <= clock.slept[-1] <= ceiling
        first.append(clock.slept[0])
    assert len(set(first)) > 290
    assert min(first) < 0.0125
    assert max(first) > 0.0375


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("deadline", [0.01, 0.5, 3.0, DEADLINE])
def test_the_deadline_is_never_reached_asleep(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, share: float, deadline: float
) -> None:
    """No pause ends at or behind the deadline, however long the attempts between the pauses take."""
    monkeypatch.setattr(backoff, "_JITTER", Drawn(share))
    patience = Backoff(clock, deadline)
    pauses = 0
    while patience.pause():
        pauses += 1
        assert clock.monotonic() < deadline
        clock.advance(0.03)  # the attempt itself
    assert sum(clock.slept) < deadline
    assert pauses <= deadline / 0.03 + 1


def test_no_pause_that_would_end_at_the_deadline(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as long as is left is too long: nothing is slept, and the answer is no."""
    monkeypatch.setattr(backoff, "_JITTER", Drawn(1.0))
    assert not Backoff(clock, 0.05).pause()
    assert not Backoff(clock, 0.0).pause()
    assert not Backoff(clock, -1.0).pause()
    assert clock.slept == []
    assert Backoff(clock, 0.0501).pause()
    assert clock.slept == [0.05]


def test_what_remains(clock: FakeClock) -> None:
    """Seconds from the construction on, negative behind the deadline."""
    clock.advance(100)
    patience = Backoff(clock, 2.0)
    assert patience.remaining == pytest.approx(2.0)
    clock.advance(1.5)
    assert patience.remaining == pytest.approx(0.5)
    clock.advance(1.0)
    assert patience.remaining == pytest.approx(-0.5)
    assert not patience.pause()


def test_the_default_deadline_is_30_seconds(clock: FakeClock) -> None:
    """As the format's operations say."""
    assert DEADLINE == 30.0
    assert Backoff(clock).remaining == 30.0


def test_two_operations_do_not_share_their_patience(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each starts at 50 ms again."""
    drawn = Drawn(0.0)
    monkeypatch.setattr(backoff, "_JITTER", drawn)
    for _ in range(2):
        patience = Backoff(clock)
        patience.pause()
        patience.pause()
    assert [high for _, high in drawn.ranges] == [0.05, 0.1, 0.05, 0.1]


def test_the_systems_clock() -> None:
    """Milliseconds of this century, a monotonic clock that does not go back, and a sleep that takes zero."""
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.now() < 4_102_444_800_000
    before = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= before
    assert isinstance(clock.now(), int)
