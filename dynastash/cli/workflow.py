"""What `run` and `export` tell the runner of a workflow."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynastash.cli.output import say
from dynastash.errors import ConfigError

if TYPE_CHECKING:
    from dynastash.running.plan import Assigned


def register(found: Sequence[Assigned], wanted: bool | None) -> None:
    """Have the runner mask the values from now on: if it is ``wanted``, or, for None, where a workflow runs us.

    On standard error, which the runner reads as well and takes before standard output, and which is seldom sent
    elsewhere. Raises :class:`ConfigError` where it goes into a file or to a terminal: the values would end up there.
    """
    if not (os.environ.get("GITHUB_ACTIONS") == "true" if wanted is None else wanted):
        return
    from dynastash.running.github import mask_commands, too_short

    try:
        reader = stat.S_IFMT(os.fstat(2).st_mode)
    except OSError:
        reader = 0
    if reader not in (stat.S_IFIFO, stat.S_IFSOCK):
        raise ConfigError(
            "the runner cannot be told what to mask: standard error does not lead to it",
            hint="leave standard error alone, or add --no-add-mask",
        )
    left = memoryview(mask_commands(found))
    while left:
        left = left[os.write(2, left) :]
    for label in too_short(found):
        say(f"warning: {label} is too short to be masked")
