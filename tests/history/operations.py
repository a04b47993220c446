"""What a process did and saw, written down as it happens, so that it outlasts the process.

A journal is JSON lines, two for each operation: its call, before it begins, and its end, once its outcome is known. An
operation without an end may have happened, may happen yet, or never will: its process was killed, or the error said
nothing about it. The times are of CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation on one secret.

    ``returned`` and ``outcome`` are None where the operation has no end. An outcome is ``{"ok": …}`` with what was
    returned, or ``{"refused": …}`` with the error's name.
    """

    process: str
    secret: str
    kind: str
    arguments: Mapping[str, Any]
    invoked: int
    returned: int | None = None
    outcome: Mapping[str, Any] | None = None

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What was returned; None where that is not known, or it was refused."""
        return None if self.outcome is None else self.outcome.get("ok")

    @property
    def refusal(self) -> str | None:
        """The error's name, where it was refused."""
        return None if self.outcome is None else self.outcome.get("refused")

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        end = "?" if self.returned is None else f"{self.returned / 1e9:.6f}"
        outcome = "no end" if self.outcome is None else json.dumps(dict(self.outcome))
        return f"{self.invoked / 1e9:.6f}–{end} {self.process}: {self.kind} {self.secret} {given} → {outcome}"


class Journal:
    """Writes one process's operations. Each line is one ``write``, which a SIGKILL does not take back."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._count = 0

    def call(self, secret: str, kind: str, **arguments: Any) -> int:
        """An operation begins now. Its number."""
        self._count += 1
        self._write({"call": self._count, "secret": secret, "kind": kind, "arguments": arguments})
        return self._count

    def ok(self, call: int, **result: Any) -> None:
        """It has returned ``result``."""
        self._write({"end": call, "outcome": {"ok": result}})

    def refused(self, call: int, error: str) -> None:
        """It has ended with an error and without an effect."""
        self._write({"end": call, "outcome": {"refused": error}})

    def finding(self, text: str) -> None:
        """Something is wrong that is no operation's outcome."""
        self._write({"finding": text})

    def _write(self, line: Mapping[str, Any]) -> None:
        # Read before what begins and after what ended: an interval is never too short.
        os.write(self._file, json.dumps({**line, "at": time.monotonic_ns()}).encode() + b"\n")


def read(directory: Path) -> tuple[list[Operation], list[str]]:
    """All operations of a directory's journals, and all findings in them."""
    operations: list[Operation] = []
    findings: list[str] = []
    for path in sorted(directory.glob("*.jsonl")):
        open_calls: dict[int, Operation] = {}
        for line in _lines(path):
            if "finding" in line:
                findings.append(line["finding"])
            elif "call" in line:
                open_calls[line["call"]] = Operation(
                    process=path.stem,
                    secret=line["secret"],
                    kind=line["kind"],
                    arguments=line["arguments"],
                    invoked=line["at"],
                )
            else:
                call = open_calls.pop(line["end"])
                operations.append(replace(call, returned=line["at"], outcome=line["outcome"]))
        operations += open_calls.values()
    return operations, findings


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # the last one may have been cut off
            yield json.loads(line)
