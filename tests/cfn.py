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
    """The template with parameters, conditions and substitutions carried out.

    A reference to a resource becomes ``<LogicalId>``, an attribute of one ``<LogicalId.Attribute>``. A function or a
    name that is not known raises.
    """
    declared = template["Parameters"]
    if unknown := parameters.keys() - declared.keys():
        raise KeyError(f"no such parameters: {sorted(unknown)}")
    names: dict[str, Any] = dict(PSEUDO)
    for name, declaration in declared.items():
        names[name] = parameters[name] if name in parameters else declaration["Default"]
    names |= {name: f"<{name}>" for name in template["Resources"]}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [value for value in map(walk, node) if value is not _ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref":
                return _ABSENT if argument == "AWS::NoValue" else names[argument]
            if function == "Fn::GetAtt":
                return f"<{'.'.join(argument)}>"
            if function == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(names[found[1]]), argument)
            if function == "Fn::Equals":
                left, right = map(walk, argument)
                return str(left) == str(right)
            if function == "Fn::If":
                condition, yes, no = argument
                return walk(yes if walk(template["Conditions"][condition]) else no)
            if function.startswith("Fn::"):
                raise ValueError(f"a function that is not understood: {function}")
        return {key: value for key, value in ((k, walk(v)) for k, v in node.items()) if value is not _ABSENT}

    return {section: walk(template[section]) for section in ("Resources", "Outputs")}
