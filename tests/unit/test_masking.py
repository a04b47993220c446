"""The filter between a program's output and the terminal: no value passes, whatever the writes look like."""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynastash.generate import KeyPair, generate
from dynastash.masking import Mask

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


HOSTILE = [b"p\xe4ss+/=?&", b'sl/sh "q" \\ it\'s $x`\n2nd line of it', bytes(range(1, 60)), "päß🔑~.-_*!()".encode()]


def _encodings(value: bytes) -> dict[str, bytes]:
    """What common tools make of a value, by hand where Python has no such tool."""
    text = value.decode("utf-8", "replace")
    lower = urllib.parse.quote(value, safe="")
    made = {
        "base64": base64.b64encode(value),
        "base64url": base64.urlsafe_b64encode(value),
        "base64url without padding": base64.urlsafe_b64encode(value).rstrip(b"="),
        "base64 in lines": base64.encodebytes(value),
        "URL": urllib.parse.quote(value, safe="").encode(),
        "URL, slashes left": urllib.parse.quote(value).encode(),
        "URL, lower case": re.sub("%..", lambda found: found[0].lower(), lower).encode(),
        "form": urllib.parse.urlencode({"v": value})[2:].encode(),
        "encodeURIComponent": urllib.parse.quote(value, safe="!'()*").encode(),
    }
    if text.encode() == value:
        made |= {
            "JSON": json.dumps(text).encode(),
            "JSON in JSON": json.dumps(json.dumps(text)[1:-1]).encode(),
            "JSON, UTF-8": json.dumps(text, ensure_ascii=False).encode(),
            "shell": shlex.quote(text).encode(),
        }
    return made


@pytest.mark.parametrize("value", HOSTILE)
def test_encoded_values_are_masked(value: bytes) -> None:
    """Whatever encodes it: nothing of more than a few characters is left, split or not."""
    for name, form in _encodings(value).items():
        written = b"<" + form + b">"
        shown = _filtered([value], written)
        left = shown.replace(b"*", b"").strip(b"<>\"'= \n")
        assert len(left) <= 2, (name, shown)
        assert _filtered([value], *(bytes([byte]) for byte in written)) == shown


@settings(max_examples=60)
@given(st.binary(min_size=4, max_size=50), st.binary(max_size=7), st.binary(max_size=7))
def test_base64_of_something_around_a_value(value: bytes, before: bytes, after: bytes) -> None:
    """At all three alignments and in both alphabets, all that is the value's alone is gone.

    A character at either end holds bits of its neighbour too; these may be seen.
    """
    if len(value.strip()) < 4:
        return
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(before + value + after)
        start, stop = -(-len(before) * 8 // 6), (len(before) + len(value)) * 8 // 6
        shown = _filtered([value], b"<", whole[:5], whole[5:], b">")
        if b"*" not in whole and len(whole[start:stop]) >= 4:
            assert whole[start:stop] not in shown


def test_texts_within_a_json_value_are_masked() -> None:
    """A program that takes it apart prints the parts. Short ones are not sought."""
    value = json.dumps({"user": "ada", "password": 'correct "horse', "hosts": ["battery.example.com", 5432]}).encode()
    assert _filtered([value], b'ada: correct "horse at battery.example.com:5432') == b"ada: **** at ****:5432"


def test_many_values_are_sought_at_once() -> None:
    """500 of them, in the middle of other text and across writes; short and long ones."""
    values = [b"%05d-%s" % (number, b"x" * (number % 40)) for number in range(500)]
    for value in values[::7]:
        text = b"password=" + value + b"; and more"
        whole = _filtered(values, text)
        assert value not in whole and b"password=****" in whole
        assert _filtered(values, text[:11], text[11:14], text[14:]) == whole


def test_a_very_long_value_is_masked_in_larger_pieces() -> None:
    """As it is and in base64; at most 511 bytes wait for what follows."""
    value = b"".join(b"%06d" % number for number in range(20_000))
    for form in (value, base64.b64encode(value), base64.b64encode(b"x" + value)):
        shown = _filtered([value], *(form[start : start + 1000] for start in range(0, len(form), 1000)))
        assert len(shown.replace(b"*", b"")) <= 4
    assert Mask([value]).feed(b"-" * 10 + value[:300]) == b"-" * 10


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
