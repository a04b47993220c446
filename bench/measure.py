"""Whole processes from start to exit, in turns: A B C A B C …, so that a noisy moment meets all of them alike."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

_SPAWN: Final = Path(__file__).with_name("spawn.py")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A command line and what its output must hold: whoever fails quickly must not win."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    given: bytes = b""
    expect: bytes = b""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds on the clock, seconds of CPU, the peak of memory in MB; ``books`` are the server's."""

    wall: float
    cpu: float
    memory: float
    output: bytes = b""
    books: Mapping[str, Any] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Without the output."""
        document = asdict(self)
        del document["output"]
        return document


class Failed(Exception):
    """A contestant that did not do its work."""


class Arena:
    """A directory and an environment in which contestants run; nothing of the caller's own environment but PATH."""

    def __init__(self, directory: Path, variables: Mapping[str, str], books: Callable[[str], dict[str, Any]]) -> None:
        self._directory = directory
        self._variables = {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8", **variables}
        self._books = books
        self._spawner = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SPAWN)],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process that starts the others."""
        assert self._spawner.stdin is not None
        assert self._spawner.stdout is not None
        self._spawner.stdin.close()
        self._spawner.wait()
        self._spawner.stdout.close()

    def run(self, contestant: Contestant) -> Sample:
        """Run once. Raises :class:`Failed`."""
        given, output, complaints = (self._directory / name for name in ("given", "output", "complaints"))
        given.write_bytes(contestant.given)
        self._books("reset")
        found = self._spawn(
            {
                "command": list(contestant.command),
                "variables": {**self._variables, **contestant.variables},
                "given": str(given),
                "output": str(output),
                "complaints": str(complaints),
            }
        )
        books = self._books("books")
        result = output.read_bytes()
        if found["code"] != 0 or contestant.expect not in result:
            said = complaints.read_text(errors="replace")[-2000:]
            raise Failed(f"{contestant.name}: code {found['code']}\n{said}")
        return Sample(found["wall"], found["cpu"], found["memory"], result, books)

    def rounds(self, contestants: Sequence[Contestant], count: int) -> Iterator[dict[str, Sample]]:
        """Warm up once, then ``count`` times each in turn."""
        for contestant in contestants:
            self.run(contestant)
        for _ in range(count):
            yield {contestant.name: self.run(contestant) for contestant in contestants}

    def _spawn(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._spawner.stdin is not None
        assert self._spawner.stdout is not None
        self._spawner.stdin.write(json.dumps(order) + "\n")
        self._spawner.stdin.flush()
        found: dict[str, Any] = json.loads(self._spawner.stdout.readline())
        return found


@contextlib.contextmanager
def arena(directory: Path, variables: Mapping[str, str], books: Callable[[str], dict[str, Any]]) -> Iterator[Arena]:
    """An arena that is closed in the end."""
    made = Arena(directory, variables, books)
    try:
        yield made
    finally:
        made.close()
