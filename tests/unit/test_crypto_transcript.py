"""The canonical bytes of an item, worked out by hand from docs/format-v1.md, and what has none."""

from __future__ import annotations

from typing import Any

import pytest

from dynastash.crypto.transcript import MAX_DEPTH, canonical_integer, integer, length_prefixed, transcript, utf8
from dynastash.errors import FormatError
from tests.unit import crypto_reference as reference


def attribute_bytes(value: dict[str, Any]) -> bytes:
    """What the transcript of an item with the single attribute ``a`` has behind domain, environment, count and name."""
    prefix = b"D" + b"\x00\x00\x00\x01e" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x01a"
    whole = transcript(b"D", "e", {"a": value})
    assert whole.startswith(prefix)
    return whole.removeprefix(prefix)


BY_HAND = {
    "S": ({"S": "abc"}, b"S\x00\x00\x00\x03abc"),
    "S empty": ({"S": ""}, b"S\x00\x00\x00\x00"),
    "S utf-8": ({"S": "é€😀"}, b"S\x00\x00\x00\x09\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
    "S not normalized": ({"S": "e\u0301"}, b"S\x00\x00\x00\x03e\xcc\x81"),
    "S nul": ({"S": "\x00"}, b"S\x00\x00\x00\x01\x00"),
    "N": ({"N": "42"}, b"N\x00\x00\x00\x0242"),
    "N zero": ({"N": "0"}, b"N\x00\x00\x00\x010"),
    "N negative": ({"N": "-7"}, b"N\x00\x00\x00\x02-7"),
    "N of 38 digits": ({"N": "9" * 38}, b"N\x00\x00\x00\x26" + b"9" * 38),
    "N as large as DynamoDB has": ({"N": "9" * 38 + "0" * 88}, b"N\x00\x00\x00\x7e" + b"9" * 38 + b"0" * 88),
    "N as small as DynamoDB has": (
        {"N": "-" + "9" * 38 + "0" * 88},
        b"N\x00\x00\x00\x7f-" + b"9" * 38 + b"0" * 88,
    ),
    "N beyond what int() reads": ({"N": "1" * 5000}, b"N\x00\x00\x13\x88" + b"1" * 5000),
    "B": ({"B": b"\x00\xff"}, b"B\x00\x00\x00\x02\x00\xff"),
    "B empty": ({"B": b""}, b"B\x00\x00\x00\x00"),
    "BOOL true": ({"BOOL": True}, b"T\x01"),
    "BOOL false": ({"BOOL": False}, b"T\x00"),
    "NULL": ({"NULL": True}, b"0"),
    "NS in numeric order": (
        {"NS": ["10", "9", "-10", "-9", "0"]},
        b"n\x00\x00\x00\x05\x00\x00\x00\x03-10\x00\x00\x00\x02-9\x00\x00\x00\x010\x00\x00\x00\x019\x00\x00\x00\x0210",
    ),
    "NS of one sign and length": (
        {"NS": ["-21", "-12", "21", "12"]},
        b"n\x00\x00\x00\x04\x00\x00\x00\x03-21\x00\x00\x00\x03-12\x00\x00\x00\x0212\x00\x00\x00\x0221",
    ),
    "NS beyond what int() reads": (
        {"NS": ["1" + "0" * 4999, "2"]},
        b"n\x00\x00\x00\x02\x00\x00\x00\x012\x00\x00\x13\x881" + b"0" * 4999,
    ),
    "SS in byte order": (
        {"SS": ["é", "b", "", "a", "ab", "😀", "\uffff"]},
        b"s\x00\x00\x00\x07"
        b"\x00\x00\x00\x00"
        b"\x00\x00\x00\x01a"
        b"\x00\x00\x00\x02ab"
        b"\x00\x00\x00\x01b"
        b"\x00\x00\x00\x02\xc3\xa9"
        b"\x00\x00\x00\x03\xef\xbf\xbf"  # before the emoji in UTF-8 and behind it in UTF-16
        b"\x00\x00\x00\x04\xf0\x9f\x98\x80",
    ),
    "M sorted by key": (
        {"M": {"b": {"N": "1"}, "a": {"S": "x"}, "": {"NULL": True}}},
        b"M\x00\x00\x00\x03\x00\x00\x00\x000\x00\x00\x00\x01aS\x00\x00\x00\x01x\x00\x00\x00\x01bN\x00\x00\x00\x011",
    ),
    "M empty": ({"M": {}}, b"M\x00\x00\x00\x00"),
    "L in its own order": (
        {"L": [{"S": "b"}, {"S": "a"}, {"L": []}]},
        b"L\x00\x00\x00\x03S\x00\x00\x00\x01bS\x00\x00\x00\x01aL\x00\x00\x00\x00",
    ),
    "L empty": ({"L": []}, b"L\x00\x00\x00\x00"),
    "M in L in M": (
        {"M": {"k": {"L": [{"M": {"v": {"BOOL": True}}}]}}},
        b"M\x00\x00\x00\x01\x00\x00\x00\x01kL\x00\x00\x00\x01M\x00\x00\x00\x01\x00\x00\x00\x01vT\x01",
    ),
}


@pytest.mark.parametrize(("value", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_each_type_by_hand(value: dict[str, Any], expected: bytes) -> None:
    """Type letter, u32 length or count, content: byte by byte; and the reference implementation agrees."""
    assert attribute_bytes(value) == expected
    if "int()" not in str(value) and len(expected) < 4000:
        assert reference.attribute(value) == expected


def test_a_whole_item_by_hand() -> None:
    """Domain, environment, count, then the attributes sorted by the bytes of their names."""
    item = {"é": {"BOOL": False}, "b": {"N": "2"}, "a": {"S": "1"}, "B": {"B": b"\x00"}}
    assert transcript(b"dynastash/v1/item\x00", "prod", item) == (
        b"dynastash/v1/item\x00"
        b"\x00\x00\x00\x04prod"
        b"\x00\x00\x00\x04"
        b"\x00\x00\x00\x01BB\x00\x00\x00\x01\x00"
        b"\x00\x00\x00\x01aS\x00\x00\x00\x011"
        b"\x00\x00\x00\x01bN\x00\x00\x00\x012"
        b"\x00\x00\x00\x02\xc3\xa9T\x00"
    )
    assert transcript(b"", "", {}) == b"\x00\x00\x00\x00" + b"\x00\x00\x00\x00"


def test_length_prefix() -> None:
    """LP is a big-endian u32 and the bytes."""
    assert length_prefixed(b"") == b"\x00\x00\x00\x00"
    assert length_prefixed(b"x" * 0x10203) == b"\x00\x01\x02\x03" + b"x" * 0x10203


def test_left_out_at_the_top_level_only() -> None:
    """``without`` takes an attribute out, and out of the count; the same key inside a map stays."""
    inner = {"M": {"mac": {"B": b"1"}}}
    item = {"mac": {"B": b"2"}, "x": inner}
    assert transcript(b"D", "e", item, without=("mac",)) == transcript(b"D", "e", {"x": inner})
    assert transcript(b"D", "e", item, without=("mac",)) != transcript(b"D", "e", {"x": {"M": {}}})


NONCANONICAL = [
    "", "-", "+1", "-0", "00", "01", "-01", "1.0", "1.", ".5", "1e3", "1E3", " 1", "1 ", "1\n", "\n1", "1_000", "0x1",
    "١", "１", "²", "NaN", "Infinity", "-Infinity", "--1", "1-", "0.0", "1,000", "1\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", [*NONCANONICAL, 1, 1.0, True, None, b"1", ["1"], {"N": "1"}], ids=repr)
@pytest.mark.parametrize("place", ["N", "NS", "M", "L"])
def test_any_other_number_is_refused_wherever_it_stands(text: object, place: str) -> None:
    """No second spelling of a number, at the top, in a set, in a map or in a list."""
    value: dict[str, Any] = {"N": text}
    if place == "NS":
        value = {"NS": ["5", text]}
    elif place == "M":
        value = {"M": {"k": {"M": {"n": value}}}}
    elif place == "L":
        value = {"L": [{"N": "5"}, {"L": [value]}]}
    with pytest.raises(FormatError):
        attribute_bytes(value)


@pytest.mark.parametrize("text", ["0", "1", "-1", "10", "123456789012345678901234567890", "-" + "9" * 38])
def test_canonical_integers(text: str) -> None:
    """What is canonical is returned as it stands, and read as the number it is."""
    assert canonical_integer(text) == text
    assert integer(text) == int(text)


def test_a_number_of_the_formats_own_is_never_absurdly_long() -> None:
    """40 digits and 5,000 are refused where a value is wanted, before Python's own limit on digits is reached."""
    for digits in (40, 4301, 300_000):
        with pytest.raises(FormatError):
            integer("1" * digits)


MALFORMED: list[Any] = [
    {"SS": []},
    {"NS": []},
    {"SS": ["a", "a"]},
    {"NS": ["1", "1"]},
    {"NS": ["1", "01"]},
    {"SS": ["a", b"a"]},
    {"SS": ["a", 1]},
    {"SS": ["a", ["b"]]},
    {"SS": [None]},
    {"SS": "ab"},
    {"NS": "12"},
    {"SS": {"a": "b"}},
    {"SS": None},
    {"BS": [b"a"]},
    {"BS": []},
    {"NULL": False},
    {"NULL": None},
    {"NULL": 1},
    {"NULL": "true"},
    {"BOOL": 1},
    {"BOOL": 0},
    {"BOOL": "true"},
    {"BOOL": None},
    {"S": 1},
    {"S": b"a"},
    {"S": None},
    {"S": "\ud800"},
    {"B": "YQ=="},
    {"B": [97]},
    {"B": bytearray(b"a")},
    {"M": []},
    {"M": None},
    {"M": {"k": "v"}},
    {"M": {1: {"S": "v"}}},
    {"M": {"\udfff": {"S": "v"}}},
    {"L": {}},
    {"L": "ab"},
    {"L": ["a"]},
    {"L": None},
    {"X": "a"},
    {"s": "a"},
    {"": "a"},
    {1: "a"},
    {None: "a"},
    {"S": "a", "N": "1"},
    {},
    "a",
    1,
    None,
    b"a",
    ["S", "a"],
    [("S", "a")],
]


@pytest.mark.parametrize("value", MALFORMED, ids=repr)
@pytest.mark.parametrize("place", ["top", "M", "L"])
def test_anything_else_has_no_transcript(value: Any, place: str) -> None:
    """Empty and duplicate sets, binary sets, a false NULL, wrong Python types, no type or two: refused at any depth."""
    nested = {"top": value, "M": {"M": {"k": value}}, "L": {"L": [{"S": "first"}, value]}}[place]
    with pytest.raises(FormatError):
        attribute_bytes(nested)


@pytest.mark.parametrize(
    "item", [None, 1, "item", b"item", [], [("a", {"S": "x"})], {1: {"S": "x"}}, {"\ud800": {"S": ""}}]
)
def test_an_item_is_a_map_with_unicode_names(item: Any) -> None:
    """Not a map, or not names: a FormatError like any other."""
    with pytest.raises(FormatError):
        transcript(b"D", "e", item)


def nested(kind: str, levels: int) -> dict[str, Any]:
    """A string inside ``levels`` maps or lists."""
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"k": value}} if kind == "M" else {"L": [value]}
    return value


@pytest.mark.parametrize("kind", ["M", "L"])
def test_nesting_as_deep_as_dynamodb_goes(kind: str) -> None:
    """32 levels are fine, which is at least what DynamoDB keeps; more is refused without exhausting the stack."""
    assert attribute_bytes(nested(kind, MAX_DEPTH)) == reference.attribute(nested(kind, MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 500, 100_000):
        with pytest.raises(FormatError, match="nested too deeply"):
            attribute_bytes(nested(kind, levels))


def test_a_map_that_contains_itself_is_refused() -> None:
    """No store returns one, but no input makes the encoder run away."""
    value: dict[str, Any] = {"M": {}}
    value["M"]["k"] = value
    with pytest.raises(FormatError):
        attribute_bytes(value)


def test_text() -> None:
    """UTF-8 as it stands, and a FormatError for anything that is not unicode text."""
    assert utf8("é") == b"\xc3\xa9"
    for junk in ("\ud800", b"a", 1, None):
        with pytest.raises(FormatError):
            utf8(junk)


LOOKALIKES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"a": {"S": "1"}}, {"a": {"N": "1"}}),
    ({"a": {"S": "1"}}, {"a": {"B": b"1"}}),
    ({"a": {"S": ""}}, {}),
    ({"a": {"S": "bS\x00\x00\x00\x00"}}, {"a": {"S": "b"}}),
    ({"ab": {"S": "c"}}, {"a": {"S": "bc"}}),
    ({"a": {"S": "x"}, "b": {"S": "y"}}, {"a": {"S": "y"}, "b": {"S": "x"}}),
    ({"a": {"SS": ["x", "y"]}}, {"a": {"L": [{"S": "x"}, {"S": "y"}]}}),
    ({"a": {"SS": ["1", "2"]}}, {"a": {"NS": ["1", "2"]}}),
    ({"a": {"L": [{"S": "x"}, {"S": "y"}]}}, {"a": {"L": [{"S": "y"}, {"S": "x"}]}}),
    ({"a": {"L": [{"L": []}, {"S": "x"}]}}, {"a": {"L": [{"L": [{"S": "x"}]}]}}),
    ({"a": {"M": {"b": {"S": "x"}}}}, {"a": {"M": {}}, "b": {"S": "x"}}),
    ({"a": {"M": {}}}, {"a": {"L": []}}),
    ({"a": {"BOOL": True}}, {"a": {"BOOL": False}}),
    ({"a": {"BOOL": False}}, {"a": {"NULL": True}}),
    ({"a": {"S": "é"}}, {"a": {"S": "e\u0301"}}),
]


@pytest.mark.parametrize(("one", "other"), LOOKALIKES)
def test_different_items_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Pairs that a careless encoding would confuse."""
    assert transcript(b"D", "e", one) != transcript(b"D", "e", other)


def test_environment_and_domain_are_part_of_it() -> None:
    """The same item under another environment or for another purpose has another transcript."""
    item = {"a": {"S": "x"}}
    assert len({transcript(d, e, item) for d in (b"one\x00", b"two\x00") for e in ("dev", "prod")}) == 4
