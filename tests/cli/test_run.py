"""`dynastash run`: real processes, and what they got."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.runner import Cli, Done

SHOW = "import os, sys; sys.stdout.write(repr(sorted(os.environb.items())))"


@pytest.fixture
def stocked(cli: Cli) -> Cli:
    cli.ok("put", "app1/db/password", given=b"hunter2")
    cli.ok("put", "app1/api/token", given=b"correct horse")
    cli.ok("put", "app1/json", given=b'{"user": "ada", "n": 1.10}')
    return cli


def environment(cli: Cli, *arguments: str, **more: object) -> dict[bytes, bytes]:
    """The environment that a program gets."""
    done = cli.real("run", *arguments, "--", sys.executable, "-c", SHOW, **more)
    assert done.code == 0, done.err
    return dict(eval(done.out))


def test_secrets_become_variables(stocked: Cli) -> None:
    """What is there already is inherited, and the secrets win."""
    variables = {**stocked.variables, "DB_PASSWORD": "other", "MINE": "kept"}
    found = environment(stocked, "--prefix", "app1/", "--secret", "USER_NAME=app1/json#user", env=variables)
    expected = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()} | {
        b"DB_PASSWORD": b"hunter2",
        b"API_TOKEN": b"correct horse",
        b"JSON": b'{"user": "ada", "n": 1.10}',
        b"USER_NAME": b"ada",
    }
    assert {name: value for name, value in found.items() if name != b"LC_CTYPE"} == expected


@pytest.mark.parametrize(
    "value",
    [b"two\nlines\n", b'"it\'s" $HOME `x` \\', "päß 🔑".encode(), b"\xff\xfe", b"", b" = ", b"\n"],
)
def test_values_arrive_byte_for_byte(stocked: Cli, value: bytes) -> None:
    stocked.ok("put", "n", given=value)
    assert environment(stocked, "--secret", "VALUE=n")[b"VALUE"] == value


def test_pristine(stocked: Cli) -> None:
    """Nothing but PATH, what was named, and the secrets; Python's own LC_CTYPE is not passed off as inherited."""
    variables = {**stocked.variables, "MINE": "x", "OTHER": "y"}
    found = environment(stocked, "--pristine", "--pass", "MINE", "--prefix", "app1/", env=variables)
    assert set(found) - {b"LC_CTYPE"} == {b"PATH", b"MINE", b"DB_PASSWORD", b"API_TOKEN", b"JSON"}
    done = stocked.real("run", "--pristine", "--prefix", "app1/", "--", "env", env=variables)
    assert b"LC_CTYPE" not in done.out


def test_the_environment_is_inherited_exactly(stocked: Cli) -> None:
    """As a program without Python in front of it would have it: bytes that are no text, and nothing added."""
    variables = {os.fsencode(name): os.fsencode(value) for name, value in stocked.variables.items()} | {b"RAW": b"\xff"}
    done = stocked.real("run", "--secret", "S=app1/api/token", "--", "env", "-0", env=variables)
    assert dict(each.split(b"=", 1) for each in done.out.split(b"\0")[:-1]) == variables | {b"S": b"correct horse"}


def test_the_local_key_stays_here(cli: Cli) -> None:
    """It opens every secret of the environment. Asked for by its name, it goes along."""
    import base64

    variables = {**cli.variables, "DYNASTASH_LOCAL_KEY": base64.b64encode(bytes(range(32))).decode()}
    assert cli.real("put", "n", given=b"x", env=variables).code == 0
    assert b"DYNASTASH_LOCAL_KEY" not in environment(cli, "--secret", "N=n", env=variables)
    assert b"DYNASTASH_DATA" in environment(cli, "--secret", "N=n", env=variables)
    passed = environment(cli, "--secret", "N=n", "--pass", "DYNASTASH_LOCAL_KEY", env=variables)
    assert passed[b"DYNASTASH_LOCAL_KEY"] == variables["DYNASTASH_LOCAL_KEY"].encode()


def test_an_env_file(stocked: Cli) -> None:
    """References and plain lines mixed; only what is wholly a reference is one."""
    (stocked.cwd / "app.env").write_text(
        "PLAIN='x y'\nDB=dynastash://app1/db/password@1\n# c\nU=dynastash://app1/json#user\n"
    )
    found = environment(stocked, "--env-file", "app.env")
    assert (found[b"PLAIN"], found[b"DB"], found[b"U"]) == (b"x y", b"hunter2", b"ada")
    (stocked.cwd / "plain.env").write_text("PLAIN=1\n")
    assert environment(stocked, "--env-file", "plain.env")[b"PLAIN"] == b"1"


def test_it_is_the_program(stocked: Cli) -> None:
    """The same process, its arguments, its exit code, its standard input; Python's ignored SIGPIPE is not inherited."""
    program = "echo $$; read line; echo $line $#; exec 1>&-; exit 41"
    process = stocked.start("run", "--prefix", "app1/", "--", "sh", "-c", program, "sh", "-e", "--prefix",
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    out, _ = process.communicate(b"typed\n")
    assert (out.decode().split(), process.returncode) == ([str(process.pid), "typed", "2"], 41)
    done = stocked.real("run", "--prefix", "app1/", "--", "sh", "-c", "trap", given=b"")
    assert done.out == b""
    done = stocked.real("run", "--prefix", "app1/", "--", "grep", "SigIgn", "/proc/self/status")
    assert int(done.out.split()[1], 16) & (1 << 12 | 1 << 24) == 0  # SIGPIPE, SIGXFSZ
    done = stocked.real("run", "--prefix", "app1/", "--", "sh", "-c", "kill -TERM $$")
    assert done.code == -15


def refused(done: Done, code: int, *said: str) -> None:
    """It failed with ``code``, said all this, and nothing was started: the program would have written something."""
    assert (done.code, done.out) == (code, b""), done.err
    for text in said:
        assert text in done.err
    assert "hunter2" not in done.err and "correct" not in done.err


def test_it_fails_closed(stocked: Cli) -> None:
    """One secret that cannot be had, and nothing starts; every failing one is named."""
    stocked.ok("put", "gone", given=b"x")
    stocked.ok("delete", "gone")
    run = ("run", "--prefix", "app1/")
    echo = ("--", "echo", "started")
    refused(stocked.real(*run, "--secret", "A=nobody", *echo), 8, "nobody: there is no secret nobody")
    refused(stocked.real("run", "--secret", "A=nobody", *echo), 3, "there is no secret nobody")
    refused(stocked.real(*run, "--secret", "A=gone", *echo), 8, "gone: gone is deleted", "dynastash undelete gone")
    refused(
        stocked.real(*run, "--secret", "A=app1/json#pass", *echo), 8, "app1/json#pass: version 1 of app1/json has no"
    )
    refused(
        stocked.real(*run, "--secret", "A=nobody", "--secret", "B=gone", "--secret", "C=app1/db/password@7", *echo),
        8, "error: 3 secrets could not be had: ", "nobody: ", "gone: ",
        "app1/db/password@7: app1/db/password has no version 7",
    )  # fmt: skip
    refused(stocked.real("run", "--prefix", "app2/", *echo), 8, "no secret in local starts with 'app2/'")
    stocked.key.write_bytes(b"A" * 43 + b"=\n")
    refused(stocked.real("run", "--secret", "A=app1/db/password", *echo), 5)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--prefix", "app1/", "--", "nosuch-program"], 127, "there is no command 'nosuch-program' in PATH"),
        (["--prefix", "app1/", "--", "./nosuch"], 127, "there is no command './nosuch'\n"),
        (["--prefix", "app1/", "--", ""], 127, "there is no command ''"),
        (["--prefix", "app1/", "--", "./plain"], 126, "./plain is not executable"),
        (["--prefix", "app1/", "--", "/"], 126, "/ is a directory"),
        (["--prefix", "app1/", "--", "./noexec"], 126, "./noexec is neither a binary of this machine nor a script"),
        (["--prefix", "app1/", "--", "./badline"], 127, "the interpreter that its first line names was not found"),
        (["--prefix", "app1/", "true"], 2, "PROGRAM does not stand behind --"),
        (["--prefix", "app1/"], 2, "there is no PROGRAM behind --"),
        (["--prefix", "app1/", "--"], 2, "there is no PROGRAM behind --"),
        (["--", "true"], 2, "which secrets was not said"),
        (["--secret", "app1/json", "--", "true"], 2, "write VAR=REFERENCE"),
        (["--secret", "1A=app1/json", "--", "true"], 2, "'1A' is not a name for a variable"),
        (["--env-file", "nosuch.env", "--", "true"], 2, "nosuch.env cannot be read: No such file"),
        (["--prefix", "/app", "--", "true"], 2, "no secret's name starts with '/app'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else None,
)
def test_what_cannot_be_run(stocked: Cli, arguments: list[str], code: int, message: str) -> None:
    """As shells have it: 127 for what is not there, 126 for what cannot be executed."""
    for name, text, mode in (("plain", "", 0o644), ("noexec", "true\n", 0o755), ("badline", "#!/no/such\n", 0o755)):
        (stocked.cwd / name).write_text(text)
        (stocked.cwd / name).chmod(mode)
    refused(stocked.real("run", *arguments), code, message)


def test_a_missing_command_asks_no_store(stocked: Cli) -> None:
    """Nor leaves a line in an audit log: it is looked for first."""
    stocked.database.unlink()
    refused(stocked.real("run", "--prefix", "app1/", "--", "nosuch"), 127, "there is no command")


def test_what_no_variable_can_hold(stocked: Cli) -> None:
    """A NUL, more than the system takes in one variable, more than it takes in all: nothing starts."""
    stocked.ok("put", "nul", given=b"hunter2\0x")
    refused(
        stocked.real("run", "--secret", "N=nul", "--", "echo", "x"), 2, "nul has a NUL byte, which no variable can hold"
    )
    stocked.ok("put", "large", given=b"x" * 131_072)
    refused(
        stocked.real("run", "--secret", "N=large", "--", "echo", "x"), 2, "large is too large for a variable: 131072 "
    )
    stocked.ok("put", "fits", given=b"x" * (131_072 - 3))
    assert stocked.real("run", "--secret", "N=fits", "--", "sh", "-c", "echo ${#N}").out == b"131069\n"

    def small_stack() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, 512 * 1024))

    many = [argument for number in "ABC" for argument in ("--secret", f"{number}=fits")]
    done = stocked.real("run", *many, "--", "echo", "x", preexec_fn=small_stack)
    refused(done, 126, "cannot be started: its arguments and environment, ", "are too large for this system")


def test_no_value_is_ever_in_an_argument(stocked: Cli) -> None:
    done = stocked.real("run", "--prefix", "app1/", "--", "cat", "/proc/self/cmdline")
    assert done.out == b"cat\0/proc/self/cmdline\0"


def test_the_path_of_a_file_of_variables_counts(stocked: Cli, tmp_path: Path) -> None:
    """As with env: the program is looked for where its own PATH says."""
    (tmp_path / "only-here").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "only-here").chmod(0o755)
    (stocked.cwd / "p.env").write_text(f"PATH={tmp_path}\n")
    assert stocked.real("run", "--env-file", "p.env", "--", "only-here").out == b"found\n"


def test_five_hundred_secrets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that expired among them: it is named, and nothing starts."""
    from datetime import UTC, datetime, timedelta

    import dynastash
    from dynastash.clock import SystemClock

    stash = dynastash.connect()
    for number in range(500):
        stash.put(f"many/{number:03d}", f"value {number}")
    found = environment(cli, "--prefix", "many/")
    assert {name: value for name, value in found.items() if name[:2] in (b"_0", b"_1", b"_2", b"_3", b"_4")} == {
        b"_%03d" % number: b"value %d" % number for number in range(500)
    }
    now = datetime.now(UTC)
    with monkeypatch.context() as patch:
        patch.setattr(SystemClock, "now", lambda self: int((now - timedelta(hours=2)).timestamp() * 1000))
        stash.put("many/007", "correct horse", expires_at=now - timedelta(hours=1))
    run = ("run", "--prefix", "many/", "--", "echo", "started")
    refused(cli.real(*run), 8, "error: 1 secret could not be had: many/007: version 2 of many/007 expired on")
