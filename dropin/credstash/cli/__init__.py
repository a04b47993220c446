"""The executable ``credstash``. Exit codes: 0 done, 1 failed, 2 not understood; 130 interrupted, 141 nobody reads."""

from __future__ import annotations


def main() -> None:
    """The console script."""
    import sys

    from dynastash.cli import leave

    try:
        from credstash.cli.run import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were still being imported
        code = 130
    if code == 130:
        leave(code)
    sys.exit(code)
