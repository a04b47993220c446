"""A second implementation of record format v1, for the tests to hold dynastash against.

Written from docs/format-v1.md alone and sharing no code with the package. It checks nothing and writes whatever it is
told to, so that the tests can have records which are authentic and wrong.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ENV = "prod"
NAME = "app1/db/password"
VERSION = 3
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
VALUE = b"correct horse battery staple"
ID = bytes(range(100, 116))
SALT = bytes(range(40, 72))
NONCE = bytes(range(200, 212))
ARN = "arn:aws:sts::111122223333:assumed-role/deploy/ci"
KMS_KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Item = dict[str, Any]


def derived(data_key: bytes, salt: bytes, label: bytes, length: int) -> bytes:
    info = b"dynastash/v1" + b"\0" + b"\x01\x01" + b"\0" + label
    return HKDF(algorithm=SHA512(), length=length, salt=salt, info=info).derive(data_key)


def lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def padded(length: int) -> int:
    """Section 3's rule, with the logarithms it names (exact for integers far beyond these)."""
    size = 5 + length
    if size <= 1024:
        return math.ceil(size / 64) * 64
    e = math.floor(math.log2(size))
    s = math.floor(math.log2(e)) + 1
    multiple = 2 ** (e - s)
    return math.ceil(size / multiple) * multiple


def payload(value: bytes) -> bytes:
    head = struct.pack(">BI", 0, len(value)) + value
    return head + bytes(padded(len(value)) - len(head))


def attribute(value: Mapping[str, Any]) -> bytes:
    ((kind, content),) = value.items()
    if kind == "S":
        return b"S" + lp(content.encode())
    if kind == "N":
        return b"N" + lp(content.encode())
    if kind == "B":
        return b"B" + lp(content)
    if kind == "BOOL":
        return b"T" + (b"\1" if content else b"\0")
    if kind == "NULL":
        return b"0"
    if kind == "NS":
        return b"n" + struct.pack(">I", len(content)) + b"".join(lp(n.encode()) for n in sorted(content, key=int))
    if kind == "SS":
        return b"s" + struct.pack(">I", len(content)) + b"".join(lp(s) for s in sorted(s.encode() for s in content))
    if kind == "BS":  # not in the format: for records that have to be refused
        return b"b" + struct.pack(">I", len(content)) + b"".join(lp(s) for s in sorted(content))
    if kind == "M":
        return b"M" + mapping(content)
    assert kind == "L"
    return b"L" + struct.pack(">I", len(content)) + b"".join(attribute(member) for member in content)


def mapping(attributes: Mapping[str, Any]) -> bytes:
    ordered = sorted(attributes, key=lambda name: name.encode())
    return struct.pack(">I", len(ordered)) + b"".join(
        lp(name.encode()) + attribute(attributes[name]) for name in ordered
    )


def transcript(domain: bytes, env: str, item: Mapping[str, Any]) -> bytes:
    return domain + lp(env.encode()) + mapping(item)


def mac(key: bytes, data: bytes) -> bytes:
    digest = HMAC(key, SHA512())
    digest.update(data)
    return digest.finalize()


def authenticated(item: Mapping[str, Any], *, env: str = ENV, data_key: bytes = KEY) -> Item:
    """``item`` with the right ``mac``, whatever else is wrong with it."""
    covered = {k: v for k, v in item.items() if k not in ("mac", "wrapped_key", "key_id", "rewrapped_at")}
    key = derived(data_key, item["salt"]["B"] if "salt" in item else SALT, b"mac", 64)
    return {**item, "mac": {"B": mac(key, transcript(b"dynastash/v1/item\0", env, covered))}}


def version(
    attributes: Mapping[str, Any] | None = None,
    *,
    env: str = ENV,
    name: str = NAME,
    number: int = VERSION,
    data_key: bytes = KEY,
    value: bytes = VALUE,
    raw_payload: bytes | None = None,
    without: Iterable[str] = (),
) -> Item:
    """An authentic version record; ``attributes`` are added or replaced, ``without`` left out, before the MAC."""
    aad = b"dynastash/v1/aad\0\x01\x01" + lp(env.encode()) + lp(name.encode()) + struct.pack(">Q", number) + lp(ID)
    plain = payload(value) if raw_payload is None else raw_payload
    item: Item = {
        "name": {"S": name},
        "record": {"S": f"v#{number:010d}"},
        "format": {"N": "1"},
        "suite": {"B": b"\x01\x01"},
        "version": {"N": str(number)},
        "id": {"B": ID},
        "salt": {"B": SALT},
        "nonce": {"B": NONCE},
        "ciphertext": {"B": AESGCM(derived(data_key, SALT, b"enc", 32)).encrypt(NONCE, plain, aad)},
        "created_at": {"N": "1767225600123"},
        "created_by": {"S": ARN},
        "wrapped_key": {"B": b"wrapped:" + bytes(40)},
        "key_id": {"S": KMS_KEY},
    }
    item |= attributes or {}
    for unwanted in without:
        del item[unwanted]
    return authenticated(item, env=env, data_key=data_key)


OPTIONAL: Mapping[str, Any] = {
    "comment": {"S": "quarterly é"},
    "content_type": {"S": "application/json"},
    "expires_at": {"N": "1798761600"},
    "context": {"M": {"app.tier": {"S": "db"}, "team": {"S": "payments"}}},
    "rewrapped_at": {"N": "1767225700000"},
}
"""Every optional attribute of a version record."""


def sealed(item: Mapping[str, Any], *, env: str = ENV, data_key: bytes = KEY, salt: bytes = SALT) -> Item:
    """A head with the right ``seal``, whatever else is wrong with it."""
    covered = {k: v for k, v in item.items() if k != "seal"}
    key = derived(data_key, salt, b"head", 64)
    return {**covered, "seal": {"B": mac(key, transcript(b"dynastash/v1/head\0", env, covered))}}


def head(
    attributes: Mapping[str, Any] | None = None,
    *,
    env: str = ENV,
    name: str = NAME,
    data_key: bytes = KEY,
    without: Iterable[str] = (),
) -> Item:
    """An authentic head with every optional attribute, sealed under :func:`version`'s keys."""
    item: Item = {
        "name": {"S": name},
        "record": {"S": "~head"},
        "format": {"N": "1"},
        "namespace": {"S": name.split("/")[0] if "/" in name else "-"},
        "last": {"N": "7"},
        "revision": {"N": "12"},
        "current": {"N": str(VERSION)},
        "pending": {"N": "7"},
        "previous": {"N": "2"},
        "pruned_below": {"N": "2"},
        "destroyed": {"NS": ["4", "5"]},
        "disabled": {"NS": ["10", "6", "2"]},
        "state": {"S": "active"},
        "deleted_at": {"N": "1767225600"},
        "purge_at": {"N": "1769817600"},
        "created_at": {"N": "1767225600123"},
        "updated_at": {"N": "1767225600456"},
        "updated_by": {"S": ARN},
        "comment": {"S": "quarterly é"},
        "expires_at": {"N": "1798761600"},
        "tags": {"M": {"team": {"S": "payments"}, "tier": {"S": ""}}},
        "rotation": {"M": {"rotator": {"S": "generate"}, "every": {"N": "2592000"}}},
    }
    item |= attributes or {}
    for unwanted in without:
        del item[unwanted]
    return sealed(item, env=env, data_key=data_key)


LEFT_OUT = ("pending", "previous", "destroyed", "disabled", "deleted_at", "purge_at", "comment", "expires_at", "tags")
"""The optional attributes of a head, apart from ``current`` and ``rotation``."""
