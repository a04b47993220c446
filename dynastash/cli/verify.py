"""``dynastash verify`` and ``dynastash rewrap``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dynastash.cli import exits
from dynastash.cli.asking import progress
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.lifecycle import chosen_names
from dynastash.cli.options import SecretName, Settings, common, names_or_prefix
from dynastash.cli.output import counted, emit, emit_table, say
from dynastash.errors import DynastashError, PartialError, SecretDestroyedError

if TYPE_CHECKING:
    from dynastash.stash.verify import Finding


@click.command("verify", cls=Command)
@click.argument("prefix", default="", type=SecretName())
@click.option(
    "--structure-only",
    cls=OwnOption,
    is_flag=True,
    help="Without the key: shapes and invariants only; nothing is authenticated.",
)
@common
def verify_command(settings: Settings, prefix: str, structure_only: bool) -> None:
    """Check every record of the environment, or of the secrets whose names start with PREFIX.

    Opens every version and checks every seal, finds what is missing, stray, altered, expired or overdue, and ends with
    exit code 5 if there is anything. No value is shown.
    """
    stash = settings.stash()
    findings: list[Finding] = []
    secrets = versions = tombstones = 0
    with progress(stash.verify(prefix, structure_only=structure_only), "verifying secrets") as results:
        for result in results:
            secrets += 1
            versions += result.versions
            tombstones += result.tombstones
            findings += result.findings
    if settings.output != "table":
        emit(
            {
                "environment": stash.environment,
                "authenticated": not structure_only,
                "secrets": secrets,
                "versions": versions,
                "tombstones": tombstones,
                "findings": [
                    {
                        "name": finding.name,
                        "version": finding.version,
                        "problem": str(finding.problem),
                        "message": finding.message,
                    }
                    for finding in findings
                ],
            },
            settings.output,
        )
    elif findings:
        rows = [[found.name, found.version, found.problem, found.message] for found in findings]
        emit_table(rows, ("name", "version", "problem", "what"))
    how = "checked the structure of" if structure_only else "verified"
    say(
        f"{how} {counted(secrets, 'secret')}, {counted(versions, 'version')} and "
        f"{counted(tombstones, 'tombstone')} in {stash.environment} "
        f"({stash.where}): {counted(len(findings), 'finding')}"
    )
    if findings:
        click.get_current_context().exit(exits.INTEGRITY)


@click.command(
    "rewrap",
    cls=Command,
    examples=("dynastash rewrap app1/db/password", "dynastash rewrap --prefix ''"),
)
@names_or_prefix
@common
def rewrap_command(settings: Settings, names: tuple[str, ...], prefix: str | None) -> None:
    """Wrap data keys anew, under the key that new versions get.

    For a move from one KMS key to another: name the old one in trusted_keys, make the new one key, rewrap, and take the
    old one out again. KMS re-encrypts; no value and no data key leaves it. Interrupted, the same command goes on.
    """
    stash = settings.stash()
    chosen = chosen_names(stash, names, prefix)
    done: list[dict[str, object]] = []
    failures: dict[str, DynastashError] = {}
    with progress(stash.rewrap_many(chosen), "rewrapping secrets") as results:
        for result in results:
            done += [
                {"name": version.name, "version": version.number, "before": version.before, "after": version.after}
                for version in result.versions
            ]
            if result.error is not None:
                # Under a prefix, one that was destroyed meanwhile has nothing left to rewrap.
                if not isinstance(result.error, SecretDestroyedError):
                    failures[result.name] = result.error
                elif prefix is None:
                    raise result.error
    if settings.output != "table":
        emit(done, settings.output)
    what = f"{counted(len(done), 'version')} of {counted(len(chosen), 'secret')}"
    say(f"rewrapped {what} in {stash.environment} ({stash.where}) under {stash.key}")
    if failures:
        raise PartialError(
            f"{counted(len(failures), 'secret')} could not be rewrapped, or not all of it",
            failures,
            hint="the rest is done; run `dynastash verify`, mend what it finds, and rewrap again",
        )
