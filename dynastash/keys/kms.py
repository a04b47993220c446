"""Data keys from AWS KMS (docs/format-v1.md, section 2).

Every call names the key that it trusts. A record's own ``key_id`` decides nothing: whoever can write the table could
otherwise offer data keys wrapped under a key of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dynastash.aws.base import CallError, Operation, Transport
from dynastash.aws.pipeline import Call, Work, carry_out, carry_out_many
from dynastash.aws.retry import patiently
from dynastash.aws.window import Window
from dynastash.clock import Clock, SystemClock
from dynastash.errors import (
    ContextMismatchError,
    DynastashError,
    KeyAccessDeniedError,
    KeyProviderError,
    UntrustedKeyError,
)
from dynastash.keys.base import KeyProvider, KeyRequest
from dynastash.models import Context, DataKey, WrappedKey

_DATA_KEY: Final = 32
_MAX_BLOB: Final = 6144  # what KMS takes
_INCORRECT_KEY: Final = "IncorrectKeyException"
_T = TypeVar("_T")


class KmsKeys:
    """Data keys under ``key``, an alias, a key id or an ARN.

    What is wrapped under one of ``trusted_keys`` opens too, and is re-wrapped under ``key``: for a move between keys.
    """

    def __init__(
        self,
        transport: Transport,
        key: str,
        trusted_keys: Sequence[str] = (),
        *,
        clock: Clock | None = None,
        concurrency: int = 32,
    ) -> None:
        self._transport = transport
        self._key = key
        self._trusted = tuple(dict.fromkeys((key, *trusted_keys)))
        self._clock = clock or SystemClock()
        self._window = Window(concurrency)

    @property
    def description(self) -> str:
        """The key as configured, and its Region."""
        return f"KMS key {self._key} in {self._transport.region}"

    @property
    def concurrency(self) -> int:
        """How many calls are worth having in flight at once: fewer than asked for while KMS throttles."""
        return self._window.allowed

    def prepare(self) -> None:
        """Connect to KMS while the store is still answering."""
        self._transport.prepare("kms")

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        """A new data key: GenerateDataKey."""
        request = {"KeyId": self._key, "KeySpec": "AES_256", "EncryptionContext": context.pairs()}
        try:
            reply = patiently(self._transport, Operation.GENERATE_DATA_KEY, request, self._clock, self._window)
        except CallError as error:
            raise self._error(error, self._key, context) from error
        return _plaintext(reply), _wrapped(reply)

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        """The data key in ``wrapped``: Decrypt, naming each trusted key in turn."""
        return carry_out(self._unwrapping(wrapped, context), self._transport, self._clock, self._window)

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        """The same data key under ``key``: ReEncrypt, naming each trusted key in turn. KMS keeps the plaintext."""
        return carry_out(self._rewrapping(wrapped, context), self._transport, self._clock, self._window)

    def unwrap_many(self, wanted: Iterable[KeyRequest | None]) -> Iterator[DataKey | KeyProviderError | None]:
        """As many Decrypts in flight as KMS bears, ``concurrency`` at most."""
        return self._many_works(None if request is None else self._unwrapping(*request) for request in wanted)

    def rewrap_many(self, wanted: Iterable[KeyRequest | None]) -> Iterator[WrappedKey | KeyProviderError | None]:
        """As many ReEncrypts likewise."""
        return self._many_works(None if request is None else self._rewrapping(*request) for request in wanted)

    def _many_works(self, works: Iterable[Work[_T] | None]) -> Iterator[_T | KeyProviderError | None]:
        for result in carry_out_many(works, self._transport, self._clock, self._window):
            if isinstance(result, DynastashError) and not isinstance(result, KeyProviderError):
                raise result
            yield result

    def _unwrapping(self, wrapped: WrappedKey, context: Context) -> Work[DataKey]:
        request = {"CiphertextBlob": wrapped.blob, "EncryptionContext": context.pairs()}
        return _plaintext((yield from self._with_trusted(Operation.DECRYPT, "KeyId", request, wrapped, context)))

    def _rewrapping(self, wrapped: WrappedKey, context: Context) -> Work[WrappedKey]:
        request = {
            "CiphertextBlob": wrapped.blob,
            "SourceEncryptionContext": context.pairs(),
            "DestinationKeyId": self._key,
            "DestinationEncryptionContext": context.pairs(),
        }
        return _wrapped((yield from self._with_trusted(Operation.RE_ENCRYPT, "SourceKeyId", request, wrapped, context)))

    def _with_trusted(
        self, operation: Operation, member: str, request: dict[str, Any], wrapped: WrappedKey, context: Context
    ) -> Work[dict[str, Any]]:
        if not 1 <= len(wrapped.blob) <= _MAX_BLOB:
            raise ContextMismatchError(f"the wrapped key of {_record(context)} has an impossible length")
        for key in self._trusted:
            try:
                return (yield Call(operation, {**request, member: key}))
            except CallError as error:
                if error.code != _INCORRECT_KEY:
                    raise self._error(error, key, context) from error
        raise UntrustedKeyError(
            f"the data key of {_record(context)} is wrapped under a key that this environment does not trust",
            hint="if the environment has moved from another key, add that one to trusted_keys",
            code=_INCORRECT_KEY,
        )

    def _error(self, error: CallError, key: str, context: Context) -> KeyProviderError:
        return _error(error, f"KMS key {key} in {self._transport.region}", context)


def _plaintext(reply: dict[str, Any]) -> DataKey:
    plaintext = reply.get("Plaintext")
    if not isinstance(plaintext, bytes) or len(plaintext) != _DATA_KEY:
        raise KeyProviderError(f"KMS answered without a data key of {_DATA_KEY} bytes")
    return DataKey(plaintext)


def _wrapped(reply: dict[str, Any]) -> WrappedKey:
    blob, key_id = reply.get("CiphertextBlob"), reply.get("KeyId")
    if not isinstance(blob, bytes) or not 1 <= len(blob) <= _MAX_BLOB or not isinstance(key_id, str) or not key_id:
        raise KeyProviderError("KMS answered without a wrapped key")
    return WrappedKey(blob, key_id)


def _record(context: Context) -> str:
    return f"version {context.version} of {context.name}"


def _error(error: CallError, key: str, context: Context) -> KeyProviderError:
    from dynastash.keys.kms_errors import unavailable, unusable  # seldom needed

    return unavailable(error, key) or _refused(error, key, context) or unusable(error, key)


def _refused(error: CallError, key: str, context: Context) -> KeyProviderError | None:
    """What is wrong with this record, or with this caller for this record."""
    match error.code:
        case "InvalidCiphertextException":
            return ContextMismatchError(
                f"the wrapped key of {_record(context)} was altered, or belongs to another record",
                hint="dynastash history shows the other versions; the table's point-in-time recovery has older states",
                code=error.code,
            )
        case "AccessDenied" | "AccessDeniedException":
            action = {
                Operation.RE_ENCRYPT: "kms:ReEncryptFrom and kms:ReEncryptTo",
            }.get(error.operation, f"kms:{error.operation.action}")
            return KeyAccessDeniedError(
                f"{action} is denied on {key} for {context.name}",
                hint=f"the key's policy and the caller's must allow {action} with the encryption context "
                f"dynastash:env={context.environment} and dynastash:name={context.name}",
                code=error.code,
            )
    return None


if TYPE_CHECKING:

    def _conforms(keys: KmsKeys) -> KeyProvider:
        return keys
