"""A credstash table as a place that secrets are taken from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dynastash.credstash.contexts import Contexts, with_advice
from dynastash.credstash.items import Opened, label_of
from dynastash.credstash.keys import TableKeys
from dynastash.credstash.opening import Opener
from dynastash.credstash.table import Table
from dynastash.credstash.versions import number_of, order
from dynastash.errors import DynastashError
from dynastash.models import Item
from dynastash.places import History, Revision

if TYPE_CHECKING:
    from dynastash.places import Source

MEMORY: Final = 64 << 20
"""Bytes of sealed items that are kept while the table is read; what exceeds them is asked for again, name by name."""


class CredstashSource:
    """Every secret of ``table`` with all its versions, or the one that credstash serves where not ``whole``.

    ::

        transport = open_transport(settings)
        keys = TableKeys(transport, trusted=("alias/credstash",))
        source = CredstashSource(Table(transport, "credential-store"), keys, Contexts({"env": "prod"}))

    Revisions go in the order of their numbers. credstash compares versions as text, and serves the one that sorts last;
    where that is not the one with the highest number, ``served`` says which it is, and where some are no numbers, their
    order is credstash's. What does not open, what is no item of credstash's and, with ``require_binding``, what
    dynastash has not bound, is a revision with a problem.
    """

    def __init__(
        self,
        table: Table,
        keys: TableKeys,
        contexts: Contexts | None = None,
        *,
        whole: bool = True,
        require_binding: bool = False,
        memory: int = MEMORY,
    ) -> None:
        self._table = table
        self._contexts = contexts or Contexts()
        self._opener = Opener(keys, self._contexts, require_binding=require_binding)
        self._whole = whole
        self._memory = memory

    @property
    def description(self) -> str:
        """The table and its Region."""
        return self._table.description

    def read(self) -> Iterator[History]:
        """Each secret, in the order of the names' bytes: one Scan, and a Decrypt for each version."""
        begun: deque[tuple[str, list[Item]]] = deque()

        def items() -> Iterator[Item]:
            for name, versions in self._secrets():
                begun.append((name, versions if self._whole else versions[-1:]))
                yield from begun[-1][1]

        revisions: list[Revision] = []
        for result in self._opener.open_many(items()):
            name, versions = begun[0]
            revisions.append(self._revision(versions[len(revisions)], result))
            if len(revisions) == len(versions):
                begun.popleft()
                yield _history(name, revisions)
                revisions = []

    def _revision(self, item: Item, result: Opened | DynastashError) -> Revision:
        label = label_of(item)
        if isinstance(result, DynastashError):
            problem = with_advice(result, label.name)
            return Revision(label.version, None, problem, comment=label.comment)
        context = self._contexts.for_item(label)
        return Revision(
            label.version, result.value, comment=label.comment, created_at=result.created_at, context=context
        )

    def _secrets(self) -> Iterator[tuple[str, list[Item]]]:
        """Each name with its items in the order of their versions."""
        held: dict[str, list[Item]] = {}
        again: set[str] = set()
        size = 0
        for item in self._table.scan():
            name = label_of(item).name
            if name in again:
                continue
            size += _weight(item)
            if size > self._memory:
                again.add(name)
                size -= _weight(item) + sum(map(_weight, held.pop(name, ())))
            else:
                held.setdefault(name, []).append(item)
        for name in sorted({*held, *again}, key=order):
            items = held.pop(name) if name in held else list(self._table.versions(name, whole=True))
            if items:  # it may have been deleted meanwhile
                yield name, sorted(items, key=lambda item: order(label_of(item).version))


def _weight(item: Item) -> int:
    return sum(len(str(content)) for value in item.values() for content in value.values())


def _history(name: str, revisions: Sequence[Revision]) -> History:
    """``revisions``, which are in credstash's order, in that of their numbers."""
    numbers = [number_of(revision.label) for revision in revisions]
    words = [revision.label for revision, number in zip(revisions, numbers, strict=True) if number is None]
    served = revisions[-1].label
    notes = []
    if words:
        notes.append(f"these versions are no numbers: {', '.join(map(repr, words))}")
    if len(set(numbers) - {None}) + len(words) < len(numbers):
        notes.append("a version number is there twice, with and without zeros before it")
    if numbers[-1] is not None:  # else a word is served, and its place among numbers is what credstash gives it
        revisions = sorted(revisions, key=_by_number)
    last = revisions[-1].label
    return History(name, tuple(revisions), notes=tuple(notes), served=None if last == served else served)


def _by_number(revision: Revision) -> tuple[int, bytes]:
    number = number_of(revision.label)
    return -1 if number is None else number, order(revision.label)


if TYPE_CHECKING:

    def _conforms(source: CredstashSource) -> Source:
        return source
