"""Asking before something is gone, and showing that long work goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from dynastash.cli import exits
from dynastash.cli.options import Usage
from dynastash.cli.output import say, visible

_T = TypeVar("_T")


def agree(question: str, *, yes: bool) -> None:
    """Return if ``yes`` was given or somebody at the terminal says so; else end with code 1 and nothing done."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise Usage("nobody can be asked: standard input is not a terminal", "give --yes, or --dry-run to look only")
    if not click.confirm(visible(question), err=True):
        say("nothing was changed")
        click.get_current_context().exit(exits.OTHER)


def mfa_code(serial: str) -> str:
    """The code that the MFA device ``serial`` shows now, from whoever is at the terminal."""
    from dynastash.errors import CredentialsError

    if sys.stdin is None or not sys.stdin.isatty():
        raise CredentialsError(
            f"the role takes a code of the MFA device {serial}, and standard input is not a terminal",
            hint="run a dynastash command at a terminal first: its session is kept until it expires",
        )
    try:
        code: str = click.prompt(f"code of the MFA device {visible(serial)}", err=True)
    except click.Abort:  # an Exception, which the SDK that asks would take for a failed call and try again
        raise KeyboardInterrupt from None
    return code.strip()


@contextmanager
def progress(results: Iterable[_T], label: str) -> Iterator[Iterable[_T]]:
    """``results``, counted on a terminal's stderr while they come."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield results
        return

    def counted() -> Iterator[_T]:
        for number, result in enumerate(results, 1):
            stream.write(f"\r{label}: {number}")
            stream.flush()
            yield result

    try:
        yield counted()
    finally:
        stream.write("\r\x1b[K")
        stream.flush()
