"""`migrate` and `import` from Parameter Store and Secrets Manager: the history here is the history there."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from dynastash.cli import exits
from tests.cli.runner import Cli, beside
from tests.engines.engine import Engine

pytestmark = pytest.mark.engine


@pytest.fixture(params=["ministack", "moto"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def cli(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return beside(engine, tmp_path, monkeypatch)


def history(cli: Cli, name: str) -> list[tuple[int, list[str], str | None, bytes]]:
    """Number, stages, comment and value of each version, oldest first."""
    versions: list[dict[str, Any]] = json.loads(cli.ok("history", name, "-o", "json").text)
    return [
        (
            each["version"],
            each["stages"],
            each["comment"],
            cli.ok("get", name, "--version", str(each["version"]), "--raw").out,
        )
        for each in sorted(versions, key=lambda each: int(each["version"]))
    ]


def test_a_path_of_parameters_with_its_versions(cli: Cli, engine: Engine) -> None:
    path, ssm = f"/m{secrets.token_hex(5)}", engine.client("ssm")
    for number in (1, 2, 3):
        ssm.put_parameter(
            Name=f"{path}/db/password",
            Value=f"made-up-{number}",
            Type="SecureString",
            Overwrite=True,
            Description=f"change {number}",
        )
    ssm.put_parameter(Name=f"{path}/url", Value="http://made-up", Type="String")
    arguments = ("migrate", "--from", f"ssm:{path}", "--prefix", "app1/")
    done = cli.ok(*arguments)
    assert history(cli, "app1/db/password") == [
        (1, [], "change 1", b"made-up-1"),
        (2, ["previous"], "change 2", b"made-up-2"),
        (3, ["current"], "change 3", b"made-up-3"),
    ]
    assert cli.ok("get", "app1/url", "--raw").out == b"http://made-up"
    assert "it is a plain String there" in done.text and "made-up" not in done.text + done.err
    cli.ok(*arguments)
    assert len(history(cli, "app1/db/password")) == 3


def test_secrets_with_their_versions_and_stages(cli: Cli, engine: Engine) -> None:
    prefix, client = f"m{secrets.token_hex(5)}", engine.client("secretsmanager")
    client.create_secret(Name=f"{prefix}/db", SecretString="made-up-1", Description="by hand")
    client.put_secret_value(SecretId=f"{prefix}/db", SecretBinary=b"\x00\xff")
    client.put_secret_value(SecretId=f"{prefix}/db", SecretString="not given out", VersionStages=["AWSPENDING"])
    client.create_secret(Name=f"{prefix}/gone", SecretString="made-up")
    client.delete_secret(SecretId=f"{prefix}/gone")
    arguments = ("migrate", "--from", f"secretsmanager:{prefix}", "--prefix", "app1/")
    done = cli(*arguments)
    assert done.code == exits.PARTIAL and "awaits its deletion there" in done.err
    assert "is pending there and stays behind" in done.text
    assert history(cli, "app1/db") == [(1, ["previous"], None, b"made-up-1"), (2, ["current"], "by hand", b"\x00\xff")]
    assert cli("get", "app1/gone").code == exits.NOT_FOUND
    cli(*arguments)
    assert len(history(cli, "app1/db")) == 2


@pytest.mark.parametrize("kind", ["ssm", "secretsmanager"])
def test_there_and_back_is_the_same(cli: Cli, kind: str) -> None:
    """What sync made comes back under the same names, with the values and nothing of our own marks."""
    place = f"{kind}:{'/' if kind == 'ssm' else ''}m{secrets.token_hex(5)}"
    for value in (b"made-up-1", "Grüße, 世界 🔑\n".encode()):
        cli.ok("put", "app1/db/password", given=value)
        cli.ok("sync", "--to", place, "--prefix", "app1/", "--yes")
    cli.ok("migrate", "--from", place, "--prefix", "back/")
    assert [(number, value) for number, _, _, value in history(cli, "back/db/password")] == [
        (1, b"made-up-1"),
        (2, "Grüße, 世界 🔑\n".encode()),
    ]
    info = json.loads(cli.ok("list", "back/", "-o", "json").text)
    assert [(each["name"], each["comment"]) for each in info] == [("back/db/password", None)]
    assert set(info[0]["tags"]) <= {"source-versions"}  # ids of versions, which are no numbers
