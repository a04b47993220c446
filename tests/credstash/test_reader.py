"""A table as a source: everything in it is told, in credstash's order, at the price of one Scan and the Decrypts."""

from __future__ import annotations

import pytest

from dynastash.aws.base import Operation
from dynastash.credstash.binding import MARKS
from dynastash.credstash.contexts import Contexts
from dynastash.credstash.items import Label
from dynastash.credstash.reader import CredstashSource
from dynastash.credstash.versions import padded
from dynastash.models import Plaintext
from dynastash.places import History
from tests.credstash.kit import OldTable
from tests.engines.engine import Engine
from tests.engines.transports import CountingTransport


@pytest.fixture(params=["ministack", "moto", "direct"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each in turn, and ministack without the SDK."""
    if request.param == "direct":
        found: Engine = request.getfixturevalue("ministack").direct
    else:
        found = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def wire(engine: Engine) -> CountingTransport:
    """Counts."""
    return CountingTransport(engine.transport)


@pytest.fixture
def old(engine: Engine, wire: CountingTransport) -> OldTable:
    """An empty table."""
    return OldTable(engine, wire)


def values(history: History) -> dict[str, bytes | str]:
    """What each revision holds, or why it does not, by label."""
    return {
        revision.label: revision.value.expose() if revision.value is not None else str(revision.problem)
        for revision in history.revisions
    }


def read(old: OldTable, contexts: Contexts | None = None, **options: int) -> dict[str, History]:
    """All histories by name."""
    return {history.key: history for history in CredstashSource(old.table, old.keys(), contexts, **options).read()}


def test_every_version_in_order(old: OldTable, wire: CountingTransport) -> None:
    """With its comment, and when unicreds wrote it."""
    for number in (2, 1, 10):
        old.add("b/x", padded(number), b"%d" % number, comment={"S": f"why {number}"}, created_at={"N": "1700000000"})
    old.add("a", padded(0), b"\x00\xff")
    old.add("é", padded(1), "ü".encode())
    found = read(old)
    assert list(found) == ["a", "b/x", "é"]
    assert list(values(found["b/x"]).items()) == [(padded(1), b"1"), (padded(2), b"2"), (padded(10), b"10")]
    assert found["b/x"].revisions[2].comment == "why 10"
    assert str(found["b/x"].revisions[0].created_at) == "2023-11-14 22:13:20+00:00"
    assert (found["a"].revisions[0].comment, found["a"].revisions[0].created_at) == (None, None)
    assert found["b/x"].notes == ()
    assert found["b/x"].problem is None
    assert wire.calls == {Operation.SCAN: 1, Operation.DECRYPT: 5}


def test_what_cannot_be_had_is_told(old: OldTable) -> None:
    """And everything else is there."""
    old.add("a", padded(1), b"one")
    old.add("a", padded(2), b"two", {"env": "prod"})
    old.add("a", padded(3), b"three", digest={"S": "WHIRLPOOL"})
    old.add("a", padded(4), b"four", hmac={"S": "00" * 32})
    old.put({"name": {"S": "a"}, "version": {"S": padded(5)}, "record": {"S": "foreign"}})
    found = values(read(old)["a"])
    assert found.pop(padded(1)) == b"one"
    starts = [
        "the key of version 0000000000000000002 of a does not open: it was put with another context, or altered",
        "version 0000000000000000003 of a: the digest WHIRLPOOL is not available on this machine",
        "version 0000000000000000004 of a: the contents fail authentication",
        "version 0000000000000000005 of a: it is no item of credstash's: it has no key and no contents and no hmac",
    ]
    for problem, start in zip(found.values(), starts, strict=True):
        assert str(problem).startswith(start)


def test_contexts(old: OldTable) -> None:
    """For all, for some names, for one version; the most exact one counts, alone."""
    old.add("a", padded(1), b"a1", {"env": "prod"})
    old.add("a", padded(2), b"a2", {"env": "prod", "app": "x"})
    old.add("db/x", padded(1), b"dbx", {"app": "db"})
    old.add("db/y", padded(1), b"dby")
    contexts = Contexts({"env": "prod"}, {"a@2": {"env": "prod", "app": "x"}, "db/*": {"app": "db"}, "db/y": {}})
    found = read(old, contexts)
    assert [values(history) for history in found.values()] == [
        {padded(1): b"a1", padded(2): b"a2"},
        {padded(1): b"dbx"},
        {padded(1): b"dby"},
    ]


@pytest.mark.parametrize(
    ("key", "chosen"),
    [("a@1", "1"), (f"a@{padded(1)}", "1"), ("a", "1"), ("a*", "1"), ("*", "1"), ("a@2", "0"), ("b*", "0"), ("", "0")],
)
def test_which_context_is_chosen(key: str, chosen: str) -> None:
    """Names are given exactly, with a version, or by their beginning."""
    contexts = Contexts({"x": "0"}, {key: {"x": "1"}})
    assert contexts.for_item(Label("a", padded(1))) == {"x": chosen}


def test_the_most_exact_context_wins() -> None:
    """Version before name before the longest beginning."""
    keys = ["app/x@1", "app/x", "app/*", "a*", "*"]
    for left in range(len(keys)):
        of = {key: {"chosen": key} for key in keys[left:]}
        assert Contexts({}, of).for_item(Label("app/x", padded(1))) == {"chosen": keys[left]}


def test_the_order(old: OldTable) -> None:
    """That of the numbers; where credstash serves another than the highest, the history says which."""
    for name, versions in {
        "legacy": ["9", "10", "8"],
        "mixed": [padded(1), "1", "2"],
        "word": [padded(1), padded("rel-7"), "~"],
        "long": ["9" * 19, "1" + "0" * 19],
        "inner": ["10", "2", "99"],
        "words first": ["!", "10", "9"],
        "plain": [padded(9), padded(10)],
    }.items():
        for version in versions:
            old.add(name, version, version.encode())
    found = read(old)
    assert {name: (list(values(history)), history.served) for name, history in found.items()} == {
        "legacy": (["8", "9", "10"], "9"),
        "mixed": ([padded(1), "1", "2"], None),
        "word": ([padded(1), padded("rel-7"), "~"], None),
        "long": (["9" * 19, "1" + "0" * 19], "9" * 19),
        "inner": (["2", "10", "99"], None),
        "words first": (["!", "9", "10"], "9"),
        "plain": ([padded(9), padded(10)], None),
    }
    assert {name: history.notes for name, history in found.items() if history.notes} == {
        "mixed": ("a version number is there twice, with and without zeros before it",),
        "word": ("these versions are no numbers: '00000000000000rel-7', '~'",),
        "words first": ("these versions are no numbers: '!'",),
    }


def test_current_values_alone(old: OldTable, wire: CountingTransport) -> None:
    """What credstash serves, and nothing else is opened."""
    for version in ("9", "10", "8"):
        old.add("a", version, version.encode(), {"env": "prod"})
    source = CredstashSource(old.table, old.keys(), Contexts({"env": "prod"}), whole=False)
    (history,) = source.read()
    assert values(history) == {"9": b"9"}
    assert history.served is None
    assert history.revisions[0].context == {"env": "prod"}
    assert wire.calls == {Operation.SCAN: 1, Operation.DECRYPT: 1}


def test_binding(old: OldTable) -> None:
    """Checked where it is, and required where that is asked for."""
    store = old.store()
    store.put("a", 1, Plaintext(b"bound"))
    old.add("b", padded(1), b"unbound")
    (item, _) = old.items()
    old.put({**item, "name": {"S": "c"}})
    found = read(old)
    assert values(found["a"]) == {padded(1): b"bound"}
    assert values(found["b"]) == {padded(1): b"unbound"}
    assert str(found["c"].revisions[0].problem).startswith(
        "version 0000000000000000001 of c: it is bound to another name"
    )
    source = CredstashSource(old.table, old.keys(), require_binding=True)
    strict = {history.key: history.revisions[0].problem for history in source.read()}
    assert strict["a"] is None
    assert "which is required here" in str(strict["b"])
    assert MARKS in item


@pytest.mark.parametrize(("memory", "again"), [(0, [4]), (3500, [1, 2, 3]), (1 << 20, [0])])
def test_memory_is_bounded(old: OldTable, wire: CountingTransport, memory: int, again: list[int]) -> None:
    """What exceeds it is asked for again, and the result is the same."""
    expected = {}
    for name in ("a", "b", "c", "d"):
        for number in (1, 2, 3):
            old.add(name, padded(number), f"{name}{number}".encode() * 100)
            expected[name, padded(number)] = f"{name}{number}".encode() * 100
    found = read(old, memory=memory)
    assert {(name, label): value for name in found for label, value in values(found[name]).items()} == expected
    assert list(found) == ["a", "b", "c", "d"]
    assert wire.calls[Operation.QUERY] in again


def test_pages(old: OldTable, wire: CountingTransport) -> None:
    """More than a Scan gives at once."""
    for number in range(12):
        old.add(f"n{number:02}", padded(1), bytes(200_000))
    found = read(old)
    assert len(found) == 12
    assert all(list(values(history).values()) == [bytes(200_000)] for history in found.values())
    assert wire.calls[Operation.SCAN] > 1


def test_an_empty_table(old: OldTable, wire: CountingTransport) -> None:
    """Has nothing, for one call."""
    assert read(old) == {}
    assert wire.calls == {Operation.SCAN: 1}
    assert CredstashSource(old.table, old.keys()).description == f"credstash table {old.name} in eu-west-1"
