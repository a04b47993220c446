"""Looking for changes: which heads are read, with how many reads, and when two looks differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynastash.stash import polling
from tests.unit.stash_kit import HEAD, CountingStore, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two secrets at the top, and three below two prefixes."""
    world = World(tmp_path)
    for name in ("a", "b", "c/1", "c/2", "d/1"):
        world.stash.put(name, "x")
    return world


def test_names_and_prefixes_are_read_together(world: World) -> None:
    """One read for all names and one for each prefix; a name that is not there is left out."""
    store = CountingStore(world.store)
    found = polling.heads(store, ["b", "a", "none", "b", "d/1"], ["c/", "d/"])
    assert found == {name: world.item(name, HEAD) for name in ("a", "b", "c/1", "c/2", "d/1")}
    assert (store.calls, store.fetched) == (["fetch", "heads", "heads"], [HEAD] * 4)


def test_without_names_none_are_read(world: World) -> None:
    """Nor without prefixes the index."""
    store = CountingStore(world.store)
    assert polling.heads(store, [], ["c/"]).keys() == {"c/1", "c/2"}
    assert polling.heads(store, ["a"], []).keys() == {"a"}
    assert polling.heads(store, [], []) == {}
    assert store.calls == ["heads", "fetch"]


@pytest.mark.parametrize("wanted", [(["c/1"], []), ([], ["c/"])])
def test_two_looks_differ_when_something_has_changed(world: World, wanted: tuple[list[str], list[str]]) -> None:
    """And only then."""
    first = polling.heads(world.store, *wanted)
    world.stash.put("a", "another's")
    assert polling.heads(world.store, *wanted) == first
    world.stash.delete("c/1")
    assert polling.heads(world.store, *wanted) != first
