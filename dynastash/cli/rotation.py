"""``dynastash generate``, ``dynastash rotate`` and ``dynastash rollback``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import (
    PlainText,
    Settings,
    Usage,
    Whole,
    about,
    comment,
    common,
    expires,
    if_version,
    name_argument,
)
from dynastash.cli.output import say
from dynastash.cli.policy import policy_options, take_policy
from dynastash.cli.program import ProgramCommand
from dynastash.cli.put import details_from, report
from dynastash.errors import RotationError
from dynastash.generate import Password, Policy
from dynastash.models import Plaintext

if TYPE_CHECKING:
    from dynastash.stash.api import Stash
    from dynastash.stash.rotation import Rotation, Rotator

_DELIVERY: Final = "stdin"
_TIMEOUT: Final = 300.0


@click.command("generate", cls=Command)
@name_argument
@policy_options
@about
@if_version
@common
def generate_command(settings: Settings, name: str, **given: Any) -> None:
    """Store a new random value as the next version of NAME.

    The value is not printed. It is a password of 32 letters and digits unless the options say otherwise. The secret
    remembers how its value is made, so that "dynastash rotate NAME" is enough later on.
    """
    policy = take_policy(given) or Password()
    stash = settings.stash()
    version = stash.generate(name, policy, **details_from(given))
    report(settings, stash, "generated", version, note=f" ({policy.describe()})")


@click.command(
    "rotate",
    cls=ProgramCommand,
    usage="dynastash rotate NAME -- PROGRAM ARG ...",
    examples=(
        "dynastash rotate app1/api/token",
        "dynastash rotate app1/db/password --length 40 -- ./set-db-password",
        "dynastash rotate app1/db/password --resume -- ./set-db-password",
        "dynastash rotate app1/db/password --abort",
    ),
)
@name_argument
@click.argument("program", nargs=-1, metavar="[-- PROGRAM [ARG]...]", type=click.UNPROCESSED)
@click.option(
    "--rotator",
    cls=OwnOption,
    metavar="NAME",
    help="A rotator of an installed package instead of PROGRAM; generate needs nobody to be told.",
)
@click.option(
    "--values",
    cls=OwnOption,
    type=click.Choice(("stdin", "files")),
    metavar="HOW",
    help="PROGRAM gets the values by stdin or files.  [default: stdin]",
)
@click.option(
    "--timeout",
    cls=OwnOption,
    type=click.FLOAT,
    metavar="SECONDS",
    help="End PROGRAM if a step takes longer.  [default: 300]",
)
@click.option("--resume", cls=OwnOption, is_flag=True, help="Go on with a rotation that stopped: set, test, finish.")
@click.option("--abort", cls=OwnOption, is_flag=True, help="End a rotation that stopped; the current version stays.")
@policy_options
@comment
@expires
@if_version
@common
def rotate_command(
    settings: Settings,
    name: str,
    program: tuple[str, ...],
    rotator: str | None,
    values: str | None,
    timeout: float | None,
    resume: bool,
    abort: bool,
    comment: str | None,
    expires: datetime | None,
    if_version: int | None,
    **given: Any,
) -> None:
    """Replace the value of NAME by a new one: create, set, test, finish.

    The new value is made as the secret remembers, or as the options say. PROGRAM, if given, is run twice: with the
    argument "set" it makes your system accept the new value, with "test" it proves that it does. It gets the values on
    standard input as JSON (or in private files), never in arguments or environment. Only if both succeed does the new
    version become current; otherwise it stays pending, for --resume or --abort.
    """
    policy = take_policy(given)
    if resume and abort:
        raise click.UsageError("--resume and --abort exclude each other")
    if (resume or abort) and (policy or comment or expires or if_version is not None):
        raise click.UsageError("a rotation that stopped has its new value already: give no options for another")
    if rotator is not None and program:
        raise click.UsageError("give --rotator or a program, not both")
    if abort and (rotator or program):
        raise click.UsageError("--abort asks no program and no rotator: give none")
    if not program and (values or timeout is not None):
        raise click.UsageError("--values and --timeout go with a program")
    if resume and not (rotator or program):
        # Without this question a bare --resume would make a value current that nobody was told.
        raise Usage(
            "--resume does not know how the rotation was started",
            f"repeat its program, as in `dynastash rotate {name} --resume -- PROGRAM`, or give --rotator generate "
            "where nobody has to be told",
        )
    stash = settings.stash()
    if abort:
        report(settings, stash, "aborted the rotation of", stash.abort(name), note=" is not used")
        return
    limit = _TIMEOUT if timeout is None else timeout
    chosen = _rotator(stash, name, rotator, program, values or _DELIVERY, limit, policy)
    if resume:
        from dynastash.rotation.generate import GenerateRotator

        version = stash.resume(name, chosen or GenerateRotator(Password()))
    else:
        watched = None if chosen is None else _Watched(chosen)
        try:
            version = stash.rotate(
                name, watched, policy=policy, comment=comment, expires_at=expires, if_version=if_version
            )
        except BaseException as error:  # Ctrl-C too: what was written is said
            if watched is not None and watched.pending is not None:
                say(f"{name}: version {watched.pending} is pending in {stash.environment} ({stash.where})")
                if not isinstance(error, RotationError):  # which says the same
                    say(f"hint: go on with `dynastash rotate {name} --resume -- PROGRAM`, or give up with `--abort`")
            raise
    report(settings, stash, "rotated", version)


@click.command("rollback", cls=Command)
@name_argument
@click.option("--to-version", cls=OwnOption, type=Whole(1), metavar="N", help="Version N instead of the previous one.")
@click.option(
    "--comment",
    cls=OwnOption,
    type=PlainText(),
    metavar="TEXT",
    help="Why; public.  [default: rollback to version N]",
)
@if_version
@common
def rollback_command(
    settings: Settings, name: str, to_version: int | None, comment: str | None, if_version: int | None
) -> None:
    """Make an earlier value of NAME current again, as a new version.

    Nothing is lost, and the numbers of versions only grow.
    """
    stash = settings.stash()
    version = stash.rollback(name, to_version, comment=comment, if_version=if_version)
    report(settings, stash, "rolled back", version, note=f" ({version.comment})")


class _Watched:
    """A rotator that remembers whether a pending version was written."""

    def __init__(self, rotator: Rotator) -> None:
        self._rotator = rotator
        self.pending: int | None = None

    def create(self, rotation: Rotation) -> Plaintext:
        return self._rotator.create(rotation)

    def set(self, rotation: Rotation) -> None:
        self.pending = rotation.version
        self._rotator.set(rotation)

    def test(self, rotation: Rotation) -> None:
        self._rotator.test(rotation)


def _rotator(
    stash: Stash,
    name: str,
    rotator: str | None,
    program: tuple[str, ...],
    values: str,
    timeout: float,
    policy: Policy | None,
) -> Rotator | None:
    """The rotator that was asked for; None leaves it to the secret's own policy."""
    if (rotator is None and not program) or rotator == "generate":
        return None
    if rotator == "command":
        raise Usage("the rotator command needs a program", "give it behind --, without --rotator")
    from dynastash.rotation import registry

    if rotator is not None:
        made: Rotator = registry.load(rotator)()
        return made
    # Resuming makes no new value, so that a secret without a policy can be resumed too.
    made_by = policy or stash.policy(name) or Password()
    return registry.load("command")(program, made_by, delivery=values, timeout=timeout)
