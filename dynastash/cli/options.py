"""Options that several commands share, and where an option given before the command meets one given behind it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.output import FORMATS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from dynastash.config import Environment
    from dynastash.stash.api import Stash

    _ParamType = click.ParamType[Any, Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.4

_F = TypeVar("_F", bound=Callable[..., Any])
_OVERRIDES: Final = ("region", "profile", "role_arn", "endpoint_url", "table", "key")


@dataclass
class Settings:
    """The global options of one invocation."""

    env: str | None = None
    output: str = "table"
    verbose: bool = False
    overrides: dict[str, str] = field(default_factory=dict)

    def take(self, given: dict[str, Any]) -> None:
        """Let what was given last win."""
        self.env = given.get("env") or self.env
        self.output = given.get("output") or self.output
        self.verbose = given.get("verbose") or self.verbose
        self.overrides |= {key: given[key] for key in _OVERRIDES if given.get(key)}

    def environment(self) -> Environment:
        """The environment that the options, the variables and the file choose."""
        from dynastash.config import resolve

        return resolve(self.env, overrides={**self.overrides})

    def stash(self) -> Stash:
        """Open it."""
        from dynastash.cli.output import say
        from dynastash.wiring import open_environment

        environment = self.environment()
        stash = open_environment(environment)
        if self.verbose:
            say(f"environment {stash.environment} ({environment.source}): {stash.where}, key {stash.key}")
        return stash


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
        """Names that start with what is typed, or none: a prompt is no place to complain."""
        from click.shell_completion import CompletionItem

        from dynastash.errors import DynastashError
        from dynastash.models import State

        settings = Settings()
        for context in (ctx.find_root(), ctx):
            settings.take(context.params)
        try:
            found = settings.stash().list(incomplete)
        except DynastashError:
            return []
        return [CompletionItem(info.name, help=info.comment) for info in found if info.state is State.ACTIVE]


class Expiry(_ParamType):
    """A time to come: ``90d``, ``12h``, a date, or a date and time (UTC unless it says otherwise)."""

    name = "time"
    _units: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if match := re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value)):
            return datetime.now(UTC) + timedelta(**{self._units[match[2]]: int(match[1])})
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time: write 90d, 12h, 2027-01-31 or 2027-01-31T12:00Z", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class Pair(_ParamType):
    """``KEY=TEXT``; the text may contain further equals signs."""

    name = "key=text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not KEY=TEXT", param, ctx)
        return key, text


def common(command: _F) -> _F:
    """Give a command the global options and pass it ``settings``, whatever side of its name they were given on."""

    @functools.wraps(command)
    def invoke(*args: Any, **given: Any) -> Any:
        settings = click.get_current_context().ensure_object(Settings)
        settings.take(given)
        for name in ("env", "output", "verbose", *_OVERRIDES):
            given.pop(name, None)
        return command(*args, settings=settings, **given)

    return with_globals(invoke)  # type: ignore[return-value]


def with_globals(command: Callable[..., Any]) -> Callable[..., Any]:
    """The global options themselves."""
    options = (
        click.option("-e", "--env", metavar="ENV", help="The environment: local, or a name of your own."),
        click.option("-o", "--output", type=click.Choice(FORMATS), help="How to print results.  [default: table]"),
        click.option("-v", "--verbose", is_flag=True, help="Say on stderr what is used."),
        click.option("--region", metavar="REGION", help="AWS Region."),
        click.option("--profile", metavar="PROFILE", help="AWS profile."),
        click.option("--role-arn", metavar="ARN", help="IAM role to assume."),
        click.option("--endpoint-url", metavar="URL", help="Endpoint instead of AWS's own."),
        click.option("--table", metavar="TABLE", help="DynamoDB table.  [default: dynastash-ENV]"),
        click.option("--key", metavar="KEY", help="KMS key.  [default: alias/dynastash-ENV]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def name_argument(command: _F) -> _F:
    """The argument NAME, completed in the shell."""
    return click.argument("name", type=SecretName())(command)


def if_version(command: _F) -> _F:
    """The option for compare-and-set."""
    return click.option(
        "--if-version",
        type=click.IntRange(min=0),
        metavar="N",
        help="Only if N is the current version (0: only if there is no such secret).",
    )(command)


def about(command: _F) -> _F:
    """What can be said of a new version."""
    options = (
        click.option("--comment", type=PlainText(), metavar="TEXT", help="Why; public, up to 1 KiB."),
        click.option("--content-type", type=PlainText(), metavar="TYPE", help="Media type of the value."),
        click.option("--expires", type=Expiry(), metavar="WHEN", help="90d, 12h, 2027-01-31 …: not given out after."),
        click.option("--tag", "tags", type=Pair(), multiple=True, help="Label of the secret; replaces all it has."),
        click.option("--context", type=Pair(), multiple=True, help="Bound to this version's key; public."),
        click.option(
            "--write-only",
            is_flag=True,
            help="For a caller who may not decrypt: skip checking the secret's head, and forget its tags and policy.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
