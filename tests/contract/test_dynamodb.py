"""The DynamoDB store keeps the contract, on each engine as far as that can tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dynastash.stores.base import Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import ConcurrentStoreContract, StoreContract
from tests.engines.engine import Engine


@pytest.mark.engine
class TestMinistack(StoreContract):
    """One caller, on the main engine."""

    @pytest.fixture
    def store(self, ministack: Engine) -> Store:
        return ministack.store()


@pytest.mark.engine
class TestMoto(StoreContract):
    """One caller, on the second opinion."""

    @pytest.fixture
    def store(self, moto: Engine) -> Store:
        return moto.store()


@pytest.mark.engine
class TestConcurrentMinistack(ConcurrentStoreContract):
    """Callers with a store each."""

    @pytest.fixture
    def table(self, ministack: Engine) -> str:
        return ministack.create_table()

    @pytest.fixture
    def store(self, reopen: Callable[[], Store]) -> Store:
        return reopen()

    @pytest.fixture
    def reopen(self, ministack: Engine, table: str) -> Callable[[], Store]:
        return lambda: DynamoDBStore(ministack.transport, table)


@pytest.mark.engine
class TestDirectMinistack(StoreContract):
    """The same without the SDK."""

    @pytest.fixture
    def store(self, ministack: Engine) -> Store:
        return ministack.direct.store()


@pytest.mark.engine
class TestDirectMoto(StoreContract):
    """The same without the SDK, on a server that closes each connection."""

    @pytest.fixture
    def store(self, moto: Engine) -> Store:
        return moto.direct.store()


@pytest.mark.engine
class TestDirectConcurrentMinistack(TestConcurrentMinistack):
    """Callers that share one pool of connections."""

    @pytest.fixture
    def reopen(self, ministack: Engine, table: str) -> Callable[[], Store]:
        return lambda: DynamoDBStore(ministack.direct.transport, table)
