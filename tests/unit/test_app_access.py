"""One application's access, as a template: the policy of the policy module, for whatever the application runs on."""

from __future__ import annotations

import functools
import json
import re
from importlib import resources
from typing import Any

import pytest

from dynastash.models import check_name
from dynastash.policy.document import Access, Target, policy_document
from dynastash.policy.names import parse_pattern
from tests import cfn
from tests.policies import KEY, TABLE, plain

GITHUB = {
    "Principal": "oidc",
    "OidcProvider": "token.actions.githubusercontent.com",
    "OidcSubject": "repo:octo/app:environment:production",
}


@functools.cache
def template(name: str = "app-access") -> dict[str, Any]:
    return cfn.load((resources.files("dynastash.cloudformation") / f"{name}.yaml").read_text(encoding="utf-8"))


def stack(**parameters: str) -> dict[str, Any]:
    return cfn.resolve(template(), {"EnvironmentName": "dev", "Prefix": "app1", **parameters})


def policy(**parameters: str) -> dict[str, Any]:
    return stack(**parameters)["Resources"]["Policy"]["Properties"]


def trust(**parameters: str) -> dict[str, Any]:
    """The one statement of the role's trust policy."""
    (role,) = [r for r in stack(**parameters)["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    document = role["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    return statement


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE, Access.ROTATE])
@pytest.mark.parametrize("prefix", ["app1", "app1/db"])
@pytest.mark.parametrize("further", [{}, {"ContextKeys": "team,cost"}])
def test_the_policy_is_that_of_the_policy_module(access: Access, prefix: str, further: dict[str, str]) -> None:
    target = Target(environment="dev", table=TABLE, key=KEY, context_keys=("cost", "team") if further else ())
    wanted = policy_document(target, {access: [parse_pattern(f"{prefix}/*")]})
    made = policy(Prefix=prefix, Access=access, TableArn=TABLE, EnvelopeKeyArn=KEY, **further)
    assert plain(made["PolicyDocument"]) == plain(wanted)


def test_table_and_key_come_from_the_environments_stack() -> None:
    text = str(policy()["PolicyDocument"])
    assert "<dynastash-dev:TableArn>" in text
    assert "<dynastash-dev:EnvelopeKeyArn>" in text


def test_a_role_that_exists_gets_the_policy_and_none_is_made() -> None:
    made = stack(RoleName="app-role")
    assert set(made["Resources"]) == {"Policy"}
    assert made["Resources"]["Policy"]["Properties"]["Roles"] == ["app-role"]


@pytest.mark.parametrize(
    ("principal", "service"),
    [("ec2", "ec2.amazonaws.com"), ("ecs-task", "ecs-tasks.amazonaws.com"), ("lambda", "lambda.amazonaws.com")],
)
def test_a_role_for_a_service_of_aws(principal: str, service: str) -> None:
    statement = trust(Principal=principal)
    assert (statement["Action"], statement["Principal"]) == ("sts:AssumeRole", {"Service": service})
    made = stack(Principal=principal)["Resources"]
    assert made["Policy"]["Properties"]["Roles"] == ["<ServiceRole>"]
    assert ("InstanceProfile" in made) is (principal == "ec2")


def test_a_task_of_another_account_never_assumes_the_role() -> None:
    condition = trust(Principal="ecs-task")["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert condition["ArnLike"] == {"aws:SourceArn": "arn:aws:ecs:eu-west-1:111122223333:*"}


def test_a_pod_by_pod_identity() -> None:
    given = {"Principal": "eks-pod-identity", "ClusterName": "c", "Namespace": "n", "ServiceAccount": "s"}
    assert trust(**given)["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    made = stack(**given)["Resources"]
    assert made["PodAssociation"]["Properties"]["RoleArn"] == "<PodRole.Arn>"
    assert "PodAssociation" not in stack(Principal="eks-pod-identity")["Resources"]


def test_a_service_account_of_one_cluster_and_namespace() -> None:
    provider = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
    statement = trust(Principal="irsa", OidcProvider=provider, Namespace="n", ServiceAccount="s")
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{provider}"}
    assert statement["Condition"] == {
        "StringEquals": {f"{provider}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{provider}:sub": "system:serviceaccount:n:s"},
    }


def test_a_workflow_of_one_repository_and_environment() -> None:
    statement = trust(**GITHUB)
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
        "StringLike": {"token.actions.githubusercontent.com:sub": "repo:octo/app:environment:production"},
    }


def test_people_by_saml() -> None:
    arn = "arn:aws:iam::111122223333:saml-provider/okta"
    statement = trust(Principal="saml", SamlProviderArn=arn)
    assert statement["Principal"] == {"Federated": arn}
    assert statement["Condition"] == {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}


@pytest.mark.parametrize(
    ("subject", "accepted"),
    [
        ("repo:octo/app:ref:refs/heads/main", True),
        ("repo:octo/app:*", True),
        ("project_path:group/app:ref_type:branch:ref:main", True),
        ("repo:octo/*", False),
        ("repo:*/app:ref:refs/heads/main", False),
        ("repo:*", False),
        ("*", False),
        ("system:serviceaccount:*:s", False),
    ],
)
def test_a_subject_is_never_open_to_other_repositories(subject: str, accepted: bool) -> None:
    pattern = template()["Parameters"]["OidcSubject"]["AllowedPattern"]
    assert (re.fullmatch(pattern, subject) is not None) is accepted


@pytest.mark.parametrize("prefix", ["app1", "app1/db", "a.b@c", "", "app1/", "/app1", "*", "app1/*", "a//b"])
def test_the_template_takes_the_prefixes_that_names_have(prefix: str) -> None:
    pattern = template()["Parameters"]["Prefix"]["AllowedPattern"]
    try:
        accepted = check_name(prefix) == prefix
    except ValueError:
        accepted = False
    assert (re.fullmatch(pattern, prefix) is not None) is accepted


def test_federation_without_a_subject_or_provider_is_refused() -> None:
    """By the template's rules, before anything is made."""
    rules = template()["Rules"]
    required = {
        assertion["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"]
        for rule in rules.values()
        for assertion in rule["Assertions"]
        if "Fn::Not" in assertion["Assert"]
    }
    assert required == {"OidcProvider", "OidcSubject", "ServiceAccount", "SamlProviderArn"}


def test_a_replica_of_the_key_opens_and_never_writes() -> None:
    given = {"EnvironmentName": "dev", "PrimaryKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/mrk-1"}
    key = cfn.resolve(template("replica"), given)["Resources"]["EnvelopeKey"]
    assert (key["Type"], key["DeletionPolicy"]) == ("AWS::KMS::ReplicaKey", "Retain")
    denied = {s["Sid"]: s["Action"] for s in key["Properties"]["KeyPolicy"]["Statement"] if s["Effect"] == "Deny"}
    assert denied["RefuseWriting"] == ["kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    assert denied["RefuseOtherEnvironments"] == denied["RefuseNamelessUse"] == "kms:Decrypt"
