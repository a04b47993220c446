"""What keys and version numbers of elsewhere become here: always the same, never two in one, nothing lost."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dynastash.errors import InvalidArgumentError, InvalidNameError
from dynastash.models import is_name
from dynastash.transfer.naming import Names, checked, name_all
from dynastash.transfer.numbering import compact
from tests.property.strategies import names, steady


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("app1.db/password", "app1.db/password"),
        ("/app/db//password/", "app/db/password"),
        ("db password", "db_password"),
        ("passwörd", "passw_rd"),
        ("_token", "token"),
        ("a/../b", "a/__/b"),
        (".env", "env"),
        ("tab\tand\nline", "tab_and_line"),
    ],
)
def test_a_key_outside_the_alphabet_gets_a_name_made_of_it(key: str, name: str) -> None:
    (named,) = name_all([key], Names())
    assert (named.name, named.renamed, named.problem) == (name, name != key, None)


@pytest.mark.parametrize("key", ["", "/", "ключ", "..", "a" * 513])
def test_a_key_of_which_no_name_can_be_made_is_a_problem(key: str) -> None:
    (named,) = name_all([key], Names())
    assert named.problem is not None
    assert "--map" in named.problem


def test_two_keys_that_would_be_one_name_are_both_problems() -> None:
    found = name_all(["a b", "a_b", "c"], Names())
    assert [each.problem is None for each in found] == [False, False, True]
    assert "'a b' and 'a_b' would both be a_b" in (found[0].problem or "")


def test_a_key_that_is_mapped_has_that_name_and_no_prefix() -> None:
    found = name_all(["a", "b"], checked("app1/", [("a", "other/a")]))
    assert [(each.name, each.renamed) for each in found] == [("other/a", True), ("app1/b", False)]


def test_a_mapping_to_what_is_no_name_or_to_two_names_is_refused() -> None:
    with pytest.raises(InvalidNameError):
        checked("", [("a", "no name")])
    with pytest.raises(InvalidArgumentError):
        checked("", [("a", "b"), ("a", "c")])
    with pytest.raises(InvalidNameError):
        checked("/app", [])


@steady(300)
@given(st.lists(st.text(max_size=12), unique=True, max_size=6), st.sampled_from(["", "app1/", "x"]))
def test_every_key_has_a_name_of_its_own_or_a_problem(keys: list[str], prefix: str) -> None:
    found = name_all(keys, Names(prefix))
    held = [each.name for each in found if each.problem is None]
    assert len(set(held)) == len(held)
    assert all(is_name(name) and name.startswith(prefix) for name in held)
    assert found == name_all(keys, Names(prefix))


@steady(100)
@given(names)
def test_what_is_a_name_stays_as_it_is(name: str) -> None:
    (named,) = name_all([name], Names())
    assert (named.name, named.renamed) == (name, False)


@pytest.mark.parametrize(
    ("labels", "tag"),
    [
        (["0000000000000000001", "0000000000000000002"], None),
        (["1", "2", "3"], None),
        (["", ""], None),
        (["0000000000000000000", "0000000000000000001"], "0,1"),
        (["1", "2", "3", "5", "7", "8", "9"], "1-3,5,7-9"),
        (["9", "10"], "9,10"),
        (["9", "0000000000000000009"], "9,0000000000000000009"),
        (["00000000000000rel-7", "a,b"], "00000000000000rel%2D7,a%2Cb"),
        (["1-3", "5"], "1%2D3,5"),
        (["2", "1"], "2,1"),
        ([f"{9 * 10**18}", f"{9 * 10**18 + 1}", f"{9 * 10**18 + 2}"], f"{9 * 10**18}-{9 * 10**18 + 2}"),
    ],
)
def test_numbers_that_are_not_kept_are_told_in_few_characters(labels: list[str], tag: str | None) -> None:
    assert compact(labels) == tag


def spelled_out(tag: str) -> list[str]:
    """What a reader of the tag makes of it."""
    labels: list[str] = []
    for part in tag.split(","):
        if found := re.fullmatch("([0-9]+)-([0-9]+)", part):
            labels += map(str, range(int(found[1]), int(found[2]) + 1))
        else:
            labels.append(unquote(part))
    return labels


@steady(300)
@given(st.lists(st.integers(0, 30).map(str) | st.text(min_size=1, max_size=4), min_size=1, max_size=12, unique=True))
@example(["1", "01", "2"])
@example(["1" * 5000, "2"])
def test_the_tag_tells_every_version_in_order(labels: list[str]) -> None:
    tag = compact(labels)
    plain = [label.lstrip("0") or "0" if re.fullmatch("[0-9]+", label) else label for label in labels]
    if tag is None:
        assert plain == [str(number) for number in range(1, len(labels) + 1)]
    elif len(set(plain)) == len(plain):
        assert spelled_out(tag) == plain
    else:
        assert [told.lstrip("0") for told in spelled_out(tag)] == [label.lstrip("0") for label in labels]
