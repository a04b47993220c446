"""``dynastash delete``, ``undelete``, ``destroy``, ``prune`` and ``diff``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli import exits
from dynastash.cli.asking import agree
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import (
    Period,
    Settings,
    Usage,
    Whole,
    common,
    dry_run,
    if_version,
    name_argument,
    names_or_prefix,
    yes,
)
from dynastash.cli.output import counted, emit, emit_table, info_data, say, version_data, write_text
from dynastash.errors import ConflictError
from dynastash.models import State

if TYPE_CHECKING:
    from dynastash.models import Difference, SecretInfo
    from dynastash.stash.api import Stash


@click.command(
    "delete",
    cls=Command,
    examples=("dynastash delete app1/db/password", "dynastash delete app1/db/password --version 3"),
)
@name_argument
@click.option("--version", cls=OwnOption, type=Whole(1), metavar="N", help="Only version N, not the whole secret.")
@click.option(
    "--recovery-days",
    cls=OwnOption,
    type=Whole(0),
    metavar="N",
    help="Days until `prune --overdue` may destroy the secret.  [default: 30]",
)
@if_version
@common
def delete_command(
    settings: Settings, name: str, version: int | None, recovery_days: int | None, if_version: int | None
) -> None:
    """Hide NAME, or one version of it, so that it is not given out.

    Nothing is erased: `dynastash undelete` takes it back. Erasing for good is `dynastash destroy`.
    """
    if version is not None and recovery_days is not None:
        raise click.UsageError("--recovery-days goes with a whole secret, not with --version")
    stash = settings.stash()
    days = 30 if recovery_days is None else recovery_days
    info = stash.delete(name, version, recovery_days=days, if_version=if_version)
    if version is not None:
        _report(settings, stash, f"deleted version {version} of {name}", info)
    else:
        due = (
            ""
            if info.purge_at is None
            else f"; `dynastash undelete` takes it back until {info.purge_at:%Y-%m-%d %H:%M} UTC"
        )
        _report(settings, stash, f"deleted {name}", info, due)


@click.command("undelete", cls=Command)
@name_argument
@click.option("--version", cls=OwnOption, type=Whole(1), metavar="N", help="Only version N, not the whole secret.")
@common
def undelete_command(settings: Settings, name: str, version: int | None) -> None:
    """Take the deletion of NAME, or of one version of it, back."""
    stash = settings.stash()
    info = stash.undelete(name, version)
    what = name if version is None else f"version {version} of {name}"
    _report(settings, stash, f"undeleted {what}", info)


@click.command(
    "destroy",
    cls=Command,
    examples=(
        "dynastash destroy app1/db/password --version 1 --version 2",
        "dynastash destroy app1/old --dry-run",
        "dynastash destroy app1/old --yes",
    ),
)
@name_argument
@click.option(
    "--version",
    "versions",
    cls=OwnOption,
    type=Whole(1),
    multiple=True,
    metavar="N",
    help="Only version N; repeatable.",
)
@if_version
@dry_run
@yes
@common
def destroy_command(
    settings: Settings, name: str, versions: tuple[int, ...], if_version: int | None, dry_run: bool, yes: bool
) -> None:
    """Erase NAME, or versions of it, for good.

    What is destroyed cannot be had back, save from a backup. Numbers of versions are never used again. Interrupted, the
    same command finishes it.
    """
    stash = settings.stash()
    numbers = sorted(set(versions))
    if dry_run:
        live = [version for version in stash.history(name) if version.destroyed_at is None]
        doomed = [version for version in live if not numbers or version.number in numbers]
        if settings.output != "table":
            emit([version_data(version) for version in doomed], settings.output)
        else:
            rows = [[v.number, " ".join(v.stages), v.created_at, v.created_by, v.comment] for v in doomed]
            emit_table(rows, ("version", "stage", "created (UTC)", "by", "comment"), ("comment",))
        say(f"{len(doomed)} of {counted(len(live), 'version')} of {name} would be destroyed; nothing was changed")
        return
    what = f"version {', '.join(map(str, numbers))} of {name}" if numbers else f"{name} with all its versions"
    agree(f"Destroy {what} in {stash.environment} ({stash.where}) for good?", yes=yes)
    info = stash.destroy(name, numbers or None, if_version=if_version)
    _report(settings, stash, f"destroyed {what}", info)


@click.command(
    "prune",
    cls=Command,
    examples=(
        "dynastash prune app1/db/password --keep 5",
        "dynastash prune --prefix app1/ --older-than 365d --dry-run",
        "dynastash prune --prefix '' --overdue --yes",
    ),
)
@names_or_prefix
@click.option("--keep", cls=OwnOption, type=Whole(1), metavar="N", help="Keep the newest N versions.")
@click.option(
    "--older-than", cls=OwnOption, type=Period(), metavar="TIME", help="Only versions older than 90d, 12h and the like."
)
@click.option("--overdue", cls=OwnOption, is_flag=True, help="Destroy deleted secrets whose recovery window is over.")
@dry_run
@yes
@common
def prune_command(
    settings: Settings,
    names: tuple[str, ...],
    prefix: str | None,
    keep: int | None,
    older_than: timedelta | None,
    overdue: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Erase old versions for good, or deleted secrets that are due.

    Versions that are current, previous or pending stay, and all behind the first one that stays.
    """
    if overdue == (keep is not None or older_than is not None):
        raise Usage("what to prune was not said", "give --keep, --older-than or both; or --overdue")
    stash = settings.stash()
    if overdue:
        _prune_overdue(settings, stash, names, prefix, dry_run=dry_run, yes=yes)
        return
    chosen = chosen_names(stash, names, prefix)
    plan = {name: stash.prune(name, keep=keep, older_than=older_than, dry_run=True) for name in chosen}
    plan = {name: numbers for name, numbers in plan.items() if numbers}
    what = _amount(plan)
    if dry_run or not plan:
        _show_plan(settings, plan)
        say(f"{what} would be erased; nothing was changed")
        return
    agree(f"Erase {what} in {stash.environment} ({stash.where}) for good?", yes=yes)
    done = {name: stash.prune(name, keep=keep, older_than=older_than) for name in plan}
    _show_plan(settings, done)
    say(f"erased {_amount(done)} in {stash.environment} ({stash.where})")


@click.command("diff", cls=Command)
@name_argument
@click.argument("one", type=Whole(1))
@click.argument("other", type=Whole(1), required=False)
@click.option("--show", cls=OwnOption, is_flag=True, help="Print the values too.")
@click.option("--exit-code", cls=OwnOption, is_flag=True, help="Exit with 1 where the values differ.")
@common
def diff_command(settings: Settings, name: str, one: int, other: int | None, show: bool, exit_code: bool) -> None:
    """Compare version ONE of NAME with version OTHER, or with the current one.

    Says whether the values are equal, how long they are, and what else differs. Values are shown with --show only.
    """
    stash = settings.stash()
    if other is None:
        other = stash.get(name).number
    difference = stash.diff(name, one, other)
    if settings.output != "table":
        emit(_difference_data(difference, show), settings.output)
    else:
        versions = (difference.one, difference.other)
        rows: list[list[object]] = [
            ["value", "same" if difference.same_value else "different", "", ""],
            ["size (bytes)", "", *(len(secret.value) for secret in versions)],
        ]
        rows += [
            [
                attribute,
                "different" if attribute in difference.changed else "same",
                *(getattr(secret.version, attribute) or "" for secret in versions),
            ]
            for attribute in ("comment", "content_type", "expires_at", "context")
        ]
        emit_table(rows, ("", "", f"version {one}", f"version {other}"))
        if show:
            _show_values(difference)
    if exit_code and not difference.same_value:
        click.get_current_context().exit(exits.OTHER)


def chosen_names(stash: Stash, names: tuple[str, ...], prefix: str | None) -> list[str]:
    """The secrets that were named, or all that are not destroyed under the prefix."""
    if prefix is None:
        return list(names)
    return [info.name for info in stash.list(prefix) if info.state is not State.DESTROYED]


def _prune_overdue(
    settings: Settings, stash: Stash, names: tuple[str, ...], prefix: str | None, *, dry_run: bool, yes: bool
) -> None:
    due = [info for info in stash.overdue(prefix or "") if prefix is not None or info.name in names]
    if settings.output != "table":
        emit([info_data(info) for info in due], settings.output)
    elif due:
        rows = [[info.name, info.last, info.deleted_at, info.purge_at, info.updated_by] for info in due]
        emit_table(rows, ("name", "versions", "deleted (UTC)", "due (UTC)", "by"))
    if dry_run or not due:
        say(f"due to be destroyed: {counted(len(due), 'deleted secret')}; nothing was changed")
        return
    agree(f"Destroy {counted(len(due), 'deleted secret')} in {stash.environment} ({stash.where}) for good?", yes=yes)
    for info in due:
        try:
            stash.purge(info.name)
            say(f"destroyed {info.name} in {stash.environment} ({stash.where})")
        except ConflictError as error:  # undeleted since it was listed
            say(f"passed over: {error}")


def _show_plan(settings: Settings, plan: dict[str, Any]) -> None:
    if settings.output != "table":
        emit([{"name": name, "versions": list(numbers)} for name, numbers in plan.items()], settings.output)
    elif plan:
        rows = [[name, _ranges(numbers), len(numbers)] for name, numbers in plan.items()]
        emit_table(rows, ("name", "versions", "count"))


def _amount(plan: dict[str, Any]) -> str:
    return f"{counted(sum(map(len, plan.values())), 'version')} of {counted(len(plan), 'secret')}"


def _ranges(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _report(settings: Settings, stash: Stash, done: str, info: SecretInfo, note: str = "") -> None:
    say(f"{done} in {stash.environment} ({stash.where}){note}")
    if settings.output != "table":
        emit(info_data(info), settings.output)


def _difference_data(difference: Difference, show: bool) -> dict[str, Any]:
    from dynastash.cli.output import secret_data

    def side(secret: Any) -> dict[str, Any]:
        data = secret_data(secret)
        if not show:
            del data["value"], data["value_base64"]
        return {**data, "size": len(secret.value)}

    return {
        "name": difference.one.name,
        "same_value": difference.same_value,
        "changed": list(difference.changed),
        "one": side(difference.one),
        "other": side(difference.other),
    }


def _show_values(difference: Difference) -> None:
    from difflib import unified_diff

    from dynastash.cli.output import visible

    old, new = difference.one, difference.other
    lines = unified_diff(
        old.value.decode("utf-8", "backslashreplace").splitlines(),
        new.value.decode("utf-8", "backslashreplace").splitlines(),
        f"version {old.number}",
        f"version {new.number}",
        lineterm="",
    )
    for line in lines:
        write_text(visible(line) + "\n")
