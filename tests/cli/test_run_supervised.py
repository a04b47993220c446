"""`dynastash run` as the parent of its program: signals, terminals, masks, files, changes."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runner import Cli
from tests.cli.terminal import PATIENCE, Terminal

VALUE = b"correct horse battery"
SCRIPTS = {
    # Says READY, then each signal that it gets, and ends at SIGTERM.
    "signals": """
import os, signal, sys, time
def note(number, frame):
    os.write(1, signal.Signals(number).name.encode() + b"\\n")
    if number == signal.SIGTERM:
        sys.exit(7)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGWINCH):
    signal.signal(number, note)
os.write(1, b"READY\\n")
while True:
    signal.pause()
""",
    "show": """
import os, signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: print("HUP", open(os.environ["N_FILE"]).read(), flush=True))
print("START", os.environ.get("N"), flush=True)
while True:
    signal.pause()
""",
}


@pytest.fixture
def stocked(cli: Cli) -> Cli:
    cli.ok("put", "app1/db/password", given=VALUE)
    cli.ok("put", "app1/token", given=b"hunter2")
    cli.ok("put", "n", given=b"first value")
    for name, text in SCRIPTS.items():
        (cli.cwd / f"{name}.py").write_text(text)
    return cli


def started(cli: Cli, *arguments: str, **more: object) -> subprocess.Popen[bytes]:
    return cli.start("run", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


WAYS = [["--init"], ["--mask"], ["--files", "auto"]]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_signals_pass_through(stocked: Cli, way: list[str]) -> None:
    """Each once; the exit code is the program's."""
    process = started(stocked, "--prefix", "app1/", *way, "--", sys.executable, "signals.py")
    assert line(process) == "READY"
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH):
        process.send_signal(number)
        assert line(process) == number.name
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (7, b"SIGTERM\n", b"")


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_the_exit_code_is_the_programs(stocked: Cli, way: list[str]) -> None:
    """128 and its number for a signal, as shells have it; what cannot be started has their codes too."""
    run = ("run", "--prefix", "app1/", *way, "--", "sh", "-c")
    assert [stocked.real(*run, program).code for program in ("exit 0", "exit 41", "kill -TERM $$", "kill -9 $$")] == [
        0, 41, 143, 137
    ]  # fmt: skip
    (stocked.cwd / "noexec").write_text("true\n")
    (stocked.cwd / "noexec").chmod(0o755)
    done = stocked.real("run", "--prefix", "app1/", *way, "--", "./noexec")
    assert (done.code, done.out) == (126, b"") and "is neither a binary" in done.err
    assert stocked.real("run", "--prefix", "app1/", *way, "--", "nosuch").code == 127


def test_a_program_finds_signals_as_without_us(stocked: Cli) -> None:
    """None blocked, none ignored that was not before; an ignored one stays so."""
    show = ("grep", "-E", "SigBlk|SigIgn", "/proc/self/status")

    def signals(out: bytes) -> list[int]:
        # Two that glibc keeps to itself, and ignores in what posix_spawn starts, are none of the program's.
        return [int(line.split()[1], 16) & ~(0b11 << 31) for line in out.splitlines()]

    plain = signals(subprocess.run(show, capture_output=True).stdout)
    for way in ([], *WAYS):
        assert (way, signals(stocked.real("run", "--prefix", "app1/", *way, "--", *show).out)) == (way, plain)

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    ignoring = signals(subprocess.run(show, capture_output=True, preexec_fn=ignore).stdout)
    for way in ([], ["--init"]):
        done = stocked.real("run", "--prefix", "app1/", *way, "--", *show, preexec_fn=ignore)
        assert signals(done.out) == ignoring != plain


@pytest.mark.parametrize("way", [["--init"], ["--mask"]], ids=" ".join)
def test_the_keyboard_reaches_the_program_once(stocked: Cli, way: list[str]) -> None:
    """Ctrl-C and Ctrl-backslash by the terminal, which sends them to both of us; Ctrl-Z stops both, fg goes on."""
    program = f"{sys.executable} -m dynastash run --prefix app1/ {' '.join(way)} -- {sys.executable} signals.py"
    with Terminal(["bash", "-c", f"set -m; {program}; echo STOPPED; fg; echo CODE $?"], **_at(stocked)) as terminal:
        terminal.expect(b"READY")
        job = terminal.in_front()
        terminal.type(b"\x03")
        terminal.expect(b"SIGINT")
        terminal.type(b"\x1c")
        terminal.expect(b"SIGQUIT")
        terminal.type(b"\x1a")
        terminal.expect(b"STOPPED")
        terminal.expect(b"signals.py")  # fg says what goes on, and then gives it the terminal
        while terminal.in_front() != job:
            time.sleep(0.01)
        terminal.type(b"\x03")
        terminal.expect(b"SIGINT", times=2)
        for pid in _children(terminal.process.pid):
            if b"dynastash" in Path(f"/proc/{pid}/cmdline").read_bytes() and b"bash" not in _name(pid):
                os.kill(pid, signal.SIGTERM)
        _, seen = terminal.finish()
    assert b"CODE 7" in seen
    assert [seen.count(name) for name in (b"SIGINT", b"SIGQUIT", b"SIGTERM")] == [2, 1, 1]


def test_masking_through_a_terminal(stocked: Cli) -> None:
    """The program sees a terminal of the same size; colours and line ends pass as they are; both streams in order."""
    program = "test -t 1 && test -t 2 && stty size <&1; echo a $TOKEN; echo b $TOKEN >&2; echo c"
    arguments = [sys.executable, "-m", "dynastash", "run", "--prefix", "app1/", "--mask", "--", "sh", "-c", program]
    with Terminal(arguments, stocked.variables, stocked.cwd) as terminal:
        code, seen = terminal.finish()
    assert (code, seen) == (0, b"40 200\r\na ****\r\nb ****\r\nc\r\n")


def test_masked_output(stocked: Cli) -> None:
    """On both streams, across writes, in base64; the rest as it is."""
    program = (
        "import os, sys, time, base64\n"
        "value = os.environb[b'DB_PASSWORD']\n"
        "for byte in b'is ' + value + b'!\\n':\n"
        "    os.write(1, bytes([byte]))\n"
        "    time.sleep(0.002)\n"
        "os.write(2, base64.b64encode(b'user:' + value) + b'\\n')\n"
        "os.write(1, b'\\xff\\x00raw')\n"
    )
    done = stocked.real("run", "--prefix", "app1/", "--mask", "--", sys.executable, "-c", program)
    assert (done.code, done.out) == (0, b"is ****!\n\xff\x00raw")
    assert "****" in done.err and base64.b64encode(b"user:" + VALUE).decode()[8:-4] not in done.err


def test_short_values_are_not_masked_and_that_is_said(stocked: Cli) -> None:
    stocked.ok("put", "app1/port", given=b"80")
    done = stocked.real("run", "--prefix", "app1/", "--mask", "--", "echo", "80 hunter2")
    assert (done.out, done.err) == (b"80 ****\n", "warning: app1/port is too short to be masked\n")


def test_much_output_and_a_reader_that_goes_away(stocked: Cli) -> None:
    """A megabyte passes whole; a closed pipe ends the program as it would without us."""
    stocked.ok("put", "line", given=b"x" * 70 + b"secret")
    done = stocked.real("run", "--secret", "L=line", "--mask", "--", "sh", "-c", "seq 1 150000; echo $L")
    assert done.out == b"".join(b"%d\n" % number for number in range(1, 150_001)) + b"****\n"
    done = stocked.shell("dynastash run --prefix app1/ --mask -- sh -c 'yes; echo $? >&2' | head -n 1")
    assert done.out == b"y\n"
    assert (
        stocked.shell(
            "dynastash run --prefix app1/ --mask -- yes | head -n 1", shell=("bash", "-o", "pipefail", "-c")
        ).code
        == 141
    )


def test_what_stays_in_the_background_is_not_waited_for(stocked: Cli) -> None:
    """As without us."""
    done = stocked.real(
        "run", "--prefix", "app1/", "--mask", "--", "sh", "-c", "sleep 300 >&1 & echo $!", timeout=PATIENCE
    )
    os.kill(int(done.out), signal.SIGKILL)
    assert done.code == 0


def test_closed_standard_streams(stocked: Cli) -> None:
    """None of our pipes takes their numbers."""
    done = stocked.shell("dynastash run --prefix app1/ --mask -- sh -c 'echo $TOKEN' <&- >&- 2>&-; echo $?")
    assert done.out == b"0\n"
    done = stocked.shell("dynastash run --prefix app1/ --mask -- sh -c 'echo $TOKEN >&2; echo lost' <&- >&-")
    assert done.err == "****\n"


def test_files(stocked: Cli) -> None:
    """Private, whole, named after the secrets, in memory, and gone afterwards."""
    stocked.ok("put", "binary", given=b"a\0b")
    program = "echo $DYNASTASH_FILES; stat -c '%a %n' $DYNASTASH_FILES $DB_PASSWORD_FILE $B_FILE; cat $B_FILE"
    program += "; env | grep -c horse"
    done = stocked.real(
        "run", "--prefix", "app1/", "--secret", "B=binary", "--files", "auto", "--", "sh", "-c", f"umask 0; {program}"
    )
    where, *stats, contents = done.out.split(b"\n", 4)
    assert where.startswith(b"/dev/shm/dynastash-") and not Path(where.decode()).exists()
    assert stats == [b"700 " + where, b"600 " + where + b"/db/password", b"600 " + where + b"/B"]
    assert contents == b"a\0b0\n"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_files_are_removed_at_a_signal_too(stocked: Cli, end: signal.Signals) -> None:
    process = started(
        stocked, "--prefix", "app1/", "--files", "secrets", "--", "sh", "-c", "echo $TOKEN_FILE; exec sleep 300"
    )
    path = Path(line(process))
    assert path.read_bytes() == b"hunter2" and path.parent == stocked.cwd / "secrets"
    process.send_signal(end)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + end
    assert not (stocked.cwd / "secrets").exists()


def test_a_directory_for_files(stocked: Cli) -> None:
    """One that is there stays, if it is empty and private; every other is refused, and nothing starts."""
    run = (
        "run",
        "--prefix",
        "app1/",
        "--files",
        "there",
        "--",
        "sh",
        "-c",
        "ls there; touch there/mine; rm there/mine",
    )
    there = stocked.cwd / "there"
    there.mkdir(0o700)
    assert stocked.real(*run).out == b"db\ntoken\n"
    assert list(there.iterdir()) == []
    there.chmod(0o750)
    assert "there is open to other users" in stocked.real(*run).err
    there.chmod(0o700)
    (there / "x").write_text("kept")
    done = stocked.real(*run)
    assert (done.code, done.out) == (2, b"") and "there is not empty" in done.err
    (there / "x").unlink()
    there.rmdir()
    there.symlink_to("/tmp")
    assert "there is not a directory" in stocked.real(*run).err
    there.unlink()
    assert "cannot be written" in stocked.real("run", "--prefix", "app1/", "--files", "no/such", "--", "true").err
    stocked.ok("put", "app1/db", given=b"x")
    done = stocked.real("run", "--prefix", "app1/", "--files", "auto", "--", "echo")
    assert done.code == 2 and "app1/db would be the file db, and app1/db/password a file within it" in done.err
    assert not [
        path for path in Path("/dev/shm").glob("dynastash-*") if path.stat().st_uid == os.geteuid() and _ours(path)
    ]


def _ours(path: Path) -> bool:
    return any(path.rglob("token"))


def test_a_change_restarts_the_program(stocked: Cli) -> None:
    """With the new value, which the old one's output mask covers too; Ctrl-C or SIGTERM end it for good."""
    watch = ("--secret", "N=n", "--watch", "--interval", "1s")
    process = started(stocked, *watch, "--", sys.executable, "show.py")
    assert line(process) == "START first value"
    stocked.ok("put", "n", given=b"second value")
    assert line(process) == "START second value"
    stocked.ok("put", "n", "--comment", "the same once more", given=b"second value")
    stocked.ok("delete", "n")  # a poll that fails leaves the program alone
    assert process.stderr is not None
    assert process.stderr.readline() == b"changed: n; restarting\n"
    assert b"warning: not watching for now, and the program goes on: n is deleted" in process.stderr.readline()
    stocked.ok("undelete", "n")
    assert process.stderr.readline() == b"watching again\n"
    stocked.ok("put", "n", given=b"third value")
    assert line(process) == "START third value"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143


def test_a_change_sends_a_signal(stocked: Cli) -> None:
    """The files are new before it arrives, and what they hold is masked."""
    watch = ("--secret", "N=n", "--watch", "--interval", "1s", "--on-change", "hup", "--files", "auto", "--mask")
    process = started(stocked, *watch, "--", sys.executable, "show.py")
    assert line(process) == "START None"
    stocked.ok("put", "n", given=b"second value")
    assert line(process) == "HUP ****"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)


@pytest.mark.skipif(
    subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode != 0,
    reason="unshare may not make a pid namespace here",
)
class TestAsTheFirstProcess:
    """Of a container: nobody else passes signals on, or reaps."""

    def unshared(self, cli: Cli, *arguments: str) -> subprocess.Popen[bytes]:
        # --kill-child so that nothing outlives a test that fails; the first process is `dynastash` itself.
        command = [
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            sys.executable,
            "-m",
            "dynastash",
            "run",
        ]
        return subprocess.Popen(
            [*command, "--prefix", "app1/", *arguments],
            env=cli.variables, cwd=cli.cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def test_exec_is_the_first_process(self, stocked: Cli) -> None:
        process = self.unshared(stocked, "--", "sh", "-c", "echo $$; exit 3")
        assert process.communicate(timeout=PATIENCE)[0] == b"1\n"
        assert process.returncode == 3

    def test_signals_and_zombies(self, stocked: Cli) -> None:
        """An orphan is reaped while the program runs, SIGTERM ends it, and the exit code is its own."""
        program = "(sleep 0.1 & exec true) & wait; sleep 1; ps -o stat= -A | grep -c Z; exec python3 signals.py"
        process = self.unshared(stocked, "--init", "--", "sh", "-c", program)
        assert line(process) == "0"
        assert line(process) == "READY"
        child = _children(process.pid)[0]
        os.kill(child, signal.SIGUSR1)
        assert line(process) == "SIGUSR1"
        os.kill(child, signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)
        assert (out, process.returncode) == (b"SIGTERM\n", 7)


def _children(pid: int) -> list[int]:
    """The process's descendants, parents first."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [each for child in map(int, found) for each in (child, *_children(child))]


def _name(pid: int) -> bytes:
    return Path(f"/proc/{pid}/comm").read_bytes()


def _at(cli: Cli) -> dict[str, Any]:
    return {"env": cli.variables, "cwd": cli.cwd}
