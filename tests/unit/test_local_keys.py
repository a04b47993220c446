"""The key-encryption key on this machine: where it comes from, and what happens where it does not."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from dynastash.errors import (
    ConfigError,
    ContextMismatchError,
    KeyAccessDeniedError,
    KeyUnavailableError,
    UntrustedKeyError,
)
from dynastash.keys.local import LocalKeys, key_from_file, key_from_keyring, key_from_text
from dynastash.models import Context, DataKey, WrappedKey
from tests.unit.stash_kit import mode

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


def yes() -> bool:
    return True


def no() -> bool:
    return False


class TestText:
    """32 bytes in base64."""

    @pytest.mark.parametrize("text", [TEXT, f"  {TEXT}\n", f"{TEXT}\r\n"])
    def test_is_read(self, text: str) -> None:
        """White space around it is no part of it."""
        assert key_from_text(text, "it").expose() == KEY

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x",
            TEXT[:-1],
            TEXT[:-4],
            TEXT + "AAAA",
            TEXT.replace("/", "_") + "é",
            "0" * 64,
            f"{TEXT[:20]} {TEXT[20:]}",
        ],
    )
    def test_anything_else_is_refused_without_quoting_it(self, text: str) -> None:
        """It may be a key after all, with a letter missing."""
        with pytest.raises(ConfigError, match=r"^it does not hold a key-encryption key$") as caught:
            key_from_text(text, "it")
        assert "restore that from a backup" in (caught.value.hint or "")
        assert caught.value.__cause__ is None


class TestFile:
    """A file of mode 0600, made on first use."""

    def test_is_made_once(self, tmp_path: Path) -> None:
        """Private, in a private directory, and random."""
        path = tmp_path / "private" / "prod.key"
        made = key_from_file(path, create=yes)
        assert key_from_file(path, create=yes) == key_from_file(path, create=no) == made
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
        assert path.read_text() == base64.b64encode(made.expose()).decode() + "\n"
        assert key_from_file(tmp_path / "private" / "other.key", create=yes) != made

    def test_is_not_made_where_it_is_missing(self, tmp_path: Path) -> None:
        """A new key would open nothing of the old store."""
        path = tmp_path / "prod.key"
        with pytest.raises(KeyUnavailableError, match=f"is missing: {path}") as caught:
            key_from_file(path, create=no)
        assert "backup" in (caught.value.hint or "")
        assert not path.exists()

    def test_somebody_may_have_made_key_and_store_meanwhile(self, tmp_path: Path) -> None:
        """Between looking for the key and looking for the store: then the key is there too."""
        path = tmp_path / "prod.key"

        def create() -> bool:
            path.write_text(TEXT)
            path.chmod(0o600)
            return False

        assert key_from_file(path, create=create).expose() == KEY

    def test_open_to_others_is_refused(self, tmp_path: Path) -> None:
        """With the command that mends it."""
        path = tmp_path / "prod.key"
        path.write_text(TEXT)
        path.chmod(0o640)
        with pytest.raises(ConfigError, match="open to other users") as caught:
            key_from_file(path, create=yes)
        assert caught.value.hint == f"run `chmod 600 {path}`"

    @pytest.mark.parametrize("content", [b"", b"\xff" * 32, KEY, b"x" * 5000])
    def test_junk_is_refused(self, tmp_path: Path, content: bytes) -> None:
        """Empty, binary, the key without base64, too long."""
        path = tmp_path / "prod.key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="does not hold a key"):
            key_from_file(path, create=yes)

    def test_not_a_file_or_not_reachable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each says what is in the way."""
        with pytest.raises(ConfigError, match="is not a file"):
            key_from_file(tmp_path, create=yes)
        (tmp_path / "file").touch()
        with pytest.raises((ConfigError, KeyUnavailableError)):
            key_from_file(tmp_path / "file" / "prod.key", create=yes)

        def denied(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        path = tmp_path / "prod.key"
        key_from_file(path, create=yes)
        monkeypatch.setattr(Path, "read_bytes", denied)
        with pytest.raises(KeyAccessDeniedError, match="cannot be read: Permission denied"):
            key_from_file(path, create=yes)


class FakeKeyring(keyring.backend.KeyringBackend):
    """A keyring that holds what it is given, unless it is told otherwise."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None
        self.keeps = True
        self.pause: Callable[[], object] = lambda: None

    def get_password(self, service: str, username: str) -> str | None:
        if self.fails is not None:
            raise self.fails
        found = self.entries.get((service, username))
        self.pause()
        return found

    def set_password(self, service: str, username: str, password: str) -> None:
        threading.Event().wait(0.02)  # as slow as a keyring is
        if self.keeps:
            self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def ring() -> Iterator[FakeKeyring]:
    before = keyring.get_keyring()
    ring = FakeKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


class TestKeyring:
    """The operating system's keyring."""

    def test_is_made_once(self, ring: FakeKeyring, tmp_path: Path) -> None:
        """One entry an account."""
        made = key_from_keyring("prod", create=yes, directory=tmp_path)
        assert key_from_keyring("prod", create=no, directory=tmp_path) == made
        assert list(ring.entries) == [("dynastash", "prod")]
        assert key_from_keyring("dev", create=yes, directory=tmp_path) != made
        assert list(tmp_path.iterdir()) == []

    def test_is_not_made_where_it_is_missing(self, ring: FakeKeyring, tmp_path: Path) -> None:
        """As with the file."""
        with pytest.raises(KeyUnavailableError, match="is missing: the keyring entry dynastash / prod"):
            key_from_keyring("prod", create=no, directory=tmp_path)
        assert ring.entries == {}

    def test_of_several_that_make_it_one_does(self, ring: FakeKeyring, tmp_path: Path) -> None:
        """Everybody finds none at the same moment, and all end with the same key."""
        barrier = threading.Barrier(6)
        first = threading.local()

        def meet() -> None:
            if not hasattr(first, "met"):
                first.met = True
                barrier.wait()

        ring.pause = meet
        with ThreadPoolExecutor(6) as pool:
            keys = list(
                pool.map(lambda _: key_from_keyring("prod", create=yes, directory=tmp_path / "new").expose(), range(6))
            )
        assert len(set(keys)) == 1

    @pytest.mark.parametrize(
        "error", [keyring.errors.KeyringLocked("hunter2"), keyring.errors.NoKeyringError("x"), RuntimeError("hunter2")]
    )
    def test_any_failure_of_it_is_ours(self, ring: FakeKeyring, tmp_path: Path, error: Exception) -> None:
        """By its type: a backend's text may quote what it was to keep."""
        ring.fails = error
        with pytest.raises(KeyUnavailableError, match=f"cannot be used: {type(error).__name__}$") as caught:
            key_from_keyring("prod", create=yes, directory=tmp_path)
        assert caught.value.__context__ is None
        assert "unlock it" in (caught.value.hint or "")

    def test_one_that_does_not_keep_is_noticed(self, ring: FakeKeyring, tmp_path: Path) -> None:
        """Before anything is encrypted under a key that is gone."""
        ring.keeps = False
        with pytest.raises(KeyUnavailableError, match="did not keep"):
            key_from_keyring("prod", create=yes, directory=tmp_path)

    def test_junk_is_refused(self, ring: FakeKeyring, tmp_path: Path) -> None:
        """Another program's entry of the same name."""
        ring.entries["dynastash", "prod"] = "hunter2"
        with pytest.raises(ConfigError, match="does not hold a key-encryption key"):
            key_from_keyring("prod", create=yes, directory=tmp_path)

    def test_a_directory_that_others_may_write_to_is_refused(self, ring: FakeKeyring, tmp_path: Path) -> None:
        """The store would be refused there anyway: say it before a key is made for it."""
        tmp_path.chmod(0o777)
        with pytest.raises(ConfigError, match="written by other users"):
            key_from_keyring("prod", create=yes, directory=tmp_path)
        assert ring.entries == {}

    def test_without_the_package_the_error_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is an extra."""
        monkeypatch.setitem(sys.modules, "keyring", None)
        with pytest.raises(ConfigError) as caught:
            key_from_keyring("prod", create=yes, directory=tmp_path)
        assert caught.value.hint == "install it with `pip install 'dynastash[keyring]'`"


class TestLocalKeys:
    """Wrapping."""

    def test_the_key_is_loaded_when_it_is_needed_and_once(self) -> None:
        """A listing never needs it; a failure is not remembered."""
        asked: list[None] = []

        def load() -> DataKey:
            asked.append(None)
            if len(asked) == 1:
                raise KeyUnavailableError("not yet")
            return DataKey(KEY)

        keys = LocalKeys(load, description="a test's key")
        assert (keys.description, keys.concurrency, asked) == ("a test's key", 1, [])
        assert repr(keys) == 'LocalKeys("a test\'s key")'
        with pytest.raises(KeyUnavailableError):
            keys.generate(Context("e", "n", 1))
        for _ in range(3):
            keys.generate(Context("e", "n", 1))
        assert len(asked) == 2

    def test_its_id_tells_nothing_of_the_key(self) -> None:
        """Short, stable, another for another key."""
        first, second = (
            LocalKeys(DataKey(byte * 32)).generate(Context("e", "n", 1))[1].key_id for byte in (b"a", b"b")
        )
        again = LocalKeys(DataKey(b"a" * 32)).generate(Context("e", "n", 2))[1].key_id
        assert first == again != second
        assert len(first) == len("local:") + 16

    @pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01" * 61, b"\x02" + bytes(60), bytes(62), b"\x01" + bytes(60)])
    def test_whatever_is_unwrapped_is_refused_with_one_of_two_errors(self, blob: bytes) -> None:
        """The key_id, which anybody can write, chooses between them and nothing else."""
        keys = LocalKeys(DataKey(KEY))
        own = keys.generate(Context("e", "n", 1))[1].key_id
        for key_id, error in ((own, ContextMismatchError), ("local:other", UntrustedKeyError), ("", UntrustedKeyError)):
            with pytest.raises(error, match="version 1 of n"):
                keys.unwrap(WrappedKey(blob, key_id), Context("e", "n", 1))

    def test_rewrap_of_anothers_key_is_refused(self) -> None:
        """What cannot be opened cannot be wrapped anew."""
        _, wrapped = LocalKeys(DataKey(b"x" * 32)).generate(Context("e", "n", 1))
        with pytest.raises(UntrustedKeyError):
            LocalKeys(DataKey(KEY)).rewrap(wrapped, Context("e", "n", 1))
