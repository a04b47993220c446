"""How a command ends that does not end by itself: Ctrl-C, a reader that has gone, a full disk, a defect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from credstash.cli import verbs
from tests.cli.terminal import Terminal
from tests.dropin.kit import ROOT, DropIn, dropin_command


@pytest.fixture
def env(local: str) -> dict[str, str]:
    """For processes."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'dropin'}"}


def shell(line: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """A line in which ``credstash`` is the drop-in."""
    script = f'credstash() {{ "{sys.executable}" -m credstash "$@"; }}\n{line}'
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, stdin=subprocess.DEVNULL)


def test_ctrl_c_at_the_prompt(env: dict[str, str], credstash: DropIn) -> None:
    """Exit code 130, nothing stored, no traceback."""
    with Terminal([*dropin_command(), "put", "-P", "a"], env, Path.cwd()) as terminal:
        terminal.expect(b"a: ")
        code, seen = terminal.insist(b"\x03")
    assert (code, b"Traceback" in seen) == (130, False), seen
    assert credstash.ok("list").out == b""


def test_a_reader_that_has_gone(env: dict[str, str], credstash: DropIn) -> None:
    """Exit code 141, as a signal would have it, and silence."""
    credstash.ok("put", "a", "x" * 200_000)
    done = shell('credstash get a | true; echo "${PIPESTATUS[0]}"', env)
    assert (done.stdout, done.stderr) == (f"{128 + signal.SIGPIPE}\n".encode(), b"")


def test_output_that_cannot_be_written(env: dict[str, str], credstash: DropIn) -> None:
    """A full disk, a closed stream: exit code 1 and a line."""
    credstash.ok("put", "a", "x")
    done = shell("credstash get a >/dev/full", env)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        b"the output could not be written: No space left on device",
    )
    done = shell("credstash get a >&-", env)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, b"standard output is closed")
    done = shell("credstash put b - <&-", env)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, b"standard input is closed")


def test_a_defect_shows_no_value(local: str, credstash: DropIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class alone; and it is told to the log that was asked for."""

    def broken(*_: object) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr(verbs, "_put", broken)
    done = credstash("--log-file", "log", "put", "a", "hunter2")
    assert (done.code, done.out) == (1, b"")
    assert done.err == "unexpected ValueError; this is a defect of dynastash, please report it\n"
    assert "hunter2" not in Path("log").read_text()


def test_a_value_for_a_terminal(env: dict[str, str], credstash: DropIn) -> None:
    """Control characters do not reach it; text does."""
    credstash.ok("put", "a", "-", given=b"\x1b[2J")
    credstash.ok("put", "b", "fine")
    done = credstash("get", "a", terminal=True)
    assert (done.code, done.out) == (1, b"")
    assert "this is a terminal" in done.err
    assert credstash("get", "b", terminal=True).out == b"fine\n"
    assert credstash("getall", "-f", "csv", terminal=True).code == 1
    assert b"\x1b" not in credstash("getall", terminal=True).out


def test_a_kms_region_that_cannot_be_kept(local: str, credstash: DropIn, unprivileged: Path) -> None:
    """Nor read: a line each, and what else the file has stays."""
    home = unprivileged / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        (home / ".credstash").write_text('{"other": 1}')
        credstash("setup", "--save-kms-region", "eu-west-1")
        assert (home / ".credstash").read_text() == '{"other": 1, "kms-region": "eu-west-1"}'
        (home / ".credstash").chmod(0)
        done = credstash("get", "a")
        assert (done.code, done.err.splitlines()[0]) == (1, "~/.credstash cannot be read: Permission denied")
        (home / ".credstash").unlink()
        home.chmod(0o500)
        done = credstash("setup", "--save-kms-region", "eu-west-1")
        assert (done.code, done.err.splitlines()[0]) == (1, "~/.credstash cannot be written: Permission denied")
        home.chmod(0o700)
