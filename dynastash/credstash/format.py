"""credstash's encryption of one value, as pure functions (docs/reference/credstash.md).

A data key of 64 bytes: the first half for AES-256 in counter mode, whose counter begins at 1, which is safe because no
key is used twice; the second for the MAC of the ciphertext. The MAC covers nothing else: neither name nor version, nor
what the key was wrapped under. :mod:`dynastash.credstash.binding` adds that.
"""

from __future__ import annotations

import hmac
from typing import Final

from dynastash.credstash import digests
from dynastash.errors import FormatError, IntegrityError
from dynastash.frozen import Frozen
from dynastash.models import DataKey, Plaintext

KEY_BYTES: Final = 64
_COUNTER: Final = (1).to_bytes(16, "big")


class ItemKeys(Frozen):
    """The two halves of one item's data key, in the clear."""

    encryption: DataKey
    mac: DataKey


def split(data: bytes) -> ItemKeys:
    """The halves of a 64-byte data key. Raises :class:`FormatError` for any other length."""
    if len(data) != KEY_BYTES:
        raise FormatError(f"the data key has {len(data)} bytes, not {KEY_BYTES}")
    return ItemKeys(DataKey(data[:32]), DataKey(data[32:]))


def encrypt(keys: ItemKeys, value: Plaintext, digest: str = digests.DEFAULT) -> tuple[bytes, bytes]:
    """The ciphertext, as long as ``value``, and its MAC. ``keys`` must never have been used before."""
    ciphertext = _counter_mode(keys.encryption, value.expose())
    return ciphertext, digests.mac(digest, keys.mac.expose(), ciphertext)


def decrypt(keys: ItemKeys, ciphertext: bytes, mac: bytes, digest: str) -> Plaintext:
    """The value; nothing is decrypted before the MAC is found right, in constant time.

    Raises :class:`IntegrityError`, or :class:`~dynastash.errors.UnsupportedFormatError` for the digest.
    """
    if not hmac.compare_digest(digests.mac(digest, keys.mac.expose(), ciphertext), mac):
        raise IntegrityError("the contents fail authentication: they, their MAC or their digest were altered")
    return Plaintext(_counter_mode(keys.encryption, ciphertext))


def _counter_mode(key: DataKey, data: bytes) -> bytes:
    """Both ways, for they are the same."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    encryptor = Cipher(algorithms.AES(key.expose()), modes.CTR(_COUNTER)).encryptor()
    return encryptor.update(data) + encryptor.finalize()
