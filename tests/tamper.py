"""The tamper matrix: every way to change an attribute of a version's record or of a head, and who notices.

``python -m tests.tamper`` prints it. Each change is made to the one item that the store then answers with, and the
secret is read by a client that has seen nothing before. *Accepted* means that the read succeeded; the value that it
gave is compared in any case.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynastash.crypto.transcript import transcript
from dynastash.errors import DynastashError, FormatError
from dynastash.generate import RandomBytes
from dynastash.keys.local import LocalKeys
from dynastash.models import DataKey, Item, from_ms
from dynastash.stash.api import Stash
from dynastash.stores.base import Change, HeadMark, RecordKey
from dynastash.testing.fakes import FakeClock

NAME = "app/db"
HEAD = "~head"
KEY = DataKey(bytes(range(32)))
EXEMPT = frozenset(("key_id", "rewrapped_at"))
"""Attributes of a version that no MAC covers, because a rewrap changes them and nothing is decided by them.

``wrapped_key`` is outside the MAC too; the key provider authenticates it.
"""


class MemoryStore:
    """Items in a dictionary, for one client."""

    description = "memory"
    transaction_size = 100

    def __init__(self, items: Mapping[RecordKey, Item] | None = None) -> None:
        self.items = dict(items or {})

    def newest(self, name: str) -> Sequence[Item]:
        return [self.items[key] for key in sorted(self.items, reverse=True) if key.name == name][:2]

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        return {key: self.items[key] for key in wanted if key in self.items}

    def heads(self, prefix: str = "") -> Iterator[Item]:
        return iter([self.items[key] for key in sorted(self.items) if key.record == HEAD])

    def history(self, name: str) -> Iterator[Item]:
        return iter([self.items[key] for key in sorted(self.items) if key.name == name and key.record != HEAD])

    def scan(self) -> Iterator[Item]:
        return iter([self.items[key] for key in sorted(self.items)])

    def commit(self, change: Change) -> None:
        name = str(change.head["name"]["S"])
        stored = self.items.get(RecordKey(name, HEAD))
        mark = HeadMark(int(stored["last"]["N"]), int(stored["revision"]["N"])) if stored else None
        assert mark == change.expected
        for item in (change.head, *change.create, *change.tombstones):
            self.items[RecordKey(name, str(item["record"]["S"]))] = item
        for key in change.delete:
            del self.items[key]

    def replace_key(self, item: Item, wrapped: Any, at: int) -> None:
        key = RecordKey(str(item["name"]["S"]), str(item["record"]["S"]))
        parts = {"wrapped_key": {"B": wrapped.blob}, "key_id": {"S": wrapped.key_id}, "rewrapped_at": {"N": str(at)}}
        self.items[key] = {**item, **parts}


def client(store: MemoryStore, environment: str = "prod", clock: FakeClock | None = None) -> Stash:
    """A client that has seen nothing."""
    author = "arn:aws:iam::111122223333:user/a"
    return Stash(environment, store, LocalKeys(KEY), identity=lambda: author, clock=clock or FakeClock())


def filled(environment: str, names: Sequence[str]) -> MemoryStore:
    """Secrets with every attribute that a record and a head can have, all under one key-encryption key."""
    store, clock = MemoryStore(), FakeClock()
    clock.advance(len(environment))  # the same times on every run, and other ones in another environment
    stash = client(store, environment, clock)
    for name in names:
        for number in range(1, 6):
            clock.advance(1)
            stash.put(
                name,
                f"{environment} {name} {number}",
                comment=f"comment {number}",
                content_type="text/plain",
                expires_at=from_ms(clock.now() + 10**9 * number),
                tags={"team": f"{name}-{environment}"},
                context={"team": "a"},
            )
        stash.rotate(name, policy=RandomBytes(16), expires_at=from_ms(clock.now() + 10**9))
        stash.rollback(name, 3)
        stash.put(name, f"{environment} {name} 8", comment="8", content_type="text/plain", context={"team": "a"})
        stash.destroy(name, [1])
        stash.delete(name, 2)
        list(stash.rewrap(name))
        clock.advance(1)
    return store


@dataclass
class Row:
    """One attribute: what was tried, and what was accepted, by kind of change."""

    tried: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Target:
    """A record to change, and how it is read: version ``version`` of ``NAME``, or the current one."""

    title: str
    record: str
    version: int | None


TARGETS = (
    Target("version, current", "v#0000000008", None),
    Target("version, older", "v#0000000004", 4),
    Target("head", HEAD, None),
)
KINDS = ("bit", "truncated", "extended", "emptied", "deleted", "retyped", "added", "swapped")
_ADDED = {
    "S": "x",
    "N": "1",
    "B": b"x",
    "BOOL": True,
    "NULL": True,
    "SS": ["x"],
    "NS": ["1"],
    "M": {},
    "L": [],
}


def matrix() -> dict[str, dict[str, Row]]:
    """Target → attribute → what happened."""
    original = filled("prod", (NAME, "app/other"))
    foreign = filled("dev", (NAME,))
    table: dict[str, dict[str, Row]] = {}
    for target in TARGETS:
        rows = table[target.title] = {}
        key = RecordKey(NAME, target.record)
        item = original.items[key]
        good = client(original).get(NAME, version=target.version).value
        version = int(target.record[2:]) if target.record != HEAD else 0
        others = (
            *((original.items[RecordKey(NAME, record)]) for record in _siblings(target)),
            original.items[RecordKey("app/other", target.record)],
            foreign.items[key],
        )
        assert version == 0 or others
        for attribute, kind, changed in changes(item, others):
            if _same(changed, item):
                continue
            row = rows.setdefault(attribute, Row())
            row.tried[kind] += 1
            store = MemoryStore({**original.items, key: changed})
            try:
                found = client(store).get(NAME, version=target.version).value
            except DynastashError:
                continue
            assert found == good, f"{kind} of {attribute} gave another value"
            row.accepted[kind] += 1
    return table


def _siblings(target: Target) -> Sequence[str]:
    return [] if target.record == HEAD else ["v#0000000003", "v#0000000006", "v#0000000007"]


def _same(one: Item, other: Item) -> bool:
    try:
        return transcript(b"", "", one) == transcript(b"", "", other)
    except FormatError:
        return False


def changes(item: Item, others: Sequence[Item]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every change: the attribute that it concerns, its kind, and the item that comes of it."""
    for attribute, value in item.items():
        for kind, made in _changes_of(value):
            yield attribute, kind, {**item, attribute: made}
        yield attribute, "deleted", {name: content for name, content in item.items() if name != attribute}
        for other in others:
            if attribute in other:
                yield attribute, "swapped", {**item, attribute: other[attribute]}
    for other in others:
        yield "(the whole record)", "swapped", dict(other)
        moved = {**other, "name": item["name"], "record": item["record"]}
        yield "(the whole record)", "swapped", moved
        if "version" in item:
            yield "(the whole record)", "swapped", {**moved, "version": item["version"]}
    absent = {"ttl", "rewrapped_at", "expires_at", "comment", "content_type", "destroyed_at", "destroyed_by", "pending"}
    absent |= {"deleted_at", "purge_at", "namespace", "tags", "seal", "mac", "x", "", "Name", "ciphertext"}
    for name in sorted(absent - item.keys()):
        for kind, content in _ADDED.items():
            yield name if name in EXEMPT else "(another attribute)", "added", {**item, name: {kind: content}}


def _changes_of(value: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    ((kind, content),) = value.items()
    for change, made in _edits(content):
        yield change, {kind: made}
    for other, sample in _ADDED.items():
        if other != kind:
            yield "retyped", {other: _as(other, content, sample)}
    yield "retyped", {**value, "NULL": True}
    yield "retyped", {}


def _as(kind: str, content: Any, sample: Any) -> Any:
    """``content`` as another type, where that says anything."""
    if kind == "B":
        return content.encode("utf-8") if isinstance(content, str) else sample
    if kind in ("S", "N"):
        return (
            content.decode("latin-1") if isinstance(content, bytes) else content if isinstance(content, str) else sample
        )
    if kind in ("SS", "NS"):
        return [content] if isinstance(content, str) else sample
    return sample


def _edits(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, str):
        for change, made in _edits(content.encode("utf-8")):
            yield change, made.decode("utf-8", "surrogateescape")
    elif isinstance(content, bytes):
        for place in range(len(content)):
            for bit in range(8):
                yield "bit", content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
        for made in (content[1:], content[:-1], content[: len(content) // 2]):
            yield "truncated", made
        for extra in (b"\x00", b" ", b"0", b"1"):
            yield "extended", content + extra
            yield "extended", extra + content
        yield "extended", content + content
        yield "emptied", b""
    elif isinstance(content, list):
        for place, member in enumerate(content):
            for change, made in _edits(member):
                yield change, [*content[:place], made, *content[place + 1 :]]
        yield "truncated", content[1:]
        yield "extended", [*content, "4" if content and content[0].isdigit() else "x"]
        yield "extended", [*content, *content]
        yield "emptied", []
    elif isinstance(content, dict):
        for name, member in content.items():
            rest = {other: value for other, value in content.items() if other != name}
            for change, made in _changes_of(member):
                yield change, {**content, name: made}
            for change, made in _edits(name):
                yield change, {**rest, made: member}
            yield "truncated", rest
        yield "extended", {**content, "more": {"S": "x"}}
        yield "emptied", {}


def totals(rows: Mapping[str, Row]) -> tuple[int, int]:
    """Changes tried, and accepted."""
    return sum(row.tried.total() for row in rows.values()), sum(row.accepted.total() for row in rows.values())


def lines(table: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    """The matrix as a table in Markdown."""
    yield f"| record | attribute | {' | '.join(KINDS)} | tried | accepted |"
    yield f"|---|---|{'---|' * (len(KINDS) + 2)}"
    for title, rows in table.items():
        for attribute, row in sorted(rows.items()):
            counts = " | ".join(str(row.tried[kind] or "") for kind in KINDS)
            yield f"| {title} | `{attribute}` | {counts} | {row.tried.total()} | {row.accepted.total()} |"
        tried, accepted = totals(rows)
        yield f"| {title} | **all** | {' | ' * (len(KINDS) - 1)} | **{tried}** | **{accepted}** |"


def main() -> int:
    """Print it; 1 where something was accepted that should not be."""
    table = matrix()
    print("\n".join(lines(table)))
    wrong = [a for rows in table.values() for a, row in rows.items() if row.accepted and a not in EXEMPT]
    tried, accepted = (sum(column) for column in zip(*map(totals, table.values()), strict=True))
    print(
        f"\n{tried} changes tried, {accepted} accepted, "
        + (f"some in {wrong}" if wrong else "all in exempt attributes")
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
