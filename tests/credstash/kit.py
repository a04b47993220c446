"""What tests of the predecessor's format share: items made by hand, and a table on an engine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from dynastash.aws.base import Transport
from dynastash.credstash.keys import TableKeys
from dynastash.credstash.store import CredentialStore
from dynastash.credstash.table import Table
from dynastash.models import Item
from tests.engines.engine import Engine

KEY = bytes(range(64))
"""The data key of the published examples."""


def item(
    name: str = "a",
    version: str = "0000000000000000001",
    value: bytes = b"made-up",
    *,
    data_key: bytes = KEY,
    wrapped: bytes = b"wrapped",
    algorithm: str = "sha256",
    **attributes: Any,
) -> Item:
    """An item as credstash writes it, by code that shares nothing with the product's; None takes an attribute away."""
    encryptor = Cipher(algorithms.AES(data_key[:32]), modes.CTR(bytes(15) + b"\x01")).encryptor()
    ciphertext = encryptor.update(value) + encryptor.finalize()
    mac = hmac.new(data_key[32:], ciphertext, getattr(hashlib, algorithm, None) or (lambda: hashlib.new(algorithm)))
    made: dict[str, Any] = {
        "name": {"S": name},
        "version": {"S": version},
        "key": {"S": base64.b64encode(wrapped).decode()},
        "contents": {"S": base64.b64encode(ciphertext).decode()},
        "hmac": {"B": mac.hexdigest().encode()},
        "digest": {"S": "SHA256"},
        **attributes,
    }
    return {attribute: value for attribute, value in made.items() if value is not None}


class OldTable:
    """A new, empty credstash table on ``engine``, with a key of its own."""

    def __init__(self, engine: Engine, transport: Transport | None = None) -> None:
        self.engine = engine
        self.transport = transport or engine.transport
        self.name = f"old-{secrets.token_hex(6)}"
        self.key = engine.create_key()
        create_table(engine, self.name)

    @property
    def table(self) -> Table:
        return Table(self.transport, self.name)

    def keys(self, **options: Any) -> TableKeys:
        """Of the table's key, which alone is trusted unless ``options`` say otherwise."""
        return TableKeys(self.transport, **{"key": self.key, "trusted": (self.key,), **options})

    def store(self, **options: Any) -> CredentialStore:
        """The table as the drop-in has it."""
        return CredentialStore(self.table, self.keys(), **options)

    def wrap(self, data_key: bytes, context: dict[str, str] | None = None) -> bytes:
        """``data_key`` as KMS wraps it."""
        client = self.engine.client("kms")
        blob: bytes = client.encrypt(KeyId=self.key, Plaintext=data_key, EncryptionContext=context or {})[
            "CiphertextBlob"
        ]
        return blob

    def put(self, made: Item) -> None:
        """Put an item there, whatever it is."""
        self.engine.client("dynamodb").put_item(TableName=self.name, Item=made)

    def add(self, name: str, version: str, value: bytes, context: dict[str, str] | None = None, **more: Any) -> None:
        """Put an item that credstash could have written."""
        data_key = secrets.token_bytes(64)
        self.put(item(name, version, value, data_key=data_key, wrapped=self.wrap(data_key, context), **more))

    def items(self) -> list[dict[str, Any]]:
        """All that is there, by name and version."""
        found = self.engine.client("dynamodb").scan(TableName=self.name)["Items"]
        return sorted(found, key=lambda one: (one["name"]["S"], one["version"]["S"]))


def create_table(engine: Engine, name: str) -> None:
    """A table of the old shape."""
    engine.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("name", "version")],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}, {"AttributeName": "version", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    engine.client("dynamodb").get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
