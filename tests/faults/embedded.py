"""A furnished environment on the embedded store, to be copied."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

from dynastash.keys.base import KeyProvider
from dynastash.keys.local import LocalKeys
from dynastash.models import DataKey
from dynastash.stash.api import Stash
from dynastash.stores.base import Store
from dynastash.stores.sqlite import SQLiteStore
from dynastash.testing.fakes import FakeClock
from dynastash.transfer.sealed import export_sealed
from tests.faults.site import ENVIRONMENT, TRANSACTION, furnish

KEY = DataKey(bytes(range(32)))


def client(store: Store, keys: KeyProvider | None = None) -> Stash:
    """A client that has seen nothing yet."""
    return Stash(ENVIRONMENT, store, keys or LocalKeys(KEY), identity=lambda: "tester", clock=FakeClock())


def open_store(path: Path) -> SQLiteStore:
    """The store in ``path``, with small changes."""
    store = SQLiteStore(path)
    store.transaction_size = TRANSACTION
    return store


@dataclass(frozen=True)
class Embedded:
    """A furnished store, closed, and its sealed backup."""

    file: Path
    backup: bytes

    def copy(self, directory: Path) -> Path:
        """The file of a copy in ``directory``, which is made."""
        directory.mkdir(mode=0o700)
        return Path(shutil.copy(self.file, directory / "prod.db"))


def furnished(directory: Path) -> Embedded:
    """Made in ``directory``, which must exist."""
    directory.chmod(0o700)
    store = open_store(directory / "prod.db")
    furnish(client(store))
    backup = io.BytesIO()
    export_sealed(store, ENVIRONMENT, backup, at=1)
    store.close()
    return Embedded(directory / "prod.db", backup.getvalue())
