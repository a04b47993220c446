"""Processes that are at the same secrets, some of them killed, see one secret and not several.

``python -m tests.history`` does it for as long as one likes, and on ministack.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.history.checker import check
from tests.history.engines import SABOTAGE
from tests.history.operations import Journal, Operation, read

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: it forks, which a process with threads should not."""
    return subprocess.run(
        [sys.executable, "-m", "tests.history", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round on the embedded store."""
    directory = tmp_path_factory.mktemp("kept") / "journals"
    done = run("--seconds", "3", "--seed", "ci", "--keep", str(directory))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d{3,} operations on 3 secrets .* 3 processes killed.*: 0 violations", done.stdout)
    return directory / "1"


def test_the_embedded_store(journals: Path) -> None:
    """Writers, readers, rotators and deleters, with three kills."""
    history, findings = read(journals)
    assert not findings
    assert all(verdict.linearizable for verdict in check(history))
    kinds = Counter(operation.kind for operation in history)
    assert kinds.keys() >= {"put", "get", "get version", "begin rotation", "stage", "promote", "delete", "undelete"}


@pytest.mark.engine
@pytest.mark.parametrize("losing", ["0", "0.05"])
def test_dynamodb(losing: str) -> None:
    """The same on an engine that isolates transactions, and with replies that get lost."""
    done = run("--engine", "ministack", "--seconds", "3", "--seed", "ci", "--losing", losing)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 violations" in done.stdout


@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_a_broken_store_is_noticed(sabotage: str) -> None:
    """One that answers with what was, forgets what it acknowledged, or does not compare."""
    done = run("--seconds", "3", "--kills", "0", "--sabotage", sabotage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not linearizable" in done.stdout


def test_a_falsified_history_is_refused(journals: Path) -> None:
    """A real one with a single outcome changed: another value, an old value, another number, a lost write."""
    history, _ = read(journals)
    chance = random.Random(3)
    reads = [one for one in history if one.kind == "get" and one.result]
    writes = [one for one in history if one.kind == "put" and one.result]
    for falsify in (_other_value, _number_before, _number_after, _never_there):
        for _ in range(5):
            one = chance.choice(reads if falsify is not _number_after else writes)
            false = [falsify(one) if other is one else other for other in history if other.secret == one.secret]
            (verdict,) = check(false)
            assert verdict.linearizable is False, f"{falsify.__name__}: {one}"


def _other_value(one: Operation) -> Operation:
    return replace(one, outcome={"ok": {**(one.result or {}), "value": "of nobody"}})


def _number_before(one: Operation) -> Operation:
    return replace(one, outcome={"ok": {**(one.result or {}), "version": (one.result or {})["version"] - 1}})


def _number_after(one: Operation) -> Operation:
    return replace(one, outcome={"ok": {"version": (one.result or {})["version"] + 1}})


def _never_there(one: Operation) -> Operation:
    return replace(one, outcome={"refused": "SecretNotFoundError"})


def test_a_journal_that_was_cut_off(tmp_path: Path) -> None:
    """A process that was killed leaves operations without an end, and maybe half a line."""
    journal = Journal(tmp_path / "p.jsonl")
    journal.ok(journal.call("s", "put", value="a", if_version=None, recreate=False), version=1)
    journal.call("s", "put", value="b", if_version=None, recreate=False)
    with (tmp_path / "p.jsonl").open("ab") as file:
        file.write(b'{"end": 2, "outc')
    history, findings = read(tmp_path)
    assert [operation.outcome for operation in history] == [{"ok": {"version": 1}}, None]
    assert not findings
