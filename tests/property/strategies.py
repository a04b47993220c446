"""What hypothesis draws from: names, items, heads, values; and junk of every shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dynastash.crypto.attributes import MAX_EPOCH_MS, MAX_EPOCH_S
from dynastash.crypto.records import MAX_REVISION, VersionMetadata
from dynastash.models import MAX_VALUE, MAX_VERSION, DataKey, Head, State
from tests.unit import crypto_reference as reference

Strategy = st.SearchStrategy


def steady(examples: int) -> Callable[[Any], Any]:
    """The same ``examples`` on every run and machine, without a limit in time: what fails, fails for everybody."""
    return settings(
        derandomize=True,
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


_FIRST = "abzAZ09"
_REST = _FIRST + "_.@+=:-"

segments: Strategy[str] = st.text(_REST, min_size=1, max_size=12).filter(lambda segment: segment not in (".", ".."))
names: Strategy[str] = st.tuples(
    st.sampled_from(_FIRST), st.text(_REST, max_size=12), st.lists(segments, max_size=4)
).map(lambda parts: "/".join([parts[0] + parts[1], *parts[2]]))
environments: Strategy[str] = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
numbers: Strategy[int] = st.integers(1, 20) | st.integers(1, MAX_VERSION) | st.sampled_from([1, MAX_VERSION])
data_keys: Strategy[DataKey] = st.binary(min_size=32, max_size=32).map(DataKey)
short_text: Strategy[str] = st.text(max_size=20)
milliseconds: Strategy[int] = st.integers(0, MAX_EPOCH_MS)
seconds: Strategy[int] = st.integers(0, MAX_EPOCH_S)
sizes: Strategy[int] = st.integers(0, 3000) | st.sampled_from([MAX_VALUE, 59, 60, 1019, 1020])
values: Strategy[bytes] = st.binary(max_size=200) | st.tuples(sizes, st.binary(min_size=1, max_size=8)).map(
    lambda drawn: (drawn[1] * (drawn[0] // len(drawn[1]) + 1))[: drawn[0]]
)


def pairs(keys: Strategy[str], texts: Strategy[str]) -> Strategy[dict[str, str]]:
    """Up to 20 pairs, short enough to stay within 4 KiB together."""
    return st.dictionaries(keys, texts, max_size=4) | st.dictionaries(keys, texts, min_size=20, max_size=20)


contexts: Strategy[dict[str, str]] = pairs(
    st.text(min_size=1, max_size=20).filter(lambda key: not key.startswith("dynastash:")),
    st.text(min_size=1, max_size=20),
)
metadata: Strategy[VersionMetadata] = st.builds(
    VersionMetadata,
    name=names,
    number=numbers,
    created_ms=milliseconds,
    created_by=short_text,
    comment=st.none() | short_text,
    content_type=st.none() | short_text,
    expires_at=st.none() | seconds,
    context=contexts,
)

integers: Strategy[str] = (
    st.integers(-20, 20) | st.integers() | st.integers(-(10**38), 10**38) | st.integers(0, 10**126)
).map(str)
scalars: Strategy[dict[str, Any]] = st.one_of(
    st.builds(lambda text: {"S": text}, short_text),
    st.builds(lambda number: {"N": number}, integers),
    st.builds(lambda data: {"B": data}, st.binary(max_size=20)),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda members: {"SS": members}, st.lists(short_text, min_size=1, max_size=5, unique=True)),
    st.builds(lambda members: {"NS": members}, st.lists(integers, min_size=1, max_size=5, unique=True)),
)
attributes: Strategy[dict[str, Any]] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(lambda members: {"L": members}, st.lists(inner, max_size=4)),
        st.builds(lambda members: {"M": members}, st.dictionaries(short_text, inner, max_size=4)),
    ),
    max_leaves=5,
)
"""One well-formed attribute of any type that the format has."""

items: Strategy[dict[str, Any]] = st.dictionaries(short_text, attributes, max_size=4)

_few = st.text("ab", max_size=2)
_small = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, _few),
        st.builds(lambda number: {"N": number}, st.sampled_from(["0", "1", "-1", "10"])),
        st.builds(lambda text: {"B": text.encode()}, _few),
        st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda members: {"SS": members}, st.lists(_few, min_size=1, max_size=3, unique=True)),
        st.builds(
            lambda members: {"NS": members},
            st.lists(st.sampled_from(["0", "1", "-1", "10"]), min_size=1, max_size=3, unique=True),
        ),
    ),
    lambda inner: st.one_of(
        st.builds(lambda members: {"L": members}, st.lists(inner, max_size=2)),
        st.builds(lambda members: {"M": members}, st.dictionaries(_few, inner, max_size=2)),
    ),
    max_leaves=3,
)
small_items: Strategy[dict[str, Any]] = st.dictionaries(_few, _small, max_size=2)
"""Items from so small an alphabet that two of them are often equal or nearly so."""


@st.composite
def heads(draw: st.DrawFn) -> Head:
    """A head within the format's limits that some version seals."""
    last = draw(numbers)
    stage = st.none() | st.integers(1, last)
    current, pending = draw(stage), draw(stage)
    return Head(
        name=draw(names),
        last=last,
        revision=draw(st.integers(1, 100) | st.integers(1, MAX_REVISION)),
        pruned_below=draw(numbers),
        state=draw(st.sampled_from([State.ACTIVE, State.DELETED])),
        created_ms=draw(milliseconds),
        updated_ms=draw(milliseconds),
        updated_by=draw(short_text),
        current=last if current is None and pending is None else current,
        pending=pending,
        previous=draw(stage),
        destroyed=frozenset(draw(st.sets(numbers, max_size=6))),
        disabled=frozenset(draw(st.sets(numbers, max_size=6))),
        deleted_at=draw(st.none() | seconds),
        purge_at=draw(st.none() | seconds),
        comment=draw(st.none() | short_text),
        expires_at=draw(st.none() | seconds),
        tags=draw(pairs(short_text, short_text)),
        rotation=draw(st.dictionaries(short_text, attributes, max_size=1)),
        extra=draw(st.dictionaries(short_text.map(lambda name: f"x_{name}"), attributes, max_size=2)),
    )


NAMES = sorted({*reference.version(reference.OPTIONAL), *reference.head(), "ttl", "destroyed_at", "destroyed_by"})
"""Every attribute name that means something."""

anything: Strategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**4000),
        st.floats(),
        st.just(math.nan),
        st.text(st.characters(), max_size=10),
        st.sampled_from(
            ["", "0", "-0", "01", "1" * 5000, "\ud800", "~head", "v#0000000001", "active", "destroyed", "a/../b"]
        ),
        st.binary(max_size=70),
        st.sampled_from([b"", b"\x01\x01", bytes(12), bytes(16), bytes(32), bytes(64), bytes(80), bytearray(16)]),
        st.just(object()),
        st.just(int),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.none() | st.binary(max_size=2), inner, max_size=4),
        st.frozensets(st.text(max_size=3) | st.integers(), max_size=3),
    ),
    max_leaves=10,
)
"""Whatever Python has."""

_kinds = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M", "X", ""])
mistyped: Strategy[Any] = st.recursive(
    st.builds(lambda kind, content: {kind: content}, _kinds, anything) | anything,
    lambda inner: st.one_of(
        st.builds(lambda members: {"L": members}, st.lists(inner, max_size=3)),
        st.builds(lambda members: {"M": members}, st.dictionaries(short_text, inner, max_size=3)),
        st.builds(lambda kind, content: {kind: content}, _kinds, inner),
    ),
    max_leaves=4,
)
"""Something that looks like an attribute, more or less."""

junk_items: Strategy[Any] = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=3), mistyped | attributes, max_size=8
)
"""An item whose names mean something and whose attributes need not."""


def spoiled(original: dict[str, Any]) -> Strategy[dict[str, Any]]:
    """``original`` with up to three attributes replaced, added or taken away."""
    replaced = st.dictionaries(
        st.sampled_from(NAMES) | st.text(max_size=3), mistyped | attributes | st.just(None), max_size=3
    )
    return replaced.map(
        lambda changes: {name: value for name, value in {**original, **changes}.items() if value is not None}
    )


def nested(levels: int) -> dict[str, Any]:
    """A list in a list in a list …"""
    value: dict[str, Any] = {"S": "leaf"}
    for level in range(levels):
        value = {"L": [value]} if level % 2 else {"M": {"k": value}}
    return value
