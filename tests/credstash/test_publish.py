"""`publish` from an environment into a table, read by the real clients; and the watch that keeps them equal."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynastash.aws.base import Operation
from dynastash.cli import exits
from dynastash.credstash.publisher import CredstashTarget
from dynastash.credstash.versions import padded
from dynastash.errors import ConflictError
from dynastash.keys.kms import KmsKeys
from dynastash.models import Plaintext
from dynastash.stash.api import Stash
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.transfer.choosing import Selection
from dynastash.transfer.keeping import WHOLE, Keeper, Rules
from dynastash.transfer.naming import TAG
from dynastash.transfer.outgoing import Done, apply, verify
from tests.cli.runner import Cli, beside
from tests.cli.test_interrupt import interrupted
from tests.credstash.clients import credstash, credstash_command, node
from tests.credstash.kit import OldTable
from tests.engines.engine import REGION, Engine
from tests.engines.transports import CountingTransport

VALUES = {
    "app1/db/password": "made-up é \U0001f511",
    "app1/empty": "",
    "app1/lines": "one\r\ntwo\n\n",
    "app1/long": "made-up-" + "x" * 50_000,
}


@pytest.fixture
def old(ministack: Engine) -> OldTable:
    """An empty table."""
    return OldTable(ministack)


@pytest.fixture
def cli(old: OldTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The environment local on this machine, and the engine to publish to."""
    return beside(old.engine, tmp_path, monkeypatch)


def arguments(old: OldTable, *more: str) -> list[str]:
    """The command line that publishes everything."""
    return ["publish", "--to", f"credstash:{old.name}", "--to-key", old.key, "--prefix", "", *more]


def fill(cli: Cli) -> None:
    """Put the values."""
    for name, value in VALUES.items():
        cli.ok("put", name, "--comment", "why", given=value.encode())


def test_real_clients_read_what_is_published(cli: Cli, old: OldTable) -> None:
    """credstash itself, as a module and as a command, and both ports to Node; under a context too."""
    fill(cli)
    cli.ok("put", "app1/db/password", given=b"second")
    cli.ok(*arguments(old, "--context", "env=prod"))
    expected = {**VALUES, "app1/db/password": "second"}
    common = {"region": REGION, "table": old.name, "context": {"env": "prod"}}
    results = credstash(
        old.engine,
        [
            ("getAllSecrets", common),
            ("getSecret", {**common, "name": "app1/db/password", "version": padded(2)}),
            ("listSecrets", {"region": REGION, "table": old.name}),
            ("getHighestVersion", {"region": REGION, "table": old.name, "name": "app1/db/password"}),
        ],
    )
    assert [error for _, error in results] == [None] * 4
    assert results[0][0] == expected
    assert results[1][0] == "second"
    assert {one["name"]: one.get("comment") for one in results[2][0]} == dict.fromkeys(VALUES, "why") | {
        "app1/db/password": None
    }
    assert results[3][0] == padded(2)
    done = credstash_command(old.engine, "-r", REGION, "-t", old.name, "getall", "env=prod", cwd=cli.directory)
    assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr
    read = node(old.engine, "nodecredstash", old.name, [(name, {"env": "prod"}) for name in expected])
    assert read == [(value, None) for value in expected.values()]


def test_npms_credstash_reads_what_is_published(cli: Cli, old: OldTable) -> None:
    """It knows no context."""
    fill(cli)
    cli.ok(*arguments(old))
    read = node(old.engine, "credstash", old.name, [(name, None) for name in VALUES])
    assert read == [(value, None) for value in VALUES.values()]


def test_the_plan_and_the_report(cli: Cli, old: OldTable) -> None:
    """Nothing is written by --dry-run; what others wrote is left alone, and told with exit code 8."""
    fill(cli)
    old.add("app1/lines", padded(1), VALUES["app1/lines"].encode())
    old.add("app1/long", padded(1), b"theirs")
    before = old.items()
    done = cli(*arguments(old, "--dry-run", "-o", "json"))
    assert done.code == exits.PARTIAL
    assert {step["key"]: step["action"] for step in json.loads(done.out)["steps"]} == {
        "app1/db/password": "create",
        "app1/empty": "create",
        "app1/lines": "adopt",
        "app1/long": "conflict",
    }
    assert old.items() == before
    assert "error: 1 of 4 keys could not be handed over\n" in done.err
    assert "\n  app1/long: conflict: somebody else made it" in done.err
    done = cli(*arguments(old))
    assert done.code == exits.PARTIAL
    assert max(map(len, done.text.splitlines())) <= 80  # the reasons are listed below, in full
    assert "created 2, adopted 1" in done.err
    assert "made-up" not in done.err + done.text
    assert old.store().get("app1/long").value == Plaintext(b"theirs")
    done = cli.ok(*arguments(old, "--take-over", "--yes"))
    assert "taken over 1" in done.err
    done = cli.ok(*arguments(old))
    assert "4 the same" in done.err
    assert "nothing was changed" in done.err
    cli.ok("put", "app1/empty", given=b"now")
    done = cli(*arguments(old))
    assert (done.code, "nobody can be asked" in done.err) == (exits.USAGE, True)
    cli.ok("delete", "app1/empty")
    done = cli.ok(*arguments(old, "--yes"))
    assert "removed 1" in done.err
    assert old.store().highest("app1/empty") is None


def test_a_renamed_secret_goes_back_under_its_old_name(cli: Cli, old: OldTable) -> None:
    """And keys can be chosen."""
    cli.ok("put", "name_with_spaces", "--tag", f"{TAG}=name with spaces", given=b"x")
    cli.ok("put", "app1/db", given=b"y")
    cli.ok(*arguments(old))
    assert [item["name"]["S"] for item in old.items()] == ["app1/db", "name with spaces"]
    other = OldTable(old.engine)
    cli.ok("publish", "--to", f"credstash:{other.name}", "--to-key", other.key, "--secret", "db=app1/db")
    assert [item["name"]["S"] for item in other.items()] == ["db"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--to", "credstash:x", "--prefix", "", "--interval", "30s"], "--interval goes with --watch"),
        (["--to", "credstash:x", "--prefix", "", "--watch", "--dry-run"], "exclude each other"),
        (["--to", "ssm:/x", "--prefix", ""], "write credstash:TABLE"),
        (["--to", "credstash:x"], "which secrets was not said"),
        (["--to", "credstash:x", "--prefix", "", "--context-of", "a", "b"], "is no pair of a context"),
    ],
)
def test_usage(cli: Cli, given: list[str], said: str) -> None:
    """One line each, and nothing is called."""
    done = cli("publish", *given)
    assert done.code == exits.USAGE
    assert said in done.err


def test_a_table_that_is_not_there(cli: Cli) -> None:
    """One line and a hint."""
    cli.ok("put", "a", given=b"x")
    done = cli("publish", "--to", "credstash:no-such-table", "--prefix", "")
    assert done.code == exits.NOT_FOUND
    assert done.err.splitlines()[0] == f"error: credstash table no-such-table in {REGION} does not exist"


def test_watching(cli: Cli, old: OldTable) -> None:
    """A change is carried over, and Ctrl-C ends it in one line."""
    cli.ok("put", "a", given=b"one")
    process = cli.start(*arguments(old, "--yes", "--watch", "--interval", "1s"), stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode())
        if b"watching" in line:
            break
    cli.ok("put", "a", given=b"two")
    for line in process.stderr:
        said.append(line.decode())
        if b": updated 1" in line:
            break
    assert old.store().get("a").value == Plaintext(b"two")
    code, _, err = interrupted(process)
    assert code == exits.INTERRUPTED
    assert err.decode().splitlines()[0] == "stopped: the table stays as it is"
    assert any(": updated 1" in line for line in said)
    assert "Traceback" not in err.decode()


def test_what_stays_undone_is_told_once_by_a_watch(cli: Cli, old: OldTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here another's version, which keeps ours from being removed: it is tried again at each look."""
    old.add("b", padded(1), b"theirs")
    cli.ok("put", "a", given=b"one")
    cli.ok("put", "b", given=b"one")
    cli.ok(*arguments(old, "--take-over", "--yes"))
    cli.ok("delete", "b")
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            cli.ok("put", "a", given=b"two")
        if len(looks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("dynastash.cli.publish.time", SimpleNamespace(sleep=sleep))
    done = cli(*arguments(old, "--yes", "--watch"))
    assert done.code == exits.INTERRUPTED
    assert done.err.count("to update, 1 to remove") + done.err.count("to remove, 1 the same") == 2
    assert done.err.count("b stays in credstash table") == 2  # at first, and beside what was new


class Kept:
    """A stash on the engine, kept equal with a table, with every call counted."""

    def __init__(self, old: OldTable, **rules: bool) -> None:
        engine = old.engine
        self.wire = CountingTransport(engine.transport)
        old.transport = self.wire
        self.old = old
        self.stash = Stash(
            "prod",
            DynamoDBStore(self.wire, engine.create_table()),
            KmsKeys(self.wire, engine.create_key()),
            identity=lambda: "test",
        )
        whole, few = (CredstashTarget(old.table, old.keys(), "prod", whole=whole) for whole in (True, False))
        self.keeper = Keeper(self.stash, whole, few, Selection(("",)), Rules(adopt=True, **rules))

    def round(self) -> tuple[bool, dict[str, str], list[Done]] | None:
        """Whether everything was compared, what was done, and how it went; None where nothing had changed."""
        this = self.keeper.look()
        if this is None:
            return None
        results = verify(this.target, list(apply(this.target, this.planned, at_once=1)))
        self.keeper.done(this, results)
        return this.whole, {step.key: str(step.action) for step in this.planned.steps if step.action != "same"}, results


def test_a_look_costs_one_call(old: OldTable) -> None:
    """And a change what that change takes."""
    kept = Kept(old)
    for name in ("a", "b", "c"):
        kept.stash.put(name, b"one")
    found = kept.round()
    assert found is not None
    assert found[:2] == (True, {"a": "create", "b": "create", "c": "create"})
    kept.wire.calls.clear()
    assert [kept.round() for _ in range(10)] == [None] * 10
    assert kept.wire.calls == {Operation.SCAN: 10}
    kept.stash.put("b", b"two")
    kept.wire.calls.clear()
    found = kept.round()
    assert found is not None
    assert found[:2] == (False, {"b": "update"})
    calls: dict[Any, int] = dict(kept.wire.calls)
    assert calls[Operation.PUT_ITEM] == calls[Operation.GENERATE_DATA_KEY] == 1
    assert calls[Operation.DECRYPT] <= 4
    assert kept.round() is None
    assert old.store().get("b").value == Plaintext(b"two")


def test_when_everything_is_compared(old: OldTable) -> None:
    """Where a secret has come or gone, after a failure, and at every 60th look."""
    kept = Kept(old)
    kept.stash.put("a", b"one")
    kept.round()
    kept.stash.put("b", b"one")
    assert (kept.round() or ())[:2] == (True, {"b": "create"})
    kept.stash.delete("b")
    assert (kept.round() or ())[:2] == (True, {"b": "remove"})
    kept.stash.put("a", b"two")
    this = kept.keeper.look()
    assert this is not None
    assert not this.whole
    kept.keeper.done(this, [Done(this.planned.steps[0], ConflictError("lost"))])
    assert (kept.round() or ())[:2] == (True, {"a": "update"})
    old.add("a", padded(9), b"theirs")
    looks = [kept.round() for _ in range(WHOLE)]
    assert looks[:-1] == [None] * (WHOLE - 1)
    assert (looks[-1] or ())[:2] == (True, {"a": "conflict"})
