"""Signatures: the same as botocore's for any request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import example, given
from hypothesis import strategies as st

from dynastash.aws.direct.signing import Credentials, Signer

_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
_TOKEN = st.text("ABCDEFGHIJKLMNOPabcdefghijkl0123456789+/=", min_size=1, max_size=60)
_HOST = st.sampled_from(
    (
        "dynamodb.eu-west-1.amazonaws.com",
        "KMS.eu-west-1.amazonaws.com",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "xn--bcher-kva.example",
        "a_b.example",
    )
)
_PATH = st.text("abc/.~%-_ é日+:@", max_size=20).map(lambda text: f"/{text}")
_NAME = st.sampled_from(("Content-Type", "X-Amz-Target", "User-Agent", "Expect", "X-Amzn-Trace-Id", "X-Zero", "TE"))
_VALUE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")) | st.sampled_from(" \t"), max_size=30)


def botocores(
    credentials: Credentials, when: datetime, url: str, headers: list[tuple[str, str]], body: bytes, method: str
) -> tuple[str, list[tuple[str, str]]]:
    """The ``Authorization`` header of botocore's signer, and all other headers of the request that it signed."""
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    known = botocore.credentials.Credentials(credentials.access_key, credentials.secret_key, credentials.token)
    signer: Any = botocore.auth.SigV4Auth(known, "kms", "eu-west-1")
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: when):
        signer.add_auth(request)
    signed = list(request.headers.items())
    return (
        dict(signed)["Authorization"],
        [(name, value) for name, value in signed if name != "Authorization"] + [("host", _host(url))],
    )


def _host(url: str) -> str:
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    ordinary = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return name if ordinary else f"{name}:{parts.port}"


@given(
    access_key=_TOKEN,
    secret_key=_TEXT,
    token=st.none() | _TOKEN,
    scheme=st.sampled_from(("http", "https")),
    host=_HOST,
    port=st.sampled_from(("", ":80", ":443", ":8000", ":4566")),
    path=_PATH,
    query=st.sampled_from(("", "b=2&a=1", "a=2&a=1&a", "x=%20&X=1", "=&=1&&")),
    headers=st.lists(st.tuples(_NAME, _VALUE), max_size=6),
    body=st.binary(max_size=100) | _TEXT.map(str.encode),
    when=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    method=st.sampled_from(("POST", "GET")),
)
@example(
    "AKIA", "s", None, "https", "localhost", "", "/", "", [("X-Zero", " a  b\t c ")], b"", datetime(2026, 2, 28), "POST"
)
@example(
    "ASIA",
    "é",
    "t=",
    "http",
    "[::1]",
    ":1",
    "/a/../b//",
    "",
    [("X-Zero", "1"), ("x-zero", "2")],
    b"{}",
    datetime(2026, 1, 1),
    "POST",
)
def test_the_signature_is_botocores(
    access_key: str,
    secret_key: str,
    token: str | None,
    scheme: str,
    host: str,
    port: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    when: datetime,
    method: str,
) -> None:
    """Session tokens, unicode, empty bodies, odd hosts and ports, white space, repeated and unsigned headers."""
    credentials = Credentials(access_key, secret_key, token)
    url = f"{scheme}://{host}{port}{path}" + (f"?{query}" if query else "")
    expected, sent = botocores(credentials, when.replace(tzinfo=UTC), url, headers, body, method)
    parts = urlsplit(url)
    assert (
        Signer("eu-west-1", "kms").authorization(
            credentials,
            when.strftime("%Y%m%dT%H%M%SZ"),
            sent,
            body,
            method=method,
            path=parts.path,
            query=parts.query,
        )
        == expected
    )


def test_the_kept_key_follows_the_day_and_the_secret() -> None:
    """One signer, used over midnight and with rotated credentials, signs as new ones do."""
    kept = Signer("eu-west-1", "kms")
    headers = [("host", "localhost")]
    for secret in ("one", "two", "one"):
        for date in ("20261125T235959Z", "20261126T000000Z", "20261125T235959Z"):
            credentials = Credentials("AKIA", secret)
            fresh = Signer("eu-west-1", "kms").authorization(credentials, date, headers, b"{}")
            assert kept.authorization(credentials, date, headers, b"{}") == fresh


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_credentials_hide_their_secrets(show: Any) -> None:
    """The access key's id is no secret."""
    shown = show(Credentials("AKIAEXAMPLE", "hunter2", "token3"))
    assert "AKIAEXAMPLE" in shown
    assert "hunter2" not in shown
    assert "token3" not in shown


def test_credentials_compare_by_content() -> None:
    """So that a refreshed copy of the same is the same."""
    assert Credentials("A", "s") == Credentials("A", "s", None)
    assert len({Credentials("A", "s"), Credentials("A", "s"), Credentials("A", "s", "t"), Credentials("A", "x")}) == 3
