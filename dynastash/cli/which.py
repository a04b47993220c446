"""Options by which `run` and `export` are told which secrets become which variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dynastash.cli.command import OwnOption

_F = TypeVar("_F", bound=Callable[..., Any])


def which_secrets(command: _F) -> _F:
    """``prefixes``, ``secrets`` as pairs of a variable and a reference, and ``keep_prefix``."""
    for option in (
        click.option(
            "--keep-prefix", cls=OwnOption, is_flag=True, help="Name variables by whole names: APP1_DB_PASSWORD."
        ),
        click.option(
            "--secret",
            "secrets",
            cls=OwnOption,
            multiple=True,
            callback=_pairs,
            metavar="VAR=REF",
            help="One secret: NAME, NAME@VERSION or NAME#FIELD.",
        ),
        click.option(
            "--prefix",
            "prefixes",
            cls=OwnOption,
            multiple=True,
            metavar="PREFIX",
            help="Every secret whose name starts so; app1/db/password under app1/ is DB_PASSWORD.",
        ),
    ):
        command = option(command)
    return command


def add_mask(command: _F) -> _F:
    """``add_mask``: True, False, or None where nothing was said."""
    return click.option(
        "--add-mask/--no-add-mask",
        cls=OwnOption,
        default=None,
        help="Have GitHub Actions mask the values.  [default: in a workflow]",
    )(command)


def _pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in given:
        variable, equals, reference = text.partition("=")
        if not equals:
            raise click.BadParameter("write VAR=REFERENCE, as in DB_PASSWORD=app1/db/password", ctx, param)
        pairs.append((variable, reference))
    return tuple(pairs)
