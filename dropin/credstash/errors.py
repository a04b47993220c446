"""The exceptions that programs know from credstash, and how dynastash's errors become them.

All are :class:`~dynastash.errors.DynastashError` with a ``hint``. Where credstash let botocore's ``ClientError`` out,
an error is one of those too, with AWS's code in ``response["Error"]["Code"]``, so that ``except ClientError`` goes on
working.
"""

from __future__ import annotations

from dynastash.errors import (
    ConfigError,
    ConflictError,
    DynastashError,
    EnvelopeError,
    KeyProviderError,
    KeyUnavailableError,
    NotFoundError,
    StoreError,
    UntrustedKeyError,
)


class KmsError(DynastashError):
    """KMS did not open or make a data key. The text begins ``KMS ERROR``."""

    def __init__(self, value: str = "", *, hint: str | None = None) -> None:
        self.value = _marked("KMS ERROR", value)
        super().__init__(self.value, hint=hint)


class IntegrityError(DynastashError):
    """What the table holds is not what was stored. The text begins ``INTEGRITY ERROR``."""

    def __init__(self, value: str = "", *, hint: str | None = None) -> None:
        self.value = _marked("INTEGRITY ERROR", value)
        super().__init__(self.value, hint=hint)


class ItemNotFound(DynastashError):
    """There is no such secret, or not this version of it."""


def not_found(name: str, version: str = "", hint: str | None = None) -> ItemNotFound:
    """The error for what is not there, in credstash's words, which scripts look for."""
    item = {"name": name, "version": version} if version else {"name": name}
    return ItemNotFound(f"Item {item} couldn't be found.", hint=hint)


def told(error: DynastashError) -> DynastashError:
    """``error`` as a program that was written for credstash expects it."""
    if isinstance(error, (KmsError, IntegrityError, ItemNotFound, ConfigError)):
        return error
    if isinstance(error, KeyProviderError):
        return KmsError(str(error), hint=_key_hint(error))
    if isinstance(error, EnvelopeError):
        return IntegrityError(str(error), hint=error.hint)
    if isinstance(error, NotFoundError):
        return ItemNotFound(str(error), hint=error.hint)
    if isinstance(error, (StoreError, ConflictError)):
        from credstash.clienterror import client_error

        return client_error(error)
    return error


def _key_hint(error: KeyProviderError) -> str | None:
    """What to do about the key, in the drop-in's own terms."""
    if isinstance(error, UntrustedKeyError):
        return "if that key is yours too, add it to CREDSTASH_TRUSTED_KEYS: alias/credstash,KEY; * takes any"
    if isinstance(error, KeyUnavailableError) and error.code == "NotFoundException":
        return "check the region; name another key with -k to put, and in CREDSTASH_TRUSTED_KEYS to get"
    return error.hint


def _marked(mark: str, text: str) -> str:
    return f"{mark}: {text}" if text else mark
