"""What the template makes of an environment, as far as a live one can be compared with it.

A test holds these against the template itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

KEY_SCHEMA: Final = (("name", "HASH"), ("record", "RANGE"))
INDEX: Final = "by-namespace"
INDEX_SCHEMA: Final = (("namespace", "HASH"), ("name", "RANGE"))
PROJECTION: Final = "ALL"
TTL_ATTRIBUTE: Final = "ttl"
BILLING: Final = "PAY_PER_REQUEST"
KEY_SPEC: Final = "SYMMETRIC_DEFAULT"
KEY_USAGE: Final = "ENCRYPT_DECRYPT"
PENDING_DAYS: Final = 30
ENVIRONMENT_CONTEXT: Final = "kms:EncryptionContext:dynastash:env"
NAME_CONTEXT: Final = "kms:EncryptionContext:dynastash:name"
CREDSTASH_SCHEMA: Final = (("name", "HASH"), ("version", "RANGE"))


def schema_of(described: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The key schema of a table or an index as DynamoDB describes it: ``((attribute, HASH or RANGE), …)``."""
    return tuple((part["AttributeName"], part["KeyType"]) for part in described.get("KeySchema", ()))


def spelled(schema: tuple[tuple[str, str], ...]) -> str:
    """A key schema for people."""
    return " and ".join(name for name, _ in schema) or "nothing"
