"""A pytest plugin, loaded wherever dynastash is installed: the fixture ``dynastash_stash``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dynastash.stash.api import Stash


@pytest.fixture
def dynastash_stash(tmp_path: Path) -> Stash:
    """An empty embedded environment named ``test``, private to the test, with the product's own store and keys."""
    from dynastash.keys.local import LocalKeys
    from dynastash.models import DataKey
    from dynastash.stash.api import Stash
    from dynastash.stores.sqlite import SQLiteStore

    store = SQLiteStore(tmp_path / "dynastash" / "test.db")
    return Stash("test", store, LocalKeys(DataKey(bytes(32))), identity=lambda: "test:pytest")
