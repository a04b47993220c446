"""What a key provider is: it mints, opens and re-wraps data keys, and never sees a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from dynastash import parallel
from dynastash.errors import KeyProviderError
from dynastash.models import Context, DataKey, WrappedKey

_T = TypeVar("_T")

KeyRequest = tuple[WrappedKey, Context]
"""A wrapped key, and what it is bound to."""


class KeyProvider(Protocol):
    """Mints and opens data keys under a key-encryption key that never leaves the provider.

    ``dynastash.testing.contracts.KeyProviderContract`` is this protocol as tests. Every failure is a
    :class:`~dynastash.errors.KeyProviderError`. Implementations are safe to use from several threads. Those that
    inherit from this class get ``unwrap_many`` and ``rewrap_many`` by ``concurrency`` threads.
    """

    @property
    def description(self) -> str:
        """The key-encryption key in a few words, for messages."""
        ...

    @property
    def concurrency(self) -> int:
        """How many calls are worth having in flight at once, now; 1 where a call does not wait for a network."""
        ...

    def generate(self, context: Context) -> tuple[DataKey, WrappedKey]:
        """A new random data key, in the clear and wrapped, bound to ``context``."""
        ...

    def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
        """The data key in ``wrapped``.

        Raises :class:`~dynastash.errors.ContextMismatchError` where it was wrapped under another context or altered,
        and :class:`~dynastash.errors.UntrustedKeyError` where the key-encryption key is a stranger's.
        ``wrapped.key_id`` may serve a message and nothing else.
        """
        ...

    def rewrap(self, wrapped: WrappedKey, context: Context) -> WrappedKey:
        """The same data key under the key that new ones are wrapped under; the plaintext stays with the provider."""
        ...

    def prepare(self) -> None:
        """Data keys are about to be unwrapped: what can be got ready in the background may be. Must not fail."""
        return

    def unwrap_many(self, wanted: Iterable[KeyRequest | None]) -> Iterator[DataKey | KeyProviderError | None]:
        """:meth:`unwrap` of each of ``wanted``, in order, several at once; None stands for None.

        A failure is yielded in the place of its key. ``wanted`` is drawn no further ahead than keeps the provider busy.
        """
        return _many(self.unwrap, wanted, lambda: self.concurrency)

    def rewrap_many(self, wanted: Iterable[KeyRequest | None]) -> Iterator[WrappedKey | KeyProviderError | None]:
        """:meth:`rewrap` likewise."""
        return _many(self.rewrap, wanted, lambda: self.concurrency)


def _many(
    one: Callable[[WrappedKey, Context], _T], wanted: Iterable[KeyRequest | None], limit: Callable[[], int]
) -> Iterator[_T | KeyProviderError | None]:
    def attempt(request: KeyRequest | None) -> _T | KeyProviderError | None:
        try:
            return None if request is None else one(*request)
        except KeyProviderError as error:
            return error

    return parallel.streamed(attempt, wanted, limit=limit)
