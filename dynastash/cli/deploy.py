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
    from dynastash.config import Environment
    from dynastash.deploy import Deployer, Deployment, Event, Plan


@click.command("deploy", cls=Command)
@click.argument("name", metavar="[ENV]", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--parameter",
    "parameters",
    type=Pair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the template; those not given stay as they are.",
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
    environment = _environment(settings, name)
    if not (yes or dry_run or sys.stdin.isatty()):
        raise Usage("nobody can be asked: standard input is not a terminal", "give --yes, or --dry-run to look only")

    from dynastash.deploy import Deployer, make_client

    deployer = Deployer(make_client(environment.aws), environment.name, table=environment.table, key=environment.key)
    say(f"planning the stack {deployer.stack}")
    plan = deployer.plan(given)
    try:
        _show(plan, settings.output)
        if not dry_run:
            plan.check(allow_replacement=allow_replacement)
        decided = not dry_run and (plan.change_set is None or yes or _agreed(plan))
    except BaseException:  # Ctrl-C at the question too
        deployer.discard(plan)
        raise
    if not decided:
        deployer.discard(plan)
        say("nothing was changed")
    elif plan.change_set is not None:
        _carry_out(deployer, plan, allow_replacement=allow_replacement)
        say(f"{plan.action}d the environment {environment.name} in {plan.where}")
    deployment = deployer.deployment()
    if settings.output != "table":
        emit(_data(plan, deployment, applied=decided and plan.change_set is not None), settings.output)
    elif decided and deployment is not None and deployment.outputs:
        emit_table(list(deployment.outputs.items()), ("output", "value"))
    if decided and deployment is not None:
        _advise(settings, environment, deployment)
    if not (decided or dry_run):
        click.get_current_context().exit(exits.OTHER)


def _environment(settings: Settings, name: str | None) -> Environment:
    """The environment to deploy; one on this machine has nothing to deploy."""
    from dynastash.errors import ConfigError

    if name is not None:
        if settings.env not in (None, name):
            raise click.UsageError(f"two environments are named: {settings.env} and {name}")
        settings.env = name
    environment = settings.environment()
    if environment.store != "dynamodb":
        raise ConfigError(
            f"the environment {environment.name} is on this machine: there is nothing to deploy",
            hint="name one on AWS, for example `dynastash deploy dev`",
        )
    return environment


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
        emit_table(rows, ("action", "resource", "type", "replaced", "changes"))
        sys.stdout.flush()  # before the question, which goes to stderr
    else:
        for action, resource, kind, replaced, changes in rows:
            say(f"  {action} {kind} {resource}, replaced: {replaced}" + (f", changes: {changes}" if changes else ""))
    for change in plan.abandoned:
        say(f"warning: every secret would stay behind in the old {change.logical_id}")


def _agreed(plan: Plan) -> bool:
    return click.confirm(f"{plan.action} the stack {plan.stack} in {plan.where}?", err=True)


def _carry_out(deployer: Deployer, plan: Plan, *, allow_replacement: bool) -> None:
    try:
        for event in deployer.apply(plan, allow_replacement=allow_replacement):
            say(_line(event))
    except KeyboardInterrupt:
        say(f"interrupted: the stack {plan.stack} goes on by itself")
        say(f"hint: {deployer.look}, and run the same command again when it is done")
        raise


def _line(event: Event) -> str:
    reason = f": {event.reason}" if event.blames and event.reason else ""
    return f"{event.at:%H:%M:%S}  {event.status}  {event.logical_id}{reason}"


def _data(plan: Plan, deployment: Deployment | None, *, applied: bool) -> dict[str, Any]:
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
