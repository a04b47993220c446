"""The CloudFormation stack that an environment came from, and whether it is of this release's template."""

from __future__ import annotations

from dynastash.aws.clients import translated
from dynastash.deploy import stack_name, template
from dynastash.doctor.account import Account
from dynastash.doctor.check import Outcome, ok, warning
from dynastash.errors import ServiceError


def stack(account: Account) -> Outcome:
    """Whether there is one, at rest, protected, and of this template."""
    environment = account.environment
    name = stack_name(environment.name)
    deploy = f"dynastash deploy {environment.name}"
    client = account.client("cloudformation")
    try:
        with translated("cloudformation"):
            described = client.describe_stacks(StackName=name)["Stacks"][0]
            body = client.get_template(StackName=name)["TemplateBody"]
    except ServiceError as error:
        if error.code == "ValidationError" and "does not exist" in str(error):
            return warning(f"there is no stack {name} in {account.clients.region}", f"`{deploy}` makes one")
        raise
    status = described["StackStatus"]
    if not status.endswith("_COMPLETE") or "ROLLBACK" in status or status.startswith("DELETE"):
        return warning(f"{name} is {status}", f"`{deploy}` says what leads out of it")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
    if outputs.get("TableName", environment.table) != environment.table:
        return warning(
            f"{name} made the table {outputs['TableName']}, and the configuration says {environment.table}",
            "set table in the configuration",
        )
    if isinstance(body, str) and _words(body) != _words(template()):
        return warning(
            f"{name} was deployed from another release's template", f"`{deploy} --dry-run` shows the differences"
        )
    if not described.get("EnableTerminationProtection"):
        return warning(
            f"{name} can be deleted at once",
            f"aws cloudformation update-termination-protection --enable-termination-protection --stack-name {name}",
        )
    return ok(f"{name}, of this release's template, protected from deletion")


def _words(text: str) -> list[str]:
    return text.split()
