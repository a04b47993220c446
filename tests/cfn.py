"""CloudFormation templates as plain data: read with their short tags, and resolved for given parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "111122223333",
    "AWS::Region": "eu-west-1",
    "AWS::URLSuffix": "amazonaws.com",
}
"""The account that :func:`resolve` stands in."""

_ABSENT = object()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags: ``!Ref x`` reads as ``{"Ref": "x"}``."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)


def load(text: str) -> dict[str, Any]:
    """The template with its functions in the long form."""
    return yaml.load(text, Loader=_Loader)


def resolve(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The template with parameters, conditions and substitutions carried out, and what has no condition left.

    A reference to a resource becomes ``<LogicalId>``, an attribute of one ``<LogicalId.Attribute>``. A function or a
    name that is not known raises.
    """
    declared = template["Parameters"]
    if unknown := parameters.keys() - declared.keys():
        raise KeyError(f"no such parameters: {sorted(unknown)}")
    names: dict[str, Any] = dict(PSEUDO)
    for name, declaration in declared.items():
        names[name] = parameters[name] if name in parameters else declaration["Default"]
        if declaration["Type"] == "CommaDelimitedList":
            names[name] = names[name].split(",") if names[name] else []
    names |= {name: f"<{name}>" for name in template["Resources"]}

    def holds(condition: str) -> bool:
        return bool(walk(template["Conditions"][condition]))

    def fill(text: str, more: Mapping[str, Any]) -> str:
        known = names | {key: walk(value) for key, value in more.items()}
        filled = re.sub(r"\$\{([^!}][^}]*)\}", lambda found: _named(found[1], known), text)
        return re.sub(r"\$\{!([^}]+)\}", r"${\1}", filled)

    def call(function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return _ABSENT if argument == "AWS::NoValue" else names[argument]
            case "Condition":
                return holds(argument)
            case "Fn::GetAtt":
                return f"<{'.'.join(argument)}>"
            case "Fn::Sub":
                return fill(argument, {}) if isinstance(argument, str) else fill(*argument)
            case "Fn::Equals":
                left, right = map(walk, argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not walk(argument[0])
            case "Fn::And":
                return all(map(walk, argument))
            case "Fn::Or":
                return any(map(walk, argument))
            case "Fn::If":
                return walk(argument[1] if holds(argument[0]) else argument[2])
            case "Fn::Join":
                return argument[0].join(walk(argument[1]))
            case "Fn::Split":
                return walk(argument[1]).split(argument[0])
            case "Fn::Select":
                return walk(argument[1])[int(argument[0])]
            case "Fn::ImportValue":
                return f"<{walk(argument)}>"
        raise ValueError(f"a function that is not understood: {function}")

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [value for value in map(walk, node) if value is not _ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if (
                function == "Ref"
                or function.startswith("Fn::")
                or (function == "Condition" and isinstance(argument, str))
            ):
                return call(function, argument)
        return {key: value for key, value in ((k, walk(v)) for k, v in node.items()) if value is not _ABSENT}

    def section(name: str) -> dict[str, Any]:
        return {
            key: walk({k: v for k, v in body.items() if k != "Condition"})
            for key, body in template[name].items()
            if "Condition" not in body or holds(body["Condition"])
        }

    return {name: section(name) for name in ("Resources", "Outputs")}


def _named(name: str, known: Mapping[str, Any]) -> str:
    resource, dot, attribute = name.partition(".")
    if dot and resource in known:
        return f"<{resource}.{attribute}>"
    return str(known[name])
