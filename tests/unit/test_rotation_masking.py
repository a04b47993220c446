"""The filter between a program's output and the terminal: no value passes, whatever the writes look like."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dynastash.generate import KeyPair, generate
from dynastash.rotation.masking import Mask

VALUE = b"correct horse"


def _filtered(values: list[bytes], *chunks: bytes) -> bytes:
    mask = Mask(values)
    return b"".join([*map(mask.feed, chunks), mask.flush()])


def test_a_value_is_masked_and_everything_else_passes() -> None:
    assert _filtered([VALUE], b"set to <correct horse>, done\n") == b"set to <****>, done\n"
    assert _filtered([VALUE], b"nothing to see: correct hose\n") == b"nothing to see: correct hose\n"
    assert _filtered([VALUE, b"hunter2"], b"hunter2 -> correct horse") == b"**** -> ****"


def test_a_value_is_masked_wherever_the_writes_end() -> None:
    text = b"a correct horse and a correct hors"
    for cut in range(len(text)):
        for other in range(cut, len(text)):
            parts = text[:cut], text[cut:other], text[other:]
            assert _filtered([VALUE], *parts) == b"a **** and a ****"
    assert _filtered([VALUE], *(bytes([byte]) for byte in text)) == b"a **** and a ****"


def test_only_what_may_be_a_value_is_held_back() -> None:
    """A prompt or a row of dots is shown at once."""
    mask = Mask([VALUE])
    assert mask.feed(b"Working...") == b"Working..."
    assert mask.feed(b" corr") == b" "
    assert mask.feed(b"ected") == b"corrected"
    assert mask.feed(b"correct hors") == b""
    assert mask.feed(b"e!") == b"****!"
    assert mask.flush() == b""


def test_an_end_in_the_middle_of_a_value_does_not_show_its_beginning() -> None:
    """As where a program is stopped while it writes; a few bytes are no beginning of anything."""
    assert _filtered([VALUE], b"is correct ho") == b"is ****"
    assert _filtered([VALUE], b"is cor") == b"is cor"


@pytest.mark.parametrize("value", [b"hunter2", b"hunter2\n", b"  hunter2\r\n"])
def test_white_space_around_a_value_makes_no_difference(value: bytes) -> None:
    assert _filtered([value], b"<hunter2>") == b"<****>"


def test_a_value_in_json_or_base64_is_masked() -> None:
    value = 'päss "word"\\1\n2nd'.encode()
    text = value.decode()
    for written in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        assert _filtered([value], f'{{"value": "{written}"}}'.encode()) == b'{"value": "****"}'
    assert _filtered([b"\xff\x00\xfe\x01"], base64.b64encode(b"\xff\x00\xfe\x01")) == b"****"


def test_lines_of_a_key_are_masked_one_by_one() -> None:
    """Indented, or with another line ending, as a debug log writes them."""
    key = generate(KeyPair("p384")).expose()
    lines = key.splitlines()
    shown = _filtered([key], b"\r\n".join(b"  | " + line for line in lines))
    assert not any(line in shown for line in lines)
    assert shown.count(b"  | ****") == len(lines)


def test_part_of_a_long_value_is_masked_but_for_its_edges() -> None:
    value = bytes(range(33, 97)) + b"".join(b"%05d" % number for number in range(200))
    shown = _filtered([value], value[30:700])
    assert len(shown) < 64 + 64 + 40
    assert b"*" in shown


def test_very_short_values_are_not_sought() -> None:
    """Masking every 1 of a log hides nothing."""
    assert _filtered([b"1", b"abc", b"", b"\n \n"], b"abc 1 of 10\n") == b"abc 1 of 10\n"


def test_a_value_within_or_across_another_leaves_nothing_of_either() -> None:
    assert _filtered([b"hunter2", b"hunter22"], b"hunter22 hunter2 hunter222") == b"**** **** ****2"
    assert _filtered([b"abcdef", b"defghi"], b"<abcdefghi>") == b"<****>"
    assert _filtered([b"abcdef", b"defghi"], b"<abcdef", b"ghi>") == b"<****>"
    assert _filtered([b"hunter2", b"<hunter2>"], b"-<hunter2>-") == b"-****-"
    assert _filtered([b"aaaa"], b"<aaaa", b"a", b"a>") == b"<****>"
    assert _filtered([b"aaaaa"], b"<aaaaa", b"a") == b"<****"


@given(
    values=st.lists(
        st.binary(max_size=3).map(lambda seed: (seed * 30)[:70]) | st.text("ab", max_size=6).map(str.encode)
    ),
    pieces=st.lists(st.integers(0, 9) | st.text("abc", max_size=9).map(str.encode), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=5),
)
@example(values=[b"abab", b"baba"], pieces=[b"abababab"], cuts=[1, 2, 3, 5, 6])
def test_output_does_not_depend_on_the_writes_and_holds_no_value(
    values: list[bytes], pieces: list[int | bytes], cuts: list[int]
) -> None:
    """Values among other text, cut at any places: the same output as in one write, with no value left in it."""
    text = b" ".join(
        piece if isinstance(piece, bytes) else (values[piece] if piece < len(values) else b"-") for piece in pieces
    )
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    whole = _filtered(values, text)
    assert _filtered(values, *(text[start:stop] for start, stop in pairwise(places))) == whole
    long_enough = [value.strip() for value in values if len(value.strip()) >= 4 and b"*" not in value]
    assert not any(value in whole for value in long_enough)
