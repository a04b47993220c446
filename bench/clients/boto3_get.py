"""credstash's secrets by boto3's own clients and no more code than it takes: one by name, or all with threads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

THREADS = 16  # more are slower: boto3 is bound by its CPU


def opened(kms: Any, item: dict[str, Any]) -> str:
    """The value of one item, after its MAC was checked."""
    key = kms.decrypt(CiphertextBlob=base64.b64decode(item["key"]["S"]))["Plaintext"]
    contents = base64.b64decode(item["contents"]["S"])
    if not hmac.compare_digest(hmac.new(key[32:], contents, hashlib.sha256).hexdigest(), item["hmac"]["S"]):
        raise SystemExit("altered")
    decryptor = Cipher(algorithms.AES(key[:32]), modes.CTR((1).to_bytes(16, "big"))).decryptor()
    return (decryptor.update(contents) + decryptor.finalize()).decode()


def main(table: str, name: str | None = None) -> None:
    """Print the value of ``name``, or all values as JSON."""
    config = Config(max_pool_connections=THREADS)
    session = boto3.Session(region_name=os.environ["AWS_DEFAULT_REGION"])
    dynamodb, kms = session.client("dynamodb"), session.client("kms", config=config)
    if name is not None:
        found = dynamodb.query(
            TableName=table,
            KeyConditionExpression="#name = :name",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":name": {"S": name}},
            ScanIndexForward=False,
            Limit=1,
            ConsistentRead=True,
        )
        print(opened(kms, found["Items"][0]))
        return
    newest: dict[str, dict[str, Any]] = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            own = item["name"]["S"]
            if own not in newest or newest[own]["version"]["S"] < item["version"]["S"]:
                newest[own] = item
    with ThreadPoolExecutor(THREADS) as pool:
        values = pool.map(lambda item: opened(kms, item), newest.values())
    print(json.dumps(dict(zip(newest, values, strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:])
