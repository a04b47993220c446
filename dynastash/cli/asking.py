"""Asking before something is gone, and showing that long work goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from dynastash.cli.options import Usage

_T = TypeVar("_T")


def agree(question: str, *, yes: bool) -> None:
    """Return if ``yes`` was given or somebody at the terminal says so; else end, with nothing done."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage("nobody can be asked: standard input is not a terminal", "give --yes, or --dry-run to look only")
    click.confirm(question, abort=True, err=True)


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
