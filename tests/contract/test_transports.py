"""One contract for all ways to AWS: the same replies, the same errors in the same words, the same doubts.

``boto`` is the oracle: where it says something else than ``direct``, the tests say why.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynastash.aws import boto
from dynastash.aws.base import CallError, Failure, Operation, Transport
from dynastash.aws.boto import BotoTransport
from dynastash.aws.direct.connection import Timeouts
from dynastash.aws.direct.tls import TlsSettings
from dynastash.aws.identity import Identity
from dynastash.aws.retry import patiently
from dynastash.errors import ConfigError, CredentialsError
from dynastash.testing.fakes import FakeClock
from tests.engines.canned import Answer, canned, refusal
from tests.engines.certificates import Authority
from tests.engines.servers import free_port
from tests.engines.transports import direct
from tests.engines.wire import Peer, Script, answering, ok, wire

QUERY: Mapping[str, Any] = {"TableName": "some-table"}
PUT: Mapping[str, Any] = {"Put": {"TableName": "some-table", "Item": {"name": {"S": "x"}}}}
EMPTY = b'{"Items": []}'
DATA_KEY = b"sixteen bytes..." * 2
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSED = (
    Failure.AMBIGUOUS,
    "ConnectionClosedError",
    'connection was closed before we received a valid response from endpoint URL: "{url}/"',
)
UNREADABLE = (Failure.AMBIGUOUS, "MalformedReply", "the answer cannot be read")

Call = Callable[[Operation, Mapping[str, Any]], dict[str, Any]]


class Way:
    """One way to make calls: a transport, or a flight of it."""

    def __init__(self, name: str, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        self._session = session
        self._monkeypatch = monkeypatch

    def transport(self, url: str, *, bundle: Path | None = None, seconds: float = 10.0) -> Transport:
        """A transport to ``url`` that trusts ``bundle`` and waits ``seconds`` for anything."""
        if self.name == "boto":
            self._monkeypatch.setattr(boto.client_config, "__defaults__", (seconds, seconds))
            if bundle:
                self._monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
            return BotoTransport(self._session, endpoint_url=url)
        tls = TlsSettings(str(bundle)) if bundle else None
        return direct(url, timeouts=Timeouts(seconds, seconds, 2 * seconds), tls=tls)

    def caller(self, url: str, *, bundle: Path | None = None, seconds: float = 10.0) -> Call:
        """Makes calls in this way; with a flight, each call has one of its own."""
        transport = self.transport(url, bundle=bundle, seconds=seconds)
        if self.name != "flight":
            return transport.call

        def call(operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
            flight = transport.flight()
            try:
                flight.send(7, operation, request)
                ((ticket, ended),) = flight.wait(None)
                assert flight.wait(0) == []
            finally:
                flight.close()
            assert ticket == 7
            if isinstance(ended, Exception):
                raise ended
            return ended

        return call


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One for all: it has to read the services' models once."""
    return boto3.Session(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret", region_name="eu-west-1")


@pytest.fixture(params=["boto", "direct", "flight"])
def way(request: pytest.FixtureRequest, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Each in turn."""
    return Way(request.param, session, monkeypatch)


class TestAnswers:
    """What a service says."""

    def test_requests_and_replies_are_the_apis_own(self, way: Way) -> None:
        """Binary goes as bytes both ways, at any depth; nothing else stands in a reply; the caller's request stays."""
        text = base64.b64encode(b"\xff").decode()
        value = {"L": [{"M": {"B": {"BS": [text, ""]}, "BS": {"B": text}}}, {"NULL": True}, {"S": "é\U0001f511"}]}
        reply = {"Items": [{"blob": {"B": text}, "B": value}], "Count": 1, "LastEvaluatedKey": {"B": {"B": text}}}
        request = {
            **QUERY,
            "ExpressionAttributeValues": {":b": {"B": b"\x00\xfe"}, ":l": {"L": [{"BS": [b"", b"\xc3"]}]}},
        }
        before = json.dumps(request, default=repr)
        with canned(Answer(body=json.dumps(reply).encode())) as server:
            decoded = way.caller(server.url)(Operation.QUERY, request)
        assert decoded == {
            "Items": [
                {
                    "blob": {"B": b"\xff"},
                    "B": {
                        "L": [
                            {"M": {"B": {"BS": [b"\xff", b""]}, "BS": {"B": b"\xff"}}},
                            {"NULL": True},
                            {"S": "é\U0001f511"},
                        ]
                    },
                }
            ],
            "Count": 1,
            "LastEvaluatedKey": {"B": {"B": b"\xff"}},
        }
        ((headers, body),) = server.requests
        assert headers["x-amz-target"] == "DynamoDB_20120810.Query"
        assert headers["content-type"] == "application/x-amz-json-1.0"
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
        assert "dynastash/" in headers["user-agent"]
        values = json.loads(body)["ExpressionAttributeValues"]
        assert values == {":b": {"B": "AP4="}, ":l": {"L": [{"BS": ["", "ww=="]}]}}
        assert json.dumps(request, default=repr) == before

    def test_single_writes(self, way: Way) -> None:
        """An item put and one deleted, binary as bytes in the request and in what was there before."""
        stored = {"Attributes": {"name": {"S": "x"}, "hmac": {"B": "AP4="}}}
        item = {"name": {"S": "x"}, "hmac": {"B": b"\x00\xfe"}}
        with canned(Answer(body=b"{}"), Answer(body=json.dumps(stored).encode())) as server:
            call = way.caller(server.url)
            assert call(Operation.PUT_ITEM, {"TableName": "some-table", "Item": item}) == {}
            request = {"TableName": "some-table", "Key": {"name": {"S": "x"}}, "ReturnValues": "ALL_OLD"}
            assert call(Operation.DELETE_ITEM, request) == {"Attributes": item}
        ((put, body), (delete, _)) = server.requests
        assert put["x-amz-target"] == "DynamoDB_20120810.PutItem"
        assert delete["x-amz-target"] == "DynamoDB_20120810.DeleteItem"
        assert json.loads(body)["Item"] == {"name": {"S": "x"}, "hmac": {"B": "AP4="}}

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            (Operation.PUT_ITEM, {"TableName": "some-table", "Item": {"name": {"S": "x"}}}),
            (Operation.DELETE_ITEM, {"TableName": "some-table", "Key": {"name": {"S": "x"}}}),
        ],
    )
    def test_a_single_write_that_loses(self, way: Way, operation: Operation, request_: Mapping[str, Any]) -> None:
        """Its condition is an answer, and by itself nothing is open."""
        answer = refusal("ConditionalCheckFailedException", "The conditional request failed")
        with canned(answer) as server, pytest.raises(CallError) as caught:
            way.caller(server.url)(operation, request_)
        assert (caught.value.code, caught.value.failure) == ("ConditionalCheckFailedException", Failure.REJECTED)
        assert not caught.value.uncertain

    def test_data_keys(self, way: Way) -> None:
        """KMS's binary members."""
        minted = {
            "KeyId": "arn:aws:kms:eu-west-1:1:key/2",
            "Plaintext": base64.b64encode(DATA_KEY).decode(),
            "CiphertextBlob": base64.b64encode(b"wrapped").decode(),
        }
        with canned(Answer(body=json.dumps(minted).encode())) as server:
            call = way.caller(server.url)
            reply = call(Operation.GENERATE_DATA_KEY, {"KeyId": "alias/x", "KeySpec": "AES_256"})
            assert reply == {"KeyId": minted["KeyId"], "Plaintext": DATA_KEY, "CiphertextBlob": b"wrapped"}
            context = {"B": "text", "é": "é"}
            reply = call(Operation.DECRYPT, {"CiphertextBlob": b"\xff\xfe", "EncryptionContext": context})
            assert reply["Plaintext"] == DATA_KEY
        (headers, body) = server.requests[1]
        assert headers["x-amz-target"] == "TrentService.Decrypt"
        assert headers["content-type"] == "application/x-amz-json-1.1"
        assert json.loads(body) == {"CiphertextBlob": "//4=", "EncryptionContext": {"B": "text", "é": "é"}}

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (refusal("ThrottlingException", "slow"), (Failure.THROTTLED, "ThrottlingException", "slow")),
            (refusal("InternalServerError", status=500), (Failure.AMBIGUOUS, "InternalServerError", "")),
            (refusal("ValidationException", "bad."), (Failure.REJECTED, "ValidationException", "bad")),
            (Answer(400, b'{"__type": "X:http://", "Message": "M"}'), (Failure.REJECTED, "X", "M")),
            (Answer(429, b"{}"), (Failure.THROTTLED, "429", "")),
            (
                Answer(503, b"<html><body>Service Unavailable</body></html>"),
                (Failure.AMBIGUOUS, "503", "Service Unavailable"),
            ),
            (Answer(503, b"upstream hunter2"), (Failure.AMBIGUOUS, "503", "Service Unavailable")),
            (Answer(502, b""), (Failure.AMBIGUOUS, "502", "Bad Gateway")),
            (Answer(403, b"<html>hunter2</html>"), (Failure.REJECTED, "403", "the answer of status 403 is not AWS's")),
            (Answer(404, b""), (Failure.REJECTED, "404", "the answer of status 404 is not AWS's")),
            (Answer(302, b""), (Failure.REJECTED, "302", "the answer of status 302 is not AWS's")),
            (Answer(400, b"[" * 100_000), (Failure.REJECTED, "400", "the answer of status 400 is not AWS's")),
            (Answer(200, b"<html>Sign in to the hotel's network</html>"), UNREADABLE),
            (Answer(200, b'{"Items": [{"name"'), UNREADABLE),
            (Answer(200, b""), UNREADABLE),
            (Answer(200, b"[]"), UNREADABLE),
            (Answer(200, b"null"), UNREADABLE),
            (Answer(200, b'{"Items": "x"}'), UNREADABLE),
            (Answer(200, b'{"Items": {"0": 1}}'), UNREADABLE),
            (Answer(200, b'{"Items": [[]]}'), UNREADABLE),
            (Answer(200, b'{"Items": 5}'), UNREADABLE),
            (Answer(200, b'{"LastEvaluatedKey": []}'), UNREADABLE),
            (Answer(200, b'{"Items": [{"a": {"B": "QQ"}}]}'), UNREADABLE),
            (Answer(200, b'{"Items": [{"a": {"BS": [5]}}]}'), UNREADABLE),
            (Answer(200, b'{"Items": [{"a": {"S": "\xff"}}]}'), UNREADABLE),
            (Answer(200, b'{"Items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), UNREADABLE),
        ],
        ids=lambda value: repr(value)[14:60] if isinstance(value, Answer) else "",
    )
    def test_a_bad_answer_is_one_failed_attempt(
        self, way: Way, answer: Answer, expected: tuple[Failure, str, str]
    ) -> None:
        """Whatever comes back, it is a CallError, nothing was tried again, and no page is quoted."""
        with canned(answer) as server, pytest.raises(CallError) as caught:
            way.caller(server.url)(Operation.QUERY, QUERY)
        assert (caught.value.failure, caught.value.code, caught.value.message) == expected
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "body",
        [b"{", b"", b'{"Plaintext": "Q"}', b'{"Plaintext": 5}', b'{"Plaintext": {}}', b"\xff"],
    )
    def test_half_a_data_key_is_not_quoted(self, way: Way, body: bytes) -> None:
        """Neither in the message nor in the chain."""
        half = b'{"KeyId": "hunter2", ' + body[1:]
        with canned(Answer(body=half)) as server, pytest.raises(CallError) as caught:
            way.caller(server.url)(Operation.DECRYPT, {"CiphertextBlob": b"x"})
        assert (caught.value.failure, caught.value.code, caught.value.message) == UNREADABLE
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__

    def test_a_page_instead_of_an_answer_is_not_a_commit(self, way: Way) -> None:
        """The answer to a transaction is the empty object: nothing else may be taken for it."""
        with canned(Answer(200, b"<html></html>")) as server, pytest.raises(CallError) as caught:
            way.caller(server.url)(Operation.TRANSACT_WRITE_ITEMS, {"TransactItems": [PUT]})
        assert caught.value.uncertain

    def test_a_cancelled_transaction_brings_its_reasons(self, way: Way) -> None:
        """One code for each action, and the first explanation."""
        reasons = [{"Code": "None"}, {"Code": "ValidationError", "Message": "too large"}, {"Message": "x"}]
        answer = refusal("TransactionCanceledException", "Transaction cancelled", CancellationReasons=reasons)
        with canned(answer) as server, pytest.raises(CallError) as caught:
            way.caller(server.url)(Operation.TRANSACT_WRITE_ITEMS, {"TransactItems": [PUT, PUT, PUT]})
        assert caught.value.reasons == ("None", "ValidationError", "None")
        assert caught.value.message == "too large"

    def test_expired_credentials(self, way: Way) -> None:
        """Found out by the answer."""
        with canned(refusal("ExpiredTokenException")) as server, pytest.raises(CredentialsError) as caught:
            way.caller(server.url)(Operation.QUERY, QUERY)
        assert str(caught.value) == "the AWS credentials have expired (ExpiredTokenException)"
        assert "aws sso login" in (caught.value.hint or "")

    def test_one_policy_repeats_for_all(self, way: Way) -> None:
        """Throttling, a server's failure and a lost connection, each an attempt."""
        fleeting = (refusal("ThrottlingException"), Answer(500, b""), Answer(hang_up=True), Answer(body=EMPTY))
        with canned(*fleeting) as server:
            transport = way.transport(server.url)
            assert patiently(transport, Operation.QUERY, QUERY, FakeClock()) == {"Items": []}
        assert len(server.requests) == 4
        assert len({body for _, body in server.requests}) == 1


def sts(content: bytes) -> bytes:
    """An answer of STS, which speaks XML."""
    return (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        + content
        + b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


class TestIdentity:
    """Who calls."""

    def test_sts_says_it_once(self, way: Way) -> None:
        """The ARN, asked for by a form."""
        with canned(Answer(body=sts(b"<Arn>arn:aws:iam::123456789012:user/ada</Arn>"))) as server:
            identity = Identity(way.transport(server.url))
            assert identity() == identity() == "arn:aws:iam::123456789012:user/ada"
        ((headers, body),) = server.requests
        assert headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert sorted(body.split(b"&")) == [b"Action=GetCallerIdentity", b"Version=2011-06-15"]

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
            Answer(403, b"<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>"),
            Answer(500, b""),
            Answer(hang_up=True),
            Answer(200, b"<html></html>"),
            Answer(200, b""),
            Answer(200, b"\xff"),
            Answer(200, sts(b"<Account>123456789012</Account>")),
            Answer(200, sts(b"<Arn></Arn>")),
            Answer(200, sts(b"<Arn>arn:aws:iam::123456789012:user/ada</Arn>")[:-5]),
        ],
        ids=["denied", "expired", "broken", "cut", "page", "nothing", "bytes", "without", "empty", "half"],
    )
    def test_without_sts_the_access_key_stands_in(self, way: Way, answer: Answer) -> None:
        """No put fails for its author's name, and nobody waits for it again."""
        with canned(answer) as server:
            identity = Identity(way.transport(server.url))
            assert identity() == identity() == "access-key/AKIAEXAMPLE"
        assert len(server.requests) == 1

    def test_without_a_network_the_access_key_stands_in(self, way: Way) -> None:
        """STS out of reach, as in a private subnet."""
        assert Identity(way.transport(f"http://127.0.0.1:{free_port()}"))() == "access-key/AKIAEXAMPLE"


class TestWire:
    """What happens on a connection."""

    @pytest.mark.parametrize(
        "answer",
        [
            ok(EMPTY),
            ok(EMPTY, b"Connection: close"),
            b"HTTP/1.1 100 Continue\r\n\r\n" + ok(EMPTY),
            CHUNKED + b"7\r\n" + EMPTY[:7] + b"\r\n6\r\n" + EMPTY[7:] + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n" + EMPTY,
            b"HTTP/1.0 200 OK\r\n\r\n" + EMPTY,
            b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\n" + EMPTY,
        ],
        ids=["length", "last", "continue", "chunked", "until closed", "1.0 until closed", "1.0 length"],
    )
    def test_ways_to_say_it(self, way: Way, answer: bytes) -> None:
        """HTTP has several."""
        with wire(answering(answer, close=True)) as server:
            assert way.caller(server.url)(Operation.QUERY, QUERY) == {"Items": []}

    @pytest.mark.parametrize(
        ("script", "expected"),
        [
            (lambda peer: peer.request() and peer.reset(), CLOSED),
            (lambda peer: None, CLOSED),
            (lambda peer: peer.request() and None, CLOSED),
            (answering(ok(EMPTY + b"x")[:-1], close=True), CLOSED),
            (answering(ok(EMPTY[:-1]) + EMPTY[-1:]), UNREADABLE),
            (answering(b"\x16\x03\x01\x02hunter2\r\n\r\n"), CLOSED),
            (answering(ok(EMPTY, *[b"X: hunter2"] * 101)), CLOSED),
            (answering(CHUNKED + b"d\r\n" + EMPTY + b"\r\n", close=True), CLOSED),
            (answering(CHUNKED + b"hunter2\r\n" + EMPTY), CLOSED),
            (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), UNREADABLE),
        ],
        ids=[
            "reset",
            "closed",
            "closed after the request",
            "length too long",
            "length too short",
            "garbage",
            "headers",
            "half the chunks",
            "bad chunk",
            "no content",
        ],
    )
    def test_a_broken_answer(self, way: Way, script: Script, expected: tuple[Failure, str, str]) -> None:
        """It may have been carried out. One attempt, one line, and nothing of what came."""
        with wire(script) as server, pytest.raises(CallError) as caught:
            way.caller(server.url)(Operation.QUERY, QUERY)
        failure, code, message = expected
        assert (caught.value.failure, caught.value.code) == (failure, code)
        assert caught.value.message == message.format(url=server.url)
        assert server.connections == 1

    @pytest.mark.parametrize(
        "script",
        [
            Peer.stall,
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + EMPTY),
            answering(b"HTTP/1.1 200 OK\r\n"),
            answering(b"HTTP/1.1 100 Continue\r\n\r\n"),
        ],
        ids=["silent", "length too long", "half a head", "continue"],
    )
    def test_a_server_that_stalls_is_cut_off(self, way: Way, script: Script) -> None:
        """And nobody knows what became of the request."""
        with wire(script) as server, pytest.raises(CallError) as caught:
            way.caller(server.url, seconds=0.2)(Operation.QUERY, QUERY)
        assert (caught.value.failure, caught.value.code) == (Failure.AMBIGUOUS, "ReadTimeoutError")
        assert caught.value.message == f'read timeout on endpoint URL: "{server.url}/"'

    def test_nobody_listens(self, way: Way) -> None:
        """A refused connection is no network."""
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(CallError) as caught:
            way.caller(url)(Operation.QUERY, QUERY)
        assert (caught.value.failure, caught.value.code) == (Failure.UNREACHABLE, "EndpointConnectionError")
        assert caught.value.message == f'could not connect to the endpoint URL: "{url}/"'

    def test_a_host_without_an_address(self, way: Way) -> None:
        """The same words: the name server's own differ from system to system."""
        with pytest.raises(CallError) as caught:
            way.caller("http://no-such-host.invalid")(Operation.QUERY, QUERY)
        assert (caught.value.failure, caught.value.code) == (Failure.UNREACHABLE, "EndpointConnectionError")
        assert caught.value.message == 'could not connect to the endpoint URL: "http://no-such-host.invalid/"'

    @pytest.mark.parametrize("url", ["nonsense", "http://", "http://a b", "http://[::1"])
    def test_an_endpoint_that_is_no_url(self, way: Way, url: str) -> None:
        """Shown as it was given."""
        with pytest.raises(ConfigError) as caught:
            way.caller(url)(Operation.QUERY, QUERY)
        assert "the AWS configuration is invalid: " in str(caught.value)
        assert "endpoint_url" in (caught.value.hint or "")

    def test_a_connection_is_kept(self, way: Way) -> None:
        """Many calls, one connection."""
        with wire(answering(ok(EMPTY))) as server:
            call = way.caller(server.url)
            for _ in range(5):
                assert call(Operation.QUERY, QUERY) == {"Items": []}
        assert (server.connections, len(server.requests)) == (1, 5)

    def test_a_kept_connection_that_the_server_closed_is_replaced(self, way: Way) -> None:
        """The call does not notice."""
        with wire(answering(ok(EMPTY), close=True)) as server:
            call = way.caller(server.url)
            assert call(Operation.QUERY, QUERY) == {"Items": []}
            assert server.closed.acquire(timeout=20)
            assert call(Operation.QUERY, QUERY) == {"Items": []}
        assert server.connections == 2

    def test_a_connection_is_not_kept_after_a_broken_answer(self, way: Way) -> None:
        """What is left on it must not be the next call's answer."""
        late = ok(b'{"Items": [], "Count": 13}')
        with wire(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{" + late), answering(ok(EMPTY))) as server:
            call = way.caller(server.url)
            with pytest.raises(CallError):
                call(Operation.QUERY, QUERY)
            if way.name != "boto":  # urllib3 goes on, and takes the late answer for the next
                assert call(Operation.QUERY, QUERY) == {"Items": []}


class TestTls:
    """Certificates and host names are always verified."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        """The one that is trusted."""
        return Authority(tmp_path)

    def test_the_users_own_authority_is_taken(self, way: Way, authority: Authority) -> None:
        """For a host name and for an address."""
        for host in ("localhost", "127.0.0.1"):
            with wire(answering(ok(EMPTY)), tls=authority.server(host), host=host) as server:
                call = way.caller(server.url, bundle=authority.bundle)
                assert call(Operation.QUERY, QUERY) == call(Operation.QUERY, QUERY) == {"Items": []}
            assert (server.connections, len(server.requests)) == (1, 2)

    @pytest.mark.parametrize("fault", ["wrong host", "expired", "self-signed", "unknown", "usual authorities"])
    def test_a_bad_certificate_is_refused(self, way: Way, authority: Authority, tmp_path: Path, fault: str) -> None:
        """At once, with the way out, and before anything was sent: no patience mends it."""
        context = {
            "wrong host": lambda: authority.server("localhost"),
            "expired": lambda: authority.server("127.0.0.1", expired=True),
            "self-signed": lambda: authority.server("127.0.0.1", self_signed=True),
            "unknown": lambda: Authority(tmp_path, "other").server("127.0.0.1"),
            "usual authorities": lambda: authority.server("127.0.0.1"),
        }[fault]()
        bundle = None if fault == "usual authorities" else authority.bundle
        with wire(answering(ok(EMPTY)), tls=context) as server, pytest.raises(ConfigError) as caught:
            way.caller(server.url, bundle=bundle)(Operation.QUERY, QUERY)
        assert str(caught.value) == f"the TLS certificate of {server.url}/ cannot be verified"
        assert "AWS_CA_BUNDLE" in (caught.value.hint or "")
        assert server.requests == []

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "text"])
    def test_a_bundle_that_cannot_be_used_is_named(
        self, way: Way, authority: Authority, tmp_path: Path, content: bytes | None
    ) -> None:
        """Not as an SSL error that is tried again for half a minute."""
        bundle = tmp_path / "bundle.pem"
        if content is not None:
            bundle.write_bytes(content)
        with wire(answering(ok(EMPTY)), tls=authority.server("127.0.0.1")) as server, pytest.raises(ConfigError) as e:
            way.caller(server.url, bundle=bundle)(Operation.QUERY, QUERY)
        assert str(e.value) == "the file of certificate authorities cannot be read"
        assert "AWS_CA_BUNDLE" in (e.value.hint or "")

    def test_a_long_answer(self, way: Way, authority: Authority) -> None:
        """Of many TLS records."""
        items = [{"name": {"S": "x" * 1000}} for _ in range(1000)]
        with wire(answering(ok(json.dumps({"Items": items}).encode())), tls=authority.server("127.0.0.1")) as server:
            assert way.caller(server.url, bundle=authority.bundle)(Operation.QUERY, QUERY) == {"Items": items}

    def test_the_oldest_protocols_are_not_spoken(self, way: Way, authority: Authority) -> None:
        """TLS 1.2 is the least."""
        import ssl
        import warnings

        context = authority.server("127.0.0.1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with wire(answering(ok(EMPTY)), tls=context) as server, pytest.raises(CallError) as caught:
            way.caller(server.url, bundle=authority.bundle)(Operation.QUERY, QUERY)
        assert caught.value.code in ("SSLError", "ConnectionClosedError")
        assert server.requests == []
