"""Staying beside the program: signals pass through, zombies are reaped, and its exit code becomes ours.

The program stays in our process group, so that the terminal's job control means both of us: what the keyboard sends,
Ctrl-C first of all, reaches the program without our help, and is not sent a second time. Every other signal is passed
on. All of this happens in the main thread, which does nothing but wait for signals.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Final

from dynastash.running.environment import Environment
from dynastash.running.launch import not_started, restored_signals

GRACE: Final = 10.0
"""Seconds between asking the program to end, for a restart, and making it."""

Start = tuple[Environment, Mapping[int, int]]

_OURS: Final = ("SIGCHLD", "SIGKILL", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT", "SIGPIPE", "SIGXFSZ")
_FAULTS: Final = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP", "SIGABRT", "SIGXCPU")
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
_PATIENCE: Final = 5.0
_FROM_KERNEL: Final = 0x80  # SI_KERNEL


class Supervisor:
    """Runs ``argv`` at ``path`` until it ends. ``environment`` and ``streams`` are asked for at each start.

    ``streams`` are descriptors by the number that they have in the program. ``resized`` is called when the terminal
    changes its size.
    """

    def __init__(
        self, path: str, argv: Sequence[str], start: Callable[[], Start], *, resized: Callable[[], None] | None = None
    ) -> None:
        self._path, self._argv, self._start, self._resized = path, list(argv), start, resized
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._main = threading.get_ident()
        self._again = False
        self._pid = 0
        _let_threads_end()
        unmanaged = {getattr(signal, name) for name in (*_OURS, *_FAULTS) if hasattr(signal, name)}
        passed = {number for number in signal.valid_signals() if number not in unmanaged}
        self._passed = {number for number in passed if signal.getsignal(number) is not signal.SIG_IGN}
        self._kept = signal.pthread_sigmask(signal.SIG_BLOCK, {*self._passed, signal.SIGCHLD})
        signal.signal(signal.SIGCHLD, _wake)  # or some systems would drop it

    def run(self) -> int:
        """Start the program, wait for its end and return its exit code; 128 and the number of a signal that ended it.

        Raises :class:`~dynastash.errors.CommandError` where it cannot be started.
        """
        while True:
            self._pid = self._spawn()
            status = self._wait()
            if not self._again:
                return status if status >= 0 else 128 - status
            self._again = False

    def restart(self) -> None:
        """End the program and start it again. May be called from any thread."""
        self._request(self._end_for_restart)

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal. May be called from any thread."""
        self._request(lambda: self._kill(number))

    def _request(self, request: Callable[[], None]) -> None:
        self._requests.put(request)
        signal.pthread_kill(self._main, signal.SIGCHLD)

    def _spawn(self) -> int:
        environment, streams = self._start()
        try:
            return os.posix_spawn(
                self._path,
                self._argv,
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in streams.items()],
                setsigmask=self._kept,
                setsigdef=restored_signals(),
            )
        except OSError as error:
            raise not_started(self._path, environment, error) from error

    def _wait(self) -> int:
        while True:
            number, keyboard = self._next_signal()
            if number == signal.SIGCHLD:
                status = self._reap()
                if status is not None:
                    return status
                while not self._requests.empty():
                    self._requests.get()()
                continue
            if number == signal.SIGWINCH and self._resized is not None:
                self._resized()
                keyboard = False  # it came before the size was right
            if number in _ENDING:
                self._again = False
            if not keyboard:
                self._kill(number)

    def _next_signal(self) -> tuple[int, bool]:
        """The next signal, and whether the program has it already because the terminal sent it to both of us."""
        signals = {*self._passed, signal.SIGCHLD}
        if sys.platform == "darwin":
            number: int = signal.sigwait(signals)
            return number, number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground()
        info = signal.sigwaitinfo(signals)
        hangup = info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()  # which goes to the leader alone
        return info.si_signo, info.si_code == _FROM_KERNEL and not hangup

    def _reap(self) -> int | None:
        """Collect who has ended; the program's exit code, negative for a signal, or None while it runs."""
        found = None
        while True:
            try:
                # As the first process of a container we inherit every orphan in it.
                pid, status = os.waitpid(-1 if os.getpid() == 1 else self._pid, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self._pid:
                found = os.waitstatus_to_exitcode(status)
                if os.getpid() != 1:
                    return found

    def _kill(self, number: int) -> None:
        try:
            os.kill(self._pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _end_for_restart(self) -> None:
        self._again = True
        pid = self._pid
        self._kill(signal.SIGTERM)

        def make_it() -> None:
            if self._pid == pid:
                self._kill(signal.SIGKILL)

        timer = threading.Timer(GRACE, lambda: self._request(make_it))
        timer.daemon = True
        timer.start()


def _wake(number: int, frame: FrameType | None) -> None:
    """Nothing: being told is enough."""


def _let_threads_end() -> None:
    """Wait for threads that fetched secrets: one that lets signals through would take them from us.

    Every thread that is started from now on inherits what is blocked.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(_PATIENCE)


def _in_foreground() -> bool:
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    finally:
        os.close(descriptor)


def open_standard_streams() -> None:
    """Open /dev/null for each of the three standard streams that is closed, or a pipe of ours would take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def signal_named(name: str) -> signal.Signals | None:
    """``SIGHUP`` or ``HUP`` in any case, or None."""
    found: Any = getattr(signal, name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}", None)
    return found if isinstance(found, signal.Signals) else None
