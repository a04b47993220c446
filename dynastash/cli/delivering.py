"""From a plan to a report: what `sync`, `export --to PLACE` and `publish` show, carry out and end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dynastash.cli.asking import agree, progress
from dynastash.cli.options import Settings
from dynastash.cli.output import counted, emit, emit_table, say
from dynastash.errors import DynastashError, PartialError, TransferError
from dynastash.places import Place, Target

if TYPE_CHECKING:
    from dynastash.transfer.outgoing import Done, Plan, Step

_DONE: Final = {
    "create": "created",
    "update": "updated",
    "take over": "taken over",
    "adopt": "adopted",
    "remove": "removed",
}
_WORDS: Final = {
    "create": "to create",
    "update": "to update",
    "take over": "to take over",
    "adopt": "to adopt",
    "remove": "to remove",
    "same": "the same",
    "conflict": "in conflict",
    "refused": "refused",
    "unreadable": "unreadable",
}


def deliver(
    settings: Settings,
    place: Place,
    target: Target,
    planned: Plan,
    *,
    notes: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    dry_run: bool,
    yes: bool,
) -> Sequence[Done]:
    """Show the plan, ask where something is replaced or removed, carry it out, read it back, and report.

    ``notes`` are for people, where anything is to change; ``data`` is what the report for programs has besides. What
    was left out is for :func:`left_out` to say.
    """
    source = settings.environment().name
    described = f"{target.description}, from {source}"
    shows = settings.output == "table"
    if shows:
        _show_plan(planned)
    say(f"{described}: {_summary(planned)}")
    if planned.changes:
        for note in notes:
            say(f"note: {note}")
    results: Sequence[Done] = ()
    if planned.changes and not dry_run:
        if planned.takes_away:
            agree(_question(planned), yes=yes)
        results = _carried_out(target, planned, described)
    elif dry_run or not planned.changes:
        say("nothing was changed")
    if not shows:
        emit({**_data(source, place, planned, results), **(data or {})}, settings.output)
    return results


def deliver_again(settings: Settings, place: Place, target: Target, planned: Plan) -> Sequence[Done]:
    """Try once more what was shown and failed. Nothing is said where it fails again."""
    from dynastash.transfer import outgoing

    source = settings.environment().name
    results = outgoing.verify(target, list(outgoing.apply(target, planned)))
    if any(each.error is None for each in results):
        say(f"{target.description}, from {source}: {_told(results)}; compared with what is there now")
        if settings.output != "table":
            emit(_data(source, place, planned, results), settings.output)
    return results


def _carried_out(target: Target, planned: Plan, described: str) -> Sequence[Done]:
    """What became of each change. Whatever ends it half-way, what was done until then is said."""
    from dynastash.transfer import outgoing

    results: list[Done] = []
    try:
        with progress(outgoing.apply(target, planned), "writing") as doing:
            for each in doing:
                results.append(each)
        found = outgoing.verify(target, results)
    except (KeyboardInterrupt, DynastashError):
        say(f"{described}: {_told(results)} until now, at least; the same command goes on")
        raise
    say(f"{described}: {_told(found)}; compared with what is there now")
    return found


def _show_plan(planned: Plan) -> None:
    """The steps, each with its reason but for those that :func:`left_out` lists in full."""
    from dynastash.transfer.outgoing import PROBLEMS, Action

    shown = [step for step in planned.steps if step.action is not Action.SAME or step.reason]
    if shown:
        emit_table(
            [
                (step.key, step.name, step.version, str(step.action), None if step.action in PROBLEMS else step.reason)
                for step in shown
            ],
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
    return ", ".join([*parts, *([f"{failed} failed"] if failed else [])]) or "nothing done"


def _data(environment: str, place: Place, planned: Plan, results: Sequence[Done]) -> dict[str, Any]:
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
    }


def left_out(planned: Plan, results: Sequence[Done]) -> PartialError | None:
    """What was not done, as an error; None where all was."""
    failures: dict[str, DynastashError] = {
        step.key: TransferError(f"{step.action}: {step.reason}") for step in planned.problems
    }
    failures |= {each.step.key: each.error for each in results if each.error is not None}
    if not failures:
        return None
    done = any(each.error is None for each in results)
    hints = {error.hint for error in failures.values()}
    return PartialError(
        f"{len(failures)} of {counted(len(planned.steps), 'key')} could not be handed over",
        failures,
        hint=(hints.pop() if len(hints) == 1 else None)
        or ("the rest is done; " if done else "") + "mend what is listed, or leave it out",
    )
