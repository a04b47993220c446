"""Gets in a warm process: prints the microseconds of CPU, or of the clock, that one takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

COUNTS = {"dynastash": 100, "boto3": 100, "cached": 20_000}


def by_dynastash(name: str) -> Callable[[], object]:
    """The library as its users call it."""
    import dynastash

    stash = dynastash.connect()
    return lambda: stash.get(name).text


def by_cache(name: str) -> Callable[[], object]:
    """What a process keeps of what it has read."""
    import dynastash

    stash = dynastash.CachingStash(dynastash.connect())
    return lambda: stash.get(name).text


def by_boto3(name: str) -> Callable[[], object]:
    """The same two calls by clients that are kept, and nothing done with the answers."""
    import os

    import boto3

    dynamodb, kms = boto3.client("dynamodb"), boto3.client("kms")
    request: dict[str, Any] = {
        "TableName": os.environ["DYNASTASH_TABLE"],
        "KeyConditionExpression": "#name = :name",
        "ExpressionAttributeNames": {"#name": "name"},
        "ExpressionAttributeValues": {":name": {"S": name}},
        "ScanIndexForward": False,
        "Limit": 2,
        "ConsistentRead": True,
    }

    def get() -> object:
        record = dynamodb.query(**request)["Items"][1]
        context = {
            "dynastash:env": os.environ["DYNASTASH_ENV"],
            "dynastash:name": name,
            "dynastash:version": record["version"]["N"],
            "dynastash:format": "1",
        }
        return kms.decrypt(CiphertextBlob=record["wrapped_key"]["B"], EncryptionContext=context)["Plaintext"]

    return get


def main(who: str, clock: str, name: str) -> None:
    """Measure ``who`` by the ``clock`` named."""
    get = {"dynastash": by_dynastash, "boto3": by_boto3, "cached": by_cache}[who](name)
    now = {"cpu": time.process_time, "wall": time.perf_counter}[clock]
    for _ in range(5):
        get()
    began = now()
    for _ in range(COUNTS[who]):
        get()
    print(f"{(now() - began) / COUNTS[who] * 1e6:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
