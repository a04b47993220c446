"""``doctor`` where AWS cannot be reached, and what it prints."""

from __future__ import annotations

import json

import pytest

from tests.cli.runner import Cli


def test_nothing_configured_on_aws(cli: Cli) -> None:
    """No region, no credentials: two failures with what to do, and everything else waits."""
    done = cli("doctor", "-e", "prod", "-o", "json")
    found = {check["name"]: check for check in json.loads(done.text)["checks"]}
    assert done.code == 1 and not json.loads(done.text)["healthy"]
    assert [name for name, check in found.items() if check["status"] == "failed"] == ["region", "credentials"]
    assert "AWS_REGION" in found["region"]["hint"] and "AWS_PROFILE" in found["credentials"]["hint"]
    assert found["read"] == {"name": "read", "status": "skipped", "message": "needs region", "hint": None}


def test_no_network(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who the caller is cannot be told, which is a warning; that there is no table to be had is a failure."""
    monkeypatch.setattr("dynastash.doctor.TIMEOUT", 0.2)
    for name, text in {"ACCESS_KEY_ID": "AKIATEST", "SECRET_ACCESS_KEY": "made-up", "REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    done = cli("doctor", "-e", "prod", "-o", "json", "--endpoint-url", "http://127.0.0.1:1")
    found = {check["name"]: check["status"] for check in json.loads(done.text)["checks"]}
    assert (done.code, found["identity"], found["table"], found["read"]) == (1, "warning", "failed", "skipped")


def test_a_broken_configuration_file_is_a_finding_and_not_the_end(cli: Cli) -> None:
    """The doctor is asked exactly when something is broken."""
    (cli.cwd / "dynastash.toml").write_text("[env.prod]\nregoin = 'eu-west-1'\n")
    done = cli("doctor", "-e", "prod")
    assert done.code == 1
    assert "failed   configuration" in done.text and "regoin is not a setting" in done.text and "next:" in done.text


def test_need_goes_with_a_name(cli: Cli) -> None:
    """Otherwise nobody could say what a refusal means; and the name is checked before anybody is asked."""
    assert cli("doctor", "--need", "write").code == 2
    assert cli("doctor", "no//name").code == 2


def test_lines_come_one_to_a_check(cli: Cli) -> None:
    """Status, name, what was found; the next step below; the count at the end on stderr."""
    cli.ok("put", "n", given=b"x")
    cli.key.chmod(0o644)
    done = cli("doctor")
    lines = done.text.splitlines()
    assert done.code == 1
    assert lines[0].startswith("ok       versions             dynastash ")
    (failure,) = [number for number, line in enumerate(lines) if line.startswith("failed")]
    assert lines[failure].split()[:2] == ["failed", "key"] and lines[failure + 1].split()[:3] == [
        "next:",
        "run",
        "`chmod",
    ]
    assert done.err == "7 ok, 1 failed\n"
