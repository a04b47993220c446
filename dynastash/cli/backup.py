"""Sealed backups, as `export --sealed` writes and `import --sealed` restores them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli.asking import progress
from dynastash.cli.newfile import inaccessible, new_file
from dynastash.cli.options import Settings
from dynastash.cli.output import counted, emit, say
from dynastash.errors import TransferError

if TYPE_CHECKING:
    from dynastash.transfer.sealed import Counts


def export_backup(settings: Settings, path: str) -> None:
    """Write the environment's records, sealed as they are, into a new file."""
    from dynastash.clock import SystemClock
    from dynastash.transfer.sealed import export_sealed

    if path == "-":
        raise click.UsageError("a backup goes into a file: - is none")
    stash = settings.stash()
    with new_file(path) as file:
        counts = export_sealed(stash.store, stash.environment, file, at=SystemClock().now())
    say(f"exported {_amount(counts)}, of {stash.environment} ({stash.where}) to {path}")
    if settings.output != "table":
        emit(_data(counts, path), settings.output)


def import_backup(settings: Settings, path: str, *, dry_run: bool) -> None:
    """Restore the backup in the file, or only check it."""
    from dynastash.transfer import sealed

    stash = settings.stash()
    counts = sealed.Counts(0, 0)
    try:
        with Path(path).open("rb") as file:
            found = sealed.check_sealed(file, stash.environment)
            if dry_run:
                say(f"{path} is whole: {_amount(found)}; nothing was changed")
            else:
                file.seek(0)
                with progress(
                    sealed.import_sealed(stash.store, stash.environment, file), "restoring secrets"
                ) as results:
                    for counts in results:  # noqa: B007
                        pass
    except OSError as error:
        raise inaccessible(path, "read", error, "check the file") from error
    except TransferError as error:
        hint = error.hint or "take another copy of the backup; nothing that does not belong there was written"
        raise TransferError(f"{path}: {error}", hint=hint) from error
    if not dry_run:
        say(
            f"restored {counted(counts.secrets - counts.skipped, 'secret')} into {stash.environment} ({stash.where}); "
            f"there already: {counted(counts.skipped, 'secret')}"
        )
    if settings.output != "table":
        emit(_data(found if dry_run else counts, path), settings.output)


def _data(counts: Counts, path: str) -> dict[str, Any]:
    return {"secrets": counts.secrets, "records": counts.items, "skipped": counts.skipped, "file": path}


def _amount(counts: Counts) -> str:
    return f"{counted(counts.secrets, 'secret')}, {counted(counts.items, 'record')}"
