"""Ctrl-C, and readers that go away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.runner import Cli


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    """Exit code and what was printed."""
    out, err = process.communicate()
    return process.returncode, out, err


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    """The same after Ctrl-C, pressed until it is noticed: see Terminal.insist."""
    while True:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
            return finish(process)


def test_ctrl_c_while_a_value_is_read(cli: Cli) -> None:
    """Exit 130, a newline at most, nothing written."""
    fifo = cli.directory / "fifo"
    os.mkfifo(fifo)
    process = cli.start("put", "n", "--file", str(fifo), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with fifo.open("wb"):  # open as soon as the command reads it
        code, out, err = interrupted(process)
    assert (code, out, err.strip()) == (130, b"", b"")
    assert cli("get", "n").code == 3


def test_nothing_is_waited_for_after_ctrl_c(cli: Cli) -> None:
    """A thread whose start was interrupted may hang for ever, and must not keep the command; what was said is said."""
    program = (
        "import sys, threading\n"
        "from dynastash.cli import main, quick\n"
        "def run(arguments):\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    print('said')\n"
        "    raise KeyboardInterrupt\n"
        "quick.run = run\n"
        "main()\n"
    )
    import sys

    done = subprocess.run(
        [sys.executable, "-c", program], env=cli.variables, cwd=cli.cwd, capture_output=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"said\n", b"")


@pytest.mark.parametrize(("module", "arguments"), [("helptext", []), ("app", ["history", "n"])])
def test_ctrl_c_while_modules_are_loaded(cli: Cli, module: str, arguments: list[str]) -> None:
    """No traceback from the start-up either."""
    program = (
        "import sys, builtins\n"
        "real = builtins.__import__\n"
        "def interrupted(name, globals=None, locals=None, fromlist=(), level=0):\n"
        f"    if name == 'dynastash.cli.{module}' or (name == 'dynastash.cli' and {module!r} in (fromlist or ())):\n"
        "        raise KeyboardInterrupt\n"
        "    return real(name, globals, locals, fromlist, level)\n"
        "from dynastash.cli import main\n"
        "builtins.__import__ = interrupted\n"
        "main()\n"
    )
    import sys

    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=cli.variables, cwd=cli.cwd, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_in_a_rotation_says_what_is_pending(cli: Cli) -> None:
    """Exit 130; the pending version was written, so that much is said; the current one is current."""
    cli.ok("put", "n", given=b"old")
    fifo = cli.directory / "fifo"
    os.mkfifo(fifo)
    process = cli.start(
        "rotate", "n", "--length", "32", "--", "sh", "-c", f"cat {fifo}; exit 1",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with fifo.open("wb"):
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
    assert (code, out) == (130, b"")
    pending, hint = err.decode().strip().splitlines()
    assert pending == f"n: version 2 is pending in local ({cli.database})"
    assert hint.startswith("hint: go on with `dynastash rotate n --resume")
    assert cli.ok("get", "n").out == b"old"
    cli.ok("rotate", "n", "--abort")


@pytest.mark.parametrize("command", ["list", "list -o json", "history n", "get big"])
def test_a_reader_that_has_seen_enough(cli: Cli, command: str) -> None:
    """The pipe is closed before anything is written: exit 141, silence."""
    cli.ok("put", "n", given=b"x")
    cli.ok("put", "big", given=bytes(300_000))
    read, write = os.pipe()
    os.close(read)
    process = cli.start(*command.split(), stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert finish(process)[::2] == (141, b"")


def test_head(cli: Cli) -> None:
    """`dynastash get big | head -c 1` in a real shell: quiet."""
    cli.ok("put", "big", given=b"x" * 300_000)
    done = cli.shell("dynastash get big | head -c 1; dynastash list | head -1 >/dev/null; dynastash --help | true")
    assert (done.out, done.err) == (b"x", "")


def test_the_reader_of_standard_error_goes_away(cli: Cli) -> None:
    """What was to be said is lost, the work is done."""
    read, write = os.pipe()
    os.close(read)
    process = cli.start("put", "n", "--generate", stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    assert finish(process)[:2] == (0, b"")
    assert len(cli.ok("get", "n").out) == 32


def test_end_of_process_leaves_no_temporary_files(cli: Cli) -> None:
    """The data directory holds the store and its key, and nothing that others could read."""
    cli.ok("put", "n", given=b"x")
    cli.real("get", "n")
    names = {path.name for path in Path(cli.database.parent).iterdir()}
    assert names - {"local.db-wal", "local.db-shm"} == {"local.db", "local.key"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in cli.database.parent.iterdir())
