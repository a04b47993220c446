"""``dynastash export`` and ``dynastash import``."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.asking import progress
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.handing import KEPT, KINDS, hand_over, how_kept
from dynastash.cli.options import FilePath, Settings, Usage, common, dry_run, yes
from dynastash.cli.output import counted, emit, say
from dynastash.cli.places import is_place, place, to_place
from dynastash.cli.which import add_mask, which_secrets
from dynastash.errors import TransferAccessDeniedError, TransferError, TransferUnavailableError

if TYPE_CHECKING:
    from dynastash.transfer.sealed import Counts

FORMATS: Final = ("github-env",)
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # on memory sticks, say

_F = TypeVar("_F", bound=Callable[..., Any])


def _sealed(help_text: str, *, required: bool) -> Callable[[_F], _F]:
    return click.option(
        "--sealed", "path", cls=OwnOption, type=FilePath(), required=required, metavar="FILE", help=help_text
    )


@click.command(
    "export",
    cls=Command,
    examples=(
        "dynastash export --sealed prod.dynastash -e prod",
        "dynastash export --format github-env --prefix app1/ -e prod",
        "dynastash export --to ssm:/app1 --prefix app1/ -e prod",
    ),
)
@_sealed("The backup to write; it must not exist yet.", required=False)
@click.option(
    "--format",
    "form",
    cls=OwnOption,
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    help=f"Open secrets, and write them as {' or '.join(FORMATS)}.",
)
@which_secrets
@click.option(
    "--to",
    "target",
    cls=OwnOption,
    type=FilePath(),
    metavar="FILE",
    help="Append to FILE, or - for standard output.  [default: $GITHUB_ENV] Or ssm:/PATH or secretsmanager:PREFIX.",
)
@add_mask
@dry_run
@yes
@how_kept
@to_place
@common
def export_command(
    settings: Settings,
    path: str | None,
    form: str | None,
    kept: Mapping[str, Any],
    target_way: Mapping[str, str],
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Back the environment up with --sealed, or hand secrets over to another program with --format.

    A sealed backup has every record as it is, still encrypted: neither a value nor a key is opened or written, and the
    records open only with the environment's own key. With --format github-env, the later steps of a workflow's job get
    the secrets as variables, and their values are masked in its log before anything else is done.

    With --to ssm:/PATH or secretsmanager:PREFIX, copies are made there once, under the keys that `dynastash sync` gives
    them; nothing is removed.
    """
    if path is None and form is None and is_place(given["target"]):
        _export_copies(settings, given, way=target_way, dry_run=dry_run, yes=yes, **kept)
        return
    if dry_run or yes or target_way or kept != KEPT:
        raise click.UsageError(
            "--dry-run, --yes and how copies are kept go with --to ssm:/PATH or secretsmanager:PREFIX"
        )
    if (path is None) == (form is None):
        raise Usage("what to export was not said", "give --sealed FILE, or --format and secrets; not both")
    if form is None and (given["prefixes"] or given["secrets"] or given["keep_prefix"] or given["target"]):
        raise click.UsageError("--prefix, --secret, --keep-prefix and --to go with --format")
    if path is not None:
        _export_sealed(settings, path)
    else:
        from dynastash.cli.variables import export_variables

        export_variables(settings, **given)


def _export_copies(settings: Settings, given: Mapping[str, Any], **how: Any) -> None:
    from dynastash.transfer.choosing import Selection

    if not given["prefixes"] and not given["secrets"]:
        raise Usage("which secrets was not said", "give --prefix ('' for all) or --secret KEY=NAME")
    selection = Selection(given["prefixes"], given["secrets"], given["keep_prefix"])
    hand_over(settings, place(given["target"], KINDS), selection, remove=False, **how)


def _export_sealed(settings: Settings, path: str) -> None:
    from dynastash.clock import SystemClock
    from dynastash.transfer.sealed import export_sealed

    if path == "-":
        raise click.UsageError("a backup goes into a file: - is none")
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
            _publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _inaccessible(path, "written", error, "choose another file") from error
    say(f"exported {_amount(counts)}, of {stash.environment} ({stash.where}) to {path}")
    if settings.output != "table":
        emit(_data(counts, path), settings.output)


def _inaccessible(path: str, what: str, error: OSError, hint: str) -> TransferError:
    kind = TransferError
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        kind, hint = TransferAccessDeniedError, "check the owner and the modes of the file and of its directory"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        kind, hint = TransferUnavailableError, "free some space, or choose another file; nothing is left of this one"
    return kind(f"{path} cannot be {what}: {error.strerror}", hint=hint)


def _publish(temporary: Path, target: Path) -> None:
    """Give a finished file its name, if nobody has it."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        temporary.rename(target)


@click.command("import", cls=Command, examples=("dynastash import --sealed prod.dynastash -e prod",))
@_sealed("The backup to restore.", required=True)
@dry_run
@common
def import_command(settings: Settings, path: str, dry_run: bool) -> None:
    """Restore a backup that `dynastash export --sealed` made, into an environment of the same name.

    The file is checked to its end before anything is written. What is there already and the same stays; what differs is
    refused. Interrupted, the same command goes on. Afterwards, `dynastash verify` proves the result.
    """
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
        raise _inaccessible(path, "read", error, "check the file") from error
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
