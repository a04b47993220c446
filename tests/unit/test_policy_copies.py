"""What keeping copies takes, and what it does not: each denial beside its permission."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynastash.cli import exits
from dynastash.cli.app import run
from dynastash.policy.copies import to_parameters, to_secrets
from dynastash.policy.document import policy_document
from dynastash.policy.request import Request
from dynastash.transfer.services import marks
from tests.policies import ACCOUNT, DEV, KEY, OTHER_KEY, allowed

PARAMETER = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/app1"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:app1"
OURS = {"aws:ResourceTag/dynastash:environment": "dev"}
THEIRS = {"aws:ResourceTag/dynastash:environment": "prod"}
NEW = {"aws:RequestTag/dynastash:environment": "dev"}


def may(policy: Any, action: str, resource: str, **context: Any) -> bool:
    return allowed(policy, Request(action, resource, context.get("context", {})))


def test_parameters_are_made_with_our_tag_and_only_those_are_replaced_and_removed() -> None:
    policy = policy_document(DEV, {}, copying=to_parameters(DEV, "/app1/"))
    inside = f"{PARAMETER}/db/password"
    assert may(policy, "ssm:DescribeParameters", "*") and may(policy, "ssm:GetParameters", inside)
    assert may(policy, "ssm:PutParameter", inside, context=NEW)
    assert not may(policy, "ssm:PutParameter", inside)
    assert not may(policy, "ssm:PutParameter", inside, context={"aws:RequestTag/dynastash:environment": "prod"})
    for action in ("ssm:PutParameter", "ssm:DeleteParameter"):
        assert may(policy, action, inside, context=OURS)
        assert not may(policy, action, inside, context=THEIRS) and not may(policy, action, inside)
        assert not may(policy, action, f"{PARAMETER}0/db/password", context=OURS)
    assert not may(policy, "ssm:GetParameters", f"{PARAMETER}0/x") and not may(
        policy, "ssm:GetParameterHistory", inside
    )


def test_secrets_are_made_with_our_tag_and_only_those_are_replaced_and_removed() -> None:
    policy = policy_document(DEV, {}, copying=to_secrets(DEV, "app1/"))
    inside = f"{SECRET}/db-AbCdEf"
    assert may(policy, "secretsmanager:ListSecrets", "*") and may(policy, "secretsmanager:BatchGetSecretValue", "*")
    assert may(policy, "secretsmanager:GetSecretValue", inside) and may(policy, "secretsmanager:DescribeSecret", inside)
    assert not may(policy, "secretsmanager:GetSecretValue", f"{SECRET}0/db-AbCdEf")
    assert may(policy, "secretsmanager:CreateSecret", inside, context=NEW)
    assert not may(policy, "secretsmanager:CreateSecret", inside)
    for action in ("PutSecretValue", "DeleteSecret", "RestoreSecret"):
        assert may(policy, f"secretsmanager:{action}", inside, context=OURS)
        assert not may(policy, f"secretsmanager:{action}", inside, context=THEIRS)
        assert not may(policy, f"secretsmanager:{action}", inside)
    assert not may(policy, "secretsmanager:UpdateSecret", inside, context=OURS)


@pytest.mark.parametrize(("statements", "service"), [(to_parameters, "ssm"), (to_secrets, "secretsmanager")])
def test_a_key_of_one_s_own_is_used_through_the_service_alone(statements: Any, service: str) -> None:
    where = "/app1" if service == "ssm" else "app1/"
    assert not may(policy_document(DEV, {}, copying=statements(DEV, where)), "kms:Decrypt", OTHER_KEY)
    policy = policy_document(DEV, {}, copying=statements(DEV, where, OTHER_KEY))
    via = {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"}
    assert may(policy, "kms:Decrypt", OTHER_KEY, context=via)
    assert may(policy, "kms:GenerateDataKey", OTHER_KEY, context=via)
    assert not may(policy, "kms:Decrypt", OTHER_KEY, context={"kms:ViaService": "s3.eu-west-1.amazonaws.com"})
    assert not may(policy, "kms:Decrypt", KEY, context=via)


def test_the_tag_of_policies_is_the_one_that_copies_get() -> None:
    from dynastash.policy import copies

    assert copies.TAG == marks.ENVIRONMENT


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    given = ["policy", "-e", "dev", "--account", ACCOUNT, "--key", KEY, "--region", "eu-west-1", *arguments]
    assert run(given) == exits.OK
    return json.loads(capsys.readouterr().out)


def test_the_command_prints_them_with_what_reading_takes(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--read", "app1/*", "--copies-to", "ssm:/app1")
    sids = [each["Sid"] for each in found["Statement"]]
    assert sids[:3] == ["ReadRecords", "ListNames", "OpenValues"]
    assert sids[3:] == ["FindParameters", "ReadCopies", "MakeCopies", "KeepCopies"]
    found = printed(capsys, "--copies-to", "secretsmanager:app1", "--copies-key", OTHER_KEY)
    assert found["Statement"][1]["Resource"] == f"{SECRET}/*" and found["Statement"][-1]["Resource"] == OTHER_KEY


@pytest.mark.parametrize(
    "arguments",
    [
        ("--copies-to", "vault:x"),
        ("--copies-to", "ssm:/app1", "--copies-key", "alias/x"),
        ("--read", "app1/*", "--copies-key", OTHER_KEY),
    ],
)
def test_what_is_no_place_or_no_key_is_refused(arguments: tuple[str, ...]) -> None:
    given = ["policy", "-e", "dev", "--account", ACCOUNT, "--key", KEY, "--region", "eu-west-1", *arguments]
    assert run(given) == exits.USAGE
