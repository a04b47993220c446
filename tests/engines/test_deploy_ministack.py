"""Deploying on a running CloudFormation: change sets made, looked at, executed, rolled back and thrown away."""

from __future__ import annotations

import json
import os
import pty
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import click
import pytest

from dynastash.aws.base import AwsSettings
from dynastash.cli import exits
from dynastash.cli.app import run
from dynastash.config import Environment
from dynastash.deploy import Deployer, Event, Plan, import_template, template
from dynastash.errors import DeployError
from dynastash.wiring import open_environment
from tests.engines.engine import Engine

pytestmark = pytest.mark.engine

POLICIES = {"AdminPolicy", "ReaderPolicy", "RotatorPolicy", "WriterPolicy"}
EVERYTHING = {"EnvelopeKey", "EnvelopeKeyAlias", "Table", "TableKey", "TableKeyAlias", "PoliciesMade", *POLICIES}
LEFT_OUT = {"GlobalTable"}  # by a condition; the engine lists it in change sets all the same, and does not make it
BROKEN = """
  Broken:
    Type: AWS::KMS::Alias
    DependsOn: TableKeyAlias
    Properties:
      AliasName: not-an-alias
      TargetKeyId: !Ref TableKey

Outputs:
"""


@pytest.fixture
def environment() -> str:
    """A name of one's own on the engine that all tests share."""
    return f"t{secrets.token_hex(4)}"


def deployer(engine: Engine, environment: str, **options: Any) -> Deployer:
    return Deployer(engine.client("cloudformation"), environment, poll=0.02, **options)


def deploy(engine: Engine, environment: str, parameters: dict[str, str] | None = None, **options: Any) -> Deployer:
    it = deployer(engine, environment, **options)
    list(it.apply(it.plan(parameters)))
    return it


def has_stack(engine: Engine, environment: str) -> bool:
    pages = engine.client("cloudformation").get_paginator("describe_stacks").paginate()
    return any(stack["StackName"] == f"dynastash-{environment}" for page in pages for stack in page["Stacks"])


def has_table(engine: Engine, table: str) -> bool:
    client = engine.client("dynamodb")
    try:
        client.describe_table(TableName=table)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def usable_keys(engine: Engine, environment: str) -> int:
    """How many keys of the environment are there and not on their way out."""
    kms = engine.client("kms")
    described = [
        kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        for page in kms.get_paginator("list_keys").paginate()
        for key in page["Keys"]
    ]
    return sum(key["Enabled"] and f"dynastash {environment}:" in key["Description"] for key in described)


def test_an_environment_is_planned_then_created(ministack: Engine, environment: str) -> None:
    """Planning makes nothing; applying makes everything, tells each step, and protects the stack."""
    it = deployer(ministack, environment)
    plan = it.plan()
    assert plan.action == "create"
    assert {(change.action, change.logical_id) for change in plan.changes} == {
        ("add", name) for name in EVERYTHING | LEFT_OUT
    }
    assert not has_table(ministack, f"dynastash-{environment}")
    assert it.deployment() is None

    told = [(event.logical_id, event.status) for event in it.apply(plan)]
    assert told[-1] == (f"dynastash-{environment}", "CREATE_COMPLETE")
    assert {name for name, status in told if status == "CREATE_COMPLETE"} == EVERYTHING | {f"dynastash-{environment}"}
    assert told.index(("Table", "CREATE_IN_PROGRESS")) > told.index(("TableKeyAlias", "CREATE_COMPLETE"))

    deployment = it.deployment()
    assert deployment is not None
    assert (deployment.status, deployment.protected) == ("CREATE_COMPLETE", True)
    table = ministack.client("dynamodb").describe_table(TableName=deployment.outputs["TableName"])["Table"]
    assert table["DeletionProtectionEnabled"] is True
    key = ministack.client("kms").describe_key(KeyId=deployment.outputs["EnvelopeKeyAlias"])["KeyMetadata"]
    assert key["Arn"] == deployment.outputs["EnvelopeKeyArn"]


def test_what_was_deployed_is_what_is_used(ministack: Engine, environment: str) -> None:
    """A secret goes in and comes out with nothing configured but the environment's name."""
    deploy(ministack, environment)
    stash = open_environment(
        Environment(
            name=environment,
            store="dynamodb",
            aws=AwsSettings(endpoint_url=ministack.endpoint_url),
            table=f"dynastash-{environment}",
            key=f"alias/dynastash-{environment}",
        ),
        session=ministack.session(),
    )
    stash.put("app/password", "correct horse")
    assert stash.get("app/password").text == "correct horse"
    assert [info.name for info in stash.list("app/")] == ["app/password"]


def test_deploying_again_changes_nothing(ministack: Engine, environment: str) -> None:
    """And leaves no failed change set lying about."""
    it = deploy(ministack, environment)
    before = it.deployment()
    plan = it.plan()
    assert (plan.change_set, plan.changes) == (None, ())
    assert it.deployment() == before
    client = ministack.client("cloudformation")
    assert [
        change_set
        for change_set in client.list_change_sets(StackName=it.stack)["Summaries"]
        if change_set["Status"] == "FAILED"
    ] == []


def test_a_parameter_changes_and_stays_changed(ministack: Engine, environment: str) -> None:
    """The next deployment keeps what an earlier one was given."""
    it = deploy(ministack, environment)
    plan = it.plan({"PointInTimeRecoveryDays": "7"})
    assert [(c.action, c.logical_id, c.replacement, c.properties) for c in plan.changes] == [
        ("modify", "Table", "no", ("PointInTimeRecoverySpecification",))
    ]
    assert [event.status for event in it.apply(plan)][-1] == "UPDATE_COMPLETE"
    assert it.plan().change_set is None
    assert it.plan({"PointInTimeRecoveryDays": "7"}).change_set is None
    assert it.plan({"PointInTimeRecoveryDays": "8"}).change_set is not None


def test_an_update_leaves_the_termination_protection_as_it_is(ministack: Engine, environment: str) -> None:
    """Whoever took it off had a reason."""
    it = deploy(ministack, environment)
    ministack.client("cloudformation").update_termination_protection(
        StackName=it.stack, EnableTerminationProtection=False
    )
    list(it.apply(it.plan({"PointInTimeRecoveryDays": "7"})))
    deployment = it.deployment()
    assert deployment is not None
    assert deployment.protected is False


def test_names_of_the_configuration_are_deployed(ministack: Engine, environment: str) -> None:
    it = deploy(ministack, environment, table=f"{environment}-table", key=f"alias/{environment}/key")
    deployment = it.deployment()
    assert deployment is not None
    assert deployment.outputs["TableName"] == f"{environment}-table"
    assert deployment.outputs["EnvelopeKeyAlias"] == f"alias/{environment}/key"
    by_arn = deployer(ministack, environment, table=f"{environment}-table", key=deployment.outputs["EnvelopeKeyArn"])
    assert by_arn.plan().change_set is None


def test_another_table_in_the_configuration_never_replaces_the_one_in_use(ministack: Engine, environment: str) -> None:
    deploy(ministack, environment)
    it = deployer(ministack, environment, table=f"{environment}-new")
    plan = it.plan()
    assert [change.logical_id for change in plan.abandoned] == ["Table"]
    with pytest.raises(DeployError, match="would replace or remove Table"):
        list(it.apply(plan))
    assert not has_table(ministack, f"{environment}-new")
    list(it.apply(plan, allow_replacement=True))
    assert has_table(ministack, f"dynastash-{environment}")
    assert has_table(ministack, f"{environment}-new")


def test_a_value_that_the_template_refuses_leaves_nothing(ministack: Engine, environment: str) -> None:
    with pytest.raises(DeployError, match="PointInTimeRecoveryDays"):
        deployer(ministack, environment).plan({"PointInTimeRecoveryDays": "99"})
    assert not has_stack(ministack, environment)


def test_a_plan_thrown_away_leaves_nothing(ministack: Engine, environment: str) -> None:
    """Of a first deployment neither a change set nor the empty stack that held it; of a later one the stack only."""
    it = deployer(ministack, environment)
    it.discard(it.plan())
    assert not has_stack(ministack, environment)
    assert not has_table(ministack, f"dynastash-{environment}")
    assert usable_keys(ministack, environment) == 0

    deploy(ministack, environment)
    before = it.deployment()
    plan = it.plan({"PointInTimeRecoveryDays": "7"})
    it.discard(plan)
    assert it.deployment() == before
    listed = ministack.client("cloudformation").list_change_sets(StackName=it.stack)["Summaries"]
    assert plan.change_set not in [change_set["ChangeSetId"] for change_set in listed]


def test_two_plans_share_one_empty_stack(ministack: Engine, environment: str) -> None:
    """Throwing one away keeps the other: the second plan takes the first one's shell and can still be applied."""
    one, other = deployer(ministack, environment), deployer(ministack, environment)
    first = one.plan()
    second = other.plan()
    one.discard(first)
    assert [event.status for event in other.apply(second)][-1] == "CREATE_COMPLETE"


def test_a_creation_that_fails_rolls_back_and_says_why(ministack: Engine, environment: str) -> None:
    """Its keys do not stay behind, although they are retained otherwise; the next try says what to do first."""
    it = deployer(ministack, environment, body=template().replace("\nOutputs:\n", BROKEN))
    with pytest.raises(DeployError, match=r"CloudFormation gave up: Broken: .*must begin with alias/") as caught:
        list(it.apply(it.plan()))
    assert f"delete-stack --stack-name dynastash-{environment}" in str(caught.value.hint)
    assert usable_keys(ministack, environment) == 0
    with pytest.raises(DeployError, match="ROLLBACK_COMPLETE"):
        deployer(ministack, environment).plan()
    ministack.client("cloudformation").delete_stack(StackName=it.stack)
    ministack.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName=it.stack, WaiterConfig={"Delay": 1}
    )
    assert deployer(ministack, environment).plan().action == "create"


def test_an_update_that_fails_rolls_back_and_says_why(ministack: Engine, environment: str) -> None:
    """The environment stays as it was, and can be deployed again."""
    it = deploy(ministack, environment)
    before = it.deployment()
    assert before is not None
    broken = deployer(ministack, environment, body=template().replace("\nOutputs:\n", BROKEN))
    with pytest.raises(DeployError, match=r"CloudFormation gave up: Broken: .*must begin with alias/") as caught:
        list(broken.apply(broken.plan()))
    assert caught.value.hint == "the environment is as it was before; mend the cause and deploy again"
    after = it.deployment()
    assert after is not None
    assert (after.status, after.outputs) == ("UPDATE_ROLLBACK_COMPLETE", before.outputs)
    assert it.plan().change_set is None


def test_a_plan_that_was_overtaken_is_refused(ministack: Engine, environment: str) -> None:
    """CloudFormation drops every other change set of a stack when one is executed."""
    it = deploy(ministack, environment)
    late = it.plan({"PointInTimeRecoveryDays": "7"})
    list(it.apply(it.plan({"PointInTimeRecoveryDays": "8"})))
    with pytest.raises(DeployError, match="the change set is out of date"):
        list(it.apply(late))


def test_a_stack_of_somebody_else_is_left_alone(ministack: Engine, environment: str) -> None:
    client = ministack.client("cloudformation")
    client.create_stack(
        StackName=f"dynastash-{environment}",
        TemplateBody='{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}',
    )
    client.get_waiter("stack_create_complete").wait(StackName=f"dynastash-{environment}", WaiterConfig={"Delay": 1})
    with pytest.raises(DeployError, match=f"that is not the environment {environment}"):
        deployer(ministack, environment).plan()


def test_everything_outlives_its_stack(ministack: Engine, environment: str) -> None:
    """Deleting the stack takes two steps on purpose, and costs no secret even then."""
    it = deploy(ministack, environment)
    client = ministack.client("cloudformation")
    with pytest.raises(client.exceptions.ClientError, match="TerminationProtection"):
        client.delete_stack(StackName=it.stack)
    client.update_termination_protection(StackName=it.stack, EnableTerminationProtection=False)
    client.delete_stack(StackName=it.stack)
    client.get_waiter("stack_delete_complete").wait(StackName=it.stack, WaiterConfig={"Delay": 1})
    assert has_table(ministack, f"dynastash-{environment}")
    assert usable_keys(ministack, environment) == 2
    key = ministack.client("kms").describe_key(KeyId=f"alias/dynastash-{environment}")["KeyMetadata"]
    assert key["KeyState"] == "Enabled"


# The command


@pytest.fixture
def shell(ministack: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment variables that lead to the engine, here and in what is started from here."""
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": ministack.endpoint_url,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **variables}


def test_the_command_shows_deploys_and_reports(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Results on stdout, the rest on stderr; the second time there is nothing to do."""
    assert run(["deploy", environment, "--yes"]) == exits.OK
    out, err = capsys.readouterr()
    assert {"add", "EnvelopeKey", "AWS::DynamoDB::Table", f"alias/dynastash-{environment}"} <= set(out.split())
    assert f"CREATE_COMPLETE  dynastash-{environment}\n" in err
    assert f"created the environment {environment} in account 000000000000, eu-west-1\n" in err
    assert run(["deploy", environment, "--yes"]) == exits.OK
    out, err = capsys.readouterr()
    assert f"the stack dynastash-{environment} is up to date" in err
    assert f"alias/dynastash-{environment}" in out


def test_the_command_answers_a_machine(
    environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    alias = f"alias/{environment}/key"
    assert run(["deploy", environment, "--yes", "-o", "json", "--key", alias]) == exits.OK
    data = json.loads(capsys.readouterr().out)
    outputs = data.pop("outputs")
    assert (outputs["TableName"], outputs["EnvelopeKeyAlias"]) == (f"dynastash-{environment}", alias)
    assert outputs["EnvelopeKeyArn"].startswith("arn:aws:kms:eu-west-1:")
    assert {change["resource"] for change in data["changes"]} == EVERYTHING | LEFT_OUT
    (key,) = [change for change in data.pop("changes") if change["resource"] == "EnvelopeKey"]
    assert key == {
        "action": "add",
        "resource": "EnvelopeKey",
        "type": "AWS::KMS::Key",
        "physical_id": None,
        "replaced": "no",
        "properties": [],
    }
    assert data == {
        "environment": environment,
        "stack": f"dynastash-{environment}",
        "action": "create",
        "applied": True,
        "change_set": None,
        "drift": None,
        "status": "CREATE_COMPLETE",
        "termination_protection": True,
    }


def test_a_dry_run_writes_nothing(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a first deployment and of a change; a machine gets the plan and what stands."""
    assert run(["deploy", environment, "--dry-run", "-o", "json"]) == exits.OK
    data = json.loads(capsys.readouterr().out)
    assert (data["action"], data["applied"], data["outputs"]) == ("create", False, None)
    assert not has_stack(ministack, environment)
    assert usable_keys(ministack, environment) == 0

    it = deploy(ministack, environment)
    before = it.deployment()
    assert run(["deploy", environment, "--dry-run", "--parameter", "PointInTimeRecoveryDays=7"]) == exits.OK
    out, err = capsys.readouterr()
    assert "PointInTimeRecoverySpecification" in out
    assert "EnvelopeKeyArn" not in out
    assert err.endswith("nothing was changed\n")
    assert it.deployment() == before


def test_the_command_refuses_to_leave_secrets_behind(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Even with --yes, and the plan goes; only on purpose, and then it says what to put into the configuration."""
    it = deploy(ministack, environment)
    assert run(["deploy", environment, "--yes", "--table", f"{environment}-new"]) == exits.OTHER
    err = capsys.readouterr().err
    assert "warning: every secret would stay behind in the old Table\n" in err
    assert "error: this would replace or remove Table" in err
    listed = ministack.client("cloudformation").list_change_sets(StackName=it.stack)["Summaries"]
    assert [change_set for change_set in listed if change_set["ExecutionStatus"] == "AVAILABLE"] == []
    assert not has_table(ministack, f"{environment}-new")
    assert run(["deploy", environment, "--yes", "--table", f"{environment}-new", "--allow-replacement"]) == exits.OK
    assert has_table(ministack, f"{environment}-new")
    assert f"hint: write table into dynastash.toml under [env.{environment}]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], exits.USAGE, "error: the environment local is on this machine: there is nothing to deploy"),
        (
            ["local", "--yes"],
            exits.USAGE,
            "error: the environment local is on this machine: there is nothing to deploy",
        ),
        (["dev"], exits.USAGE, "error: nobody can be asked: standard input is not a terminal"),
        (["dev", "-e", "prod", "--yes"], exits.USAGE, "error: two environments are named: prod and dev"),
        (
            ["dev", "--yes", "--parameter", "A=1", "--parameter", "A=2"],
            exits.USAGE,
            "--parameter names a parameter twice",
        ),
        (["dev", "--yes", "--parameter", "A"], exits.USAGE, "'A' is not KEY=TEXT"),
        (["dev", "--yes", "--parameter", "Days=1"], exits.USAGE, "error: the template has no parameter Days"),
        (
            ["dev", "--yes", "--parameter", "TableName=x"],
            exits.USAGE,
            "error: TableName cannot be given as a parameter",
        ),
    ],
)
def test_what_cannot_be_deployed_is_refused(
    ministack: Engine,
    shell: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        assert run(["deploy", *arguments]) == code
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert not has_stack(ministack, "dev")


@pytest.mark.parametrize(("answer", "code"), [("y\n", exits.OK), ("n\n", exits.OTHER)])
def test_a_person_is_asked(ministack: Engine, environment: str, shell: dict[str, str], answer: str, code: int) -> None:
    """On a real terminal: yes deploys, no leaves nothing."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "dynastash", "deploy", environment],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=shell,
        )
        os.write(ours, answer.encode())
        out, err = process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code, err.decode()
    assert b"EnvelopeKey" in out
    asked = f"create the stack dynastash-{environment}, with IAM policies, in account 000000000000, eu-west-1? [y/N]: "
    assert asked.encode() in err
    assert has_stack(ministack, environment) is (code == exits.OK)


def test_ctrl_c_at_the_question_leaves_nothing(
    ministack: Engine, environment: str, shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """click turns it into Abort; the change set and its empty stack go all the same."""

    def interrupted(question: str, **_: object) -> bool:
        assert has_stack(ministack, environment)
        raise click.Abort

    monkeypatch.setattr(click, "confirm", interrupted)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert run(["deploy", environment]) == exits.INTERRUPTED
    assert not has_stack(ministack, environment)


def test_ctrl_c_ends_the_waiting_and_says_so(
    ministack: Engine,
    environment: str,
    shell: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stack is not rolled back, and not deleted."""
    apply = Deployer.apply

    def interrupted(it: Deployer, plan: Plan, **options: bool) -> Iterator[Event]:
        yield next(apply(it, plan, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(Deployer, "apply", interrupted)
    assert run(["deploy", environment, "--yes"]) == exits.INTERRUPTED
    err = capsys.readouterr().err
    assert f"interrupted: the stack dynastash-{environment} goes on by itself\n" in err
    assert f"aws cloudformation describe-stack-events --stack-name dynastash-{environment}" in err
    assert has_stack(ministack, environment)
    assert run(["deploy", environment, "--yes"]) == exits.OK
    assert "update-termination-protection --enable-termination-protection" in capsys.readouterr().err


def test_a_stack_that_took_over_what_an_earlier_one_left_is_deployed_as_any_other(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The how-to's way back after a stack was deleted: import, and then deploy. The keys stay the same."""
    it = deploy(ministack, environment)
    first = it.deployment()
    assert first is not None
    client = ministack.client("cloudformation")
    client.update_termination_protection(StackName=it.stack, EnableTerminationProtection=False)
    client.delete_stack(StackName=it.stack)
    client.get_waiter("stack_delete_complete").wait(StackName=it.stack, WaiterConfig={"Delay": 1})
    left = {
        "EnvelopeKey": ("AWS::KMS::Key", {"KeyId": first.outputs["EnvelopeKeyArn"].rpartition("/")[2]}),
        "TableKey": ("AWS::KMS::Key", {"KeyId": first.outputs["TableKeyArn"].rpartition("/")[2]}),
        "EnvelopeKeyAlias": ("AWS::KMS::Alias", {"AliasName": f"alias/{it.stack}"}),
        "TableKeyAlias": ("AWS::KMS::Alias", {"AliasName": f"alias/{it.stack}/table"}),
        "Table": ("AWS::DynamoDB::Table", {"TableName": it.stack}),
    }
    client.create_change_set(
        StackName=it.stack,
        ChangeSetName="take-over",
        ChangeSetType="IMPORT",
        TemplateBody=import_template(),
        Parameters=[{"ParameterKey": "EnvironmentName", "ParameterValue": environment}],
        ResourcesToImport=[
            {"LogicalResourceId": name, "ResourceType": kind, "ResourceIdentifier": identifier}
            for name, (kind, identifier) in left.items()
        ],
    )
    client.execute_change_set(StackName=it.stack, ChangeSetName="take-over")
    client.get_waiter("stack_import_complete").wait(StackName=it.stack, WaiterConfig={"Delay": 1})

    assert run(["deploy", environment, "--yes"]) == exits.OK
    capsys.readouterr()
    assert run(["deploy", environment, "--yes", "--parameter", "PointInTimeRecoveryDays=7"]) == exits.OK
    assert first.outputs["EnvelopeKeyArn"] in capsys.readouterr().out


def test_a_change_of_the_outputs_alone_is_deployed_too(
    environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS makes a change set without resources for it, which the engine does not."""
    ministack_plan = Deployer.plan

    def outputs_only(it: Deployer, parameters: dict[str, str]) -> Plan:
        return replace(ministack_plan(it, parameters), changes=())

    monkeypatch.setattr(Deployer, "plan", outputs_only)
    assert run(["deploy", environment, "--yes"]) == exits.OK
    assert "only the outputs of the stack change\n" in capsys.readouterr().err


def test_a_profile_that_does_not_exist_is_a_configuration_error(
    shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["deploy", "dev", "--yes", "--profile", "nobody"]) == exits.USAGE
    assert "error: the AWS profile nobody does not exist" in capsys.readouterr().err


def test_parameters_come_from_the_configuration_and_the_command_goes_before(
    environment: str,
    shell: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Numbers and TOML's true and false too; without policies nobody is asked about IAM."""
    (tmp_path / "dynastash.toml").write_text(
        f"[env.{environment}.parameters]\n"
        'PointInTimeRecoveryDays = 7\nManagedPolicies = "none"\nMultiRegionKey = true\n'
    )
    monkeypatch.chdir(tmp_path)
    options = ["--yes", "-o", "json", "--parameter", "PointInTimeRecoveryDays=9"]
    assert run(["deploy", environment, *options]) == exits.OK
    data = json.loads(capsys.readouterr().out)
    assert not POLICIES & {name.removesuffix("Arn") for name in data["outputs"]}
    client = boto3.client("cloudformation", endpoint_url=shell["AWS_ENDPOINT_URL"], region_name="eu-west-1")
    (found,) = client.describe_stacks(StackName=f"dynastash-{environment}")["Stacks"]
    values = {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
    assert (values["PointInTimeRecoveryDays"], values["ManagedPolicies"]) == ("9", "none")
    assert values["MultiRegionKey"] == "true"


def test_a_change_set_can_be_left_for_somebody_else(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is executed as the hint says, and nothing has happened before."""
    assert run(["deploy", environment, "--no-execute"]) == exits.OK
    err = capsys.readouterr().err
    assert not has_table(ministack, f"dynastash-{environment}")
    name = err.partition("left the change set ")[2].partition(";")[0]
    assert f"aws cloudformation execute-change-set --change-set-name {name} --stack-name dynastash-{environment}" in err
    client = ministack.client("cloudformation")
    client.execute_change_set(ChangeSetName=name, StackName=f"dynastash-{environment}")
    client.get_waiter("stack_create_complete").wait(StackName=f"dynastash-{environment}", WaiterConfig={"Delay": 1})
    assert run(["deploy", environment, "--no-execute"]) == exits.OK
    assert "is up to date" in capsys.readouterr().err


def test_what_was_changed_past_cloudformation_is_shown(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    it = deploy(ministack, environment)
    assert run(["deploy", environment, "--dry-run", "--drift"]) == exits.OK
    assert "nothing was changed past CloudFormation" in capsys.readouterr().err
    ministack.client("dynamodb").update_table(TableName=it.stack, DeletionProtectionEnabled=False)
    assert run(["deploy", environment, "--dry-run", "--drift"]) == exits.OK
    out = capsys.readouterr().out
    assert "DeletionProtectionEnabled" in out
    assert run(["deploy", environment, "--dry-run", "--drift", "-o", "json"]) == exits.OK
    (drift,) = json.loads(capsys.readouterr().out)["drift"]
    assert (drift["resource"], drift["property"], drift["actual"]) == ("Table", "DeletionProtectionEnabled", "false")


def test_a_deleted_stack_leaves_table_keys_and_secrets(
    ministack: Engine, environment: str, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Although it was protected; the policies go, which hold nothing."""
    deploy(ministack, environment)
    assert run(["-e", environment, "put", "app/password", "correct horse"]) == exits.OK
    capsys.readouterr()
    assert run(["deploy", environment, "--delete", "--dry-run"]) == exits.OK
    assert f"dynastash-{environment}" in capsys.readouterr().out
    assert run(["deploy", environment, "--delete"]) == exits.USAGE
    assert has_stack(ministack, environment)
    capsys.readouterr()

    assert run(["deploy", environment, "--delete", "--yes", "-o", "json"]) == exits.OK
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["deleted"] is True
    assert data["kept"]["TableName"] == f"dynastash-{environment}"
    assert len(data["removed"]) == len(POLICIES)
    assert "the table and the keys stay, and every secret with them" in err
    assert not has_stack(ministack, environment)
    assert usable_keys(ministack, environment) == 2
    assert run(["-e", environment, "get", "app/password"]) == exits.OK
    assert capsys.readouterr().out == "correct horse"
    assert run(["deploy", environment, "--delete", "--yes"]) == exits.OTHER
    assert "there is no stack" in capsys.readouterr().err
