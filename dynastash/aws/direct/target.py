"""Where requests to a service go."""

from __future__ import annotations

from dynastash.aws.errors import invalid_configuration
from dynastash.errors import ConfigError

_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")
_ADDRESS_CHARACTERS = frozenset("0123456789abcdef:.%")


class Target:
    """An endpoint: ``https://host[:port][/path]``, or ``http://`` of the same form.

    ``host`` is in lower case and without brackets, ``path`` as it stands in the request line, ``authority`` the
    ``Host`` header, ``url`` what messages show.
    """

    __slots__ = ("authority", "host", "path", "port", "tls", "url")

    def __init__(self, url: str) -> None:
        """Raises :class:`ConfigError` for anything else, in the words of the SDK's transport."""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.lower() not in ("http", "https") or not url.isascii() or not url.isprintable():
            raise _invalid(url)
        self.tls = scheme.lower() == "https"
        authority, slash, path = rest.partition("/")
        if " " in rest or "?" in rest or "#" in rest or "@" in authority:
            raise _invalid(url)
        self.path = slash + path if path else "/"
        self.url = f"{scheme}://{authority}{self.path}"
        ordinary = 443 if self.tls else 80
        self.host, self.port = _split(authority.lower(), url, ordinary)
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = name if self.port == ordinary else f"{name}:{self.port}"


def _split(authority: str, url: str, ordinary: int) -> tuple[str, int]:
    if authority.startswith("["):
        host, bracket, port = authority[1:].partition("]")
        if not bracket or (port and port[0] != ":") or not _ADDRESS_CHARACTERS.issuperset(host):
            raise _invalid(url)
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        if not _HOST_CHARACTERS.issuperset(host):
            raise _invalid(url)
    if not host or (port and not port.isdigit()) or len(port) > 5 or int(port or "1") > 65535:
        raise _invalid(url)
    return host, int(port) if port else ordinary


def _invalid(url: str) -> ConfigError:
    return invalid_configuration(f"invalid endpoint: {url}")
