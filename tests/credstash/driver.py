"""Calls of the real credstash's functions, in one process. Runs in the environment that credstash is installed in.

Standard input holds a JSON list of ``[function, arguments]``, standard output gets one of ``[result, error]``.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Make the calls one after the other; sessions and clients are made once."""
    import boto3

    import credstash  # type: ignore[import-not-found, unused-ignore]

    session = boto3.Session()
    clients = {"dynamodb": session.resource("dynamodb"), "kms": session.client("kms")}
    results: list[list[Any]] = []
    for name, arguments in json.load(sys.stdin):
        shared = clients if name in ("putSecret", "getSecret") else {}
        try:
            result = getattr(credstash, name)(**arguments, **shared)
        except BaseException as error:  # it calls sys.exit where it pleases
            results.append([None, f"{type(error).__name__}: {error}"])
        else:
            results.append([None if name == "putSecret" else result, None])
    json.dump(results, sys.stdout, default=str)


if __name__ == "__main__":
    main()
