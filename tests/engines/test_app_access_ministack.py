"""app-access.yaml on a running CloudFormation: the role, its trust policy, and the policy on it."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from dynastash.deploy import Deployer, template
from dynastash.policy.evaluator import evaluate
from dynastash.policy.request import Request
from tests.engines.engine import Engine

pytestmark = pytest.mark.engine

GITHUB = {
    "Principal": "oidc",
    "OidcProvider": "token.actions.githubusercontent.com",
    "OidcSubject": "repo:octo/app:environment:production",
}


@pytest.fixture(scope="module")
def environment(ministack: Engine) -> str:
    """A deployed environment, from whose stack the others take the table and the key."""
    name = f"a{secrets.token_hex(4)}"
    it = Deployer(ministack.client("cloudformation"), name, poll=0.02)
    list(it.apply(it.plan()))
    return name


def made(ministack: Engine, environment: str, **parameters: str) -> dict[str, str]:
    """The outputs of a stack of the template."""
    client = ministack.client("cloudformation")
    stack = f"app-{secrets.token_hex(4)}"
    given = {"EnvironmentName": environment, "Prefix": "app1", **parameters}
    client.create_stack(
        StackName=stack,
        TemplateBody=template("app-access"),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def attached(ministack: Engine, role: str) -> list[str]:
    found = ministack.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [each["PolicyArn"] for each in found]


@pytest.mark.parametrize(
    ("parameters", "who"),
    [
        ({"Principal": "ec2"}, {"Service": "ec2.amazonaws.com"}),
        ({"Principal": "ecs-task"}, {"Service": "ecs-tasks.amazonaws.com"}),
        ({"Principal": "lambda"}, {"Service": "lambda.amazonaws.com"}),
        ({"Principal": "eks-pod-identity"}, {"Service": "pods.eks.amazonaws.com"}),
        (GITHUB, {"Federated": "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com"}),
    ],
)
def test_a_role_is_made_with_the_policy_on_it(
    ministack: Engine, environment: str, parameters: dict[str, str], who: dict[str, str]
) -> None:
    outputs = made(ministack, environment, **parameters)
    role = outputs["RoleArn"].rpartition("/")[2]
    trust: Any = ministack.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = (json.loads(trust) if isinstance(trust, str) else trust)["Statement"]
    assert statement["Principal"] == who
    assert attached(ministack, role) == [outputs["PolicyArn"]]
    assert ("InstanceProfileName" in outputs) is (parameters["Principal"] == "ec2")


def test_a_role_that_exists_gets_its_prefix_of_this_environment(ministack: Engine, environment: str) -> None:
    """The ARNs in the policy are those of the environment's stack."""
    iam = ministack.client("iam")
    role = f"role-{environment}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    outputs = made(ministack, environment, RoleName=role, Access="write")
    assert attached(ministack, role) == [outputs["PolicyArn"]]
    version = iam.get_policy_version(PolicyArn=outputs["PolicyArn"], VersionId="v1")["PolicyVersion"]["Document"]
    deployment = Deployer(ministack.client("cloudformation"), environment).deployment()
    assert deployment is not None

    def reads(name: str) -> bool:
        asked = Request("dynamodb:Query", deployment.outputs["TableArn"], {"dynamodb:LeadingKeys": [name]})
        return evaluate([version], asked).allowed

    assert reads("app1/db/password")
    assert not reads("app10/db/password")
    keys = {s["Resource"] for s in version["Statement"] if str(s["Action"]).startswith("kms:")}
    assert keys == {deployment.outputs["EnvelopeKeyArn"]}
