"""Makes docs/reference/cli.md and dynastash/cli/summaries.py: ``python -m tests.cli.reference --write``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from dynastash.cli import exits
from dynastash.cli.app import app
from dynastash.cli.summaries import SUMMARIES

DOCUMENT = Path(__file__).parents[2] / "docs/reference/cli.md"
SOURCE = Path(__file__).parents[2] / "dynastash/cli/summaries.py"

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
        "SUMMARIES: Final = {\n" + "".join(lines) + "}\n"
    )


def _section(heading: str, shown: str) -> str:
    lines = "\n".join(line.rstrip() for line in shown.splitlines())
    return f"## {heading}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        SOURCE.write_text(summaries(), encoding="utf-8")
        DOCUMENT.write_text(text(), encoding="utf-8")
    else:
        print(text(), end="")
