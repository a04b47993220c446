"""Sealing and opening, held against a second implementation; what must open does, and errors say the right thing."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dynastash.crypto import padding
from dynastash.crypto.envelope import (
    authenticate,
    check_seal,
    open_record,
    open_version,
    seal_head,
    seal_version,
)
from dynastash.crypto.kdf import derive
from dynastash.crypto.records import VersionMetadata, decode_head, decode_version
from dynastash.errors import FormatError, IntegrityError, UnsupportedFormatError
from dynastash.models import MAX_VALUE, DataKey, Head, Plaintext, State, WrappedKey
from tests.unit import crypto_reference as reference
from tests.unit.crypto_reference import ARN, ENV, KEY, KMS_KEY, NAME, OPTIONAL, OTHER_KEY, SALT, VALUE, VERSION

METADATA = VersionMetadata(
    name=NAME,
    number=VERSION,
    created_ms=1_767_225_600_123,
    created_by=ARN,
    comment="quarterly é",
    content_type="application/json",
    expires_at=1_798_761_600,
    context={"app.tier": "db", "team": "payments"},
)
WRAPPED = WrappedKey(b"wrapped:" + bytes(40), KMS_KEY)


def opened(item: Mapping[str, Any], *, env: str = ENV, name: str = NAME, number: int = VERSION) -> bytes:
    """The value in ``item`` as read under the reference's names and data key."""
    return open_version(env, name, number, item, DataKey(KEY))[1].expose()


@pytest.mark.parametrize("value", [b"", b"\x00", b"hunter2", bytes(range(256)) * 40, b"\xff" * MAX_VALUE], ids=len)
def test_what_is_sealed_opens(value: bytes) -> None:
    """From nothing to the largest value, with every field of the metadata intact."""
    item, keys = seal_version(ENV, METADATA, Plaintext(value), DataKey(KEY), WRAPPED)
    record, plaintext, same_keys = open_version(ENV, NAME, VERSION, item, DataKey(KEY))
    assert plaintext == Plaintext(value)
    assert record.metadata == replace(METADATA, key_id=KMS_KEY)
    assert record.wrapped_key == WRAPPED.blob
    assert (keys.encryption, keys.mac, keys.head) == (same_keys.encryption, same_keys.mac, same_keys.head)
    assert open_record(ENV, decode_version(item), DataKey(KEY))[0] == Plaintext(value)


def test_the_reference_reads_what_is_sealed() -> None:
    """Field by field by the other implementation: key derivation, AAD, payload, MAC."""
    item, _ = seal_version(ENV, METADATA, Plaintext(VALUE), DataKey(KEY), WRAPPED)
    assert reference.authenticated(item) == item
    aad = (
        b"dynastash/v1/aad\x00\x01\x01"
        + b"\x00\x00\x00\x04prod"
        + b"\x00\x00\x00\x10app1/db/password"
        + b"\x00\x00\x00\x00\x00\x00\x00\x03"
        + b"\x00\x00\x00\x10"
        + item["id"]["B"]
    )
    key = reference.derived(KEY, item["salt"]["B"], b"enc", 32)
    payload = reference.AESGCM(key).decrypt(item["nonce"]["B"], item["ciphertext"]["B"], aad)
    assert payload == b"\x00" + b"\x00\x00\x00\x1c" + VALUE + bytes(64 - 5 - 28)
    assert set(item) == {
        "name", "record", "format", "suite", "version", "id", "salt", "nonce", "ciphertext", "created_at", "created_by",
        "wrapped_key", "key_id", "mac", "comment", "content_type", "expires_at", "context",
    }  # fmt: skip


def test_the_reference_is_read() -> None:
    """The other implementation's records open, plain and with every optional attribute."""
    assert opened(reference.version()) == VALUE
    assert opened(reference.version(OPTIONAL)) == VALUE


def test_nothing_random_is_used_twice() -> None:
    """Two seals of the same value share neither id, salt, nonce nor ciphertext."""
    one, other = (seal_version(ENV, METADATA, Plaintext(VALUE), DataKey(KEY), WRAPPED)[0] for _ in range(2))
    for name, size in (("id", 16), ("salt", 32), ("nonce", 12), ("ciphertext", 80), ("mac", 64)):
        assert one[name] != other[name]
        assert len(one[name]["B"]) == size


MUST_OPEN: dict[str, dict[str, Any]] = {
    "every optional attribute": dict(OPTIONAL),
    "a text": {"x": {"S": "later"}},
    "an empty text": {"x": {"S": ""}},
    "an empty binary": {"x": {"B": b""}},
    "a binary": {"x": {"B": b"\x00\xff"}},
    "zero": {"x": {"N": "0"}},
    "a negative number": {"x": {"N": "-5"}},
    "38 digits": {"x": {"N": "9" * 38}},
    "38 digits and a sign": {"x": {"N": "-" + "9" * 38}},
    "126 places": {"x": {"N": "1" + "0" * 125}},
    "a set of large numbers": {"x": {"NS": ["-" + "9" * 38, "9" * 38, "1" + "0" * 125, "-1", "0"]}},
    "true": {"x": {"BOOL": True}},
    "false": {"x": {"BOOL": False}},
    "null": {"x": {"NULL": True}},
    "an empty list": {"x": {"L": []}},
    "an empty map": {"x": {"M": {}}},
    "a set with an empty text": {"x": {"SS": ["", "a"]}},
    "a nested map": {"x": {"M": {"a": {"M": {"b": {"L": [{"M": {}}, {"NS": ["1"]}, {"SS": ["é"]}]}}}}}},
    "a name that is exempt, inside a map": {"x": {"M": {"mac": {"S": "1"}, "wrapped_key": {"B": b""}}}},
    "a name in other characters": {"é 😀\x00": {"S": "x"}},
    "a head's attributes": {"last": {"N": "1"}, "state": {"S": "x"}, "seal": {"S": "x"}, "tags": {"N": "1"}},
    "many": {f"x{n}": {"N": str(n)} for n in range(300)},
    "a comment of 1 KiB": {"comment": {"S": "é" * 512}},
    "20 pairs of context": {"context": {"M": {f"{n:02d}": {"S": "x"} for n in range(20)}}},
    "4 KiB of context": {"context": {"M": {"k" * 96: {"S": "x" * 4000}}}},
    "no author's name": {"created_by": {"S": ""}},
    "an expiry in the past": {"expires_at": {"N": "0"}},
}


@pytest.mark.parametrize("attributes", MUST_OPEN.values(), ids=MUST_OPEN)
def test_what_the_format_allows_opens(attributes: dict[str, Any]) -> None:
    """Unknown attributes of every type the transcript has, and known ones up to their limits."""
    assert opened(reference.version(attributes)) == VALUE


@pytest.mark.parametrize("length", [0, 1, 59, 60, 1019, 1020, 2044, 65_531, MAX_VALUE])
def test_values_of_every_size_open(length: int) -> None:
    """On both sides of each step of the padding."""
    assert opened(reference.version(value=b"v" * length)) == b"v" * length


@pytest.mark.parametrize("name", ["a", "tls-key", "0", "a/b", "A9_.@+=:-/._@+=:-", "x" * 512, "/".join(["a"] * 256)])
@pytest.mark.parametrize("number", [1, 9_999_999_999])
def test_names_and_numbers_to_their_limits(name: str, number: int) -> None:
    """Every character a name may have, its greatest length, the first and the last version."""
    assert opened(reference.version(name=name, number=number), name=name, number=number) == VALUE


@pytest.mark.parametrize("env", ["a", "prod", "eu-1", "a" + "-" * 30])
def test_environments_to_their_limits(env: str) -> None:
    """The environment is whatever the reader's configuration says."""
    assert opened(reference.version(env=env), env=env) == VALUE


def test_sets_have_no_order() -> None:
    """However the store returns a set, it is the same record."""
    item = reference.version({"x": {"NS": ["10", "9", "-1"]}, "y": {"SS": ["b", "é", "a"]}})
    assert opened({**item, "x": {"NS": ["-1", "9", "10"]}, "y": {"SS": {"a", "b", "é"}}}) == VALUE


def test_exempt_attributes_may_change() -> None:
    """A rewrap replaces these three without the plaintext: KMS authenticates the one, the others are for display."""
    item = reference.version(OPTIONAL)
    assert opened({**item, "wrapped_key": {"B": b"another"}, "key_id": {"S": "x"}, "rewrapped_at": {"N": "1"}}) == VALUE
    del item["rewrapped_at"]
    assert opened(item) == VALUE


AUTHENTIC_AND_WRONG: dict[str, dict[str, Any]] = {
    "comment of 1 KiB and a byte": {"comment": {"S": "x" * 1025}},
    "21 pairs of context": {"context": {"M": {f"{n:02d}": {"S": "x"} for n in range(21)}}},
    "over 4 KiB of context": {"context": {"M": {"k" * 97: {"S": "x" * 4000}}}},
    "reserved context": {"context": {"M": {"dynastash:env": {"S": "dev"}}}},
    "context of numbers": {"context": {"M": {"a": {"N": "1"}}}},
    "ttl": {"ttl": {"N": "1798761600"}},
    "namespace": {"namespace": {"S": "app1"}},
    "destroyed_at": {"destroyed_at": {"N": "1767225600123"}},
    "sort key without zeros": {"record": {"S": "v#3"}},
    "sort key of another version": {"record": {"S": "v#0000000004"}},
    "head's sort key": {"record": {"S": "~head"}},
    "number with a sign": {"version": {"N": "+3"}},
    "time with a fraction": {"created_at": {"N": "1767225600123.0"}},
    "author as binary": {"created_by": {"B": b"x"}},
    "short id": {"id": {"B": bytes(15)}},
    "short salt": {"salt": {"B": bytes(31)}},
    "short nonce": {"nonce": {"B": bytes(11)}},
    "noncanonical in a map": {"x": {"M": {"a": {"N": "01"}}}},
    "noncanonical in a list": {"x": {"L": [{"N": "1.0"}]}},
    "negative zero": {"x": {"N": "-0"}},
    "empty text set": {"x": {"SS": []}},
    "empty number set": {"x": {"NS": []}},
    "duplicate": {"x": {"SS": ["a", "a"]}},
    "duplicate number": {"x": {"NS": ["1", "1"]}},
    "binary set": {"x": {"BS": [b"a"]}},
    "nested too deeply": {"x": {"L": [{"L": []}]}},
}


@pytest.mark.parametrize("why", AUTHENTIC_AND_WRONG)
def test_a_right_mac_does_not_excuse_a_wrong_record(why: str) -> None:
    """A writer who has the key and breaks the rules is refused as malformed, before anything is decrypted."""
    attributes = AUTHENTIC_AND_WRONG[why]
    if why == "nested too deeply":
        for _ in range(40):
            attributes = {"x": {"L": [attributes["x"]]}}
    with pytest.raises(FormatError):
        opened(reference.version(attributes))


@pytest.mark.parametrize("number", [0, 10_000_000_000])
def test_no_version_beyond_the_numbers_there_are(number: int) -> None:
    """Version 0, and one of eleven digits, rightly authenticated under their own sort keys."""
    item = reference.version(number=number)
    assert item["record"]["S"] in ("v#0000000000", "v#10000000000")
    with pytest.raises(FormatError):
        opened(item, number=number)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/.", "a/../b", "/a", "a/", "a//b", "-a", ".a", "a\n", "é", "a b", "a\x00", "x" * 513]
)
def test_no_record_under_what_is_no_name(name: str) -> None:
    """Rightly authenticated, asked for under the same name, and refused: it is no secret's name."""
    with pytest.raises(FormatError):
        opened(reference.version(name=name), name=name)


def test_too_large_a_value_is_refused_on_reading() -> None:
    """320 KiB and a byte fit the same padded size, and are refused all the same."""
    with pytest.raises(IntegrityError):
        opened(reference.version(value=bytes(MAX_VALUE + 1)))
    with pytest.raises(FormatError):
        opened(reference.version(value=bytes(MAX_VALUE + 10_000)))


GOOD = reference.payload(VALUE)
BAD_PAYLOADS = {
    "flags": b"\x01" + GOOD[1:],
    "high flag": b"\x80" + GOOD[1:],
    "length too long for the payload": GOOD[:1] + struct.pack(">I", 60) + GOOD[5:],
    "length into the value": GOOD[:1] + struct.pack(">I", len(VALUE) - 1) + GOOD[5:],
    "largest length": GOOD[:1] + b"\xff\xff\xff\xff" + GOOD[5:],
    "one byte of padding": GOOD[:-1] + b"\x01",
    "first byte of padding": GOOD[: 5 + len(VALUE)] + b"\x80" + GOOD[6 + len(VALUE) :],
    "a block too many": GOOD + bytes(64),
    "not a block": GOOD + b"\x00",
    "half a block too many": GOOD + bytes(32),
    "blocks where Padmé rules": reference.payload(bytes(5000)) + bytes(64),
}


@pytest.mark.parametrize("payload", BAD_PAYLOADS.values(), ids=BAD_PAYLOADS)
def test_a_bad_payload_under_a_right_mac(payload: bytes) -> None:
    """A faulty writer's payload is refused like any forgery."""
    with pytest.raises(IntegrityError):
        opened(reference.version(raw_payload=payload))


def test_small_payloads_do_not_even_decrypt() -> None:
    """Below one block there is no payload, so the ciphertext's length is wrong."""
    for size in (0, 4, 5, 63):
        with pytest.raises(FormatError):
            opened(reference.version(raw_payload=bytes(size)))


def test_the_answer_to_a_forgery_tells_nothing() -> None:
    """A wrong MAC, a wrong data key and a wrong ciphertext under a right MAC: one message for all."""
    item = reference.version()
    broken = {**item, "mac": {"B": bytes(64)}}
    swapped = reference.authenticated({**item, "ciphertext": {"B": bytes(80)}})
    messages = set()
    for hostile, key in ((broken, KEY), (item, OTHER_KEY), (swapped, KEY)):
        with pytest.raises(IntegrityError) as caught:
            open_version(ENV, NAME, VERSION, hostile, DataKey(key))
        messages.add((str(caught.value), caught.value.hint))
    assert messages == {("the record fails authentication", None)}


def test_the_mac_comes_before_decryption(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ciphertext of an unauthentic record reaches the cipher."""
    from dynastash.crypto import aead

    monkeypatch.setattr(aead, "decrypt", lambda *arguments: pytest.fail("decrypted before the MAC was checked"))
    with pytest.raises(IntegrityError):
        opened({**reference.version(), "created_by": {"S": "somebody else"}})


def test_macs_and_seals_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both comparisons go through ``hmac.compare_digest``: what it says decides."""
    import hmac

    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other)
    record, _, keys = open_version(ENV, NAME, VERSION, reference.version(), DataKey(KEY))
    item = reference.head()
    check_seal(ENV, decode_head(item), item, keys)
    assert [len(part) for pair in compared for part in pair] == [64] * 4
    assert compared[0][1] == record.mac


@pytest.mark.parametrize(
    ("env", "name", "number"), [(ENV, NAME, 4), (ENV, "app1/db", 3), (ENV, "tls-key", 3), (ENV, NAME, 2)]
)
def test_another_record_than_asked_for(env: str, name: str, number: int) -> None:
    """The store answers with a perfectly good record, but of another secret or version."""
    with pytest.raises(IntegrityError, match="another record"):
        open_version(env, name, number, reference.version(), DataKey(KEY))


@pytest.mark.parametrize("env", ["dev", "prod2", "pro", "", "PROD", "prod\n"])
def test_another_environment(env: str) -> None:
    """A record does not open outside the environment it was written in."""
    with pytest.raises(IntegrityError):
        opened(reference.version(), env=env)


def test_an_unknown_format_or_suite_is_told_apart() -> None:
    """Somebody can mend these by upgrading, so they are no integrity failure, right MAC or not."""
    for attributes in ({"format": {"N": "2"}}, {"suite": {"B": b"\x01\x02"}}):
        for item in (reference.version(attributes), {**reference.version(), **attributes}):
            with pytest.raises(UnsupportedFormatError):
                opened(item)


def test_authenticate_decrypts_nothing() -> None:
    """``verify`` checks a record's MAC alone; the keys that come back seal heads."""
    record = decode_version(reference.version())
    assert authenticate(ENV, record, DataKey(KEY)).head == reference.derived(KEY, SALT, b"head", 64)
    with pytest.raises(IntegrityError):
        authenticate("dev", record, DataKey(KEY))


UNWRITABLE: dict[str, dict[str, Any]] = {
    "name": {"name": "a/../b"},
    "number": {"number": 0},
    "large number": {"number": 10_000_000_000},
    "comment": {"comment": "x" * 1025},
    "comment that is not unicode": {"comment": "\ud800"},
    "context": {"context": {f"{n}": "x" for n in range(21)}},
    "reserved context": {"context": {"dynastash:env": "x"}},
    "context that is not text": {"context": {"a": 1}},
    "time": {"created_ms": -1},
    "expiry": {"expires_at": 253_402_300_800},
}


@pytest.mark.parametrize("changes", UNWRITABLE.values(), ids=UNWRITABLE)
def test_no_version_is_sealed_that_would_not_open(changes: dict[str, Any]) -> None:
    """The last line of defence against a caller's mistake: better no record than one that nobody can read."""
    with pytest.raises(FormatError):
        seal_version(ENV, replace(METADATA, **changes), Plaintext(VALUE), DataKey(KEY), WRAPPED)


def test_no_version_is_sealed_with_too_large_a_value_or_no_wrapped_key() -> None:
    """The value's limit, and a key provider that returned nothing."""
    with pytest.raises(FormatError):
        seal_version(ENV, METADATA, Plaintext(bytes(MAX_VALUE + 1)), DataKey(KEY), WRAPPED)
    for wrapped in (WrappedKey(b"", KMS_KEY), WrappedKey(bytes(6145), KMS_KEY), WrappedKey(b"x", "")):
        with pytest.raises(FormatError):
            seal_version(ENV, METADATA, Plaintext(VALUE), DataKey(KEY), wrapped)


HEAD = Head(
    name=NAME,
    last=7,
    revision=12,
    pruned_below=2,
    state=State.ACTIVE,
    created_ms=1_767_225_600_123,
    updated_ms=1_767_225_600_456,
    updated_by=ARN,
    current=3,
    pending=7,
    destroyed=frozenset({4, 5}),
    disabled=frozenset({6, 10}),
    tags={"team": "payments"},
    rotation={"rotator": {"S": "generate"}},
    extra={"x_later": {"NULL": True}},
)
KEYS = derive(DataKey(KEY), SALT)


def test_a_head_is_sealed_and_checked() -> None:
    """The reference computes the same seal, and the head that was sealed is the head that is read."""
    item = seal_head(ENV, HEAD, KEYS)
    assert reference.sealed(item) == item
    check_seal(ENV, decode_head(item), item, KEYS)
    assert replace(decode_head(item), seal=None) == HEAD


def test_a_seal_does_not_cover_an_old_one() -> None:
    """A head that was read, changed and sealed again: the seal it came with plays no part."""
    assert seal_head(ENV, replace(HEAD, seal=b"old" * 21 + b"x"), KEYS) == seal_head(ENV, HEAD, KEYS)


def test_the_references_heads_are_accepted() -> None:
    """With every attribute, with none optional, sealed under pending, with an unknown attribute."""
    for item in (
        reference.head(),
        reference.head(without=(*reference.LEFT_OUT, "rotation")),
        reference.head(without=("current",)),
        reference.head({"x_later": {"M": {"seal": {"B": b""}}}}),
        reference.head({"state": {"S": "deleted"}}),
        reference.head(name="tls-key"),
    ):
        check_seal(ENV, decode_head(item), item, KEYS)
        turned = {**item, **({"disabled": {"NS": ["2", "10", "6"]}} if "disabled" in item else {})}
        check_seal(ENV, decode_head(turned), turned, KEYS)


def test_a_seal_is_bound_to_environment_version_and_purpose() -> None:
    """Another environment's, another data key's, another salt's, and a MAC that is no seal."""
    item = reference.head()
    head = decode_head(item)
    for env, keys in (
        ("dev", KEYS),
        (ENV, derive(DataKey(OTHER_KEY), SALT)),
        (ENV, derive(DataKey(KEY), bytes(32))),
    ):
        with pytest.raises(IntegrityError):
            check_seal(env, head, item, keys)
    covered = {name: value for name, value in item.items() if name != "seal"}
    data = reference.transcript(b"dynastash/v1/item\0", ENV, covered)
    for key in (KEYS.mac, KEYS.head):
        forged = {**item, "seal": {"B": reference.mac(key, data)}}
        with pytest.raises(IntegrityError):
            check_seal(ENV, decode_head(forged), forged, KEYS)


def test_a_destroyed_head_is_never_taken_for_sealed() -> None:
    """It has no seal to check, and none is written for it."""
    item = reference.head(without=("current", "pending", "previous"))
    destroyed = {**item, "state": {"S": "destroyed"}}
    del destroyed["seal"]
    with pytest.raises(IntegrityError):
        check_seal(ENV, decode_head(destroyed), destroyed, KEYS)
    with pytest.raises(FormatError):
        seal_head(ENV, replace(HEAD, state=State.DESTROYED, current=None, pending=None), KEYS)


def test_a_head_whose_seal_is_gone_is_not_sealed() -> None:
    """An active one too, even where nobody decoded it first."""
    item = seal_head(ENV, HEAD, KEYS)
    with pytest.raises(IntegrityError):
        check_seal(ENV, replace(decode_head(item), seal=None), item, KEYS)


@pytest.mark.parametrize(
    "changes",
    [
        {"current": 8},
        {"current": None, "pending": None},
        {"comment": "x" * 1025},
        {"disabled": frozenset(range(1, 514))},
        {"destroyed": frozenset({0})},
        {"tags": {f"{n}": "x" for n in range(21)}},
        {"rotation": {"a": {"S": "x" * 4096}}},
        {"revision": 0},
        {"last": 10_000_000_000},
        {"extra": {"ttl": {"N": "1"}}},
        {"extra": {"x": {"N": "1.0"}}},
        {"extra": {"x": {"BS": [b"x"]}}},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_no_head_is_sealed_that_could_not_be_read(changes: dict[str, Any]) -> None:
    """A head beyond the format's limits would lock its secret for good."""
    with pytest.raises(FormatError):
        seal_head(ENV, replace(HEAD, **changes), KEYS)


def test_sizes_of_ciphertexts_are_padded_sizes() -> None:
    """What the store sees of a value's length is its padded size and the tag."""
    for length in (0, 59, 60, 1020, 5000):
        item, _ = seal_version(ENV, METADATA, Plaintext(bytes(length)), DataKey(KEY), WRAPPED)
        assert len(item["ciphertext"]["B"]) == padding.padded_length(length) + 16
