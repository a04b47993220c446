"""``dynastash advance``."""

from __future__ import annotations

import click

from dynastash.cli.asking import agree
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import Settings, Whole, common, dry_run, name_argument, yes
from dynastash.cli.output import emit, info_data, say


@click.command("advance", cls=Command, examples=("dynastash advance app1/db/password --to 7 -e prod",))
@name_argument
@click.option(
    "--to", "number", cls=OwnOption, type=Whole(1), required=True, metavar="N", help="The highest used number."
)
@dry_run
@yes
@common
def advance_command(settings: Settings, name: str, number: int, dry_run: bool, yes: bool) -> None:
    """Let the next version of NAME be N + 1: after a restore, when N was used already.

    `dynastash audit --check` says which numbers were. The current value stays; the numbers up to N that the store does
    not know count as destroyed. A secret that is further already stays as it is.
    """
    stash = settings.stash()
    if dry_run:
        last = max(version.number for version in stash.history(name))
        say(
            f"{name} is at version {last}: "
            + ("nothing to do" if last >= number else f"the next would be {number + 1}")
        )
        return
    agree(f"never use the versions of {name} up to {number} again?", yes=yes)
    info = stash.advance(name, number)
    if settings.output != "table":
        emit(info_data(info), settings.output)
    say(f"advanced {name}: the next version is {info.last + 1} in {stash.environment} ({stash.where})")
