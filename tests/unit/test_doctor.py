"""The doctor without AWS: how checks are made, what they are held against, and an embedded environment."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.clients import Clients
from dynastash.config import Environment
from dynastash.deploy import template
from dynastash.doctor import Check, Status, diagnose, expected
from dynastash.doctor.account import Account
from dynastash.doctor.check import Outcome, Probe, failed, ok, run, skipped, warning
from dynastash.doctor.key import _missing
from dynastash.doctor.table import Table
from dynastash.errors import ConfigError, ServiceAccessDeniedError
from dynastash.stash.api import Stash
from dynastash.wiring import open_environment
from tests import cfn


def by_name(checks: Any) -> dict[str, Check]:
    return {check.name: check for check in checks}


def raising(error: BaseException) -> Any:
    def look() -> Outcome:
        raise error

    return look


# How checks are made


def test_no_check_stops_another() -> None:
    """Whatever a check raises becomes its own line, and the next one is made."""
    checks = by_name(
        run(
            [
                Probe("ours", raising(ConfigError("no region", hint="set one"))),
                Probe("denied", raising(ServiceAccessDeniedError("not allowed", hint="ask"))),
                Probe("defect", raising(KeyError("hunter2"))),
                Probe("last", lambda: ok("fine")),
            ]
        )
    )
    assert checks["ours"] == Check("ours", Status.FAILED, "no region", "set one")
    assert checks["denied"].status is Status.SKIPPED
    assert checks["defect"].status is Status.FAILED and "hunter2" not in checks["defect"].message
    assert checks["last"].status is Status.OK


def test_a_check_that_hangs_is_left_behind() -> None:
    """It fails when its time is up, and those behind it are made."""
    forever = threading.Event()
    try:
        hangs = Probe("hangs", lambda: ok(str(forever.wait())), limit=0.05)
        checks = by_name(run([hangs, Probe("last", lambda: ok("fine"))]))
    finally:
        forever.set()
    assert checks["hangs"].status is Status.FAILED and "no answer within" in checks["hangs"].message
    assert checks["last"].status is Status.OK


@pytest.mark.parametrize(
    ("before", "needs", "unless"),
    [
        (ok("x"), Status.OK, Status.OK),
        (warning("x"), Status.OK, Status.OK),
        (failed("x"), Status.SKIPPED, Status.SKIPPED),
        (skipped("x"), Status.SKIPPED, Status.OK),  # what nobody could look at is no obstacle
    ],
    ids=lambda given: str(getattr(given, "status", given)),
)
def test_what_depends_on_a_failure_is_not_tried(before: Outcome, needs: Status, unless: Status) -> None:
    """A check says which one stands in its way."""
    checks = by_name(
        run(
            [
                Probe("first", lambda: before),
                Probe("needs", lambda: ok("made"), needs=("first",)),
                Probe("unless", lambda: ok("made"), unless=("first",)),
            ]
        )
    )
    assert (checks["needs"].status, checks["unless"].status) == (needs, unless)
    for name in ("needs", "unless"):
        assert checks[name].message == ("made" if checks[name].status is Status.OK else "needs first")


# What a live environment is held against


def test_what_is_expected_is_what_the_template_says() -> None:
    """The doctor's idea of an environment is the template's."""
    resources = cfn.resolve(cfn.load(template()), {"EnvironmentName": "prod"})["Resources"]
    table, key = resources["Table"]["Properties"], resources["EnvelopeKey"]["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    assert expected.schema_of(table) == expected.KEY_SCHEMA
    assert (index["IndexName"], expected.schema_of(index)) == (expected.INDEX, expected.INDEX_SCHEMA)
    assert index["Projection"]["ProjectionType"] == expected.PROJECTION
    assert table["TimeToLiveSpecification"] == {"AttributeName": expected.TTL_ATTRIBUTE, "Enabled": True}
    assert table["BillingMode"] == expected.BILLING
    assert (key["KeySpec"], key["KeyUsage"]) == (expected.KEY_SPEC, expected.KEY_USAGE)
    # What the doctor warns of is what the template switches on.
    assert table["DeletionProtectionEnabled"] and table["SSESpecification"]["SSEType"] == "KMS"
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] and key["EnableKeyRotation"]


def test_the_template_s_key_policy_is_found_whole_and_each_gap_is_seen() -> None:
    """Every Deny that is taken out of it is missed."""
    resources = cfn.resolve(cfn.load(template()), {"EnvironmentName": "prod"})["Resources"]
    policy = resources["EnvelopeKey"]["Properties"]["KeyPolicy"]
    assert list(_missing(policy, "prod")) == []
    assert list(_missing(policy, "dev")) == ["other environments"]
    gaps = {
        "RefuseOtherEnvironments": "other environments",
        "RefuseNamelessUse": "use without a secret's name",
        "RefuseChosenDataKeys": "chosen data keys",
    }
    for sid, gap in gaps.items():
        without = {**policy, "Statement": [each for each in policy["Statement"] if each.get("Sid") != sid]}
        assert list(_missing(without, "prod")) == [gap]
        narrowed = json.loads(json.dumps(policy))
        for statement in narrowed["Statement"]:
            if statement.get("Sid") == sid:
                statement["Action"] = ["kms:GenerateDataKeyPair*"]
        assert list(_missing(narrowed, "prod")) == [gap]


def described(**answers: Any) -> Table:
    """A table that DynamoDB describes so."""
    client = SimpleNamespace(**{name: lambda answer=answer, **_: answer for name, answer in answers.items()})
    environment = Environment(name="prod", store="dynamodb", table="dynastash-prod", key="alias/dynastash-prod")
    account = SimpleNamespace(environment=environment, client=lambda service: client)
    return Table(account)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("description", "status"),
    [
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}, Status.OK),
        ({"TimeToLiveStatus": "ENABLING", "AttributeName": "ttl"}, Status.OK),
        ({"TimeToLiveStatus": "DISABLED"}, Status.WARNING),
        ({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, Status.FAILED),
    ],
)
def test_time_to_live_on_another_attribute_is_a_failure(description: dict[str, str], status: Status) -> None:
    """DynamoDB would delete live versions at their expiry, which is only meant to hide them."""
    table = described(describe_time_to_live={"TimeToLiveDescription": description})
    assert table.time_to_live().status is status


@pytest.mark.parametrize(("status", "shown"), [("ENABLED", Status.OK), ("DISABLED", Status.WARNING)])
def test_recovery(status: str, shown: Status) -> None:
    """Point-in-time recovery, with its length where DynamoDB says it."""
    description = {"PointInTimeRecoveryStatus": status, "RecoveryPeriodInDays": 35}
    answer = {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": description}}
    outcome = described(describe_continuous_backups=answer).recovery()
    assert outcome.status is shown and ("35 days" in outcome.message) == (shown is Status.OK)


# The clock


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(0.4, Status.OK), (-59, Status.OK), (61, Status.WARNING), (-299, Status.WARNING), (301, Status.FAILED)],
)
def test_the_clock_is_compared_with_the_answers_dates(ahead: float, status: Status) -> None:
    """A minute is a warning; five are more than AWS takes."""
    now = 1_800_000_000
    account = Account(
        Environment(name="prod", store="dynamodb"),
        lambda: pytest.fail("not asked"),
        SimpleNamespace(now=lambda: int((now + ahead) * 1000)),  # type: ignore[arg-type]
    )
    assert account.clock().status is Status.SKIPPED
    for date in (None, "yesterday", "Fri, 15 Jan 2027 08:00:00 GMT"):  # the last one is `now`
        headers = {} if date is None else {"Date": date}
        account._observe(http_response=SimpleNamespace(headers=headers))
    outcome = account.clock()
    assert outcome.status is status
    assert status is Status.OK or ("ahead of" in outcome.message) == (ahead > 0)


# On this machine


@pytest.fixture
def stash(tmp_path: Path) -> Stash:
    return open_environment(environment(tmp_path))


def environment(directory: Path, **more: Any) -> Environment:
    return Environment(name="local", store="sqlite", location=str(directory / "data"), **more)


def examined(directory: Path, key_text: str | None = None, **more: Any) -> dict[str, Check]:
    return by_name(
        diagnose(
            lambda: environment(directory, **more),
            make_clients=lambda _: pytest.fail("AWS is not asked"),
            key_text=key_text,
        )
    )


def test_an_empty_machine_is_well_and_stays_empty(tmp_path: Path) -> None:
    """Nothing is stored, and nothing is made by looking."""
    checks = examined(tmp_path, state=tmp_path / "state.json")
    assert {check.status for check in checks.values()} == {Status.OK, Status.SKIPPED}
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_use_is_well(tmp_path: Path, stash: Stash) -> None:
    """The key opens what is stored."""
    stash.put("app1/db", "x")
    checks = examined(tmp_path)
    assert {check.status for check in checks.values()} == {Status.OK}
    assert "1 secret" in checks["store"].message and "opens the store" in checks["key"].message


def test_a_missing_key(tmp_path: Path, stash: Stash) -> None:
    """The store is there and its key is not."""
    stash.put("app1/db", "x")
    (tmp_path / "data/local.key").unlink()
    checks = examined(tmp_path)
    assert checks["key"].status is Status.FAILED and "missing" in checks["key"].message
    assert not (tmp_path / "data/local.key").exists()


def test_another_store_s_key(tmp_path: Path, stash: Stash) -> None:
    """A key that is well-formed and opens nothing, in the file or in the variable."""
    stash.put("app1/db", "x")
    text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    checks = examined(tmp_path, key_text=text)
    assert checks["key"].status is Status.FAILED and "does not open the store" in checks["key"].message
    assert text not in str(checks)


def test_a_key_that_others_may_read(tmp_path: Path, stash: Stash) -> None:
    """Its mode is told, and how to mend it."""
    stash.put("app1/db", "x")
    (tmp_path / "data/local.key").chmod(0o644)
    check = examined(tmp_path)["key"]
    assert check.status is Status.FAILED and "chmod 600" in (check.hint or "")


def test_a_directory_that_others_may_write_to(tmp_path: Path, stash: Stash) -> None:
    """Everything in it waits."""
    stash.put("app1/db", "x")
    (tmp_path / "data").chmod(0o777)
    checks = examined(tmp_path)
    assert checks["directory"].status is Status.FAILED and "chmod 700" in (checks["directory"].hint or "")
    assert checks["store"].status is Status.SKIPPED


def test_a_damaged_store(tmp_path: Path, stash: Stash) -> None:
    """A page of noise in the middle of the file."""
    for number in range(40):
        stash.put(f"app1/db{number}", "x" * 500)
    database = tmp_path / "data/local.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    del stash
    with database.open("r+b") as file:
        file.seek(4096 * 6)
        file.write(os.urandom(4096 * 4))
    (tmp_path / "data/local.db-wal").unlink(missing_ok=True)
    (tmp_path / "data/local.db-shm").unlink(missing_ok=True)
    checks = examined(tmp_path)
    assert Status.FAILED in {checks["store"].status, checks["integrity"].status}


def test_a_foreign_file(tmp_path: Path) -> None:
    """An SQLite file of another program is not ours."""
    (tmp_path / "data").mkdir(mode=0o700)
    connection = sqlite3.connect(tmp_path / "data/local.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    (tmp_path / "data/local.db").chmod(0o600)
    checks = examined(tmp_path)
    assert checks["store"].status is Status.FAILED and "not a dynastash store" in checks["store"].message


def test_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word of warning first, then a failure."""
    for free, status in ((50 << 20, Status.WARNING), (1000, Status.FAILED)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert examined(tmp_path)["space"].status is status


def test_a_damaged_state_file(tmp_path: Path) -> None:
    """Marks that cannot be read hold nobody up later only because they are told of now."""
    state = tmp_path / "state.json"
    state.write_text("{}")
    state.chmod(0o600)
    assert examined(tmp_path, state=state)["state"].status is Status.FAILED


def test_clients_without_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client is made, and the error says what to set."""
    with pytest.raises(ConfigError, match="no AWS region is set"):
        Clients(AwsSettings()).get("iam")
