"""``dynastash publish``."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from dynastash.cli.command import Command, OwnOption, PlaceOption
from dynastash.cli.delivering import deliver, deliver_again, left_out
from dynastash.cli.handing import even_if_empty, which_copies
from dynastash.cli.oldtable import published_with
from dynastash.cli.options import PlainText, Seconds, Settings, Usage, common, dry_run, yes
from dynastash.cli.output import complain_of, say
from dynastash.cli.places import place, to_place
from dynastash.errors import DynastashError
from dynastash.places import Kind, Place

if TYPE_CHECKING:
    from dynastash.credstash.terms import Terms
    from dynastash.transfer.choosing import Selection
    from dynastash.transfer.keeping import Keeper, Round
    from dynastash.transfer.outgoing import Done

_INTERVAL: Final = 60.0
_NOTE: Final = (
    "copies are read by whoever IAM allows dynamodb:Query on the table and kms:Decrypt under its key; dynastash's "
    "policies do not guard them"
)


@click.command(
    "publish",
    cls=Command,
    examples=(
        "dynastash publish --to credstash:old --prefix '' -e prod --dry-run",
        "dynastash publish --to credstash:old --prefix app1/ --keep-prefix -e prod",
        "dynastash publish --to credstash:old --prefix '' --yes --watch -e prod",
    ),
)
@click.option("--to", "to", cls=OwnOption, type=PlainText(), required=True, metavar="PLACE", help="credstash:TABLE.")
@functools.partial(which_copies, layouts=False)
@even_if_empty
@click.option("--watch", cls=OwnOption, is_flag=True, help="Go on: carry every change over until Ctrl-C.")
@click.option(
    "--interval",
    cls=OwnOption,
    type=Seconds(1),
    metavar="TIME",
    help="How often --watch looks: 30s, 5m.  [default: 60s]",
)
@dry_run
@yes
@click.option(
    "--take-over",
    cls=PlaceOption,
    is_flag=True,
    help="Write also where somebody else's value differs: it stays, as an older version.",
)
@published_with
@to_place
@common
def publish_command(
    settings: Settings,
    to: str,
    selection: Selection,
    empty: bool,
    watch: bool,
    interval: float | None,
    dry_run: bool,
    yes: bool,
    take_over: bool,
    terms: Terms,
    item_key: str,
    target_way: Mapping[str, str],
) -> None:
    """Write current values into a credstash table, for programs that go on reading it.

    credstash and its ports in Java, Node, Ruby, Go and PHP read what is written. A version has the number that it has
    here; nothing in the table is overwritten. What others wrote with the same value is adopted, with another it is a
    conflict. What this environment wrote and is no longer named is removed. The plan is shown first, and asked for
    where readers will get something else.

    A secret that `dynastash migrate` had to rename goes back under its old name.
    """
    from dynastash.frozen import replace
    from dynastash.transfer.keeping import Keeper, Rules
    from dynastash.transfer.naming import TAG
    from dynastash.wiring import open_published

    named = place(to, (Kind.CREDSTASH,))
    if interval is not None and not watch:
        raise Usage("--interval goes with --watch", "add --watch")
    if watch and dry_run:
        raise Usage("--watch and --dry-run exclude each other", "leave one out")
    whole, few = open_published(named, settings.environment(), way=target_way, terms=terms, key=item_key)
    rules = Rules(empty=empty, take_over=take_over, adopt=True)
    keeper = Keeper(settings.stash(), whole, few, replace(selection, key_tag=TAG), rules)
    first = keeper.look()
    assert first is not None
    undone = _Undone()
    undone.seen(first)
    results = deliver(settings, named, first.target, first.planned, notes=(_NOTE,), dry_run=dry_run, yes=yes)
    keeper.done(first, results)
    undone.tried(results)
    failure = left_out(first.planned, results)
    if not watch:
        if failure is not None:
            raise failure
        return
    if failure is not None:
        complain_of(failure, hint=failure.hint, verbose=settings.verbose)
    _watch(settings, named, keeper, undone, interval or _INTERVAL)


class _Undone:
    """What was shown and is not done yet, because it failed or cannot be done: by key, as it was shown."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[object, ...]] = {}

    def seen(self, this: Round) -> bool:
        """Whether ``this`` has anything that was not shown before. It counts as shown from now on."""
        steps = {
            step.key: (step.name, step.version, step.action, step.reason)
            for step in (*this.planned.changes, *this.planned.problems)
        }
        new = not steps.items() <= self._steps.items()
        if this.whole:
            self._steps.clear()
        self._steps |= steps
        return new

    def tried(self, results: Sequence[Done]) -> None:
        """What came of it: what was done would be new the next time."""
        for each in results:
            if each.error is None:
                self._steps.pop(each.step.key, None)


def _watch(settings: Settings, named: Place, keeper: Keeper, undone: _Undone, interval: float) -> None:
    """Look every ``interval`` seconds, until Ctrl-C. A failure is told once, and tried again."""
    say(f"watching every {interval:g} s, until Ctrl-C")
    failing = False
    try:
        while True:
            time.sleep(interval)
            try:
                _look_again(settings, named, keeper, undone)
            except DynastashError as error:
                if not failing:
                    complain_of(error, hint=error.hint, verbose=settings.verbose)
                failing = True
            else:
                if failing:
                    say("watching again")
                failing = False
    except KeyboardInterrupt:
        say("stopped: the table stays as it is")
        raise


def _look_again(settings: Settings, named: Place, keeper: Keeper, undone: _Undone) -> None:
    """One look, and what follows of it; nothing is said where nothing does, nor of what fails as it did before."""
    this = keeper.look()
    if this is None:
        return
    new = undone.seen(this)
    if not this.planned.changes and not this.planned.problems:
        keeper.done(this, [])
        return
    if new:
        results = deliver(settings, named, this.target, this.planned, dry_run=False, yes=True)
    else:
        results = deliver_again(settings, named, this.target, this.planned)
    keeper.done(this, results)
    undone.tried(results)
    if new and (failure := left_out(this.planned, results)):
        complain_of(failure, hint=failure.hint, verbose=settings.verbose)
