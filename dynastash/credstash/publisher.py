"""A credstash table as a place that secrets are handed to, for readers that go on using credstash and its ports.

Versions are only ever added. Each has the number that it has in dynastash, unless the table has a higher one under that
name already; then it gets the next number there. An item whose value is the same and which somebody else wrote is
replaced where it stands by one that is bound and that every client reads, if it is to be ours at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dynastash.credstash.binding import MARKS, Marks
from dynastash.credstash.contexts import Contexts, with_advice
from dynastash.credstash.items import MAX_NAME, Label, Opened, highest_used, label_of, largest, marks_of, seal
from dynastash.credstash.keys import TableKeys
from dynastash.credstash.opening import Opener
from dynastash.credstash.table import Table
from dynastash.credstash.versions import following, order, padded
from dynastash.errors import ConflictError, DynastashError
from dynastash.models import Item
from dynastash.places import Held, Outgoing

if TYPE_CHECKING:
    from dynastash.places import Target


class CredstashTarget:
    """Current values of ``environment``'s secrets in ``table``, sealed with ``keys`` under ``contexts``.

    An item is ours where its marks name ``environment`` and its binding proves it. Where not ``whole``, only the keys
    that are asked for are looked at: one Query each instead of a Scan, for a change of a few.
    """

    def __init__(
        self,
        table: Table,
        keys: TableKeys,
        environment: str,
        contexts: Contexts | None = None,
        *,
        whole: bool = True,
    ) -> None:
        self._table = table
        self._keys = keys
        self._environment = environment
        self._contexts = contexts or Contexts()
        self._whole = whole
        self._seen: dict[str, Item | None] = {}
        """What stood under a key when it was last looked at: the item that credstash serves."""

    @property
    def description(self) -> str:
        """The table and its Region."""
        return self._table.description

    def refusal(self, outgoing: Outgoing) -> str | None:
        """Every client reads text, and DynamoDB has its limits."""
        value = outgoing.value.expose()
        if not 0 < len(outgoing.key.encode()) <= MAX_NAME:
            return f"a name in a credstash table has 1 to {MAX_NAME} bytes"
        if len(value) > (most := largest(Label(outgoing.key, padded(outgoing.version), outgoing.comment))):
            return f"it has {len(value)} bytes, and there is room for {most}"
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            return "it is not UTF-8 text, and credstash's clients read nothing else"
        return None

    def held(self, keys: Iterable[str]) -> Mapping[str, Held]:
        """The latest item of each of ``keys``, opened, and the names of all others that are ours."""
        wanted = list(dict.fromkeys(keys))
        latest = self._latest() if self._whole else {key: self._table.latest(key) for key in wanted}
        self._seen.update({key: latest.get(key) for key in wanted})
        self._seen.update({key: item for key, item in latest.items() if item is not None})
        there = [(key, item) for key in wanted if (item := latest.get(key)) is not None]
        opened = Opener(self._keys, self._contexts).open_many(item for _, item in there)
        found = {key: self._held(key, result) for (key, _), result in zip(there, opened, strict=True)}
        for key, item in latest.items():
            marks = None if item is None else marks_of(item)
            if key not in found and marks is not None and marks.environment == self._environment:
                found[key] = Held(key, owned=True, name=marks.secret, version=marks.number)
        return found

    def write(self, outgoing: Outgoing, held: Held | None) -> None:
        """Add a version that becomes the latest, or replace an equal one that is not ours.

        GenerateDataKey, one Query and one PutItem, whose condition keeps whatever others write meanwhile.
        """
        latest = self._unchanged(outgoing.key)
        equal = held is not None and not held.owned and held.value == outgoing.value
        if latest is not None and equal:
            self._table.replace(latest, self._adopted(outgoing, latest))
            return
        label = padded(outgoing.version)
        if latest is not None and order(label_of(latest).version) >= order(label):
            items = list(self._table.versions(outgoing.key))
            labels = [label_of(item).version for item in items]
            label = following(outgoing.key, labels, used=highest_used(items), first=outgoing.version)
        self._table.create(self._sealed(outgoing, label))

    def remove(self, held: Held) -> None:
        """Delete every version; :class:`ConflictError` where others wrote some, which would be served again."""
        self._unchanged(held.key)
        items = list(self._table.versions(held.key, whole=True))
        opened = zip(items, Opener(self._keys, self._contexts).open_many(items), strict=True)
        theirs = [item for item, result in opened if not self._held(held.key, result).owned]
        if theirs:
            raise ConflictError(
                f"{held.key} stays in {self.description}: {len(theirs)} of its versions cannot be shown to be ours, "
                "and credstash would serve the last of these again",
                hint=f"delete all of them with `credstash delete {held.key}`, once nobody reads it",
            )
        for item in items:
            self._table.remove(item)

    def _latest(self) -> dict[str, Item | None]:
        found: dict[str, Item | None] = {}
        for item in self._table.scan():
            label = label_of(item)
            held = found.get(label.name)
            if held is None or order(label.version) > order(label_of(held).version):
                found[label.name] = item
        return found

    def _held(self, key: str, result: Opened | DynastashError) -> Held:
        if isinstance(result, DynastashError):
            return Held(key, owned=False, problem=f"what is there does not open: {with_advice(result, key)}")
        marks = result.marks
        if marks is None or not result.bound or marks.environment != self._environment:
            return Held(key, owned=False, value=result.value)
        return Held(key, owned=True, value=result.value, name=marks.secret, version=marks.number)

    def _unchanged(self, key: str) -> Item | None:
        """What is there under ``key``; :class:`ConflictError` where that is something else than was planned with."""
        latest = self._table.latest(key)
        if key in self._seen and _identity(latest) != _identity(self._seen[key]):
            raise ConflictError(
                f"somebody else has changed {key} in {self.description} meanwhile", hint="look at it and try again"
            )
        return latest

    def _adopted(self, outgoing: Outgoing, item: Item) -> Item:
        """``item`` sealed anew: its comment stays unless there is one to write, and so does all that others added."""
        label = label_of(item)
        marks = marks_of(item)
        sealed = self._sealed(outgoing, label.version, comment=label.comment, used=marks.used if marks else None)
        return {**item, **sealed}

    def _sealed(self, outgoing: Outgoing, version: str, *, comment: str | None = None, used: int | None = None) -> Item:
        label = Label(outgoing.key, version, outgoing.comment or comment)
        keys, wrapped = self._keys.generate(label, self._contexts.for_item(label))
        marks = Marks(environment=self._environment, secret=outgoing.name, number=outgoing.version, used=used)
        return seal(label, outgoing.value, keys, wrapped, marks=marks)


def _identity(item: Item | None) -> Sequence[object]:
    """What is another wherever an item was written anew."""
    return () if item is None else [item.get(attribute) for attribute in ("version", "key", "contents", "hmac", MARKS)]


if TYPE_CHECKING:

    def _conforms(target: CredstashTarget) -> Target:
        return target
