"""The concurrent part of a store's contract. :mod:`dynastash.testing.contracts` is where to import it from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dynastash.errors import ConflictError
from dynastash.stores.base import Change, Store
from dynastash.testing.items import first, following, same


class ConcurrentStoreContract:
    """The concurrent part: what racing callers may rely on. Each test also gets ``reopen``."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("give a fixture named store")

    @pytest.fixture
    def reopen(self, store: Store) -> Callable[[], Store]:
        """Makes another client of the same store; the same object where that is what callers share."""
        return lambda: store

    def test_of_racing_creations_one_wins(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Twelve callers, one head and one version, by the same caller."""
        outcomes = _race(12, lambda: first("race"), reopen)
        assert sorted(outcomes.values()) == [False] * 11 + [True]
        (winner,) = [change for change, won in outcomes.items() if won]
        assert same(store.newest("race")[1], winner.change.create[0])

    def test_of_racing_updates_one_wins(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Twelve callers that read the same head."""
        store.commit(first("race"))
        outcomes = _race(12, lambda: following("race", 1, 1), reopen)
        assert sorted(outcomes.values()) == [False] * 11 + [True]
        (winner,) = [change for change, won in outcomes.items() if won]
        assert same(store.newest("race")[1], winner.change.create[0])
        assert len(list(store.history("race"))) == 2

    def test_readers_see_whole_commits(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Head and newest version never disagree for longer than a moment, and versions never go back."""
        store.commit(first("seen"))
        done = threading.Event()

        def read() -> list[int]:
            client, seen = reopen(), []
            while not done.is_set():
                head, newest = client.newest("seen")
                assert int(newest["version"]["N"]) <= int(head["last"]["N"]) + 1
                seen.append(int(head["last"]["N"]))
            return seen

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                for last in range(1, 21):
                    store.commit(following("seen", last, last))
            finally:
                done.set()
            for reader in readers:
                assert reader.result() == sorted(reader.result())


class _Attempt:
    """A change with an identity of its own, so that outcomes can be counted by it."""

    def __init__(self, change: Change) -> None:
        self.change = change


def _race(count: int, make: Callable[[], Change], reopen: Callable[[], Store]) -> dict[_Attempt, bool]:
    barrier = threading.Barrier(count)

    def run(attempt: _Attempt) -> bool:
        client = reopen()
        barrier.wait()
        try:
            client.commit(attempt.change)
        except ConflictError:
            return False
        return True

    attempts = [_Attempt(make()) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return dict(zip(attempts, pool.map(run, attempts), strict=True))
