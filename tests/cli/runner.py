"""The command line in this process, and as a real one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dynastash.cli.app import run
from tests.engines.engine import REGION, Engine


@dataclass(frozen=True)
class Done:
    """What came of a command line."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.out.decode("utf-8")


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@contextmanager
def streams(given: bytes | None, encoding: str, terminal: bool) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Standard streams of this process: a file with ``given`` or /dev/null, and two buffers."""
    kept = sys.stdin, sys.stdout, sys.stderr
    out, err = io.BytesIO(), io.BytesIO()
    with tempfile.TemporaryFile() as file:
        file.write(given or b"")
        file.seek(0)
        with open(os.devnull) if given is None else open(os.dup(file.fileno()), encoding="utf-8") as stdin:
            sys.stdin = stdin
            sys.stdout = (_Terminal if terminal else io.TextIOWrapper)(out, encoding=encoding)
            sys.stderr = io.TextIOWrapper(err, encoding=encoding)
            try:
                yield out, err
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                    stream.detach()
            finally:
                sys.stdin, sys.stdout, sys.stderr = kept


class Cli:
    """Command lines on an embedded store of their own. ``directory`` holds it, ``cwd`` is where they run, empty."""

    def __init__(self, directory: Path, cwd: Path) -> None:
        self.directory = directory
        self.cwd = cwd
        scripts = str(Path(sys.executable).parent)
        self.variables = {
            "PATH": f"{scripts}:/usr/bin:/bin",
            "HOME": str(directory / "home"),
            "DYNASTASH_DATA": str(directory / "data"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def database(self) -> Path:
        return self.directory / "data" / "local.db"

    @property
    def key(self) -> Path:
        return self.directory / "data" / "local.key"

    def __call__(
        self, *arguments: str, given: bytes | None = None, encoding: str = "utf-8", terminal: bool = False
    ) -> Done:
        """Run in this process. Without ``given``, standard input is /dev/null."""
        with streams(given, encoding, terminal) as (out, err):
            code = run(list(arguments))
        return Done(code, out.getvalue(), err.getvalue().decode(encoding))

    def ok(self, *arguments: str, given: bytes | None = None) -> Done:
        """Run in this process and insist on success."""
        done = self(*arguments, given=given)
        assert done.code == 0, done.err
        return done

    def real(self, *arguments: str, given: bytes | None = None, **more: Any) -> Done:
        """Run as a process, its standard input a pipe with ``given`` or /dev/null."""
        stdin = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
        done = subprocess.run(
            [sys.executable, "-m", "dynastash", *arguments],
            capture_output=True,
            **{"env": self.variables, "cwd": self.cwd, **stdin, **more},
        )
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8"))

    def shell(self, command: str, shell: Sequence[str] = ("sh", "-c"), **variables: str) -> Done:
        """Run a line of the shell's."""
        done = subprocess.run(
            [*shell, command], capture_output=True, env={**self.variables, **variables}, cwd=self.cwd,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8"))

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "dynastash", *arguments], **{"env": self.variables, "cwd": self.cwd, **more}
        )


def beside(engine: Engine, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The environment local in ``directory``, and ``engine`` for whatever is asked of AWS, in this process too."""
    cwd = directory / "cwd"
    cwd.mkdir()
    made = Cli(directory, cwd)
    made.variables |= _access(engine)
    for variable, text in made.variables.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.chdir(cwd)
    return made


def _access(engine: Engine) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": engine.endpoint_url,
    }


def on_aws(cli: Cli, engine: Engine) -> None:
    """Put ``cli`` on an environment on ``engine``, with a new table and a new key."""
    cli.variables |= _access(engine) | {
        "DYNASTASH_ENV": "dev",
        "DYNASTASH_TABLE": engine.create_table(),
        "DYNASTASH_KEY": engine.create_key(),
    }
