"""credstash's format: whatever is sealed opens to the same, and whatever is changed is refused or means the same."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dynastash.credstash import format
from dynastash.credstash.binding import MARKS, Marks
from dynastash.credstash.digests import WRITABLE
from dynastash.credstash.items import Label, Opened, open_entry, parse, seal
from dynastash.credstash.versions import following, number_of, order, padded, spellings
from dynastash.errors import ConflictError, DynastashError
from dynastash.models import Item, Plaintext, WrappedKey

KEYS = format.split(bytes(range(64)))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAME = TEXT.filter(bool)
LABELS = st.builds(Label, NAME, NAME, st.none() | NAME)
NUMBER = st.none() | st.integers(1, 10**10)
MARKED = st.builds(Marks, environment=st.none() | TEXT, secret=st.none() | TEXT, number=NUMBER)
OTHER = st.sampled_from([{"N": "1"}, {"B": b"x"}, {"M": {}}, {"L": []}, {"NULL": True}, {"S": ""}])


def sealed(label: Label, value: bytes, digest: str = "SHA256", marks: Marks | None = None) -> dict[str, Any]:
    """An item under the one key that the tests have."""
    return dict(seal(label, Plaintext(value), KEYS, WrappedKey(b"wrapped", ""), digest=digest, marks=marks))


def opened(item: Item) -> Opened | None:
    """What the item holds; None where it is refused by an error of ours."""
    try:
        return open_entry(parse(item), KEYS)
    except DynastashError:
        return None


@given(LABELS, st.binary(max_size=300), st.sampled_from(WRITABLE), MARKED)
def test_what_is_sealed_opens(label: Label, value: bytes, digest: str, marks: Marks) -> None:
    """With its label and marks, bound; and unbound where these are gone."""
    item = sealed(label, value, digest, marks)
    found = opened(item)
    assert found is not None
    assert (found.label, found.value, found.bound) == (label, Plaintext(value), True)
    assert found.marks is not None
    assert (found.marks.environment, found.marks.secret, found.marks.number) == (
        marks.environment,
        marks.secret,
        marks.number,
    )
    bare = opened({name: value for name, value in item.items() if name != MARKS})
    assert bare is not None
    assert (bare.value, bare.bound) == (Plaintext(value), False)


@st.composite
def changed(draw: st.DrawFn) -> tuple[dict[str, Any], Mapping[str, Any], Label, bytes]:
    """An item, the same with one thing changed, its label and its value."""
    label, value = draw(LABELS), draw(st.binary(min_size=1, max_size=60))
    item = sealed(label, value, marks=draw(MARKED))
    other = sealed(draw(LABELS), draw(st.binary(max_size=60)))
    attribute = draw(st.sampled_from(sorted(item)))
    kind = draw(st.sampled_from(["flip", "take", "drop", "retype", "text", "insert"]))
    new = dict(item)
    ((have, content),) = item[attribute].items()
    if kind == "drop":
        del new[attribute]
    elif kind == "take" and attribute in other:
        new[attribute] = other[attribute]
    elif kind == "retype":
        new[attribute] = draw(OTHER)
    elif have == "S" and kind == "text":
        new[attribute] = {"S": draw(TEXT)}
    elif have == "S" and content:
        at = draw(st.integers(0, len(content) - 1))
        letter = draw(st.sampled_from("Aa0=/+\n f\U0001f511"))
        new[attribute] = {"S": content[:at] + letter + content[at + (kind == "flip") :]}
    return item, new, label, value


@given(changed())
def test_a_change_is_refused_or_means_the_same(case: tuple[dict[str, Any], Mapping[str, Any], Label, bytes]) -> None:
    """Never another value, nor a bound one under another label."""
    _, new, label, value = case
    found = opened(new)
    if found is None:
        return
    assert found.value == Plaintext(value)
    if found.bound:
        assert (found.label.name, found.label.version, found.label.comment) == (
            label.name,
            label.version,
            label.comment,
        )


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8) | st.just([])
KINDS = st.sampled_from(["S", "N", "B", "M", "BS"])
MEMBERS = st.sampled_from(["format", "mac", "used", "version"])
VALUES = st.dictionaries(
    KINDS, LEAVES | st.dictionaries(MEMBERS, st.dictionaries(KINDS, LEAVES, max_size=2)), max_size=2
)


@given(st.dictionaries(st.sampled_from(sorted(sealed(Label("a", "1"), b"x"))), VALUES))
def test_anything_else_is_an_error_of_ours(item: dict[str, Any]) -> None:
    """Whatever a table holds under the attributes' names."""
    assert opened(item) is None


@given(st.lists(st.integers(0, 10**20).map(padded) | TEXT.filter(bool), max_size=6), st.integers(0, 10**20))
def test_the_next_version_is_the_latest(labels: list[str], used: int) -> None:
    """Or there is none."""
    try:
        label = following("n", labels, used=used, first=5)
    except ConflictError:
        return
    assert label not in labels
    assert all(order(label) > order(each) for each in labels)
    assert (number_of(label) or 0) > max([used, *(number_of(each) or 0 for each in labels)])


@given(st.integers(0, 10**25) | TEXT)
def test_a_version_is_found_under_what_it_was_written(version: int | str) -> None:
    """Padded or not."""
    assert padded(version) in spellings(version) or str(version) == ""
    assert str(version) in spellings(version) or str(version) == ""


@given(st.binary(max_size=100), st.integers(1, 20))
def test_lines_in_base64_mean_nothing(value: bytes, width: int) -> None:
    """As rcredstash and MIME have them."""
    item = sealed(Label("a", "1"), value)
    text = base64.b64encode(base64.b64decode(item["contents"]["S"])).decode()
    item["contents"] = {"S": "\r\n".join(text[at : at + width] for at in range(0, len(text), width))}
    found = opened(item)
    assert found is not None
    assert (found.value, found.bound) == (Plaintext(value), True)
