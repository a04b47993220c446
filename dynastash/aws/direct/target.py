"""Where requests to a service go."""

from __future__ import annotations

from dynastash.aws.direct.urls import plain
from dynastash.aws.errors import invalid_configuration


class Target:
    """An endpoint: ``https://host[:port][/path]``, or ``http://`` of the same form.

    ``host`` is in lower case and without brackets, ``path`` as it stands in the request line, ``authority`` the
    ``Host`` header, ``url`` what messages show, which is what the SDK's transport shows.
    """

    __slots__ = ("authority", "host", "path", "port", "tls", "url")

    def __init__(self, url: str) -> None:
        """Raises :class:`~dynastash.errors.ConfigError` for anything else, in the words of the SDK's transport."""
        parts = plain(url)
        if parts is None or "?" in parts.target:
            raise invalid_configuration(f"invalid endpoint: {url}")
        self.tls = parts.scheme == "https"
        self.host = parts.host.lower()
        self.port = parts.port
        self.path = parts.target
        self.authority = parts.authority.lower()
        self.url = url if url.count("/") > 2 else f"{url}/"
