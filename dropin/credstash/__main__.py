"""``python -m credstash``."""

from credstash.cli import main

if __name__ == "__main__":
    main()
