"""What every store and every key provider must do, as tests to inherit from.

A third party's store proves itself with::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

Each test takes a fresh ``store`` fixture (or ``keys``) and expects nothing of it but emptiness.
:class:`ConcurrentStoreContract` is apart, for engines that cannot isolate transactions.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from dynastash.crypto.transcript import transcript
from dynastash.errors import ConflictError, ContextMismatchError, KeyProviderError, UntrustedKeyError
from dynastash.keys.base import KeyProvider
from dynastash.models import AttributeValue, Context, Item, WrappedKey, namespace_of
from dynastash.stores.base import Change, HeadMark, RecordKey, Store


def head_item(name: str, *, last: int = 1, revision: int = 1, **more: AttributeValue) -> Item:
    """A head as far as a store looks at it."""
    return {
        "name": {"S": name},
        "record": {"S": "~head"},
        "namespace": {"S": namespace_of(name)},
        "last": {"N": str(last)},
        "revision": {"N": str(revision)},
        **more,
    }


def version_item(name: str, number: int, **more: AttributeValue) -> Item:
    """A version record as far as a store looks at it, told from others by its random ``id``."""
    return {
        "name": {"S": name},
        "record": {"S": f"v#{number:010d}"},
        "version": {"N": str(number)},
        "id": {"B": secrets.token_bytes(16)},
        "wrapped_key": {"B": b"wrapped"},
        "key_id": {"S": "key"},
        "mac": {"B": b"mac"},
        "ciphertext": {"B": b"sealed"},
        **more,
    }


def same(one: Item, other: Item) -> bool:
    """Whether two items are equal for DynamoDB: the order of sets does not matter, everything else does."""
    return transcript(b"", "", one) == transcript(b"", "", other)


def first(name: str, **more: AttributeValue) -> Change:
    """The change that creates a secret."""
    return Change(head=head_item(name), expected=None, create=[version_item(name, 1, **more)])


def following(name: str, last: int, revision: int) -> Change:
    """The change that adds version ``last + 1`` to a secret that is at ``last`` and ``revision``."""
    return Change(
        head=head_item(name, last=last + 1, revision=revision + 1),
        expected=HeadMark(last, revision),
        create=[version_item(name, last + 1)],
    )


def _head_key(name: str) -> RecordKey:
    return RecordKey(name, "~head")


def _version_key(name: str, number: int) -> RecordKey:
    return RecordKey(name, f"v#{number:010d}")


class StoreContract:
    """The sequential part: what one caller may rely on."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("give a fixture named store")

    def test_an_empty_store_has_nothing(self, store: Store) -> None:
        """Reads of an unknown name answer with nothing; none of them fails."""
        assert list(store.newest("a")) == []
        assert dict(store.fetch([_head_key("a"), _version_key("a", 1)])) == {}
        assert dict(store.fetch([])) == {}
        assert list(store.heads()) == []
        assert list(store.history("a")) == []

    def test_it_says_where_it_is(self, store: Store) -> None:
        """The description is for people: one line, not empty."""
        assert store.description.strip()
        assert "\n" not in store.description

    def test_items_come_back_as_they_went_in(self, store: Store) -> None:
        """Every type of attribute, nested too, and binary of every byte."""
        attributes: Mapping[str, AttributeValue] = {
            "text": {"S": "Grüße, 世界 \x00 \U0001f511"},
            "empty": {"S": ""},
            "integer": {"N": "-12345678901234567890"},
            "binary": {"B": bytes(range(256)) * 8},
            "no_bytes": {"B": b""},
            "yes": {"BOOL": True},
            "no": {"BOOL": False},
            "nothing": {"NULL": True},
            "numbers": {"NS": ["1", "22", "-3"]},
            "strings": {"SS": ["b", "a", "ü"]},
            "map": {"M": {"B": {"B": b"\xff"}, "base64": {"S": "x"}, "deep": {"M": {"list": {"L": [{"N": "0"}]}}}}},
            "empty_map": {"M": {}},
            "list": {"L": [{"S": "x"}, {"B": b"y"}, {"L": []}, {"M": {}}]},
        }
        change = first("app/all-types", **attributes)
        store.commit(change)
        key = _version_key("app/all-types", 1)
        assert same(store.fetch([key])[key], change.create[0])
        assert same(store.newest("app/all-types")[1], change.create[0])
        assert same(store.newest("app/all-types")[0], change.head)

    def test_newest_is_the_head_and_the_highest_version(self, store: Store) -> None:
        """Also beyond nine versions, where text would sort 10 before 9."""
        store.commit(first("n"))
        for last in range(1, 11):
            store.commit(following("n", last, last))
        found = [item["record"]["S"] for item in store.newest("n")]
        assert found == ["~head", "v#0000000011"]

    def test_fetch_takes_many_keys_and_leaves_out_the_missing(self, store: Store) -> None:
        """More keys than any batch holds, some twice, some of nobody."""
        names = [f"bulk/{number:03d}" for number in range(130)]
        for name in names:
            store.commit(first(name))
        wanted = [_head_key(name) for name in names] + [_version_key(name, 1) for name in names]
        found = store.fetch([*wanted, *wanted[:5], _version_key("bulk/000", 2), _head_key("nobody")])
        assert set(found) == set(wanted)
        assert all((item["name"]["S"], item["record"]["S"]) == tuple(key) for key, item in found.items())

    def test_heads_are_found_by_prefix_in_order(self, store: Store) -> None:
        """A prefix is a plain string: it may end within a segment. Only heads come, each once."""
        names = ["app", "app/a", "app/b/c", "app1/x", "apple", "b", "Z", "app/B"]
        for name in names:
            store.commit(first(name))
        store.commit(following("app/a", 1, 1))

        def listed(prefix: str) -> list[str]:
            items = list(store.heads(prefix))
            assert all(item["record"] == {"S": "~head"} for item in items)
            return [str(item["name"]["S"]) for item in items]

        assert listed("") == sorted(names)
        assert listed("app/") == ["app/B", "app/a", "app/b/c"]
        assert listed("app") == sorted(name for name in names if name.startswith("app"))
        assert listed("app/b/") == ["app/b/c"]
        assert listed("nobody/") == []

    def test_heads_are_whole(self, store: Store) -> None:
        """A listing shows the head itself, not a part of it."""
        change = Change(
            head=head_item("a/b", tags={"M": {"team": {"S": "x"}}}, seal={"B": b"s" * 64}),
            expected=None,
            create=[version_item("a/b", 1)],
        )
        store.commit(change)
        assert same(next(iter(store.heads("a/"))), change.head)

    def test_history_is_every_version_oldest_first(self, store: Store) -> None:
        """Public attributes at least; the head is not among them, nor another secret's version."""
        store.commit(first("h", comment={"S": "one"}))
        for last in range(1, 12):
            store.commit(following("h", last, last))
        store.commit(first("h/other"))
        found = list(store.history("h"))
        assert [item["version"]["N"] for item in found] == [str(number) for number in range(1, 13)]
        assert found[0]["comment"] == {"S": "one"}

    def test_a_scan_is_everything_secret_by_secret(self, store: Store) -> None:
        """Heads and versions, whole, each once; one secret's items stand together, the head last."""
        for name in ("s/b", "s/a", "other"):
            store.commit(first(name))
            for last in range(1, 4):
                store.commit(following(name, last, last))
        found = [(str(item["name"]["S"]), str(item["record"]["S"])) for item in store.scan()]
        names = list(dict.fromkeys(name for name, _ in found))
        assert sorted(names) == ["other", "s/a", "s/b"]
        keys = [*(f"v#{number:010d}" for number in range(1, 5)), "~head"]
        assert found == [(name, key) for name in names for key in keys]
        assert all("ciphertext" in item or item["record"] == {"S": "~head"} for item in store.scan())

    def test_a_secret_is_created_once(self, store: Store) -> None:
        """A second creation finds the head there, and leaves no trace."""
        store.commit(first("once"))
        before = store.newest("once")
        with pytest.raises(ConflictError):
            store.commit(first("once"))
        assert all(map(same, store.newest("once"), before))

    @pytest.mark.parametrize("mark", [HeadMark(2, 1), HeadMark(1, 2), HeadMark(2, 2)])
    def test_a_stale_head_is_not_replaced(self, store: Store, mark: HeadMark) -> None:
        """Neither ``last`` nor ``revision`` may differ from what the caller read."""
        store.commit(first("stale"))
        before = store.newest("stale")
        change = following("stale", 1, 1)
        with pytest.raises(ConflictError):
            store.commit(replace(change, expected=mark))
        assert all(map(same, store.newest("stale"), before))

    def test_a_head_that_is_not_there_is_not_replaced(self, store: Store) -> None:
        """Expecting a head is not the same as expecting none."""
        with pytest.raises(ConflictError):
            store.commit(following("absent", 1, 1))
        assert list(store.newest("absent")) == []

    def test_a_version_is_written_once(self, store: Store) -> None:
        """A commit that would overwrite a version fails as a whole: the head stays as it was."""
        store.commit(first("v"))
        change = Change(head=head_item("v", last=1, revision=2), expected=HeadMark(1, 1), create=[version_item("v", 1)])
        before = store.newest("v")
        with pytest.raises(ConflictError):
            store.commit(change)
        assert all(map(same, store.newest("v"), before))

    def test_a_head_alone_can_change(self, store: Store) -> None:
        """Promote, abort and delete write no version."""
        store.commit(first("alone"))
        store.commit(Change(head=head_item("alone", revision=2, state={"S": "deleted"}), expected=HeadMark(1, 1)))
        assert store.newest("alone")[0]["state"] == {"S": "deleted"}

    def test_tombstones_and_deletions_go_with_the_head(self, store: Store) -> None:
        """Destroying and pruning: the replaced record is the tombstone and nothing else; the deleted one is gone."""
        store.commit(first("t"))
        store.commit(following("t", 1, 1))
        store.commit(following("t", 2, 2))
        tombstone: Item = {
            "name": {"S": "t"},
            "record": {"S": "v#0000000002"},
            "version": {"N": "2"},
            "destroyed_at": {"N": "1"},
        }
        store.commit(
            Change(
                head=head_item("t", last=3, revision=4),
                expected=HeadMark(3, 3),
                tombstones=[tombstone],
                delete=[_version_key("t", 1)],
            )
        )
        found = store.fetch([_version_key("t", number) for number in (1, 2, 3)])
        assert set(found) == {_version_key("t", 2), _version_key("t", 3)}
        assert same(found[_version_key("t", 2)], tombstone)

    @pytest.mark.parametrize("part", ["tombstones", "delete"])
    def test_what_is_not_there_is_not_destroyed(self, store: Store, part: str) -> None:
        """Replacing or deleting a missing version fails as a whole."""
        store.commit(first("m"))
        marks = {"head": head_item("m", revision=2), "expected": HeadMark(1, 1)}
        missing: dict[str, Any] = {"tombstones": [version_item("m", 7)], "delete": [_version_key("m", 7)]}
        change = Change(**marks, **{part: missing[part]})  # type: ignore[arg-type]
        with pytest.raises(ConflictError):
            store.commit(change)
        assert store.newest("m")[0]["revision"] == {"N": "1"}

    def test_a_key_is_replaced_in_place(self, store: Store) -> None:
        """Rewrap changes three attributes and no other."""
        change = first("k", comment={"S": "kept"})
        store.commit(change)
        store.replace_key(change.create[0], WrappedKey(b"other", "other key"), 1234)
        expected: Item = {
            **change.create[0],
            "wrapped_key": {"B": b"other"},
            "key_id": {"S": "other key"},
            "rewrapped_at": {"N": "1234"},
        }
        assert same(store.newest("k")[1], expected)

    @pytest.mark.parametrize("part", ["wrapped_key", "mac"])
    def test_a_key_is_not_replaced_in_a_record_that_changed(self, store: Store, part: str) -> None:
        """Somebody else's rewrap, or another record in the place, wins."""
        change = first("k")
        store.commit(change)
        with pytest.raises(ConflictError):
            store.replace_key({**change.create[0], part: {"B": b"else"}}, WrappedKey(b"other", "other key"), 1)
        assert same(store.newest("k")[1], change.create[0])

    def test_a_key_is_not_replaced_in_a_record_that_is_gone(self, store: Store) -> None:
        """No record comes into being by a rewrap."""
        with pytest.raises(ConflictError):
            store.replace_key(version_item("gone", 1), WrappedKey(b"other", "other key"), 1)
        assert dict(store.fetch([_version_key("gone", 1)])) == {}

    def test_a_record_of_320_kib_fits(self, store: Store) -> None:
        """The largest version record that the format can give."""
        large = {"B": secrets.token_bytes(336 * 1024)}
        change = first("large", ciphertext=large)
        store.commit(change)
        assert store.newest("large")[1]["ciphertext"] == large


class ConcurrentStoreContract:
    """The concurrent part: what racing callers may rely on. Each test also gets ``reopen``."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("give a fixture named store")

    @pytest.fixture
    def reopen(self, store: Store) -> Callable[[], Store]:
        """Makes another client of the same store; the same object where that is what callers share."""
        return lambda: store

    def test_of_racing_creations_one_wins(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Twelve callers, one head and one version, by the same caller."""
        outcomes = _race(12, lambda: first("race"), reopen)
        assert sorted(outcomes.values()) == [False] * 11 + [True]
        (winner,) = [change for change, won in outcomes.items() if won]
        assert same(store.newest("race")[1], winner.change.create[0])

    def test_of_racing_updates_one_wins(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Twelve callers that read the same head."""
        store.commit(first("race"))
        outcomes = _race(12, lambda: following("race", 1, 1), reopen)
        assert sorted(outcomes.values()) == [False] * 11 + [True]
        (winner,) = [change for change, won in outcomes.items() if won]
        assert same(store.newest("race")[1], winner.change.create[0])
        assert len(list(store.history("race"))) == 2

    def test_readers_see_whole_commits(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Head and newest version never disagree for longer than a moment, and versions never go back."""
        store.commit(first("seen"))
        done = threading.Event()

        def read() -> list[int]:
            client, seen = reopen(), []
            while not done.is_set():
                head, newest = client.newest("seen")
                assert int(newest["version"]["N"]) <= int(head["last"]["N"]) + 1
                seen.append(int(head["last"]["N"]))
            return seen

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                for last in range(1, 21):
                    store.commit(following("seen", last, last))
            finally:
                done.set()
            for reader in readers:
                assert reader.result() == sorted(reader.result())


class _Attempt:
    """A change with an identity of its own, so that outcomes can be counted by it."""

    def __init__(self, change: Change) -> None:
        self.change = change


def _race(count: int, make: Callable[[], Change], reopen: Callable[[], Store]) -> dict[_Attempt, bool]:
    barrier = threading.Barrier(count)

    def run(attempt: _Attempt) -> bool:
        client = reopen()
        barrier.wait()
        try:
            client.commit(attempt.change)
        except ConflictError:
            return False
        return True

    attempts = [_Attempt(make()) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return dict(zip(attempts, pool.map(run, attempts), strict=True))


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
            with pytest.raises((ContextMismatchError, UntrustedKeyError, KeyProviderError)):
                keys.unwrap(WrappedKey(altered, wrapped.key_id), self.context)
