"""Histories into a stash: what is planned, done, compared, and gone on with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import ConflictError, KeyUnreachableError, RotationError, StoreUnavailableError, TransferError
from dynastash.frozen import replace
from dynastash.generate import RandomBytes
from dynastash.models import MAX_VALUE, Item, State
from dynastash.places import History
from dynastash.stash.api import Stash
from dynastash.stash.rotation import GenerateRotator, Rotation
from dynastash.stores.base import Change, RecordKey
from dynastash.transfer.environment import EnvironmentSource
from dynastash.transfer.naming import Names
from dynastash.transfer.planning import Existing, Order, Rules
from tests.property.strategies import steady
from tests.unit.source_kit import SINGLE, WHOLE, actions, held, history, moved, planned, revision
from tests.unit.stash_kit import Between, CountingKeys, World

ADD = Rules(whole=False, existing=Existing.ADD)
SKIP = Rules(whole=False, existing=Existing.SKIP)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def stash(world: World) -> Stash:
    return world.stash


def test_versions_keep_their_numbers_order_and_comments(stash: Stash) -> None:
    source = History("app1/db", (revision("1", "a", comment="first"), revision("2", b"\0\xff", content_type="x/y")))
    (done,) = moved([source], stash)
    assert (done.written, done.compared, done.error) == ((1, 2), 2, None)
    assert held(stash) == {"app1/db": [(1, b"a", "first"), (2, b"\0\xff", None)]}
    assert stash.get("app1/db").version.content_type == "x/y"
    assert stash.list()[0].tags == {}


def test_an_expiry_and_a_context_come_along(stash: Stash) -> None:
    until = datetime(2040, 1, 1, tzinfo=UTC)
    moved([History("a", (revision("1", "x", expires_at=until, context={"team": "a"}),))], stash)
    assert stash.get("a").version.expires_at == until
    assert stash.get("a").version.context == {"team": "a"}


def test_the_same_again_changes_nothing(world: World) -> None:
    source = [history("a", "1", "2"), history("b", "3")]
    moved(source, world.stash)
    before = world.sql("SELECT * FROM records ORDER BY name, record")
    again = moved(source, world.fresh())
    assert [(each.planned.action, each.written, each.compared) for each in again] == [("same", (), 2), ("same", (), 1)]
    assert world.sql("SELECT * FROM records ORDER BY name, record") == before


def test_what_is_here_from_the_first_version_on_is_continued(stash: Stash) -> None:
    stash.put("a", "1")
    stash.put("a", "2")
    (done,) = moved([history("a", "1", "2", "3", "4")], stash)
    assert (done.planned.present, done.written, done.compared) == (2, (3, 4), 4)


def test_versions_that_were_added_here_since_are_told_and_kept(stash: Stash) -> None:
    for value in ("1", "2", "new"):
        stash.put("a", value)
    (done,) = moved([history("a", "1", "2")], stash)
    assert (done.planned.action, done.written, done.planned.notes) == ("same", (), ("newer versions here: 1",))


@pytest.mark.parametrize("values", [("other",), ("1", "other"), ("2", "1")])
def test_another_history_here_is_a_conflict_and_the_rest_is_done(stash: Stash, values: tuple[str, ...]) -> None:
    for value in values:
        stash.put("a", value)
    before = held(stash)["a"]
    plans = moved([history("a", "1", "2"), history("b", "x")], stash)
    assert [each.planned.action for each in plans] == ["conflict", "create"]
    assert "here has another value" in (plans[0].planned.reason or "")
    assert held(stash) == {"a": before, "b": [(1, b"x", None)]}


@pytest.mark.parametrize("what", ["delete", "destroy", "destroy version", "delete version", "pending", "aborted"])
def test_a_secret_in_a_state_that_nothing_can_follow_is_a_conflict(stash: Stash, what: str) -> None:
    stash.put("a", "1")
    stash.put("a", "2")
    match what:
        case "delete":
            stash.delete("a")
        case "destroy":
            stash.destroy("a")
        case "destroy version":
            stash.destroy("a", [1])
        case "delete version":
            stash.delete("a", 1)
        case _:
            stop_rotating(stash, "a")
            if what == "aborted":
                stash.abort("a")
    assert actions(planned([history("a", "1", "2", "3")], stash)) == {"a": "conflict"}


class Failing(GenerateRotator):
    """A rotator that nobody takes the new value from."""

    def set(self, rotation: Rotation) -> None:
        raise RotationError("it fails", step="set")


def stop_rotating(stash: Stash, name: str) -> None:
    """Leave a rotation pending."""
    with pytest.raises(RotationError, match="it fails"):
        stash.rotate(name, Failing(RandomBytes(16)))


def test_a_secret_that_is_unreadable_anywhere_stays_where_it_is(stash: Stash) -> None:
    plans = planned([history("a", "1", None, "3"), history("b", "1", None), history("c", problem="no key")], stash)
    assert actions(plans) == {"a": "unreadable", "b": "unreadable", "c": "unreadable"}
    assert [each.reason for each in plans] == [
        "version 0000000000000000002: its bytes are damaged",
        "version 0000000000000000002: its bytes are damaged",
        "no key",
    ]
    labelless = History("d", (revision("", "1"), revision("", None)))
    many = history("e", *[None] * 5, "6")
    plans = planned([labelless, many], stash)
    assert plans[0].reason == "its current version: its bytes are damaged"
    assert plans[1].reason == "; ".join(
        [*(f"version {number:019}: its bytes are damaged" for number in (1, 2, 3)), "and more"]
    )


def test_older_versions_are_left_out_on_request_and_a_current_one_never(stash: Stash) -> None:
    rules = replace(WHOLE, skip_unreadable=True)
    first, second = moved([history("a", "1", None, "3"), history("b", "1", None)], stash, rules)
    assert first.planned.left_out == ("version 0000000000000000002: its bytes are damaged",)
    assert first.planned.problem
    assert second.planned.action == "unreadable"
    assert held(stash) == {"a": [(1, b"1", None), (2, b"3", None)]}
    assert stash.list()[0].tags == {"source-versions": "1,3"}


def test_numbers_with_gaps_become_1_2_3_and_a_tag_keeps_them(stash: Stash) -> None:
    labels = ("1", "2", "3", "5", "7", "8", "9", "00000000000000rel-1")
    moved([History("a", tuple(revision(label, label) for label in labels), tags={"team": "x"})], stash)
    assert [version.number for version in stash.history("a")] == [*range(1, 9)]
    assert stash.list()[0].tags == {"source-versions": "1-3,5,7-9,00000000000000rel%2D1", "team": "x"}


def test_the_tag_of_numbers_grows_with_what_is_appended_and_keeps_the_tags_here(stash: Stash) -> None:
    labels = ("0", "1", "2")
    moved([History("a", tuple(revision(label, label) for label in labels[:2]))], stash)
    stash.put("a", "1x", tags={"owner": "me", "source-versions": "0,1"})
    (conflict,) = planned([History("a", tuple(revision(label, label) for label in labels))], stash)
    assert conflict.action == "conflict"
    stash.put("b", "0", tags={"owner": "me"})
    moved([History("b", tuple(revision(label, label) for label in labels))], stash)
    assert stash.list("b")[0].tags == {"owner": "me", "source-versions": "0-2"}


def test_a_tag_that_does_not_fit_is_a_listed_problem(stash: Stash) -> None:
    versions = tuple(revision(f"release {number} {'x' * 40}", "v") for number in range(100))
    (plan,) = planned([History("a", versions)], stash)
    assert (plan.action, "tags is too large" in (plan.reason or "")) == ("refused", True)


def test_a_name_outside_the_alphabet_is_renamed_and_kept_as_a_tag(stash: Stash) -> None:
    moved([history("db password", "1")], stash, replace(WHOLE, names=Names("app1/")))
    assert stash.list()[0].name == "app1/db_password"
    assert stash.list()[0].tags == {"source-name": "db password"}


def test_two_keys_that_would_be_one_name_are_refused_both(stash: Stash) -> None:
    plans = planned([history("a b", "1"), history("a_b", "1")], stash)
    assert actions(plans) == {"a b": "refused", "a_b": "refused"}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (revision("7", b"x" * (MAX_VALUE + 1)), "version 7: the value is too large"),
        (revision("7", "x", comment="ä" * 600), "version 7: the comment is too long"),
        (revision("7", "x", content_type="x" * 300), "version 7: the content type is too long"),
        (revision("7", "x", expires_at=datetime(2020, 1, 1, tzinfo=UTC)), "version 7: the expiry is in the past"),
        (revision("7", "x", context={"dynastash:env": "x"}), "version 7: context key 'dynastash:env' is reserved"),
    ],
)
def test_what_cannot_be_put_is_refused_before_anything_is_written(stash: Stash, bad: object, why: str) -> None:
    (done,) = moved([History("a", (revision("6", "x"), bad, revision("8", "y")))], stash)  # type: ignore[arg-type]
    assert done.planned.action == "refused"
    assert (done.planned.reason or "").startswith(why)
    assert held(stash) == {}


def test_which_version_is_served_has_to_be_decided(stash: Stash) -> None:
    source = History("a", (revision("9", "nine"), revision("10", "ten")), served="9")
    (undecided,) = planned([source], stash)
    assert undecided.action == "conflict"
    assert "readers get version 9 there, and 10 is the highest" in (undecided.reason or "")
    moved([source], stash, replace(WHOLE, order=Order.SERVED))
    assert [stash.get("a").value, stash.list()[0].tags] == [b"nine", {"source-versions": "10,9"}]
    moved([replace(source, key="b")], stash, replace(WHOLE, order=Order.NUMERIC))
    assert [stash.get("b").value, stash.list("b")[0].tags] == [b"ten", {"source-versions": "9,10"}]


# Single values


def test_a_single_value_that_somebody_else_writes_at_the_same_moment_is_the_same(world: World) -> None:
    other = world.fresh()

    class Late(Between):
        busy = False

        def commit(self, change: Change) -> None:
            if not self.busy:
                self.busy = True
                other.put("a", "old")
                other.put("a", "1")
            super().commit(change)

    (done,) = moved([history("a", "1")], world.fresh(store=Late(world.store)), SINGLE)
    assert (done.error, done.written, done.compared) == (None, (), 1)


def test_a_single_value_is_the_current_one_and_carries_no_numbers(stash: Stash) -> None:
    (done,) = moved([history("a", "1", None, "3")], stash, SINGLE)
    assert (done.written, held(stash), stash.list()[0].tags) == ((1,), {"a": [(1, b"3", None)]}, {})


def test_an_existing_secret_with_the_same_value_is_the_same_whatever_lies_before_it(stash: Stash) -> None:
    stash.put("a", "old")
    stash.put("a", "new")
    (done,) = moved([history("a", "new")], stash, SINGLE)
    assert (done.planned.action, done.compared, done.written) == ("same", 1, ())


def test_an_existing_secret_with_another_value_is_refused_skipped_or_added_to(stash: Stash) -> None:
    stash.put("a", "old", tags={"team": "x"})
    assert actions(planned([history("a", "new")], stash, SINGLE)) == {"a": "conflict"}
    (skipped,) = planned([history("a", "new")], stash, SKIP)
    assert (skipped.action, skipped.reason) == ("skip", "version 1 here has another value")
    (added,) = planned([history("a", "new")], stash, ADD)
    assert (added.action, added.reason, added.behind) == ("append", "version 1 here has another value", 1)
    (done,) = moved([history("a", "new")], stash, ADD)
    assert (done.written, done.compared, stash.get("a").value) == ((2,), 1, b"new")
    assert stash.list()[0].tags == {"team": "x"}
    (again,) = moved([history("a", "new")], stash, ADD)
    assert (again.planned.action, again.written) == ("same", ())


def test_what_is_added_to_keeps_its_tags_whatever_the_source_has(stash: Stash) -> None:
    stash.put("a_b", "old", tags={"team": "x"})
    moved([history("a b", "new", tags={"theirs": "y"})], stash, ADD)
    assert (stash.get("a_b").value, stash.list()[0].tags) == (b"new", {"team": "x"})


def test_a_name_that_a_key_is_mapped_to_is_looked_at_wherever_it_is(stash: Stash) -> None:
    stash.put("other/a", "old")
    stash.put("app1/b", "2")
    names = Names("app1/", {"a": "other/a"})
    plans = planned([history("a", "1"), history("b", "2")], stash, replace(WHOLE, names=names))
    assert actions(plans) == {"a": "conflict", "b": "same"}


# Races and interruptions


def test_a_secret_that_appears_between_plan_and_write_is_a_conflict_unless_it_is_the_same(world: World) -> None:
    other = world.fresh()

    class Late(Between):
        busy = False

        def commit(self, change: Change) -> None:
            if not self.busy:
                self.busy = True
                other.put("a", "1")
                other.put("b", "somebody else's")
            super().commit(change)

    first, second = moved([history("a", "1", "2"), history("b", "1")], world.fresh(store=Late(world.store)))
    assert (first.error, first.written, first.compared) == (None, (2,), 2)
    assert isinstance(second.error, ConflictError)
    assert held(world.stash) == {"a": [(1, b"1", None), (2, b"2", None)], "b": [(1, b"somebody else's", None)]}


@pytest.mark.parametrize(("rules", "here"), [(WHOLE, ("1",)), (ADD, ("old",))])
def test_nothing_is_put_behind_a_version_that_the_plan_did_not_see(
    world: World, rules: Rules, here: tuple[str, ...]
) -> None:
    for value in here:
        world.stash.put("a", value)
    other = world.fresh()

    class Late(Between):
        busy = False

        def commit(self, change: Change) -> None:
            if not self.busy:
                self.busy = True
                other.put("a", "somebody else's")
            super().commit(change)

    (done,) = moved([history("a", "1", "2")], world.fresh(store=Late(world.store)), rules)
    assert isinstance(done.error, ConflictError)
    assert [value for _, value, _ in held(world.stash)["a"]] == [*(each.encode() for each in here), b"somebody else's"]


def test_after_a_failure_that_concerns_all_nothing_else_is_begun(world: World) -> None:
    class Full(Between):
        left = 2

        def commit(self, change: Change) -> None:
            if self.left == 0:
                raise StoreUnavailableError("it is full")
            self.left -= 1
            super().commit(change)

    source = [history("a", "1"), history("b", "1", "2", "3"), history("c", "1")]
    done = moved(source, world.fresh(store=Full(world.store)))
    assert [(each.written, type(each.error), each.reached) for each in done] == [
        ((1,), type(None), True),
        ((1,), StoreUnavailableError, True),
        ((), type(None), False),
    ]
    assert [each.planned.key for each in done] == ["a", "b", "c"]
    assert [each.compared for each in done] == [1, 0, 0]
    again = moved(source, world.fresh())
    assert [(each.written, each.compared) for each in again] == [((), 1), ((2, 3), 3), ((1,), 1)]


def test_a_source_that_fails_half_way_leaves_nothing(stash: Stash) -> None:
    def source() -> Iterator[History]:
        yield history("a", "1")
        raise KeyUnreachableError("KMS asks for patience")

    with pytest.raises(KeyUnreachableError):
        moved(source(), stash)
    assert held(stash) == {}


def test_a_target_that_cannot_be_read_is_raised_and_no_conflict(world: World) -> None:
    world.stash.put("a", "1")

    class Away(Between):
        def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
            raise StoreUnavailableError("it is away")

    with pytest.raises(StoreUnavailableError):
        planned([history("a", "1")], world.fresh(store=Away(world.store)))


def test_a_value_that_reads_back_differently_is_an_error(world: World) -> None:
    class Other(Stash):
        def put(self, name: str, value: object, **more: object) -> object:  # type: ignore[override]
            return super().put(name, "something else", **more)  # type: ignore[arg-type]

    stash = Other("prod", world.store, world.keys, identity=lambda: "x", clock=world.clock)
    (done,) = moved([history("a", "1")], stash)
    assert isinstance(done.error, TransferError)
    assert "version 1 of a is not what was written" in str(done.error)


class _Killed(BaseException):
    """The process is gone."""


@steady(25)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.lists(st.integers(1, 6), max_size=5), st.data())
def test_however_often_it_is_interrupted_the_result_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], kills: list[int], data: st.DataObject
) -> None:
    source = [history(f"s{at}", *(f"{at}.{number}" for number in range(size))) for at, size in enumerate(sizes)]
    world = World(tmp_path_factory.mktemp("world"))

    class Killing(Between):
        def __init__(self, left: int, after: bool) -> None:
            super().__init__(world.store)
            self.left, self.after = left, after

        def commit(self, change: Change) -> None:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise _Killed
            super().commit(change)
            if self.left == 0:
                raise _Killed

    for kill in kills:
        try:
            moved(source, world.fresh(store=Killing(kill, data.draw(st.booleans()))))
        except _Killed:
            pass
    assert all(each.error is None for each in moved(source, world.fresh()))
    assert held(world.fresh()) == {
        each.key: [
            (at, revision.value.expose(), None) for at, revision in enumerate(each.revisions, 1) if revision.value
        ]
        for each in source
    }


def test_several_threads_give_what_one_gives(world: World) -> None:
    source = [history(f"s{at}", *map(str, range(at % 4 + 1))) for at in range(30)]
    done = moved(source, world.fresh(keys=CountingKeys(world.keys, concurrency=8)))
    assert all(each.error is None for each in done)
    assert {name: [value for _, value, _ in versions] for name, versions in held(world.stash).items()} == {
        f"s{at}": [str(number).encode() for number in range(at % 4 + 1)] for at in range(30)
    }


def test_two_that_run_at_once_end_as_one(world: World) -> None:
    source = [history(f"s{at}", *map(str, range(at % 4 + 1))) for at in range(8)]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda stash: moved(source, stash), (world.fresh(), world.fresh())))
    assert {type(each.error) for done in both for each in done} <= {type(None), ConflictError}
    total = sum(len(each.revisions) for each in source)
    assert sum(len(each.written) for done in both for each in done) == total
    assert all(each.error is None for each in moved(source, world.fresh()))
    assert sum(map(len, held(world.stash).values())) == total


def test_nothing_of_a_plan_shows_a_value(stash: Stash) -> None:
    plans = planned([history("a", "made-up-value")], stash)
    assert "made-up-value" not in repr(plans)
    assert all(digest.hex() not in repr(plans) for each in plans for digest in each.digests)


# An environment as the source


def test_an_environment_is_read_with_all_its_versions(tmp_path: Path) -> None:
    source, target = World(tmp_path / "one", "one"), World(tmp_path / "two", "two")
    source.stash.put("a/x", "1", comment="c", tags={"t": "u"}, context={"k": "v"})
    source.stash.put("a/x", "2", content_type="text/plain")
    source.stash.put("b", "1")
    source.stash.put("b", "2")
    source.stash.destroy("b", [1])
    source.stash.put("c", "1")
    source.stash.delete("c")
    source.stash.put("d", "1")
    source.stash.destroy("d")
    source.stash.generate("e", RandomBytes(16))
    stop_rotating(source.stash, "e")
    done = {each.planned.key: each for each in moved(EnvironmentSource(source.stash).read(), target.stash)}
    assert {key: each.planned.action for key, each in done.items()} == {
        "a/x": "create", "b": "create", "c": "unreadable", "e": "create",
    }  # fmt: skip
    assert done["e"].planned.notes == ("its rotation policy stays behind",)
    found = held(target.stash)
    assert found["a/x"] == [(1, b"1", "c"), (2, b"2", None)]
    assert found["b"] == [(1, b"2", None)]
    assert len(found["e"]) == 1
    infos = {info.name: info for info in target.stash.list()}
    assert (infos["a/x"].tags, infos["b"].tags) == ({"t": "u"}, {"source-versions": "2"})
    assert all(info.state is State.ACTIVE for info in infos.values())
    assert target.stash.get("a/x", version=1).version.context == {"k": "v"}


def test_an_environment_gives_its_current_values_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.stash.put("a", "1")
    world.stash.put("a", "2")
    (found,) = EnvironmentSource(world.stash, whole=False).read()
    assert [(each.label, each.value.expose() if each.value else None) for each in found.revisions] == [("2", b"2")]


def test_a_version_that_cannot_be_opened_is_told_beside_the_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(3):
        world.stash.put("a", str(number))
        world.stash.put("b", str(number))
    world.edit("a", "v#0000000002", ct={"B": b"damaged" * 10})
    found = {each.key: each for each in EnvironmentSource(world.fresh()).read()}
    assert [each.problem is None for each in found["a"].revisions] == [True, False, True]
    assert [each.problem is None for each in found["b"].revisions] == [True, True, True]
