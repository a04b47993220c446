"""Every error: its exit code, one line each for error and hint, and never a traceback or a value."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynastash import errors
from dynastash.cli import exits
from dynastash.cli.app import app
from dynastash.cli.options import Settings
from tests.cli.runner import Cli

CODES = {
    errors.DynastashError: 1,
    errors.ConfigError: 2,
    errors.CredentialsError: 4,
    errors.InvalidNameError: 2,
    errors.InvalidReferenceError: 2,
    errors.InvalidArgumentError: 2,
    errors.ValueTooLargeError: 2,
    errors.TemplateError: 2,
    errors.NotFoundError: 3,
    errors.SecretNotFoundError: 3,
    errors.VersionNotFoundError: 3,
    errors.FieldNotFoundError: 3,
    errors.ConflictError: 6,
    errors.SecretDeletedError: 6,
    errors.SecretDestroyedError: 6,
    errors.ExpiredError: 6,
    errors.EnvelopeError: 5,
    errors.FormatError: 5,
    errors.UnsupportedFormatError: 5,
    errors.IntegrityError: 5,
    errors.RollbackError: 5,
    errors.KeyProviderError: 1,
    errors.KeyAccessDeniedError: 4,
    errors.KeyUnavailableError: 7,
    errors.KeyUnreachableError: 7,
    errors.ContextMismatchError: 5,
    errors.UntrustedKeyError: 5,
    errors.StoreError: 1,
    errors.StoreNotFoundError: 3,
    errors.StoreAccessDeniedError: 4,
    errors.StoreUnavailableError: 7,
    errors.PartialError: 8,
    errors.CommandError: 126,
    errors.CommandNotFoundError: 127,
    errors.RotationError: 1,
    errors.DeployError: 1,
    errors.DeployAccessDeniedError: 4,
    errors.DeployUnavailableError: 7,
    errors.TransferError: 1,
    errors.TransferAccessDeniedError: 4,
    errors.TransferUnavailableError: 7,
    errors.InvalidReferenceError: 2,
    errors.FieldNotFoundError: 3,
    errors.ServiceError: 1,
    errors.ServiceAccessDeniedError: 4,
    errors.ServiceUnavailableError: 7,
    errors.PolicyError: 1,
}


def kinds(root: type[errors.DynastashError] = errors.DynastashError) -> Iterator[type[errors.DynastashError]]:
    """Every class of the tree."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == "dynastash.errors":
            yield from kinds(kind)


def made(kind: type[errors.DynastashError], message: str, hint: str | None) -> errors.DynastashError:
    """An error of that class."""
    if issubclass(kind, errors.PartialError):
        return kind(message, {"a": errors.SecretNotFoundError("there is no secret a")}, hint=hint)
    if issubclass(kind, errors.RotationError):
        return kind(message, step="set", hint=hint)
    return kind(message, hint=hint)


@pytest.mark.parametrize("kind", list(dict.fromkeys(kinds())), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("hint", ["do this", None])
def test_each_class_has_its_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: type[errors.DynastashError], hint: str | None
) -> None:
    """A new class without a code here fails, and so does a code that changed."""

    def stash(settings: Settings) -> None:
        raise made(kind, "it went wrong", hint)

    monkeypatch.setattr(Settings, "stash", stash)
    done = cli("get", "n")
    assert done.code == CODES[kind]
    lines = done.err.splitlines()
    assert lines[0] == "error: it went wrong"
    assert lines[1:2] == ([f"hint: {hint}"] if hint else lines[1:2])
    assert done.out == b""
    assert "class: " + kind.__name__ in cli("-v", "get", "n").err


def test_the_table_of_codes_is_the_documented_one() -> None:
    """docs/reference/json.md and the module's docstring give the same codes with the same words."""
    table = re.findall(r"^(\d+) +(\S.*)$", exits.__doc__ or "", re.MULTILINE)
    document = (Path(__file__).parents[2] / "docs/reference/json.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \| (.*) \|$", document, re.MULTILINE) == table
    named = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code, _ in table} == named
    assert set(CODES.values()) <= named


def test_usage(cli: Cli) -> None:
    """Exit 2, and a hint that names the command's help."""
    done = cli("get")
    assert (done.code, done.err) == (2, "error: missing argument 'NAME'\nhint: see `dynastash get --help`\n")
    done = cli("get", "n", "--versoin", "3")
    assert (done.code, done.err.splitlines()[1]) == (2, "hint: did you mean --version or --min-version?")
    done = cli("--comment", "x", "put", "n")
    assert done.code == 2
    assert "stand behind its name" in done.err
    assert cli("-o", "xml", "list").code == 2
    assert cli("list", "a", "b").code == 2


@pytest.mark.parametrize(
    ("given", "near"), [("gte", "get"), ("lst", "list"), ("rotat", "rotate"), ("hstory", "history"), ("puts", "put")]
)
def test_a_command_misspelt(cli: Cli, given: str, near: str) -> None:
    """The nearest is suggested."""
    done = cli(given, "n")
    assert done.code == 2
    assert done.err == f"error: '{given}' is not a command\nhint: did you mean `dynastash {near}`?\n"


def test_a_command_that_is_nothing_like_one(cli: Cli) -> None:
    """Two short lines, whatever was given."""
    for given in ("xyzzy", "x" * 10_000, "a\nb\x1b[31m", ""):
        done = cli(given)
        assert done.code == 2
        error, hint = done.err.splitlines()
        assert len(error) < 120 and "\x1b" not in error
        assert hint == "hint: `dynastash --help` lists the commands"


def test_not_found(cli: Cli) -> None:
    """A secret, a version, a stage: exit 3."""
    cli.ok("put", "n", given=b"x")
    for arguments in (
        ["get", "m"],
        ["get", "n", "--version", "2"],
        ["get", "n", "--stage", "previous"],
        ["get", "n", "--stage", "pending"],
        ["history", "m"],
        ["rotate", "m"],
        ["rotate", "n", "--abort"],
        ["rotate", "n", "--resume", "--rotator", "generate"],
        ["rollback", "n"],
        ["rollback", "m"],
    ):
        done = cli(*arguments)
        assert (done.code, done.out) == (3, b""), arguments
        error, hint = done.err.splitlines()
        assert error.startswith("error: ") and hint.startswith("hint: ")


HOSTILE = ["../x", "/x", "x/", "a//b", ".", "a/../b", "n\n", "a\x1b[31mb", "a\x00b", "x" * 10_000, "", " ", "a b", "a*"]
HOSTILE += ["ä", "a\u202eb", "-", "~head"]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name)[:20])
def test_hostile_names(cli: Cli, name: str) -> None:
    """Exit 2, two short lines without a control character, on every command that takes a name."""
    for arguments in (["get", name], ["put", name], ["history", name], ["generate", name], ["rotate", name]):
        done = cli(*arguments, given=b"x")
        assert (done.code, done.out) == (2, b""), (arguments, done)
        error, hint = done.err.splitlines()
        assert error.startswith("error: ") and hint.startswith("hint: ")
        assert len(error) < 400
        assert all(char.isprintable() for char in error + hint)
    assert not (cli.directory / "data").exists() or json.loads(cli.ok("list", "-o", "json").text) == []


def test_bytes_that_are_no_text_as_name(cli: Cli) -> None:
    """They are spelled out."""
    done = cli.real(*[b"get".decode(), b"a\xff".decode("utf-8", "surrogateescape")])
    assert done.code == 2
    assert r"\udcff" in done.err
    assert len(done.err.splitlines()) == 2


def test_integrity(cli: Cli) -> None:
    """A changed byte in the store: exit 5, and the value is not printed."""
    cli.ok("put", "n", given=b"hunter2")
    with sqlite3.connect(cli.database) as database:
        (item,) = database.execute("SELECT item FROM records WHERE record LIKE 'v#%'").fetchone()
        changed = json.loads(item)
        sealed = changed["ciphertext"]["B"]
        changed["ciphertext"]["B"] = ("B" if sealed[0] == "A" else "A") + sealed[1:]
        database.execute("UPDATE records SET item = ? WHERE record LIKE 'v#%'", (json.dumps(changed),))
    database.close()
    done = cli("get", "n")
    assert (done.code, done.out) == (5, b"")
    assert done.err.startswith("error: ")


def test_another_key(cli: Cli) -> None:
    """A store under a key that is not its own: exit 5. Without its key: 7. A key open to others: 2."""
    cli.ok("put", "n", given=b"x")
    key = cli.key.read_bytes()
    cli.key.write_text("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n")
    assert cli("get", "n").code == 5
    cli.key.unlink()
    assert cli("get", "n").code == 7
    cli.key.write_bytes(key)
    cli.key.chmod(0o644)
    done = cli("get", "n")
    assert (done.code, f"hint: run `chmod 600 {cli.key}`\n" in done.err) == (2, True)


def test_conflicts(cli: Cli) -> None:
    """Another version than expected, and a rotation that is pending: exit 6."""
    cli.ok("put", "n", given=b"x")
    assert cli("put", "n", "--if-version", "7", given=b"y").code == 6
    assert cli("rotate", "n", "--length", "32", "--", "false").code == 1
    assert cli("put", "n", given=b"y").code == 6
    assert cli("rotate", "n", "--length", "32").code == 6
    assert cli.ok("get", "n").out == b"x"


def test_expired(cli: Cli) -> None:
    """Not given out after its time: exit 6. Its history still shows it."""
    from datetime import UTC, datetime, timedelta

    from dynastash.stash.api import Stash
    from dynastash.wiring import connect

    class Earlier:
        def now(self) -> int:
            return int((datetime.now(UTC) - timedelta(days=2)).timestamp() * 1000)

        def monotonic(self) -> float:
            return 0.0

        def sleep(self, seconds: float) -> None: ...

    cli.ok("put", "other", given=b"x")
    stash = connect()
    earlier = Stash("local", stash._store, stash._keys, identity=lambda: "test", clock=Earlier())
    earlier.put("n", "hunter2", expires_at=datetime.now(UTC) - timedelta(days=1))
    done = cli("get", "n")
    assert (done.code, done.out) == (6, b"")
    assert "hunter2" not in done.err
    assert "expires (UTC)" in cli.ok("history", "n").text


def test_partial(cli: Cli) -> None:
    """One of several is missing: exit 8, each failure once, nothing on standard output."""
    cli.ok("put", "n", given=b"x")
    done = cli("get", "n", "m1", "m2", "m3", "m4", "-o", "json")
    assert (done.code, done.out) == (8, b"")
    for name in ("m1", "m2", "m3", "m4"):
        assert done.err.count(f"there is no secret {name}") == 1


def test_several_need_a_format_with_names(cli: Cli) -> None:
    """Bare values could not be told apart."""
    for arguments in (["get", "a", "b"], ["get", "--prefix", "a"]):
        done = cli(*arguments)
        assert (done.code, done.err.splitlines()[1]) == (2, "hint: add -o json or -o yaml")
    for arguments in (
        ["get", "a", "--prefix", "a", "-o", "json"],
        ["get", "a", "b", "--version", "1", "-o", "json"],
        ["get", "a", "--raw", "-o", "json"],
        ["get", "a", "--version", "1", "--stage", "current"],
        ["get", "a", "--stage", "newest"],
        ["get", "a", "--version", "0"],
    ):
        assert cli(*arguments).code == 2, arguments


def test_configuration(cli: Cli) -> None:
    """A broken file, an unknown environment's name, AWS options for the embedded store: exit 2, a line each."""
    for arguments in (["-e", "../x"], ["-e", "X" * 10_000], ["--region", "eu-west-1"], ["--key", "alias/x"]):
        done = cli(*arguments, "list")
        assert (done.code, len(done.err.splitlines())) == (2, 2), done
    (cli.cwd / "dynastash.toml").write_text("default = ")
    done = cli("list")
    assert (done.code, len(done.err.splitlines())) == (2, 2)
    assert "is not TOML" in done.err


def test_a_store_that_is_not_ours(cli: Cli) -> None:
    """Another program's SQLite file: exit 3. Garbage: exit 1. A directory that is none: 4."""
    cli.ok("put", "n", given=b"x")
    cli.database.unlink()
    with sqlite3.connect(cli.database) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    cli.database.chmod(0o600)
    assert cli("get", "n").code == 3
    cli.database.write_bytes(b"garbage" * 1000)
    assert cli("get", "n").code == 1
    done = cli.shell("printf x | DYNASTASH_DATA=/dev/null dynastash put n")
    assert done.code in (4, 7), done
    assert len(done.err.splitlines()) == 2


def test_a_defect_shows_no_traceback_and_no_value(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is named, not quoted; -v says where."""

    def stash(settings: Settings) -> None:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr(Settings, "stash", stash)
    done = cli("get", "n")
    assert done.code == 1
    assert done.err.splitlines()[0] == "error: unexpected ZeroDivisionError; this is a defect of dynastash"
    verbose = cli("get", "n", "-v")
    assert "test_errors.py" in verbose.err
    assert "hunter2" not in done.err + verbose.err and "Traceback" not in done.err + verbose.err


def test_output_that_cannot_be_written(cli: Cli) -> None:
    """A full disk under standard output, or none at all: exit 1 and one line, not a traceback."""
    cli.ok("put", "n", given=b"x")
    for command in ("get n", "list", "list -o json", "--version", "--help", "get --help", "help get"):
        done = cli.shell(f"dynastash {command} > /dev/full")
        assert done.code == 1, (command, done)
        assert done.err.splitlines()[0] == "error: the output could not be written: No space left on device"
        assert len(done.err.splitlines()) == 2
    for command in ("get n", "list", "list -o json"):
        done = cli.shell(f"dynastash {command} >&-")
        assert (done.code, done.err.splitlines()[0]) == (1, "error: standard output is closed"), done


def test_standard_error_closed(cli: Cli) -> None:
    """What nobody can read does not end up in standard output or in the store's file, and nothing fails for it."""
    done = cli.shell("printf x | dynastash put n 2>&-; dynastash get n 2>&-; dynastash get m 2>&-")
    assert (done.code, done.out, done.err) == (3, b"x", "")
    done = cli.shell("printf y | dynastash put n 2>/dev/full; dynastash get n")
    assert (done.code, done.out) == (0, b"y")


def test_every_command_is_known_here() -> None:
    """The commands of the requirement exist."""
    assert {"put", "get", "list", "history", "generate", "rotate", "rollback", "env", "completion"} <= set(
        app.list_commands(None)  # type: ignore[arg-type, attr-defined]
    )
