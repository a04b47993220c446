"""A terminal of our own: a pseudo-terminal, the program in it, and what a person would see and type."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 60.0
"""Seconds without a sign of life after which a program is taken for stuck: far more than any machine needs."""


class Terminal:
    """``argv`` with a terminal as its controlling one; ``more`` may give it other streams."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, **more: Any) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs, **more}
        # A session of its own, in which opening the terminal by its name makes it the controlling one.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv] if streams["stdin"] == theirs else list(argv),
            env=env,
            cwd=cwd,
            **streams,
        )
        os.close(theirs)
        self.seen = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def type(self, text: bytes) -> None:
        """Press these keys."""
        os.write(self._ours, text)

    def expect(self, text: bytes, times: int = 1) -> None:
        """Wait until ``text`` has been shown so often."""
        while self.seen.count(text) < times:
            assert self._read(), f"it ended without showing {text!r}: {self.seen!r}"

    def in_front(self) -> int:
        """The process group that the keyboard reaches now."""
        return os.tcgetpgrp(self._ours)

    def insist(self, key: bytes) -> tuple[int, bytes]:
        """Press ``key`` until that ends the program.

        Once is not always enough: Python does not notice a Ctrl-C in the instant between its last look and its waiting
        for input.
        """
        for _ in range(int(PATIENCE)):
            self.type(key)
            while select.select([self._ours], [], [], 1.0)[0]:
                if not self._read():
                    return self.process.wait(), self.seen
        raise AssertionError(f"it goes on: {self.seen!r}")

    def finish(self) -> tuple[int, bytes]:
        """Wait for the end: exit code, and all that was shown."""
        while self._read():
            pass
        return self.process.wait(), self.seen

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert ready, f"it does nothing: {self.seen!r}"
        with contextlib.suppress(OSError):  # Linux: the other side is closed
            data = os.read(self._ours, 65536)
            self.seen += data
            return bool(data)
        return False
