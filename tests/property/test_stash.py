"""The stash against a model of a dozen lines: whatever is done in whatever order, both say the same.

The invariants of docs/format-v1.md, section 4, are checked in the file itself after each step.
``DYNASTASH_SOAK=N`` makes N times as many examples, and other ones each time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dynastash.crypto import records
from dynastash.errors import (
    ConflictError,
    DynastashError,
    ExpiredError,
    PartialError,
    RotationError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    VersionNotFoundError,
)
from dynastash.generate import Password
from dynastash.models import Head, Plaintext, Secret, State, from_ms
from dynastash.stash.api import Stash
from tests.unit.stash_kit import HEAD, World, v

NAMES = ("app/b", "app/c")
SOAK = int(os.environ.get("DYNASTASH_SOAK", "0"))

names = st.sampled_from(NAMES)
values = st.binary(max_size=70)
numbers = st.integers(1, 5)


@dataclass
class Model:
    """One secret: values by number, None where one was destroyed or pruned."""

    values: dict[int, bytes | None] = field(default_factory=dict)
    expiry: dict[int, int] = field(default_factory=dict)
    disabled: set[int] = field(default_factory=set)
    current: int | None = None
    previous: int | None = None
    pending: int | None = None
    pruned_below: int = 1
    state: str = "active"
    tags: dict[str, str] = field(default_factory=dict)
    policy: bool = False

    @property
    def last(self) -> int:
        return len(self.values)

    def add(self, value: bytes) -> int:
        self.values[self.last + 1] = value
        return self.last

    def put(self, value: bytes) -> int:
        self.previous, self.current = self.current, self.add(value)
        return self.last


class Stopped(Exception):
    """Raised by a rotator."""


class Fixed:
    """A rotator that makes a given value and fails in a given step."""

    def __init__(self, value: bytes, fails: str | None) -> None:
        self.value, self.fails = value, fails

    def _step(self, step: str) -> None:
        if step == self.fails:
            raise Stopped

    def create(self, rotation: object) -> Plaintext:
        self._step("create")
        return Plaintext(self.value)

    def set(self, rotation: object) -> None:
        self._step("set")

    def test(self, rotation: object) -> None:
        self._step("test")


class StashMachine(RuleBasedStateMachine):
    """Rules are what people do; every one of them is carried out on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.world = World(Path(self.directory.name))
        self.models: dict[str, Model] = {}
        self.stashes: list[Stash] = []

    def teardown(self) -> None:
        self.world.store.close()
        self.directory.cleanup()

    @initialize()
    def two_clients(self) -> None:
        """Two processes on one store."""
        self.stashes = [self.world.fresh(), self.world.fresh()]

    @property
    def stash(self) -> Stash:
        """The two by turns."""
        self.stashes.reverse()
        return self.stashes[0]

    def now(self) -> int:
        return self.world.clock.now() // 1000

    def refusal(self, name: str, *, writing: bool = False, expected: int | None = None) -> type[DynastashError] | None:
        """Why ``name`` cannot be read or written as a whole, in the order in which it is found out."""
        model = self.models.get(name)
        if model is None:
            return (ConflictError if expected else None) if writing else SecretNotFoundError
        if model.state == "destroyed":
            return SecretDestroyedError
        if model.state == "deleted":
            return SecretDeletedError
        if writing and (expected not in (None, model.current or 0) or model.pending is not None):
            return ConflictError
        return None

    def attempt(self, call: Callable[[], Any], refused: type[DynastashError] | None) -> Any:
        """The result, or None where it is refused as expected; anything else fails."""
        if refused is None:
            return call()
        try:
            found = call()
        except DynastashError as error:
            assert type(error) is refused, (error, refused)
            return None
        raise AssertionError(f"{refused.__name__} was expected, not {found!r}")

    def unreadable(self, model: Model, number: int) -> type[DynastashError] | None:
        """Why that version of a live secret is not given out."""
        if model.values.get(number) is None:
            return VersionNotFoundError
        if number in model.disabled:
            return SecretDeletedError
        return ExpiredError if model.expiry.get(number, self.now() + 1) <= self.now() else None

    @rule(name=names, value=values, expected=st.none() | st.integers(0, 5), tags=st.none() | st.just({"t": "1"}))
    def put(self, name: str, value: bytes, expected: int | None, tags: dict[str, str] | None) -> None:
        refused = self.refusal(name, writing=True, expected=expected)
        version = self.attempt(lambda: self.stash.put(name, value, if_version=expected, tags=tags), refused)
        if refused is None:
            model = self.models.setdefault(name, Model())
            assert version.number == model.put(value)
            model.tags = model.tags if tags is None else tags

    @rule(name=names, value=values, seconds=st.integers(1, 40))
    def put_expiring(self, name: str, value: bytes, seconds: int) -> None:
        refused = self.refusal(name, writing=True)
        expires = from_ms(self.world.clock.now()) + timedelta(seconds=seconds)
        self.attempt(lambda: self.stash.put(name, value, expires_at=expires), refused)
        if refused is None:
            model = self.models.setdefault(name, Model())
            model.expiry[model.put(value)] = self.now() + seconds

    @rule(name=names, value=values)
    def put_write_only(self, name: str, value: bytes) -> None:
        refused = self.refusal(name, writing=True)
        self.attempt(lambda: self.stash.put(name, value, write_only=True), refused)
        if refused is None:
            model = self.models.setdefault(name, Model())
            model.put(value)
            model.disabled.clear()
            model.tags, model.policy = {}, False

    @rule(name=names)
    def generate(self, name: str) -> None:
        refused = self.refusal(name, writing=True)
        self.attempt(lambda: self.stash.generate(name, Password(length=20)), refused)
        if refused is None:
            model = self.models.setdefault(name, Model())
            model.put(b"")
            model.policy = True
            model.values[model.last] = self.stash.get(name).value

    @rule(name=names, number=st.none() | numbers)
    def rollback(self, name: str, number: int | None) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        if model is not None and refused in (None, SecretDeletedError):
            target = model.previous if number is None else number
            unreadable = VersionNotFoundError if target is None else self.unreadable(model, target)
            if unreadable is VersionNotFoundError or (refused is None and unreadable is SecretDeletedError):
                refused = unreadable
            elif refused is None and (target == model.current or model.pending is not None):
                refused = ConflictError
        version = self.attempt(lambda: self.stash.rollback(name, number), refused)
        if refused is None:
            assert model is not None
            target = model.previous if number is None else number
            assert target is not None
            assert version.number == model.put(model.values[target] or b"")

    @rule(name=names, value=values, fails=st.sampled_from([None, "create", "set", "test"]))
    def rotate(self, name: str, value: bytes, fails: str | None) -> None:
        model = self.models.get(name)
        refused = self.refusal(name) or (self.refusal(name, writing=True))
        if refused is None and fails is not None:
            refused = RotationError
        self.attempt(lambda: self.stash.rotate(name, Fixed(value, fails)), refused)
        if model is None or refused not in (None, RotationError) or fails == "create":
            return
        model.pending = model.add(value)
        if fails is None:
            model.previous, model.current, model.pending = model.current, model.pending, None

    @rule(name=names)
    def rotate_by_policy(self, name: str) -> None:
        model = self.models.get(name)
        refused = self.refusal(name) or self.refusal(name, writing=True)
        if refused is None and model is not None and not model.policy:
            refused = RotationError
        self.attempt(lambda: self.stash.rotate(name), refused)
        if refused is None:
            assert model is not None
            model.put(self.stash.get(name).value)

    @rule(name=names, fails=st.sampled_from([None, None, "set", "test"]))
    def resume(self, name: str, fails: str | None) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        if model is not None and model.pending is None and refused in (None, SecretDeletedError):
            refused = VersionNotFoundError
        if refused is None and fails is not None:
            refused = RotationError
        self.attempt(lambda: self.stash.resume(name, Fixed(b"", fails)), refused)
        if refused is None:
            assert model is not None
            model.previous, model.current, model.pending = model.current, model.pending, None

    @rule(name=names)
    def abort(self, name: str) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        if model is not None and model.pending is None and refused in (None, SecretDeletedError):
            refused = VersionNotFoundError
        version = self.attempt(lambda: self.stash.abort(name), refused)
        if refused is None:
            assert model is not None
            assert version.number == model.pending
            model.pending = None

    @rule(name=names)
    def delete(self, name: str) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        if refused is SecretDeletedError:
            refused = None
        elif refused is None and model is not None and model.pending is not None:
            refused = ConflictError
        self.attempt(lambda: self.stash.delete(name), refused)
        if refused is None and model is not None:
            model.state = "deleted"

    @rule(name=names)
    def undelete(self, name: str) -> None:
        refused = self.refusal(name)
        if refused is SecretDeletedError:
            refused = None
        self.attempt(lambda: self.stash.undelete(name), refused)
        if refused is None:
            self.models[name].state = "active"

    @rule(name=names, number=numbers)
    def delete_version(self, name: str, number: int) -> None:
        self._version_rule(name, number, lambda: self.stash.delete(name, number), lambda m: m.disabled.add(number))

    @rule(name=names, number=numbers)
    def destroy_version(self, name: str, number: int) -> None:
        def change(model: Model) -> None:
            model.values[number] = None
            model.disabled.discard(number)
            model.previous = None if model.previous == number else model.previous

        model = self.models.get(name)
        if model is not None and model.state != "destroyed" and number <= model.last and model.values[number] is None:
            self.stash.destroy(name, [number])  # destroyed already is destroyed
            return
        self._version_rule(name, number, lambda: self.stash.destroy(name, [number]), change)

    def _version_rule(self, name: str, number: int, call: Callable[[], Any], change: Callable[[Model], object]) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        if refused is SecretDeletedError:
            refused = None
        if refused is None and model is not None:
            if number in (model.current, model.pending):
                refused = ConflictError
            elif model.values.get(number) is None:
                refused = VersionNotFoundError
        self.attempt(call, refused)
        if refused is None and model is not None:
            change(model)

    @rule(name=names, keep=st.integers(1, 4))
    def prune(self, name: str, keep: int) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        if refused is SecretDeletedError:
            refused = None
        self.attempt(lambda: self.stash.prune(name, keep=keep), refused)
        if refused is None and model is not None:
            live = [number for number, value in model.values.items() if value is not None]
            kept = {*live[-keep:], model.last, model.current, model.previous, model.pending} - {None}
            below = min(number for number in kept if number is not None)
            for number in range(1, max(below, model.pruned_below)):
                model.values[number] = None
                model.disabled.discard(number)
            model.pruned_below = max(below, model.pruned_below)

    @precondition(lambda self: self.models)
    @rule(name=names, again=st.none() | values)
    def destroy(self, name: str, again: bytes | None) -> None:
        """Rarely, or little else would happen; recreated at once as often as not."""
        model = self.models.get(name)
        if model is None or model.last < 5:
            return
        self.stash.destroy(name)
        fresh = Model(values=dict.fromkeys(model.values), state="destroyed", pruned_below=model.last)
        self.models[name] = fresh
        if again is not None:
            assert self.stash.put(name, again, recreate=True).number == fresh.put(again)
            fresh.state = "active"

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(name=names, number=st.none() | numbers)
    def get(self, name: str, number: int | None) -> None:
        model = self.models.get(name)
        refused = self.refusal(name)
        wanted = number if number is not None or model is None else model.current
        if model is not None and wanted is not None and refused in (None, SecretDeletedError):
            unreadable = self.unreadable(model, wanted)
            if refused is None or unreadable is VersionNotFoundError:
                refused = unreadable
        secret: Secret | None = self.attempt(lambda: self.stash.get(name, version=number), refused)
        if secret is not None:
            assert model is not None
            assert wanted is not None
            assert (secret.number, secret.value, dict(secret.tags)) == (wanted, model.values[wanted], model.tags)

    @rule(wanted=st.lists(names, max_size=4))
    def get_many(self, wanted: list[str]) -> None:
        def refusal(name: str) -> type[DynastashError] | None:
            refused = self.refusal(name)
            model = self.models.get(name)
            return refused or (model and model.current and self.unreadable(model, model.current)) or None

        refused = {name: why for name in wanted if (why := refusal(name))}
        if refused:
            try:
                self.stash.get_many(wanted)
            except PartialError as error:
                assert {name: type(why) for name, why in error.failures.items()} == refused
                return
            raise AssertionError("nothing was refused")
        found = self.stash.get_many(wanted)
        assert list(found) == list(dict.fromkeys(wanted))
        assert all(secret.value == self.models[name].values[secret.number] for name, secret in found.items())

    @rule(prefix=st.sampled_from(["", "app/", "app/c"]))
    def get_prefix(self, prefix: str) -> None:
        wanted = [name for name in NAMES if name.startswith(prefix) and self.refusal(name) is None]
        expired = {name for name in wanted if self.unreadable(self.models[name], self.models[name].current or 0)}
        try:
            found = self.stash.get_many(prefix=prefix)
            assert not expired
            assert list(found) == wanted
        except PartialError as error:
            assert set(error.failures) == expired

    @rule(prefix=st.sampled_from(["", "app/", "app/c"]), verified=st.booleans())
    def list(self, prefix: str, verified: bool) -> None:
        listed = self.stash.list(prefix, verified=verified)
        assert [info.name for info in listed] == [
            name for name in NAMES if name.startswith(prefix) and name in self.models
        ]
        for info in listed:
            model = self.models[info.name]
            assert (info.current, info.previous, info.pending, info.last) == (
                model.current,
                model.previous,
                model.pending,
                model.last,
            )
            assert info.state == model.state

    @rule(name=names)
    def history(self, name: str) -> None:
        model = self.models.get(name)
        found = self.attempt(lambda: self.stash.history(name), None if model is not None else SecretNotFoundError)
        if model is None:
            return
        live = [version.number for version in found if version.destroyed_at is None]
        assert live == [number for number, value in model.values.items() if value is not None]
        assert {version.number for version in found if version.disabled} == model.disabled

    @invariant()
    def invariants_of_the_format(self) -> None:
        """I1 to I4, and stages, as the file has them."""
        for name, model in self.models.items():
            head: Head = records.decode_head(self.world.item(name, HEAD))  # type: ignore[arg-type]
            there = {record: self.world.item(name, record) for record in self.world.records(name) if record != HEAD}
            live = {number for number in range(1, head.last + 1) if "ciphertext" in there.get(v(number), {})}
            assert head.last == model.last  # I1: never falls, never skips
            assert v(head.last) in there  # I2
            assert all(
                number in live or number in head.destroyed for number in range(head.pruned_below, head.last + 1)
            )  # I3
            assert head.state is State.DESTROYED or head.current in live  # I4
            assert live == {number for number, value in model.values.items() if value is not None}
            assert (head.current, head.previous, head.pending) == (model.current, model.previous, model.pending)


class TestStash(StashMachine.TestCase):  # type: ignore[name-defined, misc]
    """A fixed number of fixed examples in CI; more, and other ones, where somebody soaks."""

    settings = settings(
        max_examples=80 * max(SOAK, 1),
        stateful_step_count=50,
        deadline=None,
        derandomize=not SOAK,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
