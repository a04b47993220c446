"""Waiting for several things at once, and for none where there is nothing to wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from dynastash.parallel import Begun, both, each, streamed


def threads() -> int:
    return threading.active_count()


class TestBoth:
    """Two calls."""

    @pytest.mark.parametrize("limit", [1, 2, 32])
    def test_gives_both_results(self, limit: int) -> None:
        """In their order."""
        assert both(lambda: 1, lambda: "2", limit=limit) == (1, "2")

    def test_runs_them_side_by_side_where_allowed(self) -> None:
        """Each waits for the other; with a limit of 1, both run here, one after the other."""
        barrier = threading.Barrier(2)
        both(lambda: barrier.wait(20), lambda: barrier.wait(20), limit=2)
        here = threading.get_ident()
        assert both(threading.get_ident, threading.get_ident, limit=1) == (here, here)

    @pytest.mark.parametrize("limit", [1, 2])
    def test_the_first_ones_failure_comes_first(self, limit: int) -> None:
        """What authenticates stands first: its refusal is what the caller should see. No thread is left behind."""

        def fail(error: Exception) -> None:
            raise error

        before = threads()
        with pytest.raises(KeyError):
            both(lambda: fail(KeyError()), lambda: fail(ValueError()), limit=limit)
        with pytest.raises(ValueError, match=r"^$"):
            both(lambda: 1, lambda: fail(ValueError()), limit=limit)
        assert threads() == before


class TestEach:
    """The same of many."""

    @pytest.mark.parametrize("limit", [1, 2, 32])
    def test_gives_results_in_order(self, limit: int) -> None:
        """Of any iterable; of nothing, nothing."""
        assert each(lambda n: n * n, iter(range(50)), limit=limit) == [n * n for n in range(50)]
        assert each(lambda n: n, [], limit=limit) == []

    def test_one_needs_no_thread(self) -> None:
        """Nor does a limit of one."""
        here = threading.get_ident()
        assert each(lambda _: threading.get_ident(), [1], limit=8) == [here]
        assert each(lambda _: threading.get_ident(), [1, 2], limit=1) == [here, here]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_what_has_not_begun_when_one_fails_is_not_begun(self, error: type[BaseException]) -> None:
        """Of a thousand calls, a few ran; no thread is left behind."""
        ran: list[int] = []
        before = threads()

        def call(number: int) -> None:
            ran.append(number)
            if number == 0:
                raise error
            failed.wait(0.005)

        failed = threading.Event()
        with pytest.raises(error):
            each(call, range(1000), limit=2)
        assert len(ran) < 1000
        assert threads() == before


class TestStreamed:
    """The same of what never ends."""

    @pytest.mark.parametrize("most", [1, 2, 8])
    def test_draws_only_a_little_ahead(self, most: int) -> None:
        """Memory follows what is under way, not what there is."""
        drawn: list[int] = []

        def endless() -> Iterator[int]:
            for number in count():
                drawn.append(number)
                yield number

        results = streamed(lambda n: n * n, endless(), limit=lambda: most)
        for number in range(100):
            assert next(results) == number * number
            assert len(drawn) <= number + 2 * most + 2
        results.close()

    def test_no_more_calls_at_once_than_the_limit_says_now(self) -> None:
        """It may fall while others run, and rise again."""
        limit, running, most = 4, 0, 0
        lock = threading.Lock()

        def call(number: int) -> int:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.002)
            with lock:
                running -= 1
            return number

        results = streamed(call, range(400), limit=lambda: limit)
        assert [next(results) for _ in range(50)] == list(range(50))
        assert most == 4
        limit = 1
        assert [next(results) for _ in range(20)] == list(range(50, 70))  # those that ran are through
        most = 0
        assert [next(results) for _ in range(50)] == list(range(70, 120))
        assert most == 1
        limit = 4
        assert [next(results) for _ in range(280)] == list(range(120, 400))
        assert most == 4

    def test_a_failure_ends_it_after_what_came_before(self) -> None:
        """In order: what stands before the one that failed is had."""

        def call(number: int) -> int:
            if number == 5:
                raise KeyError
            return number

        results = streamed(call, range(100), limit=lambda: 4)
        assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(KeyError):
            next(results)


class TestBegun:
    """One call in the background."""

    def test_gives_what_it_returned_or_raised(self) -> None:
        """As often as it is asked."""
        assert Begun(lambda: 7).result() == 7

        def fail() -> None:
            raise KeyError

        begun = Begun(fail)
        for _ in range(2):
            with pytest.raises(KeyError):
                begun.result()

    def test_nobody_waits_for_it_at_the_end(self) -> None:
        """Its thread keeps no process alive."""
        go_on = threading.Event()
        begun = Begun(lambda: go_on.wait(20))
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "dynastash")
        go_on.set()
        assert begun.result()

    def test_where_no_thread_can_be_started_the_call_is_made_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Too many threads, or the interpreter is ending: a get goes on, and waits for nothing that never began."""

        def full(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", full)
        here = threading.get_ident()
        assert Begun(threading.get_ident).result() == here
        assert both(lambda: 1, threading.get_ident, limit=2) == (1, here)
        with pytest.raises(KeyError):
            both({}.popitem, threading.get_ident, limit=2)
