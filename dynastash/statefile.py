"""The high-water mark in a file: what any process of this machine has seen of each secret, from one day to the next.

One JSON file (0600) holds the marks of several environments and stores. It is replaced as a whole, under a lock that
processes share, and a mark in it never falls. Whoever may write to it can make secrets unreadable (by raising a mark),
and can hide a rollback (by lowering one), so a file that others may write to is refused, and so is one that is damaged:
a mark that cannot be read has not held.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dynastash.errors import ConfigError, InvalidNameError
from dynastash.files import check_private, prepare_directory, replace_file
from dynastash.models import MAX_VERSION, Head, check_name
from dynastash.stash.highwater import HighWater

_KIND: Final = "dynastash high-water marks"
_FORMAT: Final = 1
_MAX_BYTES: Final = 64 << 20  # some 100,000 secrets with the longest names
_MAX_REVISION: Final = 10**38

_Marks = dict[str, tuple[int, int]]


class StateFile(HighWater):
    """The marks of ``environment`` in the store that ``store`` names, kept in ``path``.

    ``store`` tells one store from any other, as well as the configuration can. Every method may raise
    :class:`ConfigError`: the file is read when an operation begins, and what was observed is in the file before the
    operation returns. Where it cannot be written then, what was written to the store stays written, and the error says
    so.
    """

    def __init__(self, path: Path, environment: str, store: Callable[[], str]) -> None:
        super().__init__()
        self._path = path
        self._environment = environment
        self._store = store
        self._guard = threading.RLock()
        self._pid = os.getpid()
        self._read_as: tuple[int, int, int] | None = None
        self._depth = 0
        self._dirty = False

    def floor(self, name: str) -> tuple[int, int]:
        with self._alone():
            self._refresh()
            return super().floor(name)

    def names(self) -> Collection[str]:
        with self._alone():
            self._refresh()
            return super().names()

    def observe(self, head: Head) -> None:
        with self._alone():
            known = super().floor(head.name)
            if known[0] >= head.last and known[1] >= head.revision:
                return
            super().observe(head)
            self._dirty = True
            if not self._depth:
                self._save()

    def keep(self) -> None:
        with self._alone():
            if self._dirty:
                self._save()

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._alone():
            self._depth += 1
        try:
            yield
        finally:
            with self._alone():
                self._depth -= 1
                if self._dirty and not self._depth:
                    self._save()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._pid != os.getpid():  # forked while another thread held the lock: nobody is left to release it
            self._pid, self._guard, self._depth = os.getpid(), threading.RLock(), 0
        with self._guard:
            yield

    def _refresh(self) -> None:
        """Take what other processes have written since. Marks of this process do not fall by it."""
        with self._translated():
            found = _identity(self._path)
            if found is None:
                prepare_directory(self._path.parent)
                self._read_as = None
            elif found != self._read_as:
                self._merge(self._load())
                self._read_as = found

    def _save(self) -> None:
        with self._translated():
            prepare_directory(self._path.parent)
            with _locked(self._path.with_name(f"{self._path.name}.lock")):
                everything = self._load() if _identity(self._path) is not None else {}
                self._merge(everything)
                everything.setdefault(self._environment, {})[self._store()] = dict(self._seen)
                replace_file(self._path, _encoded(everything))
                self._read_as = _identity(self._path)
        self._dirty = False

    def _merge(self, everything: Mapping[str, Mapping[str, _Marks]]) -> None:
        for name, (last, revision) in everything.get(self._environment, {}).get(self._store(), {}).items():
            known = super().floor(name)
            self._seen[name] = max(known[0], last), max(known[1], revision)

    def _load(self) -> dict[str, dict[str, _Marks]]:
        check_private(self._path, "the state file")
        if self._path.stat().st_uid not in (0, os.geteuid()):
            raise ConfigError(f"the state file {self._path} belongs to another user", hint="name one of your own")
        with self._path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        try:
            if len(data) > _MAX_BYTES:
                raise ValueError
            return _decoded(json.loads(data.decode("utf-8")))
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise ConfigError(
                f"the state file {self._path} is damaged, or not one of dynastash",
                hint="restore it from a backup; without it nobody would notice that the store was rolled back",
            ) from None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"the state file {self._path} cannot be read or written: {error.strerror}",
                hint="check the file, its directory and the disk; what was written to the store stays written",
            ) from error


def _decoded(document: Any) -> dict[str, dict[str, _Marks]]:
    """The marks by environment and store. Raises ValueError, TypeError or AttributeError for anything else."""
    if set(document) != {"kind", "format", "marks"} or document["kind"] != _KIND or document["format"] != _FORMAT:
        raise ValueError
    return {
        str(environment): {
            str(store): {_name(name): _mark(mark) for name, mark in marks.items()} for store, marks in stores.items()
        }
        for environment, stores in document["marks"].items()
    }


def _name(name: str) -> str:
    try:
        return check_name(name)
    except InvalidNameError:
        raise ValueError from None


def _mark(mark: Any) -> tuple[int, int]:
    last, revision = mark
    if type(last) is not int or type(revision) is not int:
        raise ValueError
    if not (1 <= last <= MAX_VERSION and 1 <= revision < _MAX_REVISION):
        raise ValueError
    return last, revision


def _encoded(everything: Mapping[str, Mapping[str, _Marks]]) -> bytes:
    document = {"kind": _KIND, "format": _FORMAT, "marks": everything}
    return json.dumps(document, indent=0, sort_keys=True).encode("utf-8") + b"\n"


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells one content of the file from another: each is a file of its own. None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process, and one thread, in at once. The lock ends with its holder; its empty file stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
