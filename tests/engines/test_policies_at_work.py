"""Each managed policy does its job through the command line, and nothing else.

Twice: with every condition, evaluated here on the calls that the command line makes (no engine evaluates them); and on
an engine that checks signatures, actions and resources by itself, with the policies that CloudFormation made there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynastash.aws import choose
from dynastash.cli import exits
from dynastash.cli.app import run
from dynastash.policy.copies import to_parameters, to_secrets
from dynastash.policy.document import Access, Target, policy_document
from dynastash.policy.names import parse_pattern
from tests.engines import servers
from tests.engines.engine import Engine
from tests.engines.policed import PolicedTransport

pytestmark = pytest.mark.engine

OK, DENIED = exits.OK, exits.DENIED
ENVIRONMENT = "t"
COPIED = Target(
    environment="local", table="arn:aws:dynamodb:eu-west-1:000000000000:table/t", key="arn:aws:kms:x:y:key/z"
)
Command = Callable[..., int]


class Site:
    """An environment on an engine, used by principals with one policy each."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._engine = engine
        self._patch = monkeypatch
        self.table, self.key = engine.create_table(), engine.create_key()
        self.target = Target(
            environment=ENVIRONMENT, table=f"arn:aws:dynamodb:eu-west-1:000000000000:table/{self.table}", key=self.key
        )
        monkeypatch.setenv("DYNASTASH_TABLE", self.table)
        monkeypatch.setenv("DYNASTASH_KEY", self.key)

    def everybody(self) -> None:
        """Without any policy in between."""
        self._patch.setattr(choose, "open_transport", lambda *_: self._engine.transport)

    def as_one_with(self, *, administer: bool = False, context_keys: tuple[str, ...] = (), **wanted: str) -> None:
        """From now on the command line runs with the policy for that."""
        asked = {Access(name.replace("_", "-")): [parse_pattern(text)] for name, text in wanted.items()}
        policy = policy_document(self.target, asked, administer=administer)
        transport = PolicedTransport(self._engine.transport, [policy], table=self.target.table, key=self.key)
        self._patch.setattr(choose, "open_transport", lambda *_: transport)

    def __call__(self, *arguments: str) -> int:
        return run(["-e", ENVIRONMENT, *arguments])


@pytest.fixture
def site(ministack: Engine, monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site(ministack, monkeypatch)
    found.everybody()
    for name in ("app1/db/password", "app10/db/password", "token"):
        assert found("put", name, "made-up") == OK
        for number in range(3):
            assert found("put", name, f"made-up {number}") == OK
    return found


def test_a_reader_reads_its_prefix_and_changes_nothing(site: Site) -> None:
    site.as_one_with(read="app1/*")
    assert site("get", "app1/db/password") == OK
    assert site("get", "app1/db/password", "--version", "1") == OK
    assert site("history", "app1/db/password") == OK
    assert site("list", "app1/") == OK
    for name in ("app10/db/password", "token"):
        assert site("get", name) == DENIED
        assert site("history", name) == DENIED
    for arguments in (("list",), ("list", "app10/"), ("list", "app1"), ("verify",)):
        assert site(*arguments) == DENIED
    for arguments in (
        ("put", "app1/db/password", "x"),
        ("put", "app1/new", "x"),
        ("rollback", "app1/db/password"),
        ("delete", "app1/db/password"),
        ("destroy", "app1/db/password", "--yes"),
        ("prune", "app1/db/password", "--keep", "1", "--yes"),
        ("rewrap", "app1/db/password"),
    ):
        assert site(*arguments) == DENIED, arguments
    site.everybody()
    assert site("generate", "app1/token") == OK
    site.as_one_with(read="app1/*")
    assert site("rotate", "app1/token") == DENIED


def test_a_writer_lives_with_its_secrets_and_prunes_none(site: Site) -> None:
    site.as_one_with(write="app1/*")
    assert site("put", "app1/db/password", "third") == OK
    assert site("put", "app1/new", "first") == OK
    assert site("get", "app1/db/password") == OK
    assert site("rollback", "app1/db/password") == OK
    assert site("delete", "app1/new") == OK
    assert site("undelete", "app1/new") == OK
    assert site("destroy", "app1/new", "--yes") == OK
    assert site("prune", "app1/db/password", "--keep", "1", "--yes") == DENIED
    assert site("rewrap", "app1/db/password") == DENIED
    for name in ("app10/db/password", "app10/new", "token"):
        assert site("put", name, "x") == DENIED
        assert site("destroy", name, "--yes") == DENIED


def test_a_rotator_rotates_and_prunes(site: Site) -> None:
    site.as_one_with(rotate="app1/*")
    assert site("generate", "app1/token") == OK
    for _ in range(3):
        assert site("rotate", "app1/token") == OK
    assert site("prune", "app1/token", "--keep", "1", "--yes") == OK
    assert site("get", "app1/token") == OK
    assert site("rotate", "app10/db/password") == DENIED
    assert site("prune", "app10/db/password", "--keep", "1", "--yes") == DENIED


def test_whoever_only_writes_opens_nothing(site: Site) -> None:
    site.as_one_with(write_only="app1/*")
    assert site("put", "app1/db/password", "third", "--write-only") == OK
    assert site("put", "app1/db/password", "third") == DENIED
    assert site("get", "app1/db/password") == DENIED
    assert site("put", "app10/db/password", "x", "--write-only") == DENIED


def test_a_context_takes_a_permission_for_its_keys(site: Site) -> None:
    site.as_one_with(write="app1/*")
    assert site("put", "app1/x", "v", "--context", "team=payments") == DENIED
    site.target = Target(environment=ENVIRONMENT, table=site.target.table, key=site.target.key, context_keys=("team",))
    site.as_one_with(write="app1/*")
    assert site("put", "app1/x", "v", "--context", "team=payments") == OK
    assert site("get", "app1/x") == OK


def test_an_administrator_opens_and_writes_nothing(site: Site) -> None:
    site.as_one_with(administer=True)
    assert site("list") == OK
    assert site("verify", "--structure-only") == OK
    for arguments in (("get", "app1/db/password"), ("put", "app1/db/password", "x"), ("put", "app1/new", "x")):
        assert site(*arguments) == DENIED


def test_an_administrator_rewraps(moto: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """On moto, whose KMS re-encrypts; afterwards the values open as before."""
    site = Site(moto, monkeypatch)
    site.everybody()
    assert site("put", "app1/db/password", "made-up") == OK
    assert site("put", "app1/tagged", "made-up", "--context", "team=payments") == OK
    site.as_one_with(administer=True)
    assert site("rewrap", "--prefix", "") == OK
    assert site("get", "app1/db/password") == DENIED
    site.everybody()
    assert site("get", "app1/db/password") == OK
    assert site("verify") == OK


# On an engine that checks by itself


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.ministack(tmp_path_factory.mktemp("guarded"), AUTH="true") as url:
        yield url


def _client(url: str, service: str) -> Any:
    make: Any = boto3.client
    return make(
        service, endpoint_url=url, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


def _command(url: str, key: tuple[str, str], *arguments: str, **more: str) -> tuple[int, str]:
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DYNASTASH_"))},
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": key[0],
        "AWS_SECRET_ACCESS_KEY": key[1],
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }
    command = [sys.executable, "-m", "dynastash", *arguments]
    process = subprocess.run(command, env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return process.returncode, process.stderr


def test_the_policies_of_the_stack_work_where_identities_are_checked(guarded: str) -> None:
    """Action and resource level: conditions are taken off, the key's too; the engine knows no names and contexts."""
    root = ("test", "test")
    assert _command(guarded, root, "deploy", ENVIRONMENT, "--yes")[0] == OK
    iam, stack = _client(guarded, "iam"), _client(guarded, "cloudformation")
    (found,) = stack.describe_stacks(StackName=f"dynastash-{ENVIRONMENT}")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}

    kms = _client(guarded, "kms")
    policy = json.loads(kms.get_key_policy(KeyId=outputs["EnvelopeKeyArn"], PolicyName="default")["Policy"])
    policy["Statement"] = [each for each in policy["Statement"] if "Condition" not in each]
    kms.put_key_policy(KeyId=outputs["EnvelopeKeyArn"], PolicyName="default", Policy=json.dumps(policy))

    def user(role: str) -> tuple[str, str]:
        arn = outputs[f"{role}PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        for statement in document["Statement"]:
            statement.pop("Condition", None)
        iam.create_user(UserName=role)
        iam.put_user_policy(UserName=role, PolicyName="p", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName=role)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    users = {role: user(role) for role in ("Reader", "Writer", "Rotator", "Admin")}
    name = "app1/db/password"
    steps: list[tuple[str, int, tuple[str, ...]]] = [
        ("Reader", DENIED, ("put", name, "made-up")),
        ("Writer", OK, ("put", name, "made-up")),
        ("Reader", OK, ("get", name)),
        ("Reader", OK, ("list",)),
        ("Reader", DENIED, ("delete", name)),
        ("Rotator", OK, ("generate", "app1/token")),
        *[("Rotator", OK, ("rotate", "app1/token"))] * 3,
        ("Reader", DENIED, ("rotate", "app1/token")),
        ("Writer", DENIED, ("prune", "app1/token", "--keep", "1", "--yes")),
        ("Rotator", OK, ("prune", "app1/token", "--keep", "1", "--yes")),
        ("Admin", OK, ("list",)),
        ("Admin", OK, ("verify", "--structure-only")),
        ("Admin", DENIED, ("get", name)),
        ("Admin", DENIED, ("put", name, "x")),
        ("Reader", DENIED, ("deploy", ENVIRONMENT, "--yes")),
        ("Rotator", DENIED, ("deploy", ENVIRONMENT, "--delete", "--yes")),
    ]
    done = []
    for role, _, arguments in steps:
        # The key by its ARN: the engine holds an alias against policies as it is, and AWS the key behind it.
        inside = () if arguments[0] == "deploy" else ("-e", ENVIRONMENT, "--key", outputs["EnvelopeKeyArn"])
        done.append((role, _command(guarded, users[role], *inside, *arguments)[0], arguments))
    assert done == steps
    assert _command(guarded, ("nobody", "nothing"), "-e", ENVIRONMENT, "get", name)[0] == DENIED


@pytest.mark.parametrize("place", ["ssm:/app1", "secretsmanager:app1"])
def test_copies_are_kept_with_their_policy_where_identities_are_checked(
    guarded: str, tmp_path: Path, place: str
) -> None:
    """Action and resource level, from an environment on this machine: made, replaced, removed, and not beside it."""
    kind, _, where = place.partition(":")
    statements = to_parameters(COPIED, where) if kind == "ssm" else to_secrets(COPIED, f"{where}/")
    document = {"Version": "2012-10-17", "Statement": statements}
    for statement in document["Statement"]:
        statement.pop("Condition", None)  # type: ignore[attr-defined]
        if statement["Action"] == "ssm:GetParameters":  # type: ignore[index]
            statement["Resource"] = "*"  # type: ignore[index]  # the engine takes several names for no resource
    iam, name = _client(guarded, "iam"), f"copier-{kind}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    user = made["AccessKeyId"], made["SecretAccessKey"]
    inside = {"DYNASTASH_DATA": str(tmp_path)}

    def sync(to: str) -> tuple[int, str]:
        return _command(guarded, user, "sync", "--to", to, "--prefix", "app1/", "--yes", "--even-if-empty", **inside)

    for step in (("put", "app1/a", "one"), ("put", "app1/a", "two"), ("delete", "app1/a"), ("undelete", "app1/a")):
        assert _command(guarded, user, *step, **inside)[0] == OK
        done = sync(place)
        assert done[0] == OK, done[1]
    # What is not in Secrets Manager's list is asked for by itself, which is refused before anything is tried.
    assert sync(f"{place}0")[0] == (exits.PARTIAL if kind == "ssm" else exits.DENIED)
