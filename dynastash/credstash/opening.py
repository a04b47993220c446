"""Items opened, one or many, with what is wrong with one of them told in its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dynastash.aws.pipeline import Work
from dynastash.credstash.contexts import Contexts
from dynastash.credstash.items import Opened, label_of, open_entry, parse
from dynastash.credstash.keys import TableKeys
from dynastash.errors import DynastashError, EnvelopeError, KeyUnavailableError, KeyUnreachableError
from dynastash.models import Item

_ABSENT = "NotFoundException"


class Opener:
    """Opens items with ``keys`` and ``contexts``; with ``require_binding``, those alone that dynastash has bound."""

    def __init__(self, keys: TableKeys, contexts: Contexts, *, require_binding: bool = False) -> None:
        self._keys = keys
        self._contexts = contexts
        self._require_binding = require_binding

    def open(self, item: Item) -> Opened:
        """The value of ``item``. Raises :class:`EnvelopeError` or :class:`~dynastash.errors.KeyProviderError`."""
        return self._keys.carry_out(self._opening(item))

    def open_many(self, items: Iterable[Item]) -> Iterator[Opened | DynastashError]:
        """What :meth:`open` returns or raises for each of ``items``, in order, with many Decrypts under way at once.

        ``items`` are drawn as they are needed. What says nothing about an item is raised, for nothing is complete then:
        KMS is out of reach or throttled, a key that was named does not exist, there are no credentials.
        """
        for result in self._keys.carry_out_many(map(self._opening, items)):
            assert result is not None  # there is work for each
            if isinstance(result, KeyUnreachableError):
                raise result
            if isinstance(result, KeyUnavailableError) and result.code == _ABSENT:
                raise result
            yield result

    def _opening(self, item: Item) -> Work[Opened]:
        label = label_of(item)
        try:
            entry = parse(item)
            keys = yield from self._keys.unwrapping(label, entry.wrapped, self._contexts.for_item(label))
            return open_entry(entry, keys, require_binding=self._require_binding)
        except EnvelopeError as error:
            raise type(error)(f"version {label.version} of {label.name}: {error}", hint=error.hint) from None
