"""``dynastash export``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from dynastash.cli.command import Command, OwnOption
from dynastash.cli.handing import KEPT, KINDS, hand_over, how_kept
from dynastash.cli.options import FilePath, PlainText, Settings, Usage, common, dry_run, yes
from dynastash.cli.places import is_place, place, to_place
from dynastash.cli.which import add_mask, which_secrets
from dynastash.places import Kind
from dynastash.transfer.formats import FORMATS

GITHUB: Final = "github-env"


@click.command(
    "export",
    cls=Command,
    examples=(
        "dynastash export --sealed prod.dynastash -e prod",
        "dynastash export --format dotenv --prefix app1/ --to .env -e prod",
        "dynastash export --format kubernetes --name app1 --prefix app1/ -e prod",
        "dynastash export --format github-env --prefix app1/ -e prod",
        "dynastash export --to ssm:/app1 --prefix app1/ -e prod",
    ),
)
@click.option(
    "--sealed",
    "path",
    cls=OwnOption,
    type=FilePath(),
    metavar="FILE",
    help="The backup to write; it must not exist yet.",
)
@click.option(
    "--format",
    "form",
    cls=OwnOption,
    type=click.Choice((*FORMATS, GITHUB)),
    metavar="FORMAT",
    help=f"Open secrets, and write them as {', '.join(FORMATS)} or {GITHUB}.",
)
@which_secrets
@click.option(
    "--to",
    "target",
    cls=OwnOption,
    type=FilePath(),
    metavar="FILE",
    help=f"A new FILE, or - for standard output.  [default: -] {GITHUB} is appended to FILE.  [default: $GITHUB_ENV] "
    "Or ssm:/PATH, secretsmanager:PREFIX or environment:NAME.",
)
@click.option(
    "--name", "title", cls=OwnOption, type=PlainText(), metavar="NAME", help="What the Secret of kubernetes is called."
)
@add_mask
@dry_run
@yes
@how_kept
@to_place
@common
def export_command(
    settings: Settings,
    path: str | None,
    form: str | None,
    kept: Mapping[str, Any],
    target_way: Mapping[str, str],
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Back the environment up with --sealed, or hand secrets over to another program with --format.

    A sealed backup has every record as it is, still encrypted: neither a value nor a key is opened or written, and the
    records open only with the environment's own key.

    With --format, the current values are opened and written: all of them exactly, or none. What a format cannot hold is
    refused with the secret's name. Variables are named as by `dynastash run`; json, yaml, csv and properties keep names
    without the prefix. In a workflow of GitHub's, values are masked in its log before anything else is done.

    With --to ssm:/PATH or secretsmanager:PREFIX, copies are made there once, under the keys that `dynastash sync` gives
    them; nothing is removed. With --to environment:NAME, that environment gets the secrets with all their versions, as
    `dynastash migrate` does it.
    """
    target = given["target"]
    if is_place(target):
        if path is not None or form is not None:
            raise Usage(
                "--format and --sealed write files, and what --to names is another place",
                f"leave them out, or write --to ./{target} where a file is meant",
            )
        if place(target).kind == Kind.ENVIRONMENT:
            _refuse_kept(yes=yes, kept=kept)
            _export_histories(settings, given, way=target_way, dry_run=dry_run)
        else:
            _export_copies(settings, given, way=target_way, dry_run=dry_run, yes=yes, **kept)
        return
    if dry_run or target_way:
        raise click.UsageError("--dry-run and how a place is reached go with --to PLACE")
    _refuse_kept(yes=yes, kept=kept)
    if path is None and form is None:
        raise Usage(
            "what to export was not said",
            "give --format FORMAT and secrets, or --to PLACE and secrets, or --sealed FILE",
        )
    if path is not None and form is not None:
        raise Usage("--sealed and --format exclude each other", "leave one out")
    if form == "kubernetes" and given["title"] is None:
        raise Usage("the Secret of --format kubernetes has no name yet", "give --name, as in --name app1")
    if given["title"] is not None and form != "kubernetes":
        raise Usage("--name goes with --format kubernetes", "it is what the Secret is called there, as in --name app1")
    if form is None and (given["prefixes"] or given["secrets"] or given["keep_prefix"] or target):
        raise click.UsageError("--prefix, --secret, --keep-prefix and --to go with --format")
    if path is not None:
        from dynastash.cli.backup import export_backup

        export_backup(settings, path)
    else:
        from dynastash.cli.variables import export_variables

        export_variables(settings, str(form), **given)


def _refuse_kept(*, yes: bool, kept: Mapping[str, Any]) -> None:
    if yes or kept != KEPT:
        raise click.UsageError("--yes and how copies are kept go with --to ssm:/PATH or secretsmanager:PREFIX")


def _export_histories(settings: Settings, given: Mapping[str, Any], *, way: Mapping[str, str], dry_run: bool) -> None:
    from dynastash.cli.moving import move
    from dynastash.config import resolve
    from dynastash.transfer.environment import EnvironmentSource
    from dynastash.transfer.planning import Rules
    from dynastash.wiring import open_environment

    if not given["prefixes"] or given["secrets"]:
        raise Usage("environments get whole secrets, under their names", "give --prefix ('' for all), and no --secret")
    source = EnvironmentSource(settings.stash(), prefixes=given["prefixes"])
    stash = open_environment(resolve(place(given["target"]).where, overrides=dict(way)))
    move(settings, stash, source.read(), Rules(whole=True), source=source.description, dry_run=dry_run)


def _export_copies(settings: Settings, given: Mapping[str, Any], **how: Any) -> None:
    from dynastash.transfer.choosing import Selection

    if not given["prefixes"] and not given["secrets"]:
        raise Usage("which secrets was not said", "give --prefix ('' for all) or --secret KEY=NAME")
    selection = Selection(given["prefixes"], given["secrets"], given["keep_prefix"])
    hand_over(settings, place(given["target"], KINDS), selection, remove=False, **how)
