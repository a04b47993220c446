"""``dynastash put``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import FilePath, PlainText, Settings, Usage, about, common, if_version, name_argument
from dynastash.cli.output import emit, say, say_written, version_data
from dynastash.cli.policy import policy_options, take_policy
from dynastash.cli.quick import warn_of
from dynastash.models import Version

if TYPE_CHECKING:
    from dynastash.stash.api import Stash

_ESCAPE = "a value that begins with a hyphen is given behind --, by a pipe or by --file"


class PutCommand(Command):
    """Lets a value begin with a hyphen where it cannot be mistaken for an option, and refuses it where it can.

    What it refuses it does not quote: it may be a value.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if ctx.resilient_parsing else self._shielded(ctx, args))

    def _shielded(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``args`` with a -- before the first value that begins with a hyphen."""
        takes_text = {
            name: isinstance(option, click.Option) and not option.is_flag
            for option in self.get_params(ctx)
            for name in option.opts
            if name.startswith("-")
        }
        letters = {name[1] for name in takes_text if not name.startswith("--")}
        rest, options, positional, shield = list(args), list[str](), list[str](), False
        while rest:
            word = rest.pop(0)
            if word == "--":
                positional += rest
                shield = True
                break
            if word in takes_text:
                options.append(word)
                if takes_text[word]:
                    if not rest:
                        raise click.UsageError(f"the option {word} needs a text behind it", ctx)
                    options.append(rest.pop(0))
            elif word.startswith("--"):
                if word.partition("=")[0] not in takes_text:
                    raise self._unknown(word, takes_text)
                options.append(word)
            elif word.startswith("-") and word[1:2] in letters:
                raise Usage(
                    f"a word begins with {word[:2]}, as the option does, and could be a value",
                    f"set the option off with a space, as in {word[:2]} ...; {_ESCAPE}",
                )
            else:
                shield = shield or word.startswith("-")
                positional.append(word)
        if len(positional) > 2:
            raise Usage(
                f"{len(positional)} words were given where NAME and at most one VALUE belong",
                "put quotes around a value that has spaces, or pipe it in",
            )
        return [*options, "--", *positional] if shield else [*options, *positional]

    @staticmethod
    def _unknown(word: str, known: dict[str, bool]) -> Usage:
        from difflib import get_close_matches

        near = get_close_matches(word.partition("=")[0], [name for name in known if name.startswith("--")], n=1)
        return Usage(
            "a word begins with -- and is not an option of `dynastash put`",
            f"did you mean {near[0]}?" if near else _ESCAPE,
        )


@click.command(
    "put",
    cls=PutCommand,
    examples=(
        "dynastash put app1/db/password                 # asks for the value",
        "openssl rand -base64 24 | dynastash put app1/db/password",
        "dynastash put app1/tls/key --file key.pem",
        "dynastash put app1/api/token --generate --length 40",
        "dynastash put app1/db/user -- -any-text        # visible to others",
    ),
)
@name_argument
@click.argument("value", required=False, type=PlainText())
@click.option(
    "--file",
    "path",
    cls=OwnOption,
    type=FilePath(),
    metavar="PATH",
    help="Take the value from a file, byte for byte; - is standard input.",
)
@click.option("--generate", "generated", cls=OwnOption, is_flag=True, help="Make a new random value.")
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
    """Store a value as the new current version of NAME.

    The value comes from a pipe, --file, --generate or a hidden prompt, byte for byte, up to 320 KiB. VALUE as an
    argument works too, but other users of this machine can see it in the process list. Behind -- everything is
    taken literally, options too.
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

        policy = policy or Password()
        version = stash.generate(name, policy, **details)
        report(settings, stash, "put", version, note=f" ({policy.describe()})")
        return
    if value is not None:
        say("warning: others can see a value given as an argument; a pipe, --file or the prompt hides it")
        data = value.encode("utf-8")
    else:
        from dynastash.cli.intake import read_value
        from dynastash.models import check_name

        data = read_value(path, check_name(name))  # nobody should type a value for a name that is refused
    warn_of(data)
    report(settings, stash, "put", stash.put(name, data, **details))


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
    say_written(stash, verb, version, note)
    if settings.output != "table":
        emit(version_data(version), settings.output)


def _mapping(option: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise click.UsageError(f"{option} names a key twice")
    return mapping
