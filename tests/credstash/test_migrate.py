"""`dynastash migrate` from a table as years leave it: everything arrives, is compared, and can be interrupted anywhere.

A larger target on AWS takes its time: ``DYNASTASH_MIGRATE_SECRETS=200 pytest tests/credstash/test_migrate.py``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import dynastash
from dynastash.stash.api import Stash
from tests.cli.runner import Cli, Done, on_aws
from tests.credstash.kit import OldTable
from tests.credstash.table import FOREIGN, OldVersion, build, by_name
from tests.engines.engine import Engine

pytestmark = pytest.mark.engine

ON_AWS = int(os.environ.get("DYNASTASH_MIGRATE_SECRETS", "24"))
LONG = "long/" + "x" * 600
CORRUPT = "app0/service/secret-010"
SERVED = ("app0/service/secret-050", "app3/service/secret-053")
NAMES = {
    "name with spaces": "name_with_spaces",
    "schlüssel/größe": "schl_ssel/gr__e",
    "!not/a/name": "not/a/name",
    "-leading/dash": "leading/dash",
    "two//slashes": "two/slashes",
    LONG: "long/name",
}
DECIDED = ("--order", "served", "--skip-unreadable", "--map", f"{LONG}=long/name")


class Moving:
    """An old table, and the command line beside it."""

    def __init__(self, old: OldTable, versions: list[OldVersion], cli: Cli) -> None:
        self.old = old
        self.versions = by_name(versions)
        self.cli = cli
        self.before = old.items()
        contexts: dict[str, Mapping[str, str]] = {
            one.name.split("/")[0]: one.context for one in versions if one.context
        }
        said = [
            word
            for beginning, pairs in contexts.items()
            for key, text in pairs.items()
            for word in ("--context-of", f"{beginning}/*", f"{key}={text}")
        ]
        self.arguments = ("migrate", "--from", f"credstash:{old.name}", "--from-key", old.key, *said)

    def run(self, *more: str) -> Done:
        """The command, whose output shows no value and which leaves the source as it is."""
        done = self.cli.real(*self.arguments, *more)
        assert self.old.items() == self.before
        shown = done.text + done.err
        assert not any(one.value and one.value in shown for many in self.versions.values() for one in many)
        return done

    def killed(self, *more: str, when: Callable[[], bool]) -> None:
        """The command, killed as soon as ``when`` says so."""
        running = self.cli.start(*self.arguments, *more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while running.poll() is None and not when():
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.wait()

    def expected(self, *, decided: bool) -> dict[str, list[tuple[str, str | None]]]:
        """What has to be here at the end: by name, each version's value and comment."""
        found = {}
        for key, many in self.versions.items():
            undecided = not decided and (key in SERVED or key in (CORRUPT, LONG))
            if key == FOREIGN or undecided:
                continue
            readable = [one for one in many if one.readable]
            if key == SERVED[0]:  # in credstash's order, 9 is last: here it follows 8, 10 and 11
                readable = sorted(readable, key=lambda one: (one.label == "9", int(one.label)))
            found[NAMES.get(key, key)] = [(one.value, one.comment or None) for one in readable]
        return found


def held(stash: Stash) -> dict[str, list[tuple[str, str | None]]]:
    return {
        info.name: [
            (stash.get(info.name, version=version.number).text, version.comment) for version in stash.history(info.name)
        ]
        for info in stash.list()
    }


def report(done: Done) -> dict[str, Any]:
    return {each["key"]: each for each in json.loads(done.text)["secrets"]}


def with_source(cli: Cli, engine: Engine) -> None:
    """The target stays what it is, and the variables lead to ``engine``."""
    kept = {name: cli.variables.get(name) for name in ("DYNASTASH_ENV", "DYNASTASH_TABLE", "DYNASTASH_KEY")}
    on_aws(cli, engine)
    for name, text in kept.items():
        cli.variables.pop(name) if text is None else cli.variables.update({name: text})


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line as a process, in an empty directory."""
    (tmp_path / "cwd").mkdir()
    return Cli(tmp_path, tmp_path / "cwd")


@pytest.fixture(scope="module")
def old(ministack: Engine) -> tuple[OldTable, list[OldVersion]]:
    table = OldTable(ministack)
    return table, build(table)


@pytest.fixture
def embedded(old: tuple[OldTable, list[OldVersion]], cli: Cli, ministack: Engine) -> Moving:
    """200 secrets on their way to an environment on this machine."""
    with_source(cli, ministack)
    return Moving(*old, cli)


def stash_of(moving: Moving) -> Stash:
    return dynastash.connect("local", path=str(moving.cli.database.parent))


def test_two_hundred_secrets_are_planned_moved_compared_and_there(embedded: Moving) -> None:
    """Twice: with what has to be decided left open, and decided. Then there is nothing left to do."""
    planned = embedded.run("--dry-run", "-o", "json")
    assert planned.code == 8
    assert not held(stash_of(embedded))
    whats = {key: each["what"] for key, each in report(planned).items() if each["what"] != "create"}
    assert whats == {
        CORRUPT: "unreadable", FOREIGN: "unreadable", LONG: "refused", **dict.fromkeys(SERVED, "conflict"),
    }  # fmt: skip

    done = embedded.run()
    assert done.code == 8
    assert "error: 5 of 201 secrets could not be moved whole" in done.err
    for line in (
        f"  {CORRUPT}: version 0000000000000000002 of {CORRUPT}: the contents fail",
        f"  {FOREIGN}: version 1 of {FOREIGN}: it is no item of credstash's",
        f"  {LONG}: the key is longer than 512 characters: name it with --map",
        f"  {SERVED[0]}: readers get version 9 there, and 11 is the highest: decide with --order served or --order num",
    ):
        assert line in done.err
    assert held(stash_of(embedded)) == embedded.expected(decided=False)

    decided = embedded.run(*DECIDED, "-o", "json")
    assert decided.code == 8
    assert "error: 2 of 201 secrets could not be moved whole" in decided.err
    assert held(stash_of(embedded)) == embedded.expected(decided=True)
    moved = report(decided)
    assert sum(len(each["written"]) for each in moved.values()) == sum(
        len(many) for name, many in embedded.expected(decided=True).items()
        if name in (*SERVED, CORRUPT, "long/name")
    )  # fmt: skip
    assert sum(each["compared"] for each in moved.values()) == sum(map(len, embedded.expected(decided=True).values()))
    assert {key: each["left_out"] for key, each in moved.items() if each["left_out"]}.keys() == {CORRUPT}

    tags = {info.name: info.tags for info in stash_of(embedded).list()}
    assert tags["app1/service/secret-051"] == {"source-versions": "1,00000000000000rel%2D7"}
    assert tags["app2/service/secret-052"] == {"source-versions": "1,2,5,40"}
    assert tags["app4/service/secret-054"] == {"source-versions": "0"}
    assert tags[SERVED[0]] == {"source-versions": "8,10,11,9"}
    assert tags[CORRUPT] == {"source-versions": "1,3"}
    assert tags["schl_ssel/gr__e"] == {"source-name": "schlüssel/größe"}
    assert sum("source-versions" in each for each in tags.values()) == 6

    before = embedded.cli.database.read_bytes()
    again = embedded.run(*DECIDED)
    assert (again.code, "wrote nothing; " in again.err) == (8, True)
    assert embedded.cli.database.read_bytes() == before


@pytest.mark.parametrize("seed", [1, 2])
def test_however_often_it_is_killed_everything_arrives(embedded: Moving, seed: int) -> None:
    drawn = random.Random(seed)
    total = sum(map(len, embedded.expected(decided=False).values()))
    reached: list[int] = []

    def written() -> int:
        try:
            return sum(info.last for info in stash_of(embedded).list()) if embedded.cli.database.exists() else 0
        except Exception:  # it is being made
            return 0

    for _ in range(2):
        wanted = drawn.randrange(written() + 1, max(written() + 2, total - 1))
        embedded.killed(when=lambda wanted=wanted: written() >= wanted)  # type: ignore[misc]
        reached.append(written())
    assert reached == sorted(reached)
    assert 0 < reached[0] < total
    done = embedded.run()
    assert (done.code, f"wrote {total - reached[-1] or 'nothing'}" in done.err) == (8, True), done.err
    assert held(stash_of(embedded)) == embedded.expected(decided=False)


def test_a_table_moves_into_an_environment_on_aws_and_goes_on_after_a_kill(ministack: Engine, cli: Cli) -> None:
    table = OldTable(ministack)
    versions = build(table, ON_AWS)
    on_aws(cli, ministack)
    moving = Moving(table, versions, cli)
    client = ministack.client("dynamodb")

    def written() -> int:
        return int(client.scan(TableName=cli.variables["DYNASTASH_TABLE"], Select="COUNT")["Count"])

    moving.killed(when=lambda: written() >= 10)
    assert written() >= 10
    done = moving.run()
    assert done.code == 8
    settings = {"table": cli.variables["DYNASTASH_TABLE"], "key": cli.variables["DYNASTASH_KEY"]}
    stash = dynastash.connect("dev", session=ministack.session(), endpoint_url=ministack.endpoint_url, **settings)
    assert held(stash) == moving.expected(decided=False)
    assert "wrote nothing; " in moving.run().err


# What goes wrong on the way


@pytest.fixture
def small(ministack: Engine, cli: Cli) -> Moving:
    """Three secrets, by hand."""
    old = OldTable(ministack)
    for name in ("a", "b/c", "d"):
        old.add(name, f"{1:019}", f"made up {name}".encode())
    with_source(cli, ministack)
    made = [OldVersion(name, f"{1:019}", f"made up {name}", {}, "", "SHA256") for name in ("a", "b/c", "d")]
    return Moving(old, made, cli)


def test_a_table_that_is_not_there_is_told(small: Moving) -> None:
    done = small.cli.real("migrate", "--from", "credstash:nothing")
    assert (done.code, done.err.startswith("error: ")) == (3, True)
    assert "nothing" in done.err


def test_values_under_a_context_that_was_not_said_arrive_once_it_is(small: Moving) -> None:
    """Nothing was written of them before, which would be in the way now."""
    small.old.add("a", f"{2:019}", b"made up, and under a context", {"env": "prod"})
    small.old.add("a", f"{3:019}", b"made up three")
    small.before = small.old.items()
    done = small.run()
    assert done.code == 8
    assert "  a: the key of version 0000000000000000002 of a does not open" in done.err
    assert "; name it with --context-of a KEY=VALUE" in done.err
    assert max(map(len, done.text.splitlines())) <= 80  # it is listed in full there alone
    assert set(held(stash_of(small))) == {"b/c", "d"}
    done = small.run("--context-of", "a@2", "env=prod")
    assert done.code == 0, done.err
    assert [version.number for version in stash_of(small).history("a")] == [1, 2, 3]


def test_an_import_takes_what_credstash_serves(small: Moving) -> None:
    small.old.add("a", f"{2:019}", b"made up two")
    done = small.cli.real(
        "import", "--from", f"credstash:{small.old.name}", "--from-key", small.old.key, "--prefix", "app1/"
    )
    assert done.code == 0, done.err
    assert held(stash_of(small)) == {
        "app1/a": [("made up two", None)], "app1/b/c": [("made up b/c", None)], "app1/d": [("made up d", None)],
    }  # fmt: skip
