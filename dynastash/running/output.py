"""What the program prints on its way to where it goes, with the values taken out."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable

from dynastash.masking import Mask

_CHUNK = 65_536
_STRAGGLERS = 0.1  # seconds for what a terminal's driver still carries when the program has ended


class MaskedOutput:
    """Stands between the program and our standard output and error: :attr:`streams` is what it gets instead.

    Where one of ours is a terminal, the program gets a terminal too, of the same size, so that it prints as it would
    without us. It is no controlling terminal: the keyboard, and so Ctrl-C, stays with the real one.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        self.streams: dict[int, int] = {}
        self._pumps: list[_Pump] = []
        self._terminals: list[tuple[int, int]] = []
        values = list(values)
        shared = _same_terminal()
        for target in (1, 2):
            if target == 2 and shared:
                self.streams[2] = self.streams[1]  # one terminal, so that lines stay in order
                break
            if os.isatty(target):
                source, inner = _terminal()
                self._terminals.append((target, inner))
            else:
                source, inner = os.pipe()
            self.streams[target] = inner
            self._pumps.append(_Pump(source, target, Mask(values)))
        self.resize()

    def resize(self) -> None:
        """Give the program's terminals the size of ours."""
        if self._terminals:
            import fcntl
            import termios

            for ours, theirs in self._terminals:
                try:
                    fcntl.ioctl(theirs, termios.TIOCSWINSZ, fcntl.ioctl(ours, termios.TIOCGWINSZ, bytes(8)))
                except OSError:  # it is gone
                    pass

    def mask(self, values: Iterable[bytes]) -> None:
        """Take out ``values`` from now on."""
        values = list(values)
        for pump in self._pumps:
            pump.mask(Mask(values))

    def close(self) -> None:
        """Show what was printed until now, and listen no longer: whoever the program leaves behind is on their own."""
        for descriptor in set(self.streams.values()):
            os.close(descriptor)
        for pump in self._pumps:
            pump.finish()


class _Pump:
    """Carries one stream, in a thread of its own."""

    def __init__(self, source: int, target: int, mask: Mask) -> None:
        self._source, self._target, self._mask = source, target, mask
        self._lock = threading.Lock()
        self._told, self._tell = os.pipe()
        self._thread = threading.Thread(target=self._carry, name=f"dynastash output {target}", daemon=True)
        self._thread.start()

    def mask(self, mask: Mask) -> None:
        with self._lock:
            self._write(self._mask.flush())
            self._mask = mask

    def finish(self) -> None:
        os.close(self._tell)
        self._thread.join()

    def _carry(self) -> None:
        finishing = False
        try:
            while True:
                ready, _, _ = select.select(
                    [self._source] if finishing else [self._source, self._told],
                    [],
                    [],
                    _STRAGGLERS if finishing else None,
                )
                if self._source in ready:
                    data = _read(self._source)
                    if not data:
                        break
                    with self._lock:
                        self._write(self._mask.feed(data))
                elif finishing:
                    break
                else:
                    finishing = True
            with self._lock:
                self._write(self._mask.flush())
        except OSError:  # nobody reads ours any more, or there is no room: the program learns it from its next write
            pass
        finally:
            os.close(self._source)
            os.close(self._told)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._target, left) :]
            except BlockingIOError:  # ours was made so by somebody else who has it
                select.select([], [self._target], [])


def _read(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK)
    except OSError:  # Linux: nobody has the other side of the terminal any more
        return b""


def _same_terminal() -> bool:
    return os.isatty(1) and os.isatty(2) and os.fstat(1).st_rdev == os.fstat(2).st_rdev


def _terminal() -> tuple[int, int]:
    """Our side and the program's of a new terminal that passes on what it is given: the real one does the rest."""
    import termios

    ours, theirs = os.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    return ours, theirs
