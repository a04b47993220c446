"""The contracts on a real account, in an environment that was deployed for it.

Every name gets a random first segment, and the records are erased in the end: heads too, which dynastash itself never
deletes. The environment's key is used and not changed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import boto3
import pytest

from dynastash.aws.boto import BotoTransport, make_session
from dynastash.aws.identity import Identity
from dynastash.config import Environment, resolve
from dynastash.errors import ContextMismatchError, KeyAccessDeniedError
from dynastash.keys.base import KeyProvider
from dynastash.keys.kms import KmsKeys
from dynastash.models import Context, DataKey, Item, WrappedKey, namespace_of
from dynastash.stores.base import Change, RecordKey, Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import (
    ConcurrentStoreContract,
    KeyProviderContract,
    StoreContract,
    TamperProofKeyProviderContract,
    first,
)
from tests.engines.fixtures import LIVE

if not os.environ.get(LIVE):
    pytest.skip(
        f"set {LIVE} to an environment deployed for tests in an AWS account to run this", allow_module_level=True
    )

pytestmark = pytest.mark.live


class Apart:
    """A store within a store: all names under a first segment of their own."""

    def __init__(self, inner: DynamoDBStore) -> None:
        self._inner = inner
        self._segment = f"test-{secrets.token_hex(6)}/"
        self.names: set[str] = set()

    @property
    def description(self) -> str:
        return self._inner.description

    @property
    def transaction_size(self) -> int:
        return self._inner.transaction_size

    def _in(self, item: Item) -> Item:
        name = self._segment + item["name"]["S"]
        self.names.add(name)
        namespace = {"namespace": {"S": namespace_of(name)}} if "namespace" in item else {}
        return {**item, "name": {"S": name}, **namespace}

    def _out(self, item: Item) -> Item:
        name = item["name"]["S"].removeprefix(self._segment)
        namespace = {"namespace": {"S": namespace_of(name)}} if "namespace" in item else {}
        return {**item, "name": {"S": name}, **namespace}

    def _key(self, key: RecordKey) -> RecordKey:
        return RecordKey(self._segment + key.name, key.record)

    def newest(self, name: str) -> Sequence[Item]:
        return [self._out(item) for item in self._inner.newest(self._segment + name)]

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        found = self._inner.fetch([self._key(key) for key in wanted])
        return {RecordKey(key.name.removeprefix(self._segment), key.record): self._out(i) for key, i in found.items()}

    def heads(self, prefix: str = "") -> Iterator[Item]:
        return map(self._out, self._inner.heads(self._segment + prefix))

    def history(self, name: str) -> Iterator[Item]:
        return map(self._out, self._inner.history(self._segment + name))

    def commit(self, change: Change) -> None:
        self._inner.commit(
            Change(
                head=self._in(change.head),
                expected=change.expected,
                create=[self._in(item) for item in change.create],
                tombstones=[self._in(item) for item in change.tombstones],
                delete=[self._key(key) for key in change.delete],
                token=change.token,
            )
        )

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        self._inner.replace_key(self._in(item), wrapped, at)


class Own(KeyProvider):
    """The environment's keys, with its own name where the contract says ``prod``.

    The key's policy denies every other environment before KMS looks at the blob: as good as a mismatch.
    """

    description = ""
    concurrency = 1

    def __init__(self, inner: KmsKeys, environment: str) -> None:
        self._inner, self._environment = inner, environment
        self.description, self.concurrency = inner.description, inner.concurrency

    def _own(self, context: Context) -> Context:
        name = self._environment
        return replace(context, environment=name if context.environment == "prod" else f"not-{name}"[:31])

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        return self._inner.generate(self._own(context))

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        try:
            return self._inner.unwrap(wrapped, self._own(context))
        except KeyAccessDeniedError as error:
            if context.environment == "prod":
                raise
            raise ContextMismatchError("denied by the key's policy") from error

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        return self._inner.rewrap(wrapped, self._own(context))


@pytest.fixture
def environment(live: str) -> Environment:
    """Its settings, as dynastash finds them."""
    return resolve(live)


@pytest.fixture
def session(environment: Environment) -> boto3.Session:
    """The developer's own credentials."""
    return make_session(environment.aws)


@pytest.fixture
def transport(environment: Environment, session: boto3.Session) -> BotoTransport:
    """A transport to the account."""
    return BotoTransport(session, region=environment.aws.region, endpoint_url=environment.aws.endpoint_url)


@pytest.fixture
def keys(environment: Environment, transport: BotoTransport) -> KeyProvider:
    """The environment's key."""
    return Own(KmsKeys(transport, environment.key, environment.trusted_keys), environment.name)


@pytest.fixture
def apart(environment: Environment, session: boto3.Session, transport: BotoTransport) -> Iterator[Apart]:
    """An empty part of the environment's table, erased afterwards."""
    inner = DynamoDBStore(transport, environment.table)
    store = Apart(inner)
    yield store
    make: Any = session.client
    client = make("dynamodb", region_name=transport.region, endpoint_url=environment.aws.endpoint_url)
    for name in store.names:
        for item in [*inner.history(name), *inner.newest(name)]:
            client.delete_item(TableName=environment.table, Key={key: item[key] for key in ("name", "record")})


class TestStore(StoreContract):
    """One caller. What a listing shows at once is apart: the index lags."""

    test_heads_are_found_by_prefix_in_order = None  # type: ignore[assignment]
    test_heads_are_whole = None  # type: ignore[assignment]

    @pytest.fixture
    def store(self, apart: Apart) -> Store:
        return apart

    def test_heads_show_up(self, store: Store) -> None:
        """A moment after the commit."""
        for name in ("b", "a", "a/b"):
            store.commit(first(name))
        while len(found := [item["name"]["S"] for item in store.heads()]) < 3:
            pass
        assert found == ["a", "a/b", "b"]


class TestConcurrentStore(ConcurrentStoreContract):
    """Racing callers."""

    @pytest.fixture
    def store(self, apart: Apart) -> Store:
        return apart

    @pytest.fixture
    def reopen(self, apart: Apart) -> Callable[[], Store]:
        return lambda: apart


class TestKeys(KeyProviderContract):
    """The environment's key."""

    @pytest.fixture
    def keys(self, keys: KeyProvider) -> KeyProvider:
        return keys


class TestTamperProofKeys(TamperProofKeyProviderContract):
    """Altered blobs."""

    @pytest.fixture
    def keys(self, keys: KeyProvider) -> KeyProvider:
        return keys


def test_the_caller_has_an_arn(transport: BotoTransport) -> None:
    """STS says who writes."""
    assert Identity(transport)().startswith("arn:")
