"""Makes docs/reference/cli.md and, in dynastash/cli, summaries.py and helptext.py, for those who do without click.

``python -m tests.cli.reference --write`` writes them.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from dynastash.cli import exits
from dynastash.cli.app import app
from dynastash.cli.options import SecretName
from dynastash.cli.summaries import SUMMARIES

DOCUMENT = Path(__file__).parents[2] / "docs/reference/cli.md"
SOURCE = Path(__file__).parents[2] / "dynastash/cli/summaries.py"
HELP = SOURCE.with_name("helptext.py")
WIDTHS = (80, 100)  # of terminals: what click takes for one, and the widest that it fills

INTRODUCTION = """\
# Command line

Results go to standard output, everything else to standard error. Options stand anywhere behind the command; the
global ones, which every command takes, before it too. For machines there are `-o json` and `-o yaml`, with the keys
and the exit codes that [json.md](json.md) documents. Settings come from options, environment variables and
[`dynastash.toml`](configuration.md), the first one winning.

This page is made from the commands' own help by `python -m tests.cli.reference --write`.
"""


def text() -> str:
    """The document as it should be."""
    group = app.make_context("dynastash", [], resilient_parsing=True, terminal_width=80)
    parts = [INTRODUCTION, _section("dynastash", app.get_help(group))]
    for name in app.list_commands(group):  # type: ignore[attr-defined]
        command: click.Command = app.get_command(group, name)  # type: ignore[attr-defined]
        context = command.make_context(name, [], parent=group, resilient_parsing=True, terminal_width=80)
        parts.append(_section(f"dynastash {name}", command.get_help(context)))
    codes = re.findall(r"^(\d+) +(\S.*)$", exits.__doc__ or "", re.MULTILINE)
    table = "".join(f"| {code} | {meaning} |\n" for code, meaning in codes)
    return "\n".join([*parts, f"## Exit codes\n\n| code | meaning |\n|---|---|\n{table}"])


def summaries() -> str:
    """dynastash/cli/summaries.py as it should be. The commands' list in this process has them from then on."""
    group = app.make_context("dynastash", [], resilient_parsing=True)
    for name in app.list_commands(group):  # type: ignore[attr-defined]
        command: click.Command = app.get_command(group, name)  # type: ignore[attr-defined]
        SUMMARIES[name] = command.get_short_help_str(100)
    lines = [f'    "{name}": {json.dumps(line, ensure_ascii=False)},\n' for name, line in SUMMARIES.items()]
    return (
        '"""What each command does, in a line, beside its name: `dynastash --help` need not load them all.\n\n'
        'Made from the commands\' own help by ``python -m tests.cli.reference --write``.\n"""\n\n'
        "from __future__ import annotations\n\nfrom typing import Final\n\n"
        "SUMMARIES: Final = {\n" + "".join(lines) + "}\n\n"
        f"NAMED: Final = {_tuple(named())}\n"
        '"""Those whose first argument is a secret\'s name."""\n'
    )


def named() -> list[str]:
    """The commands whose first argument is a secret's name."""
    group = app.make_context("dynastash", [], resilient_parsing=True)
    commands = {name: app.get_command(group, name) for name in app.list_commands(group)}  # type: ignore[attr-defined]
    first = {
        name: next((each for each in command.params if isinstance(each, click.Argument)), None)
        for name, command in commands.items()
    }
    return [name for name, argument in first.items() if argument is not None and isinstance(argument.type, SecretName)]


def overviews() -> str:
    """dynastash/cli/helptext.py as it should be."""
    made = []
    for width in WIDTHS:
        group = app.make_context("dynastash", [], resilient_parsing=True, terminal_width=width - 2)
        made.append(f'    {width}: """\\\n{app.get_help(group)}\n""",\n')
    return (
        '"""What `dynastash --help` says, laid out for the usual widths of a terminal.\n\n'
        'Made from the commands\' own help by ``python -m tests.cli.reference --write``.\n"""\n\n'
        "from __future__ import annotations\n\nfrom typing import Final\n\n"
        "BY_WIDTH: Final = {\n" + "".join(made) + "}\n"
    )


def _tuple(names: list[str]) -> str:
    one_line = f"({', '.join(json.dumps(name) for name in names)})"
    if len(one_line) <= 100:
        return one_line
    return "(\n" + "".join(f"    {json.dumps(name)},\n" for name in names) + ")"


def _section(heading: str, shown: str) -> str:
    lines = "\n".join(line.rstrip() for line in shown.splitlines())
    return f"## {heading}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        SOURCE.write_text(summaries(), encoding="utf-8")
        HELP.write_text(overviews(), encoding="utf-8")
        DOCUMENT.write_text(text(), encoding="utf-8")
    else:
        print(text(), end="")
