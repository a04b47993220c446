"""The 64-byte data keys of a table's items, from KMS.

credstash lets any key of any account open: whoever can write its table may put there what they wrapped themselves. Here
each call names a key that is trusted, unless the caller says that any is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from dynastash.aws.base import CallError, Operation, Transport
from dynastash.aws.pipeline import Call, Work, carry_out, carry_out_many
from dynastash.aws.retry import patiently
from dynastash.aws.window import Window
from dynastash.clock import Clock, SystemClock
from dynastash.credstash.contexts import Pairs
from dynastash.credstash.failures import key_error
from dynastash.credstash.format import KEY_BYTES, ItemKeys, split
from dynastash.credstash.items import Label
from dynastash.errors import DynastashError, KeyProviderError, UntrustedKeyError
from dynastash.models import WrappedKey

DEFAULT_KEY: Final = "alias/credstash"
ANY_KEY: Final[Sequence[str]] = ()
"""For ``trusted``: whatever key an item names, as credstash has it."""

_INCORRECT_KEY: Final = "IncorrectKeyException"
_T = TypeVar("_T")


class TableKeys:
    """New data keys under ``key``; those of items open under the keys ``trusted``, or under any if these are empty.

    ``transport`` leads to KMS in the keys' Region, which need not be the table's.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        key: str = DEFAULT_KEY,
        trusted: Sequence[str] = (DEFAULT_KEY,),
        clock: Clock | None = None,
        concurrency: int = 32,
    ) -> None:
        self._transport = transport
        self._key = key
        self._trusted = tuple(dict.fromkeys(trusted))
        self._clock = clock or SystemClock()
        self._window = Window(concurrency)

    def generate(self, label: Label, context: Pairs) -> tuple[ItemKeys, WrappedKey]:
        """A new data key for one item: GenerateDataKey of 64 bytes."""
        request = {"KeyId": self._key, "NumberOfBytes": KEY_BYTES, "EncryptionContext": dict(context)}
        try:
            reply = patiently(self._transport, Operation.GENERATE_DATA_KEY, request, self._clock, self._window)
        except CallError as error:
            raise key_error(error, self._described(self._key), _item(label)) from error
        blob = reply.get("CiphertextBlob")
        if not isinstance(blob, bytes) or not blob:
            raise KeyProviderError("KMS answered without a wrapped key")
        return _keys(reply), WrappedKey(blob, str(reply.get("KeyId", "")))

    def unwrapping(self, label: Label, wrapped: WrappedKey, context: Pairs) -> Work[ItemKeys]:
        """The data key in ``wrapped``: Decrypt, naming each trusted key in turn."""
        request: dict[str, Any] = {"CiphertextBlob": wrapped.blob, "EncryptionContext": dict(context)}
        for key in self._trusted or (None,):
            try:
                reply = yield Call(Operation.DECRYPT, request if key is None else {**request, "KeyId": key})
            except CallError as error:
                if key is None or error.code != _INCORRECT_KEY:
                    raise key_error(error, self._described(key), _item(label)) from error
            else:
                return _keys(reply)
        raise UntrustedKeyError(
            f"the key of {_item(label)} is wrapped under another than {', '.join(self._trusted)}",
            hint="if that is one of yours, name it as a trusted key too; a stranger's opens what the stranger wrote",
            code=_INCORRECT_KEY,
        )

    def carry_out(self, work: Work[_T]) -> _T:
        """The result of work that takes calls to KMS."""
        return carry_out(work, self._transport, self._clock, self._window)

    def carry_out_many(self, works: Iterable[Work[_T] | None]) -> Iterator[_T | DynastashError | None]:
        """The results of many pieces of such work, in order; an error of one of them stands in its place."""
        return carry_out_many(works, self._transport, self._clock, self._window)

    def _described(self, key: str | None) -> str:
        return f"KMS key {key} in {self._transport.region}" if key else f"its KMS key in {self._transport.region}"


def _keys(reply: dict[str, Any]) -> ItemKeys:
    plaintext = reply.get("Plaintext")
    if not isinstance(plaintext, bytes) or len(plaintext) != KEY_BYTES:
        raise KeyProviderError(f"KMS answered without a data key of {KEY_BYTES} bytes")
    return split(plaintext)


def _item(label: Label) -> str:
    return f"version {label.version} of {label.name}"
