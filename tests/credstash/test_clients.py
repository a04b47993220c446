"""Held against the real clients: what they write is read, and what is published they read."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dynastash.credstash.contexts import Contexts
from dynastash.credstash.reader import CredstashSource
from dynastash.credstash.versions import padded
from dynastash.errors import ContextMismatchError, IntegrityError
from dynastash.models import Plaintext
from tests.credstash import table
from tests.credstash.clients import credstash, credstash_command, node
from tests.credstash.kit import OldTable
from tests.engines.engine import REGION, Engine


def test_a_table_of_years(ministack: Engine) -> None:
    """200 secrets that the real credstash put, in every spelling: each is there with its values, in its order."""
    old = OldTable(ministack)
    versions = table.build(old)
    source = CredstashSource(old.table, old.keys(), table.contexts(versions))
    found = {history.key: history for history in source.read()}
    assert len(found) == 201
    expected = table.by_name(versions)
    assert list(found) == list(expected)
    for name, planned in expected.items():
        revisions = found[name].revisions
        planned = sorted(planned, key=lambda one: int(one.label) if one.label.isdigit() else 99)
        assert [revision.label for revision in revisions] == [one.label for one in planned]
        for revision, one in zip(revisions, planned, strict=True):
            assert (revision.problem is None) == one.readable, revision.problem
            if revision.value is not None:
                assert revision.value == Plaintext(one.value.encode())
                assert (revision.comment or "") == one.comment
    odd = {label: one.name for one in versions if (label := one.label) in ("9", "00000000000000rel-7", "9" * 19)}
    assert {history.served: name for name, history in found.items() if history.served} == {
        label: name for label, name in odd.items() if not label.endswith("rel-7")
    }
    assert [name for name, history in found.items() if history.notes] == [odd["00000000000000rel-7"]]
    assert max(map(len, expected.values())) == 12


@pytest.mark.parametrize("digest", ["SHA256", "SHA512"])
def test_nodecredstash_writes_what_is_read(ministack: Engine, digest: str) -> None:
    """Of its own, under contexts, in several versions."""
    old = OldTable(ministack)
    put = [
        {"name": "a", "secret": "made-up é", "version": 1, "digest": digest, "context": {"env": "x"}},
        {"name": "a", "secret": "second", "version": 2, "digest": digest, "context": {"env": "x"}},
        {"name": "b", "secret": "x" * 5000, "version": 12, "digest": digest},
    ]
    read = node(ministack, "nodecredstash", old.name, [("b", None)], put=put, key=old.key)
    assert read == [("x" * 5000, None)]
    source = CredstashSource(old.table, old.keys(), Contexts({}, {"a": {"env": "x"}}))
    found = {
        (history.key, revision.label): (revision.value, revision.comment)
        for history in source.read()
        for revision in history.revisions
    }
    assert found == {
        ("a", padded(1)): (Plaintext("made-up é".encode()), None),
        ("a", padded(2)): (Plaintext(b"second"), None),
        ("b", padded(12)): (Plaintext(b"x" * 5000), None),
    }


def test_both_write_the_same_table(ministack: Engine, tmp_path: Path) -> None:
    """credstash goes on where dynastash stopped, and the other way round; each reads the other's."""
    old = OldTable(ministack)
    store = old.store()
    assert store.put("a", 1, Plaintext(b"ours")) == padded(1)
    common = ["-r", REGION, "-t", old.name]
    done = credstash_command(ministack, *common, "put", "a", "theirs", "-a", "-k", old.key, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "a has been stored\n"), done.stderr
    assert store.get("a").value == Plaintext(b"theirs")
    assert store.put_next("a", Plaintext(b"ours again"), comment="why") == padded(3)
    done = credstash_command(ministack, *common, "get", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "ours again\n"), done.stderr
    assert list(store.delete("a", 3)) == [padded(3)]
    results = credstash(ministack, [("getSecret", {"name": "a", "region": REGION, "table": old.name})])
    assert results == [("theirs", None)]
    assert store.put_next("a", Plaintext(b"x")) == padded(4)
    done = credstash_command(ministack, *common, "list", cwd=tmp_path)
    assert [line.split(" -- ")[1] for line in done.stdout.splitlines()] == [
        f"version {padded(version)}" for version in (1, 2, 4)
    ]


def test_what_credstash_accepts_and_dynastash_does_not(ministack: Engine) -> None:
    """One secret's item under another's name, and an old version as a new one: side by side."""
    old = OldTable(ministack)
    store = old.store()
    for name, version, value in (("admin", 1, b"root"), ("guest", 1, b"nobody"), ("guest", 2, b"somebody")):
        store.put(name, version, Plaintext(value))
    admin, guest, _ = old.items()
    old.put({**admin, "name": {"S": "guest"}, "version": {"S": padded(3)}})
    old.put({**guest, "version": {"S": padded(4)}})
    common = {"region": REGION, "table": old.name, "name": "guest"}
    results = credstash(ministack, [("getSecret", {**common, "version": padded(version)}) for version in (3, 4)])
    assert results == [("root", None), ("nobody", None)]
    for version in (3, 4):
        with pytest.raises(IntegrityError, match="bound to another name, version or comment"):
            store.get("guest", version)


def test_an_altered_key_is_not_said_to_be_a_wrong_context(moto: Engine) -> None:
    """Alone: both have the same answer from KMS, so both are named."""
    old = OldTable(moto)
    old.add("a", padded(1), b"x", {"env": "prod"})
    (item,) = old.items()
    blob = bytearray(base64.b64decode(item["key"]["S"]))
    blob[-1] ^= 1
    old.put({**item, "key": {"S": base64.b64encode(blob).decode()}})
    for context in ({"env": "prod"}, {}):
        with pytest.raises(ContextMismatchError, match="does not open: it was put with another context, or altered"):
            old.store().get("a", context=context)
