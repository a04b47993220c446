"""A credstash table as credstash's commands have it: what the drop-in stands on.

::

    store = CredentialStore(Table(transport, "credential-store"), TableKeys(kms_transport, trusted=ANY_KEY))
    store.get("db/password", context={"env": "prod"}).value.expose()
    store.get("db/password", 7)
    for name, found in store.get_all(Contexts({"env": "prod"})): ...   # Opened, or the error in its place
    store.put_next("db/password", Plaintext(b"…"), context={"env": "prod"}, comment="why")

Versions are credstash's: texts, of which the one that sorts last is the latest. What else differs from credstash is in
``docs/reference/credstash.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from dynastash.backoff import Backoff
from dynastash.clock import Clock, SystemClock
from dynastash.credstash import binding, digests
from dynastash.credstash.contexts import Contexts, Pairs
from dynastash.credstash.items import Label, Opened, check_label, highest_used, label_of, seal
from dynastash.credstash.keys import TableKeys
from dynastash.credstash.opening import Opener
from dynastash.credstash.table import Table
from dynastash.credstash.versions import following, number_of, order, padded, spellings
from dynastash.errors import ConflictError, DynastashError, SecretNotFoundError, VersionNotFoundError
from dynastash.models import Item, Plaintext

_NO_CONTEXT: Final[Pairs] = {}


class CredentialStore:
    """The items of ``table``, opened with ``keys``. With ``require_binding``, unbound ones are not given out."""

    def __init__(
        self, table: Table, keys: TableKeys, *, require_binding: bool = False, clock: Clock | None = None
    ) -> None:
        self._table = table
        self._keys = keys
        self._require_binding = require_binding
        self._clock = clock or SystemClock()

    @property
    def description(self) -> str:
        """The table and its Region."""
        return self._table.description

    def get(self, name: str, version: int | str | None = None, *, context: Pairs = _NO_CONTEXT) -> Opened:
        """The value of the latest version, or of ``version`` however it is padded: one Query and one Decrypt.

        Raises :class:`SecretNotFoundError`, :class:`VersionNotFoundError`, and what is wrong with the item: an
        :class:`~dynastash.errors.EnvelopeError` or a :class:`~dynastash.errors.KeyProviderError`.
        """
        check_label(Label(name, "0" if version is None else str(version)))
        item = self._table.latest(name) if version is None else self._table.exact(name, version)
        if item is None:
            raise self._missing(name, version)
        return self._opener(Contexts(context)).open(item)

    def get_all(
        self,
        contexts: Contexts,
        *,
        version: int | str | None = None,
        wanted: Callable[[str], bool] = bool,
    ) -> Iterator[tuple[str, Opened | DynastashError]]:
        """The latest version, or ``version``, of each name that is ``wanted``, in the order of the names' bytes.

        One Scan, and a Decrypt for each. An item that does not open has its error in its place, and so has a name
        without ``version``; whatever stands in the way of all is raised.
        """
        chosen: dict[str, Item] = {}
        without: set[str] = set()
        forms = None if version is None else spellings(version)
        for item in self._table.scan():
            label = label_of(item)
            if not wanted(label.name):
                continue
            without.add(label.name)
            if forms is not None and label.version not in forms:
                continue
            held = chosen.get(label.name)
            if held is None or _better(label.version, label_of(held).version, forms):
                chosen[label.name] = item
        names = sorted(without, key=order)
        results = self._opener(contexts).open_many(chosen[name] for name in names if name in chosen)
        for name in names:
            yield name, next(results) if name in chosen else _no_version(name, version)

    def labels(self) -> list[Label]:
        """Every version of every name with its comment, by name and version as credstash sorts them. One Scan."""
        return sorted(self._table.labels(), key=lambda label: (order(label.name), order(label.version)))

    def highest(self, name: str) -> str | None:
        """The version that credstash serves as the latest, as it is stored; None where there is no such name."""
        item = self._table.latest(check_label(Label(name, "0")).name)
        return None if item is None else label_of(item).version

    def put(
        self,
        name: str,
        version: int | str,
        value: Plaintext,
        *,
        context: Pairs = _NO_CONTEXT,
        comment: str | None = None,
        digest: str = digests.DEFAULT,
    ) -> str:
        """Write one version, whose number is padded, and return it as it is stored: GenerateDataKey and PutItem.

        Raises :class:`ConflictError` where ``name`` has that version already, and
        :class:`~dynastash.errors.ValueTooLargeError`.
        """
        label = Label(name, padded(version), comment or None)
        self._table.create(self._sealed(label, value, context, digest))
        return label.version

    def put_next(
        self,
        name: str,
        value: Plaintext,
        *,
        context: Pairs = _NO_CONTEXT,
        comment: str | None = None,
        digest: str = digests.DEFAULT,
    ) -> str:
        """Write ``value`` as the version behind all others, and return that version as it is stored.

        Whoever loses the race to another writer takes the next number. No number is ever used twice, also where the
        name was deleted (docs/adr: the first number of a name is the time). Raises :class:`ConflictError` where no
        number would become the latest (:func:`~dynastash.credstash.versions.following`).
        """
        check_label(Label(name, "0"))
        backoff = Backoff(self._clock)
        while True:
            version = self._next(name)
            try:
                return self.put(name, version, value, context=context, comment=comment, digest=digest)
            except ConflictError:
                if not backoff.pause():
                    raise

    def delete(self, name: str, version: int | str | None = None) -> Iterator[str]:
        """Delete every version, or ``version`` alone; yields each as it is stored, once it is gone.

        Where the latest goes and others stay, the newest of these keeps a mark of the highest number, so that it is not
        used again. Raises :class:`SecretNotFoundError` or :class:`VersionNotFoundError` where there is nothing.
        """
        check_label(Label(name, "0" if version is None else str(version)))
        items = list(self._table.versions(name, whole=version is not None))
        doomed = items if version is None else _named(items, version)
        if not doomed:
            raise self._missing(name, version)
        kept = [item for item in items if item not in doomed]
        if kept:
            self._mark(kept[-1], highest_used(items))
        for item in doomed:
            self._table.delete(item)
            yield label_of(item).version

    def _next(self, name: str) -> str:
        items = list(self._table.versions(name))
        labels = [label_of(item).version for item in items]
        return following(name, labels, used=highest_used(items), first=self._clock.now())

    def _sealed(self, label: Label, value: Plaintext, context: Pairs, digest: str) -> Item:
        check_label(label)
        digest = digests.check_writable(digest)
        keys, wrapped = self._keys.generate(label, context)
        return seal(label, value, keys, wrapped, digest=digest)

    def _mark(self, item: Item, used: int) -> None:
        number = number_of(label_of(item).version)
        if number is None or number < used:
            self._table.replace(item, binding.with_used(item, used))

    def _opener(self, contexts: Contexts) -> Opener:
        return Opener(self._keys, contexts, require_binding=self._require_binding)

    def _missing(self, name: str, version: int | str | None) -> SecretNotFoundError | VersionNotFoundError:
        if version is not None and self._table.latest(name) is not None:
            return _no_version(name, version)
        return SecretNotFoundError(f"{self.description} has no {name}")


def _no_version(name: str, version: int | str | None) -> VersionNotFoundError:
    return VersionNotFoundError(f"{name} has no version {version}")


def _better(one: str, other: str, forms: Sequence[str] | None) -> bool:
    """Whether to give out version ``one`` rather than ``other``: the latest, or what is looked for first."""
    return order(one) > order(other) if forms is None else forms.index(one) < forms.index(other)


def _named(items: Sequence[Item], version: int | str) -> list[Item]:
    by_label: Mapping[str, Item] = {label_of(item).version: item for item in items}
    return [by_label[form] for form in spellings(version) if form in by_label][:1]
