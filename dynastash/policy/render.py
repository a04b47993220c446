"""A policy document as CloudFormation and as Terraform write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_INDENT: Final = "  "


def cloudformation(document: Mapping[str, Any], name: str, description: str) -> dict[str, Any]:
    """A template of one ``AWS::IAM::ManagedPolicy``, with its ARN as output. ``Ref`` of the policy is its ARN."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": description,
        "Resources": {
            "Policy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "ManagedPolicyName": name,
                    "Description": description,
                    "PolicyDocument": dict(document),
                },
            }
        },
        "Outputs": {"PolicyArn": {"Description": "The policy's ARN", "Value": {"Ref": "Policy"}}},
    }


def terraform(document: Mapping[str, Any], name: str, description: str) -> str:
    """HCL: a data source ``aws_iam_policy_document`` and the ``aws_iam_policy`` made of it."""
    label = re.sub(r"[^A-Za-z0-9_]", "_", name)
    lines = [
        f'data "aws_iam_policy_document" {_text(label)} {{',
        *(line for statement in document["Statement"] for line in _statement(statement)),
        "}",
        "",
        f'resource "aws_iam_policy" {_text(label)} {{',
        f"{_INDENT}name        = {_text(name)}",
        f"{_INDENT}description = {_text(description)}",
        f"{_INDENT}policy      = data.aws_iam_policy_document.{label}.json",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _statement(statement: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_INDENT}statement {{"
    yield f"{_INDENT * 2}sid       = {_text(statement['Sid'])}"
    yield f"{_INDENT * 2}effect    = {_text(statement['Effect'])}"
    yield f"{_INDENT * 2}actions   = {_texts(statement['Action'])}"
    yield f"{_INDENT * 2}resources = {_texts(statement['Resource'])}"
    for operator, pairs in statement.get("Condition", {}).items():
        for key, values in pairs.items():
            yield ""
            yield f"{_INDENT * 2}condition {{"
            yield f"{_INDENT * 3}test     = {_text(operator)}"
            yield f"{_INDENT * 3}variable = {_text(key)}"
            yield f"{_INDENT * 3}values   = {_texts(values)}"
            yield f"{_INDENT * 2}}}"
    yield f"{_INDENT}}}"


def _texts(values: str | list[str]) -> str:
    listed = [values] if isinstance(values, str) else values
    return f"[{', '.join(map(_text, listed))}]"


def _text(value: str) -> str:
    """A quoted string of HCL, in which ``${`` and ``%{`` begin templates unless doubled."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
