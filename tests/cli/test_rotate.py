"""Rotation by a program of the user's, and what is left when it fails or when we are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.runner import Cli


@pytest.fixture
def rotator(cli: Cli) -> Path:
    """A program that keeps what it was given, and fails in the step that the file `fail` names."""
    program = cli.directory / "rotator"
    program.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$0")\n'
        "for step; do :; done\n"
        'echo "talking about $step"\n'
        'cat > "$here/$step.json"\n'
        'if [ -n "$DYNASTASH_PENDING_FILE" ]; then cat "$DYNASTASH_PENDING_FILE" > "$here/$step.pending"; fi\n'
        '[ "$(cat "$here/fail" 2>/dev/null)" != "$step" ]\n'
    )
    program.chmod(0o700)
    cli.ok("put", "db", given=b"old")
    return program


def test_the_program_is_told_and_asked(cli: Cli, rotator: Path) -> None:
    """set, then test, each with the values on standard input as JSON; then the new version is current."""
    done = cli.ok("rotate", "db", "--length", "40", "--comment", "monthly", "--", str(rotator), "--its-own", "-e")
    assert done.out == b""
    assert done.err.splitlines()[-1] == f"rotated db: version 2 in local ({cli.database})"
    new = cli.ok("get", "db").text
    assert len(new) == 40
    for step in ("set", "test"):
        told = json.loads((cli.directory / f"{step}.json").read_text())
        assert told["step"] == step
        assert told["current"] == {"version": 1, "value": "old"}
        assert told["pending"] == {"version": 2, "value": new}
        assert f"talking about {step}" in done.err
    assert "monthly" in cli.ok("history", "db").text


def test_values_in_files(cli: Cli, rotator: Path) -> None:
    """--values files: standard input is empty, the files are gone afterwards."""
    cli.ok("rotate", "db", "--length", "40", "--values", "files", "--", str(rotator))
    assert (cli.directory / "set.pending").read_text() == cli.ok("get", "db").text
    assert (cli.directory / "set.json").read_text() == ""


def test_json_keeps_standard_output_clean(cli: Cli, rotator: Path) -> None:
    """What the program prints goes to standard error; standard output is one document."""
    done = cli.real("rotate", "db", "--length", "40", "-o", "json", "--", str(rotator))
    assert done.code == 0
    assert json.loads(done.out)["version"] == 2
    assert "talking about set" in done.err


@pytest.mark.parametrize("step", ["set", "test"])
def test_a_step_that_fails_leaves_current_as_it_was(cli: Cli, rotator: Path, step: str) -> None:
    """Exit 1; the new version is pending, which is said; then --resume or --abort."""
    for way in ("resume", "abort"):
        before = cli.ok("get", "db").out
        (cli.directory / "fail").write_text(step)
        done = cli("rotate", "db", "--length", "40", "--", str(rotator))
        assert (done.code, done.out) == (1, b"")
        assert f"in local ({cli.database})" in done.err and "is pending" in done.err
        assert f"in the {step} step" in done.err and "--resume" in done.err and "--abort" in done.err
        assert cli.ok("get", "db").out == before
        pending = cli.ok("get", "db", "--stage", "pending").out
        if way == "resume":
            assert cli("rotate", "db", "--resume", "--", str(rotator)).code == 1
            (cli.directory / "fail").unlink()
            cli.ok("rotate", "db", "--resume", "--", str(rotator))
            assert cli.ok("get", "db").out == pending
        else:
            assert "is not used" in cli.ok("rotate", "db", "--abort").err
            assert cli.ok("get", "db").out == before
            assert cli("get", "db", "--stage", "pending").code == 3


def test_a_program_that_cannot_be_started(cli: Cli) -> None:
    """Exit 1 and one line; a name mistyped leaves nothing pending."""
    cli.ok("put", "db", given=b"old")
    done = cli("rotate", "db", "--length", "40", "--", "/nowhere/at-all")
    assert (done.code, len(done.err.splitlines())) == (1, 2)
    assert "'/nowhere/at-all'" in done.err
    assert cli.ok("get", "db").out == b"old"
    assert cli("get", "db", "--stage", "pending").code == 3


def test_a_program_that_takes_too_long(cli: Cli) -> None:
    """--timeout ends it, and everything below it."""
    cli.ok("put", "db", given=b"old")
    done = cli("rotate", "db", "--length", "40", "--timeout", "0.1", "--", "sh", "-c", "sleep 1000")
    assert done.code == 1
    assert "did not finish within 0.1 seconds" in done.err
    assert cli.ok("get", "db").out == b"old"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "soon", "1e9"])
def test_timeouts_out_of_range(cli: Cli, timeout: str) -> None:
    """Exit 2, nothing started and nothing pending."""
    cli.ok("put", "db", given=b"old")
    assert cli("rotate", "db", "--length", "40", "--timeout", timeout, "--", "true").code == 2
    assert cli("get", "db", "--stage", "pending").code == 3


@pytest.mark.parametrize("way", ["resume", "abort"])
def test_killed_in_the_middle(cli: Cli, rotator: Path, way: str) -> None:
    """SIGKILL while the program runs: current is current; --resume finishes, --abort ends."""
    fifo = cli.directory / "fifo"
    os.mkfifo(fifo)
    process = cli.start(
        "rotate", "db", "--length", "40", "--", "sh", "-c", f"echo $$ > {fifo}; exec sleep 1000",
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    program = int(fifo.read_text())
    try:
        process.kill()
        process.wait()
    finally:
        os.kill(program, signal.SIGKILL)
    assert cli.ok("get", "db").out == b"old"
    pending = cli.ok("get", "db", "--stage", "pending").out
    assert cli("put", "db", given=b"between").code == 6
    if way == "resume":
        cli.ok("rotate", "db", "--resume", "--", str(rotator))
        assert cli.ok("get", "db").out == pending
        assert json.loads((cli.directory / "test.json").read_text())["pending"]["value"] == pending.decode()
        assert cli.ok("get", "db", "--stage", "previous").out == b"old"
    else:
        cli.ok("rotate", "db", "--abort")
        assert cli.ok("get", "db").out == b"old"
        cli.ok("put", "db", given=b"new")


def test_resume_of_a_rotation_without_a_program(cli: Cli) -> None:
    """--rotator generate says that nobody has to be told. Nothing is assumed where nothing was said."""
    cli.ok("generate", "token")
    assert cli("rotate", "token", "--", "false").code == 1
    before = cli.ok("get", "token").out
    done = cli("rotate", "token", "--resume")
    assert done.code == 2
    assert "repeat its program" in done.err
    assert cli.ok("get", "token").out == before
    cli.ok("rotate", "token", "--resume", "--rotator", "generate")
    assert cli.ok("get", "token").out != before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "--abort"], "exclude each other"),
        (["--resume", "--length", "40", "--", "true"], "has its new value already"),
        (["--abort", "--comment", "x"], "has its new value already"),
        (["--rotator", "generate", "--", "true"], "not both"),
        (["--abort", "--", "true"], "asks no program"),
        (["--abort", "--rotator", "generate"], "asks no program"),
        (["--values", "files"], "go with a program"),
        (["--timeout", "5"], "go with a program"),
        (["--rotator", "command"], "needs a program"),
        (["--rotator", "nobody"], "there is no rotator"),
        (["--"], "no PROGRAM behind --"),
        (["./program"], "does not stand behind --"),
        (["./program", "--its-own"], "'--its-own' is not an option"),
        (["./program", "--", "set"], "does not stand behind --"),
        (["--values", "argv", "--", "true"], "'argv' is not one of"),
    ],
)
def test_what_does_not_go_together(cli: Cli, arguments: list[str], said: str) -> None:
    """Exit 2; nothing is started, and nothing is pending."""
    cli.ok("generate", "token")
    done = cli("rotate", "token", *arguments)
    assert (done.code, done.out) == (2, b"")
    assert said in done.err
    assert cli("get", "token", "--stage", "pending").code == 3
    assert "current" in cli.ok("history", "token").text.splitlines()[2]


def test_two_hyphens_before_the_name(cli: Cli) -> None:
    """What stands behind -- is the program and nothing else."""
    cli.ok("generate", "token")
    assert cli("rotate", "--", "token", "true").code == 2
    assert cli("rotate", "--", "token").code == 2


def test_without_a_policy(cli: Cli) -> None:
    """A secret that was put carries none: exit 1 and an example."""
    cli.ok("put", "n", given=b"x")
    done = cli("rotate", "n")
    assert done.code == 1
    assert "`dynastash rotate n --length 32`" in done.err


def test_a_rotator_of_an_installed_package(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """--rotator NAME makes that package's rotator do the steps; one that fails is said to be pending."""
    from dynastash.errors import RotationError
    from dynastash.models import Plaintext
    from dynastash.rotation import registry

    steps: list[str] = []

    class Theirs:
        def create(self, rotation: object) -> Plaintext:
            return Plaintext(b"theirs")

        def set(self, rotation: object) -> None:
            steps.append("set")

        def test(self, rotation: object) -> None:
            steps.append("test")
            if steps.count("test") == 1:
                raise RotationError("it does not work", step="test")

    monkeypatch.setattr(registry, "load", lambda name: {"theirs": Theirs}[name])
    cli.ok("put", "n", given=b"x")
    done = cli("rotate", "n", "--rotator", "theirs")
    assert done.code == 1
    assert done.err.splitlines()[:2] == [
        f"n: version 2 is pending in local ({cli.database})",
        "error: it does not work",
    ]
    cli.ok("rotate", "n", "--resume", "--rotator", "theirs")
    assert cli.ok("get", "n").out == b"theirs"
    assert steps == ["set", "test", "set", "test"]
