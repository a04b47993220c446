"""``audit`` on log files, without any AWS."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.cli.runner import Cli
from tests.cloudtrail import START, record

ROLE = "arn:aws:sts::111122223333:assumed-role/app1-role/i-0abc"


@pytest.fixture
def log(cli: Cli) -> str:
    """A log of an hour, of two environments."""
    records = [
        record("GenerateDataKey", "app1/db", 1),
        record("Decrypt", "app1/db", 1, at=START + timedelta(minutes=1), principal=ROLE),
        record("Decrypt", "app1/db", 1, at=START + timedelta(minutes=2), principal=ROLE, error="AccessDenied"),
        record("Decrypt", "app10/db", 4, at=START + timedelta(minutes=3)),
        record("Decrypt", "app1/db", 9, env="dev"),
    ]
    (cli.cwd / "log.json").write_text(json.dumps({"Records": records}))
    return "log.json"


def test_a_table_of_events(cli: Cli, log: str) -> None:
    """In order of time, with the principal's own part of its ARN; another environment's are left out."""
    done = cli.ok("audit", "-e", "prod", "--file", log)
    lines = [line.split() for line in done.text.splitlines()]
    assert lines[2] == ["2026-11-22T09:00:00Z", "mint", "app1/db", "1", "111122223333", "user/Alice", "192.0.2.7"]
    assert lines[4][-1] == "AccessDenied" and "assumed-role/app1-role/i-0abc" in lines[4]
    assert len(lines) == 6 and done.err == "4 events found\n"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["app1/"], 3),
        (["--kind", "unwrap"], 3),
        (["--principal", "app1-role"], 2),
        (["--refused"], 1),
        (["--since", "2026-11-22T09:03Z"], 1),
        (["--until", "2026-11-22T09:01:00Z"], 1),
        (["--since", "2026-11-23"], 0),
    ],
)
def test_filters(cli: Cli, log: str, options: list[str], count: int) -> None:
    """Each narrows what is shown."""
    shown = json.loads(cli.ok("audit", "-e", "prod", "--file", log, "-o", "json", *options).text)
    assert len(shown["events"]) == count and shown["left_out"] == 0


def test_the_newest_are_kept(cli: Cli, log: str) -> None:
    """What is left out is said."""
    done = cli.ok("audit", "-e", "prod", "--file", log, "--limit", "1", "-o", "json")
    shown = json.loads(done.text)
    assert (shown["events"][0]["name"], shown["left_out"]) == ("app10/db", 3)
    assert "warning: 3 older events left out" in done.err


def test_summary(cli: Cli, log: str) -> None:
    """Who did what how often."""
    shown = json.loads(cli.ok("audit", "app1/", "-e", "prod", "--file", log, "--summary", "-o", "json").text)
    assert shown["uses"][1] == {
        "name": "app1/db",
        "event": "unwrap",
        "principal": ROLE,
        "done": 1,
        "refused": 1,
        "versions": [1],
        "first": "2026-11-22T09:01:00Z",
        "last": "2026-11-22T09:02:00Z",
    }
    assert "app1/db" in cli.ok("audit", "-e", "prod", "--file", log, "--summary").text


def test_an_incomplete_audit_is_not_a_success(cli: Cli, log: str) -> None:
    """What could be read is shown, what could not is named, and the exit code says so."""
    (cli.cwd / "cut.json").write_text('{"Records": [')
    done = cli("audit", "-e", "prod", "--file", log, "--file", "cut.json", "-o", "json")
    assert done.code == 1 and len(json.loads(done.text)["events"]) == 4
    assert json.loads(done.text)["unreadable"] == [{"file": "cut.json", "reason": "it ends in the middle"}]
    assert "cut.json: it ends in the middle" in done.err and "hint:" in done.err


def test_what_others_wrote_does_not_steer_the_terminal(cli: Cli) -> None:
    """A context, a user agent, a principal: anybody's text."""
    (cli.cwd / "log.json").write_text(json.dumps([record(name="a\x1b[2Jb", principal="arn:aws:iam::1:user/\x07x")]))
    done = cli.ok("audit", "-e", "prod", "--file", "log.json")
    assert "\x1b" not in done.text and "\x07" not in done.text and "a\\x1b[2Jb" in done.text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["audit"], 2),
        (["audit", "-e", "prod", "--since", "soon"], 2),
        (["audit", "-e", "prod", "--check", "--principal", "x"], 2),
        (["audit", "-e", "prod", "--file", "none.json"], 1),
    ],
)
def test_wrong_usage(cli: Cli, arguments: list[str], code: int) -> None:
    """An embedded environment has no CloudTrail, and so on: one line, one hint."""
    done = cli(*arguments)
    assert done.code == code
    assert "error:" in done.err and "hint:" in done.err
