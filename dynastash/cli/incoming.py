"""``dynastash import`` and ``dynastash migrate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.command import Command, OwnOption, PlaceOption
from dynastash.cli.moving import move
from dynastash.cli.oldtable import opened_with
from dynastash.cli.options import Pair, PlainText, Settings, common, dry_run
from dynastash.cli.places import from_place, place

if TYPE_CHECKING:
    from dynastash.credstash.terms import Terms
    from dynastash.places import Kind

_F = TypeVar("_F", bound=Callable[..., Any])
_ORDERS: Final = ("served", "numeric")


def _which_keys(command: _F) -> _F:
    """``prefix``, ``mapped`` and ``only``: what is taken, and what it is called here."""
    for option in (
        click.option(
            "--only",
            cls=OwnOption,
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
    terms: Callable[[Kind], Terms | None],
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
