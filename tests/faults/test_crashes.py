"""``kill -9`` at every step of what writes: the store verifies clean afterwards, and the operation can be repeated.

A step is a method of the store or the key provider, a statement of SQL, a system call (that is between the writes and
the fsync of a commit, too), or a call to AWS, each before and after. The steps are tried one after the other, each in a
real process on a copy of the same store, until one is beyond the operation's last. Making the store makes some hundred
system calls: each seventh is tried, and with ``DYNASTASH_FAULTS=all`` each of them.

What an interruption may leave, besides nothing: of a secret being destroyed, versions that are left over and that the
repetition erases; of a secret being restored from a backup, versions that are missing and that the repetition restores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dynastash.errors import DynastashError
from dynastash.generate import Password
from dynastash.keys.base import KeyProvider
from dynastash.keys.kms import KmsKeys
from dynastash.keys.local import LocalKeys
from dynastash.models import WrappedKey
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash.api import Stash
from dynastash.stores.base import Change, Store
from dynastash.stores.dynamodb import DynamoDBStore
from tests.faults import ptrace
from tests.faults.crasher import CRASHES, Job
from tests.faults.embedded import KEY, Embedded, client, open_store
from tests.faults.site import TRANSACTION, Site, State, state_of

WHOLE = os.environ.get("DYNASTASH_FAULTS") == "all"
KNOWN = frozenset(text.encode() for text in ("other 1", "other 2", "new", *(f"multi {n}" for n in range(2, 6))))


class Crasher:
    """The process that forks; one for each worker."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crasher"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, job: Job) -> bool:
        """Whether the child was killed; False where it completed. Anything else is a failure."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(job.line())
        self._process.stdin.flush()
        outcome = self._process.stdout.readline().strip()
        assert outcome in ("killed", "completed"), (job, outcome)
        return outcome == "killed"

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@pytest.fixture(scope="session")
def crasher() -> Iterator[Crasher]:
    """Started when first needed."""
    it = Crasher()
    yield it
    it.close()


class Witness:
    """A store that keeps the state after each change."""

    def __init__(self, inner: Store, state: Callable[[], State]) -> None:
        self._inner = inner
        self._state = state
        self.states = [state()]

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def commit(self, change: Change) -> None:
        self._inner.commit(change)
        self.states.append(self._state())

    def replace_key(self, item: object, wrapped: WrappedKey, at: int) -> None:
        self._inner.replace_key(item, wrapped, at)  # type: ignore[arg-type]
        self.states.append(self._state())


def _reference(operation: str, store: Store, keys: KeyProvider, backup: bytes) -> Sequence[State]:
    witness = Witness(store, lambda: state_of(store, keys, KNOWN))
    CRASHES[operation](client(witness, keys), backup)  # type: ignore[arg-type]
    return witness.states


def check_survivor(
    operation: str, store: Store, keys: KeyProvider, states: Sequence[State], backup: bytes, *, completed: bool
) -> int:
    """What a killed process left is one of the states on the way; and the repetition gets to the end.

    Returns how many of the operation's changes it had made.
    """
    state = state_of(store, keys, KNOWN)
    assert state in states
    made = states.index(state)
    if completed:
        assert made == len(states) - 1
    for finding in (finding for checked in client(store, keys).verify() for finding in checked.findings):
        left = {"destroy": "left over from an interrupted erasure", "import": "the version is missing"}
        assert operation in left and 0 < made < len(states) - 1, finding
        assert left[operation] in finding.message
    _repeat(operation, client(store, keys), backup)
    again = state_of(store, keys, KNOWN)
    if operation in ("put", "put the first", "rotate"):
        # Whoever is killed before the answer does not know, and asks again: one version more, and none is lost.
        assert {key for key in again if key in states[-1]} == states[-1].keys()
        assert len(again) - len(states[-1]) == (made == len(states) - 1)
    else:
        assert again == states[-1]
    assert not [finding for checked in client(store, keys).verify() for finding in checked.findings]
    return made


def _repeat(operation: str, stash: Stash, backup: bytes) -> None:
    if operation != "rotate":
        CRASHES[operation](stash, backup)
        return
    try:
        stash.rotate("app/multi")
    except DynastashError as error:  # as its hint says
        assert "a rotation of app/multi is pending" in str(error)
        assert "--resume" in (error.hint or "")
        stash.resume("app/multi", GenerateRotator(Password()))
    assert stash.get("app/multi").version.stages


HOWS = [
    "before",
    "after",
    "statement",
    pytest.param("system call", marks=pytest.mark.skipif(not ptrace.available(), reason="ptrace is not allowed here")),
]
FEWEST = {"before": 3, "after": 3, "statement": 6, "system call": 20}
"""Steps that even the shortest operation has: fewer would mean that the hook does not see them."""


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("operation", CRASHES)
def test_on_sqlite(operation: str, how: str, crasher: Crasher, embedded: Embedded, tmp_path: Path) -> None:
    """One child for each step, and the file that it leaves behind."""
    keys, backup = LocalKeys(KEY), tmp_path / "backup"
    backup.write_bytes(embedded.backup)

    def copy(name: str) -> Path:
        path = embedded.copy(tmp_path / name)
        if operation in ("import", "put the first"):
            path.unlink()
        if operation == "import":
            _create(path)
        return path

    store = open_store(copy("reference"))
    states = _reference(operation, store, keys, embedded.backup)
    store.close()
    new = operation == "put the first"
    stride = 7 if new and how == "system call" and not WHOLE else 1
    reached, step, killed, kills = set(), 0, True, -1
    while killed:
        step += stride
        kills += 1
        path = copy(str(step))
        job = Job(operation=operation, how=how, step=step, path=str(path), new=new, backup=str(backup))
        killed = crasher.run(job)
        store = open_store(path)
        reached.add(check_survivor(operation, store, keys, states, embedded.backup, completed=not killed))
        store.close()
        shutil.rmtree(path.parent)
    assert reached == set(range(len(states)))
    assert kills >= FEWEST[how]


def _create(path: Path) -> None:
    """A store without a secret."""
    store = open_store(path)
    with pytest.raises(DynastashError):  # the file is made by the first transaction, whatever becomes of it
        store.replace_key({"name": {"S": "a"}, "record": {"S": "v#0000000001"}}, WrappedKey(b"a", "a"), 1)
    store.close()
    assert path.exists()


@pytest.mark.engine
@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("operation", CRASHES)
def test_on_dynamodb(operation: str, how: str, crasher: Crasher, request: pytest.FixtureRequest) -> None:
    """One child for each call to AWS, which is killed before it makes the call, or when it has been answered."""
    site: Site = request.getfixturevalue("site_with_moto" if operation == "rewrap" else "site")

    def store_on(table: str) -> DynamoDBStore:
        return DynamoDBStore(site.dynamodb.transport, table, transaction_size=TRANSACTION)

    empty = operation == "import"
    reference = site.place(empty=empty)
    states = _reference(
        operation, store_on(reference.table), KmsKeys(site.kms.transport, site.key, concurrency=1), site.backup
    )
    reached, step, killed = set(), 0, True
    backup = request.getfixturevalue("tmp_path") / "backup"
    backup.write_bytes(site.backup)
    while killed:
        step += 1
        place = site.place(empty=empty)
        job = Job(
            operation=operation,
            how=how,
            step=step,
            backup=str(backup),
            dynamodb=site.dynamodb.endpoint_url,
            kms=site.kms.endpoint_url,
            table=place.table,
            key=site.key,
        )
        killed = crasher.run(job)
        store = store_on(place.table)
        reached.add(check_survivor(operation, store, site.memo, states, site.backup, completed=not killed))
        site.demolish(place)
    assert reached == set(range(len(states)))
    assert step > FEWEST[how]
