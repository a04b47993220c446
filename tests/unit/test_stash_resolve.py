"""Many references at once: one batch, every failure by name, nothing where one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynastash.errors import (
    FieldNotFoundError,
    InvalidArgumentError,
    InvalidReferenceError,
    PartialError,
    SecretDeletedError,
    SecretNotFoundError,
    StoreUnavailableError,
    VersionNotFoundError,
)
from dynastash.models import Item
from dynastash.references import Reference, parse
from dynastash.stores.base import RecordKey
from tests.unit.stash_kit import Between, CountingKeys, CountingStore, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for name in ("a", "b", "team@2"):
        world.stash.put(name, f"old {name}")
        world.stash.put(name, f"new {name}")
    world.stash.put("json", '{"user": "ada", "password": "x"}')
    return world


def test_comes_in_the_order_of_the_references(world: World) -> None:
    """Versions, stages, fields, and a name that ends like a version; each once."""
    wanted = ["json#user", "b", "a@1", "dynastash://a", "team@2@current", "b@previous", "b", "json#password", "json"]
    found = world.fresh().resolve(wanted)
    assert [str(reference) for reference in found] == [
        "json#user", "b", "a@1", "a", "team@2@current", "b@previous", "json#password", "json"
    ]  # fmt: skip
    assert [secret.text for secret in found.values()] == [
        "ada", "new b", "old a", "new a", "new team@2", "old b", "x", '{"user": "ada", "password": "x"}'
    ]  # fmt: skip
    assert found[Reference("a", 1)].number == 1
    assert world.stash.resolve([]) == {}


def test_every_failure_is_named(world: World) -> None:
    world.stash.put("gone", "x")
    world.stash.delete("gone")
    with pytest.raises(PartialError, match=r"^7 of 9 secrets could not be had: ") as caught:
        world.fresh().resolve(["a", "nobody", "a@9", "gone", "gone@1", "json#pass", "a#user", "b@pending", "json#user"])
    assert {name: type(error) for name, error in caught.value.failures.items()} == {
        "nobody": SecretNotFoundError,
        "a@9": VersionNotFoundError,
        "gone": SecretDeletedError,
        "gone@1": SecretDeletedError,
        "json#pass": FieldNotFoundError,
        "a#user": FieldNotFoundError,
        "b@pending": VersionNotFoundError,
    }


def test_a_single_failure_is_its_own_error(world: World) -> None:
    """With its own advice and exit code: there is nobody to tell it from."""
    with pytest.raises(SecretNotFoundError):
        world.stash.resolve(["nobody", "nobody"])
    with pytest.raises(FieldNotFoundError):
        world.stash.resolve(["json#pass"])


def test_what_is_no_reference_asks_for_nothing(world: World) -> None:
    stash = world.fresh(store=(store := CountingStore(world.store)))
    with pytest.raises(InvalidReferenceError):
        stash.resolve(["a", "n@0"])
    with pytest.raises(InvalidArgumentError):
        stash.resolve("abc")
    assert store.calls == []


def test_current_versions_are_one_batch(world: World) -> None:
    """Whatever number of them and of their fields: heads, then versions, and one unwrap for each secret."""
    keys = CountingKeys(world.keys)
    stash = world.fresh(store=(store := CountingStore(world.store)), keys=keys)
    stash.resolve(["a", "b", "json#user", "json#password", "json", "team@2@current"])
    assert (store.calls, keys.calls) == (["fetch", "fetch"], ["unwrap"] * 4)
    store.calls.clear()
    keys.calls.clear()
    stash.resolve(["a@1", "a@1"])  # head and newest version, then the one asked for; the head's seal is checked
    assert (store.calls, keys.calls) == (["newest", "fetch"], ["unwrap"] * 2)


def test_the_store_failing_is_no_partial_failure(world: World) -> None:
    """It would fail for all of them, and says so itself."""

    class Down(Between):
        def fetch(self, wanted: object) -> dict[RecordKey, Item]:
            raise StoreUnavailableError("throttled")

        newest = fetch  # type: ignore[assignment]

    stash = world.fresh(store=Down(world.store))
    for wanted in (["a", "b"], ["a@1", "b@1"], ["a@previous", "b"]):
        with pytest.raises(StoreUnavailableError):
            stash.resolve(wanted)


def test_references_may_be_parsed_before(world: World) -> None:
    assert world.stash.resolve(iter([parse("a@1"), "a@1"]))[Reference("a", 1)].text == "old a"
