"""Which secrets leave a stash, and under which keys."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import InvalidArgumentError, InvalidReferenceError, SecretNotFoundError
from dynastash.frozen import replace
from dynastash.models import from_ms
from dynastash.transfer.choosing import Chosen, Selection, choose, flat
from dynastash.transfer.outgoing import Withheld
from tests.property.strategies import names
from tests.unit.stash_kit import World, v


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def put(world: World, *secrets: str) -> None:
    for name in secrets:
        world.stash.put(name, f"value of {name}")


def keys(chosen: Chosen) -> dict[str, str]:
    return {each.key: each.name for each in chosen.outgoing}


def test_a_prefix_is_left_out_of_keys_unless_it_is_kept(world: World) -> None:
    put(world, "app1/db/password", "app1/token", "app2/token")
    chosen = choose(world.stash, Selection(("app1/",)))
    assert keys(chosen) == {"db/password": "app1/db/password", "token": "app1/token"} and not chosen.unreadable
    assert keys(choose(world.stash, Selection(("app1",)))) == keys(chosen)
    kept = choose(world.stash, Selection(("app1/",), keep_prefix=True))
    assert list(keys(kept)) == ["app1/db/password", "app1/token"]
    assert list(keys(choose(world.stash, Selection(("",))))) == ["app1/db/password", "app1/token", "app2/token"]


def test_single_secrets_versions_and_fields_have_the_keys_given(world: World) -> None:
    world.stash.put("app1/db", '{"user": "u", "password": "p"}', comment="why", content_type="application/json")
    world.stash.put("app1/db", '{"user": "u", "password": "q"}')
    selection = Selection(secrets=(("one", "app1/db@1"), ("user", "app1/db#user"), ("all", "app1/db")))
    found = {each.key: each for each in choose(world.stash, selection).outgoing}
    assert found["user"].value.expose() == b"u" and found["user"].version == 2
    assert found["one"].version == 1 and found["one"].comment == "why"
    assert found["one"].content_type == "application/json"
    assert found["all"].value.expose().endswith(b'"q"}')


def test_deleted_secrets_are_not_under_a_prefix(world: World) -> None:
    put(world, "app1/a", "app1/b")
    world.stash.delete("app1/a")
    assert keys(choose(world.stash, Selection(("app1/",)))) == {"b": "app1/b"}


def test_what_cannot_be_opened_is_listed_and_the_rest_is_there(world: World) -> None:
    put(world, "app1/a", "app1/damaged", "app1/b")
    world.stash.put("app1/expired", "x", expires_at=from_ms(world.clock.now()) + timedelta(seconds=5))
    world.clock.advance(10)
    world.edit("app1/damaged", v(1), ciphertext={"B": bytes(60)})
    chosen = choose(world.fresh(), Selection(("app1/",), (("gone", "app1/nothing"), ("good", "app1/a"))))
    assert keys(chosen) == {"a": "app1/a", "b": "app1/b", "good": "app1/a"}
    assert sorted(chosen.unreadable) == ["damaged", "expired", "gone"]
    assert "expired" in chosen.unreadable["expired"].reason
    assert chosen.unreadable["expired"].name.endswith("expired")


@pytest.mark.parametrize("reference", ["app1/nothing", "app1/a@7", "app1/a#field"])
def test_a_single_reference_that_fails_is_listed_too(world: World, reference: str) -> None:
    put(world, "app1/a")
    chosen = choose(world.stash, Selection(secrets=(("x", reference),)))
    assert not chosen.outgoing and list(chosen.unreadable) == ["x"]


def test_a_prefix_that_nothing_starts_with_is_an_error_unless_that_is_meant(world: World) -> None:
    put(world, "app1/a")
    with pytest.raises(SecretNotFoundError, match="starts with 'app3/'"):
        choose(world.stash, Selection(("app3/",)))
    assert choose(world.stash, Selection(("app3/",)), empty=True) == Chosen((), {})


def test_two_secrets_under_one_key_are_refused_by_name(world: World) -> None:
    put(world, "app1/token", "app2/token", "app1/db/pw", "app1/db_pw")
    with pytest.raises(InvalidArgumentError, match="app1/token and app2/token would both have the key token"):
        choose(world.stash, Selection(("app1/", "app2/")))
    with pytest.raises(InvalidArgumentError, match="both have the key db_pw"):
        choose(world.stash, Selection(("app1/",), key_of=flat))
    with pytest.raises(InvalidArgumentError, match="app2/token and app1/token"):
        choose(world.stash, Selection(("app1/",), (("token", "app2/token"),)))
    assert len(choose(world.stash, Selection(("app1/", "app1/"), (("token", "app1/token"),))).outgoing) == 3


def test_a_name_that_is_all_prefix_needs_a_key(world: World) -> None:
    put(world, "app1")
    with pytest.raises(InvalidArgumentError, match="nothing of app1 is left"):
        choose(world.stash, Selection(("app1",)))
    with pytest.raises(InvalidReferenceError):
        choose(world.stash, Selection(secrets=(("x", "no name"),)))


def test_a_collision_with_one_that_cannot_be_opened_is_refused_too(world: World) -> None:
    put(world, "app1/db/pw", "app1/db_pw")
    world.drop("app1/db_pw", v(1))
    with pytest.raises(InvalidArgumentError, match="both have the key db_pw"):
        choose(world.fresh(), Selection(("app1/",), key_of=flat))


@given(st.lists(names, unique=True, min_size=1, max_size=6), st.booleans())
def test_either_every_secret_has_a_key_of_its_own_or_the_collision_is_named(found: list[str], flattened: bool) -> None:
    """Nothing gets lost under another's key, whatever the names."""
    from dynastash.transfer.choosing import _Keys

    taken: dict[str, str] = {}
    keeper = _Keys()
    for name in found:
        key = flat(name) if flattened else name
        if key in taken:
            with pytest.raises(InvalidArgumentError, match="would both have the key"):
                keeper.take(key, name)
            return
        keeper.take(key, name)
        taken[key] = name
    assert len(taken) == len(found)
    assert all(key == key.lower() and "/" not in key for key in taken) or not flattened


def test_a_tag_gives_a_key_of_its_own(world: World) -> None:
    put(world, "app1/a")
    world.stash.put("app1/b", "x", tags={"old": "b of old"})
    tagged = Selection(("app1/",), key_tag="old")
    assert keys(choose(world.stash, tagged)) == {"a": "app1/a", "b of old": "app1/b"}
    assert keys(choose(world.stash, Selection(("app1/",)))) == {"a": "app1/a", "b": "app1/b"}


def test_a_key_that_the_secret_itself_does_not_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed heads are anybody's: what they say of a key must be what the opened secret says."""
    put(world, "app1/a")
    world.stash.put("app1/b", "x", tags={"old": "b"})
    listed = world.stash.list

    def tampered(prefix: str = "") -> list[Any]:
        return [replace(info, tags={"old": f"{info.name} of admin"}) for info in listed(prefix)]

    monkeypatch.setattr(world.stash, "list", tampered)
    chosen = choose(world.stash, Selection(("app1/",), key_tag="old"))
    assert keys(chosen) == {}
    assert dict(chosen.unreadable) == {
        f"{name} of admin": Withheld(name, f"the tag old of {name} is another than its head was listed with")
        for name in ("app1/a", "app1/b")
    }


def test_only_some_of_what_was_asked_for(world: World) -> None:
    put(world, "app1/a", "app1/b", "c")
    asked = Selection(("app1/",), (("key", "c"), ("other", "app1/a")), only=frozenset({"app1/a"}))
    assert keys(choose(world.stash, asked)) == {"a": "app1/a", "other": "app1/a"}
