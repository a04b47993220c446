"""`dynastash export --format`: opened secrets for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dynastash.cli.options import Settings, Usage
from dynastash.cli.output import counted, say, write_value
from dynastash.cli.workflow import register
from dynastash.errors import InvalidArgumentError, TransferError

if TYPE_CHECKING:
    from dynastash.running.plan import Assigned, Request


def export_variables(settings: Settings, form: str, **given: Any) -> None:
    """Write the secrets that were asked for in ``form``, masks first: all of them or none."""
    from dynastash.running.plan import request

    asked = request(given["prefixes"], given["secrets"], (), keep_prefix=given["keep_prefix"])
    if not asked:
        raise Usage("which secrets was not said", "give --prefix ('' for all) or --secret")
    if form == "github-env":
        _append(settings, asked, **given)
    else:
        _write_new(settings, asked, form, **given)


def _append(settings: Settings, asked: Request, **given: Any) -> None:
    """Let the later steps of a workflow's job have the secrets."""
    from dynastash.running.github import variables_file
    from dynastash.running.plan import collect

    target = given["target"] or os.environ.get("GITHUB_ENV")
    if not target:
        raise Usage("there is no $GITHUB_ENV to write to", "run it in a step of a workflow, or give --to FILE")
    if target == "-":
        _refuse_terminal()
    stash = settings.stash()
    found = collect(stash, asked)
    data = variables_file(found)
    register(found, given["add_mask"])
    if target == "-":
        write_value(data, raw=True)
        return
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise TransferError(f"{target} cannot be written: {error.strerror}", hint="choose another with --to") from error
    say(f"exported {counted(len(found), 'secret')} of {stash.environment} ({stash.where}) to {target}")


def _write_new(settings: Settings, asked: Request, form: str, **given: Any) -> None:
    """Make a file of the secrets, or write it to standard output."""
    from dynastash.cli.newfile import new_file
    from dynastash.running.plan import collect
    from dynastash.running.variables import key_of, variable_of
    from dynastash.transfer.formats import FORMATS, Keys, open_format
    from dynastash.transfer.formats.base import Entry

    target = given["target"] or "-"
    if target == "-":
        _refuse_terminal()
    stash = settings.stash()
    keys = FORMATS[form].keys
    found = collect(stash, asked, key_of if keys is Keys.NAMES else variable_of)
    entries = [
        Entry(each.variable.lower() if keys is Keys.LOWER else each.variable, each.secret.plaintext, label=each.label)
        for each in found
    ]
    _refuse_shared(found, entries)
    data = open_format(form).write(entries, name=given["title"] or "")
    register(found, given["add_mask"])
    if target == "-":
        write_value(data, raw=True)
        return
    with new_file(target) as file:
        file.write(data)
    say(f"exported {counted(len(found), 'secret')} of {stash.environment} ({stash.where}) to {target}")


def _refuse_shared(found: Sequence[Assigned], entries: Sequence[Any]) -> None:
    """Refuse variables that are the same in lower case."""
    holders: dict[str, str] = {}
    for each, entry in zip(found, entries, strict=True):
        if (other := holders.setdefault(entry.key, each.label)) != each.label:
            raise InvalidArgumentError(
                f"{other} and {each.label} would both be {entry.key}", hint="name one of them with --secret"
            )


def _refuse_terminal() -> None:
    if sys.stdout is not None and sys.stdout.isatty():
        raise InvalidArgumentError(
            "this is a terminal, and values would be shown on it", hint="redirect the output, or give --to FILE"
        )
