"""The command rotator, with real little programs: what they get, what they cannot see, and how they end."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dynastash.clock import SystemClock
from dynastash.errors import ConfigError, InvalidArgumentError, RotationError
from dynastash.generate import Passphrase, Password
from dynastash.models import Plaintext, Secret, Version
from dynastash.rotation import Rotation
from dynastash.rotation.command import CommandRotator
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash.rotation import run_step

CURRENT, PENDING = b"old-hunter2", b"new-correct-horse"
NOW = datetime(2026, 11, 8, tzinfo=UTC)


def _secret(number: int, value: bytes) -> Secret:
    return Secret(
        version=Version(name="app1/db", number=number, created_at=NOW, created_by="me"), plaintext=Plaintext(value)
    )


def _rotation(current: bytes = CURRENT, pending: bytes | None = PENDING) -> Rotation:
    return Rotation(
        environment="prod",
        name="app1/db",
        version=8,
        current=_secret(7, current),
        pending=None if pending is None else _secret(8, pending),
    )


class Program:
    """Writes programs into a directory and runs them through a rotator; ``shown`` is what reached the terminal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.shown = b""

    def python(self, body: str) -> tuple[str, ...]:
        """The argv of a Python program; it runs without site-packages, which is faster."""
        script = self.directory / "program.py"
        script.write_text("import base64, json, os, signal, sys, time\n" + textwrap.dedent(body))
        return sys.executable, "-IS", str(script)

    def shell(self, body: str, mode: int = 0o700, first: str = "#!/bin/sh\n") -> tuple[str, ...]:
        """The argv of a script; its first line names its interpreter unless told otherwise."""
        script = self.directory / "program"
        script.write_text(first + textwrap.dedent(body))
        script.chmod(mode)
        return (str(script),)

    def run(self, argv: tuple[str, ...], step: str = "set", rotation: Rotation | None = None, **settings: Any) -> None:
        """One step."""
        rotator = CommandRotator(argv, Password(), output=self._show, **settings)
        getattr(rotator, step)(rotation or _rotation())

    def _show(self, data: bytes) -> None:
        self.shown += data

    def report(self) -> Any:
        """What the program wrote as JSON to its file ``report``."""
        return json.loads((self.directory / "report").read_text())


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Programs run in the directory that they are written to."""
    monkeypatch.chdir(tmp_path)
    return Program(tmp_path)


class ImpatientClock(SystemClock):
    """Real time until a file is there; then a minute passes at every look. No test depends on how fast it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed = 0.0

    def monotonic(self) -> float:
        if self._file.exists():
            self._passed += 60.0
        return self._passed


class HastyClock(SystemClock):
    """A hundred seconds pass in each."""

    def monotonic(self) -> float:
        return super().monotonic() * 100


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected by init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to happen; the suite's own timeout is the limit."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.01)


# --- what the program gets ---------------------------------------------------------------------------------------


def test_a_program_gets_one_json_document_on_its_standard_input(program: Program) -> None:
    program.run(program.python("open('report', 'w').write(sys.stdin.read())"))
    assert program.report() == {
        "step": "set",
        "environment": "prod",
        "name": "app1/db",
        "version": 8,
        "current": {"version": 7, "value": "old-hunter2"},
        "pending": {"version": 8, "value": "new-correct-horse"},
    }
    assert (program.directory / "report").read_text().count("\n") == 1


@pytest.mark.parametrize(
    "value", [b"", b"\n", b" two\nlines \n", "schön \x00 \u2028".encode(), b'"\\', b"\xff\x00\xfe"]
)
def test_standard_input_carries_any_bytes(program: Program, value: bytes) -> None:
    """Text as it is, anything else in base64."""
    program.run(program.python("open('report', 'w').write(sys.stdin.read())"), rotation=_rotation(pending=value))
    pending = program.report()["pending"]
    del pending["version"]
    if value == b"\xff\x00\xfe":
        assert pending == {"value_base64": base64.b64encode(value).decode()}
    else:
        assert pending == {"value": value.decode()}


@pytest.mark.parametrize("value", [b"", b"\n", b" two\nlines \n", b"\xff\x00\xfe" * 100_000])
def test_files_carry_any_bytes(program: Program, value: bytes) -> None:
    copy = """
        for which in ("CURRENT", "PENDING"):
            data = open(os.environ[f"DYNASTASH_{which}_FILE"], "rb").read()
            open(which, "wb").write(data)
        open("stdin", "wb").write(sys.stdin.buffer.read())
    """
    program.run(program.python(copy), delivery="files", rotation=_rotation(pending=value))
    assert (program.directory / "CURRENT").read_bytes() == CURRENT
    assert (program.directory / "PENDING").read_bytes() == value
    assert (program.directory / "stdin").read_bytes() == b""


@pytest.mark.parametrize("delivery", ["stdin", "files"])
@pytest.mark.parametrize("step", ["set", "test"])
def test_values_are_neither_in_the_arguments_nor_in_the_environment(program: Program, step: str, delivery: str) -> None:
    """As the kernel shows them to others; the step and the facts are."""
    look = """
        parent = [open(f"/proc/{os.getppid()}/{file}", "rb").read() for file in ("cmdline", "environ")]
        mine = [open(f"/proc/self/{file}", "rb").read() for file in ("cmdline", "environ")]
        report = {
            "seen": base64.b64encode(b"".join(mine + parent)).decode(),
            "argv": sys.argv[1:],
            "facts": {name: text for name, text in os.environ.items() if name.startswith("DYNASTASH_")},
        }
        open("report", "w").write(json.dumps(report))
    """
    program.run((*program.python(look), "an argument", "; echo $HOME"), step, delivery=delivery)
    report = program.report()
    seen = base64.b64decode(report["seen"])
    assert b"DYNASTASH_STEP" in seen
    for value in (CURRENT, PENDING):
        assert value not in seen
        assert base64.b64encode(value) not in seen
    assert report["argv"] == ["an argument", "; echo $HOME", step]
    facts = report["facts"]
    paths = {name for name in facts if name.endswith("_FILE")}
    assert paths == ({"DYNASTASH_CURRENT_FILE", "DYNASTASH_PENDING_FILE"} if delivery == "files" else set())
    assert {name: text for name, text in facts.items() if name not in paths} == {
        "DYNASTASH_STEP": step,
        "DYNASTASH_ENVIRONMENT": "prod",
        "DYNASTASH_NAME": "app1/db",
        "DYNASTASH_VERSION": "8",
    }


def test_paths_of_an_outer_rotation_are_not_passed_on(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that itself rotates another secret must not hand its own values to that one's program."""
    monkeypatch.setenv("DYNASTASH_CURRENT_FILE", "/outer/current")
    program.run(program.python("open('report', 'w').write(json.dumps(dict(os.environ)))"))
    assert "DYNASTASH_CURRENT_FILE" not in program.report()


FILES = """
    current = os.environ["DYNASTASH_CURRENT_FILE"]
    directory = os.path.dirname(current)
    modes = [os.stat(path).st_mode for path in (directory, current, os.environ["DYNASTASH_PENDING_FILE"])]
    report = {"directory": directory, "modes": modes, "names": sorted(os.listdir(directory))}
    open("report", "w").write(json.dumps(report))
"""


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_private(program: Program, umask: int) -> None:
    argv = program.python("os.umask(0o022)" + textwrap.dedent(FILES))
    before = os.umask(umask)
    try:
        program.run(argv, delivery="files")
    finally:
        os.umask(before)
    report = program.report()
    assert report["names"] == ["current", "pending"]
    assert [stat.S_IMODE(mode) for mode in report["modes"]] == [0o700, 0o600, 0o600]


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_files_are_removed_however_the_program_ends(program: Program, ending: str) -> None:
    argv = program.python(textwrap.dedent(FILES) + ending)
    if ending:
        with pytest.raises(RotationError):
            program.run(argv, delivery="files")
    else:
        program.run(argv, delivery="files")
    assert not Path(program.report()["directory"]).exists()


def test_files_are_overwritten_and_not_just_unlinked(program: Program) -> None:
    """Under another name the file is empty; a link put in its place leads nowhere near."""
    (program.directory / "precious").write_text("precious")
    move = """
        pending = os.environ["DYNASTASH_PENDING_FILE"]
        kept = open(pending, "rb")
        os.rename(pending, pending + ".old")
        os.symlink(os.path.abspath("precious"), pending)
        if os.fork() == 0:
            os.setsid()
            sys.stdin.close(); null = os.open(os.devnull, os.O_RDWR); os.dup2(null, 1); os.dup2(null, 2)
            while os.path.lexists(pending):
                time.sleep(0.01)
            kept.seek(0)
            open("report.new", "w").write(json.dumps(kept.read().decode()))
            os.rename("report.new", "report")
            os._exit(0)
    """
    program.run(program.python(move), delivery="files")
    _until((program.directory / "report").exists)
    assert program.report() == ""
    assert (program.directory / "precious").read_text() == "precious"


def test_files_are_zeros_before_they_are_truncated(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system gives truncated blocks back as they are."""
    seen = []

    def truncate(descriptor: int, length: int, truncate: Callable[[int, int], None] = os.ftruncate) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").read_bytes())
        truncate(descriptor, length)

    monkeypatch.setattr(os, "ftruncate", truncate)
    program.run(program.shell("exit 0"), delivery="files")
    assert sorted(seen) == [bytes(len(CURRENT)), bytes(len(PENDING))]


def test_the_run_time_directory_is_used_only_where_it_is_the_users_alone(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = program.directory / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    program.run(program.python(FILES), delivery="files")
    assert Path(program.report()["directory"]).parent == runtime
    runtime.chmod(0o755)
    program.run(program.python(FILES), delivery="files")
    assert Path(program.report()["directory"]).parent != runtime
    assert list(runtime.iterdir()) == []


def test_without_a_place_for_files_the_step_fails(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(RotationError, match="No space left on device") as failed:
        program.run(program.python("open('report', 'w')"), delivery="files")
    assert failed.value.step == "set"
    assert not (program.directory / "report").exists()


# --- how it ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["set", "test"])
@pytest.mark.parametrize(
    ("body", "outcome"),
    [("exit 1", "exited with status 1"), ("exit 200", "exited with status 200"), ("kill -9 $$", "ended by SIGKILL")],
)
def test_a_program_that_fails_fails_its_step(program: Program, step: str, body: str, outcome: str) -> None:
    with pytest.raises(RotationError, match=outcome) as failed:
        program.run(program.shell(body), step)
    assert failed.value.step == step
    assert f"in the {step} step" in str(failed.value)
    assert "version 7 is still current" in str(failed.value.hint)
    assert "`dynastash rotate app1/db --resume -- PROGRAM`" in str(failed.value.hint)
    assert "`dynastash rotate app1/db --abort`" in str(failed.value.hint)


def test_a_signal_without_a_name_is_numbered(program: Program) -> None:
    with pytest.raises(RotationError, match=f"signal {signal.SIGRTMIN + 3}"):
        program.run(program.python("os.kill(os.getpid(), signal.SIGRTMIN + 3)"))


@pytest.mark.parametrize("delivery", ["stdin", "files"])
def test_a_program_that_is_not_there_or_cannot_run(program: Program, delivery: str) -> None:
    missing = ("./no-such-program",)
    plain = program.shell("exit 0", mode=0o600)
    with pytest.raises(RotationError, match=r"'./no-such-program' could not be started: .*not found") as failed:
        program.run(missing, delivery=delivery)
    assert failed.value.hint
    with pytest.raises(RotationError, match="not executable"):
        program.run(plain, delivery=delivery)
    with pytest.raises(RotationError, match="first line names its interpreter"):
        program.run(program.shell("exit 0", first=""), delivery=delivery)
    with pytest.raises(RotationError, match=r"interpreter.*not found"):
        program.run(program.shell("exit 0", first="#!/no/such/interpreter\n"), delivery=delivery)


def test_there_is_no_shell(program: Program) -> None:
    with pytest.raises(RotationError, match="not found"):
        program.run(("exit 0; touch report",))
    assert not (program.directory / "report").exists()


@pytest.mark.parametrize("body", ["exec 0<&-; sleep 0.1; exit 0", "exit 0", "head -c 10 >/dev/null"])
def test_a_program_need_not_read_its_standard_input(program: Program, body: str) -> None:
    """A value larger than any pipe holds, and a program that closes its end, at once or after a few bytes."""
    program.run(program.shell(body), rotation=_rotation(pending=b"x" * 320 * 1024))


def test_a_large_value_and_much_output_at_the_same_time(program: Program) -> None:
    """Neither side waits for the other: the program writes a lot before it reads."""
    chatter = "print('.' * 300_000, flush=True)\nprint(len(json.load(sys.stdin)['pending']['value']))"
    program.run(program.python(chatter), rotation=_rotation(pending=b"x" * 320 * 1024))
    assert program.shown == b"." * 300_000 + b"\n327680\n"


STUBBORN = """
    import subprocess
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); time.sleep(10**6)"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started = subprocess.Popen([sys.executable, "-IS", "-c", child])
    directory = os.path.dirname(os.environ.get("DYNASTASH_CURRENT_FILE", ""))
    report = {"pids": [os.getpid(), started.pid], "directory": directory}
    open("report", "w").write(json.dumps(report))
    time.sleep(10**6)
"""


@pytest.mark.parametrize("delivery", ["stdin", "files"])
def test_a_timeout_ends_the_program_and_its_children(program: Program, delivery: str) -> None:
    """Both ignore SIGTERM, so that only the whole group's SIGKILL helps."""
    clock = ImpatientClock(program.directory / "ready")
    with pytest.raises(RotationError, match=r"did not finish within 2\.5 seconds and was stopped in the test step"):
        program.run(program.python(STUBBORN), "test", delivery=delivery, timeout=2.5, clock=clock)
    report = program.report()
    _until(lambda: not any(_alive(pid) for pid in report["pids"]))
    assert not report["directory"] or not Path(report["directory"]).exists()


def test_a_timeout_asks_first(program: Program) -> None:
    """A program that handles SIGTERM can put things in order, and what it says then is still shown."""
    body = """
        def tidy(*_):
            print("putting things in order", flush=True)
            open("tidy", "w")
            sys.exit(0)

        signal.signal(signal.SIGTERM, tidy)
        open("ready", "w")
        time.sleep(10**6)
    """

    class AsksThenWaits(ImpatientClock):
        def monotonic(self) -> float:
            return 0.0 if not self._file.exists() else 10.0

    with pytest.raises(RotationError, match="was stopped"):
        program.run(program.python(body), timeout=9, clock=AsksThenWaits(program.directory / "ready"))
    assert (program.directory / "tidy").exists()
    assert b"putting things in order" in program.shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_the_program_and_removes_the_files(program: Program, number: signal.Signals) -> None:
    """Ctrl-C, a kill or a closed terminal, while the program runs: in a process of its own, as the command line is."""
    rotate = f"""
        import signal, sys
        sys.path[:0] = {[*sys.path, str(Path(__file__).parents[2])]!r}
        from tests.unit import test_rotation_command as tests
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        argv = {program.python(STUBBORN)!r}
        rotator = tests.CommandRotator(argv, tests.Password(), delivery="files", clock=tests.HastyClock())
        rotator.set(tests._rotation())
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(rotate)], stderr=subprocess.PIPE, cwd=program.directory
    )
    assert process.stderr is not None
    _until(lambda: (program.directory / "ready").exists() or process.poll() is not None)
    process.send_signal(number)
    errors = process.stderr.read()
    process.stderr.close()
    status = process.wait()
    assert status == (-signal.SIGINT if number is signal.SIGINT else 128 + number), errors
    assert CURRENT not in errors
    assert PENDING not in errors
    report = program.report()
    _until(lambda: not any(_alive(pid) for pid in report["pids"]))
    assert report["directory"]
    assert not Path(report["directory"]).exists()


def test_signal_handlers_are_as_before(program: Program) -> None:
    """Ours only stand while a program runs, and never in place of somebody else's."""

    def handler(*_: object) -> None: ...

    before = signal.signal(signal.SIGHUP, handler)
    try:
        program.run(program.shell("exit 0"))
        assert signal.getsignal(signal.SIGHUP) is handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_runs_in_another_thread_too(program: Program) -> None:
    """Only the main thread can set signal handlers; the others do without."""
    argv = program.python("open('report', 'w').write(sys.stdin.read())")
    thread = threading.Thread(target=program.run, args=(argv,))
    thread.start()
    thread.join()
    assert program.report()["step"] == "set"


def test_what_is_left_in_the_background_is_not_waited_for(program: Program) -> None:
    """It holds the pipe open, but the step is over when the program itself exits."""
    body = "sleep 1000000 & echo $! >report; echo started"
    program.run(program.shell(body))
    pid = program.report()
    try:
        assert _alive(pid)
        assert program.shown == b"started\n"
    finally:
        os.kill(pid, signal.SIGKILL)


# --- what it prints ----------------------------------------------------------------------------------------------


def test_output_is_shown_in_order_with_the_values_masked(program: Program) -> None:
    body = """
        secret = json.load(sys.stdin)["pending"]["value"]
        print("out", secret, flush=True)
        print("err", secret, file=sys.stderr, flush=True)
        for character in secret + "! " + secret[:3]:
            print(character, end="", flush=True)
        sys.exit(1)
    """
    with pytest.raises(RotationError) as failed:
        program.run(program.python(body))
    assert program.shown == b"out ****\nerr ****\n****! new"
    assert PENDING.decode() not in f"{failed.value!r} {failed.value} {failed.value.hint}"


def test_output_comes_while_the_program_runs_and_none_of_it_is_lost(program: Program) -> None:
    """The program waits until its first line has been shown; its last is still unread when it has exited."""
    body = "echo $$; while ! test -e go; do sleep 0.01; done; echo last"
    shown: list[bytes] = []

    def show(data: bytes) -> None:
        shown.append(data)
        (program.directory / "go").touch()
        _until(lambda: not _alive(int(shown[0])))

    CommandRotator(program.shell(body), Password(), output=show).set(_rotation())
    assert shown[1:] == [b"last\n"]


def test_output_goes_to_standard_error_and_never_to_standard_output(
    program: Program, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    CommandRotator(program.shell("echo out; echo err >&2"), Password()).set(_rotation())
    captured = capfdbinary.readouterr()
    assert captured.out == b""
    assert captured.err == b"out\nerr\n"


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, io.StringIO(), _closed()])
def test_a_terminal_that_is_gone_does_not_stop_a_rotation(
    program: Program, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    CommandRotator(program.shell("echo done; touch report"), Password()).set(_rotation())
    assert (program.directory / "report").exists()
    if stream is not None and not stream.closed:
        assert stream.getvalue() == "done\n"


# --- the rotators themselves -------------------------------------------------------------------------------------


def test_both_rotators_create_by_their_policy() -> None:
    for rotator in (CommandRotator(["true"], Password(20, "hex")), GenerateRotator(Password(20, "hex"))):
        value = rotator.create(_rotation(pending=None))
        assert len(value.expose()) == 20
        assert int(value.expose(), 16) >= 0
        assert value != rotator.create(_rotation(pending=None))


def test_a_mistyped_program_is_noticed_before_anything_is_written(program: Program) -> None:
    """In the create step, for whatever could not be started: a path, a name that is not on the path, a plain file."""
    program.shell("exit 0", mode=0o600)
    for argv in (["./no-such-program"], ["no-such-program-on-the-path"], ["./program"], ["."]):
        with pytest.raises(RotationError, match="there is no program") as failed:
            CommandRotator(argv, Password()).create(_rotation(pending=None))
        assert failed.value.step == "create"
    (program.directory / "program").chmod(0o700)
    CommandRotator(["./program"], Password()).create(_rotation(pending=None))


def test_a_value_that_cannot_be_made_is_a_failure_of_the_create_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the step as the stash runs it; nothing has been written by then."""

    def missing(package: str) -> Path:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr("importlib.resources.files", missing)
    for rotator in (CommandRotator(["true"], Passphrase()), GenerateRotator(Passphrase())):
        with pytest.raises(RotationError, match="word list") as failed:
            run_step(_rotation(pending=None), "create", rotator.create)
        assert failed.value.step == "create"
        assert isinstance(failed.value.__cause__, ConfigError)
        assert "nothing was written" in str(failed.value.hint)


def test_the_generate_rotator_leaves_other_steps_alone() -> None:
    """There is nobody to tell: both pass, also with nothing pending."""
    rotator = GenerateRotator(Password())
    rotator.set(_rotation(pending=None))
    rotator.test(_rotation(pending=None))


def test_there_is_nothing_to_set_before_a_version_is_pending(program: Program) -> None:
    with pytest.raises(RotationError, match="no pending version"):
        program.run(program.shell("touch report"), rotation=_rotation(pending=None))
    assert not (program.directory / "report").exists()


@pytest.mark.parametrize("argv", [[], "rotate-db", [""], ["a\0b"], ["rotate-db", 7]])
def test_a_program_is_a_list_of_arguments(argv: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        CommandRotator(argv, Password())


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), 86_401, "300"])
def test_a_timeout_is_seconds_up_to_a_day(timeout: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        CommandRotator(["true"], Password(), timeout=timeout)


def test_values_are_handed_over_in_one_of_two_ways() -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        CommandRotator(["true"], Password(), delivery="environment")
    assert refused.value.hint == "use stdin or files"
