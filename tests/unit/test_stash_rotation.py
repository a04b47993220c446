"""Rotation: whatever stops in whichever step, the current version stays current until the new one is proved."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dynastash.errors import (
    ConflictError,
    DynastashError,
    ExpiredError,
    InvalidArgumentError,
    RotationError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    StoreUnavailableError,
    ValueTooLargeError,
    VersionNotFoundError,
)
from dynastash.generate import Passphrase, Password
from dynastash.models import MAX_VALUE, Plaintext, Stage, from_ms
from dynastash.stash.rotation import GenerateRotator, Rotation
from dynastash.stores.base import Change
from tests.unit.stash_kit import HEAD, Between, World, v


class Killed(BaseException):
    """As if the process had been killed there."""


class Scripted:
    """A rotator that notes what it is told, and fails where it is told to."""

    def __init__(self, **failing: BaseException) -> None:
        self.failing = failing
        self.told: list[tuple[str, Rotation]] = []
        self.value: Any = Plaintext(b"rotated")

    def _step(self, step: str, rotation: Rotation) -> None:
        self.told.append((step, rotation))
        if step in self.failing:
            raise self.failing[step]

    def create(self, rotation: Rotation) -> Plaintext:
        self._step("create", rotation)
        return self.value  # type: ignore[no-any-return]

    def set(self, rotation: Rotation) -> None:
        self._step("set", rotation)

    def test(self, rotation: Rotation) -> None:
        self._step("test", rotation)

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.told]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.stash.put("n", b"first", content_type="a/b", context={"k": "v"}, tags={"t": "1"})
    return world


def stages(world: World) -> dict[str, int | None]:
    """Where the labels stand."""
    (info,) = world.fresh().list("n")
    return {"current": info.current, "pending": info.pending, "previous": info.previous}


class TestInOneGo:
    """create → set → test → finish."""

    def test_the_new_version_is_current_and_the_old_one_previous(self, world: World) -> None:
        """Content type, context and tags come along; the comment is the rotation's own."""
        version = world.stash.rotate("n", Scripted(), comment="monthly")
        assert (version.number, version.stages, version.comment) == (2, (Stage.CURRENT,), "monthly")
        assert (version.content_type, dict(version.context)) == ("a/b", {"k": "v"})
        secret = world.fresh().get("n")
        assert (secret.value, dict(secret.tags), secret.version) == (b"rotated", {"t": "1"}, version)
        assert stages(world) == {"current": 2, "pending": None, "previous": 1}
        assert world.stash.list()[0].comment == "monthly"

    def test_each_step_is_told_what_it_needs(self, world: World) -> None:
        """Environment, name, number, the current value; the pending one once it is stored."""
        rotator = Scripted()
        world.stash.rotate("n", rotator)
        assert rotator.steps == ["create", "set", "test"]
        for step, rotation in rotator.told:
            assert (rotation.environment, rotation.name, rotation.version) == ("prod", "n", 2)
            assert (rotation.current.value, rotation.current.number) == (b"first", 1)
            if step == "create":
                assert rotation.pending is None
            else:
                assert rotation.pending is not None
                assert (rotation.pending.value, rotation.pending.number) == (b"rotated", 2)
                assert rotation.pending.version.stages == (Stage.PENDING,)
            assert b"first" not in repr(rotation).encode()
            assert b"rotated" not in repr(rotation).encode()

    def test_the_number_told_is_the_one_that_is_staged(self, world: World) -> None:
        """Others may have used up a number between create and the pending version."""

        class Meddled(Between):
            times = 1

            def commit(self, change: Change) -> None:
                if self.times:
                    self.times = 0
                    with pytest.raises(Killed):
                        world.fresh().rotate("n", Scripted(set=Killed()))
                    world.fresh().abort("n")
                super().commit(change)

        rotator = Scripted()
        assert world.fresh(Meddled(world.store)).rotate("n", rotator).number == 3
        assert [(step, rotation.version) for step, rotation in rotator.told] == [("create", 2), ("set", 3), ("test", 3)]

    def test_by_the_policy_that_the_secret_carries(self, world: World) -> None:
        """Or by one that is given, and carried from then on."""
        with pytest.raises(RotationError) as caught:
            world.stash.rotate("n")
        assert (caught.value.step, str(caught.value)) == ("create", "n carries no policy to make a new value by")
        assert stages(world)["pending"] is None
        world.stash.rotate("n", policy=Password(length=50))
        assert len(world.fresh().get("n").text) == 50
        world.stash.rotate("n")
        assert len(world.fresh().get("n").text) == 50
        assert world.stash.rotate("n", policy=Passphrase()).number == 4
        assert world.stash.policy("n") == Passphrase()

    def test_a_policy_given_beside_a_rotator_is_carried_too(self, world: World) -> None:
        """For the next time."""
        world.stash.rotate("n", Scripted(), policy=Password(length=41))
        assert world.fresh().policy("n") == Password(length=41)

    def test_refused_before_anybody_is_asked(self, world: World) -> None:
        """No secret, deleted, destroyed, another version expected, details out of range."""
        rotator = Scripted()
        past = from_ms(world.clock.now()) - timedelta(days=1)
        for details, error in (
            ({"if_version": 2}, ConflictError),
            ({"comment": "x" * 1025}, ValueTooLargeError),
            ({"expires_at": past}, InvalidArgumentError),
        ):
            with pytest.raises(error):
                world.stash.rotate("n", rotator, **details)  # type: ignore[arg-type]
        with pytest.raises(SecretNotFoundError):
            world.stash.rotate("other", rotator)
        world.stash.delete("n")
        with pytest.raises(SecretDeletedError):
            world.stash.rotate("n", rotator)
        world.stash.undelete("n")
        world.stash.destroy("n")
        with pytest.raises(SecretDestroyedError):
            world.stash.rotate("n", rotator)
        assert rotator.told == []

    def test_a_version_that_is_not_given_out_is_not_rotated(self, world: World) -> None:
        """The rotator would be handed what nobody may get."""
        world.stash.generate("n", Password())
        expiring = world.stash.rotate("n", expires_at=from_ms(world.clock.now()) + timedelta(seconds=5))
        assert expiring.expires_at is not None
        world.clock.advance(10)
        assert world.stash.rotate("n").expires_at is None  # expired is the very reason to rotate


class TestFailures:
    """A rotator that raises."""

    @pytest.mark.parametrize("step", ["create", "set", "test"])
    @pytest.mark.parametrize(
        "error",
        [
            ValueError("hunter2"),
            OSError(13, "hunter2"),
            KeyError("hunter2"),
            UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "hunter2"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_foreign_exception_is_not_quoted(self, world: World, step: str, error: Exception) -> None:
        """Its text may hold a value: neither the message nor any traceback prints it. Type and place are told."""
        with pytest.raises(RotationError) as caught:
            world.stash.rotate("n", Scripted(**{step: error}))
        failed = caught.value
        assert failed.step == step
        raised = f"the rotator raised {type(error).__name__} (test_stash_rotation.py, line "
        assert str(failed).startswith(f"rotating n stopped at the {step} step: {raised}")
        assert "hunter2" not in "".join(traceback.format_exception(failed))
        assert failed.__cause__ is None
        assert failed.__context__ is None
        assert failed.hint
        assert ("--resume" in failed.hint) is (step != "create")

    @pytest.mark.parametrize("step", ["create", "set", "test"])
    def test_our_own_error_is_the_cause(self, world: World, step: str) -> None:
        """Its message never holds a value, and says more than its type."""
        error = StoreUnavailableError("the other store is busy")
        with pytest.raises(RotationError, match=f"stopped at the {step} step: the other store is busy") as caught:
            world.stash.rotate("n", Scripted(**{step: error}))
        assert caught.value.__cause__ is error

    def test_a_rotation_error_passes_as_it_is(self, world: World) -> None:
        """With its own step and hint; without a hint it gets ours."""
        own = RotationError("no", step="elsewhere", hint="do this")
        for error, hint in ((own, "do this"), (RotationError("no", step="set"), None)):
            with pytest.raises(RotationError) as caught:
                world.stash.rotate("n", Scripted(set=error))
            assert caught.value is error
            assert caught.value.hint == hint or (hint is None and "--resume" in (caught.value.hint or ""))
            world.stash.abort("n")

    @pytest.mark.parametrize("value", [None, 7, bytes(MAX_VALUE + 1)], ids=["nothing", "a number", "too large"])
    def test_a_value_that_cannot_be_stored_fails_the_create_step(self, world: World, value: object) -> None:
        """A rotator of somebody else's is not trusted to keep to its types."""
        rotator = Scripted()
        rotator.value = value
        with pytest.raises(RotationError) as caught:
            world.stash.rotate("n", rotator)
        assert caught.value.step == "create"
        assert caught.value.hint == "nothing was written; version 1 is current"
        assert world.records("n") == [v(1), HEAD]

    def test_text_and_bytes_will_do(self, world: World) -> None:
        """They are what a value is."""
        rotator = Scripted()
        rotator.value = "Grüße"
        world.stash.rotate("n", rotator)
        assert world.fresh().get("n").text == "Grüße"

    @pytest.mark.parametrize("step", ["create", "set", "test"])
    def test_after_a_failure_current_is_current(self, world: World, step: str) -> None:
        """Readers notice nothing; from set on, the new version is pending and put is refused."""
        with pytest.raises(RotationError):
            world.stash.rotate("n", Scripted(**{step: ValueError()}))
        assert world.fresh().get("n").value == b"first"
        if step == "create":
            assert world.records("n") == [v(1), HEAD]
            return
        assert stages(world) == {"current": 1, "pending": 2, "previous": None}
        assert world.fresh().get("n", stage="pending").value == b"rotated"
        for call in (
            lambda: world.fresh().put("n", b"x"),
            lambda: world.fresh().put("n", b"x", write_only=True),
            lambda: world.fresh().rotate("n", Scripted()),
            lambda: world.fresh().rollback("n", 2),
            lambda: world.fresh().delete("n"),
        ):
            with pytest.raises(ConflictError, match=r"a rotation of n is pending \(version 2\)") as caught:
                call()
            assert "--resume" in (caught.value.hint or "")


class TestKilled:
    """The process dies between two steps."""

    @pytest.mark.parametrize("step", ["set", "test"])
    def test_resume_repeats_the_steps_from_set(self, world: World, step: str) -> None:
        """With the value that was staged, by another process, told the same."""
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(**{step: Killed()}), comment="why")
        rotator = Scripted()
        version = world.fresh().resume("n", rotator)
        assert (version.number, version.comment) == (2, "why")
        assert rotator.steps == ["set", "test"]
        for _, rotation in rotator.told:
            assert rotation.pending is not None
            assert (rotation.version, rotation.current.value, rotation.pending.value) == (2, b"first", b"rotated")
            assert (rotation.current.number, rotation.pending.number) == (1, 2)
        assert world.fresh().get("n").value == b"rotated"
        assert stages(world) == {"current": 2, "pending": None, "previous": 1}

    def test_before_anything_was_written_there_is_nothing_to_resume(self, world: World) -> None:
        """The create step leaves no trace."""
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(create=Killed()))
        for call in (partial(world.fresh().resume, rotator=Scripted()), world.fresh().abort):
            with pytest.raises(VersionNotFoundError, match="n has no pending version: version 1 is current"):
                call("n")
        with pytest.raises(SecretNotFoundError):
            world.stash.resume("other", GenerateRotator(Password()))

    def test_after_the_promote_was_committed_resume_says_what_is_true(self, world: World) -> None:
        """The reply was lost: the caller is told to look, and finds the new version current."""
        with pytest.raises(RotationError) as caught:
            world.fresh(Unanswered(world.store, 2)).rotate("n", Scripted())
        assert caught.value.step == "finish"
        assert caught.value.hint is not None
        assert caught.value.hint.startswith("`dynastash history n` shows whether version 2 is current; if not, ")
        with pytest.raises(VersionNotFoundError, match="n has no pending version: version 2 is current"):
            world.fresh().resume("n", Scripted())
        assert world.fresh().get("n").value == b"rotated"

    def test_after_the_promote_was_refused_resume_finishes(self, world: World) -> None:
        """The same error to the caller, the other truth."""
        with pytest.raises(RotationError):
            world.fresh(Unanswered(world.store, 2, done=False)).rotate("n", Scripted())
        assert world.fresh().resume("n", Scripted()).number == 2

    def test_resume_can_fail_again(self, world: World) -> None:
        """As often as it takes."""
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(set=Killed()))
        for _ in range(2):
            with pytest.raises(RotationError):
                world.fresh().resume("n", Scripted(test=ValueError()))
        assert world.fresh().resume("n", Scripted()).number == 2

    def test_a_rotation_without_anybody_to_tell_is_resumed_as_such(self, world: World) -> None:
        """The rotator is named: assumed, it would make a value current that the target system was never told."""
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(set=Killed()))
        with pytest.raises(TypeError):
            world.fresh().resume("n")  # type: ignore[call-arg]
        assert stages(world)["pending"] == 2
        assert world.fresh().resume("n", GenerateRotator(Password())).number == 2

    def test_an_expired_pending_version_is_not_promoted(self, world: World) -> None:
        """Readers would lose a value that works for one that is refused."""
        soon = from_ms(world.clock.now()) + timedelta(seconds=30)
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(set=Killed()), expires_at=soon)
        world.clock.advance(60)
        rotator = Scripted()
        with pytest.raises(ExpiredError) as caught:
            world.fresh().resume("n", rotator)
        assert "--abort" in (caught.value.hint or "")
        assert rotator.told == []
        assert world.fresh().get("n").value == b"first"
        assert world.fresh().abort("n").number == 2

    def test_one_that_expires_while_it_is_tested_is_not_promoted_either(self, world: World) -> None:
        """The last look is the finish step's."""

        class Slow(Scripted):
            def test(self, rotation: Rotation) -> None:
                world.clock.advance(60)

        soon = from_ms(world.clock.now()) + timedelta(seconds=30)
        with pytest.raises(RotationError, match="expired") as caught:
            world.stash.rotate("n", Slow(), expires_at=soon)
        assert caught.value.step == "finish"
        assert "--abort" in (caught.value.hint or "")
        assert world.fresh().get("n").value == b"first"


class Unanswered(Between):
    """The store's connection breaks at a commit, before or after it was carried out."""

    def __init__(self, inner: Any, at: int, *, done: bool = True) -> None:
        super().__init__(inner)
        self.left, self.done = at, done

    def commit(self, change: Change) -> None:
        self.left -= 1
        if self.left:
            super().commit(change)
            return
        if self.done:
            super().commit(change)
        raise StoreUnavailableError("no answer")


class TestAbort:
    """The pending version loses its stage."""

    def test_the_version_stays_without_a_stage(self, world: World) -> None:
        """And its number is not used again."""
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(set=Killed()))
        aborted = world.fresh().abort("n")
        assert (aborted.number, aborted.stages) == (2, ())
        assert stages(world) == {"current": 1, "pending": None, "previous": None}
        assert world.fresh().get("n").value == b"first"
        assert world.fresh().get("n", version=2).value == b"rotated"
        assert world.fresh().put("n", b"third").number == 3
        assert stages(world)["previous"] == 1

    def test_a_first_version_cannot_lose_its_stage(self, world: World) -> None:
        """The head would be sealed under nothing."""
        from tests.unit.test_stash_basics import forge_newest

        forge_newest(world, "first", 1, current=None, pending=1)
        with pytest.raises(ConflictError, match="only its pending version"):
            world.stash.abort("first")
        rotator = Scripted()
        assert world.stash.resume("first", rotator).number == 1
        assert all(rotation.current.number == 1 for _, rotation in rotator.told)
        assert world.fresh().get("first").value == b"far"


class TestSomebodyElse:
    """Two people see the same pending rotation."""

    def meddle(self, world: World, other: Callable[[], object]) -> Scripted:
        class Meddling(Scripted):
            def test(self, rotation: Rotation) -> None:
                other()

        return Meddling()

    def test_finished_by_another_is_finished(self, world: World) -> None:
        """Done already is done: both are told the same version."""
        version = world.stash.rotate("n", self.meddle(world, lambda: world.fresh().resume("n", Scripted())))
        assert (version.number, version.stages) == (2, (Stage.CURRENT,))
        assert len(world.records("n")) == 3

    def test_aborted_by_another_is_not_promoted(self, world: World) -> None:
        """And the advice is not to resume what is not there."""
        with pytest.raises(RotationError, match="version 2 of n is not pending any more: no version is") as caught:
            world.stash.rotate("n", self.meddle(world, lambda: world.fresh().abort("n")))
        assert (caught.value.step, caught.value.hint) == ("finish", "`dynastash history n` shows what happened")
        assert world.fresh().get("n").value == b"first"

    def test_aborted_and_started_anew_by_another(self, world: World) -> None:
        """Only the caller's own pending version is promoted or aborted."""

        def anew() -> None:
            world.fresh().abort("n")
            with pytest.raises(Killed):
                world.fresh().rotate("n", Scripted(set=Killed()))

        with pytest.raises(RotationError, match="not pending any more: version 3 is"):
            world.stash.rotate("n", self.meddle(world, anew))
        assert stages(world) == {"current": 1, "pending": 3, "previous": None}

        class Meddled(Between):
            times = 1

            def commit(self, change: Change) -> None:
                if self.times:
                    self.times = 0
                    anew()
                super().commit(change)

        with pytest.raises(ConflictError, match="version 3 of n is not pending any more: version 4 is"):
            world.fresh(Meddled(world.store)).abort("n")

    @pytest.mark.parametrize(
        ("other", "error"),
        [("delete", SecretDeletedError), ("destroy", SecretDestroyedError)],
        ids=["delete", "destroy"],
    )
    def test_taken_away_by_another(self, world: World, other: str, error: type[DynastashError]) -> None:
        """Nothing is promoted in a secret that is not there any more."""

        def take() -> None:
            world.fresh().abort("n")
            getattr(world.fresh(), other)("n")

        with pytest.raises(RotationError) as caught:
            world.stash.rotate("n", self.meddle(world, take))
        assert isinstance(caught.value.__cause__, error)
        assert caught.value.step == "finish"

    def test_every_lost_race_is_tried_again(self, world: World) -> None:
        """A change of the head between reading and writing costs a repetition, in stage, promote and abort."""

        class Meddled(Between):
            def __init__(self, inner: Any) -> None:
                super().__init__(inner)
                self.lost: set[int] = set()

            def commit(self, change: Change) -> None:
                assert change.expected is not None
                if change.expected.last not in self.lost:
                    self.lost.add(change.expected.last)
                    raise ConflictError("lost")
                super().commit(change)

        assert world.fresh(Meddled(world.store)).rotate("n", Scripted()).number == 2
        with pytest.raises(Killed):
            world.stash.rotate("n", Scripted(set=Killed()))
        assert world.fresh(Meddled(world.store)).abort("n").number == 3


def test_the_rotator_that_policies_use(world: World) -> None:
    """It tells nobody and proves nothing, in any order."""
    rotator = GenerateRotator(Password(length=33))
    rotation = Rotation(environment="prod", name="n", version=2, current=world.stash.get("n"))
    assert len(rotator.create(rotation).expose()) == 33
    rotator.set(rotation)
    rotator.test(replace(rotation, pending=rotation.current))
