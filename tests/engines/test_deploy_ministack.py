"""Deploying on a running CloudFormation: change sets made, looked at, executed, rolled back and thrown away."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.config import Environment
from dynastash.deploy import Deployer, template
from dynastash.errors import DeployError
from dynastash.wiring import open_environment
from tests.engines.engine import Engine

pytestmark = pytest.mark.engine

EVERYTHING = {"EnvelopeKey", "EnvelopeKeyAlias", "Table", "TableKey", "TableKeyAlias"}
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
    assert (plan.action, {(change.action, change.logical_id) for change in plan.changes}) == (
        "create",
        {("add", name) for name in EVERYTHING},
    )
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
