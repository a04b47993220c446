"""Containers' and instances' credentials, from real small servers: the good answers and all others."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dynastash.aws.direct.credentials import imds, metadata
from dynastash.aws.direct.credentials.base import CredentialSource, Fixed
from dynastash.aws.direct.credentials.container import from_container
from dynastash.aws.direct.credentials.environment import from_variables
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.signing import Credentials
from dynastash.aws.direct.urls import Url, plain
from tests.engines.metadata import ROLE, Metadata, expiring, serving

TOKEN = "PUT /latest/api/token"
LIST = "GET /latest/meta-data/iam/security-credentials/"
ROLES = LIST + ROLE
CREDENTIALS = "GET /credentials"


@pytest.fixture
def server() -> Iterator[Metadata]:
    with serving() as state:
        yield state


def otherwise() -> CredentialSource:
    return Fixed(Credentials("key-boto", "made-up", None))


def container(server: Metadata, **variables: str) -> CredentialSource:
    return from_container({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/credentials", **variables}, otherwise)


def instance(server: Metadata, **options: Any) -> CredentialSource:
    base = plain(server.url)
    assert base is not None
    return imds.from_instance(base, otherwise, **options)


def key(source: CredentialSource) -> str:
    return source.get().access_key


def test_a_containers_credentials(server: Metadata) -> None:
    source = container(server)
    held = source.get()
    assert held == Credentials("key-container-2", "made-up-container-2", "token-container-2")
    assert source.account() is None
    assert server.requests == [CREDENTIALS]


def test_the_account_of_a_pods_credentials(server: Metadata) -> None:
    server.container = server.document("container", AccountId="123456789012")
    assert container(server).account() == "123456789012"


def test_ecss_address_and_a_relative_path(server: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    look_up = socket.getaddrinfo
    host, _, port = server.url.removeprefix("http://").partition(":")

    def redirected(*address: Any, **options: Any) -> Any:
        asked.append(address)
        return look_up(host, int(port), **options)

    monkeypatch.setattr(socket, "getaddrinfo", redirected)
    source = from_container({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/id?a=b"}, otherwise)
    assert key(source) == "key-container-2"
    assert asked == [("169.254.170.2", 80)]
    assert server.requests == ["GET /v2/credentials/id?a=b"]


def test_the_authorization_of_a_container(server: Metadata) -> None:
    server.authorization = "secret-of-the-test"
    assert key(container(server, AWS_CONTAINER_AUTHORIZATION_TOKEN="secret-of-the-test")) == "key-container-2"
    assert key(container(server, AWS_CONTAINER_AUTHORIZATION_TOKEN="another")) == "key-boto"
    assert key(container(server)) == "key-boto"


def test_the_token_file_of_a_pod_is_read_anew_each_time(server: Metadata, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    server.authorization = "first"
    server.container = server.document("container", Expiration=expiring(12 * 60))
    now = time.time()
    source = from_container(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not this one",
        },
        otherwise,
        now=lambda: now,
    )
    assert key(source) == "key-container-3"
    server.authorization = "second"
    server.container = server.document("container")
    file.write_text("second")
    now += 60
    assert key(source) == "key-container-4"


@pytest.mark.parametrize("content", ["two\nlines", "über"])
def test_a_token_that_is_no_header_is_never_sent(server: Metadata, tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    assert key(container(server, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token"))) == "key-boto"
    assert key(container(server, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "missing"))) == "key-boto"
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.170.3/x",
        "http://127.0.0.1.example.com/x",
        "http://127.1/x",
        "http://127.0.0.01/x",
        "http://127.0.0.256/x",
        "http://2130706433/x",
        "http://localhost.example.com/x",
        "http://LOCALHOST/x",
        "http://localhost@example.com/x",
        "http://[::2]/x",
        "http://[fd00:ec2::23%25eth0]/x",
        "https://localhost/x",
        "ftp://localhost/x",
        "//localhost/x",
        "localhost",
        "",
    ],
)
def test_a_token_goes_to_no_strangers(url: str) -> None:
    with pytest.raises(HandOver):
        from_container({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}, otherwise)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://127.0.0.1:1338/a",
        "http://127.255.0.9",
        "http://[::1]:80/a",
        "http://169.254.170.23/",
    ],
)
def test_near_addresses(url: str) -> None:
    from_container({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}, otherwise)


def test_an_instances_credentials(server: Metadata) -> None:
    source = instance(server)
    assert source.get() == Credentials("key-instance-1", "made-up-instance-1", "token-instance-1")
    assert source.account() is None
    assert server.requests == [TOKEN, LIST, ROLES]


def test_each_renewal_has_a_token_of_its_own(server: Metadata) -> None:
    now = time.time()
    source = instance(server, now=lambda: now)
    assert key(source) == "key-instance-1"
    server.tokens.clear()  # six hours later
    now += 5.9 * 3600
    server.instance = server.document("instance", Expiration=expiring(12 * 3600))
    assert key(source) == "key-instance-3"
    assert server.requests == [TOKEN, LIST, ROLES] * 2


def test_a_token_that_has_expired_on_the_way_is_for_boto3(server: Metadata) -> None:
    server.status[LIST] = 401
    assert key(instance(server)) == "key-boto"


def test_a_container_behind_one_more_hop_is_for_boto3(server: Metadata) -> None:
    server.hops = 0
    assert key(instance(server, timeout=0.2)) == "key-boto"
    assert server.requests == [TOKEN]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500, 301])
@pytest.mark.parametrize("request_", [TOKEN, LIST, ROLES])
def test_version_1_and_failures_are_for_boto3(server: Metadata, status: int, request_: str) -> None:
    server.status[request_] = status
    assert key(instance(server)) == "key-boto"
    assert server.requests[-1] == request_


@pytest.mark.parametrize("role", ["", "a/b", "a b", "a\r\nb", "../token", "ü", "a?b", "<html>"])
def test_a_roles_name_that_is_none_is_not_asked_for(server: Metadata, role: str) -> None:
    server.role = role.encode("utf-8").decode("latin-1") if role == "ü" else role
    assert key(instance(server)) == "key-boto"
    assert server.requests == [TOKEN, LIST]


def test_an_instance_keeps_using_what_it_last_got_while_its_source_is_out() -> None:
    now = 1_000_000.0
    for expires, least, most in (
        (now + 6 * 3600, 6 * 3600, 6 * 3600),
        (now + 60, 15 * 60 + 120, 15 * 60 + 600),
        (now - 3600, 15 * 60 + 120, 15 * 60 + 600),
    ):
        extended = {imds._extended(expires, now) - now for _ in range(50)}
        assert min(extended) >= least
        assert max(extended) <= most
        assert len(extended) == 1 if least == most else len(extended) > 5


def test_expired_credentials_of_an_instance_are_used(server: Metadata) -> None:
    server.instance = server.document("instance", Expiration=expiring(-3600))
    assert key(instance(server)) == "key-instance-3"


def _good(**parts: Any) -> dict[str, Any]:
    return Metadata().document("x", **{"Expiration": "2199-01-01T00:00:00Z", **parts})


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 60_000,
        json.dumps({"Code": "Failed", "Message": "no role"}).encode(),
        *(json.dumps(_good(**{part: None})).encode() for part in _good()),
        *(json.dumps(_good(**{part: ""})).encode() for part in _good()),
        *(json.dumps(_good(**{part: 5})).encode() for part in _good()),
        json.dumps(_good(Token="a\r\nEvil: b")).encode(),
        json.dumps(_good(AccessKeyId="ü")).encode(),
        json.dumps(_good(Expiration="tomorrow")).encode(),
        json.dumps(_good(Expiration="2030-01-01T00:00:00")).encode(),
        json.dumps(_good(AccountId=5)).encode(),
        json.dumps(_good(AccountId="evil.example.com/")).encode(),
    ],
    ids=lambda document: document[:60].decode("ascii", "replace"),
)
def test_documents_without_usable_credentials_are_for_boto3(server: Metadata, document: bytes) -> None:
    server.raw[CREDENTIALS] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(document), document)
    assert key(container(server)) == "key-boto"


BODY = json.dumps(_good()).encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Length: 5\r\n\r\n%s" % (len(BODY), BODY),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n" + BODY,
        b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n" + BODY,
        b"HTTP/2 200 OK\r\n\r\n" + BODY,
        b"SSH-2.0-OpenSSH\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\n\r\n" + BODY + b" " * metadata._LIMIT,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * metadata._LIMIT,
    ],
)
def test_hostile_and_broken_answers_are_for_boto3(server: Metadata, answer: bytes) -> None:
    server.raw[CREDENTIALS] = answer
    assert key(container(server)) == "key-boto"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
        b"HTTP/1.1 200\r\nContent-length:%d\r\n\r\n%s" % (len(BODY), BODY),
    ],
)
def test_unusual_answers_that_are_right(server: Metadata, answer: bytes) -> None:
    server.raw[CREDENTIALS] = answer
    assert key(container(server)) == json.loads(BODY)["AccessKeyId"]


def test_a_server_that_stalls_in_the_middle_is_given_up(server: Metadata) -> None:
    server.raw[TOKEN] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    server.stalls = True
    assert key(instance(server, timeout=0.2)) == "key-boto"
    assert server.requests == [TOKEN]


def test_nobody_there_is_for_boto3() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(HandOver, match="does not answer"):
            metadata.ask("GET", Url("http", "127.0.0.1", unused.getsockname()[1], "/"), {}, 1.0)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AWS_SESSION_TOKEN": "t"}, "t"),
        ({"AWS_SESSION_TOKEN": "t", "AWS_SECURITY_TOKEN": "older"}, "older"),
        ({"AWS_SESSION_TOKEN": ""}, None),
    ],
)
def test_the_environments_credentials(variables: Mapping[str, str], expected: str | None) -> None:
    source = from_variables({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "made-up", **variables}, otherwise)
    assert source is not None
    assert source.get() == Credentials("key", "made-up", expected)


def test_the_environments_credentials_are_read_again_before_they_expire() -> None:
    now = 1_700_000_000.0
    variables = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_CREDENTIAL_EXPIRATION": "2023-11-14T23:13:20Z",  # an hour later
    }
    source = from_variables(variables, otherwise, now=lambda: now)
    assert source is not None
    assert key(source) == "key"
    now += 3000
    variables |= {"AWS_ACCESS_KEY_ID": "key-2", "AWS_CREDENTIAL_EXPIRATION": "2023-11-15T01:00:00+00:00"}
    assert key(source) == "key-2"
    now += 3 * 3600
    assert key(source) == "key-boto"


def test_nothing_secret_stands_in_a_repr() -> None:
    shown: Callable[[object], str] = repr
    held = Fixed(Credentials("key", "made-up-secret", "made-up-token"))
    assert "made-up" not in shown(held) + shown(held.get())
