"""Work that takes calls: carried out one at a time and many at once, with the same results."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.aws.base import CallError, Operation
from dynastash.aws.pipeline import Call, Pause, Work, carry_out, carry_out_many
from dynastash.aws.window import Window
from dynastash.clock import SystemClock
from dynastash.errors import CredentialsError, KeyProviderError
from dynastash.testing.fakes import FakeClock
from tests.engines.transports import ScriptedTransport, Threaded, lost, rejected, throttled, unreachable

DECRYPT = Operation.DECRYPT


class Made(Threaded):
    """Answers by a function of the request and of how often the same was asked before."""

    region = "eu-west-1"

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.asked: list[int] = []
        self.now = self.most = 0

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        number = request["n"]
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            before = self.asked.count(number)
            self.asked.append(number)
        try:
            answer = self._answer(number, before)
        finally:
            with self._lock:
                self.now -= 1
        if isinstance(answer, Exception):
            raise answer
        return {"n": answer}


def asking(number: int) -> Work[int]:
    """One call, whose failure is a public error."""
    try:
        reply = yield Call(DECRYPT, {"n": number})
    except CallError as error:
        raise KeyProviderError(f"{number}: {error.code}") from error
    return int(reply["n"])


def twice(number: int) -> Work[int]:
    """Two calls with a pause between."""
    first = yield Call(DECRYPT, {"n": number})
    yield Pause(0.25)
    second = yield Call(DECRYPT, {"n": int(first["n"])})
    return int(second["n"])


class TestOne:
    """Singly."""

    def test_calls_and_pauses_follow_each_other(self) -> None:
        """The reply of one is in the next."""
        clock = FakeClock()
        transport = ScriptedTransport({"n": 5}, {"n": 6})
        assert carry_out(twice(4), transport, clock) == 6
        assert [request for _, request in transport.requests] == [{"n": 4}, {"n": 5}]
        assert clock.slept == [0.25]

    def test_what_may_pass_is_tried_again(self) -> None:
        """By the policy that all calls have."""
        transport = ScriptedTransport(throttled(DECRYPT), lost(DECRYPT), {"n": 1})
        assert carry_out(asking(1), transport, FakeClock()) == 1

    def test_a_refusal_is_the_works_to_explain(self) -> None:
        """It is thrown in where the call was made."""
        with pytest.raises(KeyProviderError, match="1: DisabledException"):
            carry_out(asking(1), ScriptedTransport(rejected(DECRYPT, "DisabledException")), FakeClock())


class TestMany:
    """Many at once."""

    @given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=40), st.integers(1, 8))
    def test_the_results_are_those_of_each_alone_in_order(self, wanted: list[int | None], at_once: int) -> None:
        """Refused, throttled and lost ones among them; None for None."""

        def answer(number: int, before: int) -> object:
            if number == 3:
                return rejected(DECRYPT, "InvalidCiphertextException")
            if number in (5, 7) and before == 0:
                return throttled(DECRYPT) if number == 5 else lost(DECRYPT)
            return number * 10

        works = (None if number is None else asking(number) for number in wanted)
        clock = FakeClock()
        found = list(carry_out_many(works, Made(answer), clock, Window(at_once)))
        assert [str(result) if isinstance(result, Exception) else result for result in found] == [
            None if number is None else "3: InvalidCiphertextException" if number == 3 else number * 10
            for number in wanted
        ]

    @pytest.mark.parametrize("at_once", [1, 2, 8])
    def test_so_many_are_in_flight_and_no_more(self, at_once: int) -> None:
        """Each waits until as many are there as may be."""
        barrier = threading.Barrier(at_once)

        def answer(number: int, before: int) -> int:
            barrier.wait(20)
            return number

        transport = Made(answer)
        found = list(carry_out_many(map(asking, range(8 * at_once)), transport, SystemClock(), Window(at_once)))
        assert found == list(range(8 * at_once))
        assert transport.most == at_once

    def test_throttling_lets_fewer_into_flight(self) -> None:
        """Half as many after the first complaints, and every one is answered in the end."""
        window = Window(8)
        calls = count()

        def answer(number: int, before: int) -> object:
            return throttled(DECRYPT) if next(calls) < 8 else number

        assert list(carry_out_many(map(asking, range(20)), Made(answer), FakeClock(), window)) == list(range(20))
        assert window.allowed < 8

    def test_a_throttled_call_keeps_its_place_while_it_rests(self) -> None:
        """Else the next one goes out at once, is throttled too, and the service is asked as fast as it can say no."""
        clock = FakeClock()

        def answer(number: int, before: int) -> object:
            return number if clock.monotonic() > 5 else throttled(DECRYPT)

        transport = Made(answer)
        assert list(carry_out_many(map(asking, range(40)), transport, clock, Window(8))) == list(range(40))
        assert len(transport.asked) - 40 < 40  # eight at first, then about two a second

    def test_draws_only_a_little_ahead(self) -> None:
        """Four windows, whatever there is: one slow call holds up so many results and no more."""
        drawn: list[int] = []

        def endless() -> Iterator[Work[int]]:
            for number in count():
                drawn.append(number)
                yield asking(number)

        results = carry_out_many(endless(), Made(lambda number, before: number), SystemClock(), Window(4))
        for number in range(200):
            assert next(results) == number
            assert len(drawn) <= number + 17
        results.close()  # type: ignore[attr-defined]

    def test_who_stops_asking_abandons_what_is_in_flight(self) -> None:
        """Nothing more is sent."""
        transport = Made(lambda number, before: number)
        results = carry_out_many(map(asking, count()), transport, SystemClock(), Window(4))
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
        asked = len(transport.asked)
        threading.Event().wait(0.05)
        assert len(transport.asked) <= asked + 4

    def test_pauses_hold_nobody_up(self) -> None:
        """Others are in flight meanwhile, and the time passes once for all."""
        clock = FakeClock()
        found = list(carry_out_many(map(twice, range(10)), Made(lambda number, before: number), clock, Window(20)))
        assert found == list(range(10))
        assert clock.monotonic() < 10 * 0.25

    @pytest.mark.parametrize(
        "error", [throttled(DECRYPT), lost(DECRYPT), unreachable(DECRYPT)], ids=lambda e: e.failure
    )
    def test_one_learns_for_all_how_long_it_lasts(self, error: CallError) -> None:
        """A thousand do not wait thirty seconds each, one window after the other."""
        clock = FakeClock()
        transport = Made(lambda number, before: type(error)(error.operation, error.failure, error.code, "gone"))
        found = list(carry_out_many(map(asking, range(200)), transport, clock, Window(4)))
        assert all(isinstance(result, KeyProviderError) for result in found)
        assert len(found) == 200
        assert clock.monotonic() < 70

    def test_hope_comes_back_with_the_first_answer(self) -> None:
        """One that was given up leaves no mark on those that come when the service is back."""
        down = True

        def answer(number: int, before: int) -> object:
            nonlocal down
            if number == 0:
                return throttled(DECRYPT)
            if number == 2 and before == 0:
                return throttled(DECRYPT)
            return number

        found = list(carry_out_many(map(asking, range(4)), Made(answer), FakeClock(), Window(1)))
        assert isinstance(found[0], KeyProviderError)
        assert found[1:] == [1, 2, 3]

    def test_credentials_that_fail_for_one_fail_for_all(self) -> None:
        """Nobody wants to read it a thousand times."""
        transport = Made(lambda number, before: CredentialsError("expired"))
        with pytest.raises(CredentialsError):
            list(carry_out_many(map(asking, range(100)), transport, SystemClock(), Window(4)))
        assert len(transport.asked) <= 8

    def test_a_defect_is_not_taken_for_a_result(self) -> None:
        """Neither one of the work's, nor one of the transport's."""

        def broken(number: int) -> Work[int]:
            yield Call(DECRYPT, {"n": number})
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            list(carry_out_many(map(broken, range(3)), Made(lambda number, before: 1), SystemClock(), Window(2)))
        with pytest.raises(ZeroDivisionError):
            transport = Made(lambda number, before: ZeroDivisionError())
            list(carry_out_many(map(asking, range(3)), transport, SystemClock(), Window(2)))

    def test_nothing_is_started_for_nothing(self) -> None:
        """No flight where there is nothing to send."""

        class Grounded(Made):
            def flight(self) -> Any:
                raise AssertionError

        assert list(carry_out_many([], Grounded(None), SystemClock(), Window(2))) == []
        assert list(carry_out_many([None, None], Grounded(None), SystemClock(), Window(2))) == [None, None]


@pytest.mark.parametrize("room", [0, 1])
def test_where_no_thread_can_be_started_all_is_done_all_the_same(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the threads that there are, or by the caller's."""
    start, started = threading.Thread.start, count()

    def full(thread: threading.Thread) -> None:
        if next(started) >= room:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    transport = Made(lambda number, _: rejected(DECRYPT, "AccessDeniedException") if number == 3 else number)
    works = [asking(number) for number in range(6)]
    results = list(carry_out_many(works, transport, FakeClock(), Window(4)))
    assert [result for result in results if isinstance(result, int)] == [0, 1, 2, 4, 5]
    assert isinstance(results[3], KeyProviderError)
    assert transport.most == 1
