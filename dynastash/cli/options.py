"""Options that several commands share, and where an option given before the command meets one given behind it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.command import GlobalOption, OwnOption
from dynastash.cli.output import FORMATS, quoted
from dynastash.cli.settings import OVERRIDES
from dynastash.cli.settings import Settings as Settings

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType[Any, Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.4

_F = TypeVar("_F", bound=Callable[..., Any])
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Usage(click.UsageError):
    """A usage error with advice of its own."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class PlainText(_ParamType):
    """Text that UTF-8 can carry."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self.fail("is not valid UTF-8; use a pipe or --file for other bytes", param, ctx)
        return text


class SecretName(_ParamType):
    """A secret's name, completed from the environment."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that start with what is typed."""
        from click.shell_completion import CompletionItem

        from dynastash.cli.completing import names

        settings = Settings()
        for context in (ctx.find_root(), ctx):
            settings.take(context.params)
        return [CompletionItem(name, help=comment) for name, comment in names(settings, incomplete)]


class EnvironmentName(_ParamType):
    """An environment's name, completed from those that the configuration file defines."""

    name = "environment"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that start with what is typed."""
        from click.shell_completion import CompletionItem

        from dynastash.config import load
        from dynastash.errors import DynastashError

        try:
            names = load().names()
        except DynastashError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class FilePath(_ParamType):
    """A file's path, or - for standard input."""

    name = "path"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave it to the shell, which knows files best."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class Whole(_ParamType):
    """A whole number in plain digits, ``least`` or more."""

    name = "number"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not re.fullmatch("[0-9]{1,18}", str(value)) or int(value) < self._least:
            self.fail(f"{quoted(str(value))} is not a whole number from {self._least}", param, ctx)
        return int(value)


class Expiry(_ParamType):
    """A time to come: ``90d``, ``12h``, a date, or a date and time (UTC unless it says otherwise)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if match := re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value)):
                return datetime.now(UTC) + timedelta(**{_UNITS[match[2]]: int(match[1])})
            moment = datetime.fromisoformat(str(value))
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):  # OverflowError: behind the year 9999
            self.fail(
                f"{quoted(str(value))} is not a time: write 90d, 12h, 2027-01-31 or 2027-01-31T12:00Z", param, ctx
            )


class Period(_ParamType):
    """A length of time: ``90d``, ``12h``, ``2w``, ``30m``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value))
        if match is None:
            self.fail(f"{quoted(str(value))} is not a length of time: write 90d, 12h, 2w or 30m", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Seconds(_ParamType):
    """A short length of time, ``least`` seconds or more: ``30s``, ``5m``, ``1h``."""

    name = "time"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]{1,6})([smh])", str(value))
        seconds = 0.0 if match is None else float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
        if match is None or seconds < self._least:
            self.fail(f"{quoted(str(value))} is not a time from {self._least}s on: write 30s, 5m or 1h", param, ctx)
        return seconds


class Pair(_ParamType):
    """``KEY=TEXT``; the text may contain further equals signs."""

    name = "key=text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{quoted(str(value))} is not KEY=TEXT", param, ctx)
        return PlainText().convert(key, param, ctx), PlainText().convert(text, param, ctx)


def common(command: _F) -> _F:
    """Give a command the global options and pass it ``settings``, whatever side of its name they were given on."""

    @functools.wraps(command)
    def invoke(*args: Any, **given: Any) -> Any:
        settings = click.get_current_context().ensure_object(Settings)
        settings.take(given)
        for name in ("env", "output", "verbose", *OVERRIDES):
            given.pop(name, None)
        return command(*args, settings=settings, **given)

    return with_globals(invoke)  # type: ignore[return-value]


def with_globals(command: _F) -> _F:
    """Give a command the global options, which :class:`Settings` takes."""
    option = functools.partial(click.option, cls=GlobalOption)
    return _with(
        command,
        option("-e", "--env", type=EnvironmentName(), metavar="ENV", help="The environment to use; see dynastash env."),
        option(
            "-o",
            "--output",
            type=click.Choice(FORMATS),
            metavar="FORMAT",
            help="table, json or yaml.  [default: table]",
        ),
        option("-v", "--verbose", is_flag=True, help="Say on stderr what is used."),
        option("--region", metavar="REGION", help="AWS Region."),
        option("--profile", metavar="PROFILE", help="AWS profile."),
        option("--role-arn", metavar="ARN", help="IAM role to assume."),
        option("--endpoint-url", metavar="URL", help="Endpoint instead of AWS's own."),
        option("--table", metavar="TABLE", help="DynamoDB table.  [default: dynastash-ENV]"),
        option("--key", metavar="KEY", help="KMS key.  [default: alias/dynastash-ENV]"),
        option("--concurrency", metavar="N", help="Calls to KMS in flight at once, 1 to 64.  [default: 32]"),
    )


def name_argument(command: _F) -> _F:
    """The argument NAME, completed in the shell."""
    return click.argument("name", type=SecretName())(command)


def names_or_prefix(command: _F) -> _F:
    """Secrets by name, or all under a prefix; not both, and not none of them."""

    @functools.wraps(command)
    def invoke(*args: Any, **given: Any) -> Any:
        if bool(given["names"]) == (given["prefix"] is not None):
            raise Usage("which secrets was not said", "give names, or --prefix ('' for all)")
        return command(*args, **given)

    return _with(  # type: ignore[return-value]
        invoke,
        click.argument("names", metavar="[NAME]...", nargs=-1, type=SecretName()),
        click.option("--prefix", cls=OwnOption, metavar="PREFIX", help="Every secret whose name starts with PREFIX."),
    )


def dry_run(command: _F) -> _F:
    """The option to look only."""
    return click.option("--dry-run", cls=OwnOption, is_flag=True, help="Show what would happen, and change nothing.")(
        command
    )


def yes(command: _F) -> _F:
    """The option not to be asked."""
    return click.option("-y", "--yes", cls=OwnOption, is_flag=True, help="Do not ask.")(command)


def if_version(command: _F) -> _F:
    """The option for compare-and-set."""
    return click.option(
        "--if-version",
        cls=OwnOption,
        type=Whole(0),
        metavar="N",
        help="Only if N is the current version; 0: only if there is no such secret.",
    )(command)


def about(command: _F) -> _F:
    """What can be said of a new version."""
    option = functools.partial(click.option, cls=OwnOption)
    return _with(
        command,
        comment,
        option("--content-type", type=PlainText(), metavar="TYPE", help="Media type of the value."),
        expires,
        option("--tag", "tags", type=Pair(), multiple=True, help="Label of the secret; replaces all that it has."),
        option("--context", type=Pair(), multiple=True, help="Bound to this version's key; public."),
        option(
            "--write-only",
            is_flag=True,
            help="For a caller who may not decrypt: skip checking the secret's head, and forget its tags and policy.",
        ),
        option("--recreate", is_flag=True, help="Begin a destroyed secret anew, behind the numbers that it has used."),
    )


def comment(command: _F) -> _F:
    """Why a version was written."""
    return click.option("--comment", cls=OwnOption, type=PlainText(), metavar="TEXT", help="Why; public, up to 1 KiB.")(
        command
    )


def expires(command: _F) -> _F:
    """How long a version is given out."""
    return click.option(
        "--expires",
        cls=OwnOption,
        type=Expiry(),
        metavar="WHEN",
        help="Not given out after that: 90d, 12h, 2027-01-31 or 2027-01-31T12:00Z (UTC unless it says otherwise).",
    )(command)


def _with(command: _F, *options: Callable[[_F], _F]) -> _F:
    """``command`` with ``options`` in this order."""
    # A command appends each, a function that is yet to become one lists them from the last to the first.
    for option in options if isinstance(command, click.Command) else reversed(options):
        command = option(command)
    return command
