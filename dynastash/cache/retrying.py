"""Calling once more with the new value, where the kept one is refused by what it is for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from dynastash.backoff import Backoff
from dynastash.clock import Clock
from dynastash.errors import InvalidArgumentError
from dynastash.models import Secret

if TYPE_CHECKING:
    from dynastash.cache.caching import CachingStash

Errors = type[BaseException] | tuple[type[BaseException], ...]
"""What an ``except`` clause takes."""

_R = TypeVar("_R")


def retrying(
    cache: CachingStash, errors: Errors, name: str, *, into: str | None, patience: float, clock: Clock
) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """The decorator behind :meth:`CachingStash.retry_on`."""

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        if inspect.iscoroutinefunction(function):
            raise InvalidArgumentError(
                "a coroutine function would wait for the secret in the event loop",
                hint="decorate it with retry_on of an AsyncStash",
            )

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            secret = cache.get(name)
            try:
                return function(*given(secret, into, args), **keywords(secret, into, kwargs))
            except errors:
                newer = _newer(cache, secret, Backoff(clock, patience))
                if newer is None:
                    raise
            return function(*given(newer, into, args), **keywords(newer, into, kwargs))

        return call

    return decorate


def _newer(cache: CachingStash, refused: Secret, backoff: Backoff) -> Secret | None:
    """A newer version than the one that was refused, or None where none comes within the patience."""
    while True:
        cache.invalidate(refused.name, version=refused.number)
        found = cache.get(refused.name)
        if found.number > refused.number:
            return found
        if not backoff.pause():
            return None


def given(secret: Secret, into: str | None, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The positional arguments, with ``secret`` before them unless it is a keyword's."""
    return args if into is not None else (secret, *args)


def keywords(secret: Secret, into: str | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments, with ``secret`` among them where it is the keyword ``into``'s."""
    return kwargs if into is None else {**kwargs, into: secret}
