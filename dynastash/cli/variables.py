"""`dynastash export --format`: opened secrets for other programs."""

from __future__ import annotations

import os
import sys
from typing import Any

from dynastash.cli.options import Settings, Usage
from dynastash.cli.output import counted, say, write_value
from dynastash.cli.workflow import register
from dynastash.errors import InvalidArgumentError, TransferError


def export_variables(settings: Settings, **given: Any) -> None:
    """Write the secrets that were asked for to the file of a workflow's variables, masks first."""
    from dynastash.running.github import variables_file
    from dynastash.running.plan import collect, request

    asked = request(given["prefixes"], given["secrets"], (), keep_prefix=given["keep_prefix"])
    if not asked:
        raise Usage("which secrets was not said", "give --prefix ('' for all) or --secret")
    target = given["target"] or os.environ.get("GITHUB_ENV")
    if not target:
        raise Usage("there is no $GITHUB_ENV to write to", "run it in a step of a workflow, or give --to FILE")
    if target == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise InvalidArgumentError("this is a terminal, and values would be shown on it", hint="redirect the output")
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
