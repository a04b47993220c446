"""``dynastash list`` and ``dynastash history``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from dynastash.cli import exits
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.listed import OPTIONAL, show
from dynastash.cli.options import Period, SecretName, Settings, common, name_argument
from dynastash.cli.output import emit, emit_table, shortened, version_data
from dynastash.models import SecretInfo, Version


@click.command("list", cls=Command)
@click.argument("prefix", default="", type=SecretName())
@click.option("--all", "everything", cls=OwnOption, is_flag=True, help="Deleted and destroyed secrets too.")
@click.option(
    "--expiring",
    cls=OwnOption,
    type=Period(),
    metavar="TIME",
    help="Only what expires within 14d, 12h and the like, or has.",
)
@click.option("--exit-code", cls=OwnOption, is_flag=True, help="With --expiring: exit with 6 if there is anything.")
@click.option("--verified", cls=OwnOption, is_flag=True, help="Authenticate what is shown (one decryption a secret).")
@common
def list_command(
    settings: Settings, prefix: str, everything: bool, expiring: timedelta | None, exit_code: bool, verified: bool
) -> None:
    """List secrets, or those whose names start with PREFIX.

    Shows names, versions, authors and comments, never a value. May lag a moment behind the last writes. Long comments
    are shortened; -o json has everything.
    """
    if exit_code and expiring is None:
        raise click.UsageError("--exit-code goes with --expiring")
    only, which = None, ""
    if expiring is not None:
        now, which = datetime.now(UTC), "expire by then"

        def only(info: SecretInfo) -> bool:
            # The difference, because a sum could lie behind the year 9999.
            return info.expires_at is not None and info.expires_at - now <= expiring

    found = show(settings, prefix, everything=everything, verified=verified, only=only, which=which)
    if exit_code and found:
        click.get_current_context().exit(exits.CONFLICT)


@click.command("history", cls=Command)
@name_argument
@common
def history_command(settings: Settings, name: str) -> None:
    """Show every version of NAME: who wrote it, when and why.

    The newest comes first. Never shows a value. Long comments are shortened; -o json has everything.
    """
    versions = list(reversed(settings.stash().history(name)))
    if settings.output != "table":
        emit([version_data(version) for version in versions], settings.output)
        return
    emit_table(
        [_version_row(version) for version in versions],
        ("version", "stage", "created (UTC)", "by", "comment", "expires (UTC)"),
        OPTIONAL,
    )


def _version_row(version: Version) -> list[object]:
    label = " ".join(version.stages)
    if version.destroyed_at is not None:
        label = "destroyed"
    elif version.disabled:
        label = f"{label} deleted".strip()
    return [
        version.number,
        label,
        version.created_at,
        version.created_by,
        shortened(version.comment),
        version.expires_at,
    ]
