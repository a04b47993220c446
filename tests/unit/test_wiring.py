"""connect: from settings to a stash, without touching anything before the first operation."""

from __future__ import annotations

import base64
import getpass
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import dynastash
from dynastash.config import Environment
from dynastash.errors import (
    ConfigError,
    KeyUnavailableError,
    RollbackError,
    SecretNotFoundError,
    UntrustedKeyError,
)
from dynastash.wiring import connect, open_environment
from tests.unit.stash_kit import mode
from tests.unit.test_local_keys import FakeKeyring, ring

__all__ = ["ring"]

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's empty data directory; nothing is configured."""
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "data" / "dynastash"


class TestEmbedded:
    """Without any configuration."""

    def test_nothing_is_made_before_the_first_put(self, data: Path) -> None:
        """Connecting, listing, and asking for what is not there leave no trace."""
        stash = connect()
        assert (stash.environment, stash.where, stash.key) == (
            "local",
            str(data / "local.db"),
            str(data / "local.key"),
        )
        assert stash.list() == []
        with pytest.raises(SecretNotFoundError):
            stash.get("n")
        assert not data.exists()
        stash.put("n", b"x")
        assert {path.name: mode(path) for path in data.iterdir() if path.suffix in (".db", ".key")} == {
            "local.db": 0o600,
            "local.key": 0o600,
        }
        assert connect().get("n").value == b"x"

    def test_the_author_is_the_user_on_this_host(self) -> None:
        """Self-asserted, and there to be found in a history."""
        assert connect().put("n", b"").created_by == f"local:{getpass.getuser()}@{socket.gethostname()}"

    @pytest.mark.parametrize("error", [KeyError("uid"), OSError("no such user")])
    def test_a_user_without_a_name_is_a_number(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in a container with a made-up user."""

        def nameless() -> str:
            raise error

        monkeypatch.setattr("getpass.getuser", nameless)
        assert connect().put("n", b"").created_by.startswith(f"local:{os.getuid()}@")

    def test_a_name_of_any_bytes_can_be_written_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """$LOGNAME need not be UTF-8."""
        monkeypatch.setattr("getpass.getuser", lambda: os.fsdecode(b"caf\xe9"))
        assert connect().put("n", b"").created_by.startswith("local:caf?@")

    def test_a_missing_key_is_not_made_anew_beside_a_store(self, data: Path) -> None:
        """A new one would open nothing, and make every record look tampered with."""
        connect().put("n", b"x")
        (data / "local.key").unlink()
        for call in (lambda: connect().get("n"), lambda: connect().put("n", b"y"), lambda: connect().put("m", b"y")):
            with pytest.raises(KeyUnavailableError, match="is missing") as caught:
                call()
            assert "backup" in (caught.value.hint or "")
        assert not (data / "local.key").exists()
        assert [info.name for info in connect().list()] == ["n"]

    def test_another_key_is_told_from_tampering(self, data: Path) -> None:
        """Someone who restored the wrong key file should not look for an attacker."""
        connect().put("n", b"x")
        (data / "local.key").write_text(KEY)
        with pytest.raises(UntrustedKeyError, match=f"is not wrapped under {data / 'local.key'}"):
            connect().get("n")

    def test_a_key_from_the_environment(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Instead of the file, which is not made; an empty variable is none."""
        monkeypatch.setenv("DYNASTASH_LOCAL_KEY", KEY)
        stash = connect()
        stash.put("n", b"x")
        assert stash.key == "DYNASTASH_LOCAL_KEY"
        assert not (data / "local.key").exists()
        assert connect().get("n").value == b"x"
        monkeypatch.setenv("DYNASTASH_LOCAL_KEY", base64.b64encode(b"o" * 32).decode())
        with pytest.raises(UntrustedKeyError, match="DYNASTASH_LOCAL_KEY"):
            connect().get("n")
        monkeypatch.setenv("DYNASTASH_LOCAL_KEY", "not a key")
        with pytest.raises(ConfigError, match=r"^DYNASTASH_LOCAL_KEY does not hold a key-encryption key$"):
            connect().get("n")
        monkeypatch.setenv("DYNASTASH_LOCAL_KEY", "")
        with pytest.raises(KeyUnavailableError, match="is missing"):
            connect().get("n")

    def test_a_key_from_the_keyring(self, data: Path, ring: FakeKeyring) -> None:
        """One for each environment and directory; missing beside a store, it is not made anew."""
        Path("dynastash.toml").write_text('[env.a]\nstore = "sqlite"\nkey = "keyring"\npath = "p"')
        stash = connect("a")
        assert stash.key == "the operating system's keyring"
        stash.put("n", b"x")
        directory = Path.cwd() / "p"
        assert list(ring.entries) == [("dynastash", f"a@{directory}")]
        assert not list(directory.glob("*.key"))
        assert connect("a").get("n").value == b"x"
        ring.entries.clear()
        for call in (lambda: connect("a").get("n"), lambda: connect("a").put("m", b"")):
            with pytest.raises(KeyUnavailableError, match="is missing"):
                call()
        assert ring.entries == {}

    def test_several_environments_in_one_directory(self, data: Path) -> None:
        """Each with a file and a key of its own."""
        for name in ("one", "two"):
            connect(name, store="sqlite", path=str(data)).put("n", name)
        assert {path.name for path in data.iterdir() if path.suffix in (".db", ".key")} == {
            "one.db", "one.key", "two.db", "two.key",
        }  # fmt: skip
        assert connect("one", store="sqlite", path=str(data)).get("n").text == "one"

    def test_a_store_renamed_is_another_environment(self, data: Path) -> None:
        """Environments are in every encryption context: dev's records do not open as prod's."""
        connect("one", store="sqlite", path=str(data)).put("n", b"x")
        for suffix in (".db", ".key"):
            (data / f"one{suffix}").rename(data / f"two{suffix}")
        with pytest.raises(dynastash.KeyProviderError):
            connect("two", store="sqlite", path=str(data)).get("n")

    def test_a_state_file_remembers_beyond_the_process(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that has seen nothing itself refuses what another saw more of."""
        monkeypatch.setenv("DYNASTASH_STATE", "marks")
        connect().put("n", b"1")
        connect().put("n", b"2")
        for file in data.glob("local.db*"):
            file.unlink()
        with pytest.raises(RollbackError):
            connect().get("n")
        monkeypatch.delenv("DYNASTASH_STATE")
        with pytest.raises(SecretNotFoundError):
            connect().get("n")

    def test_a_session_is_refused(self) -> None:
        """Whoever brings one means AWS, and must not end up in a file on this machine."""
        for given in ({}, {"environment": "local"}):
            with pytest.raises(ConfigError, match="environment local is on this machine and takes no session"):
                connect(session=object(), **given)  # type: ignore[arg-type]

    def test_settings_for_aws_are_refused(self) -> None:
        """As in the configuration."""
        with pytest.raises(ConfigError, match="takes no region"):
            connect(region="eu-west-1")
        with pytest.raises(ConfigError, match="regoin is not a setting"):
            connect("prod", regoin="eu-west-1")

    def test_first_uses_at_once_make_one_key(self, data: Path) -> None:
        """Threads with a stash each: as many processes would."""
        barrier = threading.Barrier(8)

        def put(number: int) -> None:
            stash = connect()
            barrier.wait()
            stash.put(f"n{number}", str(number))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(8)))
        found = connect().get_many(prefix="")
        assert {name: secret.text for name, secret in found.items()} == {
            f"n{number}": str(number) for number in range(8)
        }


class TestAws:
    """What an environment on AWS is made of; nothing is called."""

    def test_table_and_key_of_the_environment(self) -> None:
        """By name; a session of the caller's own is used as it is."""

        class Session:
            region_name = "eu-west-3"

            def __getattr__(self, name: str) -> Any:
                raise AssertionError(f"{name} was used before the first operation")

        stash = connect("prod", session=Session(), region="eu-west-1")  # type: ignore[arg-type]
        assert stash.environment == "prod"
        assert "dynastash-prod" in stash.where
        assert "alias/dynastash-prod" in stash.key

    def test_settings_become_a_session(self) -> None:
        """boto3 is loaded here, and asked for nothing."""
        stash = connect("prod", region="eu-west-1", endpoint_url="http://127.0.0.1:1", table="t", key="alias/k")
        assert stash.where == "table t in eu-west-1"
        assert "alias/k" in stash.key


def test_the_plugins_fixture_is_an_empty_stash(dynastash_stash: dynastash.Stash) -> None:
    """What third parties test their applications with, from the plug-in that the package installs."""
    assert dynastash_stash.list() == []
    dynastash_stash.put("n", b"x", comment="c")
    assert dynastash_stash.get("n").version.created_by == "test:pytest"
    assert dynastash_stash.environment == "test"


def test_an_environment_can_be_opened_as_it_is(tmp_path: Path) -> None:
    """For whoever has settings of their own."""
    environment = Environment(name="mine", store="sqlite", location=str(tmp_path / "mine"))
    stash = open_environment(environment)
    stash.put("n", b"x")
    assert re.fullmatch(r"<Stash mine: .*/mine/mine\.db>", repr(stash))
