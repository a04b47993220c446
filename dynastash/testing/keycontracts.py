"""A key provider's contract. :mod:`dynastash.testing.contracts` is where to import it from."""

from __future__ import annotations

import pytest

from dynastash.errors import ContextMismatchError, KeyProviderError
from dynastash.keys.base import KeyProvider
from dynastash.models import Context, WrappedKey


class KeyProviderContract:
    """What every key provider must do."""

    context = Context("prod", "app1/db/password", 3, {"team": "payments"})

    @pytest.fixture
    def keys(self) -> KeyProvider:
        """A provider that can mint and open."""
        raise NotImplementedError("give a fixture named keys")

    def test_it_says_what_it_is(self, keys: KeyProvider) -> None:
        """The description is for people; at least one call can be in flight."""
        assert keys.description.strip()
        assert keys.concurrency >= 1

    def test_a_wrapped_key_opens_to_the_same_data_key(self, keys: KeyProvider) -> None:
        """generate and unwrap agree, and the wrapped key names its key-encryption key."""
        data_key, wrapped = keys.generate(self.context)
        assert keys.unwrap(wrapped, self.context) == data_key
        assert wrapped.key_id
        assert 1 <= len(wrapped.blob) <= 6144

    def test_every_data_key_is_new(self, keys: KeyProvider) -> None:
        """No two versions share a key, not even with the same context."""
        made = [keys.generate(self.context) for _ in range(4)]
        assert len({data_key.expose() for data_key, _ in made}) == 4
        assert len({wrapped.blob for _, wrapped in made}) == 4

    @pytest.mark.parametrize(
        "other",
        [
            Context("dev", "app1/db/password", 3, {"team": "payments"}),
            Context("prod", "app1/db/passwor", 3, {"team": "payments"}),
            Context("prod", "app1/db/password", 4, {"team": "payments"}),
            Context("prod", "app1/db/password", 3, {}),
            Context("prod", "app1/db/password", 3, {"team": "payment"}),
            Context("prod", "app1/db/password", 3, {"team": "payments", "more": "x"}),
        ],
        ids=["environment", "name", "version", "pair dropped", "pair changed", "pair added"],
    )
    def test_another_context_does_not_open_it(self, keys: KeyProvider, other: Context) -> None:
        """Every pair of the encryption context is authenticated."""
        _, wrapped = keys.generate(self.context)
        with pytest.raises(ContextMismatchError):
            keys.unwrap(wrapped, other)

    def test_the_key_id_decides_nothing(self, keys: KeyProvider) -> None:
        """A record may claim any key: only the provider's own keys are used."""
        data_key, wrapped = keys.generate(self.context)
        assert keys.unwrap(WrappedKey(wrapped.blob, "somebody else's"), self.context) == data_key

    def test_rewrap_keeps_the_data_key(self, keys: KeyProvider) -> None:
        """The same key in a new wrapping, bound to the same context."""
        data_key, wrapped = keys.generate(self.context)
        again = keys.rewrap(wrapped, self.context)
        assert again.blob != wrapped.blob
        assert keys.unwrap(again, self.context) == data_key

    def test_many_are_unwrapped_in_order(self, keys: KeyProvider) -> None:
        """More than are in flight at once; a failure stands in its place, and nothing where nothing was asked for."""
        contexts = [Context("prod", "app1/many", number) for number in range(1, 71)]
        made = [keys.generate(context) for context in contexts]
        other = Context("prod", "app1/other", 1)
        wanted: list[tuple[WrappedKey, Context] | None] = [
            (wrapped, context) for (_, wrapped), context in zip(made, contexts, strict=True)
        ]
        found = list(keys.unwrap_many([*wanted, None, (made[0][1], other), wanted[0]]))
        assert found[:70] == [data_key for data_key, _ in made]
        assert found[70] is None
        assert isinstance(found[71], ContextMismatchError)
        assert found[72] == made[0][0]
        assert list(keys.unwrap_many([])) == []

    def test_many_are_rewrapped_in_order(self, keys: KeyProvider) -> None:
        """Likewise."""
        contexts = [Context("prod", "app1/many", number) for number in range(1, 4)]
        made = [keys.generate(context) for context in contexts]
        wanted = [(wrapped, context) for (_, wrapped), context in zip(made, contexts, strict=True)]
        again = list(keys.rewrap_many([*wanted, None]))
        assert again[3] is None
        for (data_key, _), context, wrapped in zip(made, contexts, again, strict=False):
            assert isinstance(wrapped, WrappedKey)
            assert keys.unwrap(wrapped, context) == data_key


class TamperProofKeyProviderContract:
    """Apart from the rest for emulators that accept altered blobs."""

    context = KeyProviderContract.context

    @pytest.fixture
    def keys(self) -> KeyProvider:
        """A provider that can mint and open."""
        raise NotImplementedError("give a fixture named keys")

    def test_an_altered_wrapped_key_does_not_open(self, keys: KeyProvider) -> None:
        """A flipped bit at either end or in the middle, a byte less, a byte more, nothing, junk."""
        _, wrapped = keys.generate(self.context)
        blob = wrapped.blob
        flipped = [
            blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :] for place in (0, len(blob) // 2, len(blob) - 1)
        ]
        for altered in [*flipped, blob[:-1], blob + b"\x00", b"\x00", b"junk" * 20]:
            with pytest.raises(KeyProviderError):
                keys.unwrap(WrappedKey(altered, wrapped.key_id), self.context)
