"""The format itself: the published examples, every spelling that is read, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dynastash.credstash import format
from dynastash.credstash.binding import MARKS, Marks
from dynastash.credstash.items import Label, largest, open_entry, parse, seal
from dynastash.credstash.versions import following, number_of, padded, spellings
from dynastash.errors import (
    ConflictError,
    EnvelopeError,
    FormatError,
    IntegrityError,
    InvalidNameError,
    UnsupportedFormatError,
    ValueTooLargeError,
)
from dynastash.models import Item, Plaintext, WrappedKey
from tests.credstash.kit import KEY, item

KEYS = format.split(KEY)
LABEL = Label("a", padded(1))

EXAMPLES = [
    (b"hello", "mDgawiU=", "d244a144fb4fcf6ca7eb1e98a49de92792989f967ac07892aa64d2efed093f66"),
    (
        b"postgres://user:pw@db.internal:5432/app",
        "gDIF2i3L+pac2bREO6dEB37L9brXAurTfM3bW3lAq6zmcGR8SfEQ",
        "47b61eef3696c0f3df52aa5955c0429318f0fd9581cf8b5c78a49d0d9ebc89bb",
    ),
    (b"", "", "f49240b78aa90e53f46106c3481e377e19696e777328b1cd6ec6061a0bd868a9"),
]
"""Made with credstash 1.17.1 and the key of the bytes 0 to 63."""


def opened(made: Item, **options: Any) -> bytes:
    """The value of an item whose key is the examples'."""
    return open_entry(parse(made), KEYS, **options).value.expose()


def sealed(value: bytes = b"made-up", label: Label = LABEL, **options: Any) -> dict[str, Any]:
    """An item as dynastash writes it."""
    return dict(seal(label, Plaintext(value), KEYS, WrappedKey(b"wrapped", ""), **options))


@pytest.mark.parametrize(("value", "contents", "mac"), EXAMPLES, ids=["short", "longer than a block", "empty"])
def test_the_examples(value: bytes, contents: str, mac: str) -> None:
    """Both ways."""
    ciphertext, made = format.encrypt(KEYS, Plaintext(value))
    assert (base64.b64encode(ciphertext).decode(), made.hex()) == (contents, mac)
    assert opened({**item(), "contents": {"S": contents}, "hmac": {"S": mac}}) == value


@pytest.mark.parametrize(
    ("digest", "algorithm"),
    [
        ("SHA", "sha1"),
        ("SHA1", "sha1"),
        ("SHA224", "sha224"),
        ("SHA256", "sha256"),
        ("SHA384", "sha384"),
        ("SHA512", "sha512"),
        ("MD5", "md5"),
        ("sha256", "sha256"),
        (None, "sha256"),
    ],
)
def test_every_digest(digest: str | None, algorithm: str) -> None:
    """And none, which is SHA256."""
    assert opened(item(algorithm=algorithm, digest={"S": digest} if digest else None)) == b"made-up"


def test_a_digest_that_openssl_has_left() -> None:
    """RIPEMD opens where the library still has it; WHIRLPOOL is told to be missing."""
    import hashlib

    for digest, algorithm in (("RIPEMD", "ripemd160"), ("WHIRLPOOL", "whirlpool")):
        try:
            hashlib.new(algorithm)
        except ValueError:
            with pytest.raises(UnsupportedFormatError, match=f"the digest {digest} is not available on this machine"):
                opened(item(digest={"S": digest}))
        else:
            assert opened(item(algorithm=algorithm, digest={"S": digest})) == b"made-up"
    with pytest.raises(UnsupportedFormatError, match="'CRC32' is not one of credstash's"):
        opened(item(digest={"S": "CRC32"}))


@pytest.mark.parametrize("kind", ["S", "B"])
@pytest.mark.parametrize("upper", [False, True])
def test_both_types_of_mac_in_any_case(kind: str, upper: bool) -> None:
    """Python 2 wrote text, Python 3 bytes, others what they like."""
    text = parse(item()).mac.hex()
    text = text.upper() if upper else text
    assert opened(item(hmac={kind: text if kind == "S" else text.encode()})) == b"made-up"


def test_base64_with_line_ends() -> None:
    """As rcredstash writes it."""
    made = item(value=b"x" * 200)
    for attribute in ("contents", "key"):
        text = made[attribute]["S"]
        made = {**made, attribute: {"S": "\r\n".join(text[at : at + 60] for at in range(0, len(text), 60)) + "\n"}}
    assert opened(made) == b"x" * 200


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"key": None, "contents": None}, "it is no item of credstash's: it has no key and no contents"),
        ({"hmac": None}, "it is no item of credstash's: it has no hmac"),
        ({"key": {"S": ""}}, "its key is empty"),
        ({"key": {"B": b"x"}}, "its key is not text"),
        ({"key": {"S": "A" * 8196}}, "its key has 6147 bytes, more than there can be"),
        ({"contents": {"S": "AAA"}}, "its contents is not base64"),
        ({"contents": {"S": "é"}}, "its contents is not base64"),
        ({"contents": {"N": "1"}}, "its contents is not text"),
        ({"contents": {"S": "AAAA" * 140_000}}, "its contents has 420000 bytes, more than there can be"),
        ({"hmac": {"S": "0g"}}, "its hmac is not hexadecimal"),
        ({"hmac": {"S": "abc"}}, "its hmac is not hexadecimal"),
        ({"hmac": {"S": ""}}, "its hmac is not hexadecimal"),
        ({"hmac": {"B": b"\xff"}}, "its hmac is not hexadecimal"),
        ({"hmac": {"L": []}}, "its hmac is not hexadecimal"),
        ({"digest": {"N": "256"}}, "its digest is not text"),
        ({"key": "a"}, "its key is not an attribute's value"),
        ({"hmac": "00"}, "its hmac is not an attribute's value"),
        ({"comment": ["x"]}, "its comment is not an attribute's value"),
        ({MARKS: "x"}, "its dynastash is not an attribute's value"),
        ({"created_at": 5}, "its created_at is not an attribute's value"),
        ({MARKS: {"S": "x"}}, "its attribute dynastash is not a map"),
        ({MARKS: {"M": {"format": {"S": "1"}, "mac": {"S": "x"}}}}, "its binding mac is malformed"),
        ({MARKS: {"M": {"format": {"S": "1"}, "mac": 5}}}, "mac in its attribute dynastash is malformed"),
        ({MARKS: {"M": {"format": {"S": "1"}, "used": {"N": "1.5"}}}}, "a number in its attribute dynastash"),
    ],
)
def test_the_wrong_shape(attributes: dict[str, Any], problem: str) -> None:
    """Each says what is wrong, before any key is asked for."""
    with pytest.raises(FormatError) as caught:
        parse(item(**attributes))
    assert str(caught.value).startswith(problem)


def test_a_later_format_of_the_marks() -> None:
    """It is said to be one, and not taken for an item without any."""
    for members in ({"format": {"S": "2"}}, {}):
        with pytest.raises(UnsupportedFormatError, match="of a format that this release does not know"):
            parse(item(**{MARKS: {"M": members}}))


def test_the_wrong_mac() -> None:
    """One bit is enough, of the contents, the MAC, or the digest's name; and nothing is decrypted."""
    good = item()
    data = bytearray(base64.b64decode(good["contents"]["S"]))
    data[0] ^= 1
    flipped = bytearray(parse(good).mac)
    flipped[-1] ^= 1
    for change in (
        {"contents": {"S": base64.b64encode(data).decode()}},
        {"contents": {"S": ""}},
        {"hmac": {"S": flipped.hex()}},
        {"hmac": {"S": flipped.hex()[:32]}},
        {"digest": {"S": "SHA512"}},
    ):
        with pytest.raises(IntegrityError, match="fail authentication"):
            opened({**good, **change})
    with pytest.raises(FormatError, match="the data key has 32 bytes, not 64"):
        format.split(KEY[:32])


def test_what_is_written_is_what_every_client_reads() -> None:
    """The MAC as text in lower case, the digest always there, base64 in one line, all else in one map."""
    made = sealed(label=Label("a", padded(1), "why"))
    assert list(made) == ["name", "version", "key", "contents", "hmac", "digest", "comment", MARKS]
    assert made["hmac"] == {"S": parse(made).mac.hex()}
    assert made["digest"] == {"S": "SHA256"}
    assert made["comment"] == {"S": "why"}
    assert "comment" not in sealed()
    assert "\n" not in sealed(b"x" * 1000)["contents"]["S"]
    assert opened(made) == b"made-up"
    assert open_entry(parse(made), KEYS, require_binding=True).bound


class TestBinding:
    """credstash authenticates the ciphertext alone; this covers the rest."""

    @pytest.mark.parametrize(
        "change",
        [
            {"name": {"S": "b"}},
            {"version": {"S": padded(2)}},
            {"comment": {"S": "another"}},
            {"key": {"S": base64.b64encode(b"another").decode()}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_what_credstash_takes_is_refused(self, change: dict[str, Any]) -> None:
        """An item under another name or version, or with another comment or wrapped key."""
        made = sealed(label=Label("a", padded(1), "why"), marks=Marks(environment="prod", secret="a", number=1))
        assert opened(made) == b"made-up"
        with pytest.raises(IntegrityError, match="bound to another name, version or comment"):
            opened({**made, **change})
        unbound = {key: value for key, value in {**made, **change}.items() if key != MARKS}
        assert opened(unbound) == b"made-up"  # which is what credstash does
        with pytest.raises(IntegrityError, match="not bound to its name and version, which is required"):
            opened(unbound, require_binding=True)

    @pytest.mark.parametrize(("member", "value"), [("secret", {"S": "b"}), ("version", {"N": "2"}), ("secret", None)])
    def test_the_marks_are_covered(self, member: str, value: Any) -> None:
        """Which secret of dynastash's it is cannot be changed either."""
        made = sealed(marks=Marks(environment="prod", secret="a", number=1))
        members = {**made[MARKS]["M"], member: value}
        made[MARKS] = {"M": {name: each for name, each in members.items() if each is not None}}
        with pytest.raises(IntegrityError, match="bound to another"):
            opened(made)

    def test_a_number_that_was_used_is_not_covered(self) -> None:
        """Whoever deletes need not be able to decrypt."""
        made = sealed()
        made[MARKS]["M"]["used"] = {"N": "7"}
        found = open_entry(parse(made), KEYS)
        assert found.bound
        assert found.marks is not None
        assert found.marks.used == 7

    def test_spelling_does_not_matter(self) -> None:
        """Base64 in lines and a MAC as bytes mean the same."""
        made = sealed(b"x" * 100)
        text = made["contents"]["S"]
        made["contents"] = {"S": f"{text[:50]}\n{text[50:]}"}
        made["hmac"] = {"B": made["hmac"]["S"].upper().encode()}
        assert open_entry(parse(made), KEYS).bound


def test_what_has_no_room() -> None:
    """Is refused with its size; and what is said to have room has."""
    most = largest(LABEL)
    assert most > 290_000
    wrapped = WrappedKey(b"x" * 6144, "")
    marks = Marks(environment="e" * 31, secret="s" * 512, number=9_999_999_999)
    seal(LABEL, Plaintext(bytes(most)), KEYS, wrapped, marks=marks)
    with pytest.raises(ValueTooLargeError, match="bytes in the table, where 409600 have room"):
        sealed(bytes(310_000))
    for label in (Label("", padded(1)), Label("a", ""), Label("a" * 2049, "1"), Label("a", "1" * 1025)):
        with pytest.raises(InvalidNameError):
            sealed(label=label)


class TestVersions:
    """Text, padded to 19."""

    @pytest.mark.parametrize(
        ("version", "expected"),
        [(0, "0" * 19), ("10", "0000000000000000010"), ("9" * 23, "9" * 23), ("rel-7", "00000000000000rel-7")],
    )
    def test_padding(self, version: int | str, expected: str) -> None:
        """As credstash's."""
        assert padded(version) == expected

    def test_a_version_is_looked_for_in_its_spellings(self) -> None:
        """A number as credstash does, then as given; a word the other way round."""
        assert spellings(9) == spellings("9") == (padded(9), "9")
        assert spellings("rel-7") == ("rel-7", padded("rel-7"))
        assert spellings(padded(9)) == (padded(9),)

    def test_the_number_of_a_version(self) -> None:
        """ASCII digits alone."""
        assert [number_of(text) for text in ("0007", "rel-7", "", "-1", "٧", "²", " 7")] == [7] + [None] * 6

    def test_the_next_one(self) -> None:
        """Behind all, also behind a number that was used before."""
        assert following("a", [padded(1), padded(9)], used=0, first=5) == padded(10)
        assert following("a", [padded(1)], used=9, first=5) == padded(10)
        assert following("a", [], used=0, first=5) == padded(5)
        assert following("a", [], used=9, first=5) == padded(10)

    @pytest.mark.parametrize(
        "labels", [["9", "10"], ["9" * 19], [padded(1), "~"]], ids=["unpadded", "19 nines", "a word"]
    )
    def test_one_that_would_not_become_the_latest(self, labels: list[str]) -> None:
        """credstash writes it, and goes on serving the old one."""
        with pytest.raises(ConflictError) as caught:
            following("a", labels, used=0, first=1)
        assert caught.value.hint


def test_nothing_of_a_value_is_in_a_repr() -> None:
    """Nor of a key."""
    found = open_entry(parse(sealed(b"hunter2-made-up")), KEYS)
    assert "hunter2" not in repr(found)
    assert "hidden" in repr(KEYS)
    assert "ciphertext" not in repr(parse(sealed()))
    assert isinstance(EnvelopeError("x"), Exception)
