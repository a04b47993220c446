"""Items to records and back: every type, length and range that docs/format-v1.md sets, and none that it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import pytest

from dynastash.crypto import attributes as limits
from dynastash.crypto import records
from dynastash.crypto.records import (
    decode_head,
    decode_metadata,
    decode_version,
    encode_head,
    encode_tombstone,
    encode_version,
    is_tombstone,
    key_of,
    parse_version_key,
    version_key,
)
from dynastash.errors import EnvelopeError, FormatError, UnsupportedFormatError
from dynastash.models import Head, State
from tests.unit.crypto_reference import ARN, ID, KMS_KEY, LEFT_OUT, NAME, NONCE, OPTIONAL, SALT, head, version


def text_map(count: int, size: int = 1) -> dict[str, Any]:
    """An M of ``count`` pairs, each of two bytes of key and ``size`` bytes of text."""
    return {"M": {f"{n:02d}": {"S": "x" * size} for n in range(count)}}


def numbers(count: int) -> dict[str, Any]:
    """An NS of the numbers from 1 to ``count``."""
    return {"NS": [str(n) for n in range(1, count + 1)]}


def tombstone(**attributes: Any) -> dict[str, Any]:
    """What is left of a destroyed version."""
    return {
        "name": {"S": NAME},
        "record": {"S": "v#0000000003"},
        "format": {"N": "1"},
        "version": {"N": "3"},
        "id": {"B": ID},
        "created_at": {"N": "1767225600123"},
        "created_by": {"S": ARN},
        "destroyed_at": {"N": "1767225600456"},
        "destroyed_by": {"S": ARN},
    } | attributes


def test_a_version_is_decoded_whole() -> None:
    """Every attribute arrives in its field, and the item itself is kept for the MAC."""
    item = version({**OPTIONAL, "x_later": {"L": []}})
    record = decode_version(item)
    assert (record.name, record.number, record.id, record.salt, record.nonce) == (NAME, 3, ID, SALT, NONCE)
    assert (record.ciphertext, record.mac) == (item["ciphertext"]["B"], item["mac"]["B"])
    assert record.wrapped_key == item["wrapped_key"]["B"]
    assert record.item is item
    assert record.metadata == decode_metadata(item)
    assert record.metadata == records.VersionMetadata(
        name=NAME,
        number=3,
        created_ms=1_767_225_600_123,
        created_by=ARN,
        key_id=KMS_KEY,
        comment="quarterly é",
        content_type="application/json",
        expires_at=1_798_761_600,
        context={"app.tier": "db", "team": "payments"},
        rewrapped_ms=1_767_225_700_000,
    )


def test_only_what_is_required_is_required() -> None:
    """A version without any optional attribute."""
    metadata = decode_version(version()).metadata
    assert (metadata.comment, metadata.content_type, metadata.expires_at) == (None, None, None)
    assert (metadata.context, metadata.rewrapped_ms) == ({}, None)


REQUIRED = (
    "name", "record", "format", "suite", "version", "id", "salt", "nonce", "ciphertext", "created_at", "created_by",
    "wrapped_key", "key_id", "mac",
)  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_attribute_of_a_version(name: str) -> None:
    """Without it there is no record."""
    item = version()
    del item[name]
    with pytest.raises(FormatError):
        decode_version(item)


def test_required_attributes_are_those_of_a_plain_version() -> None:
    """The list above is complete."""
    assert set(version()) == set(REQUIRED)


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("comment", {"S": ""}),
    ("comment", {"S": "x" * 1024}),
    ("comment", {"S": "é" * 512}),
    ("content_type", {"S": ""}),
    ("content_type", {"S": "x" * 5000}),
    ("created_by", {"S": ""}),
    ("created_by", {"S": "x" * 5000}),
    ("key_id", {"S": "x" * 5000}),
    ("created_at", {"N": "0"}),
    ("created_at", {"N": "253402300799999"}),
    ("expires_at", {"N": "0"}),
    ("expires_at", {"N": "253402300799"}),
    ("rewrapped_at", {"N": "0"}),
    ("context", text_map(1)),
    ("context", text_map(20)),
    ("context", text_map(16, 254)),
    ("context", {"M": {"Dynastash:env": {"S": ""}, "dynastash": {"S": "x"}}}),
    ("wrapped_key", {"B": b"x"}),
    ("wrapped_key", {"B": b"x" * 6144}),
    ("ciphertext", {"B": b"x" * (64 + 16)}),
    ("ciphertext", {"B": b"x" * (335_872 + 16)}),
    ("version_of_a_later_release", {"M": {"any": {"BS": []}}}),
]


@pytest.mark.parametrize(("name", "value"), ACCEPTED, ids=lambda part: str(part)[:40])
def test_a_version_up_to_each_limit(name: str, value: dict[str, Any]) -> None:
    """The largest, the smallest and what no limit is set for."""
    assert decode_version({**version(), name: value}).number == 3


STAMP = [
    {"N": "-1"},
    {"N": "01"},
    {"N": "1.5"},
    {"N": "9" * 39},
    {"N": "1" * 5000},
    {"N": 1},
    {"S": "1"},
    {"NS": ["1"]},
]
TEXT = [
    {"S": "\ud800"},
    {"S": 1},
    {"S": None},
    {"B": b"x"},
    {"SS": ["x"]},
    {"S": "x", "N": "1"},
    "x",
    None,
    {},
    {"NULL": True},
]

REFUSED: dict[str, list[Any]] = {
    "name": [*TEXT, {"S": ""}, {"S": "x" * 513}, {"S": "a\n"}, {"S": "a/../b"}, {"S": "a//b"}, {"S": "é"}, {"S": "/a"}],
    "record": [
        *TEXT,
        *({"S": record} for record in ("", "~head", "v#3", "v#003", "v#00000000003", "v#0000000004", "V#0000000003")),
        *({"S": record} for record in ("v#0000000003\n", "v#000000000٣", "v#-000000003", "v 0000000003", "x" * 100)),
    ],
    "version": [*STAMP, {"N": "0"}, {"N": "10000000000"}, {"N": "4"}, {"N": "3.0"}, {"N": "+3"}, {"N": "03"}],
    "id": [{"B": bytes(15)}, {"B": bytes(17)}, {"B": b""}, {"B": "x" * 16}, {"S": "x" * 16}, {"BS": [bytes(16)]}],
    "salt": [{"B": bytes(31)}, {"B": bytes(33)}, {"B": b""}, {"S": "x" * 32}],
    "nonce": [{"B": bytes(11)}, {"B": bytes(13)}, {"B": b""}, {"B": bytes(16)}, {"S": "x" * 12}],
    "mac": [{"B": bytes(63)}, {"B": bytes(65)}, {"B": b""}, {"B": bytes(32)}, {"S": "x" * 64}],
    "ciphertext": [{"B": b""}, {"B": bytes(79)}, {"B": bytes(335_889)}, {"S": "x" * 80}, {"B": None}],
    "wrapped_key": [{"B": b""}, {"B": bytes(6145)}, {"S": "x"}],
    "key_id": [*TEXT, {"S": ""}],
    "created_at": [*STAMP, {"N": "253402300800000"}],
    "created_by": TEXT,
    "suite": [{"B": b""}, {"B": b"\x01"}, {"B": b"\x01\x01\x00"}, {"S": "\x01\x01"}, {"N": "257"}],
    "format": [{"N": "01"}, {"N": "1.0"}, {"N": "+1"}, {"N": 1}, {"N": "1" * 5000}, {"S": "1"}, {"BOOL": True}],
    "comment": [*TEXT, {"S": "x" * 1025}, {"S": "é" * 513}],
    "content_type": TEXT,
    "expires_at": [*STAMP, {"N": "253402300800"}],
    "rewrapped_at": [*STAMP, {"N": "253402300800000"}],
    "context": [
        {"M": {}},
        text_map(21),
        text_map(16, 255),
        {"M": {"dynastash:env": {"S": "dev"}}},
        {"M": {"dynastash:": {"S": "x"}}},
        {"M": {"a": {"S": "x"}, "dynastash:later": {"S": "x"}}},
        {"M": {"a": {"N": "1"}}},
        {"M": {"a": {"M": {}}}},
        {"M": {"a": "x"}},
        {"M": {1: {"S": "x"}}},
        {"M": {"\ud800": {"S": "x"}}},
        {"M": [["a", {"S": "x"}]]},
        {"S": "a=x"},
        {"L": []},
    ],
    "ttl": [{"N": "1798761600"}, {"S": ""}],
    "namespace": [{"S": "app1"}, {"N": "1"}],
    "destroyed_at": [{"N": "1767225600456"}],
    "destroyed_by": [{"S": ARN}],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in REFUSED.items() for value in values],
    ids=lambda p: str(p)[:40],
)
def test_a_version_beyond_each_limit(name: str, value: Any) -> None:
    """One attribute at a time is of a wrong type, length, range, or has no place on a live version."""
    with pytest.raises(FormatError):
        decode_version({**version(), name: value})


def test_the_table_of_refusals_covers_every_attribute() -> None:
    """Each attribute of a version appears in the table above."""
    assert set(REQUIRED) | set(OPTIONAL) <= set(REFUSED)


@pytest.mark.parametrize("found", ["0", "2", "-1", "10", "99999999999999999999999999999999999999"])
@pytest.mark.parametrize("decode", [decode_version, decode_metadata, decode_head])
def test_another_format_is_refused_as_such(decode: Any, found: str) -> None:
    """Whatever else such a record may hold: the answer is to upgrade, not that it is broken."""
    with pytest.raises(UnsupportedFormatError) as caught:
        decode({"format": {"N": found}, "anything": "else"})
    assert caught.value.hint


@pytest.mark.parametrize("suite", [b"\x00\x00", b"\x01\x00", b"\x01\x02", b"\x02\x01", b"\xff\xff"])
def test_another_suite_is_refused_as_such(suite: bytes) -> None:
    """Nothing is negotiated."""
    with pytest.raises(UnsupportedFormatError):
        decode_version(version({"suite": {"B": suite}}))


@pytest.mark.parametrize("number", [1, 2, 1_234_567_890, 9_999_999_999])
def test_numbers_and_sort_keys(number: int) -> None:
    """``v#`` and ten digits, there and back; sorted as text they are sorted by number, and before the head."""
    assert version_key(number) == "v#" + str(number).rjust(10, "0")
    assert parse_version_key(version_key(number)) == number
    assert decode_version(version(number=number)).number == number
    assert version_key(number) < records.HEAD == "~head"


@pytest.mark.parametrize(
    "record",
    ["", "~head", "v#", "v#1", "v#00000000001", "v#0000000000", "v#000000000x", "v#0000000001\n", "v#٠٠٠٠٠٠٠٠٠١"],
)
def test_other_sort_keys_have_no_number(record: str) -> None:
    """Anything but the one spelling, and the version 0 that there is not."""
    assert parse_version_key(record) is None


def test_a_version_is_encoded_as_it_decodes() -> None:
    """``encode_version`` writes what ``decode_version`` reads, and leaves out what is not there."""
    item = version({name: value for name, value in OPTIONAL.items() if name != "rewrapped_at"}, without=())
    binaries = {name: item[name]["B"] for name in ("id", "salt", "nonce", "ciphertext", "wrapped_key", "mac")}
    assert encode_version(decode_version(item).metadata, **binaries) == item
    bare = version()
    binaries = {name: bare[name]["B"] for name in ("id", "salt", "nonce", "ciphertext", "wrapped_key", "mac")}
    assert encode_version(decode_version(bare).metadata, **binaries) == bare


def test_metadata_needs_no_binaries() -> None:
    """``history`` reads public attributes only: those are enough to describe a version."""
    item = version(OPTIONAL)
    public = {name: value for name, value in item.items() if "B" not in value}
    assert decode_metadata(public) == decode_version(item).metadata


def test_a_tombstone() -> None:
    """What is left: identity, author, and who destroyed it when."""
    for item in (tombstone(), tombstone(ttl={"N": "1798761600"})):
        assert is_tombstone(item)
        assert decode_metadata(item) == records.VersionMetadata(
            name=NAME,
            number=3,
            created_ms=1_767_225_600_123,
            created_by=ARN,
            destroyed_ms=1_767_225_600_456,
            destroyed_by=ARN,
        )
        with pytest.raises(FormatError):
            decode_version(item)
    assert not is_tombstone(version())
    assert not is_tombstone(version({"destroyed_at": {"N": "1"}}))


@pytest.mark.parametrize("ttl", [None, 1_798_761_600])
def test_a_tombstone_is_what_stays_of_a_version(ttl: int | None) -> None:
    """Made of a live record: identity and author, nothing of the value, and a ttl only where one is given."""
    item = version({**OPTIONAL, "x_later": {"S": "x"}})
    made = encode_tombstone(item, destroyed_ms=1_767_225_600_456, destroyed_by=ARN, ttl=ttl)
    assert made == (tombstone() if ttl is None else tombstone(ttl={"N": str(ttl)}))


@pytest.mark.parametrize("name", ["name", "record", "format", "version", "id", "created_at", "created_by"])
@pytest.mark.parametrize("value", [None, {"S": ""}, {"N": "-1"}, {"B": b"x"}, "x"])
def test_no_tombstone_is_made_of_a_ruin(name: str, value: Any) -> None:
    """What a hostile table holds may lack anything: a FormatError, and no KeyError or half a tombstone."""
    item = {key: found for key, found in {**version(), name: value}.items() if found is not None}
    if (name, value) == ("created_by", {"S": ""}):  # nobody's name is still a text
        assert encode_tombstone(item, destroyed_ms=0, destroyed_by="", ttl=None)["created_by"] == {"S": ""}
        return
    with pytest.raises(EnvelopeError):
        encode_tombstone(item, destroyed_ms=0, destroyed_by=ARN, ttl=None)


@pytest.mark.parametrize(
    ("destroyed_ms", "ttl"), [(-1, None), (253_402_300_800_000, None), (0, -1), (0, 253_402_300_800)]
)
def test_no_tombstone_of_another_age(destroyed_ms: int, ttl: int | None) -> None:
    """Times that no reader would take are not written."""
    with pytest.raises(FormatError):
        encode_tombstone(version(), destroyed_ms=destroyed_ms, destroyed_by=ARN, ttl=ttl)


@pytest.mark.parametrize("extra", sorted({*REQUIRED, *OPTIONAL, "namespace", "x_later"} - set(tombstone())))
def test_a_tombstone_carries_nothing_else(extra: str) -> None:
    """Neither the value nor its key nor anything a live version has."""
    item = tombstone(**{extra: {**version(OPTIONAL), "namespace": {"S": "app1"}, "x_later": {"S": "x"}}[extra]})
    with pytest.raises(FormatError):
        decode_metadata(item)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", {"B": bytes(15)}),
        ("ttl", {"S": "1798761600"}),
        ("ttl", {"N": "-1"}),
        ("destroyed_at", {"N": "1.5"}),
        ("destroyed_by", {"N": "1"}),
        ("created_at", {"S": "1"}),
        ("record", {"S": "v#0000000004"}),
        ("version", {"N": "0"}),
    ],
)
def test_a_tombstones_types(name: str, value: Any) -> None:
    """A tombstone has no MAC, but it has a shape."""
    with pytest.raises(FormatError):
        decode_metadata(tombstone(**{name: value}))


def test_a_head_is_decoded_whole() -> None:
    """Every attribute arrives in its field; what a later release has put there is kept."""
    item = head({"x_later": {"L": [{"S": "x"}]}})
    assert decode_head(item) == Head(
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
        previous=2,
        destroyed=frozenset({4, 5}),
        disabled=frozenset({2, 6, 10}),
        deleted_at=1_767_225_600,
        purge_at=1_769_817_600,
        comment="quarterly é",
        expires_at=1_798_761_600,
        tags={"team": "payments", "tier": ""},
        rotation={"rotator": {"S": "generate"}, "every": {"N": "2592000"}},
        extra={"x_later": {"L": [{"S": "x"}]}},
        seal=item["seal"]["B"],
    )


def test_a_head_without_anything_optional() -> None:
    """Sealed under pending where there is no current."""
    decoded = decode_head(head(without=(*LEFT_OUT, "rotation")))
    assert (decoded.current, decoded.pending, decoded.sealing_version) == (3, None, 3)
    assert (decoded.destroyed, decoded.disabled, decoded.tags, decoded.rotation) == (frozenset(), frozenset(), {}, {})
    pending = decode_head(head(without=("current", "previous")))
    assert (pending.current, pending.sealing_version) == (None, 7)


HEAD_REQUIRED = (
    "name", "record", "format", "namespace", "last", "revision", "pruned_below", "state", "created_at", "updated_at",
    "updated_by", "seal",
)  # fmt: skip


@pytest.mark.parametrize("name", HEAD_REQUIRED)
def test_each_required_attribute_of_a_head(name: str) -> None:
    """Without it there is no head."""
    item = head()
    del item[name]
    with pytest.raises(FormatError):
        decode_head(item)


def test_a_head_sealed_under_no_version_is_refused() -> None:
    """Neither current nor pending: there would be no key to check the seal with."""
    with pytest.raises(FormatError):
        decode_head(head(without=("current", "pending")))


HEAD_ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("last", {"N": "9999999999"}),
    ("revision", {"N": "1"}),
    ("revision", {"N": "9" * 38}),
    ("current", {"N": "1"}),
    ("current", {"N": "7"}),
    ("disabled", {"NS": ["9999999999", "1"]}),  # it need not be among the versions that there are
    ("destroyed", {"NS": ["1"]}),
    ("disabled", numbers(512)),
    ("destroyed", {"NS": {"3"}}),
    ("comment", {"S": ""}),
    ("comment", {"S": "é" * 512}),
    ("updated_by", {"S": "x" * 5000}),
    ("tags", text_map(20)),
    ("tags", text_map(16, 254)),
    ("tags", {"M": {"dynastash:env": {"S": "x"}}}),  # reserved in a context only
    ("rotation", {"M": {"a": {"S": "x" * (4096 - 15)}}}),
    ("rotation", {"M": {"a": {"L": [{"BOOL": False}, {"NULL": True}, {"B": b""}, {"NS": ["1"]}]}}}),
    ("state", {"S": "deleted"}),
]


@pytest.mark.parametrize(("name", "value"), HEAD_ACCEPTED, ids=lambda part: str(part)[:40])
def test_a_head_up_to_each_limit(name: str, value: dict[str, Any]) -> None:
    """The largest, the smallest and what no limit is set for."""
    decode_head({**head(), name: value})


SET = [
    {"NS": []}, {"NS": ["1", "1"]}, {"NS": ["01"]}, {"NS": ["0"]}, {"NS": ["-1"]}, {"NS": ["10000000000"]}, {"NS": [1]},
    {"NS": "1"}, {"NS": None}, {"SS": ["1"]}, {"L": [{"N": "1"}]}, {"N": "1"}, numbers(513), {"NS": ["1" * 5000]},
]  # fmt: skip
STAGE = [*STAMP, {"N": "0"}, {"N": "8"}, {"N": "10000000000"}]

HEAD_REFUSED: dict[str, list[Any]] = {
    "name": [*TEXT, {"S": "a/../b"}, {"S": "app1/db/password\n"}, {"S": "app2/x"}],
    "record": [*TEXT, {"S": "v#0000000003"}, {"S": "~HEAD"}, {"S": "~head\n"}, {"S": "~"}],
    "format": [{"N": "01"}, {"S": "1"}],
    "namespace": [*TEXT, {"S": "app2"}, {"S": "-"}, {"S": ""}, {"S": "app1/"}, {"S": "app1/db"}],
    "last": [*STAMP, {"N": "0"}, {"N": "10000000000"}, {"N": "6"}],
    "revision": [*STAMP, {"N": "0"}],
    "pruned_below": [*STAMP, {"N": "0"}, {"N": "10000000000"}],
    "state": [*TEXT, {"S": ""}, {"S": "Active"}, {"S": "disabled"}, {"S": "active\n"}, {"S": "x" * 1000}],
    "created_at": [*STAMP, {"N": "253402300800000"}],
    "updated_at": [*STAMP, {"N": "253402300800000"}],
    "updated_by": TEXT,
    "current": STAGE,
    "pending": STAGE,
    "previous": STAGE,
    "destroyed": SET,
    "disabled": SET,
    "deleted_at": [*STAMP, {"N": "253402300800"}],
    "purge_at": [*STAMP, {"N": "253402300800"}],
    "comment": [*TEXT, {"S": "x" * 1025}],
    "expires_at": [*STAMP, {"N": "253402300800"}],
    "tags": [{"M": {}}, text_map(21), text_map(16, 255), {"M": {"a": {"N": "1"}}}, {"S": "x"}, {"M": "x"}],
    "rotation": [
        {"M": {}},
        {"M": {"a": {"S": "x" * (4096 - 14)}}},
        {"M": {"a": {"N": "1.5"}}},
        {"M": {"a": {"BS": [b"x"]}}},
        {"M": {"a": "x"}},
        {"M": []},
        {"S": "x"},
        {"L": []},
    ],
    "seal": [{"B": bytes(63)}, {"B": bytes(65)}, {"B": b""}, {"S": "x" * 64}],
    "ttl": [{"N": "1798761600"}],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in HEAD_REFUSED.items() for value in values],
    ids=lambda part: str(part)[:40],
)
def test_a_head_beyond_each_limit(name: str, value: Any) -> None:
    """One attribute at a time is of a wrong type, length or range, contradicts another, or has no place on a head."""
    with pytest.raises(FormatError):
        decode_head({**head(), name: value})


def test_the_table_of_refusals_covers_every_attribute_of_a_head() -> None:
    """Each attribute of a head appears in the table above."""
    assert set(head()) <= set(HEAD_REFUSED)


DESTROYED = {"state": {"S": "destroyed"}}


def test_a_destroyed_secrets_head() -> None:
    """No stage and no seal: there is no version left."""
    item = {**head(without=("current", "pending", "previous")), **DESTROYED}
    del item["seal"]
    decoded = decode_head(item)
    assert (decoded.state, decoded.seal, decoded.sealing_version) == (State.DESTROYED, None, None)
    assert decode_head(encode_head(decoded)) == decoded
    assert set(encode_head(decoded)) == set(item)


@pytest.mark.parametrize("left", ["seal", "current", "pending", "previous"])
def test_a_destroyed_secrets_head_keeps_no_stage_and_no_seal(left: str) -> None:
    """An active head relabelled as destroyed, to be rid of its seal, is not a destroyed head."""
    item = {**head(), **DESTROYED}
    for name in {"seal", "current", "pending", "previous"} - {left}:
        del item[name]
    with pytest.raises(FormatError):
        decode_head(item)


@pytest.mark.parametrize("name", [NAME, "tls-key", "a/b"])
def test_a_head_is_encoded_as_it_decodes(name: str) -> None:
    """Every attribute, a later release's included; a set's order is not part of it."""
    item = head({"x_later": {"M": {"a": {"B": b"\x00"}}}, "disabled": {"NS": ["2", "6", "10"]}}, name=name)
    assert encode_head(decode_head(item)) == item
    bare = head(without=(*LEFT_OUT, "rotation"), name=name)
    assert encode_head(decode_head(bare)) == bare


def test_empty_sets_and_maps_are_left_out_and_zero_is_not() -> None:
    """0 is a time, an empty comment is a comment; an empty set or map does not exist."""
    decoded = decode_head(head())
    bare = replace(decoded, tags={}, rotation={}, destroyed=frozenset(), disabled=frozenset(), expires_at=0, comment="")
    item = encode_head(bare)
    assert not {"tags", "rotation", "destroyed", "disabled"} & set(item)
    assert (item["expires_at"], item["comment"]) == ({"N": "0"}, {"S": ""})
    assert decode_head(item) == bare


def test_a_head_is_encoded_in_plain_types() -> None:
    """The state goes out as str and not as the enumeration's member."""
    assert type(encode_head(decode_head(head()))["state"]["S"]) is str


def test_known_attributes_are_not_taken_from_extra() -> None:
    """What a head says in a field wins over anything of the same name that was carried along."""
    decoded = replace(decode_head(head()), extra={"last": {"N": "1"}, "x": {"S": "x"}})
    item = encode_head(decoded)
    assert (item["last"], item["x"]) == ({"N": "7"}, {"S": "x"})


@pytest.mark.parametrize("item", [None, 1, "x", b"x", [], (), [("name", {"S": "x"})]])
@pytest.mark.parametrize("decode", [decode_version, decode_metadata, decode_head, key_of])
def test_an_item_is_a_map(decode: Any, item: Any) -> None:
    """Anything else is a FormatError and no TypeError."""
    with pytest.raises(FormatError):
        decode(item)


def test_key_of() -> None:
    """An item's own name and sort key, whatever they are, as long as the name is a name."""
    assert key_of(version()) == (NAME, "v#0000000003")
    assert key_of(head()) == (NAME, "~head")
    assert key_of({"name": {"S": NAME}, "record": {"S": "anything"}}) == (NAME, "anything")
    for name, record in (({"S": "a/./b"}, {"S": "x"}), ({"S": NAME}, {"S": ""}), ({"S": NAME}, {"N": "1"})):
        with pytest.raises(FormatError):
            key_of({"name": name, "record": record})


def test_messages_name_the_attribute_and_show_no_content() -> None:
    """Enough to find the fault; nothing of what stands there."""
    with pytest.raises(FormatError, match=r"^comment: the text is too long or too short$") as caught:
        decode_version({**version(), "comment": {"S": "hush" * 300}})
    assert "hush" not in str(caught.value)


class Blob(bytes):
    """Bytes all the same."""


# Readers are made in the tests: what is made when a module is imported is made before any mutant is there.
TEXT, UNBOUNDED, WHOLE, LARGE = partial(limits.text, 4, 1), limits.text, partial(limits.whole, 1, 12), 10**19 - 1


@pytest.mark.parametrize(
    ("make", "value", "expected"),
    [
        (TEXT, {"S": "n"}, "n"),
        (TEXT, {"S": "name"}, "name"),
        (UNBOUNDED, {"S": ""}, ""),
        (UNBOUNDED, {"S": "x" * limits.MAX_PAIRS_BYTES}, "x" * limits.MAX_PAIRS_BYTES),
        (WHOLE, {"N": "1"}, 1),
        (WHOLE, {"N": "12"}, 12),
        (partial(limits.whole, 0, LARGE), {"N": str(LARGE)}, LARGE),
        (partial(limits.blob, 2, 3), {"B": b"12"}, b"12"),
        (partial(limits.blob, 2, 3), {"B": b"123"}, b"123"),
        (partial(limits.blob, 2), {"B": b"12"}, b"12"),
    ],
)
def test_what_nearly_all_attributes_are_is_seen_at_a_glance(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Callable[[object], object]], value: object, expected: object
) -> None:
    """Up to its limits: the long way would make a listing of thousands slow."""

    def long_way(content: object) -> NoReturn:
        raise AssertionError("the long way")

    for name in ("utf8", "integer", "binary"):
        monkeypatch.setattr(limits, name, long_way)
    assert make()(value) == expected


@pytest.mark.parametrize(
    ("make", "value", "expected"),
    [
        (TEXT, {"S": "éé"}, "éé"),
        (UNBOUNDED, {"S": "x" * 5000}, "x" * 5000),
        (partial(limits.text, 4, 2), {"S": "é"}, "é"),
        (partial(limits.whole, 0, 12), {"N": "0"}, 0),
        (partial(limits.whole, 0, 0), {"N": "0"}, 0),
        (partial(limits.blob, 2, 3), {"B": Blob(b"12")}, b"12"),
        (partial(limits.blob, 2, 3), {"B": Blob(b"123")}, b"123"),
        (partial(limits.blob, 2, 3), {"B": bytearray(b"12")}, None),
        (TEXT, {"S": ""}, None),
        (TEXT, {"S": "names"}, None),
        (TEXT, {"S": "ééé"}, None),
        (TEXT, {"S": b"n"}, None),
        (TEXT, {"B": "n"}, None),
        (TEXT, {"S": "n", "N": "1"}, None),
        (TEXT, "n", None),
        (WHOLE, {"N": "0"}, None),
        (WHOLE, {"N": "13"}, None),
        (WHOLE, {"N": "01"}, None),
        (WHOLE, {"N": ""}, None),
        (WHOLE, {"N": "²"}, None),
        (WHOLE, {"N": "٣"}, None),
        (WHOLE, {"N": 1}, None),
        (WHOLE, {"N": "1", "S": "x"}, None),
        (WHOLE, {"S": "1"}, None),
        (WHOLE, "1", None),
        (partial(limits.whole, 0, 10**30), {"N": "1" * 20}, int("1" * 20)),
        (WHOLE, {"N": "1" * 5000}, None),
        (partial(limits.blob, 2, 3), {"B": b"1"}, None),
        (partial(limits.blob, 2, 3), {"B": b"1234"}, None),
        (partial(limits.blob, 2), {"B": b"123"}, None),
        (partial(limits.blob, 2), {"B": "12"}, None),
        (partial(limits.blob, 2), {"B": b"12", "S": "x"}, None),
        (partial(limits.blob, 2), b"12", None),
    ],
)
def test_what_is_not_goes_the_long_way(
    make: Callable[[], Callable[[object], object]], value: object, expected: object
) -> None:
    """Accepted there, or refused: never let through at a glance."""
    if expected is None:
        with pytest.raises(FormatError):
            make()(value)
    else:
        assert make()(value) == expected


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: limits.Reader([]), "the record is not a map of attributes"),  # type: ignore[arg-type]
        (lambda: limits.Reader({"a": 1}).refuse("a head", "b", "a"), "a head carries a"),
        (lambda: limits.Reader({}).required("a", limits.text()), "the record has no a"),
        (lambda: limits.Reader({"a": None}).required("a", limits.text()), "a: the attribute is not of type S"),
        (lambda: limits.Reader({"a": None}).optional("a", limits.text()), "a: the attribute is not of type S"),
        (lambda: limits.typed("S", str)("x"), "the attribute is not of type S"),
        (lambda: limits.typed("S", str)({}), "the attribute is not of type S"),
        (lambda: limits.typed("S", str)({"N": "x"}), "the attribute is not of type S"),
        (lambda: limits.typed("S", str)({"S": "x", "N": "1"}), "the attribute is not of type S"),
        (lambda: limits.text(1)({"S": "xx"}), "the text is too long or too short"),
        (lambda: limits.text(minimum=1)({"S": ""}), "the text is too long or too short"),
        (lambda: limits.whole(1, 2)({"N": "3"}), "the number is out of range"),
        (lambda: limits.whole(1, 2)({"N": "0"}), "the number is out of range"),
        (lambda: limits.blob(1)({"B": b"xx"}), "the binary has a wrong length"),
        (lambda: limits._numbers("1"), "the set is empty, malformed or too large"),
        (lambda: limits._numbers([]), "the set is empty, malformed or too large"),
        (lambda: limits._numbers([str(n) for n in range(1, 514)]), "the set is empty, malformed or too large"),
        (lambda: limits._numbers(["1", "1"]), "the set has a member twice or out of range"),
        (lambda: limits._numbers(["0"]), "the set has a member twice or out of range"),
        (lambda: limits._numbers([str(limits.MAX_VERSION + 1)]), "the set has a member twice or out of range"),
        (lambda: limits._pairs([]), "the map is empty, malformed or too large"),
        (lambda: limits._pairs({}), "the map is empty, malformed or too large"),
        (lambda: limits._pairs(text_map(limits.MAX_PAIRS + 1)["M"]), "the map is empty, malformed or too large"),
        (lambda: limits._pairs({"k": {"S": "x" * limits.MAX_PAIRS_BYTES}}), "the map is too large"),
        (lambda: limits._pairs({"k": {"S": "x" * (limits.MAX_PAIRS_BYTES + 1)}}), "the text is too long or too short"),
        (lambda: limits._pairs({"k" * limits.MAX_PAIRS_BYTES: {"S": "x"}}), "the map is too large"),
        (lambda: limits._context({limits.RESERVED: {"S": "x"}}), "the context has a reserved key"),
        (lambda: limits._rotation([]), "the map is empty, malformed or too large"),
        (lambda: limits._rotation({}), "the map is empty, malformed or too large"),
        (lambda: limits._rotation({"k": {"S": "x" * 4096}}), "the map is empty, malformed or too large"),
    ],
)
def test_what_a_reader_refuses_is_said(read: Callable[[], object], message: str) -> None:
    """Of which attribute, and why."""
    with pytest.raises(FormatError) as caught:
        read()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda: limits.Reader({"a": {"S": "x"}}).refuse("a head", "b"), None),
        (lambda: limits.Reader({"a": {"S": "x"}}).required("a", limits.text()), "x"),
        (lambda: limits.Reader({"a": {"S": "x"}}).optional("a", limits.text()), "x"),
        (lambda: limits.Reader({}).optional("a", limits.text()), None),
        (lambda: limits.typed("S", str)({"S": "x"}), "x"),
        (lambda: limits._numbers(["1", str(limits.MAX_VERSION)]), {1, limits.MAX_VERSION}),
        (lambda: len(limits._numbers([str(n) for n in range(1, 513)])), 512),
        (lambda: limits._pairs({"k": {"S": "v"}}), {"k": "v"}),
        (lambda: len(limits._pairs(text_map(limits.MAX_PAIRS)["M"])), limits.MAX_PAIRS),
        (lambda: len(limits._pairs({"k": {"S": "x" * (limits.MAX_PAIRS_BYTES - 1)}})["k"]), limits.MAX_PAIRS_BYTES - 1),
        (lambda: len(limits._pairs({"k" * (limits.MAX_PAIRS_BYTES - 1): {"S": "x"}})), 1),
        (lambda: limits._context({"k": {"S": "v"}}), {"k": "v"}),
        (lambda: limits._rotation({"k": {"S": "v"}}), {"k": {"S": "v"}}),
    ],
)
def test_what_a_reader_takes(read: Callable[[], object], expected: object) -> None:
    """Up to the limits of each."""
    assert read() == expected
