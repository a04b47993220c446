"""A program that is not left alone: its output masked, its secrets in files, its secrets watched."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dynastash.errors import DynastashError
from dynastash.frozen import Frozen
from dynastash.running.environment import Environment, with_plain, with_secrets
from dynastash.running.plan import Assigned, Request
from dynastash.running.supervisor import Start, Supervisor, open_standard_streams

if TYPE_CHECKING:
    from dynastash.running.files import SecretFiles
    from dynastash.running.output import MaskedOutput
    from dynastash.stash.api import Stash

Say = Callable[[str], None]
Announce = Callable[[list[Assigned]], None]


class Care(Frozen):
    """What is asked for beyond starting the program; with nothing of it we are a parent that passes signals on.

    ``files`` is a directory or ``auto``. ``interval`` is in seconds, None not to watch; a change restarts the program,
    or sends it ``on_change``.
    """

    mask: bool = False
    files: str | None = None
    interval: float | None = None
    on_change: signal.Signals | None = None


class Supervised:
    """One program under ``care``: from the secrets that were collected to its exit code.

    ``announce`` is called with new values before the program gets them.
    """

    def __init__(
        self,
        stash: Stash | None,
        asked: Request,
        found: list[Assigned],
        base: Environment,
        care: Care,
        say: Say,
        announce: Announce,
    ) -> None:
        self._stash, self._asked, self._found = stash, asked, found
        self._base, self._care, self._say, self._announce = base, care, say, announce
        self._files: SecretFiles | None = None
        self._output: MaskedOutput | None = None
        self._next: list[Assigned] | None = None
        self._seen = {each.secret.value for each in found}

    def run(self, path: str, argv: Sequence[str]) -> int:
        """Run ``argv`` and return its exit code. Raises :class:`DynastashError` where it cannot be started."""
        open_standard_streams()
        with ExitStack() as stack:
            supervisor = Supervisor(path, argv, self._start, resized=self._resized)
            if self._care.files is not None:
                from dynastash.running.files import SecretFiles, check_paths

                check_paths(self._found)
                self._files = SecretFiles(self._care.files)
                stack.callback(self._files.close)
            if self._care.mask:
                from dynastash.masking import SHORTEST
                from dynastash.running.output import MaskedOutput

                for each in self._found:
                    if len(each.secret.value.strip()) < SHORTEST:
                        self._say(f"warning: {each.label} is too short to be masked")
                self._output = MaskedOutput(self._seen)
                stack.callback(self._output.close)
            if self._care.interval is not None and self._stash is not None:
                from dynastash.running.watch import Watch, Watcher

                watch = Watch(self._stash, self._asked, self._found)
                changed = lambda found: self._changed(supervisor, found)  # noqa: E731
                stack.callback(Watcher(watch, self._care.interval, changed, self._complain).stop)
            return supervisor.run()

    def _start(self) -> Start:
        """The environment and the streams of the program that is about to be started."""
        if self._next is not None:
            self._found, self._next = self._next, None
        streams: Mapping[int, int] = {} if self._output is None else self._output.streams
        if self._files is None:
            return with_secrets(self._base, self._found), streams
        return with_plain(self._base, self._files.write(self._found)), streams

    def _changed(self, supervisor: Supervisor, found: list[Assigned]) -> None:
        """In the watcher's thread, when all the new values are here."""
        names = ", ".join(_different(self._found if self._next is None else self._next, found))
        if self._files is not None:
            from dynastash.running.files import check_paths

            check_paths(found)
        else:
            with_secrets(self._base, found)  # raises for what no variable can hold, while the old program runs
        self._announce(found)
        if self._output is not None:
            self._seen |= {each.secret.value for each in found}
            self._output.mask(self._seen)
        if self._care.on_change is None:
            self._next = found
            self._say(f"changed: {names}; restarting")
            supervisor.restart()
        else:
            if self._files is not None:
                self._files.write(found)
            self._found = found
            self._say(f"changed: {names}; sending {self._care.on_change.name}")
            supervisor.send(self._care.on_change)

    def _complain(self, error: DynastashError | None) -> None:
        if error is None:
            self._say("watching again")
        else:
            self._say(f"warning: not watching for now, and the program goes on: {error}")

    def _resized(self) -> None:
        if self._output is not None:
            self._output.resize()


def _different(old: list[Assigned], new: list[Assigned]) -> list[str]:
    """The labels of the secrets that came, went or have another value."""
    before = {each.label: each.secret.plaintext for each in old}
    after = {each.label: each.secret.plaintext for each in new}
    return sorted(label for label in before.keys() | after.keys() if before.get(label) != after.get(label))
