"""Grants, what is due when they are taken back, and who may read: on accounts that ministack and moto keep."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runner import Cli
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine


@pytest.fixture(params=["ministack", "moto"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def cli(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A command line on an environment of its own."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": engine.endpoint_url,
        "DYNASTASH_ENV": "prod",
        "DYNASTASH_TABLE": engine.create_table(),
        "DYNASTASH_KEY": engine.create_key(),
    }
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.chdir(cwd)
    return Cli(tmp_path, cwd)


@pytest.fixture
def role(engine: Engine) -> str:
    name = f"role-{secrets.token_hex(4)}"
    trust = {"Version": "2012-10-17", "Statement": []}
    engine.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    return name


def policies(engine: Engine, role: str) -> list[str]:
    found: list[str] = engine.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    return found


def who(cli: Cli, name: str) -> dict[str, dict[str, Any]]:
    found = json.loads(cli.ok("access", name, "-o", "json").text)["access"]
    return {each["principal"].rpartition("/")[2]: each for each in found}


def test_from_a_grant_to_its_revocation(cli: Cli, engine: Engine, role: str) -> None:
    """Looked at, attached, added to, asked about, taken back, and what is due."""
    for name in ("app1/db", "app1/token", "app10/db"):
        cli.ok("put", name, given=b"x")
    done = cli.ok("grant", role, "--read", "app1/*", "--dry-run")
    assert '"Sid": "OpenValues"' in done.text and "nothing was changed" in done.err
    assert policies(engine, role) == []
    done = cli("grant", role, "--read", "app1/*")
    assert done.code == 2 and "--yes" in done.err and policies(engine, role) == []

    done = cli.ok("grant", role, "--read", "app1/*", "--yes")
    assert f"attached the policy dynastash-prod to the role {role}" in done.err
    assert policies(engine, role) == ["dynastash-prod"]
    done = cli.ok("grant", role, "--read", "app1/*", "--yes")
    assert "nothing was changed" in done.err and done.text == ""
    done = cli.ok("grant", role, "--write", "app2/x", "--yes")
    assert "+++ then" in done.text and "app2/x" in done.text

    found = who(cli, "app1/db")[role]
    assert (found["opens"], found["replaces"], found["by"]) == ("yes", "no", ["dynastash-prod"])
    assert role not in who(cli, "app10/db")
    assert who(cli, "app2/x")[role]["replaces"] == "yes"
    shown = json.loads(cli.ok("access", "--role", role, "-o", "json").text)
    assert {each["name"] for each in shown["access"]} == {"app1/db", "app1/token"}
    assert any("service control policies" in part for part in shown["unseen"])

    data = json.loads(cli.ok("revoke", role, "--yes", "-o", "json").text)
    assert (data["applied"], data["after"]) == (True, None)
    assert [(each["name"], each["still_readable"]) for each in data["due"]] == [
        ("app1/db", "no"),
        ("app1/token", "no"),
    ]
    assert policies(engine, role) == [] and role not in who(cli, "app1/db")


def test_what_is_due_is_a_command(cli: Cli, engine: Engine, role: str) -> None:
    """One for each secret; with a program where the secret does not know how it is made."""
    cli.ok("put", "app1/db", given=b"x")
    cli.ok("generate", "app1/token")
    cli.ok("grant", role, "--read", "app1/*", "--yes")
    every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    engine.client("iam").put_role_policy(RoleName=role, PolicyName="admin", PolicyDocument=json.dumps(every))
    done = cli.ok("revoke", role, "--yes")
    assert "dynastash rotate app1/db -e prod -- PROGRAM\n" in done.text
    assert "dynastash rotate app1/token -e prod\n" in done.text
    assert "can still read app1/db through another policy" in done.err


def test_attached_policies_groups_and_boundaries(cli: Cli, engine: Engine, role: str) -> None:
    """A managed policy opens; a boundary takes it away again; a group's policy is its members'."""
    iam = engine.client("iam")
    every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    suffix = secrets.token_hex(4)
    managed, limit = (
        iam.create_policy(PolicyName=f"{name}-{suffix}", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        for name, document in (("every", every), ("limit", nothing))
    )
    iam.attach_role_policy(RoleName=role, PolicyArn=managed)
    user, group = f"user-{suffix}", f"group-{suffix}"
    iam.create_user(UserName=user)
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=user)
    iam.put_group_policy(GroupName=group, PolicyName="all", PolicyDocument=json.dumps(every))
    found = who(cli, "app1/db")
    assert found[role]["opens"] == found[user]["opens"] == "yes"
    assert found[role]["by"] == [f"every-{suffix}"] and found[user]["by"] == [f"group {group}: all"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=limit)
    if engine.name == "moto":  # ministack leaves boundaries out of the account's details
        found = who(cli, "app1/db")
        assert user in found and role not in found


def test_wrong_words(cli: Cli) -> None:
    """Each one line, and what to do."""
    for arguments, code in [
        (["grant", "nobody-at-all", "--read", "app1/*", "--yes"], 3),
        (["revoke", "nobody-at-all", "--yes"], 3),
        (["access", "--role", "nobody-at-all"], 3),
        (["grant", "r"], 2),
        (["grant", "r", "--read", "app1*"], 2),
        (["grant", "r", "--read", "app1/db", "--kms-grant", "--purpose", "x"], 2),
        (["grant", "r", "--read", "app1/*", "--kms-grant"], 2),
        (["grant", "nobody-at-all", "--read", "app1/db", "--kms-grant"], 3),
        (["access"], 2),
        (["access", "x", "--role", "y"], 2),
        (["access", "x", "-e", "local"], 2),
    ]:
        done = cli(*arguments)
        assert done.code == code, (arguments, done.err)
        assert "error:" in done.err and "hint:" in done.err


def test_iam_itself_is_asked(cli: Cli, engine: Engine, role: str) -> None:
    """Where the endpoint can; moto cannot, which is said and not taken for a no."""
    cli.ok("grant", role, "--read", "app1/*", "--yes")
    found = json.loads(cli.ok("access", "app1/db", "--simulate", "-o", "json").text)["access"]
    (mine,) = [each for each in found if each["principal"].endswith(role)]
    assert mine["simulated"] in ("yes", "no") if engine.name == "ministack" else "no answer" in mine["simulated"]


def kms_grants(engine: Engine, role: str) -> list[dict[str, Any]]:
    found = engine.client("kms").list_grants(KeyId=os.environ["DYNASTASH_KEY"], Limit=100)["Grants"]
    return [each for each in found if each["GranteePrincipal"].endswith(f"/{role}")]


def test_from_a_kms_grant_to_its_revocation(cli: Cli, engine: Engine, role: str) -> None:
    """Shown, made once, counted by `access`, and revoked beside the policy, each secret with what is due."""
    for name in ("app1/db", "app1/token", "app2/db"):
        cli.ok("put", name, given=b"x")
    grant = ("grant", role, "--read", "app1/db", "--write", "app1/token", "--kms-grant")
    done = cli.ok(*grant, "--dry-run")
    assert "+ KMS grant to read app1/db: Decrypt on arn:" in done.text and '"kms:' not in done.text
    assert "nothing was changed" in done.err and kms_grants(engine, role) == [] == policies(engine, role)
    done = cli(*grant)
    assert done.code == 2 and "--yes" in done.err and kms_grants(engine, role) == []

    done = cli.ok(*grant, "--yes")
    assert f"made 2 KMS grants and attached the policy dynastash-prod-kms-grant, for the role {role}" in done.err
    assert "5 minutes" in done.err
    data = json.loads(cli.ok(*grant, "--yes", "-o", "json").text)
    assert (data["applied"], data["policy"], data["kms_grants"]["made"]) == (False, None, [])
    assert {each["id"] for each in data["kms_grants"]["kept"]} == {each["GrantId"] for each in kms_grants(engine, role)}
    found = who(cli, "app1/db")[role]
    assert (found["opens"], found["uses"]["write"]) == ("yes", "no") and found["by"][0].startswith("grant ")
    assert who(cli, "app1/token")[role]["uses"]["write"] == "yes" and role not in who(cli, "app2/db")

    cli.ok("grant", role, "--read", "app2/*", "--yes")
    done = cli.ok("revoke", role, "app1/token", "--yes")
    assert "revoked 1 KMS grant and changed the policy dynastash-prod-kms-grant" in done.err
    assert done.text.endswith("dynastash rotate app1/token -e prod -- PROGRAM\n")
    assert sorted(policies(engine, role)) == ["dynastash-prod", "dynastash-prod-kms-grant"]
    data = json.loads(cli.ok("revoke", role, "--yes", "-o", "json").text)
    assert [each["name"] for each in data["kms_grants"]["revoked"]] == ["app1/db"] and data[
        "policy"
    ] == "dynastash-prod"
    assert [(each["name"], each["still_readable"]) for each in data["due"]] == [("app1/db", "no"), ("app2/db", "no")]
    assert kms_grants(engine, role) == [] == policies(engine, role)
    assert cli("revoke", role, "--yes").code == 3
