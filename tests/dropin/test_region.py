"""The Region and the account of an old table: options, variables, and the last resort of credstash's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.boto import make_session
from dynastash.aws.choose import open_transport
from dynastash.aws.clients import Clients
from tests.dropin.kit import DropIn, Old


@pytest.mark.engine
@pytest.mark.parametrize("transport", ["", "boto"])
def test_the_last_resort(old: Old, credstash: DropIn, monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """us-east-1 where nobody names a Region; AWS_REGION names one, which credstash does not hear."""
    table = f"{old.name}-east"
    credstash.ok("-r", "us-east-1", "-t", table, "setup")
    monkeypatch.setenv("DYNASTASH_TRANSPORT", transport)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert credstash.ok("-t", table, "list").out == b""
    assert credstash.ok("-t", table, "setup").text.endswith("already exists\n")
    done = credstash("-t", "environment:prod", "list")
    assert (done.code, done.err.splitlines()[0]) == (1, "no AWS region is set")  # only an old table has a last resort
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    done = credstash("-t", f"credstash:{table}", "list")
    assert (done.code, f"credstash table {table} in eu-west-1 does not exist" in done.err) == (1, True)
    assert credstash.ok("-t", old.name, "list").out == b""


def test_a_default_region_is_the_last_one_that_counts(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the settings' own, and behind what boto3's chain names; with every transport."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    for transport in ("", "boto"):
        monkeypatch.setenv("DYNASTASH_TRANSPORT", transport)
        settings = AwsSettings(default_region="us-east-1")
        assert open_transport(settings).region == "us-east-1"
        assert open_transport(AwsSettings(region="eu-west-1", default_region="us-east-1")).region == "eu-west-1"
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
        assert open_transport(settings).region == "eu-west-2"
        monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert Clients(settings, session=make_session(settings)).region == "us-east-1"


@pytest.mark.engine
def test_a_role_is_assumed_under_credstashs_name(old: Old, credstash: DropIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """-n, with the session's name that trust policies may ask for; -p."""
    credstash.ok("put", "a", "x")
    role = "arn:aws:iam::000000000000:role/reader"
    assert credstash.ok("-n", role, "get", "a").text == "x\n"
    assert credstash.ok("get", "a", "--arn", role).text == "x\n"
    Path("config").write_text("[profile p]\nregion = eu-west-1\naws_access_key_id = A\naws_secret_access_key = B\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(Path("config").resolve()))
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert credstash.ok("-p", "p", "get", "a").text == "x\n"
    done = credstash("-p", "q", "get", "a")
    assert (done.code, "q" in done.err) == (1, True)
