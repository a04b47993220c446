"""AES-256-GCM: the known answers of its specification, and every flipped bit refused."""

from __future__ import annotations

import pytest

from dynastash.crypto import aead
from dynastash.errors import IntegrityError

_KEY = "feffe9928665731c6d6a8f9467308308" * 2
_NONCE = "cafebabefacedbaddecaf888"
_PLAIN = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
_CIPHER = (
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
)

# McGrew and Viega, "The Galois/Counter Mode of Operation", as submitted to NIST: test cases 13 to 16, the 256-bit
# keys with a 96-bit nonce. Key, nonce, plaintext, associated data, ciphertext, tag.
GCM_SPECIFICATION = {
    "case-13": ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    "case-14": (
        "00" * 32,
        "00" * 12,
        "00" * 16,
        "",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    "case-15": (_KEY, _NONCE, _PLAIN, "", _CIPHER, "b094dac5d93471bdec1a502270e3cc6c"),
    "case-16": (
        _KEY,
        _NONCE,
        _PLAIN[:120],
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        _CIPHER[:120],
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
}


@pytest.mark.parametrize("case", GCM_SPECIFICATION.values(), ids=GCM_SPECIFICATION)
def test_known_answers(case: tuple[str, ...]) -> None:
    """Ciphertext and tag come out as the specification of GCM prints them, and open again."""
    key, nonce, plaintext, associated, ciphertext, tag = (bytes.fromhex(part) for part in case)
    assert aead.encrypt(key, nonce, plaintext, associated) == ciphertext + tag
    assert aead.decrypt(key, nonce, ciphertext + tag, associated) == plaintext


def test_every_flipped_bit_is_refused() -> None:
    """Key, nonce, ciphertext with tag, associated data: no single bit may change."""
    key, nonce, plaintext, associated = bytes(32), bytes(12), b"value", b"bound to this"
    parts = [key, nonce, aead.encrypt(key, nonce, plaintext, associated), associated]
    tried = 0
    for place, part in enumerate(parts):
        for bit in range(len(part) * 8):
            flipped = bytearray(part)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(IntegrityError):
                aead.decrypt(*parts[:place], bytes(flipped), *parts[place + 1 :])
            tried += 1
    assert tried == 8 * (32 + 12 + 5 + 16 + 13)


@pytest.mark.parametrize("length", range(17))
def test_anything_as_short_as_a_tag_is_refused(length: int) -> None:
    """A ciphertext cut down to its tag, or to less, is a refusal of ours and not the library's."""
    whole = aead.encrypt(bytes(32), bytes(12), b"value", b"")
    with pytest.raises(IntegrityError, match=r"^the record fails authentication$"):
        aead.decrypt(bytes(32), bytes(12), whole[:length], b"")
