"""The embedded store keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dynastash.stores.base import Store
from dynastash.stores.sqlite import SQLiteStore
from dynastash.testing.contracts import ConcurrentStoreContract, StoreContract


class TestSQLite(StoreContract):
    """One caller."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SQLiteStore(tmp_path / "private" / "local.db")


class TestConcurrentSQLite(ConcurrentStoreContract):
    """Callers that share the object, each thread with its own connection."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SQLiteStore(tmp_path / "private" / "local.db")


class TestSeparateSQLite(TestConcurrentSQLite):
    """Callers that share nothing but the file."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SQLiteStore(tmp_path / "private" / "local.db")
