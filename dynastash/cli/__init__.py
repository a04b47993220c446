"""The command line. Only this package knows click and tabulate."""

from __future__ import annotations


def main() -> None:
    """The console script: run, and exit with a code of :mod:`dynastash.cli.exits`."""
    import sys

    try:
        from dynastash.cli import quick

        code = quick.run(sys.argv[1:])
        if code is None:
            from dynastash.cli.app import run

            code = run(sys.argv[1:])
    except KeyboardInterrupt:  # Ctrl-C while modules were still being imported, or on the way out
        code = 130
    sys.exit(code)
