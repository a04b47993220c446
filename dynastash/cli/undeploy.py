"""``dynastash deploy --delete``: the stack goes, and what holds secrets stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dynastash.cli.asking import agree
from dynastash.cli.output import emit, emit_table, say
from dynastash.errors import DeployError

if TYPE_CHECKING:
    from dynastash.config import Environment
    from dynastash.deploy import Deployer

_KEPT: Final = ("TableName", "EnvelopeKeyArn", "EnvelopeKeyAlias", "TableKeyArn")


def delete_stack(deployer: Deployer, environment: Environment, *, output: str, dry_run: bool, yes: bool) -> None:
    """Ask, delete the stack, and say what stays and what may be done with it."""
    deployment = deployer.deployment()
    if deployment is None:
        raise DeployError(f"there is no stack {deployer.stack}", hint="check the account, the Region and the name")
    kept = {name: deployment.outputs[name] for name in _KEPT if name in deployment.outputs}
    policies = [arn for name, arn in deployment.outputs.items() if name.endswith("PolicyArn")]
    if output == "table":
        emit_table(list(kept.items()), ("stays", "value"))
    for arn in policies:
        say(f"goes: {arn}")
    if dry_run:
        say("nothing was changed")
    else:
        where = ":".join(deployment.stack_id.split(":")[3:5])
        agree(f"delete the stack {deployer.stack} in {where}? The table, the keys and every secret stay", yes=yes)
        for event in deployer.delete():
            say(str(event))
        say(f"deleted the stack {deployer.stack}; the table and the keys stay, and every secret with them")
        say("hint: docs/how-to/deploy.md says how a new stack takes them over, and how to remove them for good")
    if output != "table":
        emit(
            {
                "environment": environment.name,
                "stack": deployer.stack,
                "deleted": not dry_run,
                "kept": kept,
                "removed": policies,
            },
            output,
        )
