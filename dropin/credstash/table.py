"""An old table, asked in credstash's words; :mod:`dynastash.credstash` knows its format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from credstash.errors import not_found
from credstash.store import Context, Deleted, Entry, Listed
from dynastash.errors import DynastashError, NotFoundError, PartialError
from dynastash.models import Plaintext

if TYPE_CHECKING:
    from credstash.store import Store
    from dynastash.credstash.store import CredentialStore


class TableStore:
    """The items of ``store``."""

    def __init__(self, store: CredentialStore) -> None:
        self._store = store

    @property
    def description(self) -> str:
        """The table and its Region."""
        return self._store.description

    def get(self, name: str, version: str, context: Context) -> Plaintext:
        """One Query and one Decrypt."""
        try:
            return self._store.get(name, version or None, context=context).value
        except NotFoundError as error:
            raise not_found(name, version, error.hint) from error

    def get_all(self, wanted: Callable[[str], bool], version: str, context: Context) -> dict[str, Plaintext]:
        """One Scan, and a Decrypt for each."""
        from dynastash.credstash.contexts import Contexts

        values: dict[str, Plaintext] = {}
        failures: dict[str, DynastashError] = {}
        for name, found in self._store.get_all(Contexts(context), version=version or None, wanted=wanted):
            if isinstance(found, DynastashError):
                failures[name] = found
            else:
                values[name] = found.value
        if failures:
            raise PartialError(
                f"{len(failures)} of {len(values) + len(failures)} secrets could not be had",
                failures,
                hint="nothing was returned: mend or delete what failed, or ask for others by a name with *",
            )
        return values

    def listed(self) -> Sequence[Listed]:
        """One Scan, without the values."""
        return [Listed(label.name, label.version, label.comment) for label in self._store.labels()]

    def highest(self, name: str) -> str | None:
        """One Query."""
        return self._store.highest(name)

    def put(self, entry: Entry) -> str:
        """One item, bound to its name and version; the next version waits for other writers."""
        if entry.version is None:
            return self._store.put_next(
                entry.name, entry.value, context=entry.context, comment=entry.comment, digest=entry.digest
            )
        return self._store.put(
            entry.name, entry.version, entry.value, context=entry.context, comment=entry.comment, digest=entry.digest
        )

    def delete(self, name: str, version: str | None = None) -> Deleted:
        """For good."""
        try:
            return Deleted(tuple(self._store.delete(name, version)))
        except NotFoundError:
            return Deleted()


if TYPE_CHECKING:

    def _conforms(store: TableStore) -> Store:
        return store
