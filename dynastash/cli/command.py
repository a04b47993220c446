"""A command whose help has sections: examples, its own options, and the global ones at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import click


class OwnOption(click.Option):
    """An option of one command; ``section`` is the heading under which help lists it."""

    section: ClassVar[str] = "Options"


class PolicyOption(OwnOption):
    """One that says how a new value is made."""

    section = "How a new value is made"


class PlaceOption(OwnOption):
    """One that says how a place besides the environment is reached."""

    section = "The other place"


class GlobalOption(OwnOption):
    """One that every command takes, before its name or behind."""

    section = "Global options"


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The options of ``command`` by section, the global ones last and --help among them."""
    kinds = (OwnOption, PolicyOption, PlaceOption, GlobalOption)
    rows: dict[str, list[tuple[str, str]]] = {kind.section: [] for kind in kinds}
    for parameter in command.get_params(ctx):
        # click lists arguments too, from 8.5 on; the usage line and the text say what they are.
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            of_help = "--help" in parameter.opts
            section = GlobalOption.section if of_help else getattr(parameter, "section", OwnOption.section)
            rows[section].append(record)
    for section, records in rows.items():
        if records:
            with formatter.section(section):
                formatter.write_dl(records)


class Command(click.Command):
    """A command with ``examples``: command lines that help shows before the options."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        write_options(self, ctx, formatter)
