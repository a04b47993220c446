"""What put, generate and rollback say, and what can be said of a version."""

from __future__ import annotations

import json

import pytest

from tests.cli.runner import Cli


def test_what_is_written_is_said_on_standard_error(cli: Cli) -> None:
    """Each command that writes names environment and store, and keeps standard output clean."""
    commands = (
        (["put", "n"], b"x"),
        (["generate", "n"], None),
        (["rotate", "n"], None),
        (["rollback", "n"], None),
    )
    for number, (arguments, given) in enumerate(commands, start=1):
        done = cli.ok(*arguments, given=given)
        assert done.out == b""
        (line,) = done.err.splitlines()
        assert f"n: version {number}" in line
        assert line.endswith(f" in local ({cli.database})")


def test_nothing_is_written_to_the_working_directory(cli: Cli) -> None:
    """After every kind of command an empty working directory is still empty."""
    cli.ok("put", "n", given=b"x")
    cli.ok("generate", "k", "--key-pair", "ed25519")
    cli.ok("rotate", "k")
    cli.ok("rotate", "n", "--length", "20", "--", "true")
    cli.ok("rotate", "n", "--values", "files", "--", "true")
    for arguments in (["get", "n"], ["list"], ["history", "n"], ["rollback", "n"], ["env"], ["completion", "bash"]):
        cli.ok(*arguments)
    assert list(cli.cwd.iterdir()) == []


def test_a_working_directory_that_cannot_be_written(cli: Cli) -> None:
    """/proc takes no files, not even root's."""
    assert cli.shell("cd /proc && printf x | dynastash put n && dynastash get n").out == b"x"


def test_a_working_directory_that_is_gone(cli: Cli) -> None:
    """Nothing is needed from it."""
    done = cli.shell("mkdir gone && cd gone && rmdir ../gone && printf x | dynastash put n && dynastash get n")
    assert (done.code, done.out) == (0, b"x"), done.err


def test_what_can_be_said_of_a_version(cli: Cli) -> None:
    """Comment, type, expiry, tags and context come back in JSON."""
    cli.ok(
        "put", "n", "--comment", "why", "--content-type", "text/plain", "--expires", "2999-01-31",
        "--tag", "team=a=b", "--tag", "empty=", "--context", "app=x", given=b"x",
    )  # fmt: skip
    data = json.loads(cli.ok("get", "n", "-o", "json").text)
    assert data["comment"] == "why"
    assert data["content_type"] == "text/plain"
    assert data["expires_at"] == "2999-01-31T00:00:00.000Z"
    assert data["tags"] == {"team": "a=b", "empty": ""}
    assert data["context"] == {"app": "x"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2999-01-31T12:00", "2999-01-31T12:00:00.000Z"),
        ("2999-01-31T12:00Z", "2999-01-31T12:00:00.000Z"),
        ("2999-01-31T12:00+02:00", "2999-01-31T10:00:00.000Z"),
    ],
)
def test_times(cli: Cli, given: str, meant: str) -> None:
    """Without a time zone UTC is meant."""
    cli.ok("put", "n", "--expires", given, given=b"x")
    assert json.loads(cli.ok("get", "n", "-o", "json").text)["expires_at"] == meant


@pytest.mark.parametrize("given", ["90m", "12h", "90d", "2w"])
def test_durations(cli: Cli, given: str) -> None:
    """From now: the expiry lies that far behind the moment of writing, give or take this test's own time."""
    from datetime import datetime, timedelta

    cli.ok("put", "n", "--expires", given, given=b"x")
    data = json.loads(cli.ok("get", "n", "-o", "json").text)
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[given[-1]]
    apart = datetime.fromisoformat(data["expires_at"]) - datetime.fromisoformat(data["created_at"])
    assert abs(apart - timedelta(**{unit: int(given[:-1])})) < timedelta(minutes=30)


@pytest.mark.parametrize(
    "given", ["yesterday", "2020-01-01", "999999w", "9999-12-31T23:59-14:00", "0001-01-01T00:00+14:00", "5", "-1d", ""]
)
def test_times_that_are_none_or_past(cli: Cli, given: str) -> None:
    """Exit 2, nothing written."""
    done = cli("put", "n", "--expires", given, given=b"x")
    assert done.code == 2, done
    assert "time" in done.err or "in the past" in done.err
    assert cli("get", "n").code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tag", "x"],
        ["--tag", "=x"],
        ["--tag", "a=1", "--tag", "a=2"],
        ["--context", "a="],
        ["--context", "dynastash:env=x"],
        ["--comment", "x" * 1025],
        ["--content-type", "x" * 257],
        ["--if-version", "-1"],
        ["--if-version", "one"],
        ["--if-version", "1_0"],
        ["--if-version", "9" * 400],
        ["--generate", "--length", "40", "--words", "5"],
        ["--generate", "--length", "3"],
        ["--generate", "--bytes", "0"],
    ],
)
def test_options_that_cannot_be_meant(cli: Cli, arguments: list[str]) -> None:
    """Exit 2 with an error and a hint, a line each, and nothing written."""
    done = cli("put", "n", *arguments, given=None if "--generate" in arguments else b"x")
    assert done.code == 2, done
    error, hint = done.err.splitlines()
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert len(error) < 400
    assert cli("get", "n").code == 3


def test_texts_that_are_none(cli: Cli) -> None:
    """Bytes that are not UTF-8 in a comment or a tag: exit 2, nothing written."""
    for option in ("--comment", "--content-type", "--tag", "--context"):
        done = cli("put", "n", option, "a=\udcff", given=b"x")
        assert (done.code, "is not valid UTF-8" in done.err) == (2, True)
    assert cli("get", "n").code == 3


def test_if_version(cli: Cli) -> None:
    """0 creates and nothing else; N replaces N and nothing else; the loser exits with 6."""
    cli.ok("put", "n", "--if-version", "0", given=b"one")
    assert cli("put", "n", "--if-version", "0", given=b"x").code == 6
    cli.ok("generate", "n", "--if-version", "1")
    assert cli("rotate", "n", "--if-version", "1").code == 6
    cli.ok("rotate", "n", "--if-version", "2")
    assert cli("rollback", "n", "--if-version", "2").code == 6
    cli.ok("rollback", "n", "--if-version", "3")


def test_generate_remembers_the_policy(cli: Cli) -> None:
    """rotate needs the name only; a policy given to it is the new one."""
    cli.ok("generate", "n", "--length", "44", "--alphabet", "digits")
    cli.ok("rotate", "n")
    value = cli.ok("get", "n").text
    assert len(value) == 44 and value.isdigit()
    assert value != cli.ok("get", "n", "--version", "1").text
    cli.ok("rotate", "n", "--words", "8", "--separator", " ")
    cli.ok("rotate", "n")
    assert len(cli.ok("get", "n").text.split(" ")) == 8


@pytest.mark.parametrize(
    ("options", "looks"),
    [
        ([], "password, 32 characters"),
        (["--bytes", "16"], "16 random bytes"),
        (["--words", "6"], "passphrase, 6 of"),
        (["--separator", "_"], "passphrase, 7 of"),
        (["--key-pair", "p256"], "key pair, p256"),
        (["--encoding", "openssh"], "key pair, ed25519, private key in OpenSSH"),
        (["--length", "6", "--alphabet", "digits", "--allow-weak"], "password, 6 characters of 0-9"),
        (["--each-class", "--alphabet", "symbols"], "at least one of each class"),
        (["--allow-weak"], "password, 32"),
    ],
)
def test_generate_says_how(cli: Cli, options: list[str], looks: str) -> None:
    """Each kind of policy by its options alone."""
    assert looks in cli.ok("generate", "n", *options).err


def test_rollback(cli: Cli) -> None:
    """The previous value or a numbered one comes back as a new version, with a comment that says so."""
    for value in (b"one", b"two", b"three"):
        cli.ok("put", "n", given=value)
    assert "version 4 (rollback to version 2)" in cli.ok("rollback", "n").err
    assert cli.ok("get", "n").out == b"two"
    assert "(first again)" in cli.ok("rollback", "n", "--to-version", "1", "--comment", "first again").err
    assert cli.ok("get", "n").out == b"one"
    assert cli("rollback", "n", "--to-version", "9").code == 3
    assert cli("rollback", "n", "--to-version", "5").code == 6


def test_write_only(cli: Cli) -> None:
    """For callers who may not decrypt: the policy is forgotten."""
    cli.ok("generate", "n")
    cli.ok("put", "n", "--write-only", given=b"x")
    assert cli.ok("get", "n").out == b"x"
    assert "carries no policy" in cli("rotate", "n").err


def test_public_key(cli: Cli) -> None:
    """The public half of a stored private key, as text and in JSON; other values have none."""
    cli.ok("generate", "n", "--key-pair", "ed25519", "--encoding", "openssh")
    public = cli.ok("get", "n", "--public-key").text
    assert public.startswith("ssh-ed25519 ") and public.endswith("\n")
    assert json.loads(cli.ok("get", "n", "--public-key", "-o", "json").text) == {
        "name": "n",
        "version": 1,
        "public_key": public,
    }
    cli.ok("put", "m", given=b"hunter2")
    done = cli("get", "m", "--public-key")
    assert (done.code, done.out) == (2, b"")
    assert "hunter2" not in done.err
