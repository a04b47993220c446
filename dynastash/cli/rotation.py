"""``dynastash generate``, ``dynastash rotate`` and ``dynastash rollback``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli.options import Expiry, PlainText, Settings, about, common, if_version, name_argument
from dynastash.cli.policy import policy_options, take_policy
from dynastash.cli.put import details_from, report
from dynastash.generate import Password, Policy

if TYPE_CHECKING:
    from dynastash.stash.api import Stash
    from dynastash.stash.rotation import Rotator


@click.command("generate")
@name_argument
@policy_options
@about
@if_version
@common
def generate_command(settings: Settings, name: str, **given: Any) -> None:
    """Store a new random value as the next version of NAME. The value is not printed.

    A password of 32 letters and digits unless the options say otherwise. The secret remembers how its value is made,
    so that "dynastash rotate NAME" is enough later on.
    """
    policy = take_policy(given) or Password()
    stash = settings.stash()
    version = stash.generate(name, policy, **details_from(given))
    report(settings, stash, "generated", version, note=f" ({policy.describe()})")


@click.command("rotate")
@name_argument
@click.argument("program", nargs=-1, metavar="[-- PROGRAM [ARG]...]", type=click.UNPROCESSED)
@policy_options
@click.option("--rotator", metavar="NAME", help="A rotator of an installed package, instead of a program.")
@click.option("--values", type=click.Choice(("stdin", "files")), default="stdin", help="How PROGRAM gets the values.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300.0, metavar="S", help="Seconds for each step.")
@click.option("--resume", is_flag=True, help="Go on with the rotation that stopped: set, test, finish.")
@click.option("--abort", is_flag=True, help="End the rotation that stopped; the current version stays.")
@click.option("--comment", type=PlainText(), metavar="TEXT", help="Why; public, up to 1 KiB.")
@click.option("--expires", type=Expiry(), metavar="WHEN", help="90d, 12h, 2027-01-31 …: not given out after.")
@if_version
@common
def rotate_command(
    settings: Settings,
    name: str,
    program: tuple[str, ...],
    rotator: str | None,
    values: str,
    timeout: float,
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
    stash = settings.stash()
    if abort:
        report(settings, stash, "aborted the rotation of", stash.abort(name), note=" is not used")
        return
    chosen = _rotator(stash, name, rotator, program, values, timeout, policy)
    if resume:
        version = stash.resume(name, chosen)
    else:
        version = stash.rotate(name, chosen, policy=policy, comment=comment, expires_at=expires, if_version=if_version)
    report(settings, stash, "rotated", version)


@click.command("rollback")
@name_argument
@click.option("--to-version", type=click.IntRange(min=1), metavar="N", help="Version N instead of the previous one.")
@click.option("--comment", type=PlainText(), metavar="TEXT", help="Why; public.  [default: rollback to version N]")
@if_version
@common
def rollback_command(
    settings: Settings, name: str, to_version: int | None, comment: str | None, if_version: int | None
) -> None:
    """Store an earlier value of NAME again, as a new version. Nothing is lost, and numbers only grow."""
    stash = settings.stash()
    version = stash.rollback(name, to_version, comment=comment, if_version=if_version)
    report(settings, stash, "rolled back", version, note=f" ({version.comment})")


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
        raise click.UsageError("the rotator command needs a program: give it behind --")
    from dynastash.rotation import registry

    if rotator is not None:
        return registry.load(rotator)()
    # Resuming makes no new value, so that a secret without a policy can be resumed too.
    made_by = policy or stash.policy(name) or Password()
    return registry.load("command")(program, made_by, delivery=values, timeout=timeout)
