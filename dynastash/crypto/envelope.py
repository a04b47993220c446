"""Seal and open versions and heads (docs/format-v1.md, sections 3 and 5).

Everything here is a pure function of its arguments, except that :func:`seal_version` draws its id, salt and nonce
from the operating system.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from typing import Final

from dynastash.crypto import aead, padding
from dynastash.crypto.kdf import SUITE, DerivedKeys, derive
from dynastash.crypto.records import (
    MAX_ID_BYTES,
    SALT,
    VersionMetadata,
    VersionRecord,
    blob,
    decode_head,
    decode_version,
    encode_head,
    encode_version,
)
from dynastash.crypto.transcript import length_prefixed, transcript, utf8
from dynastash.errors import FormatError, IntegrityError
from dynastash.frozen import replace
from dynastash.models import MAX_VALUE, AttributeValue, DataKey, Head, Item, Plaintext, State, WrappedKey

_AAD: Final = b"dynastash/v1/aad\x00"
_ITEM: Final = b"dynastash/v1/item\x00"
_HEAD: Final = b"dynastash/v1/head\x00"
_OUTSIDE_MAC: Final = frozenset(("mac", "wrapped_key", "key_id", "rewrapped_at"))
_OUTSIDE_SEAL: Final = frozenset(("seal",))


def prepare() -> None:
    """Import what opening a record takes, which lasts about as long as a store's answer."""
    aead.prepare()


def seal_version(
    environment: str, metadata: VersionMetadata, value: Plaintext, data_key: DataKey, wrapped: WrappedKey
) -> tuple[dict[str, AttributeValue], DerivedKeys]:
    """Encrypt and authenticate one version.

    The caller has checked the value against :data:`~dynastash.models.MAX_VALUE` and got ``data_key`` for this version
    alone. Returns the item to store, and the keys with which the head that makes it current is sealed. Raises
    :class:`FormatError` for metadata outside the format's limits: no record leaves here that could not be read again.
    """
    if len(value.expose()) > MAX_VALUE:
        raise FormatError("the value exceeds the record format's limit")
    identity = os.urandom(MAX_ID_BYTES)
    salt = os.urandom(SALT)
    nonce = os.urandom(aead.NONCE)
    keys = derive(data_key, salt)
    item = encode_version(
        replace(metadata, key_id=wrapped.key_id),
        id=identity,
        salt=salt,
        nonce=nonce,
        ciphertext=aead.encrypt(
            keys.encryption,
            nonce,
            padding.pad(value.expose()),
            _associated(environment, metadata.name, metadata.number, identity),
        ),
        wrapped_key=wrapped.blob,
    )
    item["mac"] = blob(_mac(keys, environment, item))
    decode_version(item)
    return item, keys


def open_version(
    environment: str, name: str, number: int, item: Item, data_key: DataKey
) -> tuple[VersionRecord, Plaintext, DerivedKeys]:
    """Authenticate and decrypt version ``number`` of ``name``, which is what the caller asked the store for.

    Raises :class:`FormatError` or :class:`UnsupportedFormatError` for a malformed record and :class:`IntegrityError`
    for one that was altered, moved or relabelled.
    """
    record = check_identity(decode_version(item), name, number)
    value, keys = open_record(environment, record, data_key)
    return record, value, keys


def open_record(environment: str, record: VersionRecord, data_key: DataKey) -> tuple[Plaintext, DerivedKeys]:
    """Authenticate and decrypt a record that is decoded and known to be the one asked for."""
    keys = authenticate(environment, record, data_key)
    associated = _associated(environment, record.name, record.number, record.id)
    return Plaintext(padding.unpad(aead.decrypt(keys.encryption, record.nonce, record.ciphertext, associated))), keys


def check_identity(record: VersionRecord, name: str, number: int) -> VersionRecord:
    """Return ``record`` if it is the one asked for."""
    if (record.name, record.number) != (name, number):
        raise IntegrityError("the store answered with another record")
    return record


def authenticate(environment: str, record: VersionRecord, data_key: DataKey) -> DerivedKeys:
    """Check the MAC of a whole record and return its keys, or raise :class:`IntegrityError`. Decrypts nothing."""
    keys = derive(data_key, record.salt)
    if not hmac.compare_digest(_mac(keys, environment, record.item), record.mac):
        raise IntegrityError("the record fails authentication")
    return keys


def seal_head(environment: str, head: Head, keys: DerivedKeys) -> dict[str, AttributeValue]:
    """The item of ``head``, sealed under the keys of its current version (pending, where there is no current).

    Raises :class:`FormatError` for a head outside the format's limits, and for a destroyed one, which has no seal.
    """
    item = encode_head(replace(head, seal=None))
    item["seal"] = blob(hmac.digest(keys.head, transcript(_HEAD, environment, item), "sha512"))
    decode_head(item)
    return item


def check_seal(environment: str, head: Head, item: Item, keys: DerivedKeys) -> None:
    """Check a head's seal with the keys of its sealing version, or raise :class:`IntegrityError`.

    ``head`` is ``item`` decoded. A destroyed head has no version left to be sealed under and is not accepted here.
    """
    expected = hmac.digest(keys.head, transcript(_HEAD, environment, item, without=_OUTSIDE_SEAL), "sha512")
    if head.state is State.DESTROYED or head.seal is None or not hmac.compare_digest(expected, head.seal):
        raise IntegrityError("the seal fails authentication")


def _mac(keys: DerivedKeys, environment: str, item: Mapping[str, AttributeValue]) -> bytes:
    return hmac.digest(keys.mac, transcript(_ITEM, environment, item, without=_OUTSIDE_MAC), "sha512")


def _associated(environment: str, name: str, number: int, identity: bytes) -> bytes:
    return (
        _AAD
        + SUITE
        + length_prefixed(utf8(environment))
        + length_prefixed(utf8(name))
        + number.to_bytes(8, "big")
        + length_prefixed(identity)
    )
