"""``dynastash import`` and ``dynastash migrate``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.command import Command, OwnOption, PlaceOption
from dynastash.cli.moving import move
from dynastash.cli.oldtable import opened_with
from dynastash.cli.options import FilePath, Pair, PlainText, Settings, Usage, common, dry_run
from dynastash.cli.places import from_place, place
from dynastash.transfer.formats import FORMATS

if TYPE_CHECKING:
    from dynastash.credstash.terms import Terms
    from dynastash.places import History, Kind

_F = TypeVar("_F", bound=Callable[..., Any])
_ORDERS: Final = ("served", "numeric")


def _which_keys(command: _F) -> _F:
    """``prefix``, ``mapped`` and ``only``: what is taken, and what it is called here."""
    for option in (
        click.option(
            "--only",
            cls=OwnOption,
            type=PlainText(),
            multiple=True,
            metavar="GLOB",
            help="Only keys that match, as in 'app1.*'; may be repeated.",
        ),
        click.option(
            "--map",
            "mapped",
            cls=OwnOption,
            type=Pair(),
            multiple=True,
            metavar="KEY=NAME",
            help="What a key is called here, whole; may be repeated.",
        ),
        click.option(
            "--prefix", cls=OwnOption, type=PlainText(), default="", metavar="PREFIX", help="Put in front of each key."
        ),
    ):
        command = option(command)
    return command


@click.command(
    "import",
    cls=Command,
    examples=(
        "dynastash import secrets.json --prefix app1/ -e prod --dry-run",
        "dynastash import .env --format dotenv --map DB_PASS=app1/db/password",
        "dynastash import --from ssm:/app1 --prefix app1/ -e prod",
        "dynastash import --sealed prod.dynastash -e prod",
    ),
)
@click.argument("path", metavar="[FILE]", required=False, type=FilePath())
@click.option(
    "--format",
    "form",
    cls=OwnOption,
    type=click.Choice(tuple(FORMATS)),
    metavar="FORMAT",
    help=f"{', '.join(FORMATS)}.  [default: by FILE's name, where that tells]",
)
@click.option(
    "--from",
    "source",
    cls=OwnOption,
    type=PlainText(),
    metavar="PLACE",
    help="credstash:TABLE, secretsmanager:PREFIX, ssm:/PATH or environment:NAME.",
)
@click.option("--sealed", cls=OwnOption, type=FilePath(), metavar="FILE", help="The backup to restore.")
@_which_keys
@click.option(
    "--existing",
    cls=OwnOption,
    type=click.Choice(("refuse", "skip", "add")),
    default="refuse",
    metavar="WHAT",
    help="A secret that is here with another value: refuse all, skip it, or add a version.  [default: refuse]",
)
@dry_run
@opened_with
@from_place
@common
def import_command(
    settings: Settings,
    path: str | None,
    form: str | None,
    source: str | None,
    sealed: str | None,
    prefix: str,
    mapped: tuple[tuple[str, str], ...],
    only: tuple[str, ...],
    existing: str,
    dry_run: bool,
    terms: Callable[[Kind | None], Terms | None],
    source_way: Mapping[str, str],
) -> None:
    """Take secrets from FILE (- for standard input), the current values of another place, or restore a sealed backup.

    All of them or none: the whole file is read, and every name, value and size checked, before anything is written; a
    secret that is here with another value refuses all, unless --existing says otherwise. What is here already with the
    same value stays as it is, so that the same command goes on where it was interrupted. Keys are names, behind
    --prefix. Values are compared afterwards, and never shown.

    --sealed restores what `dynastash export --sealed` wrote, into an environment of the same name. What is there
    already and the same stays; what differs is refused. Afterwards, `dynastash verify` proves the result.
    """
    if [path, source, sealed].count(None) == 3:
        raise Usage("what to import was not said", "give FILE, --from PLACE or --sealed FILE")
    if [path, source, sealed].count(None) < 2:
        raise Usage("FILE, --from and --sealed exclude each other", "leave all but one out")
    if form is not None and path is None:
        raise click.UsageError("--format goes with FILE")
    if source is None and source_way:
        raise click.UsageError("how a place is reached goes with --from PLACE")
    if source is None:
        terms(None)
    if sealed is not None:
        from dynastash.cli.backup import import_backup

        if prefix or mapped or only or existing != "refuse":
            raise click.UsageError(
                "a sealed backup is restored as it is: leave out --prefix, --map, --only, --existing"
            )
        import_backup(settings, sealed, dry_run=dry_run)
        return
    from dynastash.transfer.naming import checked
    from dynastash.transfer.planning import Existing, Rules

    rules = Rules(whole=False, names=checked(prefix, mapped), existing=Existing(existing))
    described, histories = _of_file(path, form) if path is not None else ("", None)
    stash = settings.stash()
    if histories is None:
        from dynastash.wiring import open_source

        named = place(str(source))
        taken = open_source(named, settings.environment(), way=source_way, whole=False, terms=terms(named.kind))
        described, histories = taken.description, taken.read()
    move(settings, stash, histories, rules, source=described, only=only, dry_run=dry_run, together=True)


def _of_file(path: str, form: str | None) -> tuple[str, Iterable[History]]:
    """What the file is called, and its secrets. Raises what keeps it from being read as a whole."""
    from dynastash.cli.filein import read_file
    from dynastash.transfer.formats import guessed

    if (known := form or guessed(path)) is None:
        raise Usage(
            f"the format of {'standard input' if path == '-' else path} was not said",
            f"give --format {', '.join(FORMATS)}",
        )
    described = "standard input" if path == "-" else path
    return described, read_file(path, described, known)


@click.command(
    "migrate",
    cls=Command,
    examples=(
        "dynastash migrate --from credstash:credential-store --dry-run -e prod",
        "dynastash migrate --from credstash:credential-store -e prod",
        "dynastash migrate --from environment:staging --prefix app1/ -e prod",
    ),
)
@click.option(
    "--from",
    "source",
    cls=OwnOption,
    type=PlainText(),
    required=True,
    metavar="PLACE",
    help="credstash:TABLE, secretsmanager:PREFIX, ssm:/PATH or environment:NAME.",
)
@_which_keys
@click.option(
    "--skip-unreadable",
    cls=OwnOption,
    is_flag=True,
    help="Leave older versions out that cannot be read, and take the others without them.",
)
@dry_run
@opened_with
@click.option(
    "--order",
    cls=PlaceOption,
    type=click.Choice(_ORDERS),
    metavar="ORDER",
    help="Which version becomes current where the source serves another than the highest: served or numeric.",
)
@from_place
@common
def migrate_command(
    settings: Settings,
    source: str,
    prefix: str,
    mapped: tuple[tuple[str, str], ...],
    only: tuple[str, ...],
    skip_unreadable: bool,
    dry_run: bool,
    terms: Callable[[Kind | None], Terms | None],
    order: str | None,
    source_way: Mapping[str, str],
) -> None:
    """Bring secrets over with all their versions; nothing at the source is changed.

    Versions keep their order, their comments and, where these are 1, 2, 3 without a gap, their numbers; otherwise a tag
    keeps the old ones. Afterwards every value is compared on both sides. What cannot be moved is listed, the rest is
    done, and the exit code is not 0. Run again, it goes on where it stopped and changes nothing that is there.
    """
    from dynastash.transfer.naming import checked
    from dynastash.transfer.planning import Order, Rules
    from dynastash.wiring import open_source

    rules = Rules(
        whole=True,
        names=checked(prefix, mapped),
        order=None if order is None else Order(order),
        skip_unreadable=skip_unreadable,
    )
    named = place(source)
    stash = settings.stash()
    taken = open_source(named, settings.environment(), way=source_way, terms=terms(named.kind))
    move(settings, stash, taken.read(), rules, source=taken.description, only=only, dry_run=dry_run)
