"""The stash for asyncio: every operation as a coroutine, carried out in threads of its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast, overload

from dynastash.backoff import Backoff
from dynastash.cache.asking import Asking
from dynastash.cache.caching import PATIENCE, CachingStash
from dynastash.cache.flights import Flight
from dynastash.cache.retrying import Errors, given, keywords
from dynastash.clock import SystemClock
from dynastash.errors import InvalidArgumentError
from dynastash.models import Secret, check_name, check_version
from dynastash.references import Reference
from dynastash.stash.api import Stash

THREADS: Final = 16

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _awaited(
    method: Callable[Concatenate[Stash, _P], _R],
) -> Callable[Concatenate[AsyncStash, _P], Coroutine[Any, Any, _R]]:
    """The stash's own method, in a thread."""

    @wraps(method)
    async def call(self: AsyncStash, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        same: Callable[_P, _R] = getattr(self._inner, method.__name__)
        return await self._in_thread(partial(same, *args, **kwargs))

    return call


def _streamed(
    method: Callable[Concatenate[Stash, _P], Iterator[_R]],
) -> Callable[Concatenate[AsyncStash, _P], AsyncIterator[_R]]:
    """The stash's own generator, each step of it in a thread."""

    @wraps(method)
    async def stream(self: AsyncStash, /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[_R]:
        same: Callable[_P, Iterator[_R]] = getattr(self._inner, method.__name__)
        results = await self._in_thread(partial(same, *args, **kwargs))
        end = object()
        while (result := await self._in_thread(partial(next, results, end))) is not end:
            yield cast("_R", result)

    return stream


class AsyncStash:
    """``stash``, a :class:`Stash` or a :class:`CachingStash`, for coroutines. Never blocks the event loop.

    At most ``threads`` operations are carried out at once, the others wait for their turn. On a :class:`CachingStash`
    a value that is kept is given without a thread, and any number of tasks that ask for the same thing at once wait
    for one reading and take up one thread.

    Cancelling a task ends its waiting. An operation that has not begun then does not begin; one that has goes on to
    its end in its thread, as a request that was sent cannot be called back: a cancelled ``put`` may have stored its
    value. A reading that others wait for goes on for them.

    Use it as ``async with AsyncStash(stash) as secrets:``, or await :meth:`close` at the end. One object serves
    several event loops; make it after a fork, not before.
    """

    def __init__(self, stash: Stash | CachingStash, *, threads: int = THREADS) -> None:
        if threads < 1:
            raise InvalidArgumentError("an AsyncStash needs a thread", hint="give 1 or more")
        self._inner = stash
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="dynastash-async")

    def __repr__(self) -> str:
        return f"<AsyncStash on {self._inner!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more calls, and wait for those that were made."""
        await asyncio.to_thread(self._pool.shutdown)

    @property
    def stash(self) -> Stash:
        """The stash behind it, whose methods block."""
        return self._inner.stash if isinstance(self._inner, CachingStash) else self._inner

    async def get(
        self, name: str, *, version: int | None = None, stage: str | None = None, min_version: int | None = None
    ) -> Secret:
        """As :meth:`Stash.get`, or :meth:`CachingStash.get`."""
        if isinstance(self._inner, CachingStash):
            return await self._carry_out(self._inner.asking(name, version, stage, min_version))
        get = partial(self._inner.get, name, version=version, stage=stage, min_version=min_version)
        return await self._in_thread(get)

    async def get_many(self, names: Iterable[str] | None = None, *, prefix: str | None = None) -> dict[str, Secret]:
        """As :meth:`Stash.get_many`, or :meth:`CachingStash.get_many`."""
        if isinstance(self._inner, CachingStash):
            return await self._carry_out(self._inner.asking_many(names, prefix))
        return await self._in_thread(partial(self._inner.get_many, names, prefix=prefix))

    async def resolve(self, references: Iterable[str | Reference]) -> dict[Reference, Secret]:
        """As :meth:`Stash.resolve`, or :meth:`CachingStash.resolve`."""
        if isinstance(self._inner, CachingStash):
            return await self._carry_out(self._inner.asking_references(references))
        return await self._in_thread(partial(self._inner.resolve, references))

    put = _awaited(Stash.put)
    generate = _awaited(Stash.generate)
    locate = _awaited(Stash.locate)
    list = _awaited(Stash.list)
    history = _awaited(Stash.history)
    rollback = _awaited(Stash.rollback)
    policy = _awaited(Stash.policy)
    rotate = _awaited(Stash.rotate)
    resume = _awaited(Stash.resume)
    abort = _awaited(Stash.abort)
    delete = _awaited(Stash.delete)
    undelete = _awaited(Stash.undelete)
    destroy = _awaited(Stash.destroy)
    purge = _awaited(Stash.purge)
    prune = _awaited(Stash.prune)
    overdue = _awaited(Stash.overdue)
    advance = _awaited(Stash.advance)
    diff = _awaited(Stash.diff)
    rewrap = _streamed(Stash.rewrap)
    rewrap_many = _streamed(Stash.rewrap_many)
    verify = _streamed(Stash.verify)

    def invalidate(self, name: str, *, version: int | None = None) -> None:
        """As :meth:`CachingStash.invalidate`; nothing to do where nothing is kept. Does not wait."""
        if isinstance(self._inner, CachingStash):
            self._inner.invalidate(name, version=version)
        else:
            check_name(name)
            if version is not None:
                check_version(version)

    @overload
    def retry_on(
        self, errors: Errors, name: str, *, patience: float = PATIENCE
    ) -> Callable[[Callable[Concatenate[Secret, _P], Awaitable[_R]]], Callable[_P, Coroutine[Any, Any, _R]]]: ...

    @overload
    def retry_on(
        self, errors: Errors, name: str, *, into: str, patience: float = PATIENCE
    ) -> Callable[[Callable[..., Awaitable[_R]]], Callable[..., Coroutine[Any, Any, _R]]]: ...

    def retry_on(
        self, errors: Errors, name: str, *, into: str | None = None, patience: float = PATIENCE
    ) -> Callable[[Callable[..., Awaitable[_R]]], Callable[..., Coroutine[Any, Any, _R]]]:
        """As :meth:`CachingStash.retry_on`, for coroutine functions."""
        check_name(name)

        def decorate(function: Callable[..., Awaitable[_R]]) -> Callable[..., Coroutine[Any, Any, _R]]:
            if not inspect.iscoroutinefunction(function):
                raise InvalidArgumentError(
                    "retry_on of an AsyncStash is for coroutine functions",
                    hint="write `async def`, or use retry_on of a CachingStash",
                )

            @wraps(function)
            async def call(*args: Any, **kwargs: Any) -> _R:
                secret = await self.get(name)
                try:
                    return await function(*given(secret, into, args), **keywords(secret, into, kwargs))
                except errors:
                    newer = await self._newer(secret, Backoff(SystemClock(), patience))
                    if newer is None:
                        raise
                return await function(*given(newer, into, args), **keywords(newer, into, kwargs))

            return call

        return decorate

    async def _newer(self, refused: Secret, backoff: Backoff) -> Secret | None:
        while True:
            self.invalidate(refused.name, version=refused.number)
            found = await self.get(refused.name)
            if found.number > refused.number:
                return found
            delay = backoff.delay()
            if delay is None:
                return None
            await asyncio.sleep(delay)

    async def _in_thread(self, call: Callable[[], _R]) -> _R:
        # A copy of the context, as asyncio.to_thread makes one: tracing follows the call.
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(call))

    async def _carry_out(self, asking: Asking[_R]) -> _R:
        """What a cache is asked, without waiting in this thread."""
        try:
            while True:
                try:
                    step = next(asking)
                except StopIteration as end:
                    answer: _R = end.value
                    return answer
                flown = None
                if step.fly is not None:
                    # Not by the loop, which would take it back if this task is cancelled while others wait for it.
                    flown = self._pool.submit(contextvars.copy_context().run, step.fly)
                    step.taken = True
                await _landing(step.flights, step.timeout)
                if flown is not None and step.urgent:
                    await asyncio.shield(asyncio.wrap_future(flown))  # raises what is no answer of the stash's
        finally:
            asking.close()


async def _landing(flights: Sequence[Flight], timeout: float | None) -> None:
    """Wait until all have landed, whatever they bring, or for ``timeout`` seconds."""
    loop = asyncio.get_running_loop()

    def release(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def waiting_for(flight: Flight) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = loop.create_future()

        def landed(_: object) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(release, waiter)

        flight.done.add_done_callback(landed)
        return waiter

    await asyncio.wait([waiting_for(flight) for flight in flights], timeout=timeout)
