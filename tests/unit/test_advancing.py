"""After a restore: numbers that readers have seen are never given out again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.config import Environment
from dynastash.crypto import attributes
from dynastash.errors import ConflictError, InvalidArgumentError, SecretNotFoundError, VersionNotFoundError
from dynastash.models import State
from dynastash.stash.api import Stash
from dynastash.wiring import open_environment

NAME = "app1/db"


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[Stash]:
    made = opened(tmp_path / "data")
    yield made
    made.store.close()  # type: ignore[attr-defined]


def opened(directory: Path) -> Stash:
    return open_environment(Environment(name="local", store="sqlite", location=str(directory)))


def problems(stash: Stash) -> list[str]:
    return [found.message for verified in stash.verify() for found in verified.findings]


def test_the_next_version_comes_behind_what_was_seen(stash: Stash) -> None:
    """The value stays, the numbers between are destroyed, and every check is content."""
    for value in ("1", "2"):
        stash.put(NAME, value)
    info = stash.advance(NAME, 5)
    assert (info.last, info.current, info.state) == (5, 2, State.ACTIVE)
    assert stash.get(NAME).text == "2" and stash.get(NAME, version=1).text == "1"
    assert problems(stash) == []
    for number in (3, 4, 5):
        with pytest.raises(VersionNotFoundError):
            stash.get(NAME, version=number)
    assert stash.put(NAME, "6").number == 6
    assert stash.get(NAME).text == "6" and problems(stash) == []
    assert [version.number for version in stash.history(NAME)] == [1, 2, 5, 6]


def test_what_is_further_already_stays(stash: Stash) -> None:
    """Nothing is written."""
    for value in ("1", "2"):
        stash.put(NAME, value)
    before = stash.store.newest(NAME)
    for number in (1, 2):
        assert stash.advance(NAME, number).last == 2
    assert stash.store.newest(NAME) == before


def test_twice_is_once(stash: Stash) -> None:
    """Interrupted and repeated, or by two people; and further still."""
    stash.put(NAME, "1")
    assert stash.advance(NAME, 3) == stash.advance(NAME, 3)
    assert stash.advance(NAME, 9).last == 9 and problems(stash) == []
    assert stash.put(NAME, "x").number == 10


def test_a_restored_store(tmp_path: Path) -> None:
    """The whole way: restored, advanced, and written to again."""
    stash = opened(tmp_path / "data")
    stash.put(NAME, "1")
    stash.store.close()  # type: ignore[attr-defined]
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    for value in ("2", "3", "4"):
        stash.put(NAME, value)
    stash.store.close()  # type: ignore[attr-defined]
    restored = opened(tmp_path / "backup")
    assert restored.advance(NAME, 4).current == 1
    assert restored.put(NAME, "5").number == 5


def test_a_deleted_secret_stays_deleted(stash: Stash) -> None:
    """And comes back with the higher number."""
    stash.put(NAME, "1")
    stash.delete(NAME)
    assert stash.advance(NAME, 4).state is State.DELETED
    stash.undelete(NAME)
    assert stash.get(NAME).text == "1" and stash.put(NAME, "x").number == 5 and problems(stash) == []


def test_a_destroyed_secret_stays_destroyed(stash: Stash) -> None:
    """And is recreated behind the higher number."""
    stash.put(NAME, "1")
    stash.destroy(NAME)
    assert stash.advance(NAME, 4).state is State.DESTROYED and problems(stash) == []
    assert stash.put(NAME, "x", recreate=True).number == 5 and problems(stash) == []


def test_a_secret_that_is_not_there(stash: Stash) -> None:
    """There is no head to raise."""
    with pytest.raises(SecretNotFoundError) as caught:
        stash.advance(NAME, 4)
    assert "another name" in (caught.value.hint or "")


def test_too_far(stash: Stash) -> None:
    """The head has room for so many numbers; a number must be one."""
    stash.put(NAME, "1")
    with pytest.raises(ConflictError, match="numbers behind"):
        stash.advance(NAME, attributes.MAX_NUMBERS + 2)
    assert stash.advance(NAME, attributes.MAX_NUMBERS + 1).last == attributes.MAX_NUMBERS + 1
    for number in (0, -1, 10**11):
        with pytest.raises(InvalidArgumentError):
            stash.advance(NAME, number)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["put", "advance", "destroy", "prune", "delete", "undelete", "rotate"]), max_size=10))
def test_in_whatever_company(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    """Between all other changes the numbers only grow, and every check is content."""
    stash = opened(tmp_path_factory.mktemp("walk") / "data")
    stash.put(NAME, "0")
    last = 1
    for step in steps:
        try:
            if step == "put":
                assert stash.put(NAME, "x").number == last + 1
            elif step == "advance":
                assert stash.advance(NAME, last + 2).last == last + 2
            elif step == "destroy":
                stash.destroy(NAME, [last])
            elif step == "prune":
                stash.prune(NAME, keep=1)
            elif step == "rotate":
                from dynastash.generate import Password

                stash.rotate(NAME, policy=Password())
            else:
                getattr(stash, step)(NAME)
        except ConflictError:
            pass
        (info,) = stash.list()
        assert info.last >= last
        last = info.last
        assert problems(stash) == []
    stash.store.close()  # type: ignore[attr-defined]
