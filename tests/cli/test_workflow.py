"""In GitHub Actions: masks before anything else, and a job's variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import InvalidArgumentError
from dynastash.models import Plaintext, Secret, Version, from_ms
from dynastash.running.github import mask_commands, variables_file
from dynastash.running.plan import Assigned
from tests.cli.runner import Cli
from tests.cli.terminal import Terminal

KEY = b"-----BEGIN KEY-----\r\nMC4CAQ%AwBQ\r\nab\r\n-----END KEY-----\n"


@pytest.fixture
def stocked(cli: Cli) -> Cli:
    cli.ok("put", "app1/db/password", given=b"hunter2")
    cli.ok("put", "app1/tls/key", given=KEY)
    cli.ok("put", "app1/port", given=b"80")
    cli.variables["GITHUB_ACTIONS"] = "true"
    cli.variables["GITHUB_ENV"] = str(cli.cwd / "env")
    return cli


MASKS = (
    "::add-mask::-----BEGIN KEY-----\n::add-mask::-----END KEY-----\n::add-mask::MC4CAQ%25AwBQ\n::add-mask::hunter2\n"
)
SHORT = "warning: app1/port is too short to be masked\n"


def parsed(text: str) -> dict[str, str]:
    """What the runner makes of such a file."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if line:
            name, mark = line.split("<<")
            value = []
            while (part := next(lines)) != mark:
                value.append(part)
            found[name] = "\n".join(value)
    return found


def test_run_registers_masks_before_anything_is_printed(stocked: Cli) -> None:
    """Line by line, on standard error, which the runner takes first; also beside --mask."""
    for way in ([], ["--mask"]):
        done = stocked.real("run", "--prefix", "app1/", *way, "--", "sh", "-c", "echo out; echo err >&2")
        assert (done.code, done.out) == (0, b"out\n")
        assert done.err.startswith(MASKS + SHORT) and done.err.endswith("err\n")


def test_run_elsewhere_registers_nothing(stocked: Cli) -> None:
    """Or only if told so; and not in a workflow if told otherwise."""
    run = ("run", "--prefix", "app1/")
    assert stocked.real(*run, "--no-add-mask", "--", "true").err == ""
    del stocked.variables["GITHUB_ACTIONS"]
    assert stocked.real(*run, "--", "true").err == ""
    assert stocked.real(*run, "--add-mask", "--", "true").err == MASKS + SHORT


def test_values_are_never_registered_in_a_file_or_on_a_terminal(stocked: Cli) -> None:
    """The runner does not read those; nothing starts."""
    run = [sys.executable, "-m", "dynastash", "run", "--prefix", "app1/", "--", "echo", "started"]
    with open(stocked.cwd / "log", "wb") as log:
        done = subprocess.run(run, env=stocked.variables, cwd=stocked.cwd, stdout=subprocess.PIPE, stderr=log)
    assert (done.returncode, done.stdout) == (2, b"")
    said = (stocked.cwd / "log").read_text()
    assert said.startswith("error: the runner cannot be told what to mask") and "hunter2" not in said
    with Terminal(run, stocked.variables, stocked.cwd) as terminal:
        code, seen = terminal.finish()
    assert code == 2 and b"hunter2" not in seen and b"started" not in seen


def test_a_change_registers_the_new_value(stocked: Cli) -> None:
    """Before the restarted program could print it."""
    script = "import os, sys\nsys.stdout.write('START\\n'); sys.stdout.flush(); import signal; signal.pause()"
    process = stocked.start("run", "--secret", "P=app1/db/password", "--watch", "--interval", "1s", "--",
                            sys.executable, "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"START\n"
    stocked.ok("put", "app1/db/password", given=b"second value")
    assert process.stdout.readline() == b"START\n"
    process.terminate()
    assert process.stderr.read().startswith(
        b"::add-mask::hunter2\n::add-mask::second value\nchanged: app1/db/password;"
    )
    process.wait()
    process.stdout.close()
    process.stderr.close()


def test_export_for_the_steps_that_follow(stocked: Cli) -> None:
    """Appended, byte for byte, between lines that nobody can guess; masks first."""
    Path(stocked.variables["GITHUB_ENV"]).write_text("EARLIER=1\n")
    done = stocked.real("export", "--format", "github-env", "--prefix", "app1/", "--secret", "OLD=app1/db/password@1")
    assert (done.code, done.out) == (0, b"")
    assert done.err.startswith(MASKS + SHORT + "exported 4 secrets of local (")
    text = Path(stocked.variables["GITHUB_ENV"]).read_bytes().decode()
    assert text.startswith("EARLIER=1\n")
    assert parsed(text.removeprefix("EARLIER=1\n")) == {
        "DB_PASSWORD": "hunter2", "OLD": "hunter2", "PORT": "80", "TLS_KEY": KEY.decode()
    }  # fmt: skip
    done = stocked.real("export", "--format", "github-env", "--secret", "P=app1/db/password", "--to", "-")
    assert parsed(done.out.decode()) == {"P": "hunter2"}
    assert done.err == "::add-mask::hunter2\n"
    done = stocked.real("export", "--format", "github-env", "--secret", "P=app1/port", "--to", "other")
    assert os.stat(stocked.cwd / "other").st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "what to export was not said"),
        (["--sealed", "x", "--format", "github-env"], 2, "--sealed and --format exclude each other"),
        (["--sealed", "x", "--prefix", "a"], 2, "--prefix, --secret, --keep-prefix and --to go with --format"),
        (["--format", "github-env"], 2, "which secrets was not said"),
        (["--format", "github-env", "--secret", "A=nobody"], 3, "there is no secret nobody"),
        (["--format", "github-env", "--secret", "A=binary"], 2, "binary is not text"),
        (["--format", "github-env", "--secret", "A=app1/port", "--to", "no/such"], 1, "no/such cannot be written"),
        (["--format", "nothing"], 2, "nothing"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else None,
)
def test_what_cannot_be_exported(stocked: Cli, arguments: list[str], code: int, message: str) -> None:
    stocked.ok("put", "binary", given=b"\xff\x00")
    done = stocked.real("export", *arguments)
    assert (done.code, done.out) == (code, b"") and message in done.err
    assert not (stocked.cwd / "env").exists()


def test_no_file_to_export_to(stocked: Cli) -> None:
    """Outside of a workflow; and values are not shown on a terminal."""
    del stocked.variables["GITHUB_ENV"]
    export = ("export", "--format", "github-env", "--secret", "A=app1/db/password")
    assert "there is no $GITHUB_ENV to write to" in stocked.real(*export).err
    with Terminal(
        [sys.executable, "-m", "dynastash", *export, "--to", "-"], stocked.variables, stocked.cwd
    ) as terminal:
        code, seen = terminal.finish()
    assert code == 2 and b"this is a terminal" in seen and b"hunter2" not in seen


def _assigned(value: bytes) -> Assigned:
    version = Version(name="n", number=1, created_at=from_ms(0), created_by="x")
    return Assigned("V", Secret(version=version, plaintext=Plaintext(value)), "n", "n")


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("\n<=%\r"), max_size=40)
)
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    """Whatever it has that looks like the format itself; and no mask command is more than one line."""
    assert parsed(variables_file([_assigned(text.encode())]).decode()) == {"V": text}
    for line in mask_commands([_assigned(text.encode())]).split(b"\n"):
        assert line == b"" or line.startswith(b"::add-mask::")


def test_what_is_no_text_is_refused() -> None:
    for value in (b"\xff", b"a\0b"):
        with pytest.raises(InvalidArgumentError, match="n is not text"):
            variables_file([_assigned(value)])
