"""The embedded store on a real file system: permissions, damage, full disks, locks, restores."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from dynastash.errors import (
    ConfigError,
    ConflictError,
    DynastashError,
    FormatError,
    StoreAccessDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreUnavailableError,
)
from dynastash.models import WrappedKey
from dynastash.stores.base import Change, HeadMark, RecordKey
from dynastash.stores.itemjson import decode_item, encode_item
from dynastash.stores.sqlite import SQLiteStore
from dynastash.testing.contracts import first, following, head_item, same, version_item
from tests.unit.stash_kit import HEAD, World, mode, v


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "prod.db"


@pytest.fixture
def store(path: Path) -> SQLiteStore:
    """A store that holds one secret."""
    store = SQLiteStore(path)
    store.commit(first("n"))
    return store


@pytest.fixture
def umask() -> Iterator[None]:
    """As loose as it gets."""
    before = os.umask(0)
    yield
    os.umask(before)


class TestPermissions:
    """Nobody else reads it."""

    def test_whatever_the_umask(self, umask: None, tmp_path: Path) -> None:
        """0600 for the file and what SQLite puts beside it, 0700 for the directory and its missing parents."""
        path = tmp_path / "a" / "b" / "prod.db"
        store = SQLiteStore(path)
        store.commit(first("n"))
        store.commit(following("n", 1, 1))
        found = {file.name: mode(file) for file in path.parent.iterdir()}
        assert found == {"prod.db": 0o600, "prod.db-wal": 0o600, "prod.db-shm": 0o600}
        assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)

    def test_a_strict_umask_does_not_lock_its_owner_out(self, path: Path) -> None:
        """The mode is set, and not only asked for."""
        before = os.umask(0o777)
        try:
            SQLiteStore(path.parent.parent / "prod.db")
            path.parent.mkdir()
            path.parent.chmod(0o700)
            SQLiteStore(path).commit(first("n"))
        finally:
            os.umask(before)
        assert mode(path) == 0o600

    @pytest.mark.parametrize("loose", [0o640, 0o604, 0o620, 0o602, 0o666])
    def test_a_file_open_to_others_is_refused(self, store: SQLiteStore, path: Path, loose: int) -> None:
        """With the command that mends it; for reading and for writing."""
        store.close()
        path.chmod(loose)
        for call in (lambda: store.newest("n"), lambda: store.commit(following("n", 1, 1))):
            with pytest.raises(ConfigError, match="open to other users") as caught:
                call()
            assert caught.value.hint == f"run `chmod 600 {path}`"
        path.chmod(0o600)
        assert store.newest("n")

    @pytest.mark.parametrize("loose", [0o770, 0o720, 0o702, 0o777])
    def test_a_directory_that_others_may_write_to_is_refused(self, store: SQLiteStore, path: Path, loose: int) -> None:
        """They could put another file in its place; reading the directory is no harm."""
        store.close()
        path.parent.chmod(loose)
        with pytest.raises(ConfigError, match="can be written by other users") as caught:
            store.newest("n")
        assert f"chmod 700 {path.parent}" in (caught.value.hint or "")
        path.parent.chmod(0o755)
        assert store.newest("n")

    def test_behind_a_link_the_same_holds(self, tmp_path: Path) -> None:
        """SQLite keeps its -wal and -shm files where the link leads; a link to nowhere is refused."""
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "private").mkdir()
        target, link = tmp_path / "elsewhere" / "real.db", tmp_path / "private" / "prod.db"
        link.symlink_to(target)
        with pytest.raises(StoreAccessDeniedError):
            SQLiteStore(link).commit(first("n"))
        SQLiteStore(target).commit(first("n"))
        assert SQLiteStore(link).newest("n")
        (tmp_path / "elsewhere").chmod(0o777)
        with pytest.raises(ConfigError, match="can be written by other users"):
            SQLiteStore(link).newest("n")

    def test_a_read_only_directory(self, unprivileged: Path) -> None:
        """Nothing can be made there."""
        (unprivileged / "private").mkdir(mode=0o500)
        for path in (unprivileged / "private" / "prod.db", unprivileged / "private" / "deep" / "prod.db"):
            store = SQLiteStore(path)
            assert list(store.newest("n")) == []
            with pytest.raises(StoreAccessDeniedError) as caught:
                store.commit(first("n"))
            assert caught.value.code == "EACCES"
        assert list((unprivileged / "private").iterdir()) == []

    def test_an_unreadable_directory_and_file(self, unprivileged: Path) -> None:
        """Denied is not the same as empty: put would begin again at 1."""
        path = unprivileged / "private" / "prod.db"
        store = SQLiteStore(path)
        store.commit(first("n"))
        store.close()
        for locked, usual in ((path, 0o600), (path.parent, 0o700)):
            locked.chmod(0)
            try:
                for call in (lambda: store.newest("n"), lambda: store.commit(first("m")), lambda: list(store.heads())):
                    with pytest.raises(StoreAccessDeniedError):
                        call()
            finally:
                locked.chmod(usual)
        assert store.newest("n")

    def test_a_read_only_file(self, unprivileged: Path) -> None:
        """Refused when it is written; the error says so."""
        path = unprivileged / "private" / "prod.db"
        store = SQLiteStore(path)
        store.commit(first("n"))
        store.close()
        path.chmod(0o400)
        with pytest.raises(StoreAccessDeniedError, match="cannot be opened or written") as caught:
            store.commit(following("n", 1, 1))
        assert (caught.value.code or "").startswith("SQLITE_READONLY")


class TestDamage:
    """Whatever stands in the place of the file, the answer is one of our errors."""

    def test_not_a_file(self, path: Path) -> None:
        """A directory, or a directory that is a file."""
        path.mkdir(parents=True)
        for call in (lambda: SQLiteStore(path).newest("n"), lambda: SQLiteStore(path).commit(first("n"))):
            with pytest.raises(ConfigError, match="is not a file"):
                call()
        path.rmdir()
        path.parent.rmdir()
        path.parent.write_text("x")
        with pytest.raises(DynastashError):
            SQLiteStore(path).commit(first("n"))

    def test_a_foreign_or_empty_file(self, path: Path) -> None:
        """An SQLite file of somebody else's is left alone; so is an empty one."""
        path.parent.mkdir(mode=0o700)
        path.touch(mode=0o600)
        for prepare in ("SELECT 1", "CREATE TABLE records (name TEXT)"):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(prepare)
            before = path.read_bytes()
            for call in (lambda: SQLiteStore(path).newest("n"), lambda: SQLiteStore(path).commit(first("n"))):
                with pytest.raises(StoreNotFoundError, match="not a dynastash store"):
                    call()
            assert path.read_bytes() == before

    def test_an_empty_file_is_told_as_one(self, path: Path) -> None:
        """It was called somebody else's, with the advice to choose another path."""
        path.parent.mkdir(mode=0o700)
        path.touch(mode=0o600)
        with pytest.raises(StoreNotFoundError, match="but an empty file") as caught:
            SQLiteStore(path).newest("n")
        assert "restore it from a backup" in str(caught.value.hint)

    def test_a_store_of_a_later_release(self, store: SQLiteStore, path: Path) -> None:
        """Refused with what to do about it."""
        store.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 2")
        with pytest.raises(StoreError, match="of version 2") as caught:
            store.newest("n")
        assert caught.value.hint == "upgrade dynastash"

    @pytest.mark.parametrize("junk", [b"not a database, not at all" * 200, b"\x00" * 8192])
    def test_something_else_altogether(self, path: Path, junk: bytes) -> None:
        """A text, zeros."""
        path.parent.mkdir(mode=0o700)
        path.write_bytes(junk)
        path.chmod(0o600)
        for call in (lambda: SQLiteStore(path).newest("n"), lambda: SQLiteStore(path).commit(first("n"))):
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.code == "SQLITE_NOTADB"
        assert path.read_bytes() == junk

    def test_bytes_overwritten_in_the_middle(self, path: Path) -> None:
        """Any page of it: every read ends in an answer or in one of our errors."""
        store = SQLiteStore(path)
        store.commit(first("n"))
        for last in range(1, 30):
            store.commit(following("n", last, last))
        store.close()
        whole = path.read_bytes()
        outcomes = set()
        for offset in range(0, len(whole), 4096):
            path.write_bytes(whole[:offset] + b"\xa5" * 4096 + whole[offset + 4096 :])
            damaged = SQLiteStore(path)
            for call in (lambda s=damaged: s.newest("n"), lambda s=damaged: list(s.scan())):
                try:
                    call()
                except DynastashError as error:
                    outcomes.add(type(error))
            damaged.close()
        assert StoreError in outcomes

    def test_a_missing_table(self, store: SQLiteStore, path: Path) -> None:
        """Somebody dropped it: the code is in the message."""
        store.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE heads")
        with pytest.raises(StoreError, match="SQLITE_ERROR") as caught:
            list(store.heads())
        assert caught.value.code == "SQLITE_ERROR"


class TestSpaceAndLocks:
    """A full disk and a busy file."""

    def test_no_space_left(self, store: SQLiteStore) -> None:
        """SQLite's own limit stands in for the disk's: nothing is written, and afterwards everything goes on."""
        connection = store._connection(create=True)
        assert connection is not None
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        large = following("n", 1, 1)
        large.create[0]["ciphertext"] = {"B": bytes(100_000)}  # type: ignore[index]
        with pytest.raises(StoreUnavailableError, match="no space is left") as caught:
            store.commit(large)
        assert caught.value.code == "SQLITE_FULL"
        assert [item["record"]["S"] for item in store.newest("n")] == [HEAD, v(1)]
        connection.execute("PRAGMA max_page_count = 100000")
        store.commit(large)

    def test_the_disks_own_refusal(self, path: Path) -> None:
        """A process that may not write a file any larger: an error of ours, and the store is whole afterwards."""
        program = """
            import resource, signal, sys
            from pathlib import Path
            from dynastash.errors import StoreError
            from dynastash.stores.sqlite import SQLiteStore
            from dynastash.testing.contracts import first, following

            store = SQLiteStore(Path(sys.argv[1]))
            store.commit(first("n"))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            change = following("n", 1, 1)
            change.create[0]["ciphertext"] = {"B": bytes(100_000)}
            try:
                store.commit(change)
            except StoreError as error:
                print(type(error).__name__, error.code)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(("StoreError SQLITE_IOERR", "StoreUnavailableError SQLITE_FULL"))
        assert len(SQLiteStore(path).newest("n")) == 2
        SQLiteStore(path).commit(following("n", 1, 1))

    def test_no_space_for_the_file_itself(self, path: Path) -> None:
        """Before there is a store: no half of it is left."""

        def full(*given: object, **more: object) -> None:
            raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.fsync", full)
            with pytest.raises(StoreUnavailableError, match="no space") as caught:
                SQLiteStore(path).commit(first("n"))
            assert caught.value.code == "ENOSPC"
        assert list(path.parent.iterdir()) == []

    def test_a_busy_file(self, store: SQLiteStore, path: Path) -> None:
        """Another process is writing for longer than we wait: readers go on, the writer is told."""
        impatient = SQLiteStore(path, busy_timeout=0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert impatient.newest("n")
            with pytest.raises(StoreUnavailableError, match="is busy") as caught:
                impatient.commit(following("n", 1, 1))
            assert caught.value.code == "SQLITE_BUSY"
            other.execute("ROLLBACK")
        impatient.commit(following("n", 1, 1))

    def test_a_busy_file_is_waited_for(self, store: SQLiteStore, path: Path) -> None:
        """As long as the default is, a writer that comes to its end lets us in."""
        began, end = threading.Event(), threading.Event()

        def write() -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                began.set()
                end.wait(20)
                other.execute("COMMIT")

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write)
            assert began.wait(20)
            waiting = pool.submit(store.commit, following("n", 1, 1))
            end.set()
            waiting.result()
            writing.result()
        assert len(list(store.history("n"))) == 2


class TestConnections:
    """One for each thread, closed when nobody needs it."""

    def test_each_thread_has_its_own(self, store: SQLiteStore) -> None:
        """And it is closed with its thread."""
        store.newest("n")
        mine = store._local.opened.connection
        with ThreadPoolExecutor(1) as pool:
            theirs = pool.submit(lambda: (store.newest("n"), store._local.opened.connection)[1]).result()
            assert theirs is not mine
            assert store._open_here == {mine, theirs}
        assert store._open_here == {mine}
        with pytest.raises(sqlite3.ProgrammingError):
            theirs.execute("SELECT 1")

    def test_the_last_one_leaves_a_single_file(self, store: SQLiteStore, path: Path) -> None:
        """What a backup by copying needs."""
        store.close()
        store.close()
        assert [file.name for file in path.parent.iterdir()] == ["prod.db"]
        assert store.newest("n")

    def test_a_replaced_file_is_noticed(self, store: SQLiteStore, path: Path, tmp_path: Path) -> None:
        """Reads come from the new file and writes go into it; the old connection does not touch the new -wal file."""
        store.close()
        copy = tmp_path / "copy.db"
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        store.commit(following("n", 1, 1))
        assert len(list(store.history("n"))) == 2
        os.replace(copy, path)
        for beside in path.parent.glob("prod.db-*"):
            beside.unlink()
        other = SQLiteStore(path)
        other.commit(first("from another process"))
        assert len(list(store.history("n"))) == 1
        store.commit(following("n", 1, 1))
        del store
        assert (path.parent / "prod.db-wal").exists()
        assert len(list(SQLiteStore(path).scan())) == 5

    def test_a_relative_path_does_not_follow_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stash made here stays here."""
        (tmp_path / "here").mkdir(mode=0o700)
        (tmp_path / "there").mkdir(mode=0o700)
        monkeypatch.chdir(tmp_path / "here")
        store = SQLiteStore(Path("prod.db"))
        monkeypatch.chdir(tmp_path / "there")
        store.commit(first("n"))
        assert [file.name for file in (tmp_path / "there").iterdir()] == []
        assert store.description == str(tmp_path / "here" / "prod.db")
        assert repr(store) == f"SQLiteStore('{tmp_path / 'here' / 'prod.db'}')"

    @pytest.mark.parametrize("name", ["a b?c#d%41&mode=memory.db", "'quoted\".db", "[a-z]*.db", "ü.db"])
    def test_any_file_name_will_do(self, tmp_path: Path, name: str) -> None:
        """SQLite gets it as a URI, in which some characters mean something."""
        path = tmp_path / "private" / name
        store = SQLiteStore(path)
        store.commit(first("n"))
        store.close()
        assert [file.name for file in path.parent.iterdir()] == [name]
        assert SQLiteStore(path).newest("n")

    def test_reading_makes_no_file(self, path: Path) -> None:
        """Nor a directory."""
        store = SQLiteStore(path)
        assert list(store.newest("n")) == list(store.heads()) == list(store.history("n")) == list(store.scan()) == []
        assert store.fetch([RecordKey("n", HEAD)]) == {}
        assert not store.exists()
        assert not path.parent.exists()

    def test_a_file_that_vanishes_is_not_made_anew_by_sqlite(
        self, store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between looking and opening: SQLite would make an empty one, readable for everybody."""
        store.close()
        connect = sqlite3.connect

        def vanish(*given: object, **more: object) -> sqlite3.Connection:
            path.unlink()
            return connect(*given, **more)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr("sqlite3.connect", vanish)
        with pytest.raises(StoreAccessDeniedError):
            store.newest("n")
        assert not path.exists()


class TestDurability:
    """What commit returned from is on the disk, whole; what was erased is not."""

    def test_settings_of_the_connection(self, store: SQLiteStore) -> None:
        """The ones that the promises rest on."""
        connection = store._connection()
        assert connection is not None
        settings = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "trusted_schema", "busy_timeout")
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings}
        assert found == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "secure_delete": 1,
            "trusted_schema": 0,
            "busy_timeout": 30_000,
        }

    def test_a_failing_change_leaves_nothing(self, store: SQLiteStore) -> None:
        """Whatever it fails of, a defect included: head, versions, tombstones and deletions are one transaction."""
        before = [dict(item) for item in store.scan()]
        bad = following("n", 1, 1)
        bad.create[0]["ciphertext"] = {"B": "not bytes"}  # type: ignore[index]
        with pytest.raises(TypeError):
            store.commit(bad)
        assert [dict(item) for item in store.scan()] == before
        store.commit(following("n", 1, 1))

    def test_what_was_destroyed_is_not_in_the_file(self, tmp_path: Path) -> None:
        """Neither in a free page."""
        world = World(tmp_path)
        for number in range(3):
            world.stash.put("n", bytes([number]) * 5000)
        ciphertext = encode_item({"c": world.item("n", v(1))["ciphertext"]})[12:-4].encode()  # type: ignore[dict-item]
        assert len(ciphertext) > 6000
        world.store.close()
        pieces = [ciphertext[start : start + 64] for start in range(0, len(ciphertext) - 64, 64)]
        before = world.path.read_bytes()
        assert sum(piece in before for piece in pieces) > len(pieces) * 0.9
        world.stash.destroy("n", [1])
        world.store.close()
        after = world.path.read_bytes()
        assert not any(piece in after for piece in pieces)

    def test_an_interrupt_rolls_back(self, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C in the middle of a change; the next one goes through."""

        def interrupt(item: object) -> str:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("dynastash.stores.sqlite.encode_item", interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.commit(following("n", 1, 1))
        store.commit(following("n", 1, 1))
        assert len(list(store.history("n"))) == 2


class TestItems:
    """What is kept comes back; what is broken comes as nothing but its key."""

    def test_an_unreadable_row_is_one_broken_record(self, store: SQLiteStore, path: Path) -> None:
        """Also one that says that it stands elsewhere; the rest of the store is readable."""
        store.commit(first("m"))
        store.commit(following("n", 1, 1))
        for text in ("junk", "[]", "7", encode_item(version_item("n", 1)), encode_item(version_item("m", 2)), "{}"):
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("UPDATE records SET item = ? WHERE name = 'n' AND record = ?", (text, v(2)))
            broken = {"name": {"S": "n"}, "record": {"S": v(2)}}
            assert store.newest("n")[1] == broken
            assert store.fetch([RecordKey("n", v(2))]) == {RecordKey("n", v(2)): broken}
            assert list(store.history("n"))[1] == broken
            assert len(list(store.scan())) == 5

    def test_history_comes_without_ciphertext(self, store: SQLiteStore) -> None:
        """A long history of large values would not fit into memory."""
        assert all("ciphertext" not in item for item in store.history("n"))
        assert "ciphertext" in store.newest("n")[1]

    def test_a_key_is_not_replaced_under_a_broken_record(self, store: SQLiteStore, path: Path) -> None:
        """Nor is a head over a broken head."""
        from dynastash.models import WrappedKey

        item = store.newest("n")[1]
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE records SET item = '{'")
        with pytest.raises(ConflictError):
            store.replace_key(item, WrappedKey(b"x", "x"), 1)
        with pytest.raises(ConflictError):
            store.commit(following("n", 1, 1))

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "null", '{"a": {"B": 7}}', '{"a": {"B": "?"}}', '{"a": {"B": "é"}}', '{"a": {"BS": [7]}}',
         '{"a": {"M": {"b": {"B": null}}}}', '{"a":' * 50_000, '{"a":{"L":[' * 5_000 + "]}}" * 5_000,
         '{"a": {"N": ' + "9" * 5_000 + "}}", "\ud800"],
    )  # fmt: skip
    def test_whatever_a_text_holds_the_error_is_ours(self, text: str) -> None:
        """Or it decodes, to something that is refused further up."""
        try:
            decode_item(text)
        except FormatError as error:
            assert error.__cause__ is None

    def test_binary_sets_are_kept_too(self) -> None:
        """No record has one; nothing is lost all the same."""
        item = {"a": {"BS": [b"\x00", b"\xff"]}, "b": {"L": [{"B": b""}]}, "c": {"X": 1, "Y": 2}}
        assert decode_item(encode_item(item)) == item


def test_same_content_whoever_wrote_it(store: SQLiteStore, path: Path) -> None:
    """Two clients of one file see one another's commits at once."""
    other = SQLiteStore(path)
    change = following("n", 1, 1)
    other.commit(change)
    assert same(store.newest("n")[1], change.create[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first("n"), "^n exists already$"),
        (Change(head=head_item("n"), expected=HeadMark(7, 7)), "^n has changed meanwhile$"),
        (
            Change(head=head_item("n"), expected=HeadMark(1, 1), create=[version_item("n", 1)]),
            "^v#0000000001 of n exists already$",
        ),
        (
            Change(head=head_item("n"), expected=HeadMark(1, 1), delete=[RecordKey("n", "v#0000000009")]),
            "^v#0000000009 of n does not exist$",
        ),
    ],
)
def test_what_is_in_the_way_of_a_change_is_named(store: SQLiteStore, change: Change, message: str) -> None:
    """The record and the secret."""
    with pytest.raises(ConflictError, match=message):
        store.commit(change)


def test_a_key_that_was_replaced_meanwhile_is_named(store: SQLiteStore) -> None:
    """By its record."""
    other = {**version_item("n", 1), "wrapped_key": {"B": b"another"}}
    with pytest.raises(ConflictError, match=r"^v#0000000001 of n has changed meanwhile$"):
        store.replace_key(other, WrappedKey(b"new", "new key"), 5)
