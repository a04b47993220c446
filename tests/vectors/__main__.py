"""``python -m tests.vectors FILE…``: run known-answer files of record format v1."""

from __future__ import annotations

import sys
from pathlib import Path

from dynastash.errors import FormatError
from tests.vectors import PUBLISHED, cases


def main(arguments: list[str]) -> int:
    passed = failed = 0
    for path in arguments or [str(PUBLISHED)]:
        try:
            for identity, why, failure in cases(Path(path)):
                if failure is None:
                    passed += 1
                else:
                    failed += 1
                    print(f"FAILED {path} {identity} ({why}): {failure}")
        except (OSError, FormatError) as error:
            failed += 1
            print(f"FAILED {path}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
