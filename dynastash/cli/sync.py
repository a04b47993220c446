"""``dynastash sync``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli.command import Command, OwnOption
from dynastash.cli.handing import KINDS, even_if_empty, hand_over, how_kept, which_copies
from dynastash.cli.options import PlainText, Settings, common, dry_run, yes
from dynastash.cli.places import place, to_place

if TYPE_CHECKING:
    from dynastash.transfer.choosing import Selection


@click.command(
    "sync",
    cls=Command,
    examples=(
        "dynastash sync --to ssm:/app1 --prefix app1/ -e prod --dry-run",
        "dynastash sync --to ssm:/app1 --prefix app1/ --layout chamber -e prod --yes",
        "dynastash sync --to secretsmanager:app1 --secret db=app1/db/login -e prod",
    ),
)
@click.option(
    "--to",
    "to",
    cls=OwnOption,
    type=PlainText(),
    required=True,
    metavar="PLACE",
    help="ssm:/PATH or secretsmanager:PREFIX.",
)
@which_copies
@even_if_empty
@dry_run
@yes
@how_kept
@to_place
@common
def sync_command(
    settings: Settings,
    to: str,
    selection: Selection,
    empty: bool,
    dry_run: bool,
    yes: bool,
    target_way: Mapping[str, str],
    kept: Mapping[str, Any],
) -> None:
    """Keep copies of secrets where ECS, CloudFormation and other services of AWS read them.

    PLACE then holds the current values of what is named here, and nothing else that this environment made there: one
    sync is for one place. Only what changed is written, and every change is read back. What this environment made and
    is no longer named is removed; what others made is never touched. The plan is shown first, and asked for where
    something is replaced or removed.

    A copy is protected by IAM and the KMS key of that service, no longer by dynastash.
    """
    hand_over(
        settings,
        place(to, KINDS),
        selection,
        way=target_way,
        remove=True,
        empty=empty,
        dry_run=dry_run,
        yes=yes,
        **kept,
    )
