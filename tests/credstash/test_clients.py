"""Held against the real clients: what they write is read, and what is published they read."""

from __future__ import annotations

from dynastash.credstash.reader import CredstashSource
from dynastash.models import Plaintext
from tests.credstash import table
from tests.credstash.kit import OldTable
from tests.engines.engine import Engine


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
