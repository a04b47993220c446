"""A plain-Python model of a stash, and a walk that does each operation on both and holds them against each other.

The model is written from docs/format-v1.md, section 6, and from the docstrings of :class:`dynastash.stash.api.Stash`;
it knows nothing of records, keys or transactions. After each step the walk verifies the whole store and compares the
listing and the values.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from dynastash.errors import (
    ConflictError,
    DynastashError,
    ExpiredError,
    PartialError,
    RollbackError,
    RotationError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    VersionNotFoundError,
)
from dynastash.generate import RandomBytes
from dynastash.keys.local import LocalKeys
from dynastash.models import DataKey, Plaintext, Stage, State, from_ms
from dynastash.stash.api import Stash
from dynastash.stash.rotation import GenerateRotator, Rotation
from dynastash.stores.base import Store
from dynastash.testing.fakes import FakeClock
from dynastash.transfer.sealed import check_sealed, export_sealed, import_sealed

_T = TypeVar("_T")
DAY = 86_400
NAMES = ("app/db", "app/api", "z")
ENVIRONMENT = "prod"
POLICY = RandomBytes(16)


class Draw(Protocol):
    """Where choices come from: hypothesis, or a random generator."""

    def choice(self, options: Sequence[_T]) -> _T: ...

    def integer(self, low: int, high: int) -> int: ...


@dataclass
class ModelVersion:
    """One live version."""

    value: bytes
    created: int
    comment: str | None = None
    content_type: str | None = None
    expires: int | None = None  # epoch s


@dataclass
class ModelSecret:
    """One secret. ``live`` and ``buried`` are the versions that have a record: with a value, and without."""

    last: int = 0
    state: State = State.ACTIVE
    live: dict[int, ModelVersion] = field(default_factory=dict)
    buried: set[int] = field(default_factory=set)
    current: int | None = None
    pending: int | None = None
    previous: int | None = None
    disabled: set[int] = field(default_factory=set)
    pruned_below: int = 1
    purge_at: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    policy: bool = False

    def exists(self, number: int) -> bool:
        return number in self.live

    def refuse(self) -> type[DynastashError] | None:
        return SecretDestroyedError if self.state is State.DESTROYED else None

    def bury(self, *numbers: int) -> None:
        for number in numbers:
            self.live.pop(number, None)
            self.buried.add(number)
            self.disabled.discard(number)
            if self.previous == number:
                self.previous = None


class FailingRotator:
    """Gives a value, and fails at one step or at none."""

    def __init__(self, value: bytes, fails: str | None) -> None:
        self._value = value
        self._fails = fails

    def _step(self, step: str) -> None:
        if step == self._fails:
            raise RotationError("the target is down", step=step)

    def create(self, rotation: Rotation) -> Plaintext:
        self._step("create")
        return Plaintext(self._value)

    def set(self, rotation: Rotation) -> None:
        self._step("set")

    def test(self, rotation: Rotation) -> None:
        self._step("test")


class Walk:
    """Takes steps. ``make`` gives another empty store each time; ``check_all`` opens every live version each time."""

    def __init__(self, make: Callable[[], Store], *, check_all: bool = True) -> None:
        self._make = make
        self._check_all = check_all
        self.clock = FakeClock()
        self.keys = LocalKeys(DataKey(bytes(range(32))))
        self.store = make()
        self.stash = self._open(self.store)
        self.model: dict[str, ModelSecret] = {}
        self.used: dict[str, int] = {}  # name → the highest number ever given out
        self.steps: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._serial = 0

    def _open(self, store: Store) -> Stash:
        return Stash(ENVIRONMENT, store, self.keys, identity=lambda: "test:walk", clock=self.clock)

    def step(self, operation: str, draw: Draw) -> None:
        """One operation on both, then everything compared."""
        self.clock.advance(1)
        name = draw.choice(NAMES)
        getattr(self, f"do_{operation}")(name, draw)
        self.steps[operation] += 1
        self.check(name)

    # --- helpers

    @property
    def _now(self) -> int:
        return self.clock.now() // 1000

    def _value(self) -> bytes:
        self._serial += 1
        return b"value %d " % self._serial + bytes(self._serial % 90)

    def _expect(self, wanted: type[DynastashError] | None, call: Callable[[], _T]) -> _T | None:
        """The result of ``call``, which must raise exactly ``wanted``, or nothing."""
        try:
            result = call()
        except DynastashError as error:
            assert type(error) is wanted, f"expected {wanted and wanted.__name__}, got {error!r}"
            self.refused[type(error).__name__] += 1
            return None
        assert wanted is None, f"expected {wanted.__name__ if wanted else None}, got {result!r}"
        return result

    def _number(self, name: str, draw: Draw) -> int:
        secret = self.model.get(name)
        return draw.integer(1, (secret.last if secret else 0) + 1)

    def _older(self, name: str, draw: Draw, among: Collection[int] | None = None) -> int:
        """A version that has something to lose, mostly: one of ``among``, or a live one without a stage."""
        secret = self.model.get(name) or ModelSecret()
        unused = secret.live.keys() - {secret.current, secret.pending}
        candidates = sorted(unused if among is None else among)
        return draw.choice(candidates) if candidates and draw.integer(0, 3) else self._number(name, draw)

    # --- writing

    def _put_error(self, name: str, if_version: int | None, recreate: bool) -> type[DynastashError] | None:
        secret = self.model.get(name)
        if secret is None:
            return ConflictError if if_version else None
        if secret.state is State.DESTROYED and not recreate:
            return SecretDestroyedError
        if secret.state is State.DELETED:
            return SecretDeletedError
        if if_version is not None and if_version != (secret.current or 0):
            return ConflictError
        return ConflictError if secret.pending is not None else None

    def _added(
        self, name: str, version: ModelVersion, *, forget: bool = False, tags: dict[str, str] | None = None
    ) -> int:
        secret = self.model.setdefault(name, ModelSecret())
        if secret.state is State.DESTROYED:
            secret.state, forget = State.ACTIVE, True
        if forget:
            secret.tags, secret.policy, secret.disabled = {}, False, set()
        if tags is not None:
            secret.tags = tags
        secret.last += 1
        secret.live[secret.last] = version
        secret.previous, secret.current = secret.current, secret.last
        assert secret.last == self.used.get(name, 0) + 1, "a number was used again, or skipped"
        self.used[name] = secret.last
        return secret.last

    def do_put(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        if_version = draw.choice((None, None, None, (secret.current or 0) if secret else 0, 1))
        recreate = draw.choice((False, True))
        write_only = draw.choice((False, False, False, True))
        expires = draw.choice((None, None, None, self._now + 3 * DAY))
        tags = draw.choice((None, None, {"team": "a"}, {}))
        comment = draw.choice((None, "why"))
        wanted = self._put_error(name, if_version, recreate)
        value, created = self._value(), self.clock.now()
        done = self._expect(
            wanted,
            lambda: self.stash.put(
                name,
                value,
                if_version=if_version,
                recreate=recreate,
                write_only=write_only,
                expires_at=None if expires is None else from_ms(expires * 1000),
                tags=tags,
                comment=comment,
            ),
        )
        if done is not None:
            version = ModelVersion(value, created, comment, None, expires)
            assert done.number == self._added(name, version, forget=write_only, tags=tags)

    def do_generate(self, name: str, draw: Draw) -> None:
        recreate = draw.choice((False, True))
        wanted = self._put_error(name, None, recreate)
        created = self.clock.now()
        done = self._expect(wanted, lambda: self.stash.generate(name, POLICY, recreate=recreate))
        if done is not None:
            value = self.stash.get(name).value
            assert len(value) == 16
            assert done.number == self._added(name, ModelVersion(value, created))
            self.model[name].policy = True

    def do_rollback(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        number = draw.choice((None, self._older(name, draw)))
        wanted: type[DynastashError] | None
        target = number if number is not None else (secret.previous if secret else None)
        if secret is None:
            wanted = SecretNotFoundError
        elif secret.refuse():
            wanted = secret.refuse()
        elif target is None or not secret.exists(target):
            wanted = VersionNotFoundError
        elif secret.state is State.DELETED or target in secret.disabled:
            wanted = SecretDeletedError
        elif target == secret.current or secret.pending is not None:
            wanted = ConflictError
        else:
            wanted = None
        created = self.clock.now()
        done = self._expect(wanted, lambda: self.stash.rollback(name, number))
        if done is not None:
            assert secret is not None and target is not None
            old = secret.live[target]
            again = ModelVersion(old.value, created, f"rollback to version {target}", old.content_type)
            assert done.number == self._added(name, again)

    # --- rotating

    def do_rotate(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        fails = draw.choice((None, None, "create", "set", "test"))
        by_policy = draw.choice((False, False, True))
        value = self._value()
        rotator = None if by_policy else FailingRotator(value, fails)
        wanted: type[DynastashError] | None
        if secret is None:
            wanted = SecretNotFoundError
        elif secret.refuse():
            wanted = secret.refuse()
        elif secret.state is State.DELETED:
            wanted = SecretDeletedError
        elif secret.pending is not None:
            wanted = ConflictError
        elif (by_policy and not secret.policy) or (not by_policy and fails):
            wanted = RotationError
        else:
            wanted = None
        created = self.clock.now()
        done = self._expect(wanted, lambda: self.stash.rotate(name, rotator))
        if wanted is RotationError and not by_policy and fails in ("set", "test"):
            assert secret is not None
            current, previous = secret.current, secret.previous
            secret.pending = self._added(name, ModelVersion(value, created))
            secret.current, secret.previous = current, previous
        elif done is not None:
            if by_policy:
                value = self.stash.get(name).value
            assert done.number == self._added(name, ModelVersion(value, created))

    def do_resume(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        fails = draw.choice((None, None, "set", "test"))
        by_policy = draw.choice((False, True))
        wanted: type[DynastashError] | None
        if secret is None:
            wanted = SecretNotFoundError
        elif secret.refuse():
            wanted = secret.refuse()
        elif secret.pending is None:
            wanted = VersionNotFoundError
        elif not by_policy and fails:
            wanted = RotationError
        else:
            wanted = None
        rotator = GenerateRotator(POLICY) if by_policy else FailingRotator(b"", fails)
        done = self._expect(wanted, lambda: self.stash.resume(name, rotator))
        if done is not None:
            assert secret is not None and done.number == secret.pending
            secret.previous, secret.current, secret.pending = secret.current, secret.pending, None

    def do_abort(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        wanted: type[DynastashError] | None
        if secret is None:
            wanted = SecretNotFoundError
        else:
            wanted = secret.refuse() or (VersionNotFoundError if secret.pending is None else None)
        done = self._expect(wanted, lambda: self.stash.abort(name))
        if done is not None:
            assert secret is not None and done.number == secret.pending
            secret.pending = None

    # --- the end

    def do_delete(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        days = draw.choice((0, 1, 30))
        wanted: type[DynastashError] | None = SecretNotFoundError
        if secret is not None:
            wanted = secret.refuse() or (ConflictError if secret.pending is not None else None)
        done = self._expect(wanted, lambda: self.stash.delete(name, recovery_days=days))
        if done is not None and secret is not None and secret.state is State.ACTIVE:
            secret.state, secret.purge_at = State.DELETED, self._now + days * DAY

    def do_undelete(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        wanted = SecretNotFoundError if secret is None else secret.refuse()
        done = self._expect(wanted, lambda: self.stash.undelete(name))
        if done is not None and secret is not None:
            secret.state, secret.purge_at = State.ACTIVE, None

    def do_delete_version(self, name: str, draw: Draw) -> None:
        secret, number = self.model.get(name), self._older(name, draw)
        wanted: type[DynastashError] | None = SecretNotFoundError
        if secret is not None:
            wanted = secret.refuse()
            if not wanted and number in (secret.current, secret.pending):
                wanted = ConflictError
            elif not wanted and not secret.exists(number):
                wanted = VersionNotFoundError
        if self._expect(wanted, lambda: self.stash.delete(name, number)) is not None and secret is not None:
            secret.disabled.add(number)

    def do_undelete_version(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        number = self._older(name, draw, secret.disabled if secret else ())
        wanted: type[DynastashError] | None = SecretNotFoundError
        if secret is not None:
            wanted = secret.refuse() or (None if secret.exists(number) else VersionNotFoundError)
        if self._expect(wanted, lambda: self.stash.undelete(name, number)) is not None and secret is not None:
            secret.disabled.discard(number)

    def do_destroy_versions(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        deleted = secret.disabled if secret and draw.integer(0, 1) else None
        numbers = {self._older(name, draw, deleted) for _ in range(draw.integer(1, 3))}
        wanted: type[DynastashError] | None = SecretNotFoundError
        if secret is not None:
            wanted = secret.refuse()
            for number in sorted(numbers):
                if wanted:
                    break
                if number in (secret.current, secret.pending):
                    wanted = ConflictError
                elif number > secret.last:
                    wanted = VersionNotFoundError
        self._expect(wanted, lambda: self.stash.destroy(name, numbers))
        if wanted is None and secret is not None:
            secret.bury(*(number for number in numbers if number in secret.live))

    def do_destroy(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        wanted = SecretNotFoundError if secret is None else None
        self._expect(wanted, lambda: self.stash.destroy(name))
        if secret is not None:
            self._destroyed(secret)

    def do_purge(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        wanted: type[DynastashError] | None = None
        if secret is None:
            wanted = SecretNotFoundError
        elif secret.state is not State.DESTROYED and (secret.purge_at is None or secret.purge_at > self._now):
            wanted = ConflictError
        due = [info.name for info in self.stash.overdue()]
        assert due == sorted(n for n, s in self.model.items() if s.purge_at is not None and s.purge_at <= self._now)
        self._expect(wanted, lambda: self.stash.purge(name))
        if secret is not None and wanted is None:
            self._destroyed(secret)

    @staticmethod
    def _destroyed(secret: ModelSecret) -> None:
        if secret.state is State.DESTROYED:
            return
        secret.bury(*secret.live)
        secret.state, secret.purge_at, secret.pruned_below = State.DESTROYED, None, secret.last
        secret.current = secret.pending = secret.previous = None
        secret.tags, secret.policy, secret.disabled = {}, False, set()

    def do_prune(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        keep = draw.choice((None, 1, 2, 4))
        older = draw.choice((None, 5, 60)) if keep is not None else draw.choice((0, 5, 60))
        wanted = SecretNotFoundError if secret is None else secret.refuse()
        gone: list[int] = []
        if secret is not None and wanted is None:
            staying = {secret.last, secret.current, secret.pending, secret.previous}
            staying |= set(sorted(secret.live)[-keep:]) if keep else set()
            gone = sorted(number for number in secret.buried if number < secret.pruned_below)
            for number in range(secret.pruned_below, secret.last):
                young = older is not None and number in secret.live
                young = young and secret.live[number].created >= self.clock.now() - older * 1000  # type: ignore[operator]
                if number in staying or young:
                    break
                gone.append(number)
        age = None if older is None else timedelta(seconds=older)
        planned = self._expect(wanted, lambda: self.stash.prune(name, keep=keep, older_than=age, dry_run=True))
        done = self._expect(wanted, lambda: self.stash.prune(name, keep=keep, older_than=age))
        if secret is not None and wanted is None:
            assert planned == done == gone
            for number in gone:
                secret.live.pop(number, None)
                secret.buried.discard(number)
                secret.disabled.discard(number)
                secret.pruned_below = max(secret.pruned_below, number + 1)

    # --- keys and copies

    def do_rewrap(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        wanted = SecretNotFoundError if secret is None else secret.refuse()
        done = self._expect(wanted, lambda: list(self.stash.rewrap(name)))
        if done is not None and secret is not None:
            assert [rewrapped.number for rewrapped in done] == sorted(secret.live)

    def do_copy(self, name: str, draw: Draw) -> None:
        """Export everything, and go on with a store that it was imported into."""
        file = io.BytesIO()
        counts = export_sealed(self.store, ENVIRONMENT, file, at=1, clock=self.clock)
        assert counts.items == sum(len(s.live) + len(s.buried) + 1 for s in self.model.values())
        file.seek(0)
        assert check_sealed(file, ENVIRONMENT) == counts
        file.seek(0)
        target = self._make()
        for _ in import_sealed(target, ENVIRONMENT, file):
            pass
        self.store, self.stash = target, self._open(target)

    def do_reopen(self, name: str, draw: Draw) -> None:
        """Go on as another process would, which has seen nothing yet."""
        self.stash = self._open(self.store)

    def do_wait(self, name: str, draw: Draw) -> None:
        self.clock.advance(draw.choice((10, DAY, 31 * DAY)))

    # --- reading

    def _get_error(self, secret: ModelSecret | None, number: int | None) -> type[DynastashError] | None:
        if secret is None:
            return SecretNotFoundError
        if secret.refuse():
            return secret.refuse()
        if number is None or not secret.exists(number):
            return VersionNotFoundError
        if secret.state is State.DELETED or number in secret.disabled:
            return SecretDeletedError
        expires = secret.live[number].expires
        return ExpiredError if expires is not None and expires <= self._now else None

    def do_get(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        how = draw.choice(("current", "version", "previous", "pending", "at least"))
        given: dict[str, Any] = {}
        number = secret.current if secret else None
        at_least = 0
        if how == "version":
            number = given["version"] = self._older(name, draw)
        elif how in ("previous", "pending"):
            given["stage"] = Stage(how)
            number = getattr(secret, how) if secret else None
        elif how == "at least":
            at_least = given["min_version"] = self._number(name, draw)
        wanted = self._get_error(secret, number)
        if secret and secret.current and secret.current < at_least:
            wanted = RollbackError
        found = self._expect(wanted, lambda: self.stash.get(name, **given))
        if found is not None:
            assert secret is not None and number is not None
            self._same(secret, number, found)

    def do_get_many(self, name: str, draw: Draw) -> None:
        by_prefix = draw.choice((True, False))
        if by_prefix:
            wanted = sorted(n for n, s in self.model.items() if n.startswith("app/") and s.state is State.ACTIVE)
            call = lambda: self.stash.get_many(prefix="app/")  # noqa: E731
        else:
            wanted = list(NAMES)
            call = lambda: self.stash.get_many(NAMES)  # noqa: E731
        errors = {n: self._get_error(s := self.model.get(n), s.current if s else None) for n in wanted}
        errors = {n: error for n, error in errors.items() if error is not None}
        try:
            found = call()
        except PartialError as error:
            assert {n: type(e) for n, e in error.failures.items()} == errors
            self.refused["PartialError"] += 1
            return
        assert not errors and list(found) == wanted
        for n, secret in found.items():
            self._same(self.model[n], self.model[n].current or 0, secret)

    def do_history(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        found = self._expect(SecretNotFoundError if secret is None else None, lambda: self.stash.history(name))
        if found is None or secret is None:
            return
        assert [version.number for version in found] == sorted(secret.live.keys() | secret.buried)
        assert {version.number for version in found if version.destroyed_at} == secret.buried
        assert {version.number for version in found if version.disabled} == secret.disabled
        for version in found:
            if version.number in secret.live:
                assert version.comment == secret.live[version.number].comment

    def do_diff(self, name: str, draw: Draw) -> None:
        secret = self.model.get(name)
        one, other = self._older(name, draw), self._older(name, draw)
        wanted = self._get_error(secret, one) or self._get_error(secret, other)
        found = self._expect(wanted, lambda: self.stash.diff(name, one, other))
        if found is not None and secret is not None:
            assert found.same_value == (secret.live[one].value == secret.live[other].value)
            assert ("comment" in found.changed) == (secret.live[one].comment != secret.live[other].comment)

    @staticmethod
    def _same(secret: ModelSecret, number: int, found: Any) -> None:
        expected = secret.live[number]
        assert (found.number, found.value) == (number, expected.value)
        assert (found.version.comment, dict(found.tags)) == (expected.comment, secret.tags)
        stages = {"current": secret.current, "pending": secret.pending, "previous": secret.previous}
        assert set(found.version.stages) == {stage for stage, n in stages.items() if n == number}

    # --- after each step

    def check(self, name: str) -> None:
        """The store is as the model says, and clean: listing, every record, and the values of ``name``."""
        listed = {info.name: info for info in self.stash.list()}
        assert list(listed) == sorted(self.model)
        for n, secret in self.model.items():
            info = listed[n]
            assert (info.last, info.current, info.pending, info.previous, info.state, dict(info.tags)) == (
                secret.last,
                secret.current,
                secret.pending,
                secret.previous,
                secret.state,
                secret.tags,
            )
            assert info.last == self.used[n]
            assert info.rotation == secret.policy
            assert (info.purge_at and int(info.purge_at.timestamp())) == secret.purge_at
        verified = {result.name: result for result in self.stash.verify()}
        assert {n: (result.versions, result.tombstones) for n, result in verified.items()} == {
            n: (len(secret.live), len(secret.buried)) for n, secret in self.model.items()
        }
        found = {(f.name, f.version, str(f.problem)) for result in verified.values() for f in result.findings}
        assert found == self._due()
        touched = self.model.get(name)
        if touched is not None and touched.state is State.ACTIVE:
            for number in sorted(touched.live) if self._check_all else [touched.current]:
                assert number is not None
                if self._get_error(touched, number) is None:
                    self._same(touched, number, self.stash.get(name, version=number))

    def _due(self) -> set[tuple[str, int | None, str]]:
        """What verify must say, and nothing else: what has expired, is overdue, or was forgotten."""
        due: set[tuple[str, int | None, str]] = set()
        for name, secret in self.model.items():
            if secret.state is State.ACTIVE and secret.current:
                expires = secret.live[secret.current].expires
                if expires is not None and expires <= self._now:
                    due.add((name, secret.current, "expired"))
            if secret.purge_at is not None and secret.purge_at <= self._now:
                due.add((name, None, "overdue"))
            if secret.pending and self.clock.now() - secret.live[secret.pending].created > DAY * 1000:
                due.add((name, secret.pending, "overdue"))
        return due


OPERATIONS = {
    "put": 6,
    "generate": 2,
    "rollback": 2,
    "rotate": 5,
    "resume": 2,
    "abort": 2,
    "delete": 1,
    "undelete": 2,
    "delete_version": 2,
    "undelete_version": 1,
    "destroy_versions": 2,
    "destroy": 1,
    "purge": 1,
    "prune": 2,
    "rewrap": 1,
    "copy": 1,
    "reopen": 1,
    "wait": 1,
    "get": 3,
    "get_many": 1,
    "history": 1,
    "diff": 1,
}
"""Each operation, and how often it is taken."""
