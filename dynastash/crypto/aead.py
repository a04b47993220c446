"""AES-256-GCM with a 96-bit nonce and a 128-bit tag, by the ``cryptography`` package."""

from __future__ import annotations

from typing import Final

from dynastash.errors import IntegrityError

NONCE: Final = 12
TAG: Final = 16


def prepare() -> None:
    """Import the cipher."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    del AESGCM, InvalidTag


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Ciphertext with the tag behind it. ``key`` has 32 bytes, ``nonce`` 12 and is never used twice with a key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).encrypt(nonce, plaintext, associated)


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """The plaintext, or :class:`IntegrityError`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(nonce, ciphertext, associated)
    except InvalidTag:
        raise IntegrityError("the record fails authentication") from None
