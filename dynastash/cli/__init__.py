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
    if code == 130:
        leave(code)
    sys.exit(code)


def leave(code: int) -> None:
    """End at once. Ctrl-C may have struck amid an import or the start of a thread, whose lock nobody releases then: the
    interpreter, which waits for threads at its end, would wait for ever."""
    import os
    import sys

    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        pass
    finally:
        os._exit(code)
