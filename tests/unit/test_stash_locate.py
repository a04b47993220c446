"""Where references lead to, without a key: two reads for all, and the errors that resolving would raise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynastash.errors import (
    DynastashError,
    ExpiredError,
    IntegrityError,
    InvalidArgumentError,
    RollbackError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    VersionNotFoundError,
)
from dynastash.models import Version
from tests.unit.stash_kit import HEAD, CountingKeys, CountingStore, World, v


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Secrets in every state."""
    world = World(tmp_path)
    stash = world.stash
    for value in ("one", "two", "three"):
        stash.put("a", value)
    stash.put("b", '{"x": 1}')
    stash.put("deleted", "x")
    stash.delete("deleted")
    stash.put("destroyed", "x")
    stash.destroy("destroyed")
    stash.put("expired", "x", expires_at=datetime.fromtimestamp(world.clock.now() / 1000 + 10, UTC))
    stash.delete("a", 1)
    world.clock.advance(11)
    return world


WANTED = {
    "a": 3,
    "a@2": 2,
    "a@previous": 2,
    "b#x": 1,
    "b#no-such-field": 1,
    "a@1": SecretDeletedError,
    "a@9": VersionNotFoundError,
    "a@pending": VersionNotFoundError,
    "none": SecretNotFoundError,
    "deleted": SecretDeletedError,
    "destroyed": SecretDestroyedError,
    "expired": ExpiredError,
}


def test_it_tells_what_resolving_would_find(world: World) -> None:
    """Two batched reads for all of them, and no key is asked for."""
    store, keys = CountingStore(world.store), CountingKeys(world.keys)
    found = world.fresh(store, keys).locate(WANTED)
    assert store.calls == ["fetch", "fetch"]
    assert keys.calls == []
    for (text, wanted), (reference, located) in zip(WANTED.items(), found.items(), strict=True):
        assert str(reference) == text
        if isinstance(wanted, int):
            assert isinstance(located, Version)
            assert located.number == wanted
        else:
            assert isinstance(located, wanted)
            with pytest.raises(wanted) as caught:
                world.fresh().resolve([text])
            assert (str(caught.value), caught.value.hint) == (str(located), located.hint)


def test_nothing_is_asked_for_nothing(world: World) -> None:
    """And one text is no list."""
    store = CountingStore(world.store)
    assert world.fresh(store).locate([]) == {}
    with pytest.raises(InvalidArgumentError):
        world.stash.locate("a")


def test_no_version_is_looked_for_where_there_is_no_secret(world: World) -> None:
    """One read; and a name that ends like a version is told of, whatever field was asked for."""
    store = CountingStore(world.store)
    found = world.fresh(store).locate(["m@2#x", "none"])
    assert store.calls == ["fetch"]
    assert [error.hint for error in found.values() if isinstance(error, DynastashError)] == [
        "a secret of the name m@2 is written m@2@current",
        "`dynastash list` shows the names; is it another environment's?",
    ]


def test_records_that_do_not_fit_are_told(world: World) -> None:
    """A version that is gone, a head of another secret, a state earlier than one that was seen."""

    def located(name: str) -> Version | DynastashError:
        return next(iter(world.fresh().locate([name]).values()))

    world.drop("a", v(3))
    assert isinstance(located("a"), IntegrityError)
    assert isinstance(located("a@2"), Version)
    head = world.item("b", HEAD)
    world.stash.get("b")
    world.edit("b", HEAD, revision={"N": "0"})
    assert isinstance(next(iter(world.stash.locate(["b"]).values())), RollbackError | DynastashError)
    world.write(head)
    world.drop("b", HEAD)
    assert isinstance(next(iter(world.stash.locate(["b"]).values())), RollbackError)
