"""TLS as the transport uses it: certificates and host names are always verified, TLS 1.2 is the least.

Loading the whole bundle of roots takes longer than a handshake. So AWS's own endpoints are first tried with the five
roots that they chain to. Where those do not verify the server, the bundle decides that boto3 would have used: what is
trusted in the end is the same. A bundle that the user set is used alone.
"""

from __future__ import annotations

import os.path
import ssl
from _thread import allocate_lock
from typing import Final

from dynastash.aws.errors import no_authorities

_AMAZON_ROOTS: Final = os.path.join(os.path.dirname(__file__), "amazon-roots.pem")
_AMAZON_DOMAINS: Final = (".amazonaws.com", ".api.aws", ".amazonaws.com.cn")


class TlsSettings:
    """``ca_bundle`` is the file or directory of authorities to trust instead of the usual ones: ``AWS_CA_BUNDLE``."""

    __slots__ = ("ca_bundle",)

    def __init__(self, ca_bundle: str | None = None) -> None:
        self.ca_bundle = ca_bundle


class Trust:
    """The contexts of one transport, made when first needed. Safe to use from several threads."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._lock = allocate_lock()
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._mistrusted: set[str] = set()

    def few_suffice(self, host: str) -> bool:
        """Whether ``host`` is worth trying with Amazon's roots alone."""
        return self._settings.ca_bundle is None and host.endswith(_AMAZON_DOMAINS) and host not in self._mistrusted

    def mistrust(self, host: str) -> None:
        """Amazon's roots do not verify ``host``: from now on the whole bundle is asked at once."""
        self._mistrusted.add(host)

    def context(self, few: bool) -> ssl.SSLContext:
        """The context with Amazon's roots only, or with all. Raises :class:`ConfigError` for an unusable bundle."""
        context = self._contexts.get(few)
        if context is None:
            with self._lock:
                context = self._contexts.get(few) or self._make(few)
                self._contexts[few] = context
        return context

    def _make(self, few: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificates and host names
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        bundle = _AMAZON_ROOTS if few else self._settings.ca_bundle or usual_bundle()
        try:
            if os.path.isdir(bundle):
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(bundle)
        except OSError as error:  # ssl.SSLError among them
            raise no_authorities() from error
        return context


def usual_bundle() -> str:
    """The file of roots that boto3 uses unless told otherwise: certifi's where that is installed, else botocore's."""
    try:
        from certifi import where
    except ImportError:
        from importlib.util import find_spec

        botocore = find_spec("botocore")
        places = botocore.submodule_search_locations if botocore else None
        return os.path.join(places[0] if places else "", "cacert.pem")
    return where()
