"""AWS Signature Version 4. Pure: the time comes from the caller, and nothing is sent.

The signature is that of botocore's ``SigV4Auth`` for the same request, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import digest
from typing import Final

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = frozenset(
    (
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    )
)
"""Headers that what stands between us and AWS may change."""


class Credentials:
    """An access key with its secret, and the session token of a temporary one. Neither shows in a ``repr``."""

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = token

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[str, str, str | None]:
        return self.access_key, self.secret_key, self.token


class Signer:
    """Signs requests to one service in one Region. Safe to use from several threads.

    The signing key changes with the day and the secret key only, so the last one is kept.
    """

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._kept: tuple[str, str, bytes] = ("", "", b"")

    def authorization(
        self,
        credentials: Credentials,
        amz_date: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        *,
        method: str = "POST",
        path: str = "/",
        query: str = "",
    ) -> str:
        """The ``Authorization`` header for a request.

        ``amz_date`` is the time as ``YYYYMMDDThhmmssZ``. ``headers`` are all that go out with the request, among them
        ``host``, ``x-amz-date`` with ``amz_date``, and ``x-amz-security-token`` where the credentials have a token.
        ``path`` and ``query`` are as they stand in the request line.
        """
        names, canonical = canonical_headers(headers)
        lines = f"{method.upper()}\n{canonical_path(path)}\n{_canonical_query(query)}\n{canonical}"
        return self.seal(credentials, amz_date, lines, names, body)

    def seal(self, credentials: Credentials, amz_date: str, lines: str, names: str, body: bytes) -> str:
        """The same for a request whose canonical form is at hand.

        ``lines`` are its method, path, query and headers, each with its newline; ``names`` those of the headers.
        """
        request = f"{lines}\n{names}\n{sha256(body).hexdigest()}"
        day = amz_date[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{amz_date}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = digest(self._key(credentials.secret_key, day), text.encode(), "sha256").hex()
        return f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"

    def _key(self, secret: str, day: str) -> bytes:
        kept = self._kept
        if kept[0] == day and kept[1] == secret:
            return kept[2]
        key = f"AWS4{secret}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = digest(key, part.encode(), "sha256")
        self._kept = (day, secret, key)
        return key


def canonical_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The names, and the lines of names and values; those of one name go together in the order they were given."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower not in _UNSIGNED:
            trimmed = " ".join(value.split())
            found[lower] = f"{found[lower]},{trimmed}" if lower in found else trimmed
    names = sorted(found)
    return ";".join(names), "".join([f"{name}:{found[name]}\n" for name in names])


def canonical_path(path: str) -> str:
    """``path`` as it is signed: without empty and dotted segments, and quoted once more."""
    if path in ("", "/"):
        return "/"
    from urllib.parse import quote  # only an endpoint behind a gateway has a path

    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    normalized = ("/" if path[0] == "/" else "") + "/".join(kept) + ("/" if path[-1] == "/" and kept else "")
    return quote(normalized, safe="/~")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join([f"{name}={value}" for name, value in pairs])
