"""``dynastash audit``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli import exits
from dynastash.cli.asking import progress
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import FilePath, Period, PlainText, SecretName, Settings, Whole, common
from dynastash.cli.output import counted, emit, emit_table, quoted, say

if TYPE_CHECKING:
    from dynastash.audit import Event, Filter
    from dynastash.audit.check import Finding
    from dynastash.audit.collect import Uses
    from dynastash.config import Environment
    from dynastash.stores.base import Store

    _ParamType = click.ParamType[Any, Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.4

_KINDS = ("mint", "unwrap", "rewrap")
_LOOKED_BACK = timedelta(days=1)
_CHECKED_BACK = timedelta(days=90)


class Moment(_ParamType):
    """A time that has passed: ``7d`` and ``12h`` ago, a date, or a date and time (UTC unless it says otherwise)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if re.fullmatch(r"[0-9]{1,6}[mhdw]", str(value)):
                return datetime.now(UTC) - Period().convert(value, param, ctx)
            moment = datetime.fromisoformat(str(value))
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{quoted(str(value))} is not a time: write 7d, 12h, 2026-11-22 or 2026-11-22T12:00Z", param, ctx)


@click.command(
    "audit",
    cls=Command,
    examples=(
        "dynastash audit app1/ --since 7d -e prod",
        "dynastash audit app1/db/password --kind unwrap --principal app1-role -e prod",
        "dynastash audit --file logs/ --summary -e prod",
        "dynastash audit --check -e prod",
    ),
)
@click.argument("prefix", default="", type=SecretName())
@click.option(
    "--since", cls=OwnOption, type=Moment(), metavar="WHEN", help="From then on.  [default: 1d; --check: 90d]"
)
@click.option("--until", cls=OwnOption, type=Moment(), metavar="WHEN", help="Up to then.")
@click.option(
    "--principal", cls=OwnOption, type=PlainText(), metavar="WHO", help="An ARN, a role's or session's name, a pattern."
)
@click.option("--kind", "kinds", cls=OwnOption, type=click.Choice(_KINDS), multiple=True, help="What was done.")
@click.option("--refused", cls=OwnOption, is_flag=True, help="Only what KMS refused.")
@click.option(
    "--file",
    "files",
    cls=OwnOption,
    type=FilePath(),
    multiple=True,
    metavar="PATH",
    help="CloudTrail's log file, or a directory of them, instead of asking CloudTrail.",
)
@click.option("--limit", cls=OwnOption, type=Whole(1), default=1000, metavar="N", help="The newest N.  [default: 1000]")
@click.option(
    "--summary", cls=OwnOption, is_flag=True, help="How often each principal did what, instead of each event."
)
@click.option("--check", cls=OwnOption, is_flag=True, help="Compare with the table; exit with 5 if it lacks a version.")
@common
def audit_command(
    settings: Settings,
    prefix: str,
    since: datetime | None,
    until: datetime | None,
    principal: str | None,
    kinds: tuple[str, ...],
    refused: bool,
    files: tuple[str, ...],
    limit: int,
    summary: bool,
    check: bool,
) -> None:
    """Show who minted, unwrapped or rewrapped which version, when and from where.

    From CloudTrail's record of KMS calls: its event history (90 days, this Region, some 15 minutes behind), or log
    files. PREFIX limits it to the secrets whose names start so. With --check the table is compared with what was seen.
    """
    if check and (principal or kinds or refused or summary):
        raise click.UsageError("--check takes all events: leave out --principal, --kind, --refused and --summary")
    environment = settings.environment_on_aws("nobody records who opens its secrets")
    if since is None and not files:
        since = datetime.now(UTC) - (_CHECKED_BACK if check else _LOOKED_BACK)
    from dynastash.audit import Filter, Kind

    wanted = Filter(
        environment=environment.name,
        prefix=prefix,
        principal=principal,
        since=since,
        until=until,
        kinds=frozenset(Kind(kind) for kind in kinds) or frozenset(Kind),
        refused=refused,
        keys=_keys(environment) if check else None,
    )
    unread: list[tuple[Path, str]] = []
    with progress(_events(environment, wanted, files, unread), "reading events") as events:
        matching = (event for event in events if wanted.matches(event))
        if check:
            found = _check(settings, matching, settings.stash().store, wanted, unread)
        else:
            found = False
            _show(settings, matching, limit, summary, unread)
    for path, reason in unread:
        say(f"warning: {path}: {reason}")
    if found:
        click.get_current_context().exit(exits.INTEGRITY)
    if unread:
        from dynastash.errors import DynastashError

        raise DynastashError(
            f"{counted(len(unread), 'file')} could not be read, or not to the end",
            hint="what is shown is incomplete: fetch the files anew",
        )


def _events(
    environment: Environment, wanted: Filter, files: tuple[str, ...], unread: list[tuple[Path, str]]
) -> Iterator[Event]:
    if files:
        from dynastash.audit.files import events

        return events([Path(path) for path in files], lambda path, reason: unread.append((path, reason)))
    from dynastash.audit import cloudtrail
    from dynastash.aws.clients import Clients

    return cloudtrail.events(Clients(environment.aws), since=wanted.since, until=wanted.until, kinds=wanted.kinds)


def _keys(environment: Environment) -> frozenset[str] | None:
    """The ids of the keys that the environment trusts; None, and a word, where the caller may not resolve them."""
    from dynastash.audit.events import key_id
    from dynastash.aws.clients import Clients, translated
    from dynastash.errors import ServiceError

    kms = Clients(environment.aws).get("kms")
    found = set()
    for key in (environment.key, *environment.trusted_keys):
        try:
            with translated("kms"):
                found.add(key_id(kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]))
        except ServiceError as error:
            say(f"warning: events of every key count, because {key} cannot be looked up: {error}")
            return None
    return frozenset(each for each in found if each is not None)


def _show(
    settings: Settings, events: Iterable[Event], limit: int, summary: bool, unread: list[tuple[Path, str]]
) -> None:
    from dynastash.audit import collect

    if summary:
        uses = collect.summary(events)
        rows: list[tuple[object, ...]] = [_uses_row(each) for each in uses]
        headers: tuple[str, ...] = (
            "name",
            "event",
            "principal",
            "done",
            "refused",
            "versions",
            "first (UTC)",
            "last (UTC)",
        )
        data: dict[str, Any] = {"uses": [_uses_data(each) for each in uses], "left_out": 0}
        what = counted(sum(each.done + each.refused for each in uses), "event")
    else:
        newest = collect.newest(events, limit)
        rows = [_row(event) for event in newest.events]
        headers = ("time (UTC)", "event", "name", "version", "principal", "from", "error")
        data = {"events": [_data(event) for event in newest.events], "left_out": newest.left}
        what = counted(len(newest.events) + newest.left, "event")
        if newest.left:
            say(f"warning: {counted(newest.left, 'older event')} left out; --limit, --since and --summary help")
    data["unreadable"] = [{"file": str(path), "reason": reason} for path, reason in unread]
    if settings.output != "table":
        emit(data, settings.output)
    elif rows:
        emit_table(rows, headers, ("error", "refused"))
    say(f"{what} found")


def _check(
    settings: Settings, events: Iterable[Event], store: Store, wanted: Filter, unread: list[tuple[Path, str]]
) -> bool:
    """Whether there are findings."""
    from dynastash.audit import check

    seen = check.take(events)
    findings = list(check.findings(seen, store))
    if settings.output != "table":
        emit(
            {
                "environment": wanted.environment,
                "since": None if wanted.since is None else _time(wanted.since),
                "until": None if wanted.until is None else _time(wanted.until),
                "events": seen.events,
                "secrets": len({*seen.opened, *seen.begun}),
                "findings": [_finding_data(finding) for finding in findings],
                "unreadable": [{"file": str(path), "reason": reason} for path, reason in unread],
            },
            settings.output,
        )
    elif findings:
        rows = [
            (found.name, found.version, found.problem, found.message, _time(found.last), _who(found.principals))
            for found in findings
        ]
        emit_table(rows, ("name", "version", "problem", "what", "last seen (UTC)", "by"))
    say(
        f"compared {counted(seen.events, 'event')} of {counted(len({*seen.opened, *seen.begun}), 'secret')} with "
        f"{store.description}: {counted(len(findings), 'finding')}"
    )
    if findings:
        say("hint: write nothing to these secrets before you know why; docs/how-to/restore.md says what to do")
    return bool(findings)


def _row(event: Event) -> tuple[object, ...]:
    return (
        _time(event.at),
        event.kind,
        event.name,
        event.version,
        _short(event.principal),
        event.source,
        event.error,
    )


def _data(event: Event) -> dict[str, Any]:
    return {
        "time": _time(event.at),
        "event": str(event.kind),
        "name": event.name,
        "version": event.version,
        "principal": event.principal,
        "source": event.source,
        "user_agent": event.user_agent,
        "region": event.region,
        "account": event.account,
        "key": event.key,
        "error": event.error,
        "event_id": event.event_id,
    }


def _uses_row(uses: Uses) -> tuple[object, ...]:
    return (
        uses.name,
        uses.kind,
        _short(uses.principal),
        uses.done,
        uses.refused or None,
        _runs(uses.versions),
        _time(uses.first),
        _time(uses.last),
    )


def _uses_data(uses: Uses) -> dict[str, Any]:
    return {
        "name": uses.name,
        "event": str(uses.kind),
        "principal": uses.principal,
        "done": uses.done,
        "refused": uses.refused,
        "versions": sorted(uses.versions),
        "first": _time(uses.first),
        "last": _time(uses.last),
    }


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "version": finding.version,
        "problem": str(finding.problem),
        "message": finding.message,
        "reached": finding.reached,
        "first": _time(finding.first),
        "last": _time(finding.last),
        "principals": list(finding.principals),
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _short(principal: str) -> str:
    """An ARN without what all of an account have in common."""
    parts = principal.split(":", 5)
    return f"{parts[4]} {parts[5]}" if len(parts) == 6 else principal


def _who(principals: tuple[str, ...]) -> str:
    return ", ".join(_short(principal) for principal in principals)


def _runs(versions: set[int]) -> str:
    """``1-4, 7``."""
    runs: list[tuple[int, int]] = []
    for version in sorted(versions):
        if runs and version == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], version)
        else:
            runs.append((version, version))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
