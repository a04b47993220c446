"""KMS's answers. A wrapped key is the data key in the clear beside a digest of its context: fast, and no protection.

Stateless, so that whoever seeds a table can wrap keys without asking the server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any, Final

from bench.server.refusals import Refused, invalid

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
TARGET: Final = "TrentService"
_MAGIC: Final = b"bench-wrapped-key\x00"
_DIGEST: Final = 16
_OVERHEAD: Final = 152  # a real blob of a 32-byte key has 184 bytes
_LENGTHS: Final = {"AES_256": 32, "AES_128": 16}

Pairs = Mapping[str, str]


def key_arn(key: str) -> str:
    """The ARN of ``key``: any id or alias is a key that exists."""
    if ":key/" in key:
        return key
    name = key.rpartition(":")[2]
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def wrap(key: str, data_key: bytes, context: Pairs) -> bytes:
    """``data_key`` as a blob of a real one's length."""
    arn = key_arn(key).encode()
    body = _MAGIC + bytes((len(arn),)) + arn + _context_digest(context) + bytes((len(data_key),)) + data_key
    body += secrets.token_bytes(max(0, len(data_key) + _OVERHEAD - _DIGEST - len(body)))
    return body + _digest(body)


def unwrap(key: str | None, blob: bytes, context: Pairs) -> tuple[str, bytes]:
    """The key's ARN and the data key in ``blob``, if that was wrapped under ``key`` with this very context."""
    body, checksum = blob[:-_DIGEST], blob[-_DIGEST:]
    if not body.startswith(_MAGIC) or checksum != _digest(body):
        raise Refused("InvalidCiphertextException", "")
    start = len(_MAGIC) + 1
    end = start + body[start - 1]
    arn = body[start:end].decode()
    if key is not None and key_arn(key) != arn:
        raise Refused("IncorrectKeyException", "The key ID in the request does not identify a CMK that can decrypt it")
    if body[end : end + _DIGEST] != _context_digest(context):
        raise Refused("InvalidCiphertextException", "")
    start = end + _DIGEST + 1
    return arn, body[start : start + body[start - 1]]


def answer(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply's document."""
    if action == "GenerateDataKey":
        return _generate(request)
    if action == "Decrypt":
        arn, data_key = unwrap(request.get("KeyId"), _blob(request), request.get("EncryptionContext") or {})
        return {"KeyId": arn, "Plaintext": _text(data_key), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    if action == "ReEncrypt":
        context = request.get("SourceEncryptionContext") or {}
        arn, data_key = unwrap(request.get("SourceKeyId"), _blob(request), context)
        destination = key_arn(request["DestinationKeyId"])
        wrapped = wrap(destination, data_key, request.get("DestinationEncryptionContext") or {})
        return {"CiphertextBlob": _text(wrapped), "SourceKeyId": arn, "KeyId": destination}
    raise Refused("UnknownOperationException", action)


def _generate(request: Mapping[str, Any]) -> dict[str, Any]:
    length = request.get("NumberOfBytes") or _LENGTHS.get(request.get("KeySpec", ""))
    if not length:
        raise invalid("give NumberOfBytes or KeySpec")
    data_key = secrets.token_bytes(length)
    blob = wrap(request["KeyId"], data_key, request.get("EncryptionContext") or {})
    return {"KeyId": key_arn(request["KeyId"]), "Plaintext": _text(data_key), "CiphertextBlob": _text(blob)}


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_DIGEST]


def _context_digest(context: Pairs) -> bytes:
    return _digest(json.dumps(context, sort_keys=True).encode())


def _blob(request: Mapping[str, Any]) -> bytes:
    return base64.b64decode(request["CiphertextBlob"])


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
