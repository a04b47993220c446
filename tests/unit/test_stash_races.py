"""Other writers, other moments, other processes: what a client may rely on while things move."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dynastash.errors import (
    ConflictError,
    IntegrityError,
    RollbackError,
    SecretDestroyedError,
    SecretNotFoundError,
    StoreUnavailableError,
)
from dynastash.generate import Password
from dynastash.models import Item
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash.highwater import HighWater
from dynastash.stores.base import Change
from dynastash.stores.sqlite import SQLiteStore
from tests.unit.stash_kit import HEAD, Between, CountingKeys, CountingStore, World, v


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestCost:
    """Reads, writes and calls to the key provider, counted."""

    def test_get(self, world: World) -> None:
        """One read, one unwrap."""
        world.stash.put("n", b"1")
        world.stash.put("n", b"2")
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        world.fresh(store, keys).get("n")
        assert (store.calls, keys.calls) == (["newest"], ["unwrap"])

    def test_get_of_an_earlier_version(self, world: World) -> None:
        """Two reads, two unwraps; of the newest one, one each."""
        for value in (b"1", b"2", b"3"):
            world.stash.put("n", value)
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        world.fresh(store, keys).get("n", version=1)
        assert (store.calls, store.fetched, keys.calls) == (["newest", "fetch"], [v(1)], ["unwrap"] * 2)
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        world.fresh(store, keys).get("n", version=3)
        assert (store.calls, keys.calls) == (["newest"], ["unwrap"])

    def test_get_of_an_earlier_version_where_current_is_not_the_newest(self, world: World) -> None:
        """Both that are missing come with one read."""
        world.stash.generate("n", Password())
        world.stash.generate("n", Password())
        stop_rotation(world)
        world.stash.abort("n")
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        world.fresh(store, keys).get("n", version=1)
        assert (store.calls, store.fetched, keys.calls) == (["newest", "fetch"], [v(1), v(2)], ["unwrap"] * 2)

    def test_put(self, world: World) -> None:
        """One read, one unwrap, one new key, one commit; the first put has nothing to unwrap."""
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        world.fresh(store, keys).put("n", b"1")
        assert (store.calls, keys.calls) == (["newest", "commit"], ["generate"])
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        world.fresh(store, keys).put("n", b"2")
        assert (store.calls, sorted(keys.calls)) == (["newest", "commit"], ["generate", "unwrap"])

    def test_where_calls_wait_the_two_keys_are_asked_side_by_side(self, world: World) -> None:
        """Neither could go on without the other; so can the read and the question who is asking."""
        world.stash.put("n", b"1")
        meeting, reading = threading.Barrier(2), threading.Barrier(2)

        class Waiting(CountingKeys):
            def generate(self, context):  # type: ignore[no-untyped-def]
                meeting.wait(20)
                return super().generate(context)

            def unwrap(self, wrapped, context):  # type: ignore[no-untyped-def]
                meeting.wait(20)
                return super().unwrap(wrapped, context)

        class Reading(Between):
            def newest(self, name: str) -> Sequence[Item]:
                reading.wait(20)
                return super().newest(name)

        def identity() -> str:
            reading.wait(20)
            return "me"

        stash = world.fresh(Reading(world.store), Waiting(world.keys, concurrency=8), identity=identity)
        assert stash.put("n", b"2").number == 2

    def test_get_many(self, world: World) -> None:
        """200 secrets: a read of the heads, a read of the versions, 200 unwraps; by prefix the listing is the first."""
        names = [f"many/{number:03d}" for number in range(200)]
        for name in names:
            world.stash.put(name, name)
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        assert len(world.fresh(store, keys).get_many(names)) == 200
        assert (store.calls, keys.calls) == (["fetch", "fetch"], ["unwrap"] * 200)
        assert store.fetched == [HEAD] * 200 + [v(1)] * 200
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        assert list(world.fresh(store, keys).get_many(prefix="many/")) == names
        assert (store.calls, keys.calls) == (["heads", "fetch"], ["unwrap"] * 200)

    def test_get_many_asks_many_at_once_and_no_more_than_allowed(self, world: World) -> None:
        """As many as the key provider finds worth while."""
        for number in range(12):
            world.stash.put(f"n{number}", b"")
        flying, most, lock = 0, 0, threading.Lock()
        full = threading.Barrier(4)

        class Waiting(CountingKeys):
            def unwrap(self, wrapped, context):  # type: ignore[no-untyped-def]
                nonlocal flying, most
                with lock:
                    flying += 1
                    most = max(most, flying)
                full.wait(20)
                with lock:
                    flying -= 1
                return super().unwrap(wrapped, context)

        assert len(world.fresh(keys=Waiting(world.keys, concurrency=4)).get_many(prefix="")) == 12
        assert most == 4

    def test_list_and_history_open_nothing(self, world: World) -> None:
        """Heads only; the head and the versions' public part."""
        world.stash.put("n", b"1")
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        stash = world.fresh(store, keys)
        stash.list()
        assert store.calls == ["heads"]
        stash.history("n")
        assert store.calls == ["heads", "fetch", "history"]
        assert (store.fetched, keys.calls) == ([HEAD], [])
        assert all("ciphertext" not in item for item in store.history("n"))

    def test_verified_list(self, world: World) -> None:
        """One unwrap a secret."""
        world.stash.put("a", b"")
        world.stash.put("b", b"")
        store, keys = CountingStore(world.store), CountingKeys(world.keys)
        assert [info.name for info in world.fresh(store, keys).list(verified=True)] == ["a", "b"]
        assert (store.calls, keys.calls) == (["heads", "fetch", "fetch"], ["unwrap"] * 2)

    def test_abort_opens_the_current_version_alone(self, world: World) -> None:
        """Twice, before and within the change; the pending version never."""
        world.stash.generate("n", Password())
        stop_rotation(world)
        keys = CountingKeys(world.keys)
        world.fresh(keys=keys).abort("n")
        assert keys.calls == ["unwrap"] * 2


def stop_rotation(world: World) -> None:
    """Leave a rotation of ``n`` pending."""
    from dynastash.models import Plaintext

    class Stopping:
        def create(self, rotation: object) -> Plaintext:
            return Plaintext(b"pending")

        def set(self, rotation: object) -> None:
            raise KeyboardInterrupt

        def test(self, rotation: object) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        world.stash.rotate("n", Stopping())


class TwoMoments(Between):
    """A read-committed Query: the head and the newest version of different moments, so many times."""

    def __init__(self, inner: SQLiteStore, times: int, head_is_older: bool) -> None:
        super().__init__(inner)
        self.times = times
        self.older = list(inner.newest("n"))
        self.head_is_older = head_is_older

    def newest(self, name: str) -> Sequence[Item]:
        now = list(super().newest(name))
        if self.times == 0:
            return now
        self.times -= 1
        return [self.older[0], now[1]] if self.head_is_older else [now[0], self.older[1]]


@pytest.mark.parametrize("head_is_older", [True, False])
class TestTwoMoments:
    """Where the newest record is not what the head says, it is read again after 50, 100 and 150 ms."""

    @pytest.mark.parametrize("times", [1, 2, 3])
    @pytest.mark.parametrize("operation", ["get", "get version", "put", "rollback", "rotate", "delete"])
    def test_up_to_three_times(self, world: World, head_is_older: bool, times: int, operation: str) -> None:
        """Readers and writers alike."""
        world.stash.generate("n", Password())
        store = TwoMoments(world.store, times, head_is_older)
        world.stash.put("n", b"2")
        world.clock.slept.clear()
        stash = world.fresh(store)
        calls: dict[str, Callable[[], object]] = {
            "get": lambda: stash.get("n"),
            "get version": lambda: stash.get("n", version=1),
            "put": lambda: stash.put("n", b"3"),
            "rollback": lambda: stash.rollback("n", 1),
            "rotate": lambda: stash.rotate("n"),
            "delete": lambda: stash.delete("n"),
        }
        calls[operation]()
        assert world.clock.slept == [0.05, 0.1, 0.15][:times]

    def test_and_then_no_more(self, world: World, head_is_older: bool) -> None:
        """That is no coincidence."""
        world.stash.put("n", b"1")
        store = TwoMoments(world.store, 99, head_is_older)
        world.stash.put("n", b"2")
        world.clock.slept.clear()
        for call in (lambda: world.fresh(store).get("n"), lambda: world.fresh(store).put("n", b"3")):
            with pytest.raises(IntegrityError) as caught:
                call()
            assert world.clock.slept == [0.05, 0.1, 0.15]
            assert caught.value.__context__ is None or caught.value.__suppress_context__
            world.clock.slept.clear()


class TestHighWater:
    """What a process has seen of a secret, the store must not take back."""

    def test_an_older_copy_of_the_file(self, world: World, tmp_path: Path) -> None:
        """Restored under the feet of a running process: every way of reading notices, and nothing is written to it."""
        world.stash.put("n", b"1")
        world.store.close()
        copy = tmp_path / "copy.db"
        shutil.copyfile(world.path, copy)
        seen = world.fresh(SQLiteStore(world.path))
        seen.put("n", b"2")
        restore(copy, world.path)
        for call in (
            lambda: seen.get("n"),
            lambda: seen.get("n", version=1),
            lambda: seen.put("n", b"3"),
            lambda: seen.history("n"),
            lambda: seen.rollback("n", 1),
            lambda: seen.delete("n"),
        ):
            with pytest.raises(RollbackError, match=r"version 1, then 2"):
                call()
        assert isinstance(failure_of_many(seen), RollbackError)
        assert world.fresh().get("n").value == b"1"

    def test_a_file_that_went(self, world: World) -> None:
        """Everything seen is missing: a rollback too, and put does not begin again at 1."""
        world.stash.put("n", b"1")
        world.store.close()
        world.path.unlink()
        for call in (lambda: world.stash.get("n"), lambda: world.stash.put("n", b""), lambda: world.stash.history("n")):
            with pytest.raises(RollbackError):
                call()
        assert isinstance(failure_of_many(world.stash), RollbackError)
        assert not world.path.exists()

    def test_a_promote_taken_back(self, world: World) -> None:
        """The same last, an earlier revision: invisible to others, seen by whoever saw the later one."""
        world.stash.generate("n", Password())
        stop_rotation(world)
        before = world.item("n", HEAD)
        world.stash.resume("n", GenerateRotator(Password()))
        world.write(before)
        with pytest.raises(RollbackError):
            world.stash.get("n")
        assert world.fresh().get("n").number == 1

    def test_what_is_not_authentic_is_not_remembered(self, world: World) -> None:
        """Or whoever writes the file could lock everybody out by a head with a high revision."""
        world.stash.put("n", b"1")
        stash = world.fresh()
        good = world.item("n", HEAD)
        world.edit("n", HEAD, revision={"N": "99"})
        with pytest.raises(IntegrityError):
            stash.get("n")
        world.write(good)
        assert stash.get("n").value == b"1"

    def test_the_mark_never_falls(self) -> None:
        """Neither half of it, whatever order observations come in."""
        from dynastash.models import Head, State

        def head(last: int, revision: int) -> Head:
            return Head(
                name="n", last=last, revision=revision, pruned_below=1, state=State.ACTIVE, created_ms=0,
                updated_ms=0, updated_by="", current=1,
            )  # fmt: skip

        seen = HighWater()
        for last, revision in ((3, 5), (2, 4), (3, 4)):
            seen.observe(head(last, revision))
        assert seen.floor("n") == (3, 5)
        assert seen.floor("other") == (0, 0)
        seen.check(head(3, 5), "n", seen.floor("n"))
        for bad in (head(3, 4), head(2, 5), None):
            with pytest.raises(RollbackError):
                seen.check(bad, "n", seen.floor("n"))

    def test_no_false_alarm_among_threads(self, world: World) -> None:
        """Reading and writing one secret at once through one client, in every way there is."""
        stash = world.fresh(SQLiteStore(world.path), clock=RealClock())
        stash.put("n", b"0")
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(40):
                    stash.put("n", str(number))
            finally:
                done.set()

        def read(call: Callable[[], object]) -> int:
            count = 0
            while not done.is_set():
                call()
                count += 1
            return count

        ways: list[Callable[[], object]] = [
            lambda: stash.get("n"),
            lambda: stash.get("n", version=1),
            lambda: stash.get_many(["n"]),
            lambda: stash.get_many(prefix=""),
            lambda: stash.history("n"),
        ]
        with ThreadPoolExecutor(len(ways) + 1) as pool:
            writer = pool.submit(write)
            readers = [pool.submit(read, way) for way in ways]
            writer.result()
            assert all(reader.result() >= 1 for reader in readers)
        assert stash.get("n").number == 41


def restore(copy: Path, path: Path) -> None:
    """As SQLite wants it: the file, and nothing of the old one beside it."""
    copy.chmod(0o600)
    copy.replace(path)
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()


class RealClock:
    """The machine's clock, at a hundredth of its waits."""

    def now(self) -> int:
        from dynastash.clock import SystemClock

        return SystemClock().now()

    def monotonic(self) -> float:
        from dynastash.clock import SystemClock

        return SystemClock().monotonic()

    def sleep(self, seconds: float) -> None:
        from dynastash.clock import SystemClock

        SystemClock().sleep(seconds / 100)


def failure_of_many(stash) -> Exception:  # type: ignore[no-untyped-def]
    from dynastash.errors import PartialError

    with pytest.raises(PartialError) as caught:
        stash.get_many(["n"])
    return caught.value.failures["n"]


class TestLostRaces:
    """Head compare-and-swap, and again."""

    def test_another_writer_in_between(self, world: World) -> None:
        """The loser reads again and takes the next number; nothing is overwritten."""
        world.stash.put("n", b"1")
        racing = Meddled(world.store, lambda: world.fresh().put("n", b"theirs"), 3)
        assert world.fresh(racing).put("n", b"ours").number == 5
        assert [world.fresh().get("n", version=n).value for n in (2, 3, 4, 5)] == [b"theirs"] * 3 + [b"ours"]
        assert len(world.clock.slept) == 3

    def test_the_first_put_can_lose_too(self, world: World) -> None:
        """Two creations, one version each."""
        racing = Meddled(world.store, lambda: world.fresh().put("n", b"theirs"), 1)
        assert world.fresh(racing).put("n", b"ours").number == 2

    def test_if_version_holds_through_a_lost_race(self, world: World) -> None:
        """It is checked against every head that is read."""
        world.stash.put("n", b"1")
        racing = Meddled(world.store, lambda: world.fresh().put("n", b"theirs"), 1)
        with pytest.raises(ConflictError, match="is at version 2, and version 1 was expected"):
            world.fresh(racing).put("n", b"ours", if_version=1)
        assert world.fresh().get("n").value == b"theirs"

    def test_patience_ends(self, world: World) -> None:
        """After 30 seconds of losing, with nothing written; the clock moves by the waits alone."""
        world.stash.put("n", b"1")
        started = world.clock.monotonic()
        racing = Meddled(world.store, lambda: None, 10_000, always=True)
        with pytest.raises(ConflictError, match="other writers kept changing n"):
            world.fresh(racing).put("n", b"ours")
        assert 25 < world.clock.monotonic() - started <= 30
        assert world.records("n") == [v(1), HEAD]

    def test_a_failing_store_is_not_asked_again(self, world: World) -> None:
        """Only a lost race is: what else went wrong is the caller's to judge."""

        class Full(Between):
            def commit(self, change: Change) -> None:
                raise StoreUnavailableError("full")

        with pytest.raises(StoreUnavailableError, match="full"):
            world.fresh(Full(world.store)).put("n", b"")
        assert world.clock.slept == []

    def test_rollback_and_rotate_give_way(self, world: World) -> None:
        """What they were decided on has changed: they refuse instead of undoing somebody's put."""
        world.stash.generate("n", Password())
        world.stash.put("n", b"2")
        for operation in ("rollback", "rotate"):
            racing = Meddled(world.store, lambda: world.fresh().put("n", b"theirs"), 1)
            with pytest.raises(ConflictError):
                getattr(world.fresh(racing), operation)("n")
            assert world.fresh().get("n").value == b"theirs"

    def test_a_rollback_does_not_begin_a_destroyed_secret_anew(self, world: World) -> None:
        """Erased after the old value was read: that is said, and erased it stays."""
        world.stash.put("n", b"1")
        world.stash.put("n", b"2")
        racing = Meddled(world.store, lambda: world.fresh().destroy("n"), 1)
        with pytest.raises(SecretDestroyedError):
            world.fresh(racing).rollback("n")
        assert world.stash.list()[0].current is None


class Meddled(Between):
    """Lets ``other`` happen before the first commits."""

    def __init__(self, inner: SQLiteStore, other: Callable[[], object], times: int, always: bool = False) -> None:
        super().__init__(inner)
        self.other, self.times, self.always = other, times, always

    def commit(self, change: Change) -> None:
        if self.times:
            self.times -= 1
            self.other()
            if self.always:
                raise ConflictError("lost")
        super().commit(change)


PROCESS = """
    import sys
    from pathlib import Path
    from dynastash.keys.local import LocalKeys, key_from_file
    from dynastash.stash.api import Stash
    from dynastash.stores.sqlite import SQLiteStore

    def client(path):
        store = SQLiteStore(Path(path))
        keys = LocalKeys(lambda: key_from_file(Path(path).with_suffix(".key"), create=lambda: not store.exists()))
        return Stash("prod", store, keys, identity=lambda: "test")

    stash = client(sys.argv[1])
    sys.stdout.write("ready\\n"); sys.stdout.flush()
    sys.stdin.readline()
"""


def processes(count: int, path: Path, code: str) -> list[subprocess.Popen[str]]:
    """So many interpreters that have all started, and wait for a line on standard input."""
    program = textwrap.dedent(PROCESS) + textwrap.dedent(code)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
    return started


def outcome(started: list[subprocess.Popen[str]]) -> list[str]:
    """Let them all go, and what each printed; none may fail."""
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = []
    for process in started:
        out, err = process.communicate()
        assert (process.returncode, err) == (0, "")
        printed.append(out.strip())
    return printed


def test_twenty_processes_put_one_name_at_once(tmp_path: Path) -> None:
    """On an empty directory: one key, one store, and the versions 1 to 20, each with the value of its own writer."""
    path = tmp_path / "deep" / "down" / "prod.db"
    printed = outcome(processes(20, path, "print(stash.put('n', sys.argv[2]).number)"))
    assert sorted(map(int, printed)) == list(range(1, 21))
    read = "print([stash.get('n', version=n).text for n in range(1, 21)], [v.number for v in stash.history('n')])"
    (told,) = outcome(processes(1, path, read))
    writers = {int(number): str(writer) for writer, number in enumerate(printed)}
    assert told == f"{[writers[number] for number in range(1, 21)]} {list(range(1, 21))}"
    assert sorted(found.name for found in path.parent.iterdir()) == ["prod.db", "prod.key"]


def test_eight_threads_put_several_names_through_one_stash(world: World) -> None:
    """Gapless for each name, and every value under the number that its put returned."""
    stash = world.fresh(clock=RealClock())

    def write(writer: int) -> list[tuple[str, int, bytes]]:
        made = []
        for turn in range(6):
            name, value = f"n{turn % 3}", f"{writer}/{turn}".encode()
            made.append((name, stash.put(name, value).number, value))
        return made

    with ThreadPoolExecutor(8) as pool:
        made = [put for puts in pool.map(write, range(8)) for put in puts]
    for name in ("n0", "n1", "n2"):
        assert sorted(number for other, number, _ in made if other == name) == list(range(1, 17))
    assert all(stash.get(name, version=number).value == value for name, number, value in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the test runner may have threads of its own
def test_a_forked_child_and_its_parent_share_the_store(world: World) -> None:
    """The child's connection is its own; what it wrote, the parent reads, and the other way round."""
    world.stash.put("n", b"parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert world.stash.get("n").value == b"parent"
            assert world.stash.put("n", b"child").number == 2
            world.store.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert world.stash.get("n").value == b"child"
    assert world.stash.put("n", b"parent again").number == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_another_threads_write(world: World) -> None:
    """The child gets no lock that nobody releases, and does not close what the parent's thread is writing with."""
    world.stash.put("n", b"1")
    seen = world.stash._reader.seen
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Between):
        def commit(self, change: Change) -> None:
            with world.store._transaction() as connection:
                connection.execute("UPDATE records SET item = item")
                inside.set()
                go_on.wait(20)

    def hold() -> None:
        with seen._lock:
            Slow(world.store).commit(None)  # type: ignore[arg-type]

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(20)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert world.stash.get("n").value == b"1"
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    thread.join()
    assert world.stash.put("n", b"2").number == 2
    assert world.sql("PRAGMA integrity_check") == [("ok",)]


def test_a_process_killed_between_writes_leaves_a_whole_store(tmp_path: Path) -> None:
    """kill -9 among hundreds of puts: what was acknowledged is there, and everything verifies."""
    path = tmp_path / "prod.db"
    for _ in range(2):
        (process,) = processes(1, path, "for n in range(10**6): print(stash.put('n', bytes(5000)).number, flush=True)")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        acknowledged = 0
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged % 30 == 29:
                break
        process.kill()
        rest = process.stdout.read().split("\n")[:-1]
        process.communicate()
        acknowledged = max([acknowledged, *map(int, rest)])
        check = """
            numbers = [version.number for version in stash.history('n')]
            assert numbers == list(range(1, len(numbers) + 1))
            assert all(len(stash.get('n', version=number).value) == 5000 for number in numbers)
            assert len(stash.list(verified=True)) == 1
            print(len(numbers))
        """
        (count,) = outcome(processes(1, path, check))
        assert acknowledged <= int(count) <= acknowledged + 1


def test_history_of_a_secret_that_comes_into_being(world: World) -> None:
    """Between the read of the head and that of the versions: read again, not called an attack."""

    class Early(Between):
        first = True

        def history(self, name: str):  # type: ignore[no-untyped-def]
            if self.first:
                self.first = False
                world.fresh().put("n", b"1")
            return super().history(name)

    assert [version.number for version in world.fresh(Early(world.store)).history("n")] == [1]
    assert world.clock.slept == [0.05]


def test_history_of_a_secret_that_is_written_all_the_time(world: World) -> None:
    """It is of the moment of its head; however busy the writers are, that is not called an attack, nor waited for."""

    class Busy(Between):
        def history(self, name: str):  # type: ignore[no-untyped-def]
            world.fresh().put("n", b"one more")
            return super().history(name)

    world.stash.put("n", b"1")
    world.stash.put("n", b"2")
    history = world.fresh(Busy(world.store)).history("n")
    assert [(version.number, version.stages) for version in history] == [(1, ("previous",)), (2, ("current",))]
    assert world.clock.slept == []
    with pytest.raises(SecretNotFoundError):
        world.stash.history("other")
