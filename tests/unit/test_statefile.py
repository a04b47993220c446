"""The high-water mark in a file: kept across processes, never lowered, and never ignored."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dynastash
from dynastash.config import load, resolve
from dynastash.errors import ConfigError, DynastashError, RollbackError
from dynastash.models import Head, State
from dynastash.stash.api import Stash
from dynastash.statefile import StateFile
from tests.property.strategies import steady
from tests.unit.stash_kit import HEAD, World, mode, v


def opened(world: World, path: Path, store: str = "the store") -> Stash:
    """A process that begins, as far as the stash can tell."""
    return Stash(
        world.environment,
        world.store,
        world.keys,
        identity=lambda: "test:somebody",
        clock=world.clock,
        seen=StateFile(path, world.environment, lambda: store),
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "marks.json"


def head(name: str, last: int, revision: int) -> Head:
    return Head(
        name=name,
        last=last,
        revision=revision,
        pruned_below=1,
        state=State.ACTIVE,
        created_ms=0,
        updated_ms=0,
        updated_by="x",
        current=last,
    )


def marks(path: Path, environment: str = "prod", store: str = "the store") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["marks"][environment][store]
    return found


def put_back(world: World, name: str, change: Callable[[], object]) -> None:
    """The complete state of ``name`` as it was before ``change``."""
    old = [world.item(name, record) for record in world.records(name)]
    change()
    for record in world.records(name):
        world.sql("DELETE FROM heads WHERE name = ?", [name])
        world.drop(name, record)
    for item in old:
        world.write(item)


class TestMarks:
    """What is in the file, and what it does."""

    def test_another_process_refuses_what_was_put_back(self, world: World, path: Path) -> None:
        """By whatever way it looks: nobody who shares the file is fooled, and everybody else is."""
        first = opened(world, path)
        first.put("n", "old")
        first.put("m", "other")
        put_back(world, "n", lambda: first.put("n", "new"))
        second = opened(world, path)
        for call in (
            lambda: second.get("n"),
            lambda: second.get("n", version=1),
            lambda: second.put("n", "newer"),
            lambda: second.history("n"),
            lambda: second.delete("n"),
            lambda: second.destroy("n"),
            lambda: second.prune("n", keep=1),
            lambda: list(second.rewrap("n")),
        ):
            with pytest.raises(RollbackError):
                call()
        with pytest.raises(DynastashError) as caught:
            second.get_many(["n", "m"])
        assert "earlier state" in str(caught.value)
        assert [f.problem for result in second.verify() for f in result.findings] == ["rolled back"]
        assert world.fresh().get("n").text == "old"

    def test_another_process_misses_what_is_gone(self, world: World, path: Path) -> None:
        """A secret that was seen does not vanish without notice."""
        opened(world, path).put("n", "x")
        world.sql("DELETE FROM heads")
        world.sql("DELETE FROM records")
        with pytest.raises(RollbackError):
            opened(world, path).get("n")
        found = [f.problem for result in opened(world, path).verify() for f in result.findings]
        assert found == ["missing", "rolled back"]

    def test_an_undone_change_of_the_head_is_noticed(self, world: World, path: Path) -> None:
        """The same versions, an earlier revision: a deletion taken back by somebody without a key."""
        first = opened(world, path)
        first.put("n", "x")
        put_back(world, "n", lambda: first.delete("n"))
        with pytest.raises(RollbackError):
            opened(world, path).get("n")

    def test_readers_raise_it_too(self, world: World, path: Path) -> None:
        """One who only ever reads remembers what it saw, of one secret and of many; a verification, of all."""
        for name in ("a", "b", "c", "d"):
            world.stash.put(name, "x")
        opened(world, path).get("a")
        assert marks(path) == {"a": [1, 1]}
        opened(world, path).get_many(["b", "c"])
        assert marks(path) == {"a": [1, 1], "b": [1, 1], "c": [1, 1]}
        list(opened(world, path).verify(structure_only=True))
        assert "d" not in marks(path)
        list(opened(world, path).verify())
        assert marks(path)["d"] == [1, 1]

    def test_a_bulk_read_writes_it_once(self, world: World, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And a read that finds nothing new, not at all."""
        import dynastash.statefile as module

        written: list[int] = []
        replace = module.replace_file
        monkeypatch.setattr(module, "replace_file", lambda path, data: (written.append(len(data)), replace(path, data)))
        for number in range(20):
            world.stash.put(f"n/{number}", "x")
        stash = opened(world, path)
        stash.get_many(prefix="n/")
        assert len(written) == 1
        stash.get_many(prefix="n/")
        opened(world, path).get("n/1")
        assert len(written) == 1
        stash.put("n/1", "y")
        assert len(written) == 2

    def test_a_verification_under_way_delays_nobody_s_mark(self, world: World, path: Path) -> None:
        """Half-read, its generator stands still: a put meanwhile is in the file when it returns."""
        stash = opened(world, path)
        for number in range(40):
            stash.put(f"n/{number}", "x")
        verifying = stash.verify()
        next(verifying)
        stash.put("n/1", "y")
        assert marks(path)["n/1"] == [2, 2]
        with stash._reader.seen.together():  # a bulk read in another thread
            stash.put("n/2", "y")
            assert marks(path)["n/2"] == [2, 2]

    def test_environments_and_stores_have_marks_of_their_own(self, world: World, path: Path, tmp_path: Path) -> None:
        """The same name elsewhere is another secret."""
        opened(world, path).put("n", "1")
        opened(world, path).put("n", "2")
        other = World(tmp_path / "other", "dev")
        opened(other, path).put("n", "1")
        second = World(tmp_path / "second")
        opened(second, path, "another store").put("n", "1")
        assert marks(path) == {"n": [2, 2]}
        assert marks(path, "dev") == marks(path, "prod", "another store") == {"n": [1, 1]}
        assert opened(second, path, "another store").get("n").text == "1"

    def test_a_mark_never_falls(self, path: Path) -> None:
        """Neither number, whoever observes what, and however late."""
        one, other = (StateFile(path, "prod", lambda: "the store") for _ in range(2))
        one.observe(head("n", 5, 9))
        other.observe(head("n", 4, 10))
        one.observe(head("n", 3, 3))
        assert marks(path) == {"n": [5, 10]}
        assert one.floor("n") == other.floor("n") == (5, 10)
        assert one.floor("m") == (0, 0)
        assert list(other.names()) == ["n"]

    def test_another_s_marks_are_taken_over_at_once(self, path: Path) -> None:
        """A floor is what the file says when the read begins."""
        one, other = (StateFile(path, "prod", lambda: "the store") for _ in range(2))
        assert one.floor("n") == (0, 0)
        other.observe(head("n", 5, 9))
        assert one.floor("n") == (5, 9)


class TestFile:
    """The file itself."""

    def test_it_is_private_and_whole(self, world: World, path: Path) -> None:
        """0600 in 0700, whatever the umask; no other file is left but the lock's."""
        before = os.umask(0)
        try:
            opened(world, path).put("n", "x")
        finally:
            os.umask(before)
        assert mode(path) == 0o600
        assert mode(path.parent) == 0o700
        assert {file.name for file in path.parent.iterdir()} == {"marks.json", "marks.json.lock"}
        assert json.loads(path.read_text()) == {
            "kind": "dynastash high-water marks",
            "format": 1,
            "marks": {"prod": {"the store": {"n": [1, 1]}}},
        }

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"1",
            b'"x"',
            b"\xff",
            b'{"kind": "dynastash high-water marks", "format": 1}',
            b'{"kind": "other", "format": 1, "marks": {}}',
            b'{"kind": "dynastash high-water marks", "format": 2, "marks": {}}',
            b'{"kind": "dynastash high-water marks", "format": 1, "marks": []}',
            b'{"kind": "dynastash high-water marks", "format": 1, "marks": {}, "more": 1}',
            *[
                b'{"kind": "dynastash high-water marks", "format": 1, "marks": {"prod": {"the store": %s}}}' % inner
                for inner in (
                    b"1",
                    b"[]",
                    b'{"n": 1}',
                    b'{"n": [1]}',
                    b'{"n": [1, 1, 1]}',
                    b'{"n": [1, "1"]}',
                    b'{"n": [1.0, 1]}',
                    b'{"n": [true, 1]}',
                    b'{"n": [0, 1]}',
                    b'{"n": [1, 0]}',
                    b'{"n": [10000000000, 1]}',
                    b'{"n": [1, 1' + b"0" * 38 + b"]}",
                    b'{"n": [1, ' + b"1" * 5000 + b"]}",
                    b'{"../n": [1, 1]}',
                )
            ],
            b"[" * 100_000,
        ],
    )
    def test_what_cannot_be_read_is_not_ignored(self, world: World, path: Path, text: bytes) -> None:
        """Nothing is read from the store, let alone written to it, and the file stays as it is."""
        world.stash.put("n", "x")
        path.parent.mkdir(mode=0o700)
        path.write_bytes(text)
        path.chmod(0o600)
        for call in (lambda: opened(world, path).get("n"), lambda: opened(world, path).put("n", "y")):
            with pytest.raises(ConfigError, match="damaged"):
                call()
        assert world.fresh().get("n").number == 1
        assert path.read_bytes() == text

    def test_a_file_that_is_too_large_is_refused(
        self, world: World, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before it fills the memory."""
        opened(world, path).put("n", "x")
        monkeypatch.setattr("dynastash.statefile._MAX_BYTES", 50)
        with pytest.raises(ConfigError, match="damaged"):
            opened(world, path).get("n")

    @pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o666])
    def test_a_file_that_is_open_to_others_is_refused(self, world: World, path: Path, bits: int) -> None:
        """They could lower a mark."""
        opened(world, path).put("n", "x")
        path.chmod(bits)
        with pytest.raises(ConfigError, match="open to other users"):
            opened(world, path).get("n")

    def test_a_directory_that_is_open_to_others_is_refused(self, world: World, path: Path) -> None:
        """They could put another file in its place."""
        path.parent.mkdir()
        path.parent.chmod(0o777)
        with pytest.raises(ConfigError, match="written by other users"):
            opened(world, path).get("n")

    def test_another_user_s_file_is_refused(self, world: World, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They could write what they like."""
        opened(world, path).put("n", "x")
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
        if path.stat().st_uid == 0:  # root's files are nobody's to fear
            os.chown(path, mine + 2, -1)
        with pytest.raises(ConfigError, match="belongs to another user"):
            opened(world, path).get("n")

    def test_what_is_no_file_is_refused(self, world: World, path: Path) -> None:
        """A directory, a pipe."""
        path.mkdir(parents=True, mode=0o700)
        with pytest.raises(ConfigError, match="is not a file"):
            opened(world, path).get("n")
        path.rmdir()
        os.mkfifo(path, 0o600)
        with pytest.raises(ConfigError, match="is not a file"):
            opened(world, path).get("n")

    def test_a_file_that_cannot_be_written_is_an_error(
        self, world: World, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk: the write to the store is done, the mark is not kept, and that is said; no rubbish stays."""
        opened(world, path).put("n", "x")
        before = path.read_bytes()

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(ConfigError, match="No space left"):
                opened(world, path).put("n", "y")
        assert path.read_bytes() == before
        assert {file.name for file in path.parent.iterdir()} == {"marks.json", "marks.json.lock"}
        assert opened(world, path).get("n").text == "y"
        assert marks(path) == {"n": [2, 2]}

    def test_removed_it_begins_anew(self, world: World, path: Path) -> None:
        """Whoever restores an old backup on purpose removes the file; this process still remembers."""
        first = opened(world, path)
        first.put("n", "old")
        put_back(world, "n", lambda: first.put("n", "new"))
        path.unlink()
        with pytest.raises(RollbackError):
            first.get("n")
        assert opened(world, path).get("n").text == "old"
        assert marks(path) == {"n": [1, 1]}

    @given(text=st.text(max_size=40) | st.text('{}[]",:0123456789 aekmnrst', max_size=60))
    @steady(200)
    def test_any_text_is_a_config_error_or_nothing(self, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
        """No other error comes of whatever the file holds."""
        path = tmp_path_factory.getbasetemp() / "fuzzed-state" / "marks.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
        path.chmod(0o600)
        with pytest.raises(ConfigError):
            StateFile(path, "prod", lambda: "the store").floor("n")


def _observe(path: Path, worker: int, count: int) -> None:
    seen = StateFile(path, "prod", lambda: "the store")
    for number in range(1, count + 1):
        seen.observe(head("shared", number, 10 * number + worker))
        seen.observe(head(f"own/{worker}", number, number))


class TestSharing:
    """Several at once."""

    def test_processes(self, path: Path) -> None:
        """No mark is lost between four that write the same file: each one's own, and the highest of the shared."""
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=_observe, args=(path, worker, 25)) for worker in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        assert marks(path) == {"shared": [25, 253], **{f"own/{worker}": [25, 25] for worker in range(4)}}

    def test_threads(self, path: Path) -> None:
        """Of one object."""
        seen = StateFile(path, "prod", lambda: "the store")

        def observe(worker: int) -> None:
            for number in range(1, 20):
                with seen.together():
                    seen.observe(head("shared", number, number))
                    seen.observe(head(f"own/{worker}", number, number))

        threads = [threading.Thread(target=observe, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert marks(path) == {"shared": [19, 19], **{f"own/{worker}": [19, 19] for worker in range(4)}}

    def test_a_fork_while_a_thread_holds_the_lock(self, path: Path) -> None:
        """The child does not wait for a thread that it does not have."""
        seen = StateFile(path, "prod", lambda: "the store")
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with seen._alone():
                entered.set()
                leave.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        entered.wait()
        import warnings

        with warnings.catch_warnings():  # forking among threads is what is tested
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                seen.observe(head("n", 2, 2))
            finally:
                os._exit(0 if path.exists() else 1)
        _, status = os.waitpid(child, 0)
        leave.set()
        thread.join()
        assert status == 0
        assert seen.floor("n") == (2, 2)


class TestConfigured:
    """By the setting and by the variable."""

    def test_where_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Relative to the configuration file; the variable wins over the file, an argument over both."""
        file = tmp_path / "dynastash.toml"
        file.write_text('[env.prod]\nstate = "marks/prod.json"\n[env.scratch]\nstore = "sqlite"\nstate = "/s.json"\n')
        found = load(tmp_path, {})
        assert resolve("prod", configuration=found, variables={}).state == tmp_path / "marks" / "prod.json"
        assert resolve("scratch", configuration=found, variables={}).state == Path("/s.json")
        assert resolve("local", configuration=found, variables={}).state is None
        variables = {"DYNASTASH_STATE": "~/marks.json", "HOME": "/home/somebody"}
        monkeypatch.setenv("HOME", "/home/somebody")
        for name in ("prod", "scratch", "local"):
            assert resolve(name, configuration=found, variables=variables).state == Path("/home/somebody/marks.json")
        given = resolve("prod", configuration=found, variables=variables, overrides={"state": "/t.json"})
        assert given.state == Path("/t.json")

    def test_a_setting_of_another_type_is_refused(self, tmp_path: Path) -> None:
        """It would be ignored otherwise."""
        (tmp_path / "dynastash.toml").write_text("[env.prod]\nstate = true\n")
        with pytest.raises(ConfigError, match="state"):
            load(tmp_path, {})

    def test_an_embedded_environment_uses_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """From connect on: restored from yesterday's copy, the store is refused today."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DYNASTASH_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("DYNASTASH_STATE", str(tmp_path / "state" / "marks.json"))
        dynastash.connect("local").put("n", "old")
        world = World(tmp_path, "local")
        world.path = tmp_path / "data" / "local.db"
        put_back(world, "n", lambda: dynastash.connect("local").put("n", "new"))
        with pytest.raises(RollbackError):
            dynastash.connect("local").get("n")
        monkeypatch.delenv("DYNASTASH_STATE")
        assert dynastash.connect("local").get("n").text == "old"
        assert marks(tmp_path / "state" / "marks.json", "local", str(world.path)) == {"n": [2, 2]}

    def test_a_table_is_told_by_how_it_is_reached(self, tmp_path: Path) -> None:
        """Region, table, endpoint, profile, role: two accounts' tables of one name are not taken for one."""
        import boto3

        from dynastash.wiring import open_environment

        def store_of(**settings: str | None) -> str:
            session = boto3.Session(region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
            overrides = {"state": str(tmp_path / "marks.json"), "region": "eu-west-1", **settings}
            stash = open_environment(resolve("prod", variables={}, overrides=overrides), session=session)
            seen = stash._reader.seen
            assert isinstance(seen, StateFile)
            return seen._store()

        assert store_of() == "table dynastash-prod in eu-west-1"
        role = "arn:aws:iam::111122223333:role/reader"
        found = [
            store_of(),
            store_of(role_arn=role),
            store_of(profile="p"),
            store_of(endpoint_url="http://localhost:1"),
        ]
        found.append(store_of(table="other"))
        assert len(set(found)) == 5


def test_without_it_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark of a process is its own, and ends with it."""
    world = World(tmp_path)
    world.stash.put("n", "x")
    assert {file.name.partition("-")[0] for file in world.path.parent.iterdir()} == {"prod.db"}
    assert world.item("n", HEAD)["last"] == {"N": "1"}
    assert world.records("n") == sorted([v(1), HEAD])
