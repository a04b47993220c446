"""The direct transport where it goes beyond the contract of all: clocks, limits, connections, processes, signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from binascii import crc32
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.aws.direct.connection import Timeouts
from dynastash.aws.direct.transport import DirectTransport
from dynastash.errors import ConfigError, CredentialsError
from tests.engines.canned import refusal
from tests.engines.servers import free_port
from tests.engines.transports import StaticSource, direct
from tests.engines.wire import Peer, Script, answering, echo, echoing, ok, table_of, wire

QUERY = Operation.QUERY
EMPTY = b'{"Items": []}'
SHORT = Timeouts(0.2, 0.2, 0.5)


def ask(transport: DirectTransport, table: str = "some-table") -> str:
    """The one name that an echoing server answers with."""
    (item,) = transport.call(QUERY, {"TableName": table})["Items"]
    return str(item["name"]["S"])


def at(*addresses: tuple[str, int]) -> Callable[..., list[Any]]:
    """A name server for which every host has these addresses and ports."""
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]


class TestCredentials:
    """They stand in headers, so they must be fit for that."""

    @pytest.mark.parametrize(
        ("credentials", "named"),
        [
            (("AKIA\r\nX-Injected: 1", "s"), "access key"),
            (("AKIA", "s", "hunter2\n"), "session token"),
            (("AKIA", "s", "hunter2\r\nX-Injected: 1"), "session token"),
            (("AKIA", "s", "hunter2\0"), "session token"),
            (("AKIA", "s", "“hunter2”"), "session token"),
        ],
    )
    def test_nothing_is_injected(self, credentials: tuple[str, ...], named: str) -> None:
        """One line says which part is wrong, and shows nothing of it."""
        with wire(answering(ok(EMPTY))) as server, pytest.raises(CredentialsError, match=named) as caught:
            direct(server.url, source=StaticSource(*credentials)).call(QUERY, {})
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"
        assert server.requests == []

    def test_a_session_token_is_sent(self) -> None:
        """And signed."""
        with wire(answering(ok(EMPTY))) as server:
            direct(server.url, source=StaticSource("ASIA", "s", "token/+=")).call(QUERY, {})
        head = server.requests[0].decode().lower()
        assert "\r\nx-amz-security-token: token/+=\r\n" in head
        assert "signedheaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target" in head

    def test_renewed_credentials_are_used_at_once(self) -> None:
        """The next request has them."""
        source = StaticSource("ASIAOLD", "s", "old")
        with wire(answering(ok(EMPTY))) as server:
            transport = direct(server.url, source=source)
            transport.call(QUERY, {})
            source.renew("ASIANEW", "s", "new")
            transport.call(QUERY, {})
        assert [b"ASIANEW" in request for request in server.requests] == [False, True]
        assert [b": new\r\n" in request for request in server.requests] == [False, True]
        assert transport.access_key() == "ASIANEW"

    def test_without_credentials_nothing_is_sent(self) -> None:
        """The source's own words reach the caller."""

        class Without(StaticSource):
            def get(self) -> Any:
                raise CredentialsError("no AWS credentials were found")

        with wire(answering(ok(EMPTY))) as server, pytest.raises(CredentialsError, match="no AWS credentials"):
            direct(server.url, source=Without()).call(QUERY, {})
        assert server.requests == []


def dated(answer: bytes, date: str | None) -> bytes:
    """``answer`` with another ``Date`` header."""
    line = b"" if date is None else f"Date: {date}\r\n".encode()
    return answer.replace(b"\r\n", b"\r\n" + line, 1)


def skewed(by: timedelta, code: str = "InvalidSignatureException") -> bytes:
    """A refusal of the request's time by a server whose clock is ``by`` ahead."""
    body = refusal(code, "Signature expired: 20260101T000000Z is now earlier than …").body
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    return dated(answer, (datetime.now(UTC) + by).strftime("%a, %d %b %Y %H:%M:%S GMT"))


def signed_at(request: bytes) -> datetime:
    """When a request says that it was signed."""
    found = re.search(rb"x-amz-date: (\w+)\r", request, re.IGNORECASE)
    assert found
    return datetime.strptime(found[1].decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


class TestClock:
    """This machine's clock may be wrong; AWS's answer says by how much."""

    @pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired"])
    @pytest.mark.parametrize("hours", [-3, 400])
    def test_it_is_set_right_once_and_for_all(self, code: str, hours: int) -> None:
        """The call is repeated at once; later calls are right from the first attempt on."""
        ahead = timedelta(hours=hours)
        with wire(answering(skewed(ahead, code), ok(EMPTY))) as server:
            transport = direct(server.url)
            assert transport.call(QUERY, {}) == {"Items": []}
            assert transport.call(QUERY, {}) == {"Items": []}
        first, *later = [signed_at(request) - datetime.now(UTC) for request in server.requests]
        assert len(later) == 2
        assert abs(first) < timedelta(minutes=5)
        assert all(abs(difference - ahead) < timedelta(minutes=5) for difference in later)
        assert server.connections == 1

    def test_it_is_set_right_in_a_flight(self) -> None:
        """Each of the calls that were under way is repeated once."""
        with wire(answering(skewed(timedelta(hours=2)), ok(EMPTY))) as server:
            flight = direct(server.url).flight()
            for ticket in range(3):
                flight.send(ticket, QUERY, {})
            ended = [end for _ in range(3) for end in flight.wait(None)]
            flight.close()
        assert sorted(ended, key=lambda end: end[0]) == [(ticket, {"Items": []}) for ticket in range(3)]
        assert len(server.requests) == 6

    def test_a_second_refusal_is_final(self) -> None:
        """Nobody goes on asking a server that takes no time at all."""
        with wire(answering(skewed(timedelta(hours=2)))) as server, pytest.raises(CredentialsError) as caught:
            direct(server.url).call(QUERY, {})
        assert str(caught.value) == "AWS refuses the request's time (InvalidSignatureException)"
        assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "date",
        [
            None,
            "",
            "yesterday",
            "Wed, 32 Nov 2026 19:02:35 GMT",
            "Wed, 25 Nov 99999999 19:02:35 GMT",
            "Wed, 25 Foo 2026 19:02:35 GMT",
            "Wed, 25 Nov 2026 19:02:35 CET",
            "Wed, ²5 Nov 2026 19:02:35 GMT",
        ],
    )
    def test_without_a_usable_date_the_refusal_stands(self, date: str | None) -> None:
        """It says what to do about the clock."""
        body = refusal("RequestTimeTooSkewed").body
        answer = dated(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body), date)
        with wire(answering(answer)) as server, pytest.raises(CredentialsError, match="refuses the request's time"):
            direct(server.url).call(QUERY, {})
        assert len(server.requests) == 1

    def test_another_refusal_does_not_set_the_clock(self) -> None:
        """A wrong secret key is no question of time."""
        body = refusal("InvalidSignatureException", "The request signature we calculated does not match").body
        answer = dated(
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
            "Wed, 25 Nov 2020 19:02:35 GMT",
        )
        with (
            wire(answering(answer)) as server,
            pytest.raises(CredentialsError, match="refuses the request's signature"),
        ):
            direct(server.url).call(QUERY, {})
        assert len(server.requests) == 1


class TestLimits:
    """What a server may make us take."""

    @pytest.mark.parametrize(
        ("operation", "size", "refused"),
        [
            (Operation.DECRYPT, 1 << 18, False),
            (Operation.DECRYPT, (1 << 18) + 1, True),
            (QUERY, 20 << 20, False),
            (QUERY, (32 << 20) + 1, True),
        ],
    )
    def test_size(self, operation: Operation, size: int, refused: bool) -> None:
        """Sixteen megabytes of items in base64 come through; refused is what is announced, before it is read."""
        body = b"{}".ljust(size if not refused else 100)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body)
        with wire(answering(answer)) as server:
            transport = direct(server.url)
            if not refused:
                assert transport.call(operation, {}) == {}
                return
            with pytest.raises(CallError) as caught:
                transport.call(operation, {})
        assert (caught.value.failure, caught.value.code) == (Failure.AMBIGUOUS, "MalformedReply")
        assert caught.value.message == "the answer is too large"

    def test_a_checksum_is_checked(self) -> None:
        """DynamoDB sends one with every answer."""
        right = ok(EMPTY, b"x-amz-crc32: %d" % crc32(EMPTY))
        wrong = right.replace(b"Items", b"Item5")
        with wire(answering(right, wrong)) as server:
            transport = direct(server.url)
            assert transport.call(QUERY, {}) == {"Items": []}
            with pytest.raises(CallError) as caught:
                transport.call(QUERY, {})
        assert (caught.value.failure, caught.value.code) == (Failure.AMBIGUOUS, "MalformedReply")

    def test_what_is_compressed_is_refused(self) -> None:
        """Nobody asked for it."""
        with wire(answering(ok(EMPTY, b"Content-Encoding: gzip"))) as server, pytest.raises(CallError) as caught:
            direct(server.url).call(QUERY, {})
        assert caught.value.message == "the answer is compressed"
        assert b"accept-encoding" not in server.requests[0].lower()

    def test_a_redirect_is_not_followed(self) -> None:
        """Signed requests go where the settings say."""
        with wire(echoing) as other:
            answer = b"HTTP/1.1 307 Elsewhere\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % other.url.encode()
            with wire(answering(answer)) as server, pytest.raises(CallError) as caught:
                direct(server.url).call(QUERY, {})
        assert caught.value.failure is Failure.REJECTED
        assert (len(server.requests), other.connections) == (1, 0)

    def test_a_slow_drip_ends(self) -> None:
        """Each byte comes in time; all of them would take for ever."""

        def drip(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not peer.gone():
                peer.send(b" ")
                time.sleep(0.02)

        with wire(drip) as server, pytest.raises(CallError) as caught:
            direct(server.url, timeouts=SHORT).call(QUERY, {})
        assert (caught.value.failure, caught.value.code) == (Failure.AMBIGUOUS, "ReadTimeoutError")

    def test_a_server_that_reads_nothing(self) -> None:
        """The request is larger than what the system takes on its own."""
        released = threading.Event()
        with wire(lambda peer: released.wait(20) and None) as server, pytest.raises(CallError) as caught:
            direct(server.url, timeouts=SHORT).call(QUERY, {"TableName": "x" * (32 << 20)})
        released.set()
        assert (caught.value.failure, caught.value.code) == (Failure.AMBIGUOUS, "ReadTimeoutError")

    def test_a_large_request(self) -> None:
        """Sent in as many pieces as it takes."""
        table = "x" * (8 << 20)
        with wire(echoing) as server:
            assert ask(direct(server.url), table) == table


class TestConnections:
    """When they are made, kept and thrown away."""

    def test_a_reset_after_sending_is_not_repeated(self) -> None:
        """On a kept connection as on a new one: it may have been carried out."""

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(EMPTY))
            peer.request()
            peer.reset()

        with wire(script) as server:
            transport = direct(server.url)
            transport.call(QUERY, {})
            with pytest.raises(CallError) as caught:
                transport.call(QUERY, {})
        assert caught.value.failure is Failure.AMBIGUOUS
        assert (server.connections, len(server.requests)) == (1, 2)

    def test_what_comes_unasked_ends_a_connection(self) -> None:
        """It would be taken for the next answer."""
        said = threading.Event()

        def script(peer: Peer) -> None:
            peer.send(echo(peer.request() or b""))
            peer.send(ok(b'{"Items": [{"name": {"S": "smuggled"}}]}'))
            said.set()
            peer.stall()

        with wire(script, echoing) as server:
            transport = direct(server.url)
            assert ask(transport, "one") == "one"
            assert said.wait(20)
            assert ask(transport, "two") == "two"
        assert server.connections == 2

    def test_an_idle_connection_is_not_trusted_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What stands in between forgets such connections and tells nobody."""
        with wire(echoing) as server:
            transport = direct(server.url)
            assert ask(transport, "one") == "one"
            later = time.monotonic() + 100
            monkeypatch.setattr("dynastash.aws.direct.service.time.monotonic", lambda: later)
            assert ask(transport, "two") == "two"
        assert server.connections == 2

    def test_the_next_address_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where one refuses, and where one does not answer at all."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, wire(echoing) as server:
            addresses = (("127.0.0.1", free_port()), deaf.getsockname(), server.address)
            with socket.create_connection(deaf.getsockname()):  # no room for another
                monkeypatch.setattr(socket, "getaddrinfo", at(*addresses))
                assert ask(direct("http://several.invalid", timeouts=Timeouts(0.2, 5, 10)), "x") == "x"

    def test_no_address_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then nothing was done."""
        with (
            socket.create_server(("127.0.0.1", 0), backlog=0) as deaf,
            socket.create_connection(deaf.getsockname()),
            pytest.raises(CallError) as caught,
        ):
            monkeypatch.setattr(socket, "getaddrinfo", at(deaf.getsockname(), deaf.getsockname()))
            direct("http://several.invalid", timeouts=SHORT).call(QUERY, {})
        assert (caught.value.failure, caught.value.code) == (Failure.UNREACHABLE, "ConnectTimeoutError")
        assert caught.value.message == 'connect timeout on endpoint URL: "http://several.invalid/"'

    def test_the_name_server_is_asked_anew_after_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And otherwise not for each connection."""
        asked: list[bytes] = []
        with wire(answering(ok(EMPTY), close=True)) as server:

            def resolve(host: bytes, *_: Any, **__: Any) -> list[Any]:
                asked.append(host)
                return at(("127.0.0.1", free_port()) if len(asked) == 1 else server.address)()

            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            transport = direct("http://moving.invalid")
            with pytest.raises(CallError, match="could not connect"):
                transport.call(QUERY, {})
            for _ in range(3):
                transport.call(QUERY, {})
                assert server.closed.acquire(timeout=20)
        assert asked == [b"moving.invalid"] * 2
        assert server.connections == 3

    def test_an_endpoint_with_a_path(self) -> None:
        """Behind a gateway; the path is signed."""
        with wire(echoing) as server:
            assert ask(direct(f"{server.url}/aws/dynamodb"), "x") == "x"
        assert server.requests[0].startswith(b"POST /aws/dynamodb HTTP/1.1\r\n")

    def test_an_endpoint_of_another_scheme(self) -> None:
        """As the SDK's transport says it of other nonsense."""
        with pytest.raises(ConfigError, match="invalid endpoint: ftp"):
            direct("ftp://127.0.0.1").call(QUERY, {})

    def test_threads_get_their_own_answers(self) -> None:
        """Over no more connections than there are threads."""
        with wire(echoing) as server:
            transport = direct(server.url)
            names = [f"table-{number}" for number in range(200)]
            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(lambda name: ask(transport, name), names)) == names
        assert server.connections <= 8

    def test_no_file_is_left_open(self) -> None:
        """After answers, refusals, broken and stalled connections, flights and close."""
        before = set(os.listdir("/proc/self/fd"))
        scripts: list[Script] = [echoing, Peer.reset, lambda peer: None, Peer.stall, answering(b"garbage\r\n\r\n")]
        for script in scripts:
            with wire(script) as server:
                transport = direct(server.url, timeouts=SHORT)
                for _ in range(2):
                    try:
                        ask(transport)
                    except CallError:
                        pass
                flight = transport.flight()
                for ticket in range(3):
                    flight.send(ticket, QUERY, {"TableName": "x"})
                flight.wait(0)
                flight.close()
                transport.close()
        try:
            direct(f"http://127.0.0.1:{free_port()}").call(QUERY, {})
        except CallError:
            pass
        for _ in range(100):  # the server's own threads need a moment
            if set(os.listdir("/proc/self/fd")) <= before:
                break
            time.sleep(0.02)
        assert set(os.listdir("/proc/self/fd")) <= before


class TestPrepare:
    """Connecting ahead of the first call."""

    def test_the_call_takes_the_prepared_connection(self) -> None:
        """Also while it is still being made: one handshake is enough."""
        with wire(echoing) as server:
            for _ in range(20):
                transport = direct(server.url)
                transport.prepare("dynamodb")
                assert ask(transport, "x") == "x"
                transport.close()
        assert server.connections == 20

    def test_threads_that_wait_for_it_all_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One of them takes the prepared connection, the others make their own at once."""
        resolve, going = socket.getaddrinfo, threading.Event()

        def slowly(*arguments: Any, **options: Any) -> Any:
            assert going.wait(20)
            return resolve(*arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        with wire(echoing) as server:
            transport = direct(server.url, timeouts=Timeouts(3600, 20, 20))
            transport.prepare("dynamodb")
            with ThreadPoolExecutor(3) as pool:
                asked = [pool.submit(ask, transport, str(number)) for number in range(3)]
                time.sleep(0.05)  # so that most likely all of them wait
                going.set()
                assert [one.result(timeout=30) for one in asked] == ["0", "1", "2"]
        assert server.connections <= 3

    def test_it_is_done_once(self) -> None:
        """However often it is asked for."""
        with wire(echoing) as server:
            transport = direct(server.url)
            for _ in range(3):
                transport.prepare("dynamodb", "dynamodb")
            assert ask(transport, "x") == "x"
            transport.prepare("dynamodb")
            assert ask(transport, "y") == "y"
        assert server.connections == 1

    @pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "http://no-such-host.invalid", "nonsense"])
    def test_its_failures_are_the_calls(self, url: str) -> None:
        """Silent now, one line then."""
        transport = direct(url.format(free_port()))
        transport.prepare("dynamodb", "kms")
        with pytest.raises((CallError, ConfigError)):
            transport.call(QUERY, {})

    def test_nobody_waits_for_one_that_found_no_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The call connects for itself, and not only when an hour has passed."""

        def full(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr("dynastash.aws.direct.service.start_new_thread", full)
        with wire(echoing) as server:
            transport = direct(server.url, timeouts=Timeouts(3600, 20, 20))
            transport.prepare("dynamodb")
            asked = threading.Thread(target=ask, args=(transport, "x"), daemon=True)
            asked.start()
            asked.join(30)
            assert not asked.is_alive()

    def test_it_does_not_keep_a_process_from_ending(self) -> None:
        """A server that never answers the handshake is nobody's business at the end."""
        script = (
            "import sys\n"
            "from tests.engines.transports import direct\n"
            "direct(sys.argv[1]).prepare('kms', 'dynamodb')\n"
            "print('done')\n"
        )
        with wire(Peer.stall) as server:
            url = server.url.replace("http", "https")
            ended = subprocess.run([sys.executable, "-c", script, url], capture_output=True, timeout=60)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"done\n", b"")


FORKING = """
import os, sys
from dynastash.aws.base import Operation
from tests.engines.transports import direct

transport = direct(sys.argv[1])

def ask(table):
    (item,) = transport.call(Operation.QUERY, {"TableName": table})["Items"]
    assert item["name"]["S"] == table, item

flight = transport.flight()
flight.send(1, Operation.QUERY, {"TableName": "parent flown"})
assert flight.wait(None)
ask("parent")  # on a second connection, which is kept
child = os.fork()
if child == 0:
    ask("child")
    ask("child again")
    flight.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
ask("parent again")
flight.send(2, Operation.QUERY, {"TableName": "parent flown again"})
((_, reply),) = flight.wait(None)
assert reply["Items"][0]["name"]["S"] == "parent flown again", reply
flight.close()
"""


def test_a_forked_process_has_connections_of_its_own() -> None:
    """Two processes on one connection would read each other's answers."""
    carried: list[set[str]] = []

    def script(peer: Peer) -> None:
        mine: set[str] = set()
        carried.append(mine)
        while (request := peer.request()) is not None:
            mine.add(table_of(request).partition(" ")[0])
            peer.send(echo(request))

    with wire(script) as server:
        ended = subprocess.run([sys.executable, "-c", FORKING, server.url], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert sorted(carried, key=str) == [{"child"}, {"parent"}, {"parent"}]


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, as in a program of one's own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("flown", [False, True], ids=["call", "flight"])
def test_an_interrupted_answer_is_not_read_on(flown: bool) -> None:
    """The rest of it is not the next call's."""

    def script(peer: Peer) -> None:
        answer = echo(peer.request() or b"")
        peer.send(answer[:-10])
        os.kill(os.getpid(), signal.SIGINT)
        peer.send(answer[-10:])
        peer.stall()

    with wire(script, echoing) as server:
        transport = direct(server.url)
        flight = transport.flight()
        with pytest.raises(KeyboardInterrupt):
            if flown:
                flight.send(1, QUERY, {"TableName": "one"})
                while True:
                    flight.wait(None)
            ask(transport, "one")
        flight.close()
        assert ask(transport, "two") == "two"
    assert server.connections == 2


def test_what_a_call_needs_is_all_that_is_imported(tmp_path: Path) -> None:
    """No SDK, no HTTP client, no event loop; TLS only where it is spoken."""
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from dynastash.aws.base import Operation\n"
        "from dynastash.aws.direct.signing import Credentials\n"
        "from dynastash.aws.direct.transport import DirectTransport\n"
        "class Source:\n"
        "    def get(self):\n"
        "        return Credentials('A', 's')\n"
        "transport = DirectTransport(Source(), region='eu-west-1', endpoints=lambda _: sys.argv[1])\n"
        "transport.prepare('kms')\n"
        "print(transport.call(Operation.QUERY, {}))\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    with wire(answering(ok(b'{"Count": 1}'))) as server:
        ended = subprocess.run([sys.executable, "-c", script, server.url], capture_output=True, text=True, timeout=60)
    reply, modules = ended.stdout.splitlines()
    assert reply == "{'Count': 1}"
    heavy = ("asyncio", "boto3", "botocore", "concurrent", "email", "http", "logging", "ssl", "urllib", "urllib3")
    assert [name for name in modules.split() if name.partition(".")[0] in heavy] == []
