"""The environment's template: every protection that emulators drop, and what its key policies allow and refuse."""

from __future__ import annotations

import functools
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dynastash.errors import InvalidNameError
from dynastash.models import check_environment
from dynastash.policy.document import MANAGED_LIMIT, Access, Target, policy_document, size
from dynastash.policy.names import BY_TAG, EVERYTHING
from tests import cfn, iam
from tests.policies import plain

ACCOUNT = cfn.PSEUDO["AWS::AccountId"]
USER = f"arn:aws:iam::{ACCOUNT}:user/someone"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
STRANGER = "arn:aws:iam::999988887777:user/someone"
ALL_OF_KMS = {"Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}
ENV, NAME, SAME_KEY = (
    "kms:EncryptionContext:dynastash:env",
    "kms:EncryptionContext:dynastash:name",
    "kms:ReEncryptOnSameKey",
)
USES = ["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"]
MOVES = ["kms:ReEncryptFrom", "kms:ReEncryptTo"]
OLD_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/99999999-2222-3333-4444-555555555555"
MANAGEMENT = ["kms:DescribeKey", "kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CreateAlias"]


def text() -> str:
    return (resources.files("dynastash.cloudformation") / "environment.yaml").read_text(encoding="utf-8")


@functools.cache
def template() -> dict[str, Any]:
    return cfn.load(text())


def stack(**parameters: str) -> dict[str, Any]:
    return cfn.resolve(template(), {"EnvironmentName": "dev", **parameters})


def properties(logical_id: str, **parameters: str) -> dict[str, Any]:
    return stack(**parameters)["Resources"][logical_id]["Properties"]


def use_envelope_key(
    action: str, context: dict[str, str], *, principal: str = USER, identity: bool = True, **parameters: str
) -> bool:
    """Whether KMS would carry out a call on the envelope key by someone whose IAM policy allows all of KMS."""
    policy = properties("EnvelopeKey", **parameters)["KeyPolicy"]
    return iam.evaluate_key(policy, iam.Request(principal, action, context=context), [ALL_OF_KMS] if identity else [])


def use_table_key(action: str, context: dict[str, str], *, principal: str = USER, identity: bool = True) -> bool:
    """The same for the table's key."""
    policy = properties("TableKey")["KeyPolicy"]
    return iam.evaluate_key(policy, iam.Request(principal, action, context=context), [ALL_OF_KMS] if identity else [])


# The file


def test_the_package_ships_the_template_of_the_source_tree() -> None:
    """What importlib.resources finds is the file that operators find at the top of the repository."""
    assert text() == (Path(__file__).parents[2] / "cloudformation" / "environment.yaml").read_text(encoding="utf-8")


def test_the_template_fits_into_a_request() -> None:
    """CloudFormation takes a template's body up to 51,200 bytes; more would have to go through a bucket."""
    assert len(text().encode()) <= 51_200


POLICIES = {"ReaderPolicy", "WriterPolicy", "RotatorPolicy", "AdminPolicy"}


def test_only_the_managed_policies_need_a_capability() -> None:
    """And they can be left out: then deploying asks nobody to acknowledge IAM resources."""
    types = {name: resource["Type"] for name, resource in stack()["Resources"].items()}
    assert {name for name, kind in types.items() if kind.startswith("AWS::IAM::")} == POLICIES
    without = stack(ManagedPolicies="none")
    assert not POLICIES & without["Resources"].keys()
    assert not {f"{name}Arn" for name in POLICIES} & without["Outputs"].keys()


# The table


def test_the_table_has_the_key_schema_of_format_v1() -> None:
    table = properties("Table")
    assert table["KeySchema"] == [
        {"AttributeName": "name", "KeyType": "HASH"},
        {"AttributeName": "record", "KeyType": "RANGE"},
    ]
    assert table["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "by-namespace",
            "KeySchema": [
                {"AttributeName": "namespace", "KeyType": "HASH"},
                {"AttributeName": "name", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]
    assert {(d["AttributeName"], d["AttributeType"]) for d in table["AttributeDefinitions"]} == {
        ("name", "S"),
        ("record", "S"),
        ("namespace", "S"),
    }


def test_the_table_is_billed_on_demand() -> None:
    assert properties("Table")["BillingMode"] == "PAY_PER_REQUEST"


def test_the_table_is_protected_against_deletion() -> None:
    assert properties("Table")["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize(("given", "days"), [({}, 35), ({"PointInTimeRecoveryDays": "7"}, "7")])
def test_the_table_can_be_restored_to_a_point_in_time(given: dict[str, str], days: object) -> None:
    assert properties("Table", **given)["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": days,
    }


def test_tombstones_expire_by_the_attribute_ttl() -> None:
    assert properties("Table")["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_the_table_is_encrypted_under_a_key_of_its_own() -> None:
    """Sharing the envelope key would open its policy to every user of the table."""
    assert properties("Table")["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": "<TableKey.Arn>",
    }


def test_the_table_is_made_last() -> None:
    """It cannot be deleted once made, so nothing that can fail may come after it, or a creation could not roll back."""
    everything = stack()["Resources"]
    assert set(everything["Table"]["DependsOn"]) == {"EnvelopeKeyAlias", "TableKeyAlias", "PoliciesMade"}
    assert everything["PoliciesMade"]["Metadata"] == {name: f"<{name}>" for name in POLICIES}
    others = {"Table", "EnvelopeKey", "EnvelopeKeyAlias", "TableKey", "TableKeyAlias", "PoliciesMade"}
    assert set(everything) == others | POLICIES
    assert "<Table" not in str({name: everything[name] for name in POLICIES})
    for alias, key in (("EnvelopeKeyAlias", "EnvelopeKey"), ("TableKeyAlias", "TableKey")):
        assert everything[alias]["Properties"]["TargetKeyId"] == f"<{key}>"


# All of it


@pytest.mark.parametrize("logical_id", ["Table", "EnvelopeKey", "EnvelopeKeyAlias", "TableKey", "TableKeyAlias"])
def test_everything_outlives_the_stack(logical_id: str) -> None:
    """Neither deleting the stack nor replacing a resource destroys what secrets depend on."""
    resource = stack()["Resources"][logical_id]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("logical_id", ["EnvelopeKey", "TableKey"])
def test_keys_rotate_yearly_and_take_a_month_to_delete(logical_id: str) -> None:
    key = properties(logical_id)
    assert key["EnableKeyRotation"] is True
    assert key["RotationPeriodInDays"] == 365
    assert key["PendingWindowInDays"] == 30
    assert (key["KeySpec"], key["KeyUsage"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")


@pytest.mark.parametrize("logical_id", ["Table", "EnvelopeKey", "TableKey"])
def test_what_costs_money_names_its_environment(logical_id: str) -> None:
    assert properties(logical_id)["Tags"] == [{"Key": "dynastash:environment", "Value": "dev"}]


def test_names_follow_the_environment() -> None:
    assert properties("Table")["TableName"] == "dynastash-dev"
    assert properties("EnvelopeKeyAlias")["AliasName"] == "alias/dynastash-dev"
    assert properties("TableKeyAlias")["AliasName"] == "alias/dynastash-dev/table"


def test_names_can_be_given() -> None:
    given = {"TableName": "team-secrets", "KeyAlias": "alias/team/secrets"}
    assert properties("Table", **given)["TableName"] == "team-secrets"
    assert properties("EnvelopeKeyAlias", **given)["AliasName"] == "alias/team/secrets"


@pytest.mark.parametrize(
    "name", ["dev", "a", "a-b-0", "x" * 31, "", "A", "0a", "-a", "a_b", "x" * 32, "a/b", "a b", "ä"]
)
def test_the_template_takes_the_names_that_the_library_takes(name: str) -> None:
    """One alphabet for environments, in the template and in the library."""
    pattern = template()["Parameters"]["EnvironmentName"]["AllowedPattern"]
    try:
        accepted = check_environment(name) == name
    except InvalidNameError:
        accepted = False
    assert (re.fullmatch(pattern, name) is not None) is accepted


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("KeyAlias", "", True),
        ("KeyAlias", "alias/team/secrets", True),
        ("KeyAlias", "alias/aws/secrets", False),
        ("KeyAlias", "secrets", False),
        ("TableName", "", True),
        ("TableName", "team.secrets_1", True),
        ("TableName", "ab", False),
        ("TableName", "team/secrets", False),
    ],
)
def test_parameters_take_what_aws_takes(parameter: str, value: str, accepted: bool) -> None:
    pattern = template()["Parameters"][parameter]["AllowedPattern"]
    assert (re.fullmatch(pattern, value) is not None) is accepted


def test_other_stacks_can_import_the_environment() -> None:
    outputs = stack()["Outputs"]
    assert {name: (output["Value"], output["Export"]["Name"]) for name, output in outputs.items()} == {
        "TableName": ("<Table>", "dynastash-dev:TableName"),
        "TableArn": ("<Table.Arn>", "dynastash-dev:TableArn"),
        "EnvelopeKeyArn": ("<EnvelopeKey.Arn>", "dynastash-dev:EnvelopeKeyArn"),
        "EnvelopeKeyAlias": ("<EnvelopeKeyAlias>", "dynastash-dev:EnvelopeKeyAlias"),
        "TableKeyArn": ("<TableKey.Arn>", "dynastash-dev:TableKeyArn"),
        **{f"{name}Arn": (f"<{name}>", f"dynastash-dev:{name}Arn") for name in POLICIES},
    }
    # The characters that CloudFormation takes in the name of an export.
    assert all(re.fullmatch(r"[A-Za-z0-9:-]+", output["Export"]["Name"]) for output in outputs.values())


# The envelope key's policy


FULL = {ENV: "dev", NAME: "app/password", SAME_KEY: "true"}


@pytest.mark.parametrize("action", USES + MOVES)
def test_the_key_opens_with_this_environment_and_a_name(action: str) -> None:
    """The permission that each denial below takes away; without a permission in IAM there is none."""
    assert use_envelope_key(action, FULL)
    assert not use_envelope_key(action, FULL, identity=False)


@pytest.mark.parametrize("action", USES + MOVES)
@pytest.mark.parametrize(
    "context",
    [
        pytest.param(FULL | {ENV: "prod"}, id="another environment"),
        pytest.param(FULL | {ENV: "dev2"}, id="an environment that starts alike"),
        pytest.param(FULL | {ENV: "DEV"}, id="in other case"),
        pytest.param({NAME: "app/password", SAME_KEY: "true"}, id="no environment"),
        pytest.param({ENV: "dev", SAME_KEY: "true"}, id="no name"),
        pytest.param({SAME_KEY: "true"}, id="no context"),
    ],
)
@pytest.mark.parametrize("principal", [USER, ROOT])
def test_the_key_stays_shut_without_them(action: str, context: dict[str, str], principal: str) -> None:
    """Refused to everyone, the account's root included."""
    assert not use_envelope_key(action, context, principal=principal)


@pytest.mark.parametrize(
    "action", ["kms:Encrypt", "kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext"]
)
@pytest.mark.parametrize("principal", [USER, ROOT])
def test_nobody_wraps_a_data_key_of_their_own(action: str, principal: str) -> None:
    assert use_envelope_key("kms:GenerateDataKey", FULL, principal=principal)
    assert not use_envelope_key(action, FULL, principal=principal)


@pytest.mark.parametrize("action", MOVES)
@pytest.mark.parametrize(
    "context",
    [
        pytest.param(FULL | {SAME_KEY: "false"}, id="another key"),
        pytest.param({ENV: "dev", NAME: "app/password"}, id="not said"),
    ],
)
def test_data_keys_stay_under_the_key_unless_a_move_is_on(action: str, context: dict[str, str]) -> None:
    """Re-encryption to a key of one's own would be decryption; from one, a chosen data key."""
    assert use_envelope_key(action, FULL)
    assert not use_envelope_key(action, context)
    assert use_envelope_key(action, context, AllowMoveBetweenKeys="true")


@pytest.mark.parametrize("action", USES + MOVES)
def test_a_move_between_keys_lifts_nothing_else(action: str) -> None:
    move = {"AllowMoveBetweenKeys": "true"}
    assert use_envelope_key(action, FULL | {SAME_KEY: "false"}, **move)
    assert not use_envelope_key(action, FULL | {SAME_KEY: "false", ENV: "prod"}, **move)
    assert not use_envelope_key(action, {ENV: "dev", SAME_KEY: "false"}, **move)
    assert not use_envelope_key("kms:Encrypt", FULL, **move)


@pytest.mark.parametrize("action", MANAGEMENT)
def test_the_denials_leave_the_envelope_key_manageable(action: str) -> None:
    """Management sends no encryption context and must work all the same, or nobody could mend the policy."""
    assert use_envelope_key(action, {})
    assert use_envelope_key(action, {}, principal=ROOT)
    assert not use_envelope_key(action, {}, principal=STRANGER)


def test_another_account_cannot_use_the_envelope_key() -> None:
    assert use_envelope_key("kms:Decrypt", FULL)
    assert not use_envelope_key("kms:Decrypt", FULL, principal=STRANGER)


# The table key's policy


THROUGH_DYNAMODB = {"kms:CallerAccount": ACCOUNT, "kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"])
def test_the_table_key_is_used_through_dynamodb_only(action: str) -> None:
    """Users of the table need no permission in KMS; a permission in KMS gives them nothing either."""
    assert use_table_key(action, THROUGH_DYNAMODB, identity=False)
    assert not use_table_key(action, {"kms:CallerAccount": ACCOUNT})
    assert not use_table_key(action, THROUGH_DYNAMODB | {"kms:ViaService": "s3.eu-west-1.amazonaws.com"})
    assert not use_table_key(action, THROUGH_DYNAMODB | {"kms:CallerAccount": "999988887777"}, principal=STRANGER)


@pytest.mark.parametrize("action", MANAGEMENT)
def test_the_table_key_stays_manageable(action: str) -> None:
    assert use_table_key(action, {})
    assert use_table_key(action, {}, principal=ROOT)
    assert not use_table_key(action, {}, principal=STRANGER)
    assert not use_table_key(action, {}, identity=False)


def test_dynamodb_itself_may_look_at_its_key() -> None:
    """Described in DynamoDB's guide: without it DynamoDB cannot tell a disabled key from a missing one."""
    (statement,) = [s for s in properties("TableKey")["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    assert statement["Principal"] == {"Service": "dynamodb.amazonaws.com"}
    assert all(re.fullmatch(r"kms:(Describe|Get|List)\*", action) for action in statement["Action"])


# The managed policies


@pytest.mark.parametrize("scope", ["environment", "tag"])
@pytest.mark.parametrize("further", [{}, {"ContextKeys": "team,cost"}, {"FormerKeyArn": OLD_KEY}])
@pytest.mark.parametrize(
    ("logical_id", "access"),
    [("ReaderPolicy", Access.READ), ("WriterPolicy", Access.WRITE), ("RotatorPolicy", Access.ROTATE)],
)
def test_the_managed_policies_are_those_of_the_policy_module(
    logical_id: str, access: Access, further: dict[str, str], scope: str
) -> None:
    names = BY_TAG if scope == "tag" else EVERYTHING
    wanted = policy_document(_target(further), {access: [names]})
    made = properties(logical_id, ManagedPolicies=scope, **further)["PolicyDocument"]
    assert plain(made) == plain(wanted)


@pytest.mark.parametrize("further", [{}, {"FormerKeyArn": OLD_KEY}])
def test_the_admin_policy_is_that_of_the_policy_module(further: dict[str, str]) -> None:
    made = properties("AdminPolicy", **further)["PolicyDocument"]
    assert plain(made) == plain(policy_document(_target(further), {}, administer=True))


def test_each_managed_policy_fits_and_has_a_name_of_its_region() -> None:
    """IAM is one for all Regions: two stacks of one environment in an account must not meet."""
    for suffix, logical_id in (("reader", "ReaderPolicy"), ("admin", "AdminPolicy")):
        assert properties(logical_id)["ManagedPolicyName"] == f"dynastash-dev-eu-west-1-{suffix}"
    for logical_id in POLICIES:
        assert size(properties(logical_id, ContextKeys="team", FormerKeyArn=OLD_KEY)["PolicyDocument"]) < MANAGED_LIMIT


def _target(further: dict[str, str]) -> Target:
    return Target(
        environment="dev",
        table=f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/dynastash-dev",
        key="<EnvelopeKey.Arn>",
        trusted_keys=(further["FormerKeyArn"],) if "FormerKeyArn" in further else (),
        context_keys=tuple(further["ContextKeys"].split(",")) if "ContextKeys" in further else (),
    )


# Other Regions


def test_the_key_is_of_one_region_unless_asked() -> None:
    assert properties("EnvelopeKey")["MultiRegion"] is False
    assert properties("EnvelopeKey", MultiRegionKey="true")["MultiRegion"] is True


def test_a_replica_region_has_the_same_table_as_a_global_one() -> None:
    given = {"MultiRegionKey": "true", "ReplicaRegion": "eu-central-1"}
    alone, replicated = stack(), stack(**given)
    assert "GlobalTable" not in alone["Resources"]
    assert "Table" not in replicated["Resources"]
    table, both = alone["Resources"]["Table"], replicated["Resources"]["GlobalTable"]
    for same in ("KeySchema", "GlobalSecondaryIndexes", "AttributeDefinitions", "TimeToLiveSpecification", "TableName"):
        assert both["Properties"][same] == table["Properties"][same]
    assert (both["DeletionPolicy"], both["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert [replica["Region"] for replica in both["Properties"]["Replicas"]] == ["eu-west-1", "eu-central-1"]
    for replica in both["Properties"]["Replicas"]:
        assert replica["DeletionProtectionEnabled"] is True
        assert replica["PointInTimeRecoverySpecification"] == table["Properties"]["PointInTimeRecoverySpecification"]
    assert replicated["Outputs"]["TableArn"]["Value"] == "<GlobalTable.Arn>"
    (rule,) = template()["Rules"].values()
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "MultiRegionKey"}, "true"]}


# The evaluator


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": "a"}}, {"k": "a"}, False),
        ({"StringLike": {"K": "app/*"}}, {"k": "app/x/y"}, True),
        ({"StringLike": {"k": "app/*"}}, {"k": "apps"}, False),
        ({"Bool": {"k": "false"}}, {}, False),
        ({"BoolIfExists": {"k": "false"}}, {}, True),
        ({"BoolIfExists": {"k": "false"}}, {"k": "true"}, False),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"ForAllValues:StringLike": {"k": "a*"}}, {}, True),
        ({"ForAllValues:StringLike": {"k": "a*"}}, {"k": ["a1", "b1"]}, False),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {"k": ["a1", "b1"]}, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {}, False),
        ({"ForAnyValue:StringNotLike": {"k": "a*"}}, {}, False),
    ],
)
def test_the_evaluator_reads_conditions_as_aws_does(
    condition: dict[str, Any], context: dict[str, Any], holds: bool
) -> None:
    document = {"Statement": {"Effect": "Allow", "Action": "s:A", "Resource": "*", "Condition": condition}}
    assert iam.evaluate_identity([document], iam.Request(USER, "s:A", context=context)) is holds


def test_the_evaluator_refuses_what_it_does_not_understand() -> None:
    """An operator that was silently skipped would make every proof above worthless."""
    for part in ({"Condition": {"DateLessThan": {"k": "2026-01-01"}}}, {"NotAction": "s:B"}):
        document = {"Statement": {"Effect": "Allow", "Action": "s:A", "Resource": "*", **part}}
        with pytest.raises(ValueError, match="not understood"):
            iam.evaluate_identity([document], iam.Request(USER, "s:A", context={"k": "2025-01-01"}))
