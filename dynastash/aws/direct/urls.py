"""URLs of the plainest kind. What botocore's and urllib's parsers might read differently is refused."""

from __future__ import annotations

from typing import Final

_LABEL: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
_ADDRESS: Final = frozenset("abcdefABCDEF0123456789:")
_TARGET: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/%=&?+,@")
_PORTS: Final = {"http": 80, "https": 443}


class Url:
    """The parts of ``scheme://host[:port][target]``; an IPv6 address in ``host`` without its brackets."""

    __slots__ = ("host", "port", "scheme", "target")

    def __init__(self, scheme: str, host: str, port: int, target: str) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target

    @property
    def authority(self) -> str:
        """For the header ``Host``: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def plain(url: str) -> Url | None:
    """The parts of ``url``, ``target`` at least ``/``; None for anything out of the ordinary."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _PORTS:
        return None
    authority, slash, path = rest.partition("/")
    target = slash + path or "/"
    if not _TARGET.issuperset(target) or target.count("?") > 1:
        return None
    if authority.startswith("["):
        host, closed, port = authority[1:].partition("]")
        usable = closed and ":" in host and _ADDRESS.issuperset(host) and (not port or port[0] == ":")
        port = port[1:] if port else ""
        explicit = authority.endswith(":")
    else:
        host, colon, port = authority.partition(":")
        usable = _LABEL.issuperset(host) and host and host[0] not in "-." and host[-1] not in "-." and ".." not in host
        explicit = bool(colon) and not port
    if not usable or explicit:
        return None
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return None
    return Url(scheme, host, int(port) if port else _PORTS[scheme], target)
