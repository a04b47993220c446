"""Is each line held by a test? ``python -m tests.mutation MODULE …``, such as ``dynastash/stash/changes.py``.

mutmut makes the mutants: one small change each, all of a module in one file, to be switched on one at a time. The tests
are collected once and run once, to see which of them reach which function; then each mutant is met, in a forked child,
by those that reach its function, until one fails or ``--budget`` seconds of tests have passed: first those that have
killed others of that function, or of any, then those of the first file, then the quick ones.
(mutmut's own runner finds tests again by their ids, which those with hostile bytes in them do not survive.) What is
left is printed as a diff; exit code 1. Changes to nothing but an error's wording or hint are counted and not tried.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

_COPIED = ("dynastash", "tests", "cloudformation", "docs", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.cfg")
_VARIABLE = "MUTANT_UNDER_TEST"
_STASH = [f"tests/unit/test_{name}.py" for name in (
    "stash_refusals", "stash_heads", "stash_basics", "stash_races", "stash_hostile", "stash_rotation", "stash_many",
    "stash_lifecycle", "lifecycle", "lifecycle_boundaries", "stash_resolve", "stash_locate", "advancing", "statefile",
)]  # fmt: skip
TESTS: Mapping[str, Sequence[str]] = {
    "dynastash/stash/verify.py": ["tests/unit/test_verify.py"],
    "dynastash/stash/highwater.py": ["tests/unit/test_highwater.py", *_STASH],
    "dynastash/stash/polling.py": ["tests/unit/test_polling.py"],
    "dynastash/stash/": _STASH,
    "dynastash/stores/sqlite.py": ["tests/unit/test_sqlite.py", "tests/contract/test_sqlite.py"],
    "dynastash/stores/dynamodb.py": ["tests/unit/test_dynamodb*.py"],
    "dynastash/transfer/formats/": ["tests/unit/test_transfer_formats.py", "tests/property/test_formats.py"],
    "dynastash/transfer/": ["tests/unit/test_transfer_*.py"],
    "dynastash/crypto/": ["tests/unit/test_crypto_*.py", "tests/vectors"],
}
"""By the beginning of a module's path: the quick tests that hold it."""


_WORDING = re.compile(r'f?"(?:[^"\\]|\\.)* (?:[^"\\]|\\.)*"|,? *hint=(?:None|[^,()]*(?:\([^()]*\))?)|,(?=\s*\))|\s')


@dataclass(frozen=True)
class Mutant:
    """One change. ``name`` switches it on; ``function`` is what the tests must reach."""

    name: str
    function: str
    diff: str

    @property
    def is_wording(self) -> bool:
        """Whether it changes only what an error says: text with a space in it, or the hint."""
        lines = self.diff.splitlines()
        before, after = ("".join(line[1:] for line in lines if line[:1] == sign) for sign in "-+")
        return _WORDING.sub("", before) == _WORDING.sub("", after)


def main(arguments: list[str]) -> int:
    """Copy everything, mutate the copy and run the tests in it."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--only", default="", help="mutants whose name or diff matches this pattern")
    parser.add_argument("--tests", nargs="+", help="instead of those that tests/mutation.py names")
    parser.add_argument("--budget", type=float, default=3.0, help="seconds of tests for each mutant")
    parser.add_argument("--copied", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.copied:
        return _meet_all(options)
    with tempfile.TemporaryDirectory() as name:
        for part in _COPIED:
            copy = shutil.copytree if Path(part).is_dir() else shutil.copy
            copy(part, Path(name, part))
        return subprocess.run([sys.executable, "-m", "tests.mutation", "--copied", *arguments], cwd=name).returncode


def _meet_all(options: argparse.Namespace) -> int:
    """Modules with the same tests together: those are collected and run once for all of them."""
    groups: dict[tuple[str, ...], list[Mutant]] = {}
    for module in options.modules:
        chosen = options.tests or next(names for start, names in TESTS.items() if str(module).startswith(start))
        groups.setdefault(tuple(chosen), []).extend(
            mutant for mutant in _mutate(module) if re.search(options.only, f"{mutant.name}\n{mutant.diff}")
        )
    return max(_meet(mutants, tests, options.budget) for tests, mutants in groups.items())


def _meet(mutants: Sequence[Mutant], tests: Sequence[str], budget: float) -> int:
    paths = [str(path) for name in tests for path in sorted(Path().glob(name))]
    runner = _Runner(mutants, budget)
    pid = os.fork()  # a process of their own: what is imported stays as it is mutated
    if not pid:
        quiet = ["-o", "addopts=", "-p", "no:terminal", "-p", "no:xdist", "-p", "no:cacheprovider"]
        code = pytest.main([*quiet, "-o", "tmp_path_retention_policy=failed", *paths], plugins=[runner])
        os._exit(code if code else runner.report())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _mutate(module: Path) -> list[Mutant]:
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name, mangled_name_from_mutant_name

    mutated = mutate_file_contents(str(module), module.read_text())
    module.write_text(mutated.code)
    lines = mutated.code.splitlines()
    functions = {
        node.name: lines[node.lineno - 1 : node.end_lineno]
        for node in ast.walk(ast.parse(mutated.code))
        if isinstance(node, ast.FunctionDef)
    }
    mutants = []
    for short in mutated.mutant_names:
        name = get_mutant_name(module, short)
        function = mangled_name_from_mutant_name(name)
        mutants.append(Mutant(name, function, _diff(functions, short)))
    return mutants


def _diff(functions: Mapping[str, Sequence[str]], short: str) -> str:
    original = functions[re.sub(r"__mutmut_\d+$", "__mutmut_orig", short)]
    marker = re.compile(r"\s*# type: ignore # mutmut generated$|__mutmut_(\d+|orig)")
    before, after = ([marker.sub("", line) for line in text] for text in (original, functions[short]))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=1))
    return "\n".join(lines[2:])


class _Runner:
    """A pytest plugin: the tests once, and then the mutants instead of the tests."""

    def __init__(self, mutants: Sequence[Mutant], budget: float) -> None:
        self._mutants = mutants
        self._budget = budget
        self._out = os.fdopen(os.dup(1), "w")  # pytest captures the other one
        self._left: list[Mutant] = []
        self._outcomes: Counter[str] = Counter()
        # What killed one mutant kills the next one, more often than not: by function, and of all under "".
        self._killers: defaultdict[str, Counter[Any]] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """All the work."""
        begun = time.monotonic()
        reached = self._reached(session)
        print(
            f"\n{len(self._mutants)} mutants, {len(session.items)} tests, {time.monotonic() - begun:.0f} s", flush=True
        )
        if session.testsfailed:
            raise RuntimeError("the tests fail without a mutant")
        gc.freeze()  # or every child looks through, and copies, all that is here already
        for number, mutant in enumerate(self._mutants, 1):
            outcome = (
                "wording" if mutant.is_wording else self._outcome(session, mutant, reached.get(mutant.function, {}))
            )
            self._outcomes[outcome] += 1
            if outcome in ("survived", "not reached"):
                self._left.append(mutant)
            if outcome not in ("killed", "wording"):
                self._say(f"{outcome}: {mutant.name}\n{mutant.diff}\n")
            if number % 50 == 0:
                self._say(f"{number} mutants: {dict(self._outcomes)}, {time.monotonic() - begun:.0f} s")
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Without pytest's own terminal: why a test fails without a mutant."""
        if report.failed and not os.environ[_VARIABLE].count("__mutmut_"):
            self._say(f"{report.nodeid} {report.longreprtext}")

    def report(self) -> int:
        """Print the sum."""
        self._say(f"{len(self._mutants)} mutants: {dict(self._outcomes)}")
        return 1 if self._left else 0

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def _reached(self, session: pytest.Session) -> dict[str, dict[Any, float]]:
        """By function: the tests that reach it and how long they take."""
        from mutmut.state import state

        reached: dict[str, dict[Any, float]] = {}
        os.environ[_VARIABLE] = "stats"
        for item, following in _with_next(session.items):
            state()._stats.clear()
            begun = time.monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            for function in state()._stats:
                reached.setdefault(function, {})[item] = time.monotonic() - begun
        os.environ[_VARIABLE] = ""
        return reached

    def _outcome(self, session: pytest.Session, mutant: Mutant, tests: Mapping[Any, float]) -> str:
        if not tests:
            return "not reached"
        first = session.items[0].path
        own = self._killers[mutant.function]
        ordered = sorted(
            tests, key=lambda item: (-own[item], -self._killers[""][item], item.path != first, tests[item])
        )
        total = list(accumulate(tests[item] for item in ordered))
        ordered = [item for item, until in zip(ordered, total, strict=True) if until <= self._budget] or ordered[:1]
        told, tell = os.pipe()
        pid = os.fork()
        if not pid:
            os.environ[_VARIABLE] = mutant.name
            most = int(4 + 2 * min(self._budget, total[-1]))  # of processor time, however busy the machine is
            resource.setrlimit(resource.RLIMIT_CPU, (most, most))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1), os.dup2(null, 2)
            for item, following in _with_next(ordered):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    os.write(tell, str(ordered.index(item)).encode())
                    os._exit(1)
            os._exit(0)
        os.close(tell)
        try:
            outcome = self._ended(pid, 30 + 20 * min(self._budget, total[-1]))
            if killer := os.read(told, 16) if outcome == "killed" else b"":
                for function in (mutant.function, ""):
                    self._killers[function][ordered[int(killer)]] += 1
        finally:
            os.close(told)
        return outcome

    @staticmethod
    def _ended(pid: int, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
                    return "timed out"
                return "survived" if status == 0 else "killed"
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return "timed out"


def _with_next(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items, [*items[1:], None], strict=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
