"""Work that takes calls to AWS, written once and carried out singly or many at a time.

A piece of work is a generator: it yields each :class:`Call` that it needs, or a :class:`Pause`, and is sent the reply,
or thrown the :class:`~dynastash.aws.base.CallError` that the retry policy ended with. What it returns is its result.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

from dynastash.aws.base import CallError, Failure, Flight, Operation, Transport
from dynastash.aws.retry import Patience, patiently
from dynastash.aws.window import Window
from dynastash.clock import Clock
from dynastash.errors import ConfigError, DynastashError
from dynastash.frozen import Frozen

_AHEAD: Final = 4  # windows: what one slow call may hold up
_T = TypeVar("_T")


class Call(Frozen):
    """A call to make, with all the patience that the retry policy has."""

    operation: Operation
    request: Mapping[str, Any]


class Pause(Frozen):
    """A wait of so many seconds."""

    seconds: float


Work = Generator[Call | Pause, dict[str, Any], _T]


def carry_out(work: Work[_T], transport: Transport, clock: Clock, window: Window | None = None) -> _T:
    """The result of one piece of work; what it raises is raised. ``window`` is told how its calls fare."""
    try:
        step = next(work)
        while True:
            if isinstance(step, Pause):
                clock.sleep(step.seconds)
                step = work.send({})
                continue
            try:
                reply = patiently(transport, step.operation, step.request, clock, window)
            except CallError as error:
                step = work.throw(error)
            else:
                step = work.send(reply)
    except StopIteration as end:
        result: _T = end.value
        return result


def carry_out_many(
    works: Iterable[Work[_T] | None], transport: Transport, clock: Clock, window: Window
) -> Iterator[_T | DynastashError | None]:
    """The results of many pieces of work, in order, each as soon as all before it are there.

    What one of them raises as a :class:`DynastashError` is its result; anything else, and a
    :class:`~dynastash.errors.ConfigError`, which would meet all of them, is raised. None stands for no work, and has
    None for its result. ``works`` are drawn as they are needed, never further ahead than four windows. Where the caller
    stops asking, what is in flight is abandoned.

    One piece of work at a time learns how long the service stays unavailable: while one has given up, those that begin
    get one attempt.
    """
    run = _Run(works, transport, clock, window)
    try:
        yield from run.results()
    finally:
        run.close()


class _Piece(Generic[_T]):
    """One piece of work, and where it stands."""

    __slots__ = ("call", "ended", "held", "patience", "result", "work")

    def __init__(self, work: Work[_T] | None) -> None:
        self.work = work
        self.call: Call
        self.patience: Patience | None = None
        self.ended = work is None
        self.held = False  # rests, throttled, and keeps its place in the window
        self.result: _T | DynastashError | None = None


class _Run(Generic[_T]):
    def __init__(self, works: Iterable[Work[_T] | None], transport: Transport, clock: Clock, window: Window) -> None:
        self._works = iter(works)
        self._transport = transport
        self._clock = clock
        self._window = window
        self._flight: Flight | None = None
        self._in_order: deque[_Piece[_T]] = deque()
        self._ready: deque[_Piece[_T]] = deque()  # those with a call to send
        self._resting: list[tuple[float, int, _Piece[_T]]] = []  # a heap, by the moment to go on
        self._in_flight: dict[int, _Piece[_T]] = {}
        self._held = 0
        self._tickets = 0
        self._drawn_all = False
        self._hopeless = False

    def results(self) -> Iterator[_T | DynastashError | None]:
        while True:
            self._wake()
            self._fill()
            there = bool(self._in_order) and self._in_order[0].ended
            if self._in_flight:
                self._receive(0 if there else self._until_next())
            elif self._resting and not there:
                self._clock.sleep(self._until_next() or 0.0)
            if there:
                yield self._in_order.popleft().result
            elif not self._in_order and self._drawn_all:
                return

    def close(self) -> None:
        if self._flight is not None:
            self._flight.close()

    def _until_next(self) -> float | None:
        return max(0.0, self._resting[0][0] - self._clock.monotonic()) if self._resting else None

    def _wake(self) -> None:
        while self._resting and self._resting[0][0] <= self._clock.monotonic():
            piece = heapq.heappop(self._resting)[2]
            self._held -= piece.held
            piece.held = False
            if piece.patience is None:
                self._go_on(piece, {})
            else:
                self._ready.appendleft(piece)

    def _fill(self) -> None:
        """Send what may be sent, drawing more work where the window has room.

        A throttled call keeps its place while it rests: what went out in its stead would be throttled too.
        """
        while len(self._in_flight) + self._held < self._window.allowed:
            if not self._ready and not self._draw():
                return
            if not self._ready:
                continue
            piece = self._ready.popleft()
            if self._flight is None:
                self._flight = self._transport.flight()
            self._tickets += 1
            self._in_flight[self._tickets] = piece
            self._flight.send(self._tickets, piece.call.operation, piece.call.request)

    def _draw(self) -> bool:
        """Begin one more piece of work; False where there is none, or the caller has enough to catch up with."""
        if self._drawn_all or len(self._in_order) >= _AHEAD * self._window.maximum:
            return False
        try:
            piece = _Piece(next(self._works))
        except StopIteration:
            self._drawn_all = True
            return False
        self._in_order.append(piece)
        if piece.work is not None:
            self._go_on(piece, None)
        return True

    def _receive(self, timeout: float | None) -> None:
        assert self._flight is not None
        for ticket, answer in self._flight.wait(timeout):
            piece = self._in_flight.pop(ticket)
            if isinstance(answer, dict):
                self._hopeless = False
                self._window.succeeded()
                self._go_on(piece, answer)
            elif isinstance(answer, CallError):
                self._failed(piece, answer)
            elif isinstance(answer, ConfigError):
                raise piece.patience.impossible(answer) if piece.patience else answer
            else:
                raise answer

    def _failed(self, piece: _Piece[_T], error: CallError) -> None:
        if error.failure is Failure.THROTTLED:
            self._window.throttled(len(self._in_flight))
        else:
            self._window.succeeded()
        assert piece.patience is not None
        delay = piece.patience.after(error)
        if error.failure is Failure.REJECTED:
            self._hopeless = False
        elif delay is None:
            self._hopeless = True
        if delay is None or self._hopeless:
            self._go_on(piece, error)
        else:
            piece.held = error.failure is Failure.THROTTLED
            self._held += piece.held
            self._rest(piece, delay)

    def _rest(self, piece: _Piece[_T], delay: float) -> None:
        self._tickets += 1  # makes entries of the heap comparable
        heapq.heappush(self._resting, (self._clock.monotonic() + delay, self._tickets, piece))

    def _go_on(self, piece: _Piece[_T], answer: dict[str, Any] | CallError | None) -> None:
        """Let ``piece`` run with ``answer`` to its next call, or to its end."""
        work = piece.work
        assert work is not None
        try:
            if answer is None:
                step = next(work)
            elif isinstance(answer, CallError):
                step = work.throw(answer)
            else:
                step = work.send(answer)
        except StopIteration as end:
            piece.result, piece.ended = end.value, True
        except ConfigError:
            raise
        except DynastashError as error:
            piece.result, piece.ended = error, True
        else:
            if isinstance(step, Pause):
                piece.patience = None
                self._rest(piece, step.seconds)
            else:
                piece.call, piece.patience = step, Patience(step.operation, self._clock)
                self._ready.append(piece)
