"""What no client written in Python with these libraries can do without: their imports, and waiting for the answers."""

import sys
import time


def main(modules: str, waits: str) -> None:
    """Import ``modules``, sleep ``waits`` milliseconds one after another; both with commas between."""
    for module in filter(None, modules.split(",")):
        __import__(module)
    for wait in filter(None, waits.split(",")):
        time.sleep(float(wait) / 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
