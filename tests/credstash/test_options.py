"""What a user says of a table to `migrate`: contexts, keys, whether items must be bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynastash.cli import exits
from dynastash.credstash.versions import padded
from dynastash.models import Plaintext
from tests.cli.runner import Cli, beside
from tests.credstash.kit import OldTable, item
from tests.engines.engine import REGION, Engine


@pytest.fixture
def old(ministack: Engine) -> OldTable:
    """One bound secret, one under a context, and one with a version under another."""
    made = OldTable(ministack)
    made.store().put("bound", 1, Plaintext(b"made-up"))
    made.add("app/x", padded(1), b"x", {"env": "prod"})
    made.add("mixed", padded(1), b"one", {"env": "prod"})
    made.add("mixed", padded(2), b"two")
    return made


@pytest.fixture
def cli(old: OldTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The environment local on this machine."""
    return beside(old.engine, tmp_path, monkeypatch)


def planned(cli: Cli, old: OldTable, *options: str) -> dict[str, str]:
    """What would become of each secret."""
    done = cli("migrate", "--from", f"credstash:{old.name}", "--dry-run", "-o", "json", *options)
    assert done.code in (exits.OK, exits.PARTIAL), done.err
    return {secret["key"]: secret["what"] for secret in json.loads(done.out)["secrets"]}


@pytest.mark.parametrize(
    ("options", "readable"),
    [
        ([], "bound"),
        (["--context", "env=prod"], "app/x"),
        (["--context-of", "app/*", "env=prod", "--context-of", "mixed@1", "env=prod"], "app/x bound mixed"),
        (["--context", "env=prod", "--context-of", "mixed@2", "-", "--context-of", "bound", "-"], "app/x bound mixed"),
        (["--context-of", "app/x", "env=prod", "--require-binding"], "bound"),
    ],
)
def test_what_opens(cli: Cli, old: OldTable, options: list[str], readable: str) -> None:
    """Under what was said, and nothing else."""
    found = planned(cli, old, "--from-key", old.key, *options)
    assert sorted(key for key, action in found.items() if action == "create") == readable.split()
    assert {action for key, action in found.items() if key not in readable.split()} <= {"unreadable"}


def test_any_key_will_do_where_that_is_said(cli: Cli, old: OldTable) -> None:
    """As with credstash."""
    assert planned(cli, old, "--from-key", "*")["bound"] == "create"


def test_the_keys_may_be_elsewhere_than_the_table(cli: Cli, old: OldTable) -> None:
    """In a Region of their own."""
    make: Any = old.engine.session().client
    kms = make("kms", region_name="us-east-1", endpoint_url=old.engine.endpoint_url)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    data_key = kms.generate_data_key(KeyId=key, NumberOfBytes=64)
    old.put(item("far", data_key=data_key["Plaintext"], wrapped=data_key["CiphertextBlob"]))
    assert planned(cli, old, "--from-key", key, "--from-kms-region", "us-east-1")["far"] == "create"
    done = cli("migrate", "--from", f"credstash:{old.name}", "--dry-run", "--from-key", key)
    assert done.code == exits.UNAVAILABLE
    assert done.err.splitlines()[-2] == f"error: KMS key {key} in {REGION} does not exist"


@pytest.mark.parametrize("option", [["--context", "a=b"], ["--from-key", "x"], ["--require-binding"]])
def test_other_places_take_none_of_it(cli: Cli, option: list[str]) -> None:
    """One line, and nothing is called."""
    done = cli("migrate", "--from", "ssm:/x", "--dry-run", *option)
    assert done.code == exits.USAGE
    assert "go with --from credstash:TABLE" in done.err


@pytest.mark.parametrize("text", ["env", "=x", "env=", ""])
def test_a_pair_that_is_none(cli: Cli, text: str) -> None:
    """Of a context for one name."""
    done = cli("migrate", "--from", "credstash:x", "--dry-run", "--context-of", "a", text)
    assert done.code == exits.USAGE
    assert "is no pair of a context" in done.err
