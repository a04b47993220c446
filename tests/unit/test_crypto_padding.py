"""The payload: its size for every length there is, and a decoder that takes one encoding of a value and no other."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from dynastash.crypto import padding
from dynastash.errors import IntegrityError
from dynastash.models import MAX_VALUE
from tests.unit import crypto_reference as reference

LENGTHS = [
    0,
    1,
    2,
    58,
    59,
    60,
    61,
    122,
    123,
    124,
    255,
    256,
    1018,
    1019,
    1020,
    1021,
    1083,
    1084,
    2043,
    4096,
    65_536,
    MAX_VALUE,
]


def test_every_length_is_padded_as_the_specification_computes_it() -> None:
    """All 327,681 lengths against the formula with its logarithms."""
    assert all(padding.padded_length(length) == reference.padded(length) for length in range(MAX_VALUE + 1))


def test_some_sizes_by_hand() -> None:
    """Sizes worked out on paper: 64-byte steps up to 1,024, then Padmé's."""
    by_hand = {
        0: 64,
        59: 64,  # 5 + 59 fills the block
        60: 128,
        1019: 1024,
        1020: 1088,  # L = 1,025: e = 10, s = 4, multiples of 64
        2043: 2048,
        2044: 2176,  # L = 2,049: e = 11, s = 4, multiples of 128
        65_531: 65_536,  # L = 65,536: e = 16, s = 5, already a multiple of 2,048
        65_532: 67_584,
        MAX_VALUE: 335_872,  # L = 327,685: e = 18, s = 5, multiples of 8,192
    }
    assert {length: padding.padded_length(length) for length in by_hand} == by_hand
    assert padding.SMALLEST == 64
    assert padding.LARGEST == 335_872


def test_overhead_is_at_most_twelve_percent() -> None:
    """Beyond the blocks of 64 bytes no value costs more than 12 % (and none shrinks)."""
    worst = max(
        Fraction(padding.padded_length(length) - 5 - length, 5 + length) for length in range(1020, MAX_VALUE + 1)
    )
    assert 0 < worst <= Fraction(12, 100)
    assert all(padding.padded_length(length) >= 5 + length for length in range(MAX_VALUE + 1))


def test_few_sizes_are_visible() -> None:
    """All the lengths there are fall into a hundred and some sizes: that is what padding is for."""
    sizes = {padding.padded_length(length) for length in range(MAX_VALUE + 1)}
    assert len(sizes) == 16 + sum(_padme_sizes(exponent) for exponent in range(10, 19))


def _padme_sizes(exponent: int) -> int:
    """How many padded sizes there are from 2^exponent (excluded) to 2^(exponent+1), as far as values go."""
    step = 2 ** (exponent - math.floor(math.log2(exponent)) - 1)
    return (min(2 ** (exponent + 1), 335_872) - 2**exponent) // step


@pytest.mark.parametrize("length", LENGTHS)
def test_identity(length: int) -> None:
    """What is padded comes back, and is the reference implementation's payload to the byte."""
    value = (b"\x00\xff\x01" * (length // 3 + 1))[:length]
    assert padding.pad(value) == reference.payload(value)
    assert padding.unpad(padding.pad(value)) == value


@pytest.mark.parametrize("first", range(1, 256))
def test_first_byte_is_zero(first: int) -> None:
    """The byte that a later format may use for flags must be 0 now."""
    with pytest.raises(IntegrityError):
        padding.unpad(bytes([first]) + padding.pad(b"value")[1:])


def test_every_other_length_field_is_refused() -> None:
    """A payload of 64 bytes holds its value under the length that reaches its last non-zero byte at least."""
    payload = padding.pad(b"value")
    accepted = []
    for stated in [*range(200), 2**16, MAX_VALUE, MAX_VALUE + 1, 2**31 - 1, 2**31, 2**32 - 6, 2**32 - 1]:
        try:
            accepted.append(padding.unpad(payload[:1] + stated.to_bytes(4, "big") + payload[5:]))
        except IntegrityError:
            pass
    # The same bytes are also the canonical payloads of "value" with zeros behind it, up to the end of the block.
    assert accepted == [b"value" + bytes(zeros) for zeros in range(59 - 5 + 1)]


@pytest.mark.parametrize("length", [0, 5, 58, 1000, 1020, 5000])
def test_each_padding_byte_is_zero(length: int) -> None:
    """A single non-zero byte anywhere in the padding is refused."""
    payload = padding.pad(b"v" * length)
    for place in range(5 + length, len(payload)):
        with pytest.raises(IntegrityError):
            padding.unpad(payload[:place] + b"\x01" + payload[place + 1 :])


@pytest.mark.parametrize("length", [0, 5, 59, 60, 1019, 1020, 2000])
def test_only_the_minimal_size_is_accepted(length: int) -> None:
    """Every other amount of zeros behind the value is refused, longer or shorter, block multiple or not."""
    unpadded = b"\x00" + length.to_bytes(4, "big") + b"v" * length
    right = padding.padded_length(length)
    for size in range(len(unpadded), right + 300):
        if size != right:
            with pytest.raises(IntegrityError):
                padding.unpad(unpadded.ljust(size, b"\x00"))
    assert padding.unpad(unpadded.ljust(right, b"\x00")) == b"v" * length


@pytest.mark.parametrize("payload", [bytes(size) for size in range(64)])
def test_too_short_for_any_value(payload: bytes) -> None:
    """Zeros alone, shorter than the smallest payload: refused, down to nothing at all."""
    with pytest.raises(IntegrityError):
        padding.unpad(payload)


def test_a_value_beyond_the_limit_is_refused_although_well_padded() -> None:
    """320 KiB and one byte, rightly padded, is no payload of this format."""
    with pytest.raises(IntegrityError):
        padding.unpad(reference.payload(bytes(MAX_VALUE + 1)))
    assert len(padding.unpad(reference.payload(bytes(MAX_VALUE)))) == MAX_VALUE
