"""Frozen values, held against what the standard library's dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.frozen import Frozen, field, replace


class Ours(Frozen):
    """By position or by name."""

    name: str
    number: int = 7
    pairs: Mapping[str, str] = field(default_factory=dict)
    hidden: bytes = field(default=b"", repr=False)
    shared: ClassVar[int] = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """The same, by the standard library."""

    name: str
    number: int = 7
    pairs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hidden: bytes = dataclasses.field(default=b"", repr=False)
    shared: ClassVar[int] = 1


class Named(Frozen, kw_only=True):
    """By name alone."""

    one: int
    two: int = 2


VALUES = st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.dictionaries(st.text(), st.text()))
NAMES = ("name", "number", "pairs", "hidden", "unknown")


@given(st.lists(VALUES, max_size=5), st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_they_are_made_alike(args: list[Any], given_: dict[str, Any]) -> None:
    """From the same arguments, or refused alike."""
    try:
        theirs = Theirs(*args, **given_)
    except TypeError:
        with pytest.raises(TypeError):
            Ours(*args, **given_)
        return
    ours = Ours(*args, **given_)
    assert [getattr(ours, name) for name in NAMES[:4]] == [getattr(theirs, name) for name in NAMES[:4]]
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours == Ours(*args, **given_)
    changed = dataclasses.replace(theirs, number=1)
    for made in (replace(ours, number=1), dataclasses.replace(ours, number=1)):  # type: ignore[type-var]
        assert [getattr(made, name) for name in NAMES[:4]] == [getattr(changed, name) for name in NAMES[:4]]
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)  # type: ignore[call-overload]
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert copied == ours


def test_they_are_compared_by_kind_and_all_fields() -> None:
    """Hidden ones too; equal ones hash alike."""
    assert Ours("a") == Ours("a", 7, {}, b"")
    assert Ours("a") != Ours("a", hidden=b"x")
    assert Ours("a") != Theirs("a")
    assert Named(one=1) != Ours("a")
    assert hash(Named(one=1)) == hash(Named(one=1, two=2))
    with pytest.raises(TypeError):
        hash(Ours("a"))


def test_they_never_change() -> None:
    """Neither a field nor a new attribute, and none goes away."""
    value = Ours("a")
    for act in (
        lambda: setattr(value, "name", "b"),
        lambda: setattr(value, "new", 1),
        lambda: delattr(value, "name"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            act()
    assert value == Ours("a")
    with pytest.raises(TypeError):
        vars(value)


def test_defaults_are_made_for_each_value() -> None:
    """No two share a dictionary."""
    assert Ours("a").pairs is not Ours("a").pairs


def test_names_can_be_required() -> None:
    """Where there are too many fields to count."""
    assert Named(one=1).two == 2
    with pytest.raises(TypeError, match="by position"):
        Named(1)  # type: ignore[misc]
    with pytest.raises(TypeError, match="needs one"):
        Named()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes three"):
        Named(one=1, three=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes name"):
        Ours("a", name="b")  # type: ignore[misc]


def test_the_standard_library_takes_them_for_dataclasses() -> None:
    """fields, is_dataclass, match; the base class itself is none."""
    assert dataclasses.is_dataclass(Ours)
    assert [mine.name for mine in dataclasses.fields(Ours)] == list(NAMES[:4])  # type: ignore[arg-type]
    assert not dataclasses.is_dataclass(Frozen)
    match Ours("a", 3):
        case Ours(name, number):
            assert (name, number) == ("a", 3)
        case _:
            raise AssertionError
