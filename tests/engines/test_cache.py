"""The cache on a running engine: what it costs in calls, and a rotation under load."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynastash.aio import AsyncStash
from dynastash.aws.base import Operation
from dynastash.cache.caching import CachingStash
from dynastash.errors import KeyAccessDeniedError, KeyUnavailableError, SecretDeletedError, StoreUnavailableError
from dynastash.generate import Password
from dynastash.keys.kms import KmsKeys
from dynastash.models import Stage
from dynastash.stash.api import Stash
from dynastash.stash.rotation import GenerateRotator, Rotation
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.fakes import FakeClock
from tests.engines.engine import Engine
from tests.engines.test_calls import Counted
from tests.engines.transports import Fault, rejected, throttled, unreachable

pytestmark = pytest.mark.engine

NAME = "app1/db/password"


@pytest.fixture
def counted(ministack: Engine) -> Counted:
    return Counted(ministack)


def cached(counted: Counted, **limits: Any) -> tuple[CachingStash, FakeClock]:
    """A cache on a client that has seen nothing, with a clock that moves when told to."""
    clock = FakeClock(now=time.time_ns() // 1_000_000)
    counted.transport.calls.clear()
    keys = KmsKeys(counted.transport, counted.key, clock=clock)
    store = DynamoDBStore(counted.transport, counted.table, clock=clock)
    stash = Stash("prod", store, keys, identity=lambda: "test", clock=clock)
    return CachingStash(stash, clock=clock, **limits), clock


def test_64_threads_at_a_cold_cache_are_one_query_and_one_decrypt(counted: Counted) -> None:
    """All of them get the value; and nothing more is asked as long as it is kept."""
    counted.stash.put(NAME, "correct horse")
    cache, _ = cached(counted)
    barrier = threading.Barrier(64)

    def ask() -> str:
        barrier.wait(60)
        return cache.get(NAME).text

    with ThreadPoolExecutor(64) as pool:
        assert {future.result() for future in [pool.submit(ask) for _ in range(64)]} == {"correct horse"}
    assert counted.calls == {"Query": 1, "Decrypt": 1}
    for _ in range(1000):
        cache.get(NAME)
    assert counted.calls == {"Query": 1, "Decrypt": 1}
    assert cache.statistics().fetches == 1


def test_64_tasks_at_a_cold_cache_are_one_query_and_one_decrypt(counted: Counted) -> None:
    """The same in an event loop, with one thread."""
    counted.stash.put(NAME, "correct horse")
    cache, _ = cached(counted)

    async def main() -> None:
        async with AsyncStash(cache, threads=1) as stash:
            found = await asyncio.gather(*[stash.get(NAME) for _ in range(64)])
            assert {secret.text for secret in found} == {"correct horse"}

    asyncio.run(main())
    assert counted.calls == {"Query": 1, "Decrypt": 1}


def test_many_are_one_batch_of_what_is_missing(counted: Counted) -> None:
    """Of 25 secrets two are kept: the others are two batched reads and 23 Decrypts."""
    names = [f"app1/s{number:02d}" for number in range(25)]
    for name in names:
        counted.stash.put(name, name)
    cache, _ = cached(counted)
    cache.get(names[0])
    cache.get(names[1])
    counted.transport.calls.clear()
    assert {name: secret.text for name, secret in cache.get_many(names).items()} == {name: name for name in names}
    assert counted.calls == {"BatchGetItem": 2, "Decrypt": 23}
    cache.get_many(names)
    assert counted.calls == {"BatchGetItem": 2, "Decrypt": 23}


@pytest.mark.parametrize("failure", [throttled, unreachable])
@pytest.mark.parametrize("operation", [Operation.QUERY, Operation.DECRYPT])
def test_an_outage_is_bridged_up_to_its_limit(counted: Counted, operation: Operation, failure: Any) -> None:
    """By the store and by KMS: throttled and out of reach. Then it is told; behind it all is well again."""
    counted.stash.put(NAME, "correct horse")
    cache, clock = cached(counted, ttl=60, max_stale=600, refresh_ahead=False)
    cache.get(NAME)
    error = failure(operation)
    broken = True

    def call(asked: Operation, request: Mapping[str, Any], inner: Any = counted.transport.call) -> dict[str, Any]:
        if broken and asked is operation:
            raise error
        found: dict[str, Any] = inner(asked, request)
        return found

    counted.transport.call = call  # type: ignore[method-assign]
    for _ in range(5):
        clock.advance(61)
        assert cache.get(NAME).text == "correct horse"
    assert cache.statistics().stale == 5
    clock.advance(600)
    with pytest.raises((StoreUnavailableError, KeyUnavailableError)):
        cache.get(NAME)
    broken = False
    assert cache.get(NAME).text == "correct horse"


def test_a_no_is_not_bridged(ministack: Engine, counted: Counted) -> None:
    """A key that is disabled, a caller who is denied, a secret that is deleted: told at once, and not kept."""
    counted.stash.put(NAME, "correct horse")
    cache, clock = cached(counted, ttl=60)
    for arrange, restore, error in (
        (
            lambda: ministack.client("kms").disable_key(KeyId=counted.key),
            lambda: ministack.client("kms").enable_key(KeyId=counted.key),
            KeyUnavailableError,
        ),
        (
            lambda: counted.transport.fail(
                Operation.DECRYPT, 1, Fault(rejected(Operation.DECRYPT, "AccessDeniedException"))
            ),
            lambda: None,
            KeyAccessDeniedError,
        ),
        (lambda: counted.stash.delete(NAME), lambda: counted.stash.undelete(NAME), SecretDeletedError),
    ):
        assert cache.get(NAME).text == "correct horse"
        arrange()
        clock.advance(61)
        with pytest.raises(error):
            cache.get(NAME)
        assert cache.statistics().entries == 0
        restore()


def test_a_rotation_under_load(counted: Counted) -> None:
    """Readers in 24 threads, a rotator that rotates as fast as it can, real clocks.

    No request sees an error, no value is older than its time to live, and AWS is asked once for each time to live and
    not once for each request.
    """
    ttl = 0.4
    counted.stash.generate(NAME, Password(length=20))
    counted.transport.calls.clear()
    cache = CachingStash(counted.client(counted.key), ttl=ttl, max_stale=0)
    current: list[tuple[float, int]] = [(time.monotonic(), 1)]
    stop = threading.Event()

    class Noting(GenerateRotator):
        def test(self, rotation: Rotation) -> None:
            assert rotation.pending is not None
            assert Stage.PENDING in rotation.pending.version.stages

    def rotate() -> None:
        rotating = Stash("prod", counted.store, KmsKeys(counted.transport, counted.key), identity=lambda: "rotator")
        for _ in range(12):
            version = rotating.rotate(NAME, Noting(Password(length=20)))
            current.append((time.monotonic(), version.number))  # from a moment before this one it was current

    def read() -> list[tuple[float, int]]:
        seen = []
        while not stop.is_set():
            asked = time.monotonic()
            seen.append((asked, cache.get(NAME).number))
            stop.wait(0.001)
        return seen

    with ThreadPoolExecutor(25) as pool:
        readers = [pool.submit(read) for _ in range(24)]
        try:
            pool.submit(rotate).result()
        finally:
            stop.set()
        seen = [entry for reader in readers for entry in reader.result()]
    took = time.monotonic() - current[0][0]
    replaced = {
        number: at for (at, later), number in zip(current[1:], range(1, 13), strict=True) if later == number + 1
    }
    assert len(replaced) == 12
    for asked, number in seen:
        assert number not in replaced or asked - replaced[number] < ttl, "a value outlived its time"
    found = cache.statistics()
    assert found.stale == found.failures == 0
    assert found.hits + found.misses == len(seen)
    assert len({number for _, number in seen}) > 2
    # One reading at most begins in three quarters of a time to live.
    assert found.fetches <= took / (0.75 * ttl) + 2
    assert found.hits > 20 * found.fetches
