"""Policies as they are stored: every policy comes back, and nothing else gets through or breaks the reader."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import DynastashError, InvalidArgumentError
from dynastash.generate import (
    ALGORITHMS,
    ALPHABETS,
    ENCODINGS,
    KeyPair,
    Passphrase,
    Password,
    Policy,
    RandomBytes,
    from_item,
    generate,
)
from dynastash.models import MAX_VALUE

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
SEPARATORS = "".join(set(PRINTABLE + " ") - set(string.ascii_lowercase))

alphabets = st.sampled_from(list(ALPHABETS)) | st.lists(
    st.sampled_from(PRINTABLE), min_size=2, max_size=len(PRINTABLE), unique=True
).map(lambda characters: "chars:" + "".join(characters))
policies: st.SearchStrategy[Policy] = st.one_of(
    st.builds(
        Password, length=st.integers(64, 300), alphabet=alphabets, each_class=st.booleans(), allow_weak=st.booleans()
    ),
    st.builds(
        Passphrase,
        words=st.integers(5, 256),
        separator=st.text(SEPARATORS, min_size=1, max_size=8),
        allow_weak=st.booleans(),
    ),
    st.builds(RandomBytes, count=st.integers(16, 4096) | st.integers(16, MAX_VALUE)),
    st.builds(KeyPair, algorithm=st.sampled_from(list(ALGORITHMS)), encoding=st.sampled_from(ENCODINGS)),
)

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
attributes = st.one_of(
    st.fixed_dictionaries({"S": st.text() | st.sampled_from([*ALPHABETS, *ALGORITHMS, *ENCODINGS, "chars:ab", "-"])}),
    st.fixed_dictionaries({"N": st.integers().map(str) | st.text("0123456789-+e. ", max_size=5)}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.fixed_dictionaries({"S": junk}),
    st.fixed_dictionaries({"N": junk}),
    junk,
)


@given(policies)
def test_a_policy_comes_back_from_its_item(policy: Policy) -> None:
    item = policy.to_item()
    assert from_item(item) == policy
    assert item["kind"] == {"S": policy.kind}
    assert all(len(value) == 1 and {"S", "N", "BOOL"}.issuperset(value) for value in item.values())
    assert len(json.dumps(item)) < 4096
    assert "\n" not in policy.describe()
    assert policy.describe().isprintable()


@given(policies, st.data())
def test_only_what_would_be_written_again_is_read(policy: Policy, data: st.DataObject) -> None:
    """One attribute changed, added or taken away: refused with our own error, or read as exactly what it says."""
    item: dict[str, Any] = dict(policy.to_item())
    name = data.draw(st.sampled_from([*item, "program", ""]))
    if data.draw(st.booleans()):
        item.pop(name, None)
    else:
        item[name] = data.draw(attributes)
    try:
        read = from_item(item)
    except DynastashError:
        return
    assert read.to_item() == item


@given(
    junk | st.dictionaries(st.sampled_from(["kind", "length", "words", "count", "algorithm"]) | st.text(), attributes)
)
def test_hostile_items_raise_only_our_errors(item: Any) -> None:
    try:
        read = from_item(item)
    except DynastashError:
        return
    assert read.to_item() == item


@given(policies.filter(lambda policy: not isinstance(policy, KeyPair)))
def test_values_fit_a_record(policy: Policy) -> None:
    assert 0 < len(generate(policy).expose()) <= MAX_VALUE


@given(st.integers(1, 40), alphabets, st.booleans(), st.booleans())
def test_a_password_policy_reaches_its_floor_or_is_refused(
    length: int, alphabet: str, each_class: bool, allow_weak: bool
) -> None:
    try:
        policy = Password(length, alphabet, each_class=each_class, allow_weak=allow_weak)
    except InvalidArgumentError:
        return
    assert policy.entropy_bits >= (10 if allow_weak else 64)
    assert len(generate(policy).expose()) == length
