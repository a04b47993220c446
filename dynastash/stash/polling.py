"""Looking again and again whether secrets have changed: heads alone, which cost little and open nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dynastash.crypto import records
from dynastash.stores.base import RecordKey

if TYPE_CHECKING:
    from dynastash.models import Item
    from dynastash.stores.base import Store


def heads(store: Store, names: Iterable[str], prefixes: Iterable[str]) -> dict[str, Item]:
    """The heads of ``names`` and of whatever starts with one of ``prefixes``, by name, unauthenticated.

    A batch of reads for all names, and one read of the index for each prefix. Two of them are equal as long as nothing
    has changed.
    """
    wanted = list(dict.fromkeys(RecordKey(name, records.HEAD) for name in names))
    found = {key.name: item for key, item in store.fetch(wanted).items()} if wanted else {}
    for prefix in prefixes:
        found |= {records.key_of(item)[0]: item for item in store.heads(prefix)}
    return found
