"""Many calls at once from one thread: each ends once, with its own answer, whatever the others meet."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynastash.aws.base import CallError, Failure, Flight, Operation
from dynastash.aws.direct.connection import Timeouts
from dynastash.errors import CredentialsError
from tests.engines.certificates import Authority
from tests.engines.servers import free_port
from tests.engines.transports import StaticSource, direct
from tests.engines.wire import Peer, Wire, answering, echo, echoing, ok, table_of, wire

QUERY = Operation.QUERY
Ends = list[tuple[int, dict[str, Any] | Exception]]


def all_of(flight: Flight) -> Ends:
    """Every end until nothing is under way."""
    ends: Ends = []
    while ended := flight.wait(None):
        ends += ended
    return ends


def name_in(end: dict[str, Any] | Exception) -> str:
    """What an echoing server said."""
    assert not isinstance(end, Exception), end
    return str(end["Items"][0]["name"]["S"])


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_everyone_gets_the_own_answer(tls: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """500 calls over 64 connections, which later calls go on using."""
    from dynastash.aws.direct.tls import TlsSettings

    authority = Authority(tmp_path_factory.mktemp("authority"))
    context = authority.server("127.0.0.1") if tls else None
    with wire(echoing, tls=context) as server:
        transport = direct(server.url, tls=TlsSettings(str(authority.bundle)))
        flight = transport.flight()
        for ticket in range(500):
            flight.send(ticket, QUERY, {"TableName": f"table-{ticket}"})
        ends = all_of(flight)
        assert {ticket: name_in(end) for ticket, end in ends} == {number: f"table-{number}" for number in range(500)}
        assert len(ends) == 500
        assert flight.wait(None) == flight.wait(0) == []
        flight.close()
        made = server.connections
        assert made <= 64
        for _ in range(10):
            transport.call(QUERY, {"TableName": "x"})
        again = transport.flight()
        for ticket in range(made):
            again.send(ticket, QUERY, {"TableName": "y"})
        assert len(all_of(again)) == made
        again.close()
        transport.close()
    assert server.connections == made


def test_as_many_are_under_way_as_there_are_connections() -> None:
    """64 requests wait for their answers together; the 65th comes when one of them is through."""
    together = threading.Barrier(64)
    early = threading.Event()

    def script(peer: Peer) -> None:
        first = peer.request()
        assert first
        together.wait(20)
        peer.send(echo(first))
        early.set()
        while (request := peer.request()) is not None:
            peer.send(echo(request))

    with wire(script) as server:
        flight = direct(server.url).flight()
        for ticket in range(65):
            flight.send(ticket, QUERY, {"TableName": str(ticket)})
        assert sorted(int(name_in(end)) for _, end in all_of(flight)) == list(range(65))
        flight.close()
    assert server.connections == 64


def test_flights_of_several_threads_do_not_meet() -> None:
    """They share one transport and nothing else."""
    with wire(echoing) as server:
        transport = direct(server.url)
        wrong: list[str] = []

        def fly(number: int) -> None:
            for _ in range(3):
                flight = transport.flight()
                for ticket in range(30):
                    flight.send(ticket, QUERY, {"TableName": f"{number}-{ticket}"})
                wrong.extend(name_in(end) for ticket, end in all_of(flight) if name_in(end) != f"{number}-{ticket}")
                flight.close()

        threads = [threading.Thread(target=fly, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert transport.call(QUERY, {"TableName": "after"})["Items"] == [{"name": {"S": "after"}}]


def test_one_that_stalls_holds_nobody_up() -> None:
    """The others end first; it ends when its time has come."""

    def script(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            if table_of(request) == "slow":
                peer.stall()
                return
            peer.send(echo(request))

    with wire(script) as server:
        flight = direct(server.url, timeouts=Timeouts(5, 0.5, 5)).flight()
        flight.send(0, QUERY, {"TableName": "slow"})
        for ticket in range(1, 20):
            flight.send(ticket, QUERY, {"TableName": str(ticket)})
        *others, (ticket, end) = all_of(flight)
        flight.close()
    assert sorted(ticket for ticket, _ in others) == list(range(1, 20))
    assert ticket == 0
    assert isinstance(end, CallError)
    assert (end.failure, end.code) == (Failure.AMBIGUOUS, "ReadTimeoutError")


def test_waiting_has_an_end() -> None:
    """With nothing to report, the list is empty."""
    with wire(Peer.stall) as server:
        flight = direct(server.url).flight()
        assert flight.wait(None) == []
        flight.send(0, QUERY, {"TableName": "x"})
        assert flight.wait(0) == []
        assert flight.wait(0.05) == []
        flight.close()


def test_what_is_abandoned_is_not_used_again() -> None:
    """The connection is closed: its answer may still come."""
    asked, closed = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        asked.set()
        peer.stall()
        closed.set()

    with wire(script, echoing) as server:
        transport = direct(server.url)
        flight = transport.flight()
        flight.send(0, QUERY, {"TableName": "abandoned"})
        while not asked.is_set():
            assert flight.wait(0.01) == []
        flight.close()
        assert closed.wait(20)
        assert transport.call(QUERY, {"TableName": "next"})["Items"] == [{"name": {"S": "next"}}]
    assert server.connections == 2


def test_thousands_fail_at_once() -> None:
    """Nobody listens: each call says so, and no stack overflows."""
    flight = direct(f"http://127.0.0.1:{free_port()}").flight()
    for ticket in range(3000):
        flight.send(ticket, QUERY, {"TableName": "x"})
    ends = all_of(flight)
    flight.close()
    assert sorted(ticket for ticket, _ in ends) == list(range(3000))
    assert {end.failure for _, end in ends if isinstance(end, CallError)} == {Failure.UNREACHABLE}
    assert all(isinstance(end, CallError) for _, end in ends)


def test_a_host_without_an_address_fails_each_call() -> None:
    """And nothing raises out of send or wait."""
    flight = direct("http://no-such-host.invalid").flight()
    for ticket in range(3):
        flight.send(ticket, QUERY, {"TableName": "x"})
    assert [ticket for ticket, end in all_of(flight) if isinstance(end, CallError)] == [0, 1, 2]
    flight.close()


def test_without_credentials_each_call_says_so() -> None:
    """And those that have their connection already go on as soon as there are some again."""

    class Fickle(StaticSource):
        missing = True

        def get(self) -> Any:
            if self.missing:
                raise CredentialsError("no AWS credentials were found")
            return super().get()

    source = Fickle()
    with wire(echoing) as server:
        flight = direct(server.url, source=source).flight()
        for ticket in range(100):
            flight.send(ticket, QUERY, {"TableName": "x"})
        ends = all_of(flight)
        assert sorted(ticket for ticket, end in ends if isinstance(end, CredentialsError)) == list(range(100))
        source.missing = False
        flight.send(7, QUERY, {"TableName": "x"})
        ((ticket, end),) = all_of(flight)
        assert (ticket, name_in(end)) == (7, "x")
        flight.close()
    assert len(server.requests) == 1


def test_a_request_that_cannot_be_sent_is_one_end() -> None:
    """It is told where the others are, and does not show itself."""
    flight = direct("http://127.0.0.1:1").flight()
    flight.send(3, QUERY, {"TableName": object()})
    ((ticket, end),) = flight.wait(None)
    flight.close()
    assert ticket == 3
    assert isinstance(end, CallError)
    assert (end.failure, end.code, end.message) == (
        Failure.REJECTED,
        "ParamValidationError",
        "the request is malformed",
    )


def test_connections_that_the_server_closes_are_replaced() -> None:
    """Between two calls, one after another."""
    with wire(answering(ok(b'{"Count": 1}'), close=True)) as server:
        flight = direct(server.url).flight()
        for ticket in range(5):
            flight.send(ticket, QUERY, {"TableName": "x"})
            assert flight.wait(None) == [(ticket, {"Count": 1})]
            assert server.closed.acquire(timeout=20)
        flight.close()
    assert server.connections == 5


def test_what_comes_unasked_ends_a_connection() -> None:
    """It came with the first answer, and would be the second."""

    def script(peer: Peer) -> None:
        peer.send(echo(peer.request() or b"") + ok(b'{"Items": [{"name": {"S": "smuggled"}}]}'))
        peer.stall()

    with wire(script, echoing) as server:
        flight = direct(server.url).flight()
        for name in ("one", "two"):
            flight.send(0, QUERY, {"TableName": name})
            ((_, end),) = flight.wait(None)
            assert name_in(end) == name
        flight.close()
    assert server.connections == 2


def _behave(peer: Peer) -> None:
    """Do with each request what the table's name says."""
    while (request := peer.request()) is not None:
        match table_of(request).partition("-")[0]:
            case "ok":
                peer.send(echo(request))
            case "dripping":
                for byte in echo(request):
                    peer.send(bytes([byte]))
            case "last":
                peer.send(echo(request).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                return
            case "leaving":
                peer.send(echo(request))
                return
            case "late":
                time.sleep(0.01)
                peer.send(echo(request))
            case "garbage":
                peer.send(b"garbage\r\n\r\n")
            case "half":
                peer.send(echo(request)[:-5])
                return
            case "reset":
                peer.reset()
                return
            case "closing":
                return
            case "throttled":
                peer.send(b'HTTP/1.1 400 Bad\r\nContent-Length: 33\r\n\r\n{"__type": "ThrottlingException"}')


@pytest.fixture(scope="module")
def behaving() -> Iterator[Wire]:
    """One server for all examples."""
    with wire(_behave) as server:
        yield server


_GOOD = ("ok", "dripping", "last", "leaving", "late")
_LOST = ("garbage", "half", "reset", "closing")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from((*_GOOD * 3, *_LOST, "throttled")), st.integers(0, 3)), max_size=60))
def test_every_call_ends_once_and_as_its_server_had_it(behaving: Wire, plan: list[tuple[str, int]]) -> None:
    """In any mixture of behaviours, sent all at once or between waits."""
    transport = direct(behaving.url)
    flight = transport.flight()
    ends: Ends = []
    for ticket, (behaviour, waits) in enumerate(plan):
        flight.send(ticket, QUERY, {"TableName": f"{behaviour}-{ticket}"})
        for _ in range(waits):
            ends += flight.wait(0)
    ends += all_of(flight)
    flight.close()
    transport.close()
    assert Counter(ticket for ticket, _ in ends) == Counter(range(len(plan)))
    for ticket, end in ends:
        behaviour = plan[ticket][0]
        if isinstance(end, CallError) and end.failure is Failure.AMBIGUOUS:
            # A server that closes a connection may do so just as the next request arrives there.
            assert behaviour in _LOST or "leaving" in {other for other, _ in plan}
        elif isinstance(end, CallError):
            assert (behaviour, end.failure) == ("throttled", Failure.THROTTLED)
        else:
            assert behaviour in _GOOD
            assert name_in(end) == f"{behaviour}-{ticket}"
