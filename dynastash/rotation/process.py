"""Running another program to its end: fed, listened to, and stopped with all its children when time is up."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from dynastash.clock import Clock

GRACE: Final = 5.0
"""Seconds between asking a program to stop (SIGTERM) and making it (SIGKILL)."""

_TURN: Final = 0.05
_CHUNK: Final = 65_536
_LEFT_IN_PIPE: Final = 16  # chunks: as much as Linux lets an unprivileged pipe hold

Output = Callable[[bytes], None]


class NotStarted(Exception):
    """The program could not be started at all; ``cause`` is what the operating system says."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    document: bytes | None,
    output: Output,
    *,
    timeout: float,
    clock: Clock,
) -> int | None:
    """Run ``argv`` without a shell until it exits; what it prints on stdout and stderr goes to ``output`` as it comes.

    ``document`` is its standard input, None an empty one; a program that does not read it is none the worse. Returns
    the exit status, negative for a signal as in :mod:`subprocess`, or None where ``timeout`` seconds passed: then,
    as at any exception (Ctrl-C among them), the program and the whole process group below it have been stopped.
    Raises :class:`NotStarted` where there is no such program, or none that can be run.

    The program has a session of its own and so no terminal to ask questions on. What it leaves running in the
    background when it exits stays running; nobody listens to it any more.
    """
    selector = selectors.DefaultSelector()
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if document is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # one pipe, so that lines stay in the order in which they were written
            env=dict(environment),
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        selector.close()
        raise NotStarted(error) from error
    pipes = _Pipes(process, selector, document or b"", output)
    try:
        deadline = clock.monotonic() + timeout
        while process.poll() is None:
            if clock.monotonic() >= deadline:
                _stop(process, pipes, clock)
                return None
            pipes.turn(_TURN)
        pipes.drain()
        return process.returncode
    except BaseException:
        _stop(process, pipes, clock)
        raise
    finally:
        pipes.close()


@contextmanager
def leaving_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP leave by way of ``finally`` in here, where they would otherwise end us on the spot.

    Without it a closed terminal would leave values in files and a program halfway. Handlers that somebody else has
    set stay as they are; only the main thread can set any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for each in ours:
            signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the clearing up
        raise SystemExit(128 + number)

    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def to_stderr(data: bytes) -> None:
    """Write to standard error. A terminal that is gone must not stop a rotation halfway."""
    stream = sys.stderr
    try:
        stream.flush()
        if (binary := getattr(stream, "buffer", None)) is not None:
            binary.write(data)
        else:  # replaced by something that takes text only
            stream.write(data.decode("utf-8", "replace"))
        stream.flush()
    except (OSError, ValueError, AttributeError):  # ValueError: closed; AttributeError: there is none
        pass


class _Pipes:
    """Both ends that we hold: feeds the program and listens to it without ever waiting for just one of the two."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        selector: selectors.BaseSelector,
        document: bytes,
        output: Output,
    ) -> None:
        assert process.stdout is not None
        self._stdin, self._stdout, self._output = process.stdin, process.stdout, output
        self._left = memoryview(document)
        self._selector = selector
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self.listening = True
        if self._stdin is not None:
            os.set_blocking(self._stdin.fileno(), False)
            self._selector.register(self._stdin, selectors.EVENT_WRITE)

    def turn(self, patience: float) -> None:
        """Move what can be moved; wait up to ``patience`` seconds where nothing can."""
        for key, _ in self._selector.select(patience):
            if key.fileobj is self._stdout:
                self._read()
            else:
                self._write()

    def drain(self) -> None:
        """Read what the program had written when it exited, but do not wait for what its children may yet write."""
        os.set_blocking(self._stdout.fileno(), False)
        for _ in range(_LEFT_IN_PIPE):
            if not self.listening:
                return
            try:
                self._read()
            except BlockingIOError:
                return

    def close(self) -> None:
        self._selector.close()
        self._stdout.close()
        if self._stdin is not None:
            self._stdin.close()

    def _read(self) -> None:
        data = os.read(self._stdout.fileno(), _CHUNK)
        if data:
            self._output(data)
        else:
            self._selector.unregister(self._stdout)
            self.listening = False

    def _write(self) -> None:
        assert self._stdin is not None
        try:
            self._left = self._left[os.write(self._stdin.fileno(), self._left) :] if self._left else self._left
        except BlockingIOError:
            return
        except OSError:  # the program has closed its end: it knows what it needs
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(self._stdin)
            self._stdin.close()


def _stop(process: subprocess.Popen[bytes], pipes: _Pipes, clock: Clock) -> None:
    """End the program and its process group: asked first, made to after :data:`GRACE` seconds."""
    try:
        _signal_group(process, signal.SIGTERM)
        deadline = clock.monotonic() + GRACE
        # Listening and not polling: a polled program is reaped, and its process group's number might be given away.
        while pipes.listening and clock.monotonic() < deadline:
            pipes.turn(_TURN)
    finally:
        _signal_group(process, signal.SIGKILL)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass  # it runs as another user (sudo), who alone can stop it


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass
