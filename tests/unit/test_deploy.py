"""Deploying, against a script of CloudFormation's answers: what no emulator shows on demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import boto3
import pytest
from botocore import exceptions as boto
from botocore.stub import ANY, Stubber

from dynastash.aws.base import AwsSettings
from dynastash.deploy import Change, Deployer, Event, Plan, make_client, stack_name, template
from dynastash.deploy.wire import translated
from dynastash.errors import (
    ConfigError,
    CredentialsError,
    DeployAccessDeniedError,
    DeployError,
    DeployUnavailableError,
    DynastashError,
    InvalidArgumentError,
    InvalidNameError,
)
from dynastash.testing.fakes import FakeClock

STACK = "dynastash-dev"
STACK_ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/dynastash-dev/1"
CHANGE_SET = "arn:aws:cloudformation:eu-west-1:111122223333:changeSet/dynastash-1/2"
KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234"
PARAMETERS = ["EnvironmentName", "TableName", "KeyAlias", "PointInTimeRecoveryDays", "AllowMoveBetweenKeys"]


class Script:
    """CloudFormation, answering in a fixed order; a call out of order, or one that is missing, is an error."""

    def __init__(self) -> None:
        self.client: Any = boto3.Session(
            aws_access_key_id="AKIATESTTESTTESTTEST", aws_secret_access_key="not-a-secret", region_name="eu-west-1"
        ).client("cloudformation")
        self.stub = Stubber(self.client)
        self.clock = FakeClock()

    def deployer(self, **options: Any) -> Deployer:
        return Deployer(self.client, "dev", clock=self.clock, **options)

    def answer(self, operation: str, reply: dict[str, Any], expected: dict[str, Any] | None = None) -> Script:
        self.stub.add_response(operation, reply, expected)
        return self

    def refuse(self, operation: str, code: str, message: str = "no") -> Script:
        self.stub.add_client_error(operation, code, message)
        return self

    def stack(self, status: str | None, **fields: Any) -> Script:
        """DescribeStacks shows the environment's stack in ``status``; None: there is none."""
        if status is None:
            return self.refuse("describe_stacks", "ValidationError", f"Stack with id {STACK} does not exist")
        shown = {"StackName": STACK, "StackId": STACK_ID, "StackStatus": status, "CreationTime": datetime.now(UTC)}
        mine = {
            "Parameters": given(EnvironmentName="dev", TableName="", KeyAlias=""),
            "Outputs": [
                {"OutputKey": "EnvelopeKeyArn", "OutputValue": KEY_ARN},
                {"OutputKey": "EnvelopeKeyAlias", "OutputValue": "alias/dynastash-dev"},
            ],
        }
        return self.answer("describe_stacks", {"Stacks": [{**shown, **mine, **fields}]})

    def declares(self) -> Script:
        """ValidateTemplate shows the template's parameters."""
        return self.answer("validate_template", {"Parameters": [{"ParameterKey": name} for name in PARAMETERS]})

    def created(self, kind: Any = ANY, parameters: Any = ANY) -> Script:
        """CreateChangeSet, which must have been asked for ``parameters``."""
        expected = {
            "StackName": STACK,
            "ChangeSetName": ANY,
            "ChangeSetType": kind,
            "ClientToken": ANY,
            "Description": ANY,
            "TemplateBody": template(),
            "Parameters": parameters,
        }
        return self.answer("create_change_set", {"Id": CHANGE_SET, "StackId": STACK_ID}, expected)

    def computed(self, status: str = "CREATE_COMPLETE", reason: str = "", *changes: dict[str, Any]) -> Script:
        shown = [{"Type": "Resource", "ResourceChange": change} for change in changes]
        return self.answer("describe_change_set", {"Status": status, "StatusReason": reason, "Changes": shown})

    def discarded(self) -> Script:
        """The change set is deleted, and it was the stack's only content or not."""
        return self.answer("delete_change_set", {}, {"ChangeSetName": CHANGE_SET})

    def events(self, *events: dict[str, Any], more: bool = False) -> Script:
        page: dict[str, Any] = {"StackEvents": list(events)}
        return self.answer("describe_stack_events", page | ({"NextToken": "more"} if more else {}))


@pytest.fixture
def script() -> Iterator[Script]:
    """Ends in an error if something that was to happen did not."""
    script = Script()
    with script.stub:
        yield script
        script.stub.assert_no_pending_responses()


def plan(action: str = "update", *changes: Change) -> Plan:
    return Plan(
        environment="dev", stack=STACK, stack_id=STACK_ID, action=action, change_set=CHANGE_SET, changes=changes
    )


_SERIAL = iter(range(1_000_000))


def event(status: str, logical_id: str = STACK, reason: str = "", kind: str = "AWS::KMS::Key") -> dict[str, Any]:
    mine = logical_id == STACK
    return {
        "StackId": STACK_ID,
        "EventId": f"{next(_SERIAL)}",
        "StackName": STACK,
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": STACK_ID if mine else logical_id,
        "ResourceType": "AWS::CloudFormation::Stack" if mine else kind,
        "Timestamp": datetime.now(UTC),
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def given(**parameters: str) -> list[dict[str, Any]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


# Names


def test_the_template_is_the_one_in_the_package() -> None:
    assert template() == (resources.files("dynastash.cloudformation") / "environment.yaml").read_text("utf-8")


def test_the_stack_is_named_after_the_environment() -> None:
    assert stack_name("dev") == "dynastash-dev"
    with pytest.raises(InvalidNameError):
        stack_name("Dev")


# Planning


def test_a_first_deployment_is_a_creation(script: Script) -> None:
    """With the template's own defaults, and what it would make is described."""
    add = {"Action": "Add", "LogicalResourceId": "Table", "ResourceType": "AWS::DynamoDB::Table"}
    script.stack(None).declares().created("CREATE", given(EnvironmentName="dev", TableName="", KeyAlias=""))
    script.computed("CREATE_PENDING").computed("CREATE_IN_PROGRESS").computed("CREATE_COMPLETE", "", add)
    assert script.deployer(table="dynastash-dev", key="alias/dynastash-dev").plan() == plan(
        "create", Change(action="add", logical_id="Table", type="AWS::DynamoDB::Table")
    )
    assert script.clock.slept == [2.0, 2.0]


def test_a_plan_that_nobody_decided_on_is_no_obstacle(script: Script) -> None:
    """CloudFormation makes an empty stack to hold a change set; it stays when its maker is killed."""
    script.stack("REVIEW_IN_PROGRESS").declares().created("CREATE").computed()
    assert script.deployer().plan().action == "create"


def test_an_update_keeps_the_parameters_that_are_not_given(script: Script) -> None:
    """But never a parameter that a newer template has dropped."""
    stack = {"AllowMoveBetweenKeys": "true", "PointInTimeRecoveryDays": "7", "Dropped": "x"}
    stack |= {"EnvironmentName": "dev", "TableName": "", "KeyAlias": ""}
    wanted = given(PointInTimeRecoveryDays="9", EnvironmentName="dev", TableName="", KeyAlias="")
    wanted.append({"ParameterKey": "AllowMoveBetweenKeys", "UsePreviousValue": True})
    script.stack("UPDATE_COMPLETE", Parameters=given(**stack)).declares().created("UPDATE", wanted).computed()
    assert script.deployer().plan({"PointInTimeRecoveryDays": "9"}) == plan("update")


@pytest.mark.parametrize(
    ("table", "key", "table_name", "alias"),
    [
        (None, None, "", ""),
        ("team", "alias/team", "team", "alias/team"),
        ("dynastash-dev", "arn:aws:kms:eu-west-1:111122223333:alias/team/x", "dynastash-dev", "alias/team/x"),
        ("dynastash-dev", KEY_ARN, "", ""),
        ("dynastash-dev", "1234", "", ""),
    ],
)
def test_what_is_deployed_is_what_the_configuration_says(
    script: Script, table: str | None, key: str | None, table_name: str, alias: str
) -> None:
    """A table, an alias, an alias's ARN; the ARN or id of the key that the stack itself made."""
    wanted = given(EnvironmentName="dev", TableName="" if table == STACK else table_name, KeyAlias=alias)
    script.stack("CREATE_COMPLETE").declares().created("UPDATE", wanted).computed()
    script.deployer(table=table, key=key).plan()


@pytest.mark.parametrize("status", [None, "CREATE_COMPLETE"])
def test_a_key_of_somebody_else_is_not_deployed_around(script: Script, status: str | None) -> None:
    """The stack would make a key that nobody uses."""
    script.stack(status)
    with pytest.raises(DeployError, match="a key that its stack did not make") as caught:
        script.deployer(key="arn:aws:kms:eu-west-1:111122223333:key/other").plan()
    assert caught.value.hint == "set key to an alias, or leave it out, and the stack makes the key"


@pytest.mark.parametrize("name", ["EnvironmentName", "TableName", "KeyAlias"])
def test_names_come_from_the_configuration_only(script: Script, name: str) -> None:
    """Else what is deployed would not be what is used. Refused before any call."""
    with pytest.raises(InvalidArgumentError, match=f"{name} cannot be given"):
        script.deployer().plan({name: "x"})


def test_an_unknown_parameter_is_refused_with_those_that_exist(script: Script) -> None:
    script.stack(None).declares()
    with pytest.raises(InvalidArgumentError, match="the template has no parameter Days") as caught:
        script.deployer().plan({"Days": "7"})
    assert caught.value.hint == "it has AllowMoveBetweenKeys, PointInTimeRecoveryDays"


@pytest.mark.parametrize(
    "reason", ["The submitted information didn't contain changes.", "No updates are to be performed."]
)
def test_no_changes_is_a_plan_too(script: Script, reason: str) -> None:
    """CloudFormation calls it a failed change set; it is deleted."""
    script.stack("CREATE_COMPLETE").declares().created().computed("FAILED", reason).discarded().stack("CREATE_COMPLETE")
    found = script.deployer().plan()
    assert (found.change_set, found.changes) == (None, ())
    assert list(script.deployer().apply(found)) == []
    script.deployer().discard(found)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([], "CloudFormation gave up: the table is cursed"),
        ([("HOOK", "Table", "x")], "CloudFormation gave up: the table is cursed"),
        ([("VALIDATION_ERROR", "Table", "x is bad")], "CloudFormation gave up: Table: x is bad"),
    ],
)
def test_a_change_set_that_fails_says_why(script: Script, checks: list[tuple[str, str, str]], said: str) -> None:
    """In the words of the validation where there are any. The change set and its empty stack go."""
    script.stack(None).declares().created().computed("FAILED", "the table is cursed.")
    found = [
        {"EventType": kind, "LogicalResourceId": resource, "ValidationStatusReason": reason}
        for kind, resource, reason in checks
    ]
    wanted = {"ChangeSetName": CHANGE_SET, "Filters": {"FailedEvents": True}}
    script.answer("describe_events", {"OperationEvents": found}, wanted).discarded().stack("REVIEW_IN_PROGRESS")
    script.answer("list_change_sets", {"Summaries": []}).answer("delete_stack", {}, {"StackName": STACK_ID}).stack(None)
    with pytest.raises(DeployError) as caught:
        script.deployer().plan()
    assert (str(caught.value), caught.value.hint) == (said, "nothing was changed; mend the cause and deploy again")


def test_a_boto3_without_describe_events_still_says_why(script: Script) -> None:
    """The operation is younger than the oldest boto3 that works."""

    class Older:
        def __getattr__(self, name: str) -> Any:
            if name == "describe_events":
                raise AttributeError(name)
            return getattr(script.client, name)

    script.stack("CREATE_COMPLETE").declares().created().computed("FAILED", "the table is cursed.").discarded()
    script.stack("CREATE_COMPLETE")
    older: Any = Older()
    with pytest.raises(DeployError, match="the table is cursed"):
        Deployer(older, "dev", clock=script.clock).plan()


def test_a_stack_that_may_not_be_seen_is_not_taken_for_none(script: Script) -> None:
    """Else it would be created again."""
    script.refuse("describe_stacks", "AccessDenied", "User: x is not authorized to perform DescribeStacks")
    with pytest.raises(DeployError, match="not allowed to call cloudformation:DescribeStacks"):
        script.deployer().plan()


def test_what_is_left_of_an_earlier_stack_is_named_as_such(script: Script) -> None:
    script.stack(None).declares().created().computed("FAILED", "dynastash-dev already exists")
    script.refuse("describe_events", "AccessDenied").discarded().stack(None)
    with pytest.raises(DeployError, match="already exists") as caught:
        script.deployer().plan()
    assert "the how-to on deploying says how to take it over" in str(caught.value.hint)


def test_a_change_set_that_takes_forever_is_given_up(script: Script) -> None:
    script.stack("CREATE_COMPLETE").declares().created()
    for _ in range(4):
        script.computed("CREATE_IN_PROGRESS")
    script.discarded().stack("CREATE_COMPLETE")
    with pytest.raises(DeployError, match="did not compute the change in 300 seconds"):
        script.deployer(poll=100.0).plan()


def test_an_interrupted_plan_is_cleaned_up(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while CloudFormation computes leaves neither the change set nor its empty stack."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(script.clock, "sleep", interrupt)
    script.stack(None).declares().created().computed("CREATE_PENDING").discarded().stack("REVIEW_IN_PROGRESS")
    script.answer("list_change_sets", {"Summaries": []}).answer("delete_stack", {}).stack(None)
    with pytest.raises(KeyboardInterrupt):
        script.deployer().plan()


# Stacks that cannot be changed


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_another_operation_is_waited_for(script: Script, status: str) -> None:
    script.stack(status)
    with pytest.raises(DeployError, match=f"another operation on the stack {STACK} is under way") as caught:
        script.deployer().plan()
    assert str(caught.value.hint).startswith("wait until it is done")


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("ROLLBACK_COMPLETE", "aws cloudformation delete-stack --stack-name dynastash-dev"),
        ("ROLLBACK_FAILED", "aws cloudformation delete-stack --stack-name dynastash-dev"),
        ("CREATE_FAILED", "aws cloudformation delete-stack --stack-name dynastash-dev"),
        ("DELETE_FAILED", "aws cloudformation delete-stack --stack-name dynastash-dev"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name dynastash-dev"),
        ("IMPORT_ROLLBACK_FAILED", "aws cloudformation describe-stack-events --stack-name dynastash-dev"),
    ],
)
def test_a_stuck_stack_comes_with_the_way_out(script: Script, status: str, command: str) -> None:
    script.stack(status)
    with pytest.raises(DeployError, match=f"cannot be changed \\({status}\\)") as caught:
        script.deployer().plan()
    assert command in str(caught.value.hint)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"Parameters": []}, id="another template"),
        pytest.param(
            {"Parameters": given(EnvironmentName="prod", TableName="", KeyAlias="")}, id="another environment"
        ),
        pytest.param({"Parameters": given(EnvironmentName="dev")}, id="a template with such a parameter"),
    ],
)
def test_a_stack_of_somebody_else_is_left_alone(script: Script, fields: dict[str, Any]) -> None:
    script.stack("CREATE_COMPLETE", **fields)
    with pytest.raises(DeployError, match="that is not the environment dev"):
        script.deployer().plan()


# Applying


def test_progress_is_told_from_the_oldest_event_and_once(script: Script) -> None:
    """From the start of this operation on, over pages, until the stack itself has announced its end."""
    old, start = event("REVIEW_IN_PROGRESS"), event("CREATE_IN_PROGRESS")
    key, table, end = event("CREATE_COMPLETE", "Key"), event("CREATE_COMPLETE", "Table"), event("CREATE_COMPLETE")
    wanted = {
        "ChangeSetName": CHANGE_SET,
        "ClientRequestToken": ANY,
        "DisableRollback": False,
        "RetainExceptOnCreate": True,
    }
    script.events(old).answer("execute_change_set", {}, wanted)
    script.stack("CREATE_IN_PROGRESS").events(start, old)
    script.stack("CREATE_COMPLETE").events(end, table, more=True).events(key, start, old)
    script.answer("update_termination_protection", {}, {"StackName": STACK_ID, "EnableTerminationProtection": True})
    told = list(script.deployer().apply(plan("create")))
    assert told == [Event.of(raw) for raw in (start, key, table, end)]
    assert script.clock.slept == [2.0]


def test_the_old_status_is_not_taken_for_the_end(script: Script) -> None:
    """Right after the start of an update DescribeStacks may still show the end of the one before."""
    old, end = event("UPDATE_COMPLETE"), event("UPDATE_COMPLETE")
    script.events(old).answer("execute_change_set", {})
    script.stack("UPDATE_COMPLETE").events(old)
    script.stack("UPDATE_COMPLETE").events(event("UPDATE_COMPLETE", "Table"), old)
    script.stack("UPDATE_COMPLETE").events(end, old)
    assert [told.logical_id for told in script.deployer().apply(plan())] == ["Table", STACK]


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "the environment is as it was before; mend the cause and deploy again"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name dynastash-dev"),
        ("ROLLBACK_COMPLETE", "delete-stack --stack-name dynastash-dev"),
        ("ROLLBACK_FAILED", "delete-stack --stack-name dynastash-dev"),
        ("DELETE_COMPLETE", "describe-stack-events --stack-name dynastash-dev"),
    ],
)
def test_a_failure_names_the_first_resource_that_failed(script: Script, status: str, hint: str) -> None:
    """Not those that were only cancelled because of it, nor what went wrong later."""
    script.events().answer("execute_change_set", {})
    script.stack(status).events(
        event(status),
        event("DELETE_FAILED", "Table", "too late"),
        event("ROLLBACK_IN_PROGRESS", reason="the following resources failed"),
        event("UPDATE_FAILED", "Table", "you are not allowed."),
        event("UPDATE_FAILED", "Key", "Resource update cancelled"),
    )
    told: list[Event] = []
    with pytest.raises(DeployError) as caught:
        told.extend(script.deployer().apply(plan("create")))
    assert str(caught.value) == "CloudFormation gave up: Table: you are not allowed"
    assert hint in str(caught.value.hint)


def test_a_failed_validation_is_told_in_full(script: Script) -> None:
    """CloudFormation checks before it deploys, and the event only says where to look."""
    script.events().answer("execute_change_set", {})
    script.stack("UPDATE_ROLLBACK_COMPLETE").events(
        event("UPDATE_ROLLBACK_COMPLETE"),
        event("UPDATE_FAILED", reason="Validation failed with 1 error(s). Call DescribeEvents to retrieve the list"),
    )
    found = {"EventType": "VALIDATION_ERROR", "LogicalResourceId": "Table", "ValidationStatusReason": "no such mode"}
    wanted = {"StackName": STACK_ID, "Filters": {"FailedEvents": True}}
    script.answer("describe_events", {"OperationEvents": [found]}, wanted)
    with pytest.raises(DeployError, match="CloudFormation gave up: Table: no such mode"):
        list(script.deployer().apply(plan()))


def test_a_stack_that_vanishes_ends_the_wait(script: Script) -> None:
    script.events().answer("execute_change_set", {}).stack(None).events()
    with pytest.raises(DeployError, match="gave up: DELETE_COMPLETE"):
        list(script.deployer().apply(plan()))


ABANDONED = Change(action="modify", logical_id="Table", type="AWS::DynamoDB::Table", replacement="yes")


def test_nobody_replaces_the_table_by_accident(script: Script) -> None:
    """The new one would be empty. Refused before any call; done when it is meant."""
    with pytest.raises(DeployError, match="would replace or remove Table") as caught:
        list(script.deployer().apply(plan("update", ABANDONED)))
    assert "allow the replacement on purpose" in str(caught.value.hint)
    end = event("UPDATE_COMPLETE")
    script.events().answer("execute_change_set", {}).stack("UPDATE_COMPLETE").events(end)
    assert list(script.deployer().apply(plan("update", ABANDONED), allow_replacement=True)) == [Event.of(end)]


@pytest.mark.parametrize("code", ["InvalidChangeSetStatus", "ChangeSetNotFound"])
def test_a_plan_that_somebody_else_overtook_is_refused(script: Script, code: str) -> None:
    script.events().refuse("execute_change_set", code)
    with pytest.raises(DeployError, match="the change set is out of date") as caught:
        list(script.deployer().apply(plan()))
    assert caught.value.hint == "somebody else deployed; deploy again"


def test_losing_sight_of_the_stack_is_not_its_end(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.events().answer("execute_change_set", {})

    def unreachable(**_: Any) -> None:
        raise boto.EndpointConnectionError(endpoint_url="https://cloudformation.example")

    monkeypatch.setattr(script.client, "describe_stacks", unreachable)
    with pytest.raises(DeployError, match="CloudFormation cannot be reached") as caught:
        list(script.deployer().apply(plan()))
    assert str(caught.value.hint).startswith("the stack goes on by itself; look at it with aws cloudformation")


def test_protection_that_is_denied_is_reported_and_no_failure(script: Script) -> None:
    """The environment works; the caller sees that its stack can be deleted."""
    script.events().answer("execute_change_set", {}).stack("CREATE_COMPLETE").events(event("CREATE_COMPLETE"))
    script.refuse("update_termination_protection", "AccessDenied").stack("CREATE_COMPLETE")
    assert len(list(script.deployer().apply(plan("create")))) == 1
    deployment = script.deployer().deployment()
    assert deployment is not None
    assert (deployment.protected, deployment.outputs["EnvelopeKeyArn"]) == (False, KEY_ARN)


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS"])
def test_without_a_stack_there_is_no_deployment(script: Script, status: str | None) -> None:
    assert script.stack(status).deployer().deployment() is None


# Discarding


def test_discarding_a_first_plan_removes_its_empty_stack(script: Script) -> None:
    """Waiting until it is gone, or the next deployment would run into the deletion."""
    script.discarded().stack("REVIEW_IN_PROGRESS").answer(
        "list_change_sets", {"Summaries": [{"ChangeSetId": CHANGE_SET}]}
    )
    script.answer("delete_stack", {}, {"StackName": STACK_ID})
    script.stack("REVIEW_IN_PROGRESS").stack("DELETE_IN_PROGRESS").stack("DELETE_COMPLETE")
    script.deployer().discard(plan("create"))
    assert script.clock.slept == [2.0, 2.0]


def test_discarding_waits_no_longer_than_a_minute(script: Script) -> None:
    """The deletion goes on by itself."""
    script.discarded().stack("REVIEW_IN_PROGRESS").answer("list_change_sets", {"Summaries": []})
    script.answer("delete_stack", {}).stack("DELETE_IN_PROGRESS").stack("DELETE_IN_PROGRESS")
    script.deployer(poll=30.0).discard(plan("create"))


def test_discarding_leaves_the_plan_of_somebody_else(script: Script) -> None:
    """Deleting the empty stack would delete their change set too."""
    script.discarded().stack("REVIEW_IN_PROGRESS").answer(
        "list_change_sets", {"Summaries": [{"ChangeSetId": "theirs"}]}
    )
    script.deployer().discard(plan("create"))


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_COMPLETE"])
def test_discarding_never_deletes_a_stack_that_lives(script: Script, status: str) -> None:
    """Not even one whose creation somebody else has started since."""
    script.discarded().stack(status)
    script.deployer().discard(plan("create"))


# Changes


@pytest.mark.parametrize(
    ("kind", "action", "replacement", "recreation", "abandons"),
    [
        ("AWS::DynamoDB::Table", "Modify", "True", "Always", True),
        ("AWS::DynamoDB::Table", "Modify", "Conditional", "Always", True),
        ("AWS::DynamoDB::Table", "Modify", "Conditional", "Conditionally", False),
        ("AWS::DynamoDB::Table", "Modify", "False", "Never", False),
        ("AWS::DynamoDB::Table", "Remove", "", "Never", True),
        ("AWS::DynamoDB::Table", "Add", "", "Never", False),
        ("AWS::KMS::Key", "Modify", "True", "Always", True),
        ("AWS::KMS::Key", "Remove", "", "Never", True),
        ("AWS::KMS::Alias", "Modify", "True", "Always", False),
    ],
)
def test_what_would_leave_secrets_behind_is_recognized(
    kind: str, action: str, replacement: str, recreation: str, abandons: bool
) -> None:
    target = {"Attribute": "Properties", "Name": "TableName", "RequiresRecreation": recreation}
    change = Change.of(
        {
            "Action": action,
            "LogicalResourceId": "It",
            "ResourceType": kind,
            "Replacement": replacement,
            "Details": [{"Target": target}, {"Target": target}, {"Target": {"Attribute": "Tags"}}],
        }
    )
    assert change.abandons is abandons
    assert change.properties == ("TableName", "Tags")
    assert change.replacement == {"True": "yes", "Conditional": "maybe"}.get(replacement, "no")


def test_a_plan_says_where_it_will_happen() -> None:
    assert plan().where == "account 111122223333, eu-west-1"


# Foreign exceptions


def refusal(code: str, message: str = "no.", operation: str = "CreateChangeSet") -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            refusal("AccessDenied", "User: x is not authorized"),
            DeployAccessDeniedError,
            "not allowed to call cloudformation:Create",
        ),
        (refusal("ExpiredToken"), CredentialsError, "expired"),
        (refusal("InvalidClientTokenId"), CredentialsError, "does not know"),
        (refusal("AccessDenied", "no.", "AssumeRole"), CredentialsError, "the role cannot be assumed: no"),
        (
            refusal("ValidationError", "bad parameter."),
            DeployError,
            "refused CreateChangeSet: bad parameter .Validation",
        ),
        (
            refusal("ValidationError", "Stack is in UPDATE_IN_PROGRESS state and can not be updated"),
            DeployError,
            "another operation on the stack is under way",
        ),
        (refusal("AlreadyExistsException"), DeployError, "another operation on the stack is under way"),
        (boto.NoCredentialsError(), CredentialsError, "no AWS credentials"),
        (boto.EndpointConnectionError(endpoint_url="https://x"), DeployUnavailableError, "cannot be reached"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), DeployUnavailableError, "cannot be reached"),
        (boto.NoRegionError(), ConfigError, "no AWS region"),
        (boto.ParamValidationError(report="TemplateBody too long"), DeployError, "malformed: .*TemplateBody too long"),
    ],
)
def test_exceptions_of_boto_become_ours(error: Exception, kind: type[DynastashError], message: str) -> None:
    """With the original kept as the cause."""
    with pytest.raises(DynastashError, match=message) as caught, translated():
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error
    assert not str(caught.value).endswith(".")


def test_a_client_needs_a_region() -> None:
    with pytest.raises(ConfigError, match="no AWS region"):
        make_client(AwsSettings())


def test_a_client_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = AwsSettings(region="eu-west-1", endpoint_url="http://127.0.0.1:9")
    client = make_client(settings)
    assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-west-1", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert make_client(AwsSettings()).meta.region_name == "eu-north-1"
