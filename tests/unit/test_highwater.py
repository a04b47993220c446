"""Marks by themselves: what was seen is the floor, each of its two numbers for itself."""

from __future__ import annotations

import os
import threading

import pytest

from dynastash.errors import RollbackError
from dynastash.models import Head, State
from dynastash.stash.highwater import HighWater


def head(last: int, revision: int, name: str = "n") -> Head:
    """A head at that state."""
    return Head(
        name=name,
        last=last,
        revision=revision,
        pruned_below=1,
        state=State.ACTIVE,
        created_ms=1,
        updated_ms=1,
        updated_by="somebody",
        current=last,
    )


def test_the_highest_of_each_number_is_kept() -> None:
    """By name; nothing seen is nothing owed."""
    seen = HighWater()
    assert seen.floor("n") == (0, 0)
    for last, revision, floor in ((0, 0, (0, 0)), (2, 3, (2, 3)), (1, 5, (2, 5)), (4, 4, (4, 5))):
        seen.observe(head(last, revision))
        assert seen.floor("n") == floor
    seen.observe(head(1, 1, "other"))
    assert (seen.floor("n"), seen.floor("other")) == ((4, 5), (1, 1))
    assert sorted(seen.names()) == ["n", "other"]


@pytest.mark.parametrize(
    ("found", "floor", "refused"),
    [
        (head(2, 3), (2, 3), False),
        (head(3, 4), (2, 3), False),
        (head(1, 3), (2, 3), True),
        (head(2, 2), (2, 3), True),
        (None, (0, 0), False),
        (None, (1, 0), True),
        (None, (0, 1), True),
    ],
)
def test_less_in_either_is_a_rollback(found: Head | None, floor: tuple[int, int], refused: bool) -> None:
    """Nothing is less than anything."""
    if not refused:
        HighWater().check(found, "n", floor)
        return
    with pytest.raises(RollbackError, match=r"^the store shows an earlier state of n than it did before"):
        HighWater().check(found, "n", floor)


def test_a_lock_that_a_fork_left_behind_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder is not in this process; and one that is in this process is."""
    seen = HighWater()
    seen._lock.acquire()
    begun = threading.Thread(target=seen.observe, args=(head(1, 1),), daemon=True)
    begun.start()
    begun.join(0.05)
    assert begun.is_alive() and seen.floor("n") == (0, 0)
    seen._lock.release()
    begun.join()
    assert seen.floor("n") == (1, 1)
    seen._lock.acquire()
    here = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    seen.observe(head(2, 2))
    assert seen.floor("n") == (2, 2)
