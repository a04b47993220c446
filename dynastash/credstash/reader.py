"""A credstash table as a place that secrets are taken from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dynastash.credstash.contexts import Contexts
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
    """Every secret of ``table`` with all its versions, opened with ``keys`` under ``contexts``.

    ::

        transport = open_transport(settings)
        keys = TableKeys(transport, trusted=("alias/credstash",))
        source = CredstashSource(Table(transport, "credential-store"), keys, Contexts({"env": "prod"}))

    Revisions go in credstash's own order, so that the last one is the one that it serves; where that is not the one
    with the highest number, the history's notes say so. What does not open, what is no item of credstash's, and, with
    ``require_binding``, what dynastash has not bound, is a revision with a problem.
    """

    def __init__(
        self,
        table: Table,
        keys: TableKeys,
        contexts: Contexts | None = None,
        *,
        require_binding: bool = False,
        memory: int = MEMORY,
    ) -> None:
        self._table = table
        self._opener = Opener(keys, contexts or Contexts(), require_binding=require_binding)
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
                begun.append((name, versions))
                yield from versions

        revisions: list[Revision] = []
        for result in self._opener.open_many(items()):
            name, versions = begun[0]
            revisions.append(_revision(versions[len(revisions)], result))
            if len(revisions) == len(versions):
                begun.popleft()
                yield History(name, tuple(revisions), notes=tuple(_notes(revisions)))
                revisions = []

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


def _revision(item: Item, result: Opened | DynastashError) -> Revision:
    label = label_of(item)
    if isinstance(result, DynastashError):
        problem = f"{result}; {result.hint}" if result.hint else str(result)
        return Revision(label.version, None, problem, comment=label.comment)
    return Revision(label.version, result.value, comment=label.comment, created_at=result.created_at)


def _notes(revisions: Sequence[Revision]) -> Iterator[str]:
    """What is odd about the versions of a secret."""
    labels = [revision.label for revision in revisions]
    numbers = {label: number for label in labels if (number := number_of(label)) is not None}
    words = [label for label in labels if label not in numbers]
    served = labels[-1]
    if words:
        yield f"these versions are no numbers: {', '.join(map(repr, words))}"
    if numbers and numbers.get(served) != max(numbers.values()):
        highest = max(numbers, key=numbers.__getitem__)
        yield (
            f"credstash serves version {served!r}, which sorts last as text, although {highest!r} has the highest "
            "number: the versions are taken in credstash's order"
        )
    elif [numbers[label] for label in labels if label in numbers] != sorted(numbers.values()):
        yield "the versions are not in the order of their numbers as text, which is the order that they are taken in"
    if len(set(numbers.values())) < len(numbers):
        yield "a version number is there twice, with and without zeros before it"


if TYPE_CHECKING:

    def _conforms(source: CredstashSource) -> Source:
        return source
