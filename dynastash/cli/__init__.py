"""The command line. Only this package knows click and tabulate."""

from __future__ import annotations


def main() -> None:
    """The console script: run, and exit with a code of :mod:`dynastash.cli.exits`."""
    import sys

    try:
        from dynastash.cli.app import run
    except KeyboardInterrupt:  # Ctrl-C while the interpreter was still importing
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))
