"""What CloudTrail's events prove against a table, and what they do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dynastash.audit import event_of
from dynastash.audit.check import Finding, Problem, findings, take
from dynastash.clock import SystemClock
from dynastash.config import Environment
from dynastash.generate import Password
from dynastash.keys.local import LocalKeys
from dynastash.models import Context, DataKey, WrappedKey
from dynastash.stash.api import Stash
from dynastash.stores.sqlite import SQLiteStore
from dynastash.wiring import open_environment
from tests.cloudtrail import record

NAME = "app1/db"


class Recorded:
    """A key provider whose every call becomes a record of CloudTrail's."""

    def __init__(self) -> None:
        self._keys = LocalKeys(DataKey(bytes(32)))
        self.records: list[dict[str, Any]] = []
        self.description, self.concurrency = "KMS", 1

    def _record(self, event: str, context: Context, **more: Any) -> None:
        self.records.append(
            record(event, context.name, context.version, env=context.environment, at=datetime.now(UTC), **more)
        )

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        self._record("GenerateDataKey", context)
        return self._keys.generate(context)

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        self._record("Decrypt", context)
        return self._keys.unwrap(wrapped, context)

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        self._record("ReEncrypt", context)
        return self._keys.rewrap(wrapped, context)


class World:
    """A store, its history in CloudTrail, and the way back to an earlier state."""

    def __init__(self, directory: Path) -> None:
        self.keys = Recorded()
        self._directory = directory / "data"
        self._saved = directory / "saved"
        self.open()

    def open(self) -> None:
        """A new process, which has seen nothing."""
        self.store = SQLiteStore(self._directory / "local.db")
        self.stash = Stash("prod", self.store, self.keys, identity=lambda: "ada", clock=SystemClock())

    def save(self) -> None:
        self.store.close()
        shutil.copytree(self._directory, self._saved)

    def restore(self) -> None:
        self.store.close()
        shutil.rmtree(self._directory)
        shutil.copytree(self._saved, self._directory)
        self.open()

    def found(self, *more: dict[str, Any]) -> list[Finding]:
        events = [event for each in (*self.keys.records, *more) if (event := event_of(each))]
        return list(findings(take(events), self.store))

    def problems(self, *more: dict[str, Any]) -> list[tuple[str, int, Problem]]:
        return [(found.name, found.version, found.problem) for found in self.found(*more)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


# What is no evidence


def test_an_ordinary_life(world: World) -> None:
    """Puts, reads, rotations, rollbacks, deletions, destructions and pruning leave nothing to find."""
    stash = world.stash
    for number in range(6):
        stash.put(NAME, f"value {number}")
        stash.get(NAME)
    stash.rollback(NAME)
    stash.generate("app1/token", Password())
    stash.rotate("app1/token")
    stash.get(NAME, version=3)
    stash.destroy(NAME, [4])
    stash.prune(NAME, keep=2)
    stash.delete("app1/token")
    stash.undelete("app1/token")
    stash.put("app1/gone", "x")
    stash.get("app1/gone")
    stash.destroy("app1/gone")
    stash.put("app1/gone", "y", recreate=True)
    list(stash.rewrap(NAME))
    assert world.problems() == []


def test_a_put_that_was_not_written(world: World) -> None:
    """GenerateDataKey for the next number, once or many times: a lost race, a refusal, a crash."""
    world.stash.put(NAME, "x")
    lost = [record("GenerateDataKey", NAME, 2) for _ in range(3)]
    assert world.problems(*lost) == []
    assert world.problems(record("GenerateDataKey", "app1/never", 1)) == []


def test_what_was_refused_is_anybody_s_claim(world: World) -> None:
    """A denied or dry call with a made-up version."""
    world.stash.put(NAME, "x")
    for error in ("AccessDenied", "InvalidCiphertextException", "DryRunOperationException"):
        assert world.problems(record("Decrypt", NAME, 99, error=error)) == []


def test_what_names_no_secret(world: World) -> None:
    """A context with an impossible name or version."""
    assert world.problems(record("Decrypt", "no//name", 3), record("Decrypt", NAME, "latest")) == []


# What is


def test_a_table_that_was_put_back(world: World) -> None:
    """A version beyond the newest was opened; the finding says what had been reached and by whom."""
    world.stash.put(NAME, "1")
    world.save()
    for value in ("2", "3"):
        world.stash.put(NAME, value)
    world.stash.get(NAME)
    world.restore()
    (found,) = world.found()
    assert (found.name, found.version, found.problem, found.reached) == (NAME, 3, Problem.ROLLED_BACK, 3)
    assert "version 3 was opened, and the table's newest is 1" in found.message
    assert found.principals == ("arn:aws:iam::111122223333:user/Alice",)


def test_a_version_that_nobody_opened(world: World) -> None:
    """Version 3 was begun, so there was a version 2, which the table lacks."""
    world.stash.put(NAME, "1")
    begun = [record("GenerateDataKey", NAME, 2), record("GenerateDataKey", NAME, 3)]
    (found,) = world.found(*begun)
    assert (found.problem, found.version, found.reached) == (Problem.MINTED_BEYOND, 3, 2)
    assert world.problems(record("GenerateDataKey", "app1/never", 2)) == [("app1/never", 2, Problem.MINTED_BEYOND)]


def test_a_secret_that_is_gone(world: World) -> None:
    """A head is never deleted."""
    assert world.problems(record("Decrypt", NAME, 1)) == [(NAME, 1, Problem.ROLLED_BACK)]
    assert world.problems(record("ReEncrypt", NAME, 1)) == [(NAME, 1, Problem.ROLLED_BACK)]


def test_a_version_that_was_taken_out(world: World) -> None:
    """Neither pruned nor destroyed, and not there."""
    for value in ("1", "2", "3"):
        world.stash.put(NAME, value)
        world.stash.get(NAME)
    with world.store._transaction() as connection:
        connection.execute("DELETE FROM records WHERE record = 'v#0000000002'")
    assert world.problems() == [(NAME, 2, Problem.MISSING)]


def test_a_number_that_was_used_twice(world: World) -> None:
    """The table was put back and written again up to the same number: only the times tell."""
    world.stash.put(NAME, "1")
    world.save()
    world.stash.put(NAME, "2")
    world.stash.get(NAME)
    world.restore()
    world.stash.put(NAME, "another 2")
    assert world.problems() == []  # within the minutes that clocks may be apart
    before = datetime.now(UTC) - timedelta(hours=1)
    assert world.problems(record("Decrypt", NAME, 2, at=before)) == [(NAME, 2, Problem.REPLACED)]
    almost = datetime.now(UTC) - timedelta(minutes=9)
    assert world.problems(record("Decrypt", NAME, 2, at=almost)) == []


def test_a_head_that_cannot_be_read(world: World) -> None:
    """Nothing can be said, which is said."""
    world.stash.put(NAME, "1")
    with world.store._transaction() as connection:
        connection.execute("UPDATE records SET item = '{}' WHERE record = '~head'")
    assert world.problems() == [(NAME, 1, Problem.UNREADABLE)]


def test_an_advanced_secret_has_no_gap(world: World) -> None:
    """The finding's number is what closes it, however long ago the versions were opened."""
    world.stash.put(NAME, "1")
    world.save()
    for value in ("2", "3"):
        world.stash.put(NAME, value)
    world.stash.get(NAME)
    world.restore()
    before = datetime.now(UTC) - timedelta(days=1)
    earlier = [record("Decrypt", NAME, number, at=before) for number in (2, 3)]
    (found,) = world.found(*earlier)
    world.stash.advance(NAME, found.reached)
    assert world.problems(*earlier) == []
    assert world.stash.put(NAME, "4").number == 4


def test_several_secrets_in_order(world: World) -> None:
    """More than one batch of heads."""
    for number in range(103):
        world.stash.put(f"app1/{number:03}", "x")
    gone = [record("Decrypt", f"app2/{number}", 1) for number in (2, 1)]
    assert [name for name, _, _ in world.problems(*gone)] == ["app2/1", "app2/2"]


def test_the_stash_itself_does_not_see_it(tmp_path: Path) -> None:
    """Why the check is there: a new process believes a table that was put back as a whole."""
    environment = Environment(name="local", store="sqlite", location=str(tmp_path / "data"))
    stash = open_environment(environment)
    stash.put(NAME, "1")
    stash.store.close()  # type: ignore[attr-defined]
    shutil.copytree(tmp_path / "data", tmp_path / "saved")
    stash.put(NAME, "2")
    stash.store.close()  # type: ignore[attr-defined]
    shutil.rmtree(tmp_path / "data")
    shutil.copytree(tmp_path / "saved", tmp_path / "data")
    assert open_environment(environment).get(NAME).text == "1"
