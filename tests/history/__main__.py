"""Many processes on the same secrets, and is what they saw linearizable? ``python -m tests.history --seconds N``.

Writers, readers, rotators and deleters, each a process of its own, are at a few secrets for some seconds; now and then
one is killed with SIGKILL and another takes its place. Then every version that is left is read, every record verified,
and each secret's history checked: version, value, stages and state must fit one order of all operations that agrees
with the times at which they were called and ended. And again with new secrets, until the time is over. Exit code 1 and
the operations that do not fit where there is no such order.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

from dynastash.stores.base import Store
from tests.history import checker, engines, operations
from tests.history.operations import Journal, Operation
from tests.history.specification import READS
from tests.history.worker import ROLES, Worker

_ROUND = 3.0  # seconds: what is open must stay little, for it may happen at any moment after
_CREW = ("writer", "reader", "rotator", "deleter", "writer", "reader")


class Round:
    """Some seconds of work on secrets of its own, in ``directory``."""

    def __init__(self, make: Callable[[], Store], directory: Path, seed: str, options: argparse.Namespace) -> None:
        self._make = make
        self._directory = directory
        self._random = random.Random(seed)
        self._seed = seed
        self._options = options
        self._prefix = f"round{seed.rpartition('/')[2]}/"
        self._secrets = [f"{self._prefix}{letter}" for letter in "abc"]
        self._started = 0
        self.killed = 0

    def run(self, seconds: float) -> None:
        """Work, with kills, and the audit behind it."""
        until = time.monotonic() + seconds
        roles = list(islice(cycle(_CREW), self._options.processes))
        running = {self._start(role, until): role for role in roles}
        victims = sorted(self._random.uniform(0, seconds) for _ in range(self._options.kills))
        for moment in victims:
            time.sleep(max(0.0, until - seconds + moment - time.monotonic()))
            pid = self._random.choice(sorted(running))
            os.kill(pid, signal.SIGKILL)
            role = running.pop(pid)
            self.killed += self._ended(pid) == -signal.SIGKILL
            running[self._start(role, until)] = role
        codes = [self._ended(pid) for pid in running]
        codes.append(self._ended(self._start("auditor", 0)))
        if any(code not in (0, -signal.SIGKILL) for code in codes):
            raise RuntimeError(f"a process failed: {codes}")

    def _start(self, role: str, until: float) -> int:
        """A child that works. It leaves without a word to its parent's things."""
        self._started += 1
        name = f"{role} {self._started}"
        pid = os.fork()
        if pid:
            return pid
        try:
            stash = engines.client(self._make(), None if role == "auditor" else self._options.sabotage)
            journal = Journal(self._directory / f"{name}.jsonl")
            worker = Worker(stash, journal, name, f"{self._seed}/{self._started}", uncertain=self._options.losing > 0)
            if role == "auditor":
                worker.audit(self._secrets, self._prefix)
            else:
                worker.work(role, self._secrets, until)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    @staticmethod
    def _ended(pid: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(arguments: list[str]) -> int:
    """Work and check, and print what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "ministack"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=30, help="of work; checking comes on top")
    parser.add_argument("--seed", default="1", help="what is asked for; what happens is up to the machine as well")
    parser.add_argument("--processes", type=int, default=len(_CREW), help="at once")
    parser.add_argument("--kills", type=int, default=3, help="in a round of three seconds")
    parser.add_argument("--losing", type=float, default=0, help="this part of DynamoDB's replies, such as 0.02")
    parser.add_argument("--sabotage", choices=sorted(engines.SABOTAGE), help="break the store, to see it noticed")
    parser.add_argument("--keep", type=Path, help="keep the journals in this directory")
    parser.add_argument("--check", type=Path, help="only check the journals in this directory")
    options = parser.parse_args(arguments)
    if options.check:
        return _report(*operations.read(options.check), Tally())
    tally = Tally()
    left = options.seconds
    with engines.opened(options.engine, options.losing) as make:
        while left > 0:
            tally.rounds += 1
            with tempfile.TemporaryDirectory() as name:
                work = Round(make, Path(name), f"{options.seed}/{tally.rounds}", options)
                begun = time.monotonic()
                work.run(min(_ROUND, left))
                tally.working += time.monotonic() - begun
                left -= _ROUND
                tally.killed += work.killed
                if options.keep:
                    shutil.copytree(name, options.keep / str(tally.rounds))
                code = _report(*operations.read(Path(name)), tally)
                if code:
                    return code
    print(f"{options.engine}, seed {options.seed}: {tally}")
    return 0


class Tally:
    """What was done so far."""

    def __init__(self) -> None:
        self.rounds = self.killed = self.secrets = self.open = self.configurations = 0
        self.working = self.checking = 0.0
        self.kinds: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.kinds.most_common())
        refused = ", ".join(f"{kind} {count}" for kind, count in self.refused.most_common())
        return (
            f"{self.kinds.total()} operations on {self.secrets} secrets in {self.working:.0f} s of work, "
            f"{self.killed} processes killed, {self.open} writes without an end, checked in {self.checking:.0f} s "
            f"({self.configurations} configurations): 0 violations\n"
            f"operations: {kinds}\nrefused, each rightly: {self.refused.total()}: {refused}"
        )


def _report(history: Sequence[Operation], findings: Sequence[str], tally: Tally) -> int:
    """Check and count; say what is wrong."""
    begun = time.monotonic()
    verdicts = checker.check(history)
    tally.checking += time.monotonic() - begun
    tally.secrets += len(verdicts)
    tally.configurations += sum(verdict.configurations for verdict in verdicts)
    tally.kinds.update(operation.kind for operation in history)
    tally.refused.update(operation.refusal for operation in history if operation.refusal)
    tally.open += sum(operation.outcome is None and operation.kind not in READS for operation in history)
    wrong = [str(verdict) for verdict in verdicts if not verdict.linearizable] + list(findings)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    assert set(_CREW) == set(ROLES)
    sys.exit(main(sys.argv[1:]))
