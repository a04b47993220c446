"""``dynastash put``."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from dynastash.cli.options import PlainText, Settings, Usage, about, common, if_version, name_argument
from dynastash.cli.output import emit, say, version_data
from dynastash.cli.policy import policy_options, take_policy
from dynastash.errors import InvalidArgumentError
from dynastash.models import MAX_VALUE, Version

if TYPE_CHECKING:
    from dynastash.stash.api import Stash


class PutCommand(click.Command):
    """Lets a value begin with a hyphen where it cannot be mistaken for an option, and refuses it where it can."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._shielded(args))

    def _shielded(self, args: list[str]) -> list[str]:
        takes_text = {
            name: isinstance(option, click.Option) and not option.is_flag
            for option in self.params
            for name in option.opts
        }
        takes_text |= dict.fromkeys(("-h", "--help"), False)
        letters = {name[1] for name in takes_text if not name.startswith("--")}
        rest, plain, shielded = list(args), list[str](), list[str]()
        while rest:
            word = rest.pop(0)
            if word == "--":
                return [*plain, "--", *shielded, *rest]
            if takes_text.get(word) and rest:
                plain += [word, rest.pop(0)]
            elif word.partition("=")[0] in takes_text:
                plain.append(word)
            elif word == "-" or not word.startswith("-"):
                (shielded if shielded else plain).append(word)
            elif word.startswith("--") or word[1] in letters:
                raise Usage(
                    f"{word.partition('=')[0][:40]!r} is not an option",
                    "a value that begins with a hyphen is given behind --, by a pipe or by --file",
                )
            else:
                shielded.append(word)
        return [*plain, "--", *shielded] if shielded else plain


@click.command("put", cls=PutCommand)
@name_argument
@click.argument("value", required=False, type=PlainText())
@click.option("--file", "path", metavar="PATH", help="Take the value from a file, byte for byte; - is standard input.")
@click.option("--generate", "generated", is_flag=True, help="Make a new random value; the next options say how.")
@policy_options
@about
@if_version
@common
def put_command(
    settings: Settings,
    name: str,
    value: str | None,
    path: str | None,
    generated: bool,
    **given: Any,
) -> None:
    """Store a new version of NAME and make it current.

    The value comes from a pipe, --file, --generate or a hidden prompt, byte for byte. VALUE as an argument works too,
    but other users of this machine can see it in the process list.
    """
    policy = take_policy(given)
    if policy is not None and not generated:
        raise click.UsageError("the options for a new random value go with --generate")
    if sum((value is not None, path is not None, generated)) > 1:
        raise click.UsageError("give one value only: VALUE, --file or --generate")
    details = details_from(given)
    stash = settings.stash()
    if generated:
        from dynastash.generate import Password

        version = stash.generate(name, policy or Password(), **details)
    else:
        if value is not None:
            say("warning: others can see a value given as an argument; a pipe, --file or the prompt hides it")
        data = value.encode("utf-8") if value is not None else _read(path, name)
        version = stash.put(name, data, **details)
    report(settings, stash, "put", version)


def details_from(given: dict[str, Any]) -> dict[str, Any]:
    """The library's arguments from the options of :func:`~dynastash.cli.options.about`."""
    tags, context = given.pop("tags"), given.pop("context")
    return {
        "expires_at": given.pop("expires"),
        "tags": _mapping("--tag", tags) if tags else None,
        "context": _mapping("--context", context),
        **given,
    }


def report(settings: Settings, stash: Stash, verb: str, version: Version, *, note: str = "") -> None:
    """Say on stderr what was written and where; on stdout only where a machine asked."""
    say(f"{verb} {version.name}: version {version.number}{note} in {stash.environment} ({stash.where})")
    if settings.output != "table":
        emit(version_data(version), settings.output)


def _mapping(option: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise click.UsageError(f"{option} names a key twice")
    return mapping


def _read(path: str | None, name: str) -> bytes:
    if path is not None and path != "-":
        try:
            with Path(path).open("rb") as file:
                return _limited(file)
        except OSError as error:
            raise InvalidArgumentError(
                f"{path} cannot be read: {error.strerror}", hint="check the path given with --file"
            ) from error
    if path == "-" or _is_piped():
        return _limited(sys.stdin.buffer)
    if not sys.stdin.isatty():
        raise Usage(
            f"no value for {name}: standard input is neither a pipe, a file nor a terminal",
            "pipe the value in, or give --file or --generate",
        )
    text: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, default="", err=True)
    return text.encode("utf-8")


def _is_piped() -> bool:
    """Whether standard input was given to be read. /dev/null, as under cron, is not: it would store an empty value."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _limited(file: IO[bytes]) -> bytes:
    # One byte more than fits is enough to know that it does not; the library says so.
    return file.read(MAX_VALUE + 1)
