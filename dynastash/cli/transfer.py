"""``dynastash export`` and ``dynastash import``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dynastash.cli.asking import progress
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import FilePath, Settings, common, dry_run
from dynastash.cli.output import emit, say
from dynastash.errors import TransferError

_F = TypeVar("_F", bound=Callable[..., Any])


def _sealed(help_text: str) -> Callable[[_F], _F]:
    return click.option(
        "--sealed", "path", cls=OwnOption, type=FilePath(), required=True, metavar="FILE", help=help_text
    )


@click.command("export", cls=Command, examples=("dynastash export --sealed prod.dynastash -e prod",))
@_sealed("The backup to write; it must not exist yet.")
@common
def export_command(settings: Settings, path: str) -> None:
    """Back the environment up: every record as it is, still encrypted.

    Neither a value nor a key is opened or written. Restored, the records open only with the environment's own key.
    """
    from dynastash.clock import SystemClock
    from dynastash.transfer.sealed import export_sealed

    stash = settings.stash()
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                counts = export_sealed(stash.store, stash.environment, file, at=SystemClock().now())
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, target)
        finally:
            temporary.unlink()
    except OSError as error:
        raise TransferError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from error
    say(f"exported {counts.secrets} secrets, {counts.items} records, of {stash.environment} ({stash.where}) to {path}")
    if settings.output != "table":
        emit({"secrets": counts.secrets, "records": counts.items, "file": path}, settings.output)


@click.command("import", cls=Command, examples=("dynastash import --sealed prod.dynastash -e prod",))
@_sealed("The backup to restore.")
@dry_run
@common
def import_command(settings: Settings, path: str, dry_run: bool) -> None:
    """Restore a backup that `dynastash export --sealed` made, into an environment of the same name.

    The file is checked to its end before anything is written. What is there already and the same stays; what differs is
    refused. Interrupted, the same command goes on. Afterwards, `dynastash verify` proves the result.
    """
    from dynastash.transfer.sealed import Counts, check_sealed, import_sealed

    stash = settings.stash()
    counts = Counts(0, 0)
    try:
        with Path(path).open("rb") as file:
            found = check_sealed(file, stash.environment)
            if dry_run:
                say(f"{path} is whole: {found.secrets} secrets, {found.items} records; nothing was changed")
            else:
                file.seek(0)
                with progress(import_sealed(stash.store, stash.environment, file), "restoring secrets") as results:
                    for counts in results:  # noqa: B007
                        pass
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}", hint="check the file") from error
    if not dry_run:
        say(
            f"restored {counts.secrets - counts.skipped} secrets into {stash.environment} ({stash.where}); "
            f"{counts.skipped} were there already"
        )
    if settings.output != "table":
        shown = found if dry_run else counts
        data = {"secrets": shown.secrets, "records": shown.items, "skipped": shown.skipped, "file": path}
        emit(data, settings.output)
