"""Many calls at once from one thread, each on a connection of its own that the selector watches."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from dynastash.aws.base import CallError, Operation
from dynastash.aws.direct.connection import DONE, BrokenError, Connection
from dynastash.aws.direct.transport import Attempt, failed
from dynastash.aws.limits import CONNECTIONS
from dynastash.errors import ConfigError

if TYPE_CHECKING:
    from dynastash.aws.direct.service import Service
    from dynastash.aws.direct.transport import DirectTransport

_Sent = tuple[int, Attempt]


class _Lane:
    """Calls to one service: connections in use or idle, and what waits for one."""

    __slots__ = ("idle", "open", "service", "waiting")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.open = 0
        self.idle: list[_Seat] = []
        self.waiting: deque[_Sent] = deque()


class _Seat:
    """A connection of the flight, the call that it carries, if any, and how the selector knows it."""

    __slots__ = ("connection", "key", "lane", "sent", "watched", "watched_for")

    def __init__(self, lane: _Lane, connection: Connection) -> None:
        self.lane = lane
        self.connection = connection
        self.sent: _Sent | None = None
        self.watched: socket.socket | None = None
        self.key = -1
        self.watched_for = 0


class DirectFlight:
    """Calls of ``transport`` with up to 64 connections to each service under way. For one thread.

    The connections come from the transport's and go back to it with :meth:`close`. A name server, and credentials that
    have to be renewed, are waited for where a call is sent.
    """

    def __init__(self, transport: DirectTransport) -> None:
        self._transport = transport
        self._selector = selectors.DefaultSelector()
        self._lanes: dict[Service, _Lane] = {}
        self._busy: set[_Seat] = set()
        self._ended: list[tuple[int, dict[str, Any] | Exception]] = []
        self._check = inf  # when the first deadline may have come

    def send(self, ticket: int, operation: Operation, request: Mapping[str, Any]) -> None:
        """Start a call, or let it wait for one of the connections."""
        try:
            attempt = self._transport.attempt(operation, request)
        except (CallError, ConfigError) as error:
            self._ended.append((ticket, error))
            return
        lane = self._lanes.get(attempt.service)
        if lane is None:
            lane = self._lanes[attempt.service] = _Lane(attempt.service)
        lane.waiting.append((ticket, attempt))
        self._start_waiting(lane)

    def wait(self, timeout: float | None) -> list[tuple[int, dict[str, Any] | Exception]]:
        """The calls that have ended since; none where nothing is under way, or ``timeout`` seconds have passed."""
        now = time.monotonic()
        until = inf if timeout is None else now + timeout
        while self._busy and not self._ended:
            pause = min(self._check, until) - now
            ready = self._selector.select(max(0.0, pause))
            now = time.monotonic()
            for key, _ in ready:
                seat: _Seat = key.data
                self._advance(seat, now)
                self._start_waiting(seat.lane)
            if now >= self._check:
                self._expire(now)
            if now >= until:
                break
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Close the connections of calls that have not ended, and give the others back."""
        self._selector.close()
        for seat in self._busy:
            seat.connection.close()
        self._busy.clear()
        for lane in self._lanes.values():
            for seat in lane.idle:
                lane.service.give_back(seat.connection)
        self._lanes.clear()

    def _start_waiting(self, lane: _Lane) -> None:
        while lane.waiting:
            try:
                seat = self._seat(lane)
            except BrokenError as error:
                ticket, attempt = lane.waiting.popleft()
                self._ended.append((ticket, failed(attempt.operation, error)))
                continue
            if seat is None:
                return
            seat.sent = lane.waiting.popleft()
            self._busy.add(seat)
            self._begin(seat, seat.sent)

    def _seat(self, lane: _Lane) -> _Seat | None:
        """A connection that is free or yet to connect; None while all are in use."""
        while lane.idle:
            seat = lane.idle.pop()
            if seat.connection.usable():
                return seat
            self._drop(seat)
        if lane.open >= CONNECTIONS:
            return None
        seat = _Seat(lane, lane.service.kept() or lane.service.new())
        lane.open += 1
        return seat

    def _begin(self, seat: _Seat, sent: _Sent) -> None:
        try:
            request = self._transport.signed(sent[1])
        except (CallError, ConfigError) as error:  # no credentials: nothing was sent
            self._break(seat, error)
        else:
            seat.connection.start(request, now := time.monotonic())
            self._step(seat, seat.connection.proceed, now)

    def _advance(self, seat: _Seat, now: float) -> None:
        if seat.sent is not None:
            self._step(seat, seat.connection.proceed, now)
        elif not seat.connection.usable():  # the server has closed it
            seat.lane.idle.remove(seat)
            self._drop(seat)

    def _expire(self, now: float) -> None:
        self._check = inf
        for seat in list(self._busy):
            if seat.connection.deadline <= now:
                self._step(seat, seat.connection.expired, now)
                self._start_waiting(seat.lane)
            else:
                self._check = min(self._check, seat.connection.deadline)

    def _step(self, seat: _Seat, step: Callable[[float], int], now: float) -> None:
        """Take one step with a connection, and see what came of it."""
        try:
            wanted = step(now)
        except BrokenError as error:
            assert seat.sent is not None
            self._break(seat, failed(seat.sent[1].operation, error), error)
        except ConfigError as error:
            self._break(seat, error)
        else:
            if wanted == DONE:
                self._finish(seat)
            else:
                self._watch(seat, wanted)

    def _finish(self, seat: _Seat) -> None:
        """The answer is complete: the connection is free, and the call has ended unless it is to be repeated."""
        assert seat.sent is not None
        ticket, attempt = seat.sent
        connection, lane = seat.connection, seat.lane
        seat.sent = None
        self._busy.discard(seat)
        response = connection.response
        if response.persistent:
            lane.idle.append(seat)
        else:
            self._drop(seat)
        if response.status >= 400 and self._transport.must_repeat(attempt, response):
            lane.waiting.appendleft((ticket, attempt))
            return
        outcome: dict[str, Any] | Exception
        try:
            outcome = attempt.codec.reply(response)
        except (CallError, ConfigError) as error:
            outcome = error
        self._ended.append((ticket, outcome))

    def _break(self, seat: _Seat, error: CallError | ConfigError, broken: BrokenError | None = None) -> None:
        """The call has failed, and its connection is of no use any more."""
        assert seat.sent is not None
        self._ended.append((seat.sent[0], error))
        seat.sent = None
        self._busy.discard(seat)
        self._drop(seat, broken)

    def _drop(self, seat: _Seat, broken: BrokenError | None = None) -> None:
        self._unwatch(seat)
        seat.lane.service.discard(seat.connection, broken)
        seat.lane.open -= 1

    def _watch(self, seat: _Seat, wanted: int) -> None:
        connection = seat.connection
        if connection.deadline < self._check:
            self._check = connection.deadline
        sock = connection.sock
        if seat.watched is not sock:  # a new one: the first, or the next after one that did not connect
            self._unwatch(seat)
            assert sock is not None
            seat.key = self._selector.register(sock.fileno(), wanted, seat).fd
            seat.watched = sock
        elif seat.watched_for != wanted:
            self._selector.modify(seat.key, wanted, seat)
        seat.watched_for = wanted

    def _unwatch(self, seat: _Seat) -> None:
        if seat.watched is not None:
            self._selector.unregister(seat.key)
            seat.watched = None
