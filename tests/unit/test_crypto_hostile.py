"""Somebody who may write the table and has no key: everything they can do to one record or head, done.

Each test counts what it tried and collects what was accepted; only what the specification leaves outside the MAC may
be among the latter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from dynastash.crypto.envelope import check_seal, open_version
from dynastash.crypto.kdf import derive
from dynastash.crypto.records import decode_head
from dynastash.errors import EnvelopeError, IntegrityError
from dynastash.models import DataKey
from tests.unit import crypto_reference as reference
from tests.unit.crypto_reference import ENV, KEY, NAME, OPTIONAL, SALT, VALUE, VERSION

Item = dict[str, Any]
Mutant = tuple[str, Item]

OUTSIDE_MAC = {"wrapped_key", "key_id", "rewrapped_at"}

LATER = {
    "x_bool": {"BOOL": True},
    "x_list": {"L": [{"S": "a"}, {"N": "-5"}, {"M": {"k": {"B": b"\x00\xff"}}}]},
    "x_null": {"NULL": True},
    "x_nums": {"NS": ["10", "-3", "2"]},
    "x_set": {"SS": ["b", "a", "é"]},
}
"""Attributes of a later release, one of each type that the known ones lack."""

RECORD = reference.version({**OPTIONAL, **LATER})
HEAD = reference.head(LATER)
KEYS = derive(DataKey(KEY), SALT)


def opens(item: Item, *, env: str = ENV, name: str = NAME, number: int = VERSION, key: bytes = KEY) -> bool:
    """Whether a reader accepts ``item``; anything raised but an EnvelopeError fails the test."""
    try:
        _, value, _ = open_version(env, name, number, item, DataKey(key))
    except EnvelopeError:
        return False
    assert value.expose() == VALUE
    return True


def holds(item: Item, *, env: str = ENV) -> bool:
    """Whether a reader accepts the head ``item``."""
    try:
        check_seal(env, decode_head(item), item, KEYS)
    except EnvelopeError:
        return False
    return True


def accepted(mutants: Iterator[Mutant], reader: Any, *, at_least: int) -> set[str]:
    """The labels that ``reader`` accepted, of at least so many mutants that differ from the original."""
    labels = set()
    tried = 0
    for label, item in mutants:
        tried += 1
        if reader(item):
            labels.add(label)
    assert tried >= at_least, tried
    return labels


def bits(data: bytes, step: int = 1) -> Iterator[bytes]:
    """``data`` with one bit flipped, for every ``step``-th bit."""
    for bit in range(0, len(data) * 8, step):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


def flipped(value: Any, step: int = 1) -> Iterator[Any]:
    """``value`` with one bit of its content flipped, at any depth."""
    ((kind, content),) = value.items()
    if kind == "B":
        yield from ({"B": data} for data in bits(content, step))
    elif kind in ("S", "N"):
        for data in bits(content.encode()):
            try:
                yield {kind: data.decode()}
            except UnicodeDecodeError:
                yield {kind: data.decode("utf-8", "surrogateescape")}
    elif kind == "BOOL":
        yield {"BOOL": not content}
    elif kind == "NULL":
        yield {"NULL": False}
    elif kind in ("SS", "NS"):
        for place, member in enumerate(content):
            for other in flipped({kind[0]: member}):
                yield {kind: [*content[:place], other[kind[0]], *content[place + 1 :]]}
    elif kind == "L":
        for place, member in enumerate(content):
            yield from ({"L": [*content[:place], other, *content[place + 1 :]]} for other in flipped(member))
    elif kind == "M":
        for key, member in content.items():
            yield from ({"M": {**content, key: other}} for other in flipped(member))
            for name in flipped({"S": key}):
                rest = {k: v for k, v in content.items() if k != key}
                yield {"M": {**rest, name["S"]: member}}


def flips(original: Item) -> Iterator[Mutant]:
    """One bit of one attribute's content (of the ciphertext every seventh), or of its name."""
    for name, value in original.items():
        for other in flipped(value, step=7 if name == "ciphertext" else 1):
            yield name, {**original, name: other}
        for renamed in flipped({"S": name}):
            rest = {k: v for k, v in original.items() if k != name}
            yield f"renamed {name}", {renamed["S"]: value} | rest


@pytest.mark.parametrize(("original", "reader", "exempt"), [(RECORD, opens, OUTSIDE_MAC), (HEAD, holds, set())])
def test_every_flipped_bit(original: Item, reader: Any, exempt: set[str]) -> None:
    """Each bit of each attribute and of each attribute's name, sets, lists and maps included."""
    found = accepted(flips(original), reader, at_least=3500)
    assert found == exempt


def dropped(original: Item) -> Iterator[Mutant]:
    """One or two attributes taken away."""
    for name in original:
        yield name, {k: v for k, v in original.items() if k != name}
    for pair in itertools.combinations(original, 2):
        yield "+".join(pair), {k: v for k, v in original.items() if k not in pair}


def test_every_dropped_attribute() -> None:
    """No attribute may go, alone or with another; but a record need not have been rewrapped."""
    assert accepted(dropped(RECORD), opens, at_least=300) == {"rewrapped_at"}
    assert accepted(dropped(HEAD), holds, at_least=350) == set()


SAMPLES: tuple[Any, ...] = (
    {"S": ""}, {"S": "x"}, {"S": "1"}, {"N": "0"}, {"N": "1"}, {"N": "-1"}, {"N": "1.0"}, {"B": b""}, {"B": b"x"},
    {"B": bytes(64)}, {"BOOL": True}, {"BOOL": False}, {"NULL": True}, {"NULL": False}, {"SS": []}, {"SS": ["x"]},
    {"NS": []}, {"NS": ["1"]}, {"BS": [b"x"]}, {"L": []}, {"L": [{"S": "x"}]}, {"M": {}}, {"M": {"a": {"S": "x"}}},
    {"S": "x", "N": "1"}, {}, {"X": "x"}, None, "x", 1, b"x", [], True,
)  # fmt: skip


def recast(value: Any) -> Iterator[Any]:
    """``value`` with its content as near as may be under every other type."""
    ((kind, content),) = value.items()
    text = content.decode("latin-1") if isinstance(content, bytes) else str(content)
    alternatives = {
        "S": text,
        "N": text,
        "B": text.encode(),
        "SS": [text],
        "NS": [text],
        "BS": [text.encode()],
        "L": [value],
        "M": {kind: value},
        "BOOL": True,
        "NULL": True,
    }
    yield from ({other: content} for other in ("S", "N", "B", "SS", "NS", "L", "M", "BOOL", "NULL") if other != kind)
    yield from ({other: alternative} for other, alternative in alternatives.items() if other != kind)


def retyped(original: Item) -> Iterator[Mutant]:
    """Another type, the same content or as good as; and one thing of every kind in each attribute's place."""
    for name, value in original.items():
        for other in itertools.chain(recast(value), SAMPLES):
            if other != value:
                yield name, {**original, name: other}


def test_every_retyped_or_replaced_attribute() -> None:
    """Only what is outside the MAC takes other content, and that too only in its own type."""
    assert accepted(retyped(RECORD), opens, at_least=1000) == OUTSIDE_MAC
    assert accepted(retyped(HEAD), holds, at_least=1000) == set()
    for name in OUTSIDE_MAC:
        ((kind, _),) = RECORD[name].items()
        for label, item in retyped(RECORD):
            if label == name and (not isinstance(item[name], dict) or set(item[name]) != {kind}):
                assert not opens(item), item[name]


NAMES = sorted({*RECORD, *HEAD, "ttl", "destroyed_at", "destroyed_by", "x_new", "Name", "mac ", "_", "", "é", "\ud800"})


def added(original: Item) -> Iterator[Mutant]:
    """One attribute more: every name that means something and some that do not, with one thing of every kind."""
    for name in NAMES:
        if name not in original:
            for value in SAMPLES:
                yield name, {**original, name: value}


def test_every_added_attribute() -> None:
    """Nothing may be added, except that a record may have been rewrapped."""
    plain = reference.version()
    assert accepted(added(plain), opens, at_least=1000) == {"rewrapped_at"}
    assert accepted(added(RECORD), opens, at_least=700) == set()
    assert accepted(added(HEAD), holds, at_least=700) == set()
    bare = reference.head(without=(*reference.LEFT_OUT, "rotation"))
    assert accepted(added(bare), holds, at_least=1000) == set()


def resized(value: Any) -> Iterator[Any]:
    """``value`` emptied, cut at either end, extended at either end, doubled."""
    ((kind, content),) = value.items()
    if kind in ("S", "N", "B", "L"):
        more = {"S": "x", "N": "1", "B": b"\x00", "L": [{"S": "x"}]}[kind]
        shapes = [content[:0], content[:-1], content[1:], content + more, more + content, content + content]
    elif kind in ("SS", "NS"):
        shapes = [[], content[1:], content[:-1], [*content, "7"], content + content[:1], content + content]
    elif kind == "M":
        first = next(iter(content))
        shapes = [{}, {k: v for k, v in content.items() if k != first}, {**content, "new": {"S": "x"}}]
    else:
        shapes = [None, "", not content]
    yield from ({kind: shape} for shape in shapes)


def resizings(original: Item) -> Iterator[Mutant]:
    for name, value in original.items():
        for other in resized(value):
            if other != value:
                yield name, {**original, name: other}


def test_every_emptied_cut_and_extended_attribute() -> None:
    """No byte, digit or member more or less."""
    assert accepted(resizings(RECORD), opens, at_least=120) == OUTSIDE_MAC
    assert accepted(resizings(HEAD), holds, at_least=110) == set()


def exchanged(original: Item) -> Iterator[Mutant]:
    """Two attributes' contents exchanged."""
    for one, other in itertools.combinations(original, 2):
        if original[one] != original[other]:
            yield f"{one}+{other}", {**original, one: original[other], other: original[one]}


def test_exchanged_attributes() -> None:
    """No content moves to another attribute, not even between the exempt ones, whose types differ."""
    assert accepted(exchanged(RECORD), opens, at_least=250) == set()
    assert accepted(exchanged(HEAD), holds, at_least=300) == set()


def test_spliced_records() -> None:
    """Each attribute alone, and all but each, taken from another record of the same secret or the same data key."""
    others = [
        reference.version({**OPTIONAL, **LATER}, number=4),
        reference.version({**OPTIONAL, **LATER}, name="app1/db/user"),
        reference.version({**OPTIONAL, **LATER}, env="dev"),
        reference.version({**OPTIONAL, **LATER}, data_key=reference.OTHER_KEY),
        reference.version({**OPTIONAL, **LATER}, value=b"another value"),
        reference.version({**OPTIONAL, **LATER, "salt": {"B": bytes(32)}}),
        reference.version({**OPTIONAL, **LATER, "created_at": {"N": "1"}, "comment": {"S": "x"}}),
    ]

    def spliced() -> Iterator[Mutant]:
        for other in others:
            for name in RECORD:
                if other[name] != RECORD[name]:
                    yield name, {**RECORD, name: other[name]}
                    yield f"not {name}", {**other, name: RECORD[name]}

    assert accepted(spliced(), opens, at_least=30) == set()


PLACES = list(itertools.product(("prod", "dev"), (NAME, "app1/db/user", "tls-key"), (3, 4)))


def test_records_swapped_between_places() -> None:
    """Every record read at every place, as it is and relabelled to fit: it opens where it was written only."""
    tried = 0
    for written in PLACES:
        env, name, number = written
        item = reference.version(env=env, name=name, number=number)
        for read in PLACES:
            relabelled = {
                **item,
                "name": {"S": read[1]},
                "record": {"S": f"v#{read[2]:010d}"},
                "version": {"N": str(read[2])},
            }
            for candidate in (item, relabelled):
                assert opens(candidate, env=read[0], name=read[1], number=read[2]) == (written == read)
                tried += 1
    assert tried == 2 * 12 * 12


def test_heads_swapped_between_places() -> None:
    """The same for heads: another environment's, another name's, relabelled or not, under the same data key."""
    for written, read in itertools.product(itertools.product(("prod", "dev"), (NAME, "tls-key")), repeat=2):
        item = reference.head(env=written[0], name=written[1])
        namespace = read[1].split("/")[0] if "/" in read[1] else "-"
        relabelled = {**item, "name": {"S": read[1]}, "namespace": {"S": namespace}}
        assert holds(relabelled, env=read[0]) == (written == read)


def test_a_head_and_a_version_are_not_each_other() -> None:
    """Neither passes for the other, under either one's key."""
    assert not opens(HEAD)
    assert not holds(RECORD)
    dressed = reference.authenticated({**RECORD, "record": {"S": "~head"}})
    assert not opens(dressed)
    assert not holds(dressed)


def test_every_bit_of_the_data_key() -> None:
    """No other data key opens the record, and none that differs in a bit gives a key that seals its head."""
    for key in bits(KEY):
        assert not opens(RECORD, key=key)
        with pytest.raises(IntegrityError):
            check_seal(ENV, decode_head(HEAD), HEAD, derive(DataKey(key), SALT))


def test_an_earlier_head_under_a_later_seal() -> None:
    """Attributes of two authentic heads do not mix."""
    earlier = reference.head(
        {"revision": {"N": "11"}, "current": {"N": "2"}, "last": {"N": "6"}, "pending": {"N": "6"}}
    )
    assert holds(earlier)
    differing = [name for name in HEAD if name in earlier and earlier[name] != HEAD[name]]
    assert set(differing) == {"revision", "current", "last", "pending", "seal"}
    for count in range(1, len(differing)):
        for names in itertools.combinations(differing, count):
            assert not holds(HEAD | {name: earlier[name] for name in names})


def test_set_order_is_nobodys_business() -> None:
    """The one thing a store may change: the order in which it returns a set."""
    for order in itertools.permutations(LATER["x_set"]["SS"]):
        for numbers in itertools.permutations(LATER["x_nums"]["NS"]):
            assert opens({**RECORD, "x_set": {"SS": list(order)}, "x_nums": {"NS": list(numbers)}})
            assert holds({**HEAD, "x_set": {"SS": list(order)}, "x_nums": {"NS": list(numbers)}})
    lists = RECORD["x_list"]["L"]
    for order in itertools.permutations(lists):
        assert opens({**RECORD, "x_list": {"L": list(order)}}) == (list(order) == lists)
