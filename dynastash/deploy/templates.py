"""The CloudFormation templates that come with the package, as text."""

from __future__ import annotations

import re
from typing import Final

_KEPT: Final = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::KMS::Alias")
_RESOURCE: Final = re.compile(r"^  (\w+):\n(?:    .*\n|\n)*", re.MULTILINE)


def template(name: str = "environment") -> str:
    """The template ``environment``, ``app-access`` or ``replica``, as YAML."""
    from importlib import resources

    return (resources.files("dynastash.cloudformation") / f"{name}.yaml").read_text(encoding="utf-8")


def import_template() -> str:
    """The environment's template with nothing but what outlives a stack, for a change set of type IMPORT.

    CloudFormation imports only what it is told the identifier of, and takes neither outputs nor anything new with it.
    """
    head, resources, rest = template().partition("\nResources:\n")
    body, _, _ = rest.partition("\nOutputs:\n")
    kept = [
        block[0].replace(", PoliciesMade]", "]").rstrip("\n") + "\n"
        for block in _RESOURCE.finditer(body)
        if any(f"    Type: {kind}\n" in block[0] for kind in _KEPT)
    ]
    return head + resources + "\n".join(kept)
