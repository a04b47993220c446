"""The whole suite of the command line on AWS, once under each transport, and what they printed compared.

``python -m tests.cli.recording [FILE…]`` (``make test-transports``) runs the tests of this directory, or those in
some of its files, twice against ministack: under ``boto`` and under ``direct``. Each command line, its output, its
errors and its exit code are recorded and must be the same, and so must the outcome of each test. Some tests hold on
the embedded store alone, for they look into its file or know its messages: those fail under both, at the same place,
and are listed; what they ran before counts.
"""

from __future__ import annotations

import difflib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runner import Cli, Done

TRANSPORT = "TESTS_CLI_TRANSPORT"  # not DYNASTASH_: those are taken away from tests
RECORD = "TESTS_CLI_RECORD"

# Tests that press keys at a moment of their own, never reach an environment, choose their transport themselves, or look
# at the modules that are loaded: those are each transport's own.
_LEFT_OUT = (
    "test_calls.py",
    "test_demo.py",
    "test_documents.py",
    "test_interrupt.py",
    "test_startup.py",
    "test_terminal.py",
    "test_transports.py",
)
_TESTS_LEFT_OUT = (
    "test_import_export.py::test_a_file_that_is_no_text_or_may_not_be_read_is_told",  # by nobody, who may not record
    "test_import_export.py::test_an_import_that_is_killed_goes_on_with_the_same_command",
    "test_import_export.py::test_ctrl_c_says_what_was_done_and_that_the_same_command_goes_on",
    "test_quick.py::test_a_process_that_gets_a_secret_has_no_click",
    "test_run_supervised.py::test_the_keyboard_reaches_the_program_once",
)

Recording = dict[str, list[str]]


class Recorded(Cli):
    """Command lines that are written down: what was asked, and what came of it."""

    def __init__(self, directory: Path, cwd: Path, test: str, directory_of_records: Path) -> None:
        super().__init__(directory, cwd)
        self._test = test
        self._file = directory_of_records / f"{os.getpid()}.jsonl"

    def __call__(self, *arguments: str, **options: Any) -> Done:
        return self._written("in", arguments, super().__call__(*arguments, **options))

    def real(self, *arguments: str, **options: Any) -> Done:
        return self._written("real", arguments, super().real(*arguments, **options))

    def shell(self, command: str, shell: Sequence[str] = ("sh", "-c"), **variables: str) -> Done:
        return self._written("shell", (command,), super().shell(command, shell, **variables))

    def _written(self, kind: str, arguments: Sequence[str], done: Done) -> Done:
        lines = [
            f"{kind} {' '.join(arguments)}",
            done.out.decode("utf-8", "backslashreplace"),
            done.err,
            str(done.code),
        ]
        _append(self._file, self._test, self._settled("\n".join(lines)))
        return done

    def _settled(self, text: str) -> str:
        """``text`` without what differs from run to run."""
        key = self.variables["DYNASTASH_KEY"]
        for part, name in (
            (self.variables["DYNASTASH_TABLE"], "TABLE"),
            (key, "KEY"),
            (key.rpartition("/")[2], "KEY-ID"),
            (self.variables["AWS_ENDPOINT_URL"], "URL"),
            (str(self.directory), "DIRECTORY"),
        ):
            text = text.replace(part, name)
        text = re.sub(r"(?m)^transport (boto|direct): .*$", "TRANSPORT", text)  # what --verbose says of it
        text = re.sub(r"\d{4}-\d\d-\d\d([ T][\d:.]+Z?)?", "MOMENT", text)
        text = re.sub(r"/tmp/[\w./-]+", "PLACE", text)
        text = re.sub(r"AAAAC3NzaC1lZDI1NTE5[\w+/=]+", "PUBLIC-KEY", text)
        # What programs inherit, and how much of it; and what a process of its own has drawn at random.
        text = re.sub(r"(?<='DYNASTASH_TRANSPORT', b')(boto|direct)|\d+(?= bytes in \d+ variables)", "N", text)
        text = re.sub(r"(?<=\0DYNASTASH_TRANSPORT=)(boto|direct)|(?<=/dev/shm/dynastash-)\w+", "N", text)
        text = re.sub(r"\b(?=\w*[A-Z])(?=\w*[a-z])(?=\w*\d)[A-Za-z0-9]{40}\b", "PASSWORD", text)
        text = re.sub(
            r"(?<=in process )\d+|(?m:^\d{3,7}$)", "N", text
        )  # some programs print nothing but their process's
        text = re.sub(r"(?m)^import time:.*\n?", "", text)  # the modules are each transport's own
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|\d+\.\d+ ?m?s\b", "N", text)


def _append(file: Path, test: str, text: str) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps([test, text]) + "\n")


def outcome(report: pytest.TestReport, directory_of_records: Path) -> None:
    """Write down how a test ended."""
    if report.when == "call" or report.outcome != "passed":
        _append(directory_of_records / f"{os.getpid()}.outcomes", report.nodeid, report.outcome)


def predictable(patch: pytest.MonkeyPatch) -> None:
    """Let this process generate the same passwords and passphrases under both transports. Keys are still random."""
    drawn = random.Random(1)
    patch.setattr(random.SystemRandom, "getrandbits", lambda _, bits: drawn.getrandbits(bits))
    patch.setattr(random.SystemRandom, "random", lambda _: drawn.random())


def _records(directory: Path, ending: str) -> Iterator[tuple[str, str]]:
    for file in directory.glob(f"*.{ending}"):
        for line in file.read_text(encoding="utf-8").splitlines():
            test, text = json.loads(line)
            yield test, text


def record(transport: str, arguments: Sequence[str]) -> tuple[Recording, Mapping[str, str]]:
    """Run the suite under ``transport``: the command lines of each test, and each test's outcome."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [] if any(argument.startswith("tests/") for argument in arguments) else ["tests/cli"]
        left_out = [f"--ignore=tests/cli/{name}" for name in _LEFT_OUT]
        left_out += [f"--deselect=tests/cli/{name}" for name in _TESTS_LEFT_OUT]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *left_out,
             "--hypothesis-seed=1", "--tb=no", *paths, *arguments],
            cwd=Path(__file__).parents[2],
            env={**os.environ, TRANSPORT: transport, RECORD: directory},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )  # fmt: skip
        found: Recording = defaultdict(list)
        for test, text in _records(Path(directory), "jsonl"):
            found[test].append(text)
        outcomes = dict(_records(Path(directory), "outcomes"))
    if not found or done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(done.stdout + done.stderr)
    return found, outcomes


def main(arguments: Sequence[str]) -> int:
    """Compare; 1 where anything differs."""
    runs = []
    for transport in ("boto", "direct"):
        print(f"running the tests of the command line on AWS, transport {transport}", flush=True)
        runs.append(record(transport, arguments))
    (boto, ended), (direct, ended_too) = runs
    different = 0
    for test in sorted(boto.keys() | direct.keys() | ended.keys() | ended_too.keys()):
        lines, others = ("\n".join(found.get(test, [])).splitlines() for found in (boto, direct))
        if lines != others or ended.get(test) != ended_too.get(test):
            different += 1
            print(f"{test}: {ended.get(test)} under boto, {ended_too.get(test)} under direct")
            print("\n".join(difflib.unified_diff(lines, others, "boto", "direct", lineterm="", n=2)))
    counts = Counter(ended.values())
    print("tests that hold on the embedded store alone:")
    print(*sorted(test for test in ended if ended[test] == "failed"), sep="\n")
    print(
        f"{len(ended)} tests: {counts['passed']} passed on AWS, {counts['failed']} hold on the embedded store alone, "
        f"{counts['skipped']} were skipped; {sum(map(len, boto.values()))} command lines under each transport in "
        f"{len(boto)} tests; {different} tests differ"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
