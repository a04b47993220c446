"""A process that forks children to be killed: ``python -m tests.faults.crasher``, jobs in, outcomes out, a line each.

It has imported everything and has no threads, so that a fork is cheap and safe, which it would not be in pytest's own
process. Each child carries out one operation on a store and kills itself with SIGKILL at the step that the job names;
a child that gets beyond its last step completes the operation.
"""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dynastash.aws.base import Operation, Transport
from dynastash.aws.boto import BotoTransport
from dynastash.keys.base import KeyProvider
from dynastash.keys.kms import KmsKeys
from dynastash.keys.local import LocalKeys
from dynastash.stash.api import Stash
from dynastash.stores.base import Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.stores.sqlite import SQLiteStore
from dynastash.testing.fakes import FakeClock
from dynastash.transfer.sealed import import_sealed
from tests.engines.engine import Engine
from tests.engines.transports import Threaded
from tests.faults import ptrace
from tests.faults.embedded import KEY
from tests.faults.site import ENVIRONMENT, TRANSACTION

CRASHES: Mapping[str, Callable[[Stash, bytes], object]] = {
    "put": lambda stash, _: stash.put("app/other", "new"),
    "put the first": lambda stash, _: stash.put("new/one", "new"),
    "rotate": lambda stash, _: stash.rotate("app/multi"),
    "delete": lambda stash, _: stash.delete("app/multi"),
    "destroy": lambda stash, _: stash.destroy("app/multi"),
    "destroy versions": lambda stash, _: stash.destroy("app/multi", [1, 2, 3]),
    "prune": lambda stash, _: stash.prune("app/multi", keep=1),
    "rewrap": lambda stash, _: list(stash.rewrap("app/multi")),
    "import": lambda stash, backup: list(import_sealed(stash.store, ENVIRONMENT, io.BytesIO(backup))),
}
"""By name: what the child does. ``put the first`` begins without a store, ``import`` with an empty one."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child does, and the step at which it dies.

    ``how`` says what is a step: ``before`` and ``after`` a method of the store or the key provider (SQLite) or a
    call to AWS; ``statement`` of SQL; ``system call``, counted from the first transaction on, or from the beginning
    where the store is ``new``.
    """

    operation: str
    how: str
    step: int
    backup: str = ""
    path: str = ""
    new: bool = False
    dynamodb: str = ""
    kms: str = ""
    table: str = ""
    key: str = ""

    def line(self) -> str:
        """As the crasher reads it."""
        return json.dumps(asdict(self)) + "\n"


class Steps:
    """Counts, and dies at the one that was ordered."""

    def __init__(self, fatal: int) -> None:
        self._left = fatal

    def take(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Stepping:
    """``inner`` with a step before or after each of its methods' calls."""

    def __init__(self, inner: Any, steps: Steps, how: str) -> None:
        self._inner = inner
        self._steps = steps
        self._how = how

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def stepping(*arguments: Any) -> Any:
            if self._how == "before":
                self._steps.take()
            result = found(*arguments)
            if self._how == "after":
                self._steps.take()
            return result

        return stepping


class TracedSQLite(SQLiteStore):
    """Tells ``traced`` of each statement, just before it runs."""

    def __init__(self, path: Path, traced: Callable[[str], object]) -> None:
        super().__init__(path)
        self._traced = traced

    def _open(self) -> Any:
        opened = super()._open()
        opened.connection.set_trace_callback(self._traced)
        return opened


class Routed(Threaded):
    """DynamoDB at one engine, KMS at another."""

    region = "eu-west-1"

    def __init__(self, dynamodb: Transport, kms: Transport) -> None:
        self._transports = {"dynamodb": dynamodb, "kms": kms}

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._transports[operation.service].call(operation, request)


@functools.cache
def transport_to(url: str) -> BotoTransport:
    """Clients without a connection yet; made once, before any fork."""
    transport = Engine("", url).transport
    for service in ("dynamodb", "kms"):
        transport._client(service)
    return transport


def _stash(job: Job) -> Stash:
    steps, clock = Steps(job.step), FakeClock()
    store: Store
    keys: KeyProvider
    if job.path:
        store, keys = _embedded(job, steps)
    else:
        transport: Any = Routed(transport_to(job.dynamodb), transport_to(job.kms))
        transport = Stepping(transport, steps, job.how)
        store = DynamoDBStore(transport, job.table, clock=clock, transaction_size=TRANSACTION)
        keys = KmsKeys(transport, job.key, clock=clock, concurrency=1)
    return Stash(ENVIRONMENT, store, keys, identity=lambda: "tester", clock=clock)


def _embedded(job: Job, steps: Steps) -> tuple[Any, Any]:
    traced = False

    def statement(text: str) -> None:
        nonlocal traced
        if job.how == "statement":
            steps.take()
        if job.how == "system call" and not job.new and not traced and text.startswith("BEGIN"):
            traced = True
            ptrace.begin()

    store = TracedSQLite(Path(job.path), statement)
    store.transaction_size = TRANSACTION
    keys = LocalKeys(KEY)
    if job.how in ("before", "after"):
        return Stepping(store, steps, job.how), Stepping(keys, steps, job.how)
    return store, keys


def _live(job: Job) -> None:
    try:
        backup = Path(job.backup).read_bytes() if job.backup else b""
        stash = _stash(job)
        if job.how == "system call" and job.new:
            ptrace.begin()
        CRASHES[job.operation](stash, backup)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _outcome(job: Job) -> str:
    pid = os.fork()
    if pid == 0:
        _live(job)
    if job.how == "system call":
        status = ptrace.kill_before(pid, job.step)
    else:
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return "killed"
    return "completed" if status == 0 else f"failed with status {status}"


def main() -> None:
    """Serve jobs until the input ends."""
    for line in sys.stdin:
        job = Job(**json.loads(line))
        if not job.path:
            transport_to(job.dynamodb), transport_to(job.kms)
        print(_outcome(job), flush=True)


if __name__ == "__main__":
    main()
