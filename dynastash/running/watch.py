"""Noticing that a secret has changed: heads are read again and again, and values only when a head is another."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dynastash.errors import DynastashError
from dynastash.running.plan import Assigned, Request, collect

if TYPE_CHECKING:
    from dynastash.models import Item
    from dynastash.stash.api import Stash

INTERVAL: Final = 60.0
LEAST: Final = 1.0
_JITTER: Final = 0.1
_RANDOM = random.SystemRandom()


class Watch:
    """Compares what a program has with what it would get now. ``found`` is what it has."""

    def __init__(self, stash: Stash, asked: Request, found: list[Assigned]) -> None:
        self._stash, self._asked = stash, asked
        self._has = self._had = _values(found)
        self._heads: dict[str, Item] | None = None

    def poll(self) -> list[Assigned] | None:
        """The secrets as they are now where a value, or the set of them, is another; None where all is as it was.

        One read of the heads, in batches; the values are fetched, all of them, only where a head has changed. Raises
        :class:`DynastashError`, and then the next call compares with what was there before.
        """
        heads = self._read()
        if heads == self._heads:
            return None
        found = collect(self._stash, self._asked)
        self._heads = heads
        values = _values(found)
        if values == self._has:
            return None
        self._had, self._has = self._has, values
        return found

    def refused(self) -> None:
        """What :meth:`poll` has just returned could not be handed over: it is new until it can, or is no more."""
        self._has, self._heads = self._had, None

    def _read(self) -> dict[str, Item]:
        from dynastash.stash.polling import heads

        names = (each.reference.name for each in self._asked.wanted)
        return heads(self._stash.store, names, self._asked.prefixes)


class Watcher:
    """Polls every ``interval`` seconds, give or take a tenth, in a thread of its own.

    ``changed`` gets what is new; ``complain`` the first of several failures in a row, and None when it is over. A
    failure changes nothing.
    """

    def __init__(
        self,
        watch: Watch,
        interval: float,
        changed: Callable[[list[Assigned]], None],
        complain: Callable[[DynastashError | None], None],
    ) -> None:
        self._watch, self._interval, self._changed, self._complain = watch, interval, changed, complain
        self._stopped = threading.Event()
        self._failing = False
        threading.Thread(target=self._run, name="dynastash watch", daemon=True).start()

    def stop(self) -> None:
        """Poll no more. One that is under way is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval * _RANDOM.uniform(1 - _JITTER, 1 + _JITTER)):
            try:
                found = self._watch.poll()
                if found is not None and not self._stopped.is_set():
                    self._hand_over(found)
            except Exception as error:
                if not self._failing:
                    self._failing = True
                    self._complain(error if isinstance(error, DynastashError) else _unexpected(error))
            else:
                if self._failing:
                    self._failing = False
                    self._complain(None)

    def _hand_over(self, found: list[Assigned]) -> None:
        try:
            self._changed(found)
        except BaseException:
            self._watch.refused()
            raise


def _unexpected(error: Exception) -> DynastashError:
    """Without the exception's text, which could quote a value."""
    return DynastashError(
        f"unexpected {type(error).__name__}; this is a defect of dynastash", hint="please report it with this line"
    )


def _values(found: list[Assigned]) -> dict[str, object]:
    return {each.variable: each.secret.plaintext for each in found}
