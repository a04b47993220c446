"""Copies in AWS's own services: the options and the work of `sync` and `export --to PLACE`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.command import OwnOption, PlaceOption
from dynastash.cli.delivering import deliver, left_out
from dynastash.cli.options import PlainText, Settings, Usage, Whole
from dynastash.errors import SecretNotFoundError, ServiceAccessDeniedError
from dynastash.places import Kind, Place

if TYPE_CHECKING:
    from dynastash.transfer.choosing import Selection

_F = TypeVar("_F", bound=Callable[..., Any])
KINDS: Final = (Kind.SSM, Kind.SECRETS_MANAGER)
_LAYOUTS: Final = ("names", "chamber")
_TIERS: Final = ("standard", "advanced")
KEPT: Final[Mapping[str, Any]] = {"kms_key": None, "tier": "standard", "recovery_days": 30, "take_over": False}
"""How copies are kept where nothing else is said."""

_READ_BY: Final = {Kind.SSM: "ssm:GetParameter", Kind.SECRETS_MANAGER: "secretsmanager:GetSecretValue"}


def _references(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = tuple(text.partition("=") for text in given)
    if any(not key or not equals for key, equals, _ in pairs):
        raise click.BadParameter("write KEY=REFERENCE, as in db/password=app1/db/password", ctx, param)
    return tuple((key, reference) for key, _, reference in pairs)


def which_copies(command: _F, *, layouts: bool = True) -> _F:
    """``selection``: which secrets are handed over, and under which keys. ``layouts`` offers to make other keys."""

    @functools.wraps(command)
    def invoke(
        *args: Any,
        prefixes: tuple[str, ...],
        secrets: tuple[tuple[str, str], ...],
        keep_prefix: bool,
        layout: str = "names",
        **given: Any,
    ) -> Any:
        from dynastash.transfer.choosing import Selection, flat

        if not prefixes and not secrets:
            raise Usage("which secrets was not said", "give --prefix ('' for all) or --secret KEY=NAME")
        key_of = flat if layout == "chamber" else str
        return command(*args, selection=Selection(prefixes, secrets, keep_prefix, key_of), **given)

    option = functools.partial(click.option, cls=OwnOption)
    wrapped: Any = invoke
    offered = (
        option("--keep-prefix", is_flag=True, help="Make keys of whole names."),
        option(
            "--secret",
            "secrets",
            type=PlainText(),
            multiple=True,
            callback=_references,
            metavar="KEY=REF",
            help="One secret under a key of its own: NAME, NAME@VERSION or NAME#FIELD.",
        ),
        option(
            "--prefix",
            "prefixes",
            type=PlainText(),
            multiple=True,
            metavar="PREFIX",
            help="Every secret whose name starts so; app1/db/password under app1/ has the key db/password.",
        ),
    )
    layout = option(
        "--layout",
        type=click.Choice(_LAYOUTS),
        default="names",
        metavar="LAYOUT",
        help="Keys as the names are, or as chamber reads them: one level, in lower case.  [default: names]",
    )
    for each in (layout, *offered) if layouts else offered:
        wrapped = each(wrapped)
    return wrapped  # type: ignore[no-any-return]


def even_if_empty(command: _F) -> _F:
    """``empty``: whether it is meant that nothing starts with a prefix any more."""
    return click.option(
        "--even-if-empty",
        "empty",
        cls=OwnOption,
        is_flag=True,
        help="Go on where nothing starts with a prefix any more: what was made for it is removed.",
    )(command)


def how_kept(command: _F) -> _F:
    """``kept``: the ``kms_key``, ``tier``, ``recovery_days`` and ``take_over`` by which copies are kept."""

    @functools.wraps(command)
    def invoke(*args: Any, **given: Any) -> Any:
        kept: Mapping[str, Any] = {name: given.pop(name) for name in KEPT}
        return command(*args, **given, kept=kept)

    option = functools.partial(click.option, cls=PlaceOption)
    wrapped: Any = invoke
    for each in (
        option("--take-over", is_flag=True, help="Replace what somebody else made there under the same keys."),
        option(
            "--recovery-days",
            type=Whole(7),
            default=KEPT["recovery_days"],
            metavar="DAYS",
            help="How long Secrets Manager can restore what is removed, 7 to 30.  [default: 30]",
        ),
        option(
            "--tier",
            type=click.Choice(_TIERS),
            default=KEPT["tier"],
            metavar="TIER",
            help="standard, or advanced: Parameter Store takes values above 4 KiB, at a price.  [default: standard]",
        ),
        option(
            "--kms-key",
            type=PlainText(),
            metavar="KEY",
            help="KMS key that encrypts the copies.  [default: the service's own]",
        ),
    ):
        wrapped = each(wrapped)
    return wrapped  # type: ignore[no-any-return]


def hand_over(
    settings: Settings,
    place: Place,
    selection: Selection,
    *,
    way: Mapping[str, str],
    kms_key: str | None,
    tier: str,
    recovery_days: int,
    take_over: bool,
    remove: bool,
    empty: bool = False,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make ``place`` hold what was selected: plan, ask where something is replaced or removed, carry out, read back.

    Raises :class:`PartialError` at the end, after the report, where anything was left out.
    """
    from dynastash.transfer import outgoing
    from dynastash.transfer.choosing import choose
    from dynastash.transfer.services.costs import cost
    from dynastash.wiring import open_target

    environment = settings.environment()
    target = open_target(
        place, environment, way=way, key_id=kms_key, advanced=tier == "advanced", recovery_days=recovery_days
    )
    stash = settings.stash()
    try:
        chosen = choose(stash, selection, empty=empty)
    except SecretNotFoundError as error:
        if remove:
            error.hint = (
                "`dynastash list` shows the names; --even-if-empty removes what was made for those that were there"
            )
        raise
    try:
        planned = outgoing.plan(target, chosen.outgoing, chosen.unreadable, remove=remove, take_over=take_over)
    except ServiceAccessDeniedError as error:
        error.hint = f"`dynastash policy --copies-to {place}` prints what it takes"
        raise
    price = cost(place.kind, planned)
    results = deliver(
        settings,
        place,
        target,
        planned,
        notes=(
            f"copies are read by whoever IAM allows {_READ_BY[place.kind]} on them and their KMS key's use; "
            "dynastash's policies do not guard them",
            *([price.told] if price.copies else []),
        ),
        data={"cost": price.data},
        dry_run=dry_run,
        yes=yes,
    )
    if failure := left_out(planned, results):
        raise failure
