"""What one process does: random operations of its role on a few secrets that others are at, each written down."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dynastash.errors import (
    ConflictError,
    DynastashError,
    PartialError,
    RotationError,
    StoreUnavailableError,
    VersionNotFoundError,
)
from dynastash.models import Plaintext, Secret, SecretInfo
from dynastash.stash.api import Stash
from dynastash.stash.rotation import Rotation
from dynastash.stash.verify import Problem
from tests.history.operations import Journal
from tests.history.specification import PATIENCE

_PAUSE: Final = 0.004  # seconds at most: readers that never rest would leave the writers no processor

ROLES: Final[Mapping[str, Mapping[str, int]]] = {
    "writer": {"put": 6, "put if version": 3, "recreate": 1, "get": 1},
    "reader": {"get": 6, "get version": 4, "get previous": 2, "get many": 3},
    "rotator": {"rotate": 6, "resume": 3, "abort": 2},
    "deleter": {
        "delete": 3,
        "undelete": 5,
        "destroy": 1,
        "recreate": 2,
        "delete version": 2,
        "undelete version": 2,
        "destroy version": 2,
        "prune": 2,
    },
}
"""By role: its operations and their weights."""


class Worker:
    """One process's loop. ``stash`` is its own; ``uncertain`` says that replies get lost on the way to its store."""

    def __init__(self, stash: Stash, journal: Journal, name: str, seed: str, *, uncertain: bool = False) -> None:
        self._stash = stash
        self.journal = journal
        self._name = name
        self._random = random.Random(seed)
        self._uncertain = uncertain
        self._count = 0
        self._known: dict[str, int] = {}  # the newest version that this process has seen
        self._current: dict[str, int] = {}

    def work(self, role: str, secrets: Sequence[str], until: float) -> None:
        """Operations until the monotonic clock shows ``until``."""
        kinds, weights = list(ROLES[role]), list(ROLES[role].values())
        while time.monotonic() < until:
            kind = self._random.choices(kinds, weights)[0]
            secret = self._random.choice(secrets)
            _OPERATIONS[kind](self, secret, secrets)
            time.sleep(self._random.uniform(0, _PAUSE))

    def audit(self, secrets: Sequence[str], prefix: str) -> None:
        """When all others are done: every version that is left, and every record under ``prefix`` verified."""
        for secret in secrets:
            self._undelete(secret, secrets)
            self._get(secret, secrets)
            self._get_previous(secret, secrets)
            for number in range(1, self._known.get(secret, 0) + 2):
                self._get_number(secret, number)
        for checked in self._stash.verify(prefix):
            for finding in checked.findings:
                if finding.problem is not Problem.STRAY:  # a destruction that was killed leaves that, and says so
                    self.journal.finding(f"verify: {finding}")

    # Reading

    def _get(self, secret: str, secrets: Sequence[str]) -> None:
        self._read(secret, "get", lambda: self._stash.get(secret))

    def _get_version(self, secret: str, secrets: Sequence[str]) -> None:
        self._get_number(secret, self._some_version(secret))

    def _get_number(self, secret: str, number: int) -> None:
        self._read(secret, "get version", lambda: self._stash.get(secret, version=number), version=number)

    def _get_previous(self, secret: str, secrets: Sequence[str]) -> None:
        self._read(secret, "get previous", lambda: self._stash.get(secret, stage="previous"))

    def _get_many(self, secret: str, secrets: Sequence[str]) -> None:
        """Each secret's part is an operation of its own: get_many promises no common moment."""
        calls = {name: self.journal.call(name, "get") for name in secrets}
        try:
            found = self._stash.get_many(secrets)
        except PartialError as error:
            for name, failure in error.failures.items():
                self.journal.refused(calls[name], type(failure).__name__)
        except StoreUnavailableError:
            pass
        else:
            for name, shown in found.items():
                self.journal.ok(calls[name], version=shown.number, value=shown.text)

    # Writing

    def _put(self, secret: str, secrets: Sequence[str], if_version: int | None = None, recreate: bool = False) -> None:
        value = self.new_value()
        call = self.journal.call(secret, "put", value=value, if_version=if_version, recreate=recreate)
        self._end(
            secret,
            call,
            lambda: {
                "version": self._stash.put(
                    secret, value, if_version=if_version, recreate=recreate, comment=f"by {self._name}"
                ).number
            },
        )

    def _put_if_version(self, secret: str, secrets: Sequence[str]) -> None:
        expected = self._current.get(secret, 0)
        self._put(secret, secrets, if_version=expected)

    def _recreate(self, secret: str, secrets: Sequence[str]) -> None:
        self._put(secret, secrets, recreate=True)

    # Rotating

    def _rotate(self, secret: str, secrets: Sequence[str]) -> None:
        told = _Told(self, secret, "begin rotation", gives_up=self._random.random() < 0.3)
        told.watch(lambda: self._stash.rotate(secret, told))

    def _resume(self, secret: str, secrets: Sequence[str]) -> None:
        told = _Told(self, secret, "begin resume", gives_up=False)
        told.watch(lambda: self._stash.resume(secret, told))

    def _abort(self, secret: str, secrets: Sequence[str]) -> None:
        call = self.journal.call(secret, "abort")
        self._end(secret, call, lambda: {"version": self._stash.abort(secret).number}, twice=True)

    # Ending

    def _delete(self, secret: str, secrets: Sequence[str]) -> None:
        self._info(secret, "delete", lambda: self._stash.delete(secret))

    def _undelete(self, secret: str, secrets: Sequence[str]) -> None:
        self._info(secret, "undelete", lambda: self._stash.undelete(secret))

    def _destroy(self, secret: str, secrets: Sequence[str]) -> None:
        self._info(secret, "destroy", lambda: self._stash.destroy(secret))

    def _delete_version(self, secret: str, secrets: Sequence[str]) -> None:
        number = self._some_version(secret)
        self._info(secret, "delete version", lambda: self._stash.delete(secret, number), version=number)

    def _undelete_version(self, secret: str, secrets: Sequence[str]) -> None:
        number = self._some_version(secret)
        self._info(secret, "undelete version", lambda: self._stash.undelete(secret, number), version=number)

    def _destroy_version(self, secret: str, secrets: Sequence[str]) -> None:
        number = self._some_version(secret)
        self._info(secret, "destroy version", lambda: self._stash.destroy(secret, [number]), version=number)

    def _prune(self, secret: str, secrets: Sequence[str]) -> None:
        keep = self._random.randint(1, 8)
        call = self.journal.call(secret, "prune", keep=keep)
        self._end(secret, call, lambda: {"versions": list(self._stash.prune(secret, keep=keep))}, twice=True)

    # Writing it down

    def _read(self, secret: str, kind: str, read: Callable[[], Secret], **arguments: Any) -> None:
        call = self.journal.call(secret, kind, **arguments)
        self._end(secret, call, lambda: _shown(read()))

    def _info(self, secret: str, kind: str, change: Callable[[], SecretInfo], **arguments: Any) -> None:
        call = self.journal.call(secret, kind, **arguments)

        def run() -> dict[str, Any]:
            info = change()
            return {"state": info.state.value, "current": info.current or 0, "last": info.last}

        self._end(secret, call, run)

    def _end(self, secret: str, call: int, run: Callable[[], dict[str, Any]], *, twice: bool = False) -> None:
        """Run it and write its end down. ``twice``: done already, it is refused, so a lost reply leaves it open."""
        try:
            result = run()
        except DynastashError as error:
            self.refused(call, error, twice=twice)
        else:
            self.saw(secret, result)
            self.journal.ok(call, **result)

    def refused(self, call: int, error: DynastashError, *, twice: bool = False) -> None:
        """Write down that ``call`` has ended with ``error``; nothing, where that leaves open what has happened."""
        if isinstance(error, RotationError) and isinstance(error.__cause__, DynastashError):
            error = error.__cause__
        if isinstance(error, StoreUnavailableError):
            return
        if isinstance(error, ConflictError) and "kept changing" in str(error):
            self.journal.refused(call, PATIENCE)
            return
        if twice and self._uncertain and isinstance(error, ConflictError | VersionNotFoundError):
            return
        known = type(error).__name__ in _REFUSALS
        self.journal.refused(call, type(error).__name__ if known else f"{type(error).__name__}: {error}")

    def saw(self, secret: str, result: Mapping[str, Any]) -> None:
        """Remember which versions there are, to ask for them."""
        newest = result.get("last") or result.get("pending") or result.get("version") or 0
        self._known[secret] = max(self._known.get(secret, 0), newest)
        self._current[secret] = result.get("current") or result.get("version") or self._current.get(secret, 0)

    def _some_version(self, secret: str) -> int:
        last = self._known.get(secret, 0) + 1
        return self._random.choice([self._random.randint(max(1, last - 5), last), self._random.randint(1, last)])

    def new_value(self) -> str:
        """A value that nobody has written."""
        self._count += 1
        return f"{self._name} {self._count}"


class _Told:
    """A rotator, and by what it is told it knows where the rotation is: its steps become operations of their own."""

    def __init__(self, worker: Worker, secret: str, beginning: str, *, gives_up: bool) -> None:
        self._worker = worker
        self._secret = secret
        self._call = worker.journal.call(secret, beginning)
        self._resuming = beginning == "begin resume"
        self._gives_up = gives_up
        self._last = False

    def watch(self, run: Callable[[], object]) -> None:
        """Carry the rotation out."""
        try:
            run()
        except DynastashError as error:
            if not isinstance(error, _Left):
                self._worker.refused(self._call, error, twice=self._last)
        else:
            self._worker.journal.ok(self._call)

    def create(self, rotation: Rotation) -> Plaintext:
        """The current version was read; a version is going to be staged."""
        current = rotation.current
        self._end(version=current.number, value=current.text)
        value = self._worker.new_value()
        self._call = self._worker.journal.call(self._secret, "stage", value=value, current=current.number)
        return Plaintext(value.encode())

    def set(self, rotation: Rotation) -> None:
        """It is staged, or was pending."""
        assert rotation.pending is not None
        if self._resuming:
            self._end(
                version=rotation.current.number,
                value=rotation.current.text,
                pending=rotation.pending.number,
                pending_value=rotation.pending.text,
            )
        else:
            self._end(version=rotation.version)
        if self._gives_up:
            raise _Left("left pending", step="set")

    def test(self, rotation: Rotation) -> None:
        """It is going to be promoted."""
        self._call = self._worker.journal.call(self._secret, "promote", version=rotation.version)
        self._last = True

    def _end(self, **result: Any) -> None:
        self._worker.saw(self._secret, result)
        self._worker.journal.ok(self._call, **result)


class _Left(RotationError):
    """Raised by a rotator that leaves its version pending."""


def _shown(secret: Secret) -> dict[str, Any]:
    return {"version": secret.number, "value": secret.text}


_REFUSALS: Final = frozenset(
    {
        "SecretNotFoundError",
        "VersionNotFoundError",
        "ConflictError",
        "SecretDeletedError",
        "SecretDestroyedError",
    }
)
_OPERATIONS: Final[Mapping[str, Callable[[Worker, str, Sequence[str]], None]]] = {
    "put": Worker._put,
    "put if version": Worker._put_if_version,
    "recreate": Worker._recreate,
    "get": Worker._get,
    "get version": Worker._get_version,
    "get previous": Worker._get_previous,
    "get many": Worker._get_many,
    "rotate": Worker._rotate,
    "resume": Worker._resume,
    "abort": Worker._abort,
    "delete": Worker._delete,
    "undelete": Worker._undelete,
    "destroy": Worker._destroy,
    "delete version": Worker._delete_version,
    "undelete version": Worker._undelete_version,
    "destroy version": Worker._destroy_version,
    "prune": Worker._prune,
}
