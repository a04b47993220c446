"""A stash that answers from a dictionary, counts, fails and waits on cue; and caches in front of it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from dynastash.cache.caching import CachingStash
from dynastash.errors import DynastashError, PartialError, SecretNotFoundError, StoreError
from dynastash.models import Plaintext, Secret, Version
from dynastash.stash.api import Stash
from dynastash.testing.fakes import FakeClock

NAME = "app1/db/password"


def secret(name: str, number: int, *, size: int = 8, expires_at: datetime | None = None) -> Secret:
    """Version ``number`` of ``name``, whose value says which it is."""
    version = Version(
        name=name, number=number, created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="t", expires_at=expires_at
    )
    return Secret(version=version, plaintext=Plaintext(f"{name}@{number}".encode().ljust(size, b".")))


class Gate:
    """Where a reading waits, knowing its answer already, until a test lets it through."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def pass_through(self) -> None:
        self._reached.set()
        assert self._open.wait(60), "nobody opened the gate"

    def reached(self) -> None:
        """Wait until a reading stands before it."""
        assert self._reached.wait(60), "nobody came to the gate"

    def open(self) -> None:
        """Let it through."""
        self._open.set()


class Source:
    """The reading half of a stash. ``failing`` is raised for everything, ``failures`` for single names.

    Each reading takes the first of ``gates``, where there is one.
    """

    environment = "prod"
    where = "memory"

    def __init__(self, *names: str) -> None:
        self.secrets = {name: secret(name, 1) for name in names}
        self.failing: BaseException | None = None
        self.failures: dict[str, DynastashError] = {}
        self.calls: list[object] = []
        self.gates: list[Gate] = []
        self._lock = threading.Lock()

    def rotate(self, name: str, number: int | None = None, **more: Any) -> Secret:
        """A new version."""
        number = number or (self.secrets[name].number + 1 if name in self.secrets else 1)
        self.secrets[name] = secret(name, number, **more)
        return self.secrets[name]

    def get(
        self, name: str, *, version: int | None = None, stage: str | None = None, min_version: int | None = None
    ) -> Secret:
        found = self._answer(name, version, stage) if version or stage else self._answer(name)
        if version is not None:
            return secret(name, version)
        return found[name]

    def get_many(self, names: Iterable[str] | None = None, *, prefix: str | None = None) -> dict[str, Secret]:
        if prefix is not None:
            return self._answer(prefix + "*", names=[name for name in self.secrets if name.startswith(prefix)])
        return self._answer(tuple(names or ()), names=list(names or ()))

    def _answer(self, *asked: object, names: list[str] | None = None) -> dict[str, Secret]:
        with self._lock:
            self.calls.append(asked[0] if len(asked) == 1 else asked)
            wanted = [str(asked[0])] if names is None else names
            failing = self.failing
            failures = {name: self.failures[name] for name in wanted if name in self.failures}
            for name in wanted:
                if name not in self.secrets:
                    failures[name] = SecretNotFoundError(f"there is no secret {name}")
            found = {name: self.secrets[name] for name in wanted if name in self.secrets}
            gate = self.gates.pop(0) if self.gates else None
        if gate is not None:
            gate.pass_through()
        if failing is not None:
            raise failing
        if failures and names is None:
            raise next(iter(failures.values()))
        if failures:
            whole = [error for error in failures.values() if isinstance(error, StoreError)]
            raise whole[0] if whole else PartialError("partial", failures)
        return found


class World:
    """A source with secrets, a clock, and a cache."""

    def __init__(self, *names: str, **limits: Any) -> None:
        self.clock = FakeClock()
        self.source = Source(*(names or (NAME,)))
        self.cache = CachingStash(
            cast(Stash, self.source), **{"ttl": 100.0, "max_stale": 50.0, "clock": self.clock, **limits}
        )

    @property
    def calls(self) -> list[object]:
        """What the source was asked since the last look."""
        calls, self.source.calls = self.source.calls, []
        return calls


class Inline:
    """Background work done on the spot, so that a test sees one thing after the other."""

    def submit(self, call: Any) -> None:
        try:
            call()
        except Exception:
            pass

    def renew(self) -> None:
        pass


def inline(world: World) -> World:
    """``world`` without threads."""
    world.cache._engine.background = Inline()  # type: ignore[assignment]
    return world
