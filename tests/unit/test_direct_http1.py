"""HTTP responses: however they are cut into pieces, and whatever somebody sends instead."""

from __future__ import annotations

import io
from http.client import HTTPResponse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.aws.direct.http1 import Response, ResponseError, UnreadableError

LIMIT = 100
Result = tuple[Any, ...] | str


def read(pieces: list[bytes]) -> Result:
    """What comes of ``pieces`` and the connection's end: the response, or the error's words."""
    response = Response(LIMIT)
    try:
        for piece in pieces:
            if response.feed(piece):
                return response.status, response.headers, response.body
        response.end()
    except ResponseError as error:
        return str(error)
    return response.status, response.headers, response.body


def whole(data: bytes) -> Response:
    """The complete response that ``data`` is."""
    response = Response(LIMIT)
    if not response.feed(data):
        response.end()
    return response


@st.composite
def cuts(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    """Some bytes, whole and in pieces."""
    it = draw(data)
    places = sorted(draw(st.lists(st.integers(0, len(it)), max_size=8)))
    return it, [it[start:end] for start, end in zip([0, *places], [*places, len(it)], strict=True)]


_NAME = st.sampled_from(("Content-Type", "X-Amz-Crc32", "Date", "x-zero", "Connection"))
_VALUE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f\x85\xa0\xad"), max_size=20
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Well-formed responses, interim ones in front of some, framed in each of the ways."""
    head = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 3))
    head += f"HTTP/1.1 {draw(st.sampled_from((200, 400, 503)))} Some words\r\n".encode()
    for name, value in draw(st.lists(st.tuples(_NAME, _VALUE), max_size=5)):
        head += f"{name}:{draw(st.sampled_from(('', ' ', '  ')))}{value}\r\n".encode("latin-1")
    body = draw(st.binary(max_size=LIMIT))
    framing = draw(st.sampled_from(("length", "chunked", "close")))
    if framing == "length":
        return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    if framing == "close":
        return head + b"\r\n" + body
    places = sorted(set(draw(st.lists(st.integers(1, max(1, len(body) - 1)), max_size=4))) if len(body) > 1 else [])
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        if start < end:
            head += (
                f"{end - start:x}{draw(st.sampled_from(('', ';a=b', ' ')))}\r\n".encode() + body[start:end] + b"\r\n"
            )
    return head + b"0\r\n" + draw(st.sampled_from((b"", b"X: y\r\n", b"X: y\r\nZ: \r\n"))) + b"\r\n"


@given(cuts(responses()))
def test_the_cuts_do_not_matter(cut: tuple[bytes, list[bytes]]) -> None:
    """And the result is what the standard library makes of the same bytes."""
    data, pieces = cut
    result = read(pieces)
    assert result == read([data]) == read([data[at : at + 1] for at in range(len(data))])
    sock: Any = type("Socket", (), {"makefile": lambda self, mode: io.BytesIO(data)})()
    theirs = HTTPResponse(sock)
    theirs.begin()
    assert isinstance(result, tuple)
    assert (result[0], result[2]) == (theirs.status, theirs.read())


_SOUP = st.lists(
    st.sampled_from(
        (
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 200\r\n",
            b"HTTP/1.1 100 \r\n\r\n",
            b"HTTP/1.",
            b"Content-Length: 5\r\n",
            b"Content-Length: 4\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b"\0",
            b"5\r\n",
            b"hello",
            b"0\r\n",
            b": x\r\n",
            b"ffffffff\r\n",
            b" folded\r\n",
            b"a" * 300,
        )
    )
    | st.binary(max_size=5),
    max_size=12,
).map(b"".join)


@given(cuts(_SOUP))
def test_garbage_gives_our_error_or_a_response(cut: tuple[bytes, list[bytes]]) -> None:
    """Nothing else comes out, and the cuts do not matter for that either."""
    data, pieces = cut
    result = read(pieces)
    assert result == read([data]) == read([data[at : at + 1] for at in range(len(data))])
    assert isinstance(result, str) or len(result[2]) <= LIMIT


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: ²\r\n\r\n".encode("latin-1"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"<html>HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_a_head_in_doubt_is_refused(head: bytes) -> None:
    """Two readers might see two responses in it."""
    with pytest.raises(ResponseError):
        whole(head + b"{}")


@pytest.mark.parametrize(
    "chunks",
    [
        b"2\r\n{}0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2;a\nb\r\n{}\r\n0\r\n\r\n",
        b"000000002\r\n{}\r\n0\r\n\r\n",
        b"2" + b" " * 300 + b"\r\n{}\r\n0\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"2\r\n{}\r\n",
        b"2\r\n{}\r\n0\r\n",
    ],
)
def test_chunks_in_doubt_are_refused(chunks: bytes) -> None:
    """Also those that end too early."""
    with pytest.raises(ResponseError):
        whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_chunks_under_a_head_in_doubt_are_refused(head: bytes) -> None:
    """However well they are formed."""
    with pytest.raises(ResponseError):
        whole(head + b"2\r\n{}\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 101,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=lambda answer: repr(answer)[-40:],
)
def test_what_is_too_large_is_refused_at_its_announcement(answer: bytes) -> None:
    """A hundred bytes are the limit here. What is compressed could be any size."""
    with pytest.raises(UnreadableError):
        Response(LIMIT).feed(answer)


@pytest.mark.parametrize(
    ("answer", "persistent"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nHTTP", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\nHTTP", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", False),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_only_a_connection_beyond_doubt_is_kept(answer: bytes, persistent: bool) -> None:
    """Not one that holds more than was asked for: it could pass for the next answer."""
    response = whole(answer)
    assert response.persistent is persistent
    assert response.body in (b"{}", b"")
