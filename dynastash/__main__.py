"""``python -m dynastash``: the command line."""

from dynastash.cli import main

if __name__ == "__main__":
    main()
