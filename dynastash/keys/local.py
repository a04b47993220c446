"""The embedded key provider: a 32-byte key-encryption key that stands in a file, in the environment or in a keyring.

A wrapped key is ``01 | 12-byte nonce | ciphertext | tag``, AES-256-GCM with the encryption context as associated
data (docs/format-v1.md, section 2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dynastash.crypto import aead
from dynastash.crypto.transcript import length_prefixed, utf8
from dynastash.errors import (
    ConfigError,
    ContextMismatchError,
    DynastashError,
    IntegrityError,
    KeyAccessDeniedError,
    KeyProviderError,
    KeyUnavailableError,
    UntrustedKeyError,
)
from dynastash.files import check_private, create_once, one_at_a_time, prepare_directory
from dynastash.keys.base import KeyProvider
from dynastash.models import Context, DataKey, WrappedKey

_AAD: Final = b"dynastash/v1/local\x00"
_FORMAT: Final = b"\x01"
_SERVICE: Final = "dynastash"
_WRAPPED: Final = len(_FORMAT) + aead.NONCE + 32 + aead.TAG


class LocalKeys(KeyProvider):
    """Wraps data keys under a key-encryption key held in this process.

    ``key`` is that key, or a function that loads it when it is first needed, which a listing never does. Called by two
    threads at once, it must give both the same key.
    """

    concurrency = 1

    def __init__(self, key: DataKey | Callable[[], DataKey], *, description: str = "a local key") -> None:
        self._source = key
        self._loaded: tuple[DataKey, str] | None = None
        self._description = description

    @property
    def description(self) -> str:
        return self._description

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._description!r})"

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        data_key = DataKey(os.urandom(32))
        return data_key, self._wrap(data_key, context)

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        key, _ = self._key()
        blob = wrapped.blob
        if len(blob) != _WRAPPED or blob[:1] != _FORMAT:
            raise self._refusal(wrapped, context)
        nonce, ciphertext = blob[1 : 1 + aead.NONCE], blob[1 + aead.NONCE :]
        try:
            return DataKey(aead.decrypt(key.expose(), nonce, ciphertext, _associated(context)))
        except IntegrityError:
            raise self._refusal(wrapped, context) from None

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        return self._wrap(self.unwrap(wrapped, context), context)

    def _wrap(self, data_key: DataKey, context: Context) -> WrappedKey:
        nonce = os.urandom(aead.NONCE)
        key, key_id = self._key()
        ciphertext = aead.encrypt(key.expose(), nonce, data_key.expose(), _associated(context))
        return WrappedKey(_FORMAT + nonce + ciphertext, key_id)

    def _key(self) -> tuple[DataKey, str]:
        """The key-encryption key and its id: a digest that tells nothing of the key, but one key from another."""
        loaded = self._loaded
        if loaded is None:  # without a lock: a process forked while another thread held it would wait forever
            key = self._source if isinstance(self._source, DataKey) else self._source()
            digest = hashlib.sha256(_AAD + b"id\x00" + key.expose()).hexdigest()
            self._loaded = loaded = key, f"local:{digest[:16]}"
        return loaded

    def _refusal(self, wrapped: WrappedKey, context: Context) -> ContextMismatchError | UntrustedKeyError:
        # key_id is anybody's word: it chooses between two refusals and nothing else.
        record = f"version {context.version} of {context.name}"
        if wrapped.key_id != self._key()[1]:
            return UntrustedKeyError(
                f"{record} is not wrapped under {self._description}",
                hint="restore the key-encryption key that belongs to this store",
            )
        return ContextMismatchError(
            f"the wrapped key of {record} was altered or belongs to another record",
            hint="treat the store as tampered with and restore it from a backup",
        )


def _associated(context: Context) -> bytes:
    encoded = sorted((utf8(key), utf8(text)) for key, text in context.pairs().items())
    return (
        _AAD
        + len(encoded).to_bytes(4, "big")
        + b"".join(length_prefixed(key) + length_prefixed(text) for key, text in encoded)
    )


def key_from_text(text: str, source: str) -> DataKey:
    """The key-encryption key that ``text`` spells in base64; ``source`` says where it came from, for the error."""
    try:
        return DataKey(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError):
        raise ConfigError(
            f"{source} does not hold a key-encryption key",
            hint="it is 32 bytes in base64; a store opens with its own key alone: restore that from a backup",
        ) from None


def key_from_keyring(account: str, *, create: Callable[[], bool], directory: Path) -> DataKey:
    """The key-encryption key in the operating system's keyring, made there on first use if ``create`` says so.

    Of several processes that find none, one makes it, while the others wait: ``directory`` is where they meet.
    """
    try:
        import keyring
    except ImportError:
        raise ConfigError(
            "the keyring package is not installed", hint="install it with `pip install 'dynastash[keyring]'`"
        ) from None

    def stored() -> str | None:
        text: str | None = keyring.get_password(_SERVICE, account)
        return text

    source = f"the keyring entry {_SERVICE} / {account}"
    try:
        text = stored()
        if text is None:
            if not create():
                raise _missing(source)
            prepare_directory(directory)
            with one_at_a_time(directory):
                text = stored()
                if text is None:
                    keyring.set_password(_SERVICE, account, _new_key())
                    text = stored()
    except DynastashError:
        raise
    except Exception as error:
        failed = type(error).__name__
    else:
        if text is None:
            raise KeyUnavailableError(
                "the operating system's keyring did not keep the key", hint="use a key file instead"
            )
        return key_from_text(text, source)
    # Out here: a backend's own exception could quote the key, and would be the context of an error raised in there.
    raise KeyUnavailableError(
        f"the operating system's keyring cannot be used: {failed}",
        hint='unlock it, or keep the key in a file by removing key = "keyring" from dynastash.toml',
    )


def key_from_file(path: Path, *, create: Callable[[], bool]) -> DataKey:
    """The key-encryption key in ``path`` (mode 0600), made there on first use if ``create`` says so.

    Of several processes that find no file, one creates it and all read the same key: the file appears under its name
    only when it is complete and on the disk.
    """
    try:
        if not path.exists() and create():
            _create(path)
        check_private(path, "the key-encryption key")
        text = path.read_bytes()[:1024].decode("ascii", "replace")
    except FileNotFoundError:
        raise _missing(str(path)) from None
    except OSError as error:
        raise _inaccessible(path, "read", error) from error
    return key_from_text(text, str(path))


def _create(path: Path) -> None:
    try:
        prepare_directory(path.parent)
        create_once(path, _write_key)
    except OSError as error:
        raise _inaccessible(path, "created", error) from error


def _inaccessible(path: Path, what: str, error: OSError) -> KeyProviderError:
    kind = KeyAccessDeniedError if isinstance(error, PermissionError) else KeyUnavailableError
    return kind(
        f"the key-encryption key {path} cannot be {what}: {error.strerror}",
        hint="check the owner and the modes of the file and of its directory",
    )


def _write_key(path: Path) -> None:
    path.write_text(_new_key() + "\n", encoding="ascii")


def _new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode("ascii")


def _missing(source: str) -> KeyUnavailableError:
    return KeyUnavailableError(
        f"the key-encryption key is missing: {source}",
        hint="the store was written with it and cannot be opened without it: restore it from a backup",
    )
