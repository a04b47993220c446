"""The embedded key provider keeps the contract."""

from __future__ import annotations

import pytest

from dynastash.errors import ContextMismatchError, UntrustedKeyError
from dynastash.keys.base import KeyProvider
from dynastash.keys.local import LocalKeys
from dynastash.models import Context, DataKey, WrappedKey
from dynastash.testing.contracts import KeyProviderContract, TamperProofKeyProviderContract


class TestLocalKeys(KeyProviderContract, TamperProofKeyProviderContract):
    """Both parts: nothing is emulated here."""

    @pytest.fixture
    def keys(self) -> KeyProvider:
        return LocalKeys(DataKey(bytes(range(32))))


def test_another_key_is_told_from_an_altered_record() -> None:
    """Someone who lost the key file should not be told that an attacker was there."""
    context = Context("local", "a", 1)
    _, wrapped = LocalKeys(DataKey(bytes(32))).generate(context)
    other = LocalKeys(DataKey(b"\x01" * 32))
    with pytest.raises(UntrustedKeyError):
        other.unwrap(wrapped, context)
    with pytest.raises(ContextMismatchError):
        other.unwrap(WrappedKey(wrapped.blob, other.generate(context)[1].key_id), context)


def test_the_layout_is_the_documented_one() -> None:
    """01, a nonce of 12 bytes, the key's 32 and a tag of 16; opened here by the cryptography package alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data_key, wrapped = LocalKeys(DataKey(b"k" * 32)).generate(Context("e", "n", 1, {"z": "y"}))
    assert (wrapped.blob[0], len(wrapped.blob)) == (1, 1 + 12 + 32 + 16)
    pairs = [
        (b"dynastash:env", b"e"), (b"dynastash:format", b"1"), (b"dynastash:name", b"n"),
        (b"dynastash:version", b"1"), (b"z", b"y"),
    ]  # fmt: skip
    associated = b"dynastash/v1/local\x00" + (5).to_bytes(4, "big")
    for key, text in pairs:
        associated += len(key).to_bytes(4, "big") + key + len(text).to_bytes(4, "big") + text
    assert AESGCM(b"k" * 32).decrypt(wrapped.blob[1:13], wrapped.blob[13:], associated) == data_key.expose()
