"""Generated values: what comes out, that it is unbiased, and how weak it may be."""

from __future__ import annotations

import copy
import math
import random
import secrets
import string
from collections import Counter
from dataclasses import FrozenInstanceError
from itertools import product

import pytest

from dynastash.errors import ConfigError, DynastashError, InvalidArgumentError
from dynastash.generate import (
    ALPHABETS,
    FLOOR_BITS,
    Passphrase,
    Password,
    Policy,
    RandomBytes,
    from_item,
    generate,
)
from dynastash.generate.passphrase import WORDS
from dynastash.models import MAX_VALUE, Plaintext

WEAK = [
    (lambda: Password(10), "59 bits"),
    (lambda: Password(15, "hex"), "60 bits"),
    (lambda: Password(19, "digits"), "63 bits"),
    (lambda: Passphrase(4), "51 bits"),
]


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws that come out the same in every run, through the one function that draws."""
    monkeypatch.setattr(secrets, "randbelow", random.Random(20261108).randrange)


@pytest.mark.parametrize("alphabet", [*ALPHABETS, "chars:!~aZ09"])
@pytest.mark.parametrize("each_class", [False, True])
def test_passwords_have_the_length_and_the_characters_asked_for(alphabet: str, each_class: bool) -> None:
    policy = Password(50, alphabet, each_class=each_class)
    drawn = [generate(policy).expose().decode("ascii") for _ in range(20)]
    assert {len(password) for password in drawn} == {50}
    assert set("".join(drawn)) <= set(policy.characters)
    assert len(set(drawn)) == 20


def test_named_alphabets_are_what_their_names_say() -> None:
    assert set(ALPHABETS["alphanumeric"]) == set(string.ascii_letters + string.digits)
    assert set(ALPHABETS["hex"]) == set("0123456789abcdef")
    assert set(ALPHABETS["base64url"]) == set(string.ascii_letters + string.digits + "-_")
    assert ALPHABETS["digits"] == string.digits
    assert all(len(set(characters)) == len(characters) for characters in ALPHABETS.values())


def test_symbols_have_no_look_alike_and_nothing_that_a_shell_or_a_url_trips_over() -> None:
    symbols = ALPHABETS["symbols"]
    assert len(symbols) == 64
    assert set(symbols).isdisjoint("0O1Il|`'\"$&;<>()[]{}*?!#~^\\ %/@")
    assert any(character in string.punctuation for character in symbols)


def test_every_character_is_equally_likely(seeded: None) -> None:
    """Chi-square over 62,000 draws of 62 characters: 61 degrees of freedom, 126 is exceeded once in a million."""
    text = b"".join(generate(Password(1000)).expose() for _ in range(62))
    counts = Counter(text)
    assert len(counts) == 62
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 126


def test_every_draw_picks_its_own_character(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mapping from a draw to a character is one to one, and asks for as many outcomes as there are characters."""
    for characters in ALPHABETS.values():
        asked: list[int] = []
        monkeypatch.setattr(secrets, "randbelow", lambda n, asked=asked: (asked.append(n), len(asked) - 1)[1])
        policy = Password(len(characters), f"chars:{characters}", allow_weak=True)
        assert generate(policy).expose().decode() == characters
        assert asked == [len(characters)] * len(characters)


def test_all_passwords_with_each_class_are_equally_likely(seeded: None) -> None:
    """Chi-square over every password that qualifies; repairing one character would make some likelier."""
    policy = Password(4, "chars:abcdAB12", each_class=True, allow_weak=True)
    possible = {
        "".join(drawn)
        for drawn in product("abcdAB12", repeat=4)
        if any(c in "abcd" for c in drawn) and any(c in "AB" for c in drawn) and any(c in "12" for c in drawn)
    }
    counts = Counter(generate(policy).expose().decode() for _ in range(20 * len(possible)))
    assert set(counts) <= possible
    assert policy.entropy_bits == pytest.approx(math.log2(len(possible)))
    freedom = len(possible) - 1
    chi_square = sum((counts[password] - 20) ** 2 / 20 for password in possible)
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("alphabet", ["alphanumeric", "symbols", "base64url", "hex"])
def test_each_class_holds_in_every_password(alphabet: str) -> None:
    """Short passwords, so that chance alone would miss a class in many of 300."""
    policy = Password(4, alphabet, each_class=True, allow_weak=True)
    classes = [set(members) & set(policy.characters) for members in (string.ascii_uppercase, string.ascii_lowercase)]
    classes += [set(members) & set(policy.characters) for members in (string.digits, string.punctuation)]
    for _ in range(300):
        password = set(generate(policy).expose().decode())
        assert all(password & members for members in classes if members)


@pytest.mark.parametrize(
    ("policy", "bits"),
    [
        (Password(), 32 * math.log2(62)),
        (Password(64, "hex"), 256),
        (Password(32, "symbols"), 192),
        (Password(4, "digits", allow_weak=True), math.log2(10_000)),
        (Passphrase(), 7 * math.log2(7772)),
        (RandomBytes(), 256),
    ],
)
def test_entropy_counts_the_values_that_can_come_out(policy: Policy, bits: float) -> None:
    assert policy.entropy_bits == pytest.approx(bits)


def test_entropy_is_less_where_passwords_are_rejected() -> None:
    """Only a little for a long password: the figure is exact, not the alphabet's."""
    assert Password(32).entropy_bits - 0.1 < Password(32, each_class=True).entropy_bits < Password(32).entropy_bits


def test_defaults_are_strong() -> None:
    assert Password().entropy_bits > 128
    assert Passphrase().entropy_bits > 80
    assert RandomBytes().entropy_bits == 256


@pytest.mark.parametrize(("weak", "bits"), WEAK)
def test_weak_policies_are_refused_with_their_entropy(weak: object, bits: str) -> None:
    with pytest.raises(InvalidArgumentError, match=bits) as refused:
        weak()  # type: ignore[operator]
    assert "allow a weak value" in str(refused.value.hint)


def test_the_floor_is_where_it_is_said_to_be() -> None:
    assert Password(16, "hex").entropy_bits == FLOOR_BITS
    assert Password(11).entropy_bits > FLOOR_BITS
    assert Passphrase(5).entropy_bits > FLOOR_BITS


def test_a_pin_must_be_asked_for() -> None:
    """Six digits are refused, accepted where weak values are allowed, and never without a last floor."""
    with pytest.raises(InvalidArgumentError):
        Password(6, "digits")
    assert generate(Password(6, "digits", allow_weak=True)).expose().isdigit()
    with pytest.raises(InvalidArgumentError, match="fewer than 10"):
        Password(3, "digits", allow_weak=True)
    with pytest.raises(InvalidArgumentError, match="fewer than 10"):
        Password(5, "chars:ab", allow_weak=True)


@pytest.mark.parametrize(
    "alphabet",
    [
        "",
        "Hex",
        "klingon",
        "chars:",
        "chars:a",
        "chars:abca",
        "chars:ab c",
        "chars:abé",
        "chars:ab\n",
        "chars:\ud800b",
        7,
    ],
)
def test_alphabets_that_are_not_alphabets_are_refused(alphabet: object) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        Password(64, alphabet)  # type: ignore[arg-type]
    assert refused.value.hint


@pytest.mark.parametrize("length", [0, -1, 4097, 32.0, "32", True, None])
def test_lengths_are_whole_numbers_in_range(length: object) -> None:
    with pytest.raises(InvalidArgumentError):
        Password(length)  # type: ignore[arg-type]


@pytest.mark.parametrize("flag", [{"each_class": 1}, {"allow_weak": "yes"}])
def test_flags_are_flags(flag: dict[str, bool]) -> None:
    with pytest.raises(InvalidArgumentError):
        Password(**flag)


def test_classes_that_hardly_fit_are_refused_instead_of_drawn_for_ever() -> None:
    for length in (1, 2):
        with pytest.raises(InvalidArgumentError, match="each class"):
            Password(length, "alphanumeric", each_class=True, allow_weak=True)
    with pytest.raises(InvalidArgumentError, match="each class"):
        Password(4, f"chars:aA1{string.punctuation}", each_class=True, allow_weak=True)


def test_passphrases_are_words_of_the_list() -> None:
    words = generate(Passphrase(9)).expose().decode().split("-")
    assert len(words) == 9
    assert all(word.isalpha() and word.islower() and 3 <= len(word) <= 9 for word in words)
    assert len(generate(Passphrase(7, separator=" 0")).expose().split(b" 0")) == 7


def test_every_word_of_the_list_can_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks through all draws: as many different words as the entropy is computed of."""
    drawn = iter(range(WORDS))

    def below(size: int) -> int:
        assert size == WORDS
        return next(drawn)

    monkeypatch.setattr(secrets, "randbelow", below)
    words: set[bytes] = set()
    for _ in range(WORDS // 58):
        words.update(generate(Passphrase(58)).expose().split(b"-"))
    assert len(words) == WORDS == 58 * 134


@pytest.mark.parametrize("separator", ["", "x", "-a-", "é", "\n", "---------", "\ud800", 5])
def test_separators_keep_words_apart(separator: object) -> None:
    with pytest.raises(InvalidArgumentError):
        Passphrase(separator=separator)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [0, 257, True, "7"])
def test_the_number_of_words_is_bounded(words: object) -> None:
    with pytest.raises(InvalidArgumentError):
        Passphrase(words)  # type: ignore[arg-type]


@pytest.mark.parametrize("listed", ["", "able\n" * 8000, "\n".join(f"w{n}" for n in range(8000)), b"\xff"])
def test_a_word_list_shorter_than_promised_is_refused(
    listed: str | bytes, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty, one word many times, no words at all, or not text: never a weaker passphrase than was said."""
    static = tmp_path / "static"  # type: ignore[operator]
    static.mkdir()
    (static / "eff-long").write_bytes(listed if isinstance(listed, bytes) else listed.encode())
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    with pytest.raises(ConfigError, match="xkcdpass"):
        generate(Passphrase())


def test_random_bytes() -> None:
    assert len(generate(RandomBytes()).expose()) == 32
    assert len(generate(RandomBytes(MAX_VALUE)).expose()) == MAX_VALUE
    assert generate(RandomBytes(16)) != generate(RandomBytes(16))


@pytest.mark.parametrize("count", [0, 15, MAX_VALUE + 1, True, "32"])
def test_random_bytes_are_neither_few_nor_more_than_a_value_holds(count: object) -> None:
    with pytest.raises(InvalidArgumentError):
        RandomBytes(count)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "described"),
    [
        (Password(), "password, 32 characters of A-Z a-z 0-9, 190 bits"),
        (Password(64, "hex"), "password, 64 characters of a-f 0-9, 256 bits"),
        (
            Password(20, "symbols", each_class=True),
            "password, 20 characters of A-H J-N P-Z a-k m-z 2-9 +,-.:=_, at least one of each class, 119 bits",
        ),
        (Password(40, "chars:ba!~3"), "password, 40 characters of ab 3 !~, 92 bits"),
        (Password(4, "digits", allow_weak=True), "password, 4 characters of 0-9, 13 bits"),
        (Passphrase(), "passphrase, 7 of 7772 words, 90 bits"),
        (RandomBytes(), "32 random bytes, 256 bits"),
    ],
)
def test_descriptions(policy: Policy, described: str) -> None:
    assert policy.describe() == described


def test_values_are_hidden_and_policies_frozen() -> None:
    policy = Password()
    value = generate(policy)
    assert isinstance(value, Plaintext)
    assert value.expose().decode() not in f"{value!r} {value}"
    with pytest.raises(FrozenInstanceError):
        policy.length = 1  # type: ignore[misc]
    assert copy.deepcopy(policy) == policy == Password() != Password(33)


def test_stored_policies_say_everything() -> None:
    """Defaults are written out: a later release may change them without changing what is stored."""
    assert Password().to_item() == {
        "kind": {"S": "password"},
        "length": {"N": "32"},
        "alphabet": {"S": "alphanumeric"},
        "each_class": {"BOOL": False},
        "allow_weak": {"BOOL": False},
    }
    assert RandomBytes(24).to_item() == {"kind": {"S": "bytes"}, "count": {"N": "24"}}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": {"S": "command"}}, "UnsupportedFormatError"),
        ({"kind": {"S": "passphrase"}}, "UnsupportedFormatError"),
        ({"argv": {"S": "rm -rf /"}}, "UnsupportedFormatError"),
        ({"kind": {"N": "1"}}, "FormatError"),
        ({"kind": {"S": []}}, "FormatError"),
        ({"kind": "password"}, "FormatError"),
        ({"kind": None}, "FormatError"),
        ({"length": None}, "FormatError"),
        ({"length": {"S": "32"}}, "FormatError"),
        ({"length": {"N": 32}}, "FormatError"),
        ({"length": {"N": "032"}}, "FormatError"),
        ({"length": {"N": "32\n"}}, "FormatError"),
        ({"length": {"N": "3e1"}}, "FormatError"),
        ({"length": {"N": "-32"}}, "FormatError"),
        ({"length": {"N": "٣٢"}}, "FormatError"),
        ({"length": {"N": "9" * 5000}}, "FormatError"),
        ({"length": {"N": "5000"}}, "FormatError"),
        ({"length": {"N": "32", "S": "32"}}, "FormatError"),
        ({"alphabet": {"S": "chars:aa"}}, "FormatError"),
        ({"alphabet": {"S": "chars:\ud800"}}, "FormatError"),
        ({"alphabet": {"S": b"hex"}}, "FormatError"),
        ({"each_class": {"BOOL": "true"}}, "FormatError"),
        ({"each_class": {"BOOL": 1}}, "FormatError"),
        ({"length": {"N": "6"}}, "FormatError"),
    ],
)
def test_stored_policies_that_are_not_ours_are_refused(change: dict[str, object], error: str) -> None:
    """Of another kind, of a later release, malformed, out of range or too weak; None takes the attribute away."""
    item = {name: value for name, value in (Password().to_item() | change).items() if value is not None}
    with pytest.raises(DynastashError) as refused:
        from_item(item)  # type: ignore[arg-type]
    assert type(refused.value).__name__ == error
    assert refused.value.hint


def test_a_weak_policy_is_read_back_only_with_its_permission() -> None:
    pin = Password(6, "digits", allow_weak=True)
    assert from_item(pin.to_item()) == pin
    with pytest.raises(DynastashError, match="19 bits"):
        from_item(pin.to_item() | {"allow_weak": {"BOOL": False}})
