"""``dynastash render``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import FilePath, Pair, Settings, Usage, common
from dynastash.cli.output import counted, emit, emit_table, say, write_value
from dynastash.errors import DynastashError, InvalidArgumentError, PartialError, TemplateError

if TYPE_CHECKING:
    from dynastash.models import Version
    from dynastash.references import Reference
    from dynastash.rendering.base import Renderable, Use
    from dynastash.stash.api import Stash

    _ParamType = click.ParamType[Any, Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.4

_JINJA: Final = (".j2", ".jinja", ".jinja2")
_ENGINES: Final = ("plain", "jinja")


class Mode(_ParamType):
    """Permissions of a file in octal, none of them for others."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not re.fullmatch("0?[0-7]{3}", str(value)):
            self.fail(f"{str(value)[:40]!r} is not a mode: write 600 or 640", param, ctx)
        mode = int(str(value), 8)
        if mode & 0o007 or not mode & 0o400:
            self.fail("the file holds secrets: give its owner, and perhaps its group, rights, as in 640", param, ctx)
        return mode


@click.command(
    "render",
    cls=Command,
    examples=(
        "dynastash render app.conf.tmpl --out /run/app/app.conf -e prod",
        "dynastash render nginx.conf.j2 --set port=8443 --out nginx.conf --mode 640",
        "dynastash render --check app.conf.tmpl",
        "dynastash render - < app.conf.tmpl | ./server --config /dev/stdin",
    ),
)
@click.argument("template", type=FilePath())
@click.option(
    "--out",
    cls=OwnOption,
    type=FilePath(),
    metavar="FILE",
    help="Where to, replaced as a whole; - is standard output, a terminal included.  [default: standard output]",
)
@click.option("--mode", cls=OwnOption, type=Mode(), metavar="MODE", help="Permissions of FILE.  [default: 600]")
@click.option(
    "--engine",
    cls=OwnOption,
    type=click.Choice(_ENGINES),
    metavar="ENGINE",
    help="plain or jinja.  [default: jinja for .j2, .jinja and .jinja2]",
)
@click.option(
    "--set", "variables", cls=OwnOption, type=Pair(), multiple=True, help="A variable of a Jinja2 template; no secret."
)
@click.option(
    "--check", cls=OwnOption, is_flag=True, help="Say what is referenced and whether it is there; read no value."
)
@common
def render_command(
    settings: Settings,
    template: str,
    out: str | None,
    mode: int | None,
    engine: str | None,
    variables: tuple[tuple[str, str], ...],
    check: bool,
) -> None:
    """Fill the secrets into TEMPLATE, a file or -.

    In any text file {{ dynastash://NAME }}, also with @VERSION and #FIELD, is replaced by the value, byte for byte; the
    rest stays as it is. A Jinja2 template says {{ secret("NAME") }}. Where one secret cannot be had, nothing is
    written.
    """
    if mode is not None and out in (None, "-"):
        raise Usage("--mode is for a file", "give --out FILE too")
    if check and out is not None:
        raise Usage("--check writes nothing", "leave out --out")
    read = _read(template, engine or ("jinja" if template.endswith(_JINJA) else "plain"), dict(variables))
    if check:
        _check(settings, read)
        return
    if out is None and sys.stdout is not None and sys.stdout.isatty():
        raise Usage("the result would be shown on this terminal", "give --out FILE, a pipe, or --out - to see it")
    stash = settings.stash()
    value = read.render(stash).expose()
    if out is None or out == "-":
        write_value(value, raw=True)
        return
    _write(Path(out), value, 0o600 if mode is None else mode)
    say(
        f"rendered {out}: {counted(len({use.reference for use in read.uses}), 'reference')}{_more(read)}{_where(stash)}"
    )
    if settings.output != "table":
        emit({"path": out, "references": sorted({str(use.reference) for use in read.uses})}, settings.output)


def _read(template: str, engine: str, variables: dict[str, str]) -> Renderable:
    data = _bytes_of(template)
    if engine == "plain":
        from dynastash.rendering.plain import PlainTemplate

        if variables:
            raise Usage("a plain template has no variables", "leave out --set, or give --engine jinja")
        return PlainTemplate(data)
    from dynastash.rendering.jinja import JinjaTemplate

    return JinjaTemplate(data, variables)


def _bytes_of(template: str) -> bytes:
    from dynastash.template import MAX_TEMPLATE

    try:
        if template != "-":
            with Path(template).open("rb") as file:
                return file.read(MAX_TEMPLATE + 1)
        if sys.stdin is None or sys.stdin.isatty():
            raise Usage("no template was given on standard input", "pipe it in, or name a file")
        return sys.stdin.buffer.read(MAX_TEMPLATE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise InvalidArgumentError(
            f"the template {template[:200]} cannot be read: {reason}", hint="name a file, or - for standard input"
        ) from error


def _write(path: Path, value: bytes, mode: int) -> None:
    from dynastash.files import replace_file

    try:
        if path.is_symlink():
            raise TemplateError(f"{path} is a symbolic link", hint="name the file that it points to")
        if path.exists() and not path.is_file():
            raise TemplateError(f"{path} is not a file", hint="name a file, or - for standard output")
        replace_file(path, value, mode)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise TemplateError(
            f"{str(path)[:200]} cannot be written: {reason}", hint="check the directory that it is in"
        ) from error


def _check(settings: Settings, read: Renderable) -> None:
    """Show each reference and where it leads to, and fail like the rendering would."""
    stash = settings.stash()
    located = stash.locate([use.reference for use in read.uses])
    if settings.output != "table":
        emit([_data(use, located[use.reference]) for use in read.uses], settings.output)
    else:
        emit_table(
            [(use.line, str(use.reference), _outcome(use.reference, located[use.reference])) for use in read.uses],
            ("line", "reference", "leads to"),
        )
    if read.open_ended:
        say("some names, or which secrets are under a prefix, are only known when it is rendered")
    failures = {str(reference): found for reference, found in located.items() if isinstance(found, DynastashError)}
    if len(located) == len(failures) == 1:
        raise failures.popitem()[1]
    if failures:
        raise PartialError(
            f"{len(failures)} of {len(located)} references lead nowhere: {', '.join(list(failures)[:3])}", failures
        )


def _outcome(reference: Reference, found: Version | DynastashError) -> str:
    if isinstance(found, DynastashError):
        return str(found)
    field = "" if reference.field is None else ", its fields unread"
    return f"version {found.number}, {', '.join(found.stages) or 'no stage'}{field}"


def _data(use: Use, found: Version | DynastashError) -> dict[str, Any]:
    from dynastash.cli import exits

    failed = isinstance(found, DynastashError)
    return {
        "line": use.line,
        "column": use.column,
        "reference": str(use.reference),
        "name": use.reference.name,
        "field": use.reference.field,
        "version": None if isinstance(found, DynastashError) else found.number,
        "error": str(found) if failed else None,
        "exit_code": exits.code_of(found) if isinstance(found, DynastashError) else 0,
    }


def _more(read: Renderable) -> str:
    return " and what it found besides" if read.open_ended else ""


def _where(stash: Stash) -> str:
    return f" of {stash.environment} ({stash.where})"
