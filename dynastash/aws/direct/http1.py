"""HTTP/1.x responses as they come over the wire: strict, bounded, and without I/O.

What decides where a response ends must be beyond doubt: who reads it differently from the server takes the end of one
answer for the beginning of the next. The rest of HTTP is not here, because AWS's JSON APIs make no use of it: no
redirects, no compression, no pipelining.
"""

from __future__ import annotations

from typing import Final

_HEAD_LIMIT: Final = 65536  # bytes of status line and headers; of trailers
_FIELD_LIMIT: Final = 100
_INTERIM_LIMIT: Final = 8  # responses like 100 Continue before the one that counts
_CHUNK_LINE_LIMIT: Final = 256
_PREFIX: Final = b"HTTP/1."

_HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSED = range(4)


class ResponseError(Exception):
    """What came is no response, or not all of one. Its text shows nothing of what came."""


class UnreadableError(ResponseError):
    """A response that must not be read: larger than allowed, or compressed, which nobody asked for."""


class Response:
    """One response, in the making. ``limit`` is the most bytes that its body may have.

    Meaningful once :meth:`feed` or :meth:`end` said that it is complete: ``status``; ``headers``, all in lower case,
    repeated ones joined by commas; ``body``; ``persistent``, whether the connection can be used again.
    """

    __slots__ = (
        "_buffer",
        "_chunks",
        "_head",
        "_interim",
        "_left",
        "_limit",
        "_mode",
        "body",
        "headers",
        "persistent",
        "status",
    )

    def __init__(self, limit: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.persistent = False
        self._limit = limit
        self._mode = _HEAD
        self._head = b""  # as far as it came
        self._buffer = bytearray()  # what came of a chunk
        self._chunks: list[bytes] = []
        self._left = 0  # bytes of the body that are still to come, or that the body may still take
        self._interim = 0

    def feed(self, data: bytes) -> bool:
        """Take what was received; True when the response is complete. Raises :class:`ResponseError`.

        The result does not depend on how the bytes were cut into pieces.
        """
        if self._mode == _HEAD:
            rest = self._feed_head(data)
            if rest is None:
                return False
            data = rest
        if self._mode == _LENGTH:
            return self._feed_length(data)
        if self._mode == _CHUNKED:
            return self._feed_chunked(data)
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableError("the answer is too large")
        self._chunks.append(data)
        return False

    def end(self) -> None:
        """The server has closed the connection. Raises :class:`ResponseError` unless that completes the response."""
        if self._mode != _UNTIL_CLOSED:
            raise ResponseError("the connection was closed")
        self.body = b"".join(self._chunks)

    def _feed_head(self, data: bytes) -> bytes | None:
        """What follows the head; None while it is incomplete."""
        start = 0
        if self._head:
            start = max(0, len(self._head) - 3)
            data = self._head + data
        while True:
            if not data.startswith(_PREFIX) and not _PREFIX.startswith(data):
                raise ResponseError("not HTTP")
            end = data.find(b"\r\n\r\n", start, _HEAD_LIMIT)
            if end < 0:
                if len(data) >= _HEAD_LIMIT:
                    raise ResponseError("the head is too large")
                self._head = data
                return None
            complete = self._parse_head(data[:end].decode("latin-1"))
            data = data[end + 4 :]
            if complete:
                return data
            self._interim += 1
            if self._interim > _INTERIM_LIMIT:
                raise ResponseError("too many interim responses")
            start = 0

    def header(self, name: str) -> str | None:
        """The value of the header ``name``, both in lower case; None without it."""
        value = self.headers.get(name)
        return None if value is None else value.strip(" \t")

    def _parse_head(self, head: str) -> bool:
        """Take in status and headers, and find out how the body ends; False for an interim response."""
        fields = head.lower().split("\r\n")
        first = fields.pop(0)
        if head.count("\n") != len(fields) or head.count("\r") != len(fields) or "\0" in head:
            raise ResponseError("a stray control character")
        code = first[9:12]
        if first[:9] not in ("http/1.1 ", "http/1.0 ") or first[12:13] not in ("", " "):
            raise ResponseError("not a status line")
        if not (len(code) == 3 and code.isascii() and code.isdigit() and "1" <= code[0] <= "5") or code == "101":
            raise ResponseError("not a status")
        headers = _parse_fields(fields)
        if code[0] == "1":
            return False
        self.status = int(code)
        self.headers = headers
        self._frame(first[7] == "1")
        return True

    def _frame(self, persists: bool) -> None:
        """Find out how the body ends; ``persists`` is whether this version of HTTP keeps connections."""
        self.persistent = persists and "close" not in self.headers.get("connection", "")
        length, coding = self.header("content-length"), self.header("transfer-encoding")
        if self.header("content-encoding") not in (None, "identity"):
            raise UnreadableError("the answer is compressed")
        if coding is not None:
            if length is not None or coding != "chunked" or not persists:
                raise ResponseError("the end of the response is in doubt")
            self._mode = _CHUNKED
            self._left = self._limit
        elif self.status in (204, 304):
            self._mode = _LENGTH
        elif length is not None:
            if not (length.isascii() and length.isdigit()):
                raise ResponseError("the end of the response is in doubt")
            # A number of a thousand digits is not worth being read.
            if len(length) > len(str(self._limit)) or int(length) > self._limit:
                raise UnreadableError("the answer is too large")
            self._mode = _LENGTH
            self._left = int(length)
        else:
            self.persistent = False
            self._mode = _UNTIL_CLOSED
            self._left = self._limit

    def _feed_length(self, data: bytes) -> bool:
        left = self._left
        size = len(data)
        if size > left:  # whatever this is, nobody asked for it
            self.persistent = False
            data = data[:left]
            size = left
        self._left = left - size
        if self._left:
            self._chunks.append(data)
            return False
        if self._chunks:
            self._chunks.append(data)
            data = b"".join(self._chunks)
        self.body = data
        return True

    def _feed_chunked(self, data: bytes) -> bool:
        buffer = self._buffer
        buffer += data
        while True:
            end = buffer.find(b"\r\n", 0, _CHUNK_LINE_LIMIT)
            if end < 0:
                if len(buffer) >= _CHUNK_LINE_LIMIT:
                    raise ResponseError("not a chunk")
                return False
            size = _chunk_size(buffer[:end].decode("latin-1"))
            if size == 0:
                return self._feed_trailers(end)
            if size > self._left:
                raise UnreadableError("the answer is too large")
            start = end + 2
            if len(buffer) < start + size + 2:
                return False
            if buffer[start + size : start + size + 2] != b"\r\n":
                raise ResponseError("not a chunk")
            self._left -= size
            self._chunks.append(bytes(buffer[start : start + size]))
            del buffer[: start + size + 2]

    def _feed_trailers(self, last: int) -> bool:
        """Behind the last chunk's line, which ends at ``last``: trailers, of which none is wanted."""
        buffer = self._buffer
        end = last if buffer.startswith(b"\r\n", last + 2) else buffer.find(b"\r\n\r\n", last, last + _HEAD_LIMIT)
        if end < 0:
            if len(buffer) >= last + _HEAD_LIMIT:
                raise ResponseError("the trailers are too large")
            return False
        if len(buffer) > end + 4:
            self.persistent = False
        self.body = b"".join(self._chunks)
        return True


def _parse_fields(fields: list[str]) -> dict[str, str]:
    if len(fields) > _FIELD_LIMIT:
        raise ResponseError("too many headers")
    try:
        headers = dict([field.split(":", 1) for field in fields])
    except ValueError:
        raise ResponseError("not a header") from None
    # White space before the colon, or in front of a line that continues another, is what smuggling is made of.
    names = "\n".join(headers)
    if " " in names or "\t" in names or "" in headers:
        raise ResponseError("not a header")
    if len(headers) < len(fields):
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _chunk_size(line: str) -> int:
    digits = line.partition(";")[0].strip(" \t")
    if not digits or len(digits) > 8 or digits.strip("0123456789abcdefABCDEF") or "\n" in line:
        raise ResponseError("not a chunk")
    return int(digits, 16)
