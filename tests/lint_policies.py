"""Lints every policy of the project with parliament: ``python -m tests.lint_policies``, a line for each finding.

The policies are those of the policy module, and those in the templates as they resolve.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dynastash.policy.copies import to_parameters, to_secrets
from dynastash.policy.document import policy_document
from dynastash.policy.names import BY_TAG
from tests import cfn
from tests.policies import DEV, KEY, Access, document


def policies() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each policy comes from, and the policy."""
    for access in Access:
        yield f"policy --{access}", document(**{access.replace("-", "_"): ["app1/*", "token"]})
        yield f"policy --by-tag {access}", policy_document(DEV, {access: [BY_TAG]})
    yield "policy --admin", document(administer=True)
    for copying in (to_parameters(DEV, "/app1", KEY), to_secrets(DEV, "app1/", KEY)):
        yield "policy --copies-to", policy_document(DEV, {}, copying=copying)
    for name, given in (
        ("environment", {"EnvironmentName": "dev"}),
        ("environment", {"EnvironmentName": "dev", "ManagedPolicies": "tag", "ContextKeys": "team"}),
        *(("app-access", {"EnvironmentName": "dev", "Prefix": "app1", "Access": str(a)}) for a in ("read", "rotate")),
    ):
        text = Path(f"cloudformation/{name}.yaml").read_text(encoding="utf-8")
        for logical_id, resource in cfn.resolve(cfn.load(text), given)["Resources"].items():
            for kind in ("PolicyDocument", "KeyPolicy"):  # parliament knows no trust policies
                if kind in resource.get("Properties", {}):
                    yield f"{name}.yaml {logical_id} {kind}", resource["Properties"][kind]


def main() -> int:
    """The number of policies with findings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it still asks setuptools for its files
        import parliament

    failed = checked = 0
    for where, policy in policies():
        text = json.dumps(policy)
        for placeholder in ("<Table.Arn>", "<dynastash-dev:TableArn>"):
            text = text.replace(placeholder, DEV.table)
        for placeholder in ("<EnvelopeKey.Arn>", "<dynastash-dev:EnvelopeKeyArn>"):
            text = text.replace(placeholder, DEV.key)
        findings = [
            each
            for each in parliament.analyze_policy_string(text, ignore_private_auditors=True).findings
            # A key's policy speaks of its own key as "*".
            if "KeyPolicy" not in where or each.issue not in ("RESOURCE_MISMATCH", "RESOURCE_STAR")
        ]
        checked += 1
        failed += bool(findings)
        for each in findings:
            print(f"{where}: {each.issue}: {each.detail}")
    print(f"parliament: {checked} policies, {failed} with findings")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
