"""``python -m bench``: what ``make bench`` and its relatives call."""

from __future__ import annotations

import argparse
import sys

from bench.run import run


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute: fewer rounds, smaller tables")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only groups whose name holds TEXT; nothing is written"
    )
    given = parser.parse_args()
    return run(quick=given.quick, only=given.only)


if __name__ == "__main__":
    sys.exit(main())
