"""How many records go into one transaction: by their count, and by their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from dynastash.models import Item

MAX_BYTES: Final = 3 << 20
"""DynamoDB takes 4 MB in a transaction, by a measure of its own; this leaves room for the head."""


def batches(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """``items`` in their order, in lists of at most ``count`` and of at most 3 MiB, or of one that is larger."""
    batch: list[Item] = []
    total = 0
    for item in items:
        size = size_of(item)
        if batch and (len(batch) >= count or total + size > MAX_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def size_of(item: Item) -> int:
    """About as many bytes as DynamoDB counts for ``item``."""
    return _size(item)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(key) + _size(content) for key, content in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return sum(1 + _size(member) for member in value)
    return 1
