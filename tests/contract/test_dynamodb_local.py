"""The DynamoDB store keeps the contract on Amazon's own engine, for whoever has accepted its licence."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dynastash.stores.base import Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import ConcurrentStoreContract, StoreContract
from tests.engines.engine import Engine
from tests.engines.fixtures import DDBLOCAL

if not os.environ.get(DDBLOCAL):
    pytest.skip(f"set {DDBLOCAL} to an unpacked DynamoDB Local to run this; it takes java", allow_module_level=True)

pytestmark = pytest.mark.ddblocal


class TestDynamoDBLocal(StoreContract):
    """One caller."""

    @pytest.fixture
    def store(self, ddblocal: Engine) -> Store:
        return ddblocal.store()


class TestConcurrentDynamoDBLocal(ConcurrentStoreContract):
    """Callers with a store each."""

    @pytest.fixture
    def table(self, ddblocal: Engine) -> str:
        return ddblocal.create_table()

    @pytest.fixture
    def store(self, reopen: Callable[[], Store]) -> Store:
        return reopen()

    @pytest.fixture
    def reopen(self, ddblocal: Engine, table: str) -> Callable[[], Store]:
        return lambda: DynamoDBStore(ddblocal.transport, table, transaction_size=ddblocal.transaction_size)
