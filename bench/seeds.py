"""The same secrets in both formats, made here rather than put one by one: 10,000 of them take a few seconds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench.server import kms
from bench.server.process import Running
from dynastash.crypto.envelope import seal_head, seal_version
from dynastash.crypto.records import VersionMetadata
from dynastash.models import Context, DataKey, Head, Item, Plaintext, State, WrappedKey

ENVIRONMENT: Final = "bench"
KEY: Final = f"alias/dynastash-{ENVIRONMENT}"
OLD_KEY: Final = "alias/credstash"
_NOW: Final = 1_767_225_600_000
_AUTHOR: Final = f"arn:aws:iam::{kms.ACCOUNT}:user/bench"
_COUNTER: Final = (1).to_bytes(16, "big")
_CHUNK: Final = 500


def name_of(number: int) -> str:
    """The name of the secret with this number."""
    return f"app{number % 10}/service/secret-{number:05d}"


def value_of(number: int, version: int) -> str:
    """What that version of it holds. Of ten secrets six are passwords of 32 letters, three URLs of 90, one a long key.

    All of it made up, and nothing that anybody would take for real.
    """
    kind = number // 10 % 10
    length = 1700 if kind == 9 else 90 if kind >= 6 else 32
    return f"made-up-{number:05d}-{version:03d}-".ljust(length, "x")


def seed(server: Running, table: str, secrets_count: int, versions: int = 1) -> None:
    """Fill dynastash's ``table`` and credstash's ``cs-table`` with the same secrets."""
    for name, range_key, items in (
        (table, "record", new_format(secrets_count, versions)),
        (f"cs-{table}", "version", old_format(secrets_count, versions)),
    ):
        server.call("DynamoDB_20120810.CreateTable", _shape(name, range_key))
        chunk: list[Any] = []
        for item in items:
            chunk.append(_wire(item))
            if len(chunk) == _CHUNK:
                server.control("load", {"table": name, "items": chunk})
                chunk = []
        server.control("load", {"table": name, "items": chunk})


def new_format(count: int, versions: int) -> Iterator[Item]:
    """Heads and version records, as dynastash writes them."""
    for number in range(count):
        name = name_of(number)
        keys = None
        for version in range(1, versions + 1):
            data_key = secrets.token_bytes(32)
            context = Context(ENVIRONMENT, name, version)
            wrapped = WrappedKey(kms.wrap(KEY, data_key, context.pairs()), kms.key_arn(KEY))
            metadata = VersionMetadata(name=name, number=version, created_ms=_NOW, created_by=_AUTHOR)
            value = Plaintext(value_of(number, version).encode())
            item, keys = seal_version(ENVIRONMENT, metadata, value, DataKey(data_key), wrapped)
            yield item
        head = Head(
            name=name,
            last=versions,
            revision=versions,
            pruned_below=1,
            state=State.ACTIVE,
            created_ms=_NOW,
            updated_ms=_NOW,
            updated_by=_AUTHOR,
            current=versions,
            previous=versions - 1 or None,
        )
        assert keys is not None
        yield seal_head(ENVIRONMENT, head, keys)


def old_format(count: int, versions: int) -> Iterator[Item]:
    """credstash's items: AES-CTR, the MAC of the ciphertext, no context."""
    for number in range(count):
        for version in range(1, versions + 1):
            data_key = secrets.token_bytes(64)
            encryptor = Cipher(algorithms.AES(data_key[:32]), modes.CTR(_COUNTER)).encryptor()
            contents = encryptor.update(value_of(number, version).encode()) + encryptor.finalize()
            yield {
                "name": {"S": name_of(number)},
                "version": {"S": f"{version:019d}"},
                "key": {"S": base64.b64encode(kms.wrap(OLD_KEY, data_key, {})).decode("ascii")},
                "contents": {"S": base64.b64encode(contents).decode("ascii")},
                "hmac": {"S": hmac.new(data_key[32:], contents, hashlib.sha256).hexdigest()},
                "digest": {"S": "SHA256"},
            }


def _shape(name: str, range_key: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "name"}, {"AttributeName": range_key}],
    }
    if range_key == "record":
        index = {"IndexName": "by-namespace", "KeySchema": [{"AttributeName": "namespace"}, {"AttributeName": "name"}]}
        shape["GlobalSecondaryIndexes"] = [index]
    return shape


def _wire(value: Any) -> Any:
    """An item in the JSON protocol: bytes as base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {name: _wire(member) for name, member in value.items()}
    return [_wire(member) for member in value] if isinstance(value, list) else value


def main() -> None:
    """``python -m bench.seeds WHERE TABLE:SECRETS:VERSIONS…``: in a process of its own."""
    server = Running(json.loads(sys.argv[1]))
    for order in sys.argv[2:]:
        table, count, versions = order.split(":")
        seed(server, table, int(count), int(versions))


if __name__ == "__main__":
    main()
