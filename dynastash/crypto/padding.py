"""The payload inside the ciphertext: the value behind its length, padded so that the size tells little.

``u8 0 | u32 length | value | zeros``, up to a multiple of 64 bytes while header and value fit into 1,024 bytes, above
that up to the Padmé length (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs", 2019): at most 12 % more, and only O(log log n) bits of the length visible.
"""

from __future__ import annotations

from typing import Final

from dynastash.errors import IntegrityError
from dynastash.models import MAX_VALUE

_HEADER: Final = 5
_BLOCK: Final = 64
_BLOCK_LIMIT: Final = 1024


def padded_length(length: int) -> int:
    """The payload's size in bytes for a value of ``length`` bytes."""
    unpadded = _HEADER + length
    if unpadded <= _BLOCK_LIMIT:
        step = _BLOCK
    else:
        exponent = unpadded.bit_length() - 1
        step = 1 << (exponent - exponent.bit_length())
    return -(-unpadded // step) * step


SMALLEST: Final = padded_length(0)
LARGEST: Final = padded_length(MAX_VALUE)


def pad(value: bytes) -> bytes:
    """The payload for ``value``, whose size the caller has checked."""
    return (b"\x00" + len(value).to_bytes(4, "big") + value).ljust(padded_length(len(value)), b"\x00")


def unpad(payload: bytes) -> bytes:
    """The value in ``payload``.

    Raises :class:`IntegrityError` for a non-zero first byte, a wrong length, non-zero or non-minimal padding. By now
    the record is authentic, so this finds a faulty writer rather than an attacker; the answer is the same.
    """
    length = int.from_bytes(payload[1:_HEADER], "big")
    end = _HEADER + length
    if (
        len(payload) < _HEADER
        or payload[0] != 0
        or length > MAX_VALUE
        or len(payload) != padded_length(length)
        or payload.count(0, end) != len(payload) - end
    ):
        raise IntegrityError("the record's payload is malformed")
    return payload[_HEADER:end]
