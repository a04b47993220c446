"""From a plan to a report: what `sync` and `export --to PLACE` show, carry out and end with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.asking import agree, progress
from dynastash.cli.command import OwnOption, PlaceOption
from dynastash.cli.options import Pair, PlainText, Settings, Usage, Whole
from dynastash.cli.output import counted, emit, emit_table, say
from dynastash.errors import DynastashError, PartialError, TransferError
from dynastash.places import Kind, Place

if TYPE_CHECKING:
    from dynastash.transfer.choosing import Selection
    from dynastash.transfer.outgoing import Done, Plan, Step
    from dynastash.transfer.services.costs import Cost

_F = TypeVar("_F", bound=Callable[..., Any])
KINDS: Final = (Kind.SSM, Kind.SECRETS_MANAGER)
_LAYOUTS: Final = ("names", "chamber")
_TIERS: Final = ("standard", "advanced")
KEPT: Final[Mapping[str, Any]] = {"kms_key": None, "tier": "standard", "recovery_days": 30, "take_over": False}
"""How copies are kept where nothing else is said."""

_DONE: Final = {"create": "created", "update": "updated", "take over": "taken over", "remove": "removed"}
_WORDS: Final = {
    "create": "to create",
    "update": "to update",
    "take over": "to take over",
    "remove": "to remove",
    "same": "the same",
    "conflict": "in conflict",
    "refused": "refused",
    "unreadable": "unreadable",
}
_READ_BY: Final = {Kind.SSM: "ssm:GetParameter", Kind.SECRETS_MANAGER: "secretsmanager:GetSecretValue"}


def which_copies(command: _F) -> _F:
    """``selection``: which secrets are handed over, and under which keys."""

    @functools.wraps(command)
    def invoke(
        *args: Any,
        prefixes: tuple[str, ...],
        secrets: tuple[tuple[str, str], ...],
        keep_prefix: bool,
        layout: str,
        **given: Any,
    ) -> Any:
        from dynastash.transfer.choosing import Selection, flat

        if not prefixes and not secrets:
            raise Usage("which secrets was not said", "give --prefix ('' for all) or --secret KEY=NAME")
        key_of = flat if layout == "chamber" else str
        return command(*args, selection=Selection(prefixes, secrets, keep_prefix, key_of), **given)

    option = functools.partial(click.option, cls=OwnOption)
    wrapped: Any = invoke
    for each in (
        option(
            "--layout",
            type=click.Choice(_LAYOUTS),
            default="names",
            metavar="LAYOUT",
            help="Keys as the names are, or as chamber reads them: one level, in lower case.  [default: names]",
        ),
        option("--keep-prefix", is_flag=True, help="Make keys of whole names."),
        option(
            "--secret",
            "secrets",
            type=Pair(),
            multiple=True,
            metavar="KEY=REF",
            help="One secret under a key of its own: NAME, NAME@VERSION or NAME#FIELD.",
        ),
        option(
            "--prefix",
            "prefixes",
            multiple=True,
            metavar="PREFIX",
            help="Every secret whose name starts so; app1/db/password under app1/ has the key db/password.",
        ),
    ):
        wrapped = each(wrapped)
    return wrapped  # type: ignore[no-any-return]


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
    described = target.description
    stash = settings.stash()
    chosen = choose(stash, selection, empty=empty)
    planned = outgoing.plan(target, chosen.outgoing, chosen.unreadable, remove=remove, take_over=take_over)
    price = cost(place.kind, planned)
    shows = settings.output == "table"
    if shows:
        _show_plan(planned)
    say(f"{described}: {_summary(planned)}")
    if planned.changes:
        say(
            f"note: copies are read by whoever IAM allows {_READ_BY[place.kind]} on them and their KMS key's use; "
            "dynastash's policies do not guard them"
        )
        say(f"note: {price.told}")
    results: Sequence[Done] = ()
    if planned.changes and not dry_run:
        if planned.takes_away:
            agree(_question(planned), yes=yes)
        with progress(outgoing.apply(target, planned), "writing") as doing:
            results = list(doing)
        with progress(iter([0]), "reading back"):
            results = outgoing.verify(target, results)
        say(f"{described}: {_told(results)}")
    elif dry_run or not planned.changes:
        say("nothing was changed")
    if not shows:
        emit(_data(stash.environment, place, planned, results, price), settings.output)
    _complain(planned, results)


def _show_plan(planned: Plan) -> None:
    from dynastash.transfer.outgoing import PROBLEMS, Action

    shown = [step for step in planned.steps if step.action is not Action.SAME or step.reason]
    if shown:
        emit_table(
            [(step.key, step.name, step.version, str(step.action), step.reason) for step in shown],
            ("key", "secret", "version", "what", "why"),
            ("why",),
            {number for number, step in enumerate(shown) if step.action in PROBLEMS},
        )


def _summary(planned: Plan) -> str:
    from dynastash.transfer.outgoing import Action

    parts = [
        f"{len(found)} {_WORDS[action]}" for action in Action if (found := planned.of(action)) and action in _WORDS
    ]
    return ", ".join(parts) or "nothing to do"


def _question(planned: Plan) -> str:
    from dynastash.transfer.outgoing import Action

    replaced = planned.of(Action.UPDATE, Action.TAKE_OVER)
    removed = planned.of(Action.REMOVE)
    parts = [f"replace {counted(len(replaced), 'value')}"] if replaced else []
    parts += [f"remove {counted(len(removed), 'value')}"] if removed else []
    return f"{' and '.join(parts)}?"


def _told(results: Sequence[Done]) -> str:
    done = [str(each.step.action) for each in results if each.error is None]
    parts = [f"{_DONE[action]} {done.count(action)}" for action in dict.fromkeys(done)]
    failed = len(results) - len(done)
    return ", ".join([*parts, *([f"{failed} failed"] if failed else [])]) + "; compared with what is there now"


def _data(environment: str, place: Place, planned: Plan, results: Sequence[Done], price: Cost) -> dict[str, Any]:
    errors = {each.step.key: each.error for each in results}

    def data(step: Step) -> dict[str, Any]:
        error = errors.get(step.key)
        return {
            "key": step.key,
            "name": step.name,
            "version": step.version,
            "action": str(step.action),
            "reason": step.reason,
            "done": step.key in errors and error is None,
            "error": None if error is None else str(error),
        }

    return {
        "environment": environment,
        "to": str(place),
        "steps": [data(step) for step in planned.steps],
        "cost": price.data,
    }


def _complain(planned: Plan, results: Sequence[Done]) -> None:
    failures: dict[str, DynastashError] = {
        step.key: TransferError(f"{step.action}: {step.reason}") for step in planned.problems
    }
    failures |= {each.step.key: each.error for each in results if each.error is not None}
    if not failures:
        return
    done = any(each.error is None for each in results)
    some = "; ".join(f"{key}: {error}" for key, error in list(failures.items())[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    hints = {error.hint for error in failures.values()}
    raise PartialError(
        f"{len(failures)} of {counted(len(planned.steps), 'key')} could not be handed over: {some}{more}",
        failures,
        hint=(hints.pop() if len(hints) == 1 else None)
        or ("the rest is done; " if done else "") + "mend what is listed, or leave it out",
    )
