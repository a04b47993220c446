"""A stash whose answers are kept for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar, overload

from dynastash.cache import asking as steps
from dynastash.cache.engine import Engine, Limits, Statistics
from dynastash.cache.entries import Key
from dynastash.cache.resolving import resolved
from dynastash.cache.retrying import Errors, retrying
from dynastash.clock import Clock, SystemClock
from dynastash.errors import InvalidArgumentError
from dynastash.models import Secret, Stage, check_name, check_version
from dynastash.references import Reference
from dynastash.stash import questions
from dynastash.stash.api import Stash

TTL: Final = 300.0
MAX_STALE: Final = 3600.0
MAX_WAIT: Final = 2.0
MAX_ENTRIES: Final = 1024
MAX_BYTES: Final = 64 << 20
PATIENCE: Final = 2.0

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _writing(method: Callable[Concatenate[Stash, _P], _R]) -> Callable[Concatenate[CachingStash, _P], _R]:
    """The stash's own method, after which its secret is read anew."""

    @wraps(method)
    def write(self: CachingStash, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        name = args[0] if args else kwargs.get("name")
        try:
            return method(self.stash, *args, **kwargs)
        finally:  # a failure may leave the change made
            if isinstance(name, str):
                self._engine.invalidate(name, None)

    return write


def _passing_on(method: Callable[Concatenate[Stash, _P], _R]) -> Callable[Concatenate[CachingStash, _P], _R]:
    """The stash's own method, uncached."""

    @wraps(method)
    def ask(self: CachingStash, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return method(self.stash, *args, **kwargs)

    return ask


class CachingStash:
    """Keeps what ``stash`` opens in memory, for applications that ask again and again.

    A value is served for ``ttl`` seconds from the moment when its reading began. In the last quarter of them it is
    read again behind the caller's back (``refresh_ahead``), at a moment drawn by lot. Callers who ask for the same
    thing at once wait for one reading.

    Where the store or the key provider is throttled, out of reach or does not answer, an older value stands in, up to
    ``max_stale`` seconds beyond its time; then, or with ``max_stale=0``, the error is raised. While one stands in,
    nobody waits longer than ``max_wait`` seconds. Any other error is an answer: denied, deleted, destroyed, expired,
    tampered with or rolled back is raised at once, and what was kept of the secret is forgotten.

    At most ``max_entries`` answers and ``max_bytes`` bytes of values are kept; the least recently used go first. That
    a secret does not exist is not kept.

    Safe to use from several threads and across ``os.fork``: a child begins with the values and without the threads.
    Writing through this object forgets the secret; a change made elsewhere is seen when the time is over, or after
    :meth:`invalidate`. Values are in this process's memory in the clear for as long as they are kept.
    """

    def __init__(
        self,
        stash: Stash,
        *,
        ttl: float = TTL,
        max_stale: float = MAX_STALE,
        max_wait: float = MAX_WAIT,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        refresh_ahead: bool = True,
        clock: Clock | None = None,
    ) -> None:
        """Raises :class:`InvalidArgumentError` for limits below zero, and a ``ttl`` or ``max_entries`` of zero."""
        if not ttl > 0 or not max_stale >= 0 or not max_wait >= 0 or max_entries < 1 or max_bytes < 0:
            raise InvalidArgumentError(
                "a limit of the cache is out of range", hint="ttl and max_entries are above zero, the others not below"
            )
        self._stash = stash
        self._clock = clock or SystemClock()
        limits = Limits(
            ttl=ttl,
            max_stale=max_stale,
            max_wait=max_wait,
            max_entries=max_entries,
            max_bytes=max_bytes,
            refresh_ahead=refresh_ahead,
        )
        self._engine = Engine(self._fetch, self._clock, limits)

    def __repr__(self) -> str:
        return f"<CachingStash {self._stash.environment}: {self._stash.where}, {self.statistics().entries} kept>"

    @property
    def stash(self) -> Stash:
        """The stash behind it, which asks each time."""
        return self._stash

    def get(
        self, name: str, *, version: int | None = None, stage: str | None = None, min_version: int | None = None
    ) -> Secret:
        """As :meth:`Stash.get`. Versions and stages are kept each for themselves.

        A kept value below ``min_version`` is read again.
        """
        return steps.carry_out(self.asking(name, version, stage, min_version), self._engine)

    def get_many(self, names: Iterable[str] | None = None, *, prefix: str | None = None) -> dict[str, Secret]:
        """As :meth:`Stash.get_many`; of ``names``, those that are not kept are read in one batch.

        What is under ``prefix`` is kept as a whole: a secret that is added there is seen when its time is over.
        """
        return steps.carry_out(self.asking_many(names, prefix), self._engine)

    def resolve(self, references: Iterable[str | Reference]) -> dict[Reference, Secret]:
        """As :meth:`Stash.resolve`; what is kept is the whole value, whichever of its fields is asked for."""
        return steps.carry_out(self.asking_references(references), self._engine)

    def invalidate(self, name: str, *, version: int | None = None) -> None:
        """Forget ``name``: the next caller gets what is true then. What is being read at this moment is not kept.

        Call it when a value is refused by what it is for, after a rotation. With ``version``, the one that was
        refused, only that and what is older is forgotten: of many callers at once the first one's reading serves all.
        """
        check_name(name)
        self._engine.invalidate(name, None if version is None else check_version(version))

    def clear(self) -> None:
        """Forget everything."""
        self._engine.clear()

    def statistics(self) -> Statistics:
        """What it has done so far, and what it holds."""
        return self._engine.statistics()

    @overload
    def retry_on(
        self, errors: Errors, name: str, *, patience: float = PATIENCE
    ) -> Callable[[Callable[Concatenate[Secret, _P], _R]], Callable[_P, _R]]: ...

    @overload
    def retry_on(
        self, errors: Errors, name: str, *, into: str, patience: float = PATIENCE
    ) -> Callable[[Callable[..., _R]], Callable[..., _R]]: ...

    def retry_on(
        self, errors: Errors, name: str, *, into: str | None = None, patience: float = PATIENCE
    ) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
        """Decorate a function that logs in with ``name``, so that a rotation goes unnoticed.

        The function gets the :class:`Secret` as its first argument, or as the keyword ``into`` (for methods, and for
        several secrets). Where it raises one of ``errors``, the secret is invalidated, and the function called once
        more if there is a newer version. A refused value is not tried twice: that would lock accounts. Between the
        moment when the target system has the new value and the one when it becomes current lies a second or so; for
        ``patience`` seconds a newer version is waited for, and then the error is raised.

        For coroutine functions use :meth:`AsyncStash.retry_on`.
        """
        check_name(name)
        return retrying(self, errors, name, into=into, patience=patience, clock=self._clock)

    put = _writing(Stash.put)
    generate = _writing(Stash.generate)
    rollback = _writing(Stash.rollback)
    rotate = _writing(Stash.rotate)
    resume = _writing(Stash.resume)
    abort = _writing(Stash.abort)
    delete = _writing(Stash.delete)
    undelete = _writing(Stash.undelete)
    destroy = _writing(Stash.destroy)
    purge = _writing(Stash.purge)
    prune = _writing(Stash.prune)
    advance = _writing(Stash.advance)
    locate = _passing_on(Stash.locate)
    list = _passing_on(Stash.list)
    history = _passing_on(Stash.history)
    policy = _passing_on(Stash.policy)
    overdue = _passing_on(Stash.overdue)
    diff = _passing_on(Stash.diff)
    verify = _passing_on(Stash.verify)
    rewrap = _passing_on(Stash.rewrap)
    rewrap_many = _passing_on(Stash.rewrap_many)

    def asking(
        self, name: str, version: int | None = None, stage: str | None = None, min_version: int | None = None
    ) -> steps.Asking[Secret]:
        """:meth:`get` as steps, for whoever does not wait in a thread."""
        key = _key(name, version, stage)
        if min_version is None:
            return steps.single(self._engine, key)
        check_version(min_version)
        if key == Key(name):
            return steps.at_least(self._engine, key, min_version)
        # What is kept of a version or a stage does not tell which one is current.
        return steps.aside(
            self._engine, key, lambda: self._stash.get(name, version=version, stage=stage, min_version=min_version)
        )

    def asking_many(self, names: Iterable[str] | None, prefix: str | None) -> steps.Asking[dict[str, Secret]]:
        """:meth:`get_many` as steps."""
        wanted = questions.selection(names, prefix)
        if isinstance(wanted, str):
            return steps.under(self._engine, Key(wanted, prefix=True))
        return steps.many(self._engine, wanted, self._stash.get_many)

    def asking_references(self, references: Iterable[str | Reference]) -> steps.Asking[dict[Reference, Secret]]:
        """:meth:`resolve` as steps."""
        return resolved(self._engine, questions.references(references), self._stash.get_many)

    def _fetch(self, key: Key) -> Sequence[Secret]:
        if key.prefix:
            return tuple(self._stash.get_many(prefix=key.name).values())
        return (self._stash.get(key.name, version=key.version, stage=key.stage),)


def _key(name: str, version: int | None, stage: str | None) -> Key:
    if version is None and stage is None:
        return Key(name if isinstance(name, str) else check_name(name))  # the stash looks at it when it reads
    questions.version_or_stage(version, stage)
    if version is not None:
        return Key(check_name(name), version=check_version(version))
    wanted = Stage.named(stage or "")
    return Key(check_name(name), stage=None if wanted is Stage.CURRENT else wanted)
