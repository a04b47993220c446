"""``dynastash doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from dynastash.cli import exits
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import SecretName, Settings, common
from dynastash.cli.output import emit, say, visible, write_text

if TYPE_CHECKING:
    from dynastash.aws.clients import Clients
    from dynastash.config import Environment
    from dynastash.doctor import Check

_NEEDS = ("read", "list", "write", "rotate")
_WIDTH = 20


@click.command(
    "doctor",
    cls=Command,
    examples=(
        "dynastash doctor -e prod",
        "dynastash doctor -e prod app1/db/password --need read --need write",
    ),
)
@click.argument("name", required=False, type=SecretName())
@click.option(
    "--need",
    "needs",
    cls=OwnOption,
    type=click.Choice(_NEEDS),
    multiple=True,
    help="What must be allowed for NAME; the rest is only told.  [default: read]",
)
@common
def doctor_command(settings: Settings, name: str | None, needs: tuple[str, ...]) -> None:
    """Say what is wrong with the environment, and the next step.

    Checks credentials, region, table, key and permissions one after the other, those for the secret NAME if it is
    given. Changes nothing and opens no value. Ends with exit code 0 if nothing has failed, else with 1.
    """
    from dynastash.doctor import Status, diagnose
    from dynastash.models import check_name

    if needs and name is None:
        raise click.UsageError("--need goes with NAME")
    if name is not None:
        check_name(name)
    made: list[Check] = []
    for check in diagnose(
        settings.environment,
        make_clients=_clients,
        name=name,
        need=frozenset(needs or ("read",)),
        key_text=os.environ.get("DYNASTASH_LOCAL_KEY"),
    ):
        made.append(check)
        if settings.output == "table":
            _print(settings, check)
    counts = {status: sum(check.status is status for check in made) for status in Status}
    if settings.output != "table":
        emit(
            {
                "healthy": not counts[Status.FAILED],
                "checks": [
                    {
                        "name": check.name,
                        "status": str(check.status),
                        "message": check.message,
                        "hint": settings.advice(check.hint),
                    }
                    for check in made
                ],
            },
            settings.output,
        )
    say(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    if counts[Status.FAILED]:
        click.get_current_context().exit(exits.OTHER)


def _clients(environment: Environment) -> Clients:
    from dynastash.aws.clients import Clients
    from dynastash.doctor import TIMEOUT

    return Clients(environment.aws, timeout=TIMEOUT, attempts=1)


def _print(settings: Settings, check: Check) -> None:
    write_text(f"{check.status:<8} {check.name:<{_WIDTH}} {visible(check.message)}\n")
    hint = settings.advice(check.hint)
    if hint:
        write_text(f"{'':<8} {'':<{_WIDTH}} next: {visible(hint)}\n")
