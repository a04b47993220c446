"""Planned, carried out, read back: what becomes of values on their way out of a stash."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dynastash.errors import CredentialsError, DynastashError
from dynastash.models import Plaintext
from dynastash.places import Held, Outgoing
from dynastash.testing.fakes import FakeClock
from dynastash.transfer.outgoing import Action, Done, Plan, Withheld, apply, plan, verify
from tests.unit.target_kit import MemoryTarget, failure


def out(key: str, value: bytes = b"made-up", version: int = 1, name: str | None = None) -> Outgoing:
    return Outgoing(key, name or f"app1/{key}", version, Plaintext(value))


def actions(planned: Plan) -> dict[str, str]:
    return {step.key: str(step.action) for step in planned.steps}


def run(target: MemoryTarget, wanted: Sequence[Outgoing], **options: bool) -> list[Done]:
    return verify(target, list(apply(target, plan(target, wanted, **options), at_once=1)))


def failed(results: Sequence[Done]) -> dict[str, str]:
    return {done.step.key: str(done.error) for done in results if done.error is not None}


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget()


def test_a_second_run_finds_everything_the_same_and_calls_nothing_but_one_read(target: MemoryTarget) -> None:
    wanted = [out("a"), out("b", b"")]
    assert failed(run(target, wanted)) == {} and target.values() == {"a": b"made-up", "b": b""}
    target.calls.clear()
    planned = plan(target, wanted)
    assert actions(planned) == {"a": "same", "b": "same"} and not planned.changes and not planned.takes_away
    assert verify(target, list(apply(target, planned))) == [] and target.calls == ["held"]


def test_each_key_is_planned_by_what_is_there(target: MemoryTarget) -> None:
    run(target, [out(key) for key in ("same", "older", "other", "gone", "edited")])
    target.tamper("edited", b"by hand")
    target.foreign("theirs", b"other")
    target.foreign("alike", b"made-up")
    target.foreign("aside", b"nobody asked")
    planned = plan(
        target,
        [
            out("same"),
            out("older", b"newer", 2),
            out("other", name="app2/other"),
            out("edited"),
            out("theirs"),
            out("alike"),
            out("large", bytes(101)),
            out("new"),
        ],
        {"shut": Withheld("app1/shut", "it has expired")},
    )
    assert actions(planned) == {
        "alike": "same",
        "edited": "update",
        "gone": "remove",
        "large": "refused",
        "new": "create",
        "older": "update",
        "other": "update",
        "same": "same",
        "shut": "unreadable",
        "theirs": "conflict",
    }
    assert [step.key for step in planned.problems] == ["large", "shut", "theirs"]
    assert [step.key for step in planned.changes] == ["edited", "new", "older", "other", "gone"]
    assert planned.takes_away and "made-up" not in repr(planned)
    assert {step.key: step.reason for step in planned.of(Action.UPDATE)} == {
        "edited": "another value of this version is there",
        "older": None,
        "other": "the value is the same, and of another version",
    }


def test_the_same_value_of_a_newer_version_is_written_so_that_the_target_tells_it(target: MemoryTarget) -> None:
    run(target, [out("a")])
    assert actions(plan(target, [out("a", version=2)])) == {"a": "update"}
    run(target, [out("a", version=2)])
    assert target.there["a"].version == 2


def test_what_a_target_does_not_tell_of_versions_is_no_difference(target: MemoryTarget) -> None:
    target.there["a"] = Held("a", True, Plaintext(b"made-up"))
    assert actions(plan(target, [out("a", version=7)])) == {"a": "same"}


def test_what_others_made_is_neither_replaced_nor_removed(target: MemoryTarget) -> None:
    target.foreign("theirs", b"other")
    target.foreign("alike", b"made-up")
    assert failed(run(target, [out("theirs"), out("alike"), out("mine")])) == {}
    assert failed(run(target, [])) == {}
    assert target.values() == {"theirs": b"other", "alike": b"made-up"}


def test_a_target_that_shows_more_than_was_asked_for_loses_nothing_of_others(target: MemoryTarget) -> None:
    target.foreign("theirs", b"other")
    target.held = lambda keys: dict(target.there)  # type: ignore[method-assign]
    assert plan(target, []).steps == ()


def test_taking_over_makes_it_ours_equal_or_not(target: MemoryTarget) -> None:
    target.foreign("theirs", b"other")
    target.foreign("alike", b"made-up")
    wanted = [out("theirs"), out("alike")]
    planned = plan(target, wanted, take_over=True)
    assert actions(planned) == {"theirs": "take over", "alike": "take over"} and planned.takes_away
    assert failed(run(target, wanted, take_over=True)) == {}
    assert all(held.owned for held in target.there.values()) and set(target.values().values()) == {b"made-up"}
    assert actions(plan(target, wanted, take_over=True)) == {"theirs": "same", "alike": "same"}


def test_what_has_the_same_value_is_adopted_where_that_is_asked_for(target: MemoryTarget) -> None:
    target.foreign("theirs", b"other")
    target.foreign("alike", b"made-up")
    wanted = [out("theirs"), out("alike")]
    planned = plan(target, wanted, adopt=True)
    assert actions(planned) == {"theirs": "conflict", "alike": "adopt"} and not planned.takes_away
    assert failed(run(target, wanted, adopt=True)) == {}
    assert {key: held.owned for key, held in target.there.items()} == {"theirs": False, "alike": True}
    assert target.values() == {"theirs": b"other", "alike": b"made-up"}
    assert actions(plan(target, [out("alike", b"new", version=2)], adopt=True))["alike"] == "update"


def test_an_export_removes_nothing(target: MemoryTarget) -> None:
    run(target, [out("a"), out("b")])
    assert actions(plan(target, [out("a")], remove=False)) == {"a": "same"}


def test_what_cannot_be_opened_keeps_what_the_target_has(target: MemoryTarget) -> None:
    run(target, [out("a"), out("b")])
    planned = plan(target, [out("b")], {"a": Withheld("app1/a", "it has expired")})
    assert actions(planned) == {"a": "unreadable", "b": "same"} and planned.steps[0].reason == "it has expired"
    assert list(apply(target, planned)) == [] and set(target.there) == {"a", "b"}


def test_a_value_that_no_longer_fits_keeps_the_old_one_and_says_so(target: MemoryTarget) -> None:
    run(target, [out("a")])
    planned = plan(target, [out("a", bytes(101), 2)])
    assert actions(planned) == {"a": "refused"} and planned.steps[0].reason == "takes 100 bytes at most"


def test_what_is_ours_and_has_no_value_to_show_is_written_again(target: MemoryTarget) -> None:
    target.there["a"] = Held("a", True, None, "app1/a", 1, "it awaits its deletion")
    target.there["b"] = Held("b", False, None, problem="it awaits its deletion")
    planned = plan(target, [out("a"), out("b")])
    assert actions(planned) == {"a": "update", "b": "conflict"}
    assert [step.reason for step in planned.steps] == ["it awaits its deletion"] * 2


def test_one_failure_leaves_the_others_done_and_a_second_run_goes_on(target: MemoryTarget) -> None:
    wanted = [out(key) for key in "abcd"]
    target.failing["b"] = failure("denied")
    assert failed(run(target, wanted)) == {"b": "denied"}
    assert set(target.there) == {"a", "c", "d"}
    target.failing.clear()
    target.calls.clear()
    assert failed(run(target, wanted)) == {} and [call for call in target.calls if call != "held"] == ["write b"]


def test_an_interrupted_run_is_gone_on_with(target: MemoryTarget) -> None:
    wanted = [out(key) for key in "abcd"]
    target.failing["c"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(target, wanted)
    assert set(target.there) == {"a", "b"}
    target.failing.clear()
    assert [done.step.key for done in run(target, wanted)] == ["c", "d"] and len(target.there) == 4


def test_nothing_is_tried_without_credentials(target: MemoryTarget) -> None:
    target.failing["a"] = CredentialsError("expired")
    with pytest.raises(CredentialsError):
        run(target, [out(key) for key in "abcd"])
    assert target.calls == ["held", "write a"]


def test_what_is_no_longer_wanted_goes_last(target: MemoryTarget) -> None:
    run(target, [out("a"), out("b")])
    target.calls.clear()
    run(target, [out("c", name="app1/a"), out("b", b"new", 2)])
    assert target.calls == ["held", "write b", "write c", "remove a", "held"]


@pytest.mark.parametrize("why", ["failed", "refused"])
def test_a_secret_that_could_not_be_written_under_its_new_key_keeps_its_old_one(target: MemoryTarget, why: str) -> None:
    run(target, [out("old", name="app1/x"), out("b")])
    if why == "failed":
        target.failing["new"] = failure("denied")
    value = b"made-up" if why == "failed" else bytes(101)
    results = failed(run(target, [out("new", value, name="app1/x")]))
    assert results.pop("old") == "old was not removed: app1/x could not be written under its other key"
    assert set(target.there) == {"old"} and (results == {"new": "denied"} or why == "refused")


def test_a_copy_was_removed_whose_secret_could_not_be_opened_for_its_other_key(target: MemoryTarget) -> None:
    run(target, [out("old", name="app1/x")])
    planned = plan(target, [], {"new": Withheld("app1/x", "it has expired")})
    results = failed(list(apply(target, planned)))
    assert results == {"old": "old was not removed: app1/x could not be written under its other key"}
    assert set(target.there) == {"old"}


def test_what_reads_back_otherwise_is_an_error(target: MemoryTarget) -> None:
    clock = FakeClock()
    results = list(apply(target, plan(target, [out("a"), out("b"), out("c")])))
    target.tamper("a", b"otherwise")
    del target.there["b"]
    assert failed(verify(target, results, clock=clock)) == {
        "a": "a was written, and reading it back shows otherwise: holds another value",
        "b": "b was written, and reading it back shows otherwise: is not there",
    }
    assert 5 < clock.monotonic() <= 10


def test_an_empty_value_is_not_taken_for_one_that_cannot_be_read(target: MemoryTarget) -> None:
    results = list(apply(target, plan(target, [out("a", b"")])))
    target.there["a"] = Held("a", True, None, problem="it awaits its deletion")
    assert failed(verify(target, results, clock=FakeClock()))["a"].endswith("it awaits its deletion")


def test_what_was_removed_and_is_still_there_is_an_error(target: MemoryTarget) -> None:
    run(target, [out("a")])
    results = list(apply(target, plan(target, [])))
    target.there["a"] = Held("a", True, Plaintext(b"made-up"))
    assert failed(verify(target, results, clock=FakeClock())) == {"a": "a was removed, and is still there"}


def test_a_service_that_shows_a_change_late_is_asked_again(target: MemoryTarget) -> None:
    clock = FakeClock()
    results = list(apply(target, plan(target, [out("a")])))
    target.stale = 3
    assert failed(verify(target, results, clock=clock)) == {} and len(clock.slept) == 3


def test_a_defect_is_not_taken_for_a_failed_step(target: MemoryTarget) -> None:
    target.failing["a"] = ValueError("a defect")
    with pytest.raises(ValueError, match="a defect"):
        run(target, [out("a")])


def test_each_action_is_a_change_or_a_problem_or_none() -> None:
    from dynastash.transfer.outgoing import CHANGES, PROBLEMS

    assert {*CHANGES, *PROBLEMS, Action.SAME} == set(Action) and not {*CHANGES} & {*PROBLEMS}
    assert issubclass(type(failure()), DynastashError)
