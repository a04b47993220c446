"""Waiting for several things at once, and for none where there is nothing to wait for."""

from __future__ import annotations

import threading

import pytest

from dynastash.stash.parallel import both, each


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
