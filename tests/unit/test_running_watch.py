"""Watching for changes: what cannot be handed over is neither lost nor said to be well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from dynastash.errors import DynastashError, InvalidArgumentError
from dynastash.running.plan import Assigned, Request, collect
from dynastash.running.watch import Watch, Watcher
from tests.unit.stash_kit import World

ASKED = Request(prefixes=("app1/",))
LONG = 60.0  # seconds after which a queue is not waited for any more


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.stash.put("app1/token", "first")
    return world


@contextmanager
def watching(world: World, changed: Callable[[list[Assigned]], None]) -> Iterator[SimpleQueue[DynastashError | None]]:
    """A watcher at work, and what it complains of."""
    complaints: SimpleQueue[DynastashError | None] = SimpleQueue()
    watcher = Watcher(Watch(world.stash, ASKED, collect(world.stash, ASKED)), 0.05, changed, complaints.put)
    try:
        yield complaints
    finally:
        watcher.stop()


def test_a_value_that_cannot_be_handed_over_is_not_forgotten(world: World) -> None:
    """It is offered again and again, with one complaint, and all is well only when a good one has been taken."""
    offered: SimpleQueue[bytes] = SimpleQueue()

    def changed(found: list[Assigned]) -> None:
        (token,) = found
        offered.put(token.secret.value)
        if b"\0" in token.secret.value:
            raise InvalidArgumentError("a NUL byte", hint="hand it over as a file")

    with watching(world, changed) as complaints:
        world.stash.put("app1/token", b"a\0b")
        assert isinstance(complaints.get(timeout=LONG), InvalidArgumentError)
        assert [offered.get(timeout=LONG) for _ in range(3)] == [b"a\0b"] * 3
        assert complaints.empty()
        world.stash.put("app1/token", "fine")
        assert complaints.get(timeout=LONG) is None
        while (last := offered.get(timeout=LONG)) != b"fine":
            assert last == b"a\0b"


def test_a_defect_neither_ends_the_watching_nor_shows_a_value(world: World) -> None:
    """One line of it, without the exception's text."""
    taken: SimpleQueue[bytes] = SimpleQueue()

    def changed(found: list[Assigned]) -> None:
        if found[0].secret.value == b"hunter2":
            raise RuntimeError(found[0].secret.value)
        taken.put(found[0].secret.value)

    with watching(world, changed) as complaints:
        world.stash.put("app1/token", "hunter2")
        told = complaints.get(timeout=LONG)
        assert told is not None
        assert "unexpected RuntimeError" in str(told)
        assert "hunter2" not in str(told)
        world.stash.put("app1/token", "fine")
        assert taken.get(timeout=LONG) == b"fine"
        assert complaints.get(timeout=LONG) is None
