"""Record format v1 on whatever hypothesis comes up with: what holds for every value, name, item and piece of junk."""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dynastash.crypto import padding
from dynastash.crypto.envelope import authenticate, check_seal, open_version, seal_head, seal_version
from dynastash.crypto.kdf import derive
from dynastash.crypto.records import (
    VersionRecord,
    decode_head,
    decode_metadata,
    decode_version,
    encode_head,
    encode_version,
    key_of,
)
from dynastash.crypto.transcript import transcript
from dynastash.errors import DynastashError, EnvelopeError, FormatError, IntegrityError, InvalidNameError
from dynastash.models import (
    MAX_NAME,
    MAX_VALUE,
    DataKey,
    Head,
    Plaintext,
    WrappedKey,
    check_name,
    check_pairs,
    check_prefix,
    namespace_of,
)
from tests.property import strategies as our
from tests.property.strategies import steady
from tests.unit import crypto_reference as reference

WRAPPED = WrappedKey(b"wrapped", "arn")
KEYS = derive(DataKey(reference.KEY), reference.SALT)
RECORD = reference.version({**reference.OPTIONAL, "x": {"L": [{"NS": ["1", "2"]}]}})
HEAD = reference.head({"x": {"L": [{"NS": ["1", "2"]}]}})


@steady(400)
@given(our.environments, our.metadata, our.values, our.data_keys)
def test_what_is_sealed_opens_to_the_same(env: str, metadata: Any, value: bytes, data_key: DataKey) -> None:
    """Any value under any names with any public attributes; and the second implementation finds the MAC right."""
    item, _ = seal_version(env, metadata, Plaintext(value), data_key, WRAPPED)
    record, plaintext, keys = open_version(env, metadata.name, metadata.number, item, data_key)
    assert plaintext.expose() == value
    assert record.metadata == replace(metadata, key_id="arn")
    assert reference.authenticated(item, env=env, data_key=data_key.expose()) == item
    assert keys.encryption == reference.derived(data_key.expose(), record.salt, b"enc", 32)


@steady(300)
@given(our.environments, our.names, our.numbers, our.environments, our.names, our.numbers)
def test_nothing_opens_elsewhere(
    env: str, name: str, number: int, other_env: str, other_name: str, other_number: int
) -> None:
    """Relabelled for another environment, name or number, a record is refused."""
    assume((env, name, number) != (other_env, other_name, other_number))
    item = reference.version(env=env, name=name, number=number) | {
        "name": {"S": other_name},
        "record": {"S": f"v#{other_number:010d}"},
        "version": {"N": str(other_number)},
    }
    with pytest.raises(IntegrityError):
        open_version(other_env, other_name, other_number, item, DataKey(reference.KEY))


@steady(500)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_derived_keys_are_hkdfs(data_key: bytes, salt: bytes) -> None:
    """Against the cryptography package, for any key and salt."""
    keys = derive(DataKey(data_key), salt)
    for got, label in ((keys.encryption, b"enc"), (keys.mac, b"mac"), (keys.head, b"head")):
        oracle = HKDF(SHA512(), length=len(got), salt=salt, info=b"dynastash/v1\x00\x01\x01\x00" + label)
        assert got == oracle.derive(data_key)


def frozen(value: Any) -> Any:
    """An item or attribute as DynamoDB would compare it: sets without their order, types kept apart."""
    ((kind, content),) = value.items()
    if kind in ("SS", "NS"):
        return kind, frozenset(content)
    if kind == "L":
        return kind, tuple(frozen(member) for member in content)
    if kind == "M":
        return kind, frozen_item(content)
    return kind, type(content), content


def frozen_item(item: dict[str, Any]) -> Any:
    return frozenset((name, frozen(value)) for name, value in item.items())


def reordered(value: Any, draw: Any) -> Any:
    """The same attribute with its sets and maps in another order."""
    ((kind, content),) = value.items()
    if kind in ("SS", "NS"):
        return {kind: draw(st.permutations(content))}
    if kind == "L":
        return {kind: [reordered(member, draw) for member in content]}
    if kind == "M":
        return {kind: {key: reordered(content[key], draw) for key in draw(st.permutations(list(content)))}}
    return value


@steady(1000)
@given(our.small_items, our.small_items)
def test_equal_transcripts_mean_equal_items(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Injective, on items small enough to be equal or nearly so half of the time."""
    same = transcript(b"D", "e", one) == transcript(b"D", "e", other)
    assert same == (frozen_item(one) == frozen_item(other))


@steady(300)
@given(our.items, our.items)
def test_equal_transcripts_mean_equal_items_of_any_size(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Injective on larger ones."""
    same = transcript(b"D", "e", one) == transcript(b"D", "e", other)
    assert same == (frozen_item(one) == frozen_item(other))


@steady(300)
@given(our.items, st.data())
def test_order_is_not_part_of_it(item: dict[str, Any], data: st.DataObject) -> None:
    """Attributes, map keys and set members in any order: one transcript, and the second implementation's."""
    shuffled = {name: reordered(item[name], data.draw) for name in data.draw(st.permutations(list(item)))}
    expected = reference.transcript(b"D\x00", "prod", item)
    assert transcript(b"D\x00", "prod", item) == transcript(b"D\x00", "prod", shuffled) == expected


@steady(500)
@given(our.environments, our.small_items, our.environments, our.small_items)
def test_environments_do_not_run_into_items(env: str, item: Any, other_env: str, other: Any) -> None:
    """Injective in environment and item together."""
    same = transcript(b"D", env, item) == transcript(b"D", other_env, other)
    assert same == (env == other_env and frozen_item(item) == frozen_item(other))


@steady(300)
@given(st.lists(our.integers, min_size=1, max_size=30, unique=True))
def test_number_sets_are_in_numeric_order(members: list[str]) -> None:
    """As ``int`` sorts them, although no ``int`` is made."""
    ordered = b"".join(reference.lp(str(number).encode()) for number in sorted(map(int, members)))
    assert transcript(b"", "", {"": {"NS": members}}).endswith(ordered)


def only_ours(read: Any, *arguments: Any) -> bool:
    """Whether ``read`` accepted; anything but an EnvelopeError comes out and fails the test."""
    try:
        read(*arguments)
    except EnvelopeError as error:
        assert str(error)
        assert len(str(error)) < 200
        return False
    return True


def read_everything(item: Any) -> None:
    """Every reader of stored bytes on one thing."""
    for decode in (decode_version, decode_metadata, decode_head, key_of):
        only_ours(decode, item)
    only_ours(transcript, b"D", "e", item)
    only_ours(open_version, reference.ENV, reference.NAME, reference.VERSION, item, DataKey(reference.KEY))
    only_ours(check_seal, reference.ENV, decode_head(HEAD), item, KEYS)


@steady(500)
@given(our.anything)
@example({})
def test_anything_at_all_is_refused_in_our_own_words(thing: Any) -> None:
    """Not even a map, most of the time: every reader answers with an EnvelopeError."""
    read_everything(thing)


@steady(400)
@given(our.junk_items)
@example({"format": {"N": "1" * 5000}})
@example({"format": {"N": "1"}, "name": {"S": "\ud800"}})
def test_junk_under_known_names(item: Any) -> None:
    """Items whose names mean something."""
    read_everything(item)


def written_again(record: VersionRecord) -> dict[str, Any]:
    """What the decoder understood of a record, encoded, with what it merely carries along."""
    binaries = {
        "id": record.id,
        "salt": record.salt,
        "nonce": record.nonce,
        "ciphertext": record.ciphertext,
        "mac": record.mac,
        "wrapped_key": record.wrapped_key,
    }
    item = encode_version(record.metadata, **binaries)
    if record.metadata.rewrapped_ms is not None:
        item["rewrapped_at"] = {"N": str(record.metadata.rewrapped_ms)}
    known = {**reference.OPTIONAL, **reference.version()}
    return item | {name: value for name, value in record.item.items() if name not in known}


@steady(500)
@given(our.spoiled(RECORD))
def test_records_with_something_wrong(item: Any) -> None:
    """Nearly a record: refused, or untouched but for what is outside the MAC; one that parses is written the same."""
    read_everything(item)
    if only_ours(decode_version, item) and only_ours(transcript, b"", "", item):
        assert transcript(b"", "", written_again(decode_version(item))) == transcript(b"", "", item)
    arguments = (reference.ENV, reference.NAME, reference.VERSION, item, DataKey(reference.KEY))
    if only_ours(open_version, *arguments):
        covered = {name: value for name, value in item.items() if name not in ("wrapped_key", "key_id", "rewrapped_at")}
        original = {name: RECORD[name] for name in covered}
        assert frozen_item(covered) == frozen_item(original)
        assert set(RECORD) - set(item) <= {"rewrapped_at"}


@steady(500)
@given(our.spoiled(HEAD))
def test_heads_with_something_wrong(item: Any) -> None:
    """Nearly a head: refused, or the head it was; and one that parses is written the same, to the byte."""
    read_everything(item)
    if only_ours(decode_head, item):
        head = decode_head(item)
        if only_ours(check_seal, reference.ENV, head, item, KEYS):
            assert frozen_item(item) == frozen_item(HEAD)
        if only_ours(transcript, b"", "", item):
            assert transcript(b"", "", encode_head(head)) == transcript(b"", "", item)


@pytest.mark.parametrize("levels", [33, 1000, 100_000])
def test_bottomless_items(levels: int) -> None:
    """Nested beyond any stack: in a place of its own, in a map that is known, and as the item itself."""
    deep = our.nested(levels)
    for item in (
        {"x": deep},
        deep,
        {**RECORD, "x": deep},
        {**RECORD, "context": {"M": deep}},
        {**RECORD, "comment": deep},
        {**HEAD, "x": deep},
        {**HEAD, "rotation": {"M": {"a": deep}}},
        {**HEAD, "tags": {"M": {"a": deep}}},
    ):
        read_everything(item)
        assert not only_ours(transcript, b"", "", item)


def test_spoiled_items_are_of_both_kinds() -> None:
    """The tests above see whole records and heads, changed ones that still parse, and ruins: none proves nothing."""
    seen = Counter[tuple[bool, bool]]()

    @steady(300)
    @given(our.spoiled(RECORD), our.spoiled(HEAD))
    def count(record: Any, head: Any) -> None:
        seen[only_ours(decode_version, record), record == RECORD] += 1
        seen[only_ours(decode_head, head), head == HEAD] += 1

    count()
    assert min(seen[True, True], seen[True, False], seen[False, False]) > 20
    assert seen[False, True] == 0


@steady(300)
@given(our.heads())
def test_heads_survive_the_store(head: Head) -> None:
    """Encoded and decoded, a head is the same head."""
    # Without a seal there is no decoding; any 64 bytes have the right shape.
    sealed = replace(head, seal=b"s" * 64)
    item = encode_head(sealed)
    assert decode_head(item) == sealed
    assert key_of(item) == (head.name, "~head")
    assert item["namespace"] == {"S": namespace_of(head.name)}


@steady(300)
@given(our.environments, our.heads(), our.data_keys, st.binary(min_size=32, max_size=32))
def test_heads_are_sealed_and_checked(env: str, head: Head, data_key: DataKey, salt: bytes) -> None:
    """A seal holds, is the second implementation's, and holds under no other environment."""
    keys = derive(data_key, salt)
    item = seal_head(env, head, keys)
    check_seal(env, decode_head(item), item, keys)
    assert reference.sealed(item, env=env, data_key=data_key.expose(), salt=salt) == item
    assert not only_ours(check_seal, env + "x", decode_head(item), item, keys)


@steady(400)
@given(our.values)
@example(bytes(MAX_VALUE))
@example(b"")
def test_padding_comes_off(value: bytes) -> None:
    """Identity, at the size that the formula gives, and the second implementation's bytes."""
    payload = padding.pad(value)
    assert padding.unpad(payload) == value
    assert len(payload) == padding.padded_length(len(value))
    assert payload == reference.payload(value)


def unpadded(payload: bytes) -> bytes | None:
    try:
        return padding.unpad(payload)
    except IntegrityError:
        return None


@steady(800)
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda value, extra, tail: reference.payload(value)[: -extra or None] + tail,
        st.binary(max_size=200),
        st.integers(0, 70),
        st.binary(max_size=4) | st.integers(0, 130).map(bytes),
    )
)
def test_a_value_has_one_payload(payload: bytes) -> None:
    """Whatever the decoder accepts is, byte for byte, what the encoder makes of the value: no second spelling."""
    value = unpadded(payload)
    assert value is None or padding.pad(value) == payload


@steady(400)
@given(st.binary(max_size=150), st.data())
def test_any_change_to_padding_is_seen(value: bytes, data: st.DataObject) -> None:
    """One byte of a payload changed: refused, or another value; never the same one."""
    payload = bytearray(padding.pad(value))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    found = unpadded(bytes(payload))
    assert found != value
    if place == 0 or place >= 5 + len(value):
        assert found is None


def is_a_name(text: str) -> bool:
    """The rule for names, character by character instead of by pattern."""
    allowed = string.ascii_letters + string.digits + "_.@+=:-"
    segments = text.split("/")
    return (
        0 < len(text.encode("utf-8", "surrogatepass")) <= 512
        and text[0] in string.ascii_letters + string.digits
        and all(segment and segment not in (".", "..") for segment in segments)
        and all(character in allowed for segment in segments for character in segment)
    )


nearly_names = our.names | st.text("a0./-_\n é", max_size=8) | st.integers(510, 514).map(lambda size: "a" * size)


@steady(800)
@given(nearly_names)
def test_names_by_pattern_and_by_rule(text: str) -> None:
    """The checker takes what the rule takes, and the record decoder takes what the checker takes."""
    accepted = True
    try:
        check_name(text)
    except InvalidNameError:
        accepted = False
    assert accepted == is_a_name(text)
    assert only_ours(key_of, {"name": {"S": text}, "record": {"S": "~head"}}) == accepted


@steady(800)
@given(nearly_names)
def test_prefixes_are_what_names_start_with(prefix: str) -> None:
    """Accepted exactly where the prefix is a name, or becomes one with some character behind it."""
    accepted = True
    try:
        check_prefix(prefix)
    except InvalidNameError:
        accepted = False
    assert accepted == (prefix == "" or is_a_name(prefix) or any(is_a_name(prefix + more) for more in ("a", "-")))


@steady(400)
@given(st.integers(0, MAX_NAME), our.names)
def test_every_beginning_of_a_name_is_a_prefix(length: int, name: str) -> None:
    """Cut anywhere, even inside a segment of dots."""
    assert check_prefix(name[:length]) == name[:length]


@steady(300)
@given(
    st.dictionaries(
        st.text(max_size=8) | st.sampled_from(["dynastash:env", "dynastash:"]),
        st.text(max_size=8) | st.integers(150, 260).map(lambda size: "x" * size),
        max_size=22,
    )
)
def test_whatever_pairs_the_writer_takes_the_reader_takes(pairs: dict[str, str]) -> None:
    """No context passes the check on the way in and is refused on the way out; tags neither."""
    for what, name in (("context", "context"), ("tags", "tags")):
        try:
            check_pairs(what, pairs)
        except DynastashError:
            continue
        attribute = {"M": {key: {"S": text} for key, text in pairs.items()}}
        if pairs:
            read, item = (decode_version, RECORD) if name == "context" else (decode_head, HEAD)
            assert only_ours(read, {**item, name: attribute})


@steady(300)
@given(our.spoiled(RECORD), st.binary(min_size=32, max_size=32))
def test_what_hostile_records_say_in_errors(item: Any, key: bytes) -> None:
    """Messages are one line of plain words, whatever stands in the record."""
    try:
        record = decode_version(item)
        authenticate(reference.ENV, record, DataKey(key))
    except (FormatError, IntegrityError) as error:
        assert re.fullmatch(r"[\w .,:#'~-]+", str(error))
    except EnvelopeError:
        pass
    else:
        assert key == reference.KEY
