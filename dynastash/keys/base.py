"""What a key provider is: it mints, opens and re-wraps data keys, and never sees a record."""

from __future__ import annotations

from typing import Protocol

from dynastash.models import Context, DataKey, WrappedKey


class KeyProvider(Protocol):
    """Mints and opens data keys under a key-encryption key that never leaves the provider.

    ``dynastash.testing.contracts.KeyProviderContract`` is this protocol as tests. Every failure is a
    :class:`~dynastash.errors.KeyProviderError`. Implementations are safe to use from several threads.
    """

    @property
    def description(self) -> str:
        """The key-encryption key in a few words, for messages."""
        ...

    @property
    def concurrency(self) -> int:
        """How many calls are worth having in flight at once; 1 where a call does not wait for a network."""
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
