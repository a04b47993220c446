"""Several waits at once: the only threads that dynastash's rules start, and none where there is nothing to wait for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Generic, TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


class Begun(Generic[_A]):
    """A call that runs in a thread of its own, or at once where none can be started.

    The process may end without waiting for it, unless ``awaited``.
    """

    def __init__(self, call: Callable[[], _A], *, awaited: bool = False) -> None:
        self._call = call
        self._value: _A
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name="dynastash", daemon=not awaited)
        try:
            self._thread.start()
        except RuntimeError:  # too many threads, or the interpreter is ending
            self._thread = None
            self._run()

    def wait(self) -> None:
        """Wait until the call has ended, however it did."""
        if self._thread is not None:
            self._thread.join()

    def result(self) -> _A:
        """Wait for the call; return what it returned, or raise what it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:
            self._error = error


def both(one: Callable[[], _A], other: Callable[[], _B], *, limit: int) -> tuple[_A, _B]:
    """The results of two calls, side by side where ``limit`` is above 1. The first one's failure is raised first."""
    if limit < 2:
        return one(), other()
    second = Begun(other)
    try:
        first = one()
    except Exception:
        second.wait()  # what it does must not go on behind the caller's back
        raise
    return first, second.result()


def each(function: Callable[[_A], _B], arguments: Iterable[_A], *, limit: int) -> list[_B]:
    """``function`` of each argument, in order, with at most ``limit`` calls at once."""
    return list(streamed(function, arguments, limit=lambda: limit))


def streamed(function: Callable[[_A], _B], arguments: Iterable[_A], *, limit: Callable[[], int]) -> Iterator[_B]:
    """``function`` of each argument, in order, as they are asked for, with at most ``limit`` calls at once.

    ``limit`` is asked before each call, and what it says first is the most that it may ever say. ``arguments`` are
    drawn in this thread, at most twice as far ahead of what has been yielded. What has not started when a call fails,
    when the caller stops asking, or at Ctrl-C, is not started; what has is waited for.
    """
    left = iter(arguments)
    most = limit()
    head = list(islice(left, 2)) if most > 1 else []
    if len(head) < 2:
        yield from map(function, chain(head, left))
        return
    from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(most, thread_name_prefix="dynastash") as pool:
        waiting: deque[Future[_B]] = deque()
        under_way: set[Future[_B]] = set()
        left = chain(head, left)
        try:
            while True:
                under_way = {future for future in under_way if not future.done()}
                room = min(limit() - len(under_way), 2 * most - len(waiting))
                for argument in islice(left, max(0, room)):
                    future = pool.submit(function, argument)
                    waiting.append(future)
                    under_way.add(future)
                if not waiting:
                    return
                if waiting[0].done() or len(waiting) >= 2 * most:
                    yield waiting.popleft().result()
                elif under_way:
                    wait(under_way, return_when=FIRST_COMPLETED)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
