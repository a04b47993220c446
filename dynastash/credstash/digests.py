"""The digests that an item's MAC may be made with, by the names that credstash and its ports write."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from dynastash.errors import InvalidArgumentError, UnsupportedFormatError

DEFAULT: Final = "SHA256"
"""What an item without a digest means, and the only one that every client reads."""

WRITABLE: Final = ("SHA", "SHA224", "SHA256", "SHA384", "SHA512", "MD5")
"""What credstash itself knows."""

_ALGORITHMS: Final = {
    "SHA": "sha1",
    "SHA1": "sha1",  # as rucredstash calls it
    "SHA224": "sha224",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
    "MD5": "md5",
    "RIPEMD": "ripemd160",  # these two before credstash 1.15
    "WHIRLPOOL": "whirlpool",
}
_LONGEST: Final = 40


def mac(name: str, key: bytes, data: bytes) -> bytes:
    """HMAC of ``data``. Raises :class:`UnsupportedFormatError` for a digest that nobody knows, or not this machine."""
    algorithm = _ALGORITHMS.get(name.upper())
    if algorithm is None:
        shown = repr(name) if len(name) <= _LONGEST else "of an overlong name"
        raise UnsupportedFormatError(f"the digest {shown} is not one of credstash's")
    try:
        hashlib.new(algorithm)
        return hmac.digest(key, data, algorithm)
    except ValueError:
        raise UnsupportedFormatError(
            f"the digest {name} is not available on this machine",
            hint="OpenSSL has left it: put the secret anew with credstash 1.15 or later, which writes SHA256",
        ) from None


def check_writable(name: str) -> str:
    """``name`` as credstash spells it, or :class:`InvalidArgumentError`."""
    if name.upper() not in WRITABLE:
        raise InvalidArgumentError(f"{name!r} is no digest that can be written", hint=f"use {', '.join(WRITABLE)}")
    return name.upper()
