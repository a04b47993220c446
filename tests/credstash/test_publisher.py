"""A table as a target: what is ours is kept current, and what others wrote is theirs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dynastash.aws.base import Operation
from dynastash.credstash.binding import MARKS, with_used
from dynastash.credstash.contexts import Contexts
from dynastash.credstash.publisher import CredstashTarget
from dynastash.credstash.versions import padded
from dynastash.models import Plaintext
from dynastash.places import Outgoing
from dynastash.transfer.outgoing import Done, Plan, apply, plan, verify
from tests.credstash.kit import OldTable
from tests.engines.engine import Engine
from tests.engines.transports import CountingTransport


@pytest.fixture
def wire(ministack: Engine) -> CountingTransport:
    """Counts."""
    return CountingTransport(ministack.transport)


@pytest.fixture
def old(ministack: Engine, wire: CountingTransport) -> OldTable:
    """An empty table."""
    return OldTable(ministack, wire)


def target(
    old: OldTable, environment: str = "prod", contexts: Contexts | None = None, **options: bool
) -> CredstashTarget:
    """The table as that environment publishes to it."""
    return CredstashTarget(old.table, old.keys(), environment, contexts, **options)


def out(key: str, version: int, value: bytes | None = None, **more: str) -> Outgoing:
    """One current value."""
    return Outgoing(key, f"app/{key}", version, Plaintext(value or f"{key}{version}".encode()), **more)


def actions(planned: Plan) -> dict[str, str]:
    """What is to happen to each key."""
    return {step.key: str(step.action) for step in planned.steps}


def publish(old: OldTable, *wanted: Outgoing, **options: bool) -> list[Done]:
    """One whole run."""
    place = target(old)
    return verify(place, list(apply(place, plan(place, wanted, adopt=True, **options), at_once=1)))


def errors(results: Sequence[Done]) -> dict[str, str]:
    """What failed, by key."""
    return {done.step.key: str(done.error) for done in results if done.error is not None}


def labels(old: OldTable, key: str) -> list[str]:
    """The versions that are there under ``key``."""
    return [item["version"]["S"] for item in old.items() if item["name"]["S"] == key]


def test_a_version_has_its_number(old: OldTable) -> None:
    """And is bound; another run changes nothing; the next version becomes the latest; the comment goes along."""
    assert errors(publish(old, out("a", 3, comment="why"), out("b", 1))) == {}
    assert labels(old, "a") == [padded(3)]
    assert old.items()[0]["comment"] == {"S": "why"}
    assert publish(old, out("a", 3), out("b", 1)) == []
    assert errors(publish(old, out("a", 7), out("b", 1))) == {}
    assert labels(old, "a") == [padded(3), padded(7)]
    store = old.store(require_binding=True)
    assert store.get("a").value == Plaintext(b"a7")
    assert store.get("a", 3).value == Plaintext(b"a3")


def test_what_is_no_longer_wanted_is_removed(old: OldTable) -> None:
    """All its versions; and nothing of another environment's, or of nobody's."""
    publish(old, out("a", 1), out("b", 1))
    publish(old, out("a", 2), out("b", 1))
    other = target(old, "dev")
    list(apply(other, plan(other, [out("c", 1)])))
    old.add("d", padded(1), b"theirs")
    assert actions(plan(target(old), [out("b", 1)])) == {"a": "remove", "b": "same"}
    assert errors(publish(old, out("b", 1))) == {}
    assert [item["name"]["S"] for item in old.items()] == ["b", "c", "d"]


def test_what_others_wrote(old: OldTable, wire: CountingTransport) -> None:
    """With the same value it is adopted where it stands; with another it is a conflict, and stays."""
    for version in (1, 2):
        old.add("same", padded(version), b"same%d" % version, comment={"S": "theirs"})
    old.add("other", padded(1), b"theirs")
    before = old.items()
    place = target(old)
    planned = plan(place, [out("same", 2), out("other", 1)], adopt=True)
    assert actions(planned) == {"other": "conflict", "same": "adopt"}
    assert not planned.takes_away
    assert errors(verify(place, list(apply(place, planned)))) == {}
    after = old.items()
    assert after[:2] == before[:2]
    assert after[2]["version"] == {"S": padded(2)}
    assert (after[2]["hmac"].keys(), MARKS in after[2]) == ({"S"}, True)
    assert errors(publish(old, out("same", 3))) == {}
    assert labels(old, "same") == [padded(1), padded(2), padded(3)]
    assert errors(publish(old, out("other", 4), take_over=True, remove=False)) == {}
    assert labels(old, "other") == [padded(1), padded(4)]


def test_adoption_dropped_the_comment_the_used_number_and_what_others_had_added(old: OldTable) -> None:
    """An item of the same value becomes ours and loses nothing: its time to live least of all."""
    old.add("a", padded(4), b"a4", comment={"S": "theirs"}, expires={"N": "2000000000"})
    old.put(with_used(old.items()[0], 9))
    assert errors(publish(old, out("a", 4))) == {}
    (item,) = old.items()
    assert (item["comment"], item["expires"]) == ({"S": "theirs"}, {"N": "2000000000"})
    assert item[MARKS]["M"]["used"] == {"N": "9"}
    assert old.store(require_binding=True).get("a").value == Plaintext(b"a4")
    assert publish(old, out("a", 4)) == []


def test_a_deleted_number_was_given_to_another_version_when_numbers_are_behind(old: OldTable) -> None:
    old.add("a", padded(8), b"theirs")
    old.put(with_used(old.items()[0], 12))
    assert errors(publish(old, out("a", 2), take_over=True)) == {}
    assert labels(old, "a") == [padded(8), padded(13)]


def test_old_versions_of_others_would_be_served_again(old: OldTable) -> None:
    """So what they wrote some versions of is not removed."""
    old.add("a", padded(1), b"older")
    old.add("a", padded(2), b"theirs")
    publish(old, out("a", 2, b"theirs"))
    publish(old, out("a", 3))
    failed = errors(publish(old))
    assert failed["a"].startswith(f"a stays in credstash table {old.name} in eu-west-1: 1 of its versions cannot be")
    assert labels(old, "a") == [padded(1), padded(2), padded(3)]


def test_numbers_that_the_table_has_already(old: OldTable) -> None:
    """The next one there is taken, so that it becomes the latest."""
    for version in (1, 2, 5, 40):
        old.add("a", padded(version), b"v%d" % version)
    publish(old, out("a", 4, b"v40"))
    assert labels(old, "a") == [padded(version) for version in (1, 2, 5, 40)]
    assert errors(publish(old, out("a", 5))) == {}
    assert labels(old, "a")[-1] == padded(41)
    assert publish(old, out("a", 5)) == []
    assert errors(publish(old, out("a", 50))) == {}
    assert labels(old, "a")[-1] == padded(50)
    old.add("legacy", "9", b"nine")
    failed = errors(publish(old, out("legacy", 12), out("a", 50), take_over=True))
    assert failed["legacy"].startswith("version 10 of legacy would not become its latest: 9 sorts behind it")
    assert labels(old, "legacy") == ["9"]


def test_what_was_tampered_with_is_a_conflict(old: OldTable) -> None:
    """Marks that claim to be ours and do not hold are not believed."""
    publish(old, out("a", 1), out("b", 1))
    a, _ = old.items()
    old.put({**a, "name": {"S": "b"}})
    old.put({**a, "version": {"S": padded(2)}})
    planned = plan(target(old), [out("a", 1), out("b", 1)], adopt=True)
    assert actions(planned) == {"a": "conflict", "b": "conflict"}
    assert all("does not open: version" in str(step.reason) for step in planned.steps)
    old.add("c", padded(1), b"x", {"env": "prod"})
    (step,) = (step for step in plan(target(old), [out("c", 1)], remove=False).steps if step.key == "c")
    assert step.action == "conflict"


def test_what_is_not_proved_to_be_ours(old: OldTable) -> None:
    """Another environment's, and an item that was robbed of its binding: neither is replaced, nor removed."""
    other = target(old, "dev")
    list(apply(other, plan(other, [out("a", 1)])))
    publish(old, out("b", 1), remove=False)
    b = old.items()[1]
    robbed = {name: value for name, value in b[MARKS]["M"].items() if name != "mac"}
    old.put({**b, MARKS: {"M": robbed}})
    before = old.items()
    assert actions(plan(target(old), [out("a", 1, b"new"), out("b", 1, b"new")])) == {"a": "conflict", "b": "conflict"}
    assert errors(publish(old)).keys() == {"b"}
    assert old.items() == before


def test_what_changes_meanwhile_is_left_alone(old: OldTable) -> None:
    """Between the plan and the change."""
    publish(old, out("a", 1), out("b", 1), out("gone", 1))
    place = target(old)
    planned = plan(place, [out("a", 2), out("b", 2), out("new", 1)], remove=False)
    old.add("a", padded(9), b"theirs")
    old.add("new", padded(7), b"theirs")
    failed = errors(list(apply(place, planned, at_once=1)))
    assert failed.keys() == {"a", "new"}
    assert failed["new"].startswith("somebody else has changed new in credstash table")
    assert labels(old, "a") == [padded(1), padded(9)]
    assert labels(old, "b") == [padded(1), padded(2)]
    place = target(old)
    planned = plan(place, [out("a", 2), out("b", 2)])
    old.add("gone", padded(3), b"theirs")
    assert errors(list(apply(place, planned))).keys() == {"gone"}
    assert labels(old, "gone") == [padded(1), padded(3)]


def test_refusals(old: OldTable) -> None:
    """What credstash's clients cannot read, or the table not hold."""
    place = target(old)
    assert place.refusal(out("a", 1)) is None
    assert place.refusal(out("a", 1, b"")) is None
    assert "not UTF-8 text" in str(place.refusal(out("a", 1, b"\xff")))
    assert "there is room for" in str(place.refusal(out("a", 1, bytes(300_000))))
    assert "1 to 2048 bytes" in str(place.refusal(out("a" * 2049, 1)))
    assert actions(plan(place, [out("a", 1, b"\xff")])) == {"a": "refused"}
    largest = out("a", 1, b"x" * 296_000)
    assert place.refusal(largest) is None
    assert errors(publish(old, largest)) == {}


def test_what_it_costs(old: OldTable, wire: CountingTransport) -> None:
    """A Scan and a Decrypt for each key; a change takes one Query, one data key and one PutItem, and is read back."""
    publish(old, *(out(f"n{number}", 1) for number in range(5)))
    wire.calls.clear()
    publish(old, *(out(f"n{number}", 1) for number in range(5)))
    assert wire.calls == {Operation.SCAN: 1, Operation.DECRYPT: 5}
    wire.calls.clear()
    few = target(old, whole=False)
    results = verify(few, list(apply(few, plan(few, [out("n3", 2)], remove=False))))
    assert errors(results) == {}
    assert wire.calls == {
        Operation.QUERY: 3,
        Operation.DECRYPT: 2,
        Operation.GENERATE_DATA_KEY: 1,
        Operation.PUT_ITEM: 1,
    }


def test_contexts(old: OldTable) -> None:
    """Items are sealed under the context that their readers use."""
    contexts = Contexts({"env": "prod"}, {"b": {}})
    place = target(old, contexts=contexts)
    list(apply(place, plan(place, [out("a", 1), out("b", 1)])))
    assert old.store().get("a", context={"env": "prod"}).bound
    assert old.store().get("b").bound
