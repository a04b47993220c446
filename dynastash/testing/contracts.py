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
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dynastash.errors import ConflictError
from dynastash.models import AttributeValue, Item, WrappedKey
from dynastash.stores.base import Change, HeadMark, Store
from dynastash.testing.concurrency import ConcurrentStoreContract
from dynastash.testing.items import first, following, head_item, head_key, same, version_item, version_key
from dynastash.testing.keycontracts import KeyProviderContract, TamperProofKeyProviderContract

__all__ = [
    "ConcurrentStoreContract",
    "KeyProviderContract",
    "StoreContract",
    "TamperProofKeyProviderContract",
    "first",
    "following",
    "head_item",
    "same",
    "version_item",
]


class StoreContract:
    """The sequential part: what one caller may rely on."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("give a fixture named store")

    def test_an_empty_store_has_nothing(self, store: Store) -> None:
        """Reads of an unknown name answer with nothing; none of them fails."""
        assert list(store.newest("a")) == []
        assert dict(store.fetch([head_key("a"), version_key("a", 1)])) == {}
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
        key = version_key("app/all-types", 1)
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
        wanted = [head_key(name) for name in names] + [version_key(name, 1) for name in names]
        found = store.fetch([*wanted, *wanted[:5], version_key("bulk/000", 2), head_key("nobody")])
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

    def test_a_prefix_is_no_pattern(self, store: Store) -> None:
        """What means something in a query or an expression is a character like any other."""
        for name in ("a_b", "axb", "a.b", "a+b", "A_b", "a_b/c"):
            store.commit(first(name))
        assert [item["name"]["S"] for item in store.heads("a_b")] == ["a_b", "a_b/c"]
        assert [item["name"]["S"] for item in store.heads("a.")] == ["a.b"]

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
                delete=[version_key("t", 1)],
            )
        )
        found = store.fetch([version_key("t", number) for number in (1, 2, 3)])
        assert set(found) == {version_key("t", 2), version_key("t", 3)}
        assert same(found[version_key("t", 2)], tombstone)

    def test_a_change_of_the_largest_size_is_one(self, store: Store) -> None:
        """As many records as the store says, the head among them; of 100 at most, here."""
        assert store.transaction_size >= 2
        count = min(store.transaction_size, 100) - 1
        versions = [version_item("large", number) for number in range(1, count + 1)]
        store.commit(Change(head=head_item("large", last=count), expected=None, create=versions))
        assert len(list(store.history("large"))) == count
        erased = [version_key("large", number) for number in range(1, count + 1)]
        head = head_item("large", last=count, revision=2)
        store.commit(Change(head=head, expected=HeadMark(count, 1), delete=erased))
        assert list(store.history("large")) == []

    @pytest.mark.parametrize("part", ["tombstones", "delete"])
    def test_what_is_not_there_is_not_destroyed(self, store: Store, part: str) -> None:
        """Replacing or deleting a missing version fails as a whole."""
        store.commit(first("m"))
        marks = {"head": head_item("m", revision=2), "expected": HeadMark(1, 1)}
        missing: dict[str, Any] = {"tombstones": [version_item("m", 7)], "delete": [version_key("m", 7)]}
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
        assert dict(store.fetch([version_key("gone", 1)])) == {}

    def test_a_record_of_320_kib_fits(self, store: Store) -> None:
        """The largest version record that the format can give."""
        large = {"B": secrets.token_bytes(336 * 1024)}
        change = first("large", ciphertext=large)
        store.commit(change)
        assert store.newest("large")[1]["ciphertext"] == large
