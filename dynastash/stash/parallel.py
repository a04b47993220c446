"""Several waits at once: the only threads that the rules start, and none where there is nothing to wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


def both(one: Callable[[], _A], other: Callable[[], _B], *, limit: int) -> tuple[_A, _B]:
    """The results of two calls, side by side where ``limit`` is above 1. The first one's failure is raised first."""
    if limit < 2:
        return one(), other()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="dynastash") as pool:
        second = pool.submit(other)
        first = one()
        return first, second.result()


def each(function: Callable[[_A], _B], arguments: Iterable[_A], *, limit: int) -> list[_B]:
    """``function`` of each argument, in order, with at most ``limit`` calls at once.

    What has not started when a call fails, or at Ctrl-C, is not started.
    """
    wanted: Sequence[_A] = list(arguments)
    if limit < 2 or len(wanted) < 2:
        return [function(argument) for argument in wanted]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(limit, len(wanted)), thread_name_prefix="dynastash") as pool:
        futures = [pool.submit(function, argument) for argument in wanted]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
