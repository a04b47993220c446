"""Many data keys, unwrapped several at once, for records that are read one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

from dynastash.crypto.records import VersionRecord
from dynastash.errors import KeyProviderError
from dynastash.keys.base import KeyProvider, KeyRequest
from dynastash.models import Context, DataKey, WrappedKey

_T = TypeVar("_T")


def key_request(environment: str, record: VersionRecord) -> KeyRequest:
    """What the key provider has to be asked to open ``record``."""
    return (
        WrappedKey(record.wrapped_key, record.metadata.key_id or ""),
        Context(environment, record.name, record.number, record.metadata.context),
    )


def with_keys(
    keys: KeyProvider, stream: Iterable[tuple[_T, KeyRequest | None]]
) -> Iterator[tuple[_T, DataKey | KeyProviderError | None]]:
    """Each thing of ``stream`` with its data key, or with why it cannot be had; None where none was asked for.

    In order. ``stream`` is drawn ahead of what is yielded, as far as keeps the key provider busy.
    """
    waiting: deque[_T] = deque()

    def requests() -> Iterator[KeyRequest | None]:
        for thing, request in stream:
            waiting.append(thing)
            yield request

    for key in keys.unwrap_many(requests()):
        yield waiting.popleft(), key
