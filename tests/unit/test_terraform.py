"""The Terraform modules: they parse, take what the templates take, and give what the policy module says."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from dynastash.policy.document import Access, Target, policy_document
from dynastash.policy.names import parse_pattern
from tests import cfn
from tests.policies import KEY, TABLE, plain

MODULES = Path(__file__).parents[2] / "terraform"
SETTINGS = {
    "${var.table_arn}": TABLE,
    "${var.envelope_key_arn}": KEY,
    "${var.environment_name}": "dev",
    "${var.prefix}": "app1/db",
    '${split("/", var.prefix)[0]}': "app1",
}


def read(module: str, file: str) -> dict[str, Any]:
    return _unquoted(hcl2.load(io.StringIO((MODULES / module / file).read_text(encoding="utf-8"))))


def _unquoted(node: Any) -> Any:
    """What python-hcl2 reads without the quotes that it keeps."""
    if isinstance(node, dict):
        return {_unquoted(key): _unquoted(value) for key, value in node.items() if not str(key).startswith("__")}
    if isinstance(node, list):
        return [_unquoted(value) for value in node]
    return node.strip('"') if isinstance(node, str) else node


def declared(module: str) -> dict[str, Any]:
    return {name: body for block in read(module, "variables.tf")["variable"] for name, body in block.items()}


def _filled(text: str) -> Any:
    if text == "${local.context_keys}":
        return ["dynastash:env", "dynastash:format", "dynastash:name", "dynastash:version"]
    for expression, value in SETTINGS.items():
        text = text.replace(expression, value)
    assert "${" not in text, text
    return text


def _statement(body: dict[str, Any]) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    for each in body["condition"]:
        values = _filled(each["values"]) if isinstance(each["values"], str) else [_filled(v) for v in each["values"]]
        conditions.setdefault(each["test"], {})[each["variable"]] = values
    return {
        "Sid": body["sid"],
        "Effect": body["effect"],
        "Action": body["actions"],
        "Resource": [_filled(resource) for resource in body["resources"]],
        "Condition": conditions,
    }


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE, Access.ROTATE])
def test_the_applications_policy_is_that_of_the_policy_module(access: Access) -> None:
    data = [
        each["aws_iam_policy_document"]["access"]
        for each in read("app-access", "main.tf")["data"]
        if "aws_iam_policy_document" in each
    ]
    (found,) = data
    statements = [_statement(body) for body in found["statement"]]
    for each in found["dynamic"]:
        (block,) = each.values()
        condition = re.match(r"\$\{local\.(\w+) \?", block["for_each"])
        assert condition is not None
        if access is Access.ROTATE or (access is Access.WRITE and condition[1] == "writes"):
            statements.append(_statement(block["content"][0]))
    wanted = policy_document(Target(environment="dev", table=TABLE, key=KEY), {access: [parse_pattern("app1/db/*")]})
    assert plain({"Statement": statements}) == plain({"Statement": wanted["Statement"]})


def test_the_environments_module_passes_every_parameter_of_the_template() -> None:
    template = cfn.load((MODULES.parent / "cloudformation" / "environment.yaml").read_text(encoding="utf-8"))
    (resource,) = read("environment", "main.tf")["resource"]
    stack = resource["aws_cloudformation_stack"]["environment"]
    assert set(stack["parameters"]) == set(template["Parameters"])
    used = {re.search(r"var\.(\w+)", str(value))[1] for value in stack["parameters"].values()}  # type: ignore[index]
    assert used == set(declared("environment"))
    outputs = (MODULES / "environment" / "outputs.tf").read_text(encoding="utf-8")
    assert set(re.findall(r'outputs\["(\w+)"\]', outputs)) <= set(template["Outputs"])


def test_the_applications_module_refuses_what_its_template_refuses() -> None:
    template = cfn.load((MODULES.parent / "cloudformation" / "app-access.yaml").read_text(encoding="utf-8"))
    variables = declared("app-access")
    for name, parameter in (("prefix", "Prefix"), ("oidc_subject", "OidcSubject")):
        condition = variables[name]["validation"][0]["condition"]
        assert template["Parameters"][parameter]["AllowedPattern"] in condition.replace("\\\\", "\\")
    for name, parameter in (("access", "Access"), ("principal", "Principal")):
        listed = re.findall(r'"([a-z0-9-]+)"', variables[name]["validation"][0]["condition"])
        assert listed == template["Parameters"][parameter]["AllowedValues"]


def test_the_modules_are_formatted_as_terraform_formats_them() -> None:
    """And so parse with Terraform's own parser."""
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not installed")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = [terraform, "fmt", "-check", "-recursive", str(MODULES)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
