"""``dynastash deploy``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli import exits
from dynastash.cli.command import Command
from dynastash.cli.options import Pair, Settings, Usage, common
from dynastash.cli.output import emit, emit_table, say

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

    from dynastash.config import Environment
    from dynastash.deploy import Deployer, Deployment, Drift, Plan


@click.command("deploy", cls=Command)
@click.argument("name", metavar="[ENV]", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--no-execute", is_flag=True, help="Leave the change set for somebody else to look at and execute.")
@click.option("--drift", "with_drift", is_flag=True, help="Also show what was changed past CloudFormation.")
@click.option("--delete", is_flag=True, help="Delete the stack; the table, the keys and every secret stay.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--parameter",
    "parameters",
    type=Pair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the template, before those in dynastash.toml; those not given stay as they are.",
)
@click.option(
    "--allow-replacement",
    is_flag=True,
    help="Also replace or remove the table or a key: every secret stays behind in the old one.",
)
@common
def deploy_command(
    settings: Settings,
    name: str | None,
    dry_run: bool,
    no_execute: bool,
    with_drift: bool,
    delete: bool,
    yes: bool,
    parameters: tuple[tuple[str, str], ...],
    allow_replacement: bool,
) -> None:
    """Create or update the table and the keys of ENV on AWS.

    They are the CloudFormation stack dynastash-ENV. What would change is shown first, and asked for. Ctrl-C ends the
    waiting, not the deployment.
    """
    given = dict(parameters)
    if len(given) != len(parameters):
        raise click.UsageError("--parameter names a parameter twice")
    if delete and (no_execute or with_drift or given or allow_replacement):
        raise click.UsageError("--delete takes no other option than --dry-run and --yes")
    if dry_run and no_execute:
        raise click.UsageError("--dry-run leaves nothing, and --no-execute leaves a change set")
    environment = _environment(settings, name)
    if not (yes or dry_run or no_execute or sys.stdin.isatty()):
        raise Usage("nobody can be asked: standard input is not a terminal", "give --yes, or --dry-run to look only")

    from dynastash.deploy import Deployer, make_client

    client = make_client(environment.aws)
    deployer = Deployer(client, environment.name, table=environment.table, key=environment.key)
    if delete:
        from dynastash.cli.undeploy import delete_stack

        delete_stack(deployer, environment, output=settings.output, dry_run=dry_run, yes=yes)
        return
    drift = _drift(client, deployer.stack) if with_drift and deployer.deployment() is not None else None
    say(f"planning the stack {deployer.stack}")
    plan = deployer.plan({**environment.parameters, **given})
    try:
        _show(plan, settings.output)
        if drift is not None:
            _show_drift(drift, settings.output)
        if not dry_run:
            plan.check(allow_replacement=allow_replacement)
        decided = not (dry_run or no_execute) and (plan.change_set is None or yes or _agreed(plan))
    except BaseException:  # Ctrl-C at the question too
        deployer.discard(plan)
        raise
    if no_execute and plan.change_set is not None:
        _leave(plan)
    elif not decided:
        deployer.discard(plan)
        say("nothing was changed")
    elif plan.change_set is not None:
        _carry_out(deployer, plan, allow_replacement=allow_replacement)
        say(f"{plan.action}d the environment {environment.name} in {plan.where}")
    deployment = deployer.deployment()
    if settings.output != "table":
        emit(_data(plan, deployment, drift, applied=decided and plan.change_set is not None), settings.output)
    elif decided and deployment is not None and deployment.outputs:
        emit_table(list(deployment.outputs.items()), ("output", "value"))
    if decided and deployment is not None:
        _advise(settings, environment, deployment)
    if not (decided or dry_run or no_execute):
        click.get_current_context().exit(exits.OTHER)


def _environment(settings: Settings, name: str | None) -> Environment:
    """The environment to deploy; one on this machine has nothing to deploy."""
    if name is not None:
        if settings.env not in (None, name):
            raise click.UsageError(f"two environments are named: {settings.env} and {name}")
        settings.env = name
    return settings.environment_on_aws(
        "there is nothing to deploy", hint="name one on AWS, for example `dynastash deploy dev`"
    )


def _show(plan: Plan, output: str) -> None:
    """What would change: as a table, or on stderr where stdout is a machine's."""
    if plan.change_set is None:
        say(f"the stack {plan.stack} is up to date")
        return
    rows = [
        (
            change.action,
            change.logical_id if change.physical_id is None else f"{change.logical_id} ({change.physical_id})",
            change.type,
            change.replacement,
            ", ".join(change.properties),
        )
        for change in plan.changes
    ]
    if not rows:
        say("only the outputs of the stack change")
    elif output == "table":
        alarming = {number for number, change in enumerate(plan.changes) if change.costly}
        emit_table(rows, ("action", "resource", "type", "replaced", "changes"), alarming=alarming)
        sys.stdout.flush()  # before the question, which goes to stderr
    else:
        for action, resource, kind, replaced, changes in rows:
            say(f"  {action} {kind} {resource}, replaced: {replaced}" + (f", changes: {changes}" if changes else ""))
    for change in plan.abandoned:
        say(f"warning: every secret would stay behind in the old {change.logical_id}")


def _agreed(plan: Plan) -> bool:
    # CloudFormation's CAPABILITY_NAMED_IAM: whoever agrees also agrees to these.
    policies = ", with IAM policies," if plan.grants else ""
    losing = [change.logical_id for change in plan.changes if change.costly]
    if losing:
        say(f"warning: {', '.join(losing)} would be replaced or removed")
    return click.confirm(f"{plan.action} the stack {plan.stack}{policies} in {plan.where}?", err=True)


def _leave(plan: Plan) -> None:
    """Say how the change set that stays behind is executed, or thrown away."""
    name, region = str(plan.change_set).split("/")[1], plan.stack_id.split(":")[3]
    which = f"--change-set-name {name} --stack-name {plan.stack} --region {region}"
    say(f"left the change set {name}; nothing was changed")
    say(f"hint: execute it with aws cloudformation execute-change-set {which} --retain-except-on-create")
    say(f"hint: throw it away with aws cloudformation delete-change-set {which}")


def _drift(client: CloudFormationClient, stack: str) -> list[Drift] | None:
    from dynastash.deploy import drift_of

    say(f"comparing the stack {stack} with what there is")
    found = drift_of(client, stack)
    if found is None:
        say("warning: CloudFormation cannot tell the drift here")
    return found


def _show_drift(drift: list[Drift], output: str) -> None:
    """What was changed past CloudFormation: as a table, or on stderr where stdout is a machine's."""
    if not drift:
        say("nothing was changed past CloudFormation")
        return
    rows = [(each.logical_id, each.type, each.property or "(it is gone)", each.expected, each.actual) for each in drift]
    say("changed past CloudFormation; a deployment changes it back only where the template changes too:")
    if output == "table":
        emit_table(rows, ("resource", "type", "property", "template", "found"), ("property", "template", "found"))
        sys.stdout.flush()
        return
    for resource, kind, changed, expected, actual in rows:
        say(f"  {kind} {resource}: {changed}, template: {expected}, found: {actual}")


def _carry_out(deployer: Deployer, plan: Plan, *, allow_replacement: bool) -> None:
    try:
        for event in deployer.apply(plan, allow_replacement=allow_replacement):
            say(str(event))
    except KeyboardInterrupt:
        say(f"interrupted: the stack {plan.stack} goes on by itself")
        say(f"hint: {deployer.look}, and run the same command again when it is done")
        raise


def _data(plan: Plan, deployment: Deployment | None, drift: list[Drift] | None, *, applied: bool) -> dict[str, Any]:
    return {
        "environment": plan.environment,
        "stack": plan.stack,
        "action": None if plan.change_set is None else plan.action,
        "applied": applied,
        "changes": [
            {
                "action": change.action,
                "resource": change.logical_id,
                "type": change.type,
                "physical_id": change.physical_id,
                "replaced": change.replacement,
                "properties": list(change.properties),
            }
            for change in plan.changes
        ],
        "change_set": None if applied else plan.change_set,
        "drift": None
        if drift is None
        else [
            {
                "resource": each.logical_id,
                "type": each.type,
                "physical_id": each.physical_id,
                "property": each.property or None,
                "expected": each.expected,
                "actual": each.actual,
            }
            for each in drift
        ],
        "status": None if deployment is None else deployment.status,
        "termination_protection": None if deployment is None else deployment.protected,
        "outputs": None if deployment is None else dict(deployment.outputs),
    }


def _advise(settings: Settings, environment: Environment, deployment: Deployment) -> None:
    """What a person should know before going on."""
    if not deployment.protected:
        say(
            "warning: the stack can be deleted at once; protect it with aws cloudformation "
            f"update-termination-protection --enable-termination-protection --stack-name {deployment.stack}"
        )
    named = sorted(settings.overrides.keys() & {"table", "key"})
    if named:
        say(
            f"hint: write {' and '.join(named)} into dynastash.toml under [env.{environment.name}], or give them always"
        )
