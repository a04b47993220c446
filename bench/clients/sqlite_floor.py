"""What no embedded store can do without: imports, and SQLite's own read, or its commit as the store makes it."""

import os
import sqlite3
import sys

import click  # noqa: F401
import cryptography.hazmat.primitives.ciphers.aead
import cryptography.hazmat.primitives.kdf.hkdf  # noqa: F401


def main(path: str, write: str) -> None:
    """Read one row of the file at ``path``; ``write`` a row too, where it says so."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS records (name TEXT, record TEXT, item TEXT)")
    connection.execute("SELECT item FROM records LIMIT 1").fetchall()
    if write == "write":
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO records VALUES (?, ?, ?)", ("name", os.urandom(8).hex(), "x" * 900))
        connection.execute("COMMIT")
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
