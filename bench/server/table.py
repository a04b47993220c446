"""Tables in memory: partitions in DynamoDB's order, rows with their size and their bytes on the wire."""

from __future__ import annotations

import base64
import hashlib
import json
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from bench.server.expressions import comparable
from bench.server.refusals import invalid

Item = Mapping[str, Any]
_KEY_TYPES: Final = ("S", "N", "B")


class Row:
    """One item as it is stored."""

    def __init__(self, item: Item) -> None:
        self.item = item

    @cached_property
    def size(self) -> int:
        """Bytes as DynamoDB counts them."""
        return sum(len(name.encode()) + size_of(value) for name, value in self.item.items())

    @cached_property
    def wire(self) -> str:
        """The item in the JSON protocol."""
        return json.dumps(self.item, separators=(",", ":"))


class Keyed:
    """Rows under a hash and a range key: a table, or one of its indexes."""

    def __init__(self, hash_key: str, range_key: str) -> None:
        self.hash_key = hash_key
        self.range_key = range_key
        self._partitions: dict[Any, dict[Any, Row]] = {}
        self._sorted: dict[Any, list[Any]] = {}
        self._order: list[Any] | None = None

    def key_of(self, item: Item) -> tuple[Any, Any]:
        """Where ``item`` stands. Raises :class:`Refused` for one without a key."""
        try:
            return comparable(item[self.hash_key]), comparable(item[self.range_key])
        except KeyError:
            raise invalid("One of the required keys was not given a value") from None

    def attributes_of(self, item: Item) -> dict[str, Any]:
        """The key of ``item`` as a request gives it."""
        return {name: item[name] for name in (self.hash_key, self.range_key)}

    def get(self, key: tuple[Any, Any]) -> Row | None:
        """The row at ``key``."""
        return self._partitions.get(key[0], {}).get(key[1])

    def put(self, row: Row) -> None:
        """Store ``row`` instead of what stands at its key."""
        own, other = self.key_of(row.item)
        partition = self._partitions.get(own)
        if partition is None:
            partition = self._partitions[own] = {}
            self._sorted[own] = []
            self._order = None
        if other not in partition:
            insort(self._sorted[own], other)
        partition[other] = row

    def delete(self, key: tuple[Any, Any]) -> None:
        """Take the row at ``key`` away, if there is one."""
        own, other = key
        if self._partitions.get(own, {}).pop(other, None) is None:
            return
        self._sorted[own].remove(other)
        if not self._partitions[own]:
            del self._partitions[own], self._sorted[own]
            self._order = None

    def partition(self, own: Any, *, forward: bool, after: Any = None) -> Iterator[Row]:
        """The rows of one partition in the order of the range key, from behind ``after`` on."""
        keys = self._sorted.get(own, [])
        rows = self._partitions.get(own, {})
        if after is not None:
            at = bisect_left(keys, after)
            keys = keys[at + (keys[at : at + 1] == [after]) :] if forward else keys[:at]
        for other in keys if forward else reversed(keys):
            yield rows[other]

    def scan(self, *, after: tuple[Any, Any] | None, segment: int = 0, segments: int = 1) -> Iterator[Row]:
        """Every row, partition by partition in the order of a hash, as DynamoDB does it."""
        if self._order is None:
            self._order = sorted(self._partitions, key=_hashed)
        start = bisect_left(self._order, _hashed(after[0]), key=_hashed) if after is not None else 0
        for own in self._order[start:]:
            if segments > 1 and _hashed(own)[0] * segments // 256 != segment:
                continue
            begun = after is not None and own == after[0]
            yield from self.partition(own, forward=True, after=after[1] if after is not None and begun else None)


class Table(Keyed):
    """A table and at most one sparse index of whole items."""

    def __init__(self, hash_key: str, range_key: str, index: tuple[str, str, str] | None = None) -> None:
        super().__init__(hash_key, range_key)
        self.index_name = index[0] if index else ""
        self.index = Keyed(*index[1:]) if index else None

    def indexed(self, item: Item | None) -> bool:
        """Whether ``item`` stands in the index too."""
        return (
            self.index is not None and item is not None and {self.index.hash_key, self.index.range_key} <= item.keys()
        )

    def put(self, row: Row) -> None:
        before = self.get(self.key_of(row.item))
        self._forget(before)
        super().put(row)
        if self.index is not None and self.indexed(row.item):
            self.index.put(row)

    def delete(self, key: tuple[Any, Any]) -> None:
        self._forget(self.get(key))
        super().delete(key)

    def _forget(self, row: Row | None) -> None:
        if self.index is not None and row is not None and self.indexed(row.item):
            self.index.delete(self.index.key_of(row.item))


def size_of(value: Mapping[str, Any]) -> int:
    """The bytes of one attribute's value as DynamoDB counts them."""
    kind, content = next(iter(value.items()))
    if kind == "S":
        return len(content.encode("utf-8", "surrogatepass"))
    if kind == "N":
        return len(str(content)) // 2 + 1
    if kind == "B":
        return len(base64.b64decode(content))
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size_of(member) for name, member in content.items())
    if kind == "L":
        return 3 + sum(1 + size_of(member) for member in content)
    if kind in ("SS", "NS", "BS"):
        return sum(size_of({kind[0]: member}) for member in content)
    return 1


def _hashed(own: Any) -> bytes:
    return hashlib.md5(own if isinstance(own, bytes) else str(own).encode(), usedforsecurity=False).digest()
