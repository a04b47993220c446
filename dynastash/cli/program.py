"""Commands that start a program of the user's, which stands behind ``--``."""

from __future__ import annotations

from typing import Any, Final

import click

from dynastash.cli.command import Command
from dynastash.cli.options import Usage

_DASHES: Final = "--"


class ProgramCommand(Command):
    """Takes a program behind ``--`` only: its own options must not be taken for ours, nor an empty one for none.

    Its last argument, of any number of words, is the program. ``usage`` is how the command is written with one;
    ``required`` refuses to do without.
    """

    def __init__(self, *args: Any, usage: str, required: bool = False, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._usage = usage
        self._required = required

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            program = list(ctx.params["program"])
            behind = given[given.index(_DASHES) + 1 :] if _DASHES in given else []
            if program != behind:
                raise Usage("PROGRAM does not stand behind --", f"write `{self._usage}`")
            if not program and self._required:
                raise Usage("there is no PROGRAM behind --", f"write `{self._usage}`")
            if not program and _DASHES in given:
                raise Usage("there is no PROGRAM behind --", "leave out -- where no program has to be told")
        return rest
