"""The three keys that a version's data key gives: HKDF-SHA-512 (RFC 5869) with a label of its own for each.

``hmac.digest`` is OpenSSL's one-shot HMAC, already loaded with the interpreter's ``hashlib``. No key here is longer
than one SHA-512 block, so Expand is a single HMAC; the tests hold it against the ``cryptography`` package.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

from dynastash.models import DataKey

SUITE: Final = b"\x01\x01"
"""AES-256-GCM, HKDF-SHA-512, HMAC-SHA-512: the only suite there is."""

_LABEL: Final = b"dynastash/v1\x00" + SUITE + b"\x00"


class DerivedKeys:
    """The keys of one version: for its ciphertext, its MAC, and the seal of a head whose current version it is.

    Not a dataclass: ``asdict``, ``pickle`` and the like would carry the keys out.
    """

    __slots__ = ("encryption", "head", "mac")

    def __init__(self, *, encryption: bytes, mac: bytes, head: bytes) -> None:
        self.encryption: Final = encryption
        self.mac: Final = mac
        self.head: Final = head

    def __repr__(self) -> str:
        return "DerivedKeys(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("DerivedKeys is not pickled: it would leave the process in the clear")


def derive(data_key: DataKey, salt: bytes) -> DerivedKeys:
    """Derive 32, 64 and 64 bytes from a 32-byte data key and the record's 32-byte ``salt``."""
    extracted = hmac.digest(salt, data_key.expose(), "sha512")

    def expand(label: bytes) -> bytes:
        return hmac.digest(extracted, _LABEL + label + b"\x01", "sha512")

    return DerivedKeys(encryption=expand(b"enc")[:32], mac=expand(b"mac"), head=expand(b"head"))
