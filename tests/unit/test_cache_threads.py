"""Many callers at once: one reading for all, no answer from before an invalidation, and nobody who waits for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from dynastash.errors import DynastashError, PartialError, StoreAccessDeniedError, StoreUnavailableError
from dynastash.models import Secret
from tests.unit.cache_kit import NAME, Gate, World

_R = TypeVar("_R")
CALLERS = 64


def at_once(call: Callable[[], _R], callers: int = CALLERS) -> list[Future[_R]]:
    """``call`` by many threads that start together."""
    barrier = threading.Barrier(callers)

    def run() -> _R:
        barrier.wait(60)
        return call()

    with ThreadPoolExecutor(callers) as pool:
        return [pool.submit(run) for _ in range(callers)]


@pytest.fixture
def pool() -> Any:
    """A few threads."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def joined(world: World, count: int) -> None:
    """Wait until ``count`` callers hold a claim on the flight for NAME."""
    ready = threading.Event()
    while world.looks < count:  # type: ignore[attr-defined]
        ready.wait(0.001)


@pytest.fixture
def world() -> World:
    """A world that counts the looks at its cache."""
    world = World(NAME, "other")
    world.looks = 0  # type: ignore[attr-defined]
    look = world.cache._engine.look
    lock = threading.Lock()

    def counted(key: Any) -> Any:
        found = look(key)
        with lock:
            world.looks += 1  # type: ignore[attr-defined]
        return found

    world.cache._engine.look = counted  # type: ignore[method-assign]
    return world


class TestSingleFlight:
    """One reading for all who ask at once."""

    @pytest.mark.parametrize("round_", range(5))
    def test_64_callers_are_one_reading(self, round_: int) -> None:
        """Of a cold cache: of one secret, of many, under a prefix."""
        world = World(NAME, "other")
        assert {future.result().number for future in at_once(lambda: world.cache.get(NAME))} == {1}
        assert world.calls == [NAME]
        for future in at_once(lambda: world.cache.get_many([NAME, "other"])):
            assert set(future.result()) == {NAME, "other"}
        assert world.calls == [("other",)]
        at_once(lambda: world.cache.get_many(prefix="app1/"))
        assert world.calls == ["app1/*"]

    def test_callers_who_join_get_the_same(self, world: World, pool: ThreadPoolExecutor) -> None:
        """While the reading is under way, all of them wait for it."""
        gate = Gate()
        world.source.gates = [gate]
        asking = [pool.submit(world.cache.get, NAME) for _ in range(8)]
        joined(world, 8)
        assert world.calls == [NAME]
        gate.open()
        assert len({id(future.result()) for future in asking}) == 1
        assert world.cache.statistics().misses == 8

    def test_a_failure_is_everybodys_and_an_error_of_their_own(self, world: World, pool: ThreadPoolExecutor) -> None:
        """One exception raised in several threads would mix their tracebacks."""
        gate = Gate()
        world.source.gates = [gate]
        cause = ValueError()
        world.source.failures[NAME] = StoreAccessDeniedError("denied", hint="allow it", code="AccessDenied")
        world.source.failures[NAME].__cause__ = cause
        asking = [pool.submit(world.cache.get, NAME) for _ in range(8)]
        joined(world, 8)
        gate.open()
        errors = [future.exception() for future in asking]
        assert len({id(error) for error in errors}) == 8
        for error in errors:
            assert isinstance(error, StoreAccessDeniedError)
            assert (str(error), error.hint, error.code, error.__cause__) == (
                "denied",
                "allow it",
                "AccessDenied",
                cause,
            )
        assert world.calls == [NAME]

    def test_ctrl_c_of_the_one_who_reads_is_not_the_others(self, world: World, pool: ThreadPoolExecutor) -> None:
        """One of those who waited reads anew."""
        gate = Gate()
        world.source.gates = [gate]
        world.source.failing = KeyboardInterrupt()
        leader = pool.submit(world.cache.get, NAME)
        gate.reached()
        world.source.failing = None
        others = [pool.submit(world.cache.get, NAME) for _ in range(7)]
        joined(world, 8)
        gate.open()
        assert isinstance(leader.exception(), KeyboardInterrupt)
        assert {future.result().number for future in others} == {1}
        assert world.calls == [NAME, NAME]

    def test_what_was_read_earlier_does_not_replace_what_was_read_later(
        self, world: World, pool: ThreadPoolExecutor
    ) -> None:
        """A prefix lands behind a single reading that began after it: the newer version stays."""
        gate = Gate()
        world.source.gates = [gate]
        under = pool.submit(lambda: world.cache.get_many(prefix="app1/"))
        gate.reached()
        world.source.rotate(NAME)
        world.clock.advance(1)
        assert world.cache.get(NAME).number == 2
        gate.open()
        assert under.result()[NAME].number == 1
        assert world.cache.get(NAME).number == 2

    def test_a_reading_that_takes_longer_than_a_time_to_live_is_not_joined(
        self, world: World, pool: ThreadPoolExecutor
    ) -> None:
        """What it brings is too old for whoever asks that late: they read again."""
        gate = Gate()
        world.source.gates = [gate]
        early = pool.submit(world.cache.get, NAME)
        gate.reached()
        world.source.rotate(NAME)
        world.clock.advance(100)
        late = pool.submit(world.cache.get, NAME)
        joined(world, 2)
        gate.open()
        assert early.result().number == 1
        assert late.result().number == 2

    def test_a_batch_and_a_single_reader_share(self, world: World, pool: ThreadPoolExecutor) -> None:
        """Whoever came first reads; each name is read once."""
        gate = Gate()
        world.source.gates = [gate]
        one = pool.submit(world.cache.get, NAME)
        gate.reached()
        both = pool.submit(world.cache.get_many, [NAME, "other"])
        joined(world, 3)
        gate.open()
        assert set(both.result()) == {NAME, "other"}
        assert one.result() is both.result()[NAME]
        assert sorted(map(str, world.calls)) == sorted([NAME, "('other',)"])

    def test_what_a_batch_withheld_is_asked_for_alone(self, world: World, pool: ThreadPoolExecutor) -> None:
        """Another caller's secret fails, mine was in the same batch: I get mine."""
        gate = Gate()
        world.source.gates = [gate]
        batch = pool.submit(world.cache.get_many, [NAME, "missing"])
        gate.reached()
        mine = pool.submit(world.cache.get, NAME)
        joined(world, 3)
        gate.open()
        assert mine.result().number == 1
        with pytest.raises(PartialError) as caught:
            batch.result()
        assert set(caught.value.failures) == {"missing"}


class TestInvalidate:
    """What was being read when the old value was refused."""

    @pytest.mark.parametrize("late", [True, False], ids=["lands last", "lands first"])
    def test_a_reading_under_way_brings_nothing_back(self, late: bool, world: World, pool: ThreadPoolExecutor) -> None:
        """It read the old value before; its own caller gets that, nobody else, and it is not kept."""
        before, after = Gate(), Gate()
        world.source.gates = [before, after]
        early = pool.submit(world.cache.get, NAME)
        before.reached()
        world.source.rotate(NAME)
        world.cache.invalidate(NAME)
        asked_later = pool.submit(world.cache.get, NAME)
        after.reached()
        for gate in (after, before) if late else (before, after):
            gate.open()
            (asked_later if gate is after else early).result()
        assert early.result().number == 1
        assert asked_later.result().number == 2
        assert world.cache.get(NAME).number == 2
        assert len(world.calls) == 2

    def test_a_prefix_under_way_brings_nothing_back(self, world: World, pool: ThreadPoolExecutor) -> None:
        """Nor does it fill in the single secret."""
        gate = Gate()
        world.source.gates = [gate]
        early = pool.submit(lambda: world.cache.get_many(prefix="app1/"))
        gate.reached()
        world.source.rotate(NAME)
        world.cache.invalidate(NAME)
        gate.open()
        assert early.result()[NAME].number == 1
        assert world.cache.get(NAME).number == world.cache.get_many(prefix="app1/")[NAME].number == 2

    def test_a_refresh_ahead_under_way_brings_nothing_back(self, world: World) -> None:
        """It began with the old value, in a thread of its own."""
        gate = Gate()
        world.cache.get(NAME)
        world.source.gates = [gate]
        world.clock.advance(96)
        assert world.cache.get(NAME).number == 1
        gate.reached()
        world.source.rotate(NAME)
        world.cache.invalidate(NAME)
        assert world.cache.get(NAME).number == 2
        gate.open()
        wait_for_no_threads()
        assert world.cache.get(NAME).number == 2

    @pytest.mark.parametrize("round_", range(5))
    def test_64_refused_logins_are_one_reading(self, round_: int) -> None:
        """All had the old version; whoever names it shares the first one's reading."""
        world = World()
        world.cache.get(NAME)
        world.source.rotate(NAME)

        def refused() -> int:
            world.cache.invalidate(NAME, version=1)
            return world.cache.get(NAME).number

        assert {future.result() for future in at_once(refused)} == {2}
        assert world.calls == [NAME, NAME]

    def test_a_reading_from_before_that_brings_the_refused_version(
        self, world: World, pool: ThreadPoolExecutor
    ) -> None:
        """It does not answer who asked after the refusal: they read again. One that brings a newer version does."""
        gate = Gate()
        world.source.gates = [gate]
        early = pool.submit(world.cache.get, NAME)
        gate.reached()
        world.cache.invalidate(NAME, version=1)
        later = pool.submit(world.cache.get, NAME)
        joined(world, 2)
        world.source.rotate(NAME)
        gate.open()
        assert early.result().number == 1
        assert later.result().number == 2
        assert len(world.calls) == 2

    @pytest.mark.parametrize("round_", range(3))
    def test_readers_writers_and_invalidations_at_random(self, round_: int) -> None:
        """Nobody sees a version older than the one that was current at an invalidation before they asked."""
        world = World()
        known = [1]

        def rotate() -> None:
            for _ in range(200):
                number = world.source.rotate(NAME).number
                world.cache.invalidate(NAME)
                known[0] = number

        def read() -> None:
            for _ in range(300):
                least = known[0]
                assert world.cache.get(NAME).number >= least

        with ThreadPoolExecutor(7) as pool:
            for future in [pool.submit(rotate), *[pool.submit(read) for _ in range(6)]]:
                future.result()


class TestWaiting:
    """While an older value may stand in, nobody waits for long."""

    def test_an_old_value_stands_in_for_a_reading_that_does_not_end(self) -> None:
        """And when it ends after all, its value is kept."""
        world = World(max_wait=0.01)
        world.cache.get(NAME)
        world.source.rotate(NAME)
        gate = Gate()
        world.source.gates = [gate]
        world.clock.advance(101)
        assert world.cache.get(NAME).number == 1
        assert world.cache.get_many([NAME])[NAME].number == 1
        assert world.cache.statistics().stale == 2
        gate.open()
        wait_for_no_threads()
        assert world.cache.get(NAME).number == 2
        assert len(world.calls) == 2

    def test_beyond_its_limit_it_stands_in_no_longer(self) -> None:
        """Its time ends while the caller waits: then they wait for the reading."""
        world = World(max_wait=0.01)
        world.cache.get(NAME)
        world.source.rotate(NAME)
        gate = Gate()
        world.source.gates = [gate]
        world.clock.advance(149)
        engine = world.cache._engine
        stands_in = engine.stands_in

        def later(entry: Any) -> bool:
            world.clock.advance(1)
            gate.open()
            return stands_in(entry)

        engine.stands_in = later  # type: ignore[method-assign]
        assert world.cache.get(NAME).number == 2

    def test_beyond_its_own_expiry_it_does_not_stand_in(self) -> None:
        """The secret's ``expires_at`` passes while nobody answers."""
        world = World()
        expires = datetime.fromtimestamp(world.clock.now() / 1000 + 110, UTC)
        world.source.rotate(NAME, expires_at=expires)
        world.cache.get(NAME)
        gate = Gate()
        world.source.gates = [gate]
        world.source.failing = StoreUnavailableError("out of reach")
        world.clock.advance(101)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(world.cache.get, NAME)
            gate.reached()
            world.clock.advance(10)
            gate.open()
            assert isinstance(asking.exception(), StoreUnavailableError)

    def test_where_no_thread_can_be_started_the_caller_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the end of the interpreter, or at the limit of threads."""
        world = World()
        world.cache.get(NAME)
        world.source.rotate(NAME)
        world.clock.advance(101)

        def no_more(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", no_more)
        assert world.cache.get(NAME).number == 2

    def test_few_threads_read_many_secrets_ahead(self) -> None:
        """Four at once, and none when all is done."""
        names = [f"n{number}" for number in range(50)]
        world = World(*names)
        world.cache.get_many(names)
        world.clock.advance(96)
        gates = [Gate() for _ in names]
        world.source.gates = list(gates)
        world.cache.get_many(names)
        gates[3].reached()
        assert len([thread for thread in threading.enumerate() if thread.name == "dynastash-cache"]) == 4
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "dynastash-cache")
        for gate in gates:
            gate.open()
        wait_for_no_threads()
        assert world.cache.statistics().refreshes == 50
        assert world.cache.statistics().hits == 50


def wait_for_no_threads() -> None:
    """Until the background has nothing left to do."""
    for thread in threading.enumerate():
        if thread.name == "dynastash-cache":
            thread.join(60)
            assert not thread.is_alive()


FORK = """
import os, sys, threading, faulthandler
faulthandler.dump_traceback_later(60, exit=True)
from tests.unit.cache_kit import NAME, Gate, World

world = World(NAME, "other")
stop = threading.Event()

def churn():
    while not stop.is_set():
        world.cache.get(NAME)
        world.cache.invalidate(NAME)

threads = [threading.Thread(target=churn, daemon=True) for _ in range(4)]
for thread in threads: thread.start()
def in_child(check):
    child = os.fork()
    if child == 0:
        try:
            check()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def works():
    world.source._lock = threading.Lock()
    assert world.cache.statistics().hits == 0
    assert world.cache.get(NAME).number == 1
    world.cache.invalidate(NAME)
    assert world.cache.get(NAME).number == 1

failed = sum(in_child(works) for _ in range(100))
stop.set()
for thread in threads: thread.join()
assert failed == 0, failed

# What is kept is kept in the child; what was being read is not waited for; each child renews at its own time.
world = World(NAME, "other")
world.cache.get(NAME)
gate = Gate()
world.source.gates = [gate]
reading = threading.Thread(target=world.cache.get, args=("other",))
reading.start()
gate.reached()
def kept():
    world.source.calls.clear()
    assert world.cache.get(NAME).number == 1 and world.source.calls == []
    assert world.cache.get("other").number == 1 and world.source.calls == ["other"]
    world.clock.advance(96)
    world.source.rotate(NAME)
    world.cache.get(NAME)
    for thread in threading.enumerate():
        if thread.name == "dynastash-cache": thread.join()
    assert world.cache.get(NAME).number == 2
assert in_child(kept) == 0

read, write = os.pipe()
def moment():
    os.write(write, f"{next(iter(world.cache._engine._entries)).renew_after} ".encode())
assert [in_child(moment) for _ in range(5)] == [0] * 5
assert len(set(os.read(read, 4096).split())) == 5
gate.open()
reading.join()
assert world.cache.get("other").number == 1

del world  # a cache that is gone takes no part any more
assert in_child(lambda: None) == 0
print("done")
"""


def test_it_survives_forks() -> None:
    """While other threads are in the middle of it: a hundred children, none of which waits for a lock of theirs."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1:] == ["done"], done.stdout + done.stderr


def test_errors_pass_through_a_secret_is_not_in_them() -> None:
    """A failure's exception has no value of another secret that was read beside it."""
    world = World(NAME, "other")
    found: Secret = world.cache.get(NAME)
    world.source.failures["other"] = StoreUnavailableError("out of reach")
    with pytest.raises(DynastashError) as caught:
        world.cache.get_many([NAME, "other"])
    assert found.text not in repr(caught.value) + str(caught.value.__dict__)
