"""From a plan to a report: what `import` and `migrate` show, carry out and end with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from dynastash.cli.asking import progress
from dynastash.cli.options import Settings
from dynastash.cli.output import counted, emit, emit_table, say, shortened
from dynastash.errors import (
    ConflictError,
    DynastashError,
    InvalidArgumentError,
    PartialError,
    SecretNotFoundError,
    TransferError,
)

if TYPE_CHECKING:
    from dynastash.places import History
    from dynastash.stash.api import Stash
    from dynastash.transfer.arriving import Arrived
    from dynastash.transfer.planning import Planned, Rules


def move(
    settings: Settings,
    stash: Stash,
    histories: Iterable[History],
    rules: Rules,
    *,
    source: str,
    only: Sequence[str] = (),
    dry_run: bool = False,
    together: bool = False,
) -> None:
    """Bring ``histories`` into ``stash``: plan, carry out, compare, report. ``source`` names where they are from.

    ``together``: all of them or none, as far as a plan can tell. Raises what was left out, after the report.
    """
    from dynastash.transfer.arriving import Arrival, Arrived
    from dynastash.transfer.digests import Digests
    from dynastash.transfer.planning import plan

    digests = Digests()
    try:
        with progress(histories, "reading secrets") as read:
            taken = [history for history in read if not only or any(fnmatchcase(history.key, glob) for glob in only)]
        _refuse_unknown(taken, rules, source, only)
        planned = plan(taken, stash, rules, digests)
    except KeyboardInterrupt:
        say("interrupted: nothing was changed")
        raise
    stopped = dry_run or (together and any(each.problem for each in planned))
    results = [Arrived(planned=each, compared=each.present, reached=False) for each in planned]
    if not stopped:
        results = _carried_out(Arrival(stash, rules, digests).carry_out(planned))
    failure = _failure(results, together=together and stopped)
    _show(results, settings, stash, source, dry_run=stopped, listed=isinstance(failure, PartialError))
    if not results:
        say(f"there are no secrets in {source}")
        return
    what = f"nothing was changed: {_foreseen(planned)}" if stopped else _done(results)
    say(f"{what}, from {source} into {stash.environment} ({stash.where})")
    if failure is not None:
        raise failure


def _carried_out(arriving: Iterator[Arrived]) -> list[Arrived]:
    """What became of each secret, counted on a terminal while it comes."""
    results: list[Arrived] = []
    try:
        with progress(arriving, "writing secrets") as counting:
            for each in counting:
                results.append(each)
    except KeyboardInterrupt:
        say(f"interrupted: {_done(results)} until now, at least; the same command goes on")
        raise
    return results


def _refuse_unknown(taken: Sequence[History], rules: Rules, source: str, only: Sequence[str]) -> None:
    keys = {history.key for history in taken}
    if not keys and only:
        raise SecretNotFoundError(f"nothing in {source} matches {' or '.join(only)}", hint="keys are matched whole: a*")
    if missing := sorted(rules.names.mapped.keys() - keys):
        raise InvalidArgumentError(
            f"{source} has no {missing[0]}, which --map names", hint="a key is written as the source writes it"
        )


def _show(
    results: Sequence[Arrived], settings: Settings, stash: Stash, source: str, *, dry_run: bool, listed: bool
) -> None:
    """What was planned or done. ``listed``: the error at the end has each problem in full, and the table need not."""
    if settings.output != "table":
        data = {
            "source": source,
            "environment": stash.environment,
            "dry_run": dry_run,
            "secrets": [_data(each, dry_run) for each in results],
        }
        emit(data, settings.output)
    elif results:
        emit_table(
            [_row(each, dry_run, listed) for each in results],
            ("name", "at the source", "what", "versions", "why"),
            ("at the source", "why"),
            {number for number, each in enumerate(results) if each.planned.problem or each.error},
        )


def _row(result: Arrived, dry_run: bool, listed: bool) -> list[object]:
    planned = result.planned
    failed = planned.problem or result.error is not None
    said = [*([planned.reason] if planned.reason else []), *planned.left_out]
    if result.error is not None:
        said.insert(0, str(result.error))
    said = [*([] if failed and listed else said), *planned.notes]
    missing = len(planned.revisions) - planned.present
    return [
        planned.name or planned.key,
        planned.key if planned.name != planned.key else None,
        _outcome(result, dry_run),
        f"{planned.present} + {missing}" if planned.present and missing else len(planned.revisions) or None,
        shortened("; ".join(said)) if dry_run and not planned.problem else "; ".join(said),
    ]


def _outcome(result: Arrived, dry_run: bool) -> str:
    from dynastash.transfer.planning import Action

    if dry_run or result.planned.action not in (Action.CREATE, Action.APPEND):
        return str(result.planned.action)
    if result.error is not None:
        return "failed"
    if not result.reached:
        return "not reached"
    return {Action.CREATE: "created", Action.APPEND: "appended"}[result.planned.action]


def _data(result: Arrived, dry_run: bool) -> dict[str, Any]:
    planned = result.planned
    return {
        "key": planned.key,
        "name": planned.name or None,
        "what": _outcome(result, dry_run),
        "versions": len(planned.revisions),
        "present": planned.present,
        "written": list(result.written),
        "compared": result.compared,
        "tags": dict(planned.tags),
        "reason": planned.reason if result.error is None else str(result.error),
        "left_out": list(planned.left_out),
        "notes": list(planned.notes),
    }


def _foreseen(planned: Sequence[Planned]) -> str:
    from dynastash.transfer.planning import Action

    writes = [each for each in planned if each.action in (Action.CREATE, Action.APPEND)]
    versions = sum(len(each.revisions) - each.present for each in writes)
    same = sum(each.action is Action.SAME for each in planned)
    problems = sum(each.problem for each in planned)
    return (
        f"{counted(versions, 'version')} of {counted(len(writes), 'secret')} to write, "
        f"{counted(same, 'secret')} the same, {counted(problems, 'problem')}"
    )


def _done(results: Sequence[Arrived]) -> str:
    versions = sum(len(each.written) for each in results)
    secrets = sum(bool(each.written) for each in results)
    compared = sum(each.compared for each in results)
    wrote = f"wrote {counted(versions, 'version')} of {counted(secrets, 'secret')}" if versions else "wrote nothing"
    return f"{wrote}; {counted(compared, 'value')} the same on both sides"


def _failure(results: Sequence[Arrived], *, together: bool) -> DynastashError | None:
    """What the command ends with: what stopped it, or everything that was left out; None where all is done."""
    from dynastash.transfer.opening import STOPPING
    from dynastash.transfer.planning import Action

    left_out: dict[str, DynastashError] = {}
    for each in results:
        planned = each.planned
        said = each.error or _told(planned)
        if said is not None:
            left_out[planned.key] = said
    if not left_out:
        return None
    for failure in left_out.values():
        if isinstance(failure, STOPPING):
            return failure
    number = f"{len(left_out)} of {counted(len(results), 'secret')}"
    if not together:
        return PartialError(
            f"{number} could not be moved whole", left_out, hint="mend what is listed; the same command goes on"
        )
    kinds = {each.planned.action for each in results if each.planned.problem}
    (key, first), more = next(iter(left_out.items())), len(left_out) - 1
    message = f"{key}: {first}" + (f"; and {more} more" if more else "")
    if kinds == {Action.CONFLICT}:
        return ConflictError(
            message, hint="--existing skip leaves what is there, --existing add makes a new version of it"
        )
    if kinds == {Action.REFUSED}:
        return InvalidArgumentError(message, hint="all is written or nothing; mend the source, or use --map")
    return PartialError(f"{number} cannot be taken", left_out, hint="all is written or nothing")


def _told(planned: Planned) -> DynastashError | None:
    """What the plan says of a problem."""
    from dynastash.transfer.planning import Action

    if not planned.problem:
        return None
    kind = ConflictError if planned.action is Action.CONFLICT else TransferError
    return kind("; ".join([*([planned.reason] if planned.reason else []), *planned.left_out]))
