"""Sealed backups: what goes out comes in again, and nothing that a file says is believed before it was checked."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import ConflictError, DynastashError, TransferError
from dynastash.generate import RandomBytes
from dynastash.models import Item
from dynastash.stash.api import Stash
from dynastash.stash.verify import Problem
from dynastash.stores.base import Change
from dynastash.stores.itemjson import encode_item
from dynastash.transfer.sealed import Counts, check_sealed, export_sealed, import_sealed
from tests.property.strategies import steady
from tests.unit.stash_kit import HEAD, Between, World, v
from tests.unit.test_verify import WRITERS, Meddled

NAME = "app/db"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return filled(tmp_path / "source")


def filled(directory: Path) -> World:
    world = World(directory)
    for number in range(1, 5):
        world.stash.put(NAME, bytes(range(256)) * number, comment="Grüße \x00 世界", tags={"team": "a"})
    world.stash.destroy(NAME, [1])
    world.stash.delete(NAME, 2)
    world.stash.put("other", "other")
    world.stash.generate("other", RandomBytes(16))
    world.stash.put("gone", "gone")
    world.stash.destroy("gone")
    return world


def exported(world: World) -> bytes:
    file = io.BytesIO()
    export_sealed(world.store, "prod", file, at=1_767_225_600_000, clock=world.clock)
    return file.getvalue()


def restored(data: bytes, target: World) -> list[Counts]:
    return list(import_sealed(target.store, "prod", io.BytesIO(data)))


def everything(world: World) -> list[tuple[object, ...]]:
    return world.sql("SELECT name, record, item FROM records ORDER BY 1, 2")


def problems(stash: Stash) -> set[Problem]:
    return {finding.problem for result in stash.verify() for finding in result.findings}


def rewritten(data: bytes, change: Callable[[list[Any]], object]) -> bytes:
    """The backup ``data`` with ``change`` made to its parsed lines, and a trailer that fits again."""
    lines = [json.loads(line) for line in data.splitlines()]
    trailer = lines.pop()
    change(lines)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    trailer["sha256"] = hashlib.sha256(body).hexdigest()
    trailer["items"] = sum("name" in line for line in lines)
    trailer["secrets"] = sum(line.get("record") == {"S": HEAD} for line in lines)
    return body + json.dumps(trailer).encode() + b"\n"


def test_there_and_back(world: World, tmp_path: Path) -> None:
    """Record by record the same, clean, and its values open; nothing of them was in the file."""
    data = exported(world)
    assert check_sealed(io.BytesIO(data), "prod") == Counts(3, 10)
    target = World(tmp_path / "target")
    assert restored(data, target) == [Counts(1, 5), Counts(2, 7), Counts(3, 10)]
    assert everything(target) == everything(world)
    assert problems(target.fresh()) == set()
    assert target.fresh().get(NAME).value == bytes(range(256)) * 4
    assert b"gone" in data  # names are public
    assert bytes(range(256)) not in data


def test_what_is_in_the_file(world: World) -> None:
    """A header, a line for each item in order, a trailer."""
    header, *lines, trailer = (json.loads(line) for line in exported(world).splitlines())
    assert header == {
        "kind": "dynastash sealed export",
        "format": 1,
        "environment": "prod",
        "at": 1_767_225_600_000,
    }
    assert [(line["name"]["S"], line["record"]["S"]) for line in lines] == [
        (NAME, v(1)),
        (NAME, v(2)),
        (NAME, v(3)),
        (NAME, v(4)),
        (NAME, HEAD),
        ("gone", v(1)),
        ("gone", HEAD),
        ("other", v(1)),
        ("other", v(2)),
        ("other", HEAD),
    ]
    assert {key: trailer[key] for key in ("secrets", "items")} == {"secrets": 3, "items": 10}


def test_an_empty_environment(tmp_path: Path) -> None:
    """Nothing to restore is no error."""
    data = exported(World(tmp_path))
    assert check_sealed(io.BytesIO(data), "prod") == Counts(0, 0)
    assert restored(data, World(tmp_path / "target")) == []


def test_again_is_the_same(world: World, tmp_path: Path) -> None:
    """What is there already and the same is skipped, and counted."""
    data = exported(world)
    target = World(tmp_path / "target")
    restored(data, target)
    before = everything(target)
    assert restored(data, target)[-1] == Counts(3, 10, 3)
    assert everything(target) == before
    assert exported(target) == data


DIFFERENT: Mapping[str, Callable[[World], object]] = {
    "newer": lambda target: target.stash.put(NAME, "newer"),
    "deleted": lambda target: target.stash.delete(NAME),
    "destroyed": lambda target: target.stash.destroy(NAME),
    "rewrapped": lambda target: list(target.stash.rewrap(NAME)),
    "pruned": lambda target: target.stash.prune(NAME, keep=1),
    "another head": lambda target: target.edit(NAME, HEAD, updated_by={"S": "x"}),
    "another version": lambda target: target.edit(NAME, v(3), comment={"S": "x"}),
    "headless": lambda target: [target.sql("DELETE FROM heads"), target.drop(NAME, HEAD)],
}


@pytest.mark.parametrize("how", DIFFERENT)
def test_a_secret_that_differs_is_not_replaced(world: World, tmp_path: Path, how: str) -> None:
    """No version is lowered and no record is overwritten; what comes behind it is not restored either."""
    data = exported(world)
    target = World(tmp_path / "target")
    restored(data, target)
    DIFFERENT[how](target)
    before = everything(target)
    with pytest.raises(ConflictError, match=NAME):
        restored(data, target)
    assert everything(target) == before


def test_another_secret_of_the_same_name_is_not_replaced(world: World, tmp_path: Path) -> None:
    """The same number of versions, and none of them the same."""
    target = World(tmp_path / "target")
    target.stash.put("other", "mine")
    with pytest.raises(ConflictError, match="at version 1, revision 1; the backup has version 2, revision 2"):
        restored(exported(world), target)
    assert target.stash.get("other").text == "mine"


def test_strangers_are_left_alone(world: World, tmp_path: Path) -> None:
    """Secrets that the backup does not have stay as they are."""
    target = World(tmp_path / "target")
    target.stash.put("mine", "mine")
    restored(exported(world), target)
    assert target.stash.get("mine").text == "mine"
    assert problems(target.fresh()) == set()


# --- damaged and hostile files


def damaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    lines = data.splitlines(keepends=True)
    yield "empty", b""
    yield "not json", b"hello\n"
    yield "a list", b"[]\n" + data
    yield "no final newline", data[:-1]
    yield "more behind it", data + b"x"
    yield "a line more behind it", data + lines[1]
    yield "no header", b"".join(lines[1:])
    yield "no trailer", b"".join(lines[:-1])
    yield "a header alone", lines[0]
    yield "twice", data + data
    yield "a line twice", b"".join([*lines[:3], *lines[2:]])
    yield "not utf-8", data.replace(b"team", b"te\xff\xfe")
    yield "deep", lines[0] + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n"
    yield "a long line", lines[0] + b'{"name":"' + b"a" * (5 << 20) + b'"}\n'
    yield "a long number", lines[0] + b'{"name":' + b"9" * 5000 + b"}\n"
    for number in range(len(lines)):
        yield f"without line {number}", b"".join(lines[:number] + lines[number + 1 :])
        yield f"cut in line {number}", b"".join(lines[:number]) + lines[number][: len(lines[number]) // 2]
    for number in range(len(lines) - 1):
        swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
        yield f"lines {number} and {number + 1} swapped", b"".join(swapped)


def test_damage_is_noticed_before_anything_is_written(world: World) -> None:
    """Each of these files is refused as a whole."""
    data = exported(world)
    for what, broken in damaged(data):
        with pytest.raises(TransferError):
            pytest.fail(f"{what}: {check_sealed(io.BytesIO(broken), 'prod')}")


def keep_the_destroyed_one(lines: list[Any]) -> None:
    lines[:] = [lines[0], *lines[6:8]]


def test_every_flipped_bit_is_noticed(world: World) -> None:
    """Of a file of one secret, each bit once."""
    lines = exported(world).splitlines(keepends=True)
    data = rewritten(b"".join(lines), keep_the_destroyed_one)
    assert check_sealed(io.BytesIO(data), "prod") == Counts(1, 2)
    for place in range(len(data)):
        for bit in range(8):
            broken = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            with pytest.raises(TransferError):
                check_sealed(io.BytesIO(broken), "prod")


HOSTILE: Mapping[str, Callable[[list[Any]], object]] = {
    "another kind": lambda lines: lines[0].update(kind="other"),
    "a future format": lambda lines: lines[0].update(format=2),
    "another environment": lambda lines: lines[0].update(environment="dev"),
    "no environment": lambda lines: lines[0].pop("environment"),
    "a secret without its head": lambda lines: lines.pop(5),
    "the last secret without its head": lambda lines: lines.pop(),
    "a head alone": lambda lines: lines.__delitem__(slice(1, 5)),
    "no newest version": lambda lines: lines.pop(4),
    "a version behind the newest": lambda lines: lines[5]["last"].update(N="3"),
    "a record twice": lambda lines: lines.insert(2, lines[2]),
    "records in another order": lambda lines: lines.insert(1, lines.pop(2)),
    "a name that is none": lambda lines: [line["name"].update(S="../x") for line in lines[1:6]],
    "a name that is a number": lambda lines: [line.update(name={"N": "1"}) for line in lines[1:6]],
    "a record of no kind": lambda lines: lines[1]["record"].update(S="notes"),
    "a version of no kind": lambda lines: lines[1]["record"].update(S="v#1"),
    "an attribute of no type": lambda lines: lines[3].update(more={"X": 1}),
    "an attribute of two types": lambda lines: lines[3].update(more={"S": "x", "N": "1"}),
    "an attribute that is bare": lambda lines: lines[3].update(more="x"),
    "a set of binaries": lambda lines: lines[3].update(more={"BS": ["AA=="]}),
    "an empty set": lambda lines: lines[3].update(more={"NS": []}),
    "a number that is none": lambda lines: lines[3].update(more={"N": "1e5"}),
    "a lone surrogate": lambda lines: lines[3].update(more={"S": "\ud800"}),
    "broken base64": lambda lines: lines[3].update(more={"B": "!"}),
    "a namespace on a version": lambda lines: lines[3].update(namespace={"S": "app"}),
    "a ttl on a head": lambda lines: lines[5].update(ttl={"N": "1"}),
    "a ttl on a version": lambda lines: lines[3].update(ttl={"N": "1"}),
    "a tombstone with a value": lambda lines: lines[1].update(value={"B": "AA=="}),
    "an unknown state": lambda lines: lines[5]["state"].update(S="hidden"),
    "no id": lambda lines: lines[3].pop("id"),
    "a line that is no item": lambda lines: lines.insert(3, {"a": 1}),
    "a false trailer early": lambda lines: lines.insert(6, {"sha256": "x"}),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_file_is_refused(world: World, how: str) -> None:
    """Its trailer fits: whoever made it could count. Nothing is believed that no store should take."""
    data = rewritten(exported(world), HOSTILE[how])
    with pytest.raises(TransferError):
        check_sealed(io.BytesIO(data), "prod")


def test_a_rewritten_file_is_not_refused_for_being_rewritten(world: World) -> None:
    """So that the test above shows what it says."""
    data = rewritten(exported(world), lambda lines: None)
    assert check_sealed(io.BytesIO(data), "prod") == Counts(3, 10)


def test_a_forged_record_is_restored_and_found(world: World, tmp_path: Path) -> None:
    """A backup proves nothing; the records do."""
    data = rewritten(exported(world), lambda lines: lines[3]["comment"].update(S="forged"))
    target = World(tmp_path / "target")
    restored(data, target)
    assert problems(target.fresh()) == {Problem.FORGED}


def test_a_secret_twice_in_a_file_is_restored_once(world: World, tmp_path: Path) -> None:
    """The second one is there already if it is the same, and refused if it is another."""
    target = World(tmp_path / "target")
    twice = rewritten(exported(world), lambda lines: lines.extend(lines[1:6]))
    assert restored(twice, target)[-1] == Counts(4, 15, 1)
    assert problems(target.fresh()) == set()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return exported(filled(tmp_path_factory.mktemp("backup")))


class TestAnyFile:
    """Whatever the file: our errors come out, and nothing was written before the whole of it was checked."""

    @given(data=st.binary(max_size=300))
    @steady(200)
    def test_of_any_bytes(self, data: bytes) -> None:
        with pytest.raises(TransferError):
            check_sealed(io.BytesIO(data), "prod")

    @given(data=st.data())
    @steady(300)
    def test_of_any_lines(self, backup: bytes, data: st.DataObject) -> None:
        """Lines and attributes replaced by junk, dropped, doubled; the trailer fits."""
        parsed = [json.loads(line) for line in backup.splitlines()][:-1]
        for _ in range(data.draw(st.integers(1, 3))):
            where = data.draw(st.integers(0, len(parsed) - 1))
            what = data.draw(st.sampled_from(["line", "attribute", "type", "drop", "double"]))
            line = parsed[where]
            if what == "line":
                parsed[where] = data.draw(junk.filter(lambda made: isinstance(made, dict)))
            elif what == "attribute" and line:
                line[data.draw(st.sampled_from(sorted(line)))] = data.draw(junk)
            elif what == "type" and line:
                kind = data.draw(st.sampled_from(["S", "N", "B", "M", "L", "NS", "SS", "BOOL", "NULL"]))
                line[data.draw(st.sampled_from(sorted(line)))] = {kind: data.draw(junk)}
            elif what == "drop" and len(parsed) > 1:
                parsed.pop(where)
            else:
                parsed.insert(where, line)

        def put_in(lines: list[Any]) -> None:
            lines[:] = parsed

        try:
            file = rewritten(backup, put_in)
        except (TypeError, AttributeError):
            return
        store = Collecting()
        try:
            check_sealed(io.BytesIO(file), "prod")
            list(import_sealed(store, "prod", io.BytesIO(file)))
        except DynastashError:
            pass
        assert all(type(content) is bytes for item in store.items() for content in binaries(item))


class Collecting:
    """A store in memory that takes a change as it comes."""

    description = "memory"
    transaction_size = 100

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Item] = {}

    def items(self) -> list[Item]:
        return list(self.kept.values())

    def history(self, name: str) -> Iterator[Item]:
        return iter([item for (own, record), item in self.kept.items() if own == name and record.startswith("v#")])

    def fetch(self, wanted: Any) -> dict[Any, Item]:
        return {key: self.kept[key] for key in wanted if tuple(key) in self.kept}

    def commit(self, change: Change) -> None:
        for item in (change.head, *change.create):
            self.kept[item["name"]["S"], item["record"]["S"]] = item


def binaries(item: Item) -> Iterator[object]:
    for value in item.values():
        if "B" in value:
            yield value["B"]


# --- export while others write, and of what is damaged


@pytest.mark.parametrize("times", [1, 2, 5, 9, 80])
@pytest.mark.parametrize("writer", WRITERS)
def test_export_while_somebody_writes(world: World, tmp_path: Path, writer: str, times: int) -> None:
    """Each secret is of one moment: restored, it verifies, and its current value opens."""
    other = world.fresh()
    if writer == "destroy and recreate":
        other.prune(NAME, keep=1)
    file = io.BytesIO()
    store = Meddled(world.store, lambda: WRITERS[writer](other), times)
    export_sealed(store, "prod", file, at=1, clock=world.clock)
    assert check_sealed(io.BytesIO(file.getvalue()), "prod").secrets == 3
    target = World(tmp_path / "target")
    restored(file.getvalue(), target)
    assert problems(target.fresh()) == set()
    target.stash.list(NAME)


def test_export_gives_up_on_a_secret_that_never_rests(world: World) -> None:
    """Its patience has an end."""
    other = world.fresh()

    class Restless(Between):
        def history(self, name: str) -> Iterator[Item]:
            found = list(super().history(name))
            other.put(NAME, "x")
            other.prune(NAME, keep=2)
            return iter(found)

        def scan(self) -> Iterator[Item]:
            return (item for item in super().scan() if item["record"] != {"S": v(4)})

    with pytest.raises(TransferError, match="kept changing"):
        export_sealed(Restless(world.store), "prod", io.BytesIO(), at=1, clock=world.clock)


def surrogate(world: World, record: str) -> None:
    """Half a character, which JSON can spell and UTF-8 cannot."""
    text = encode_item(world.item(NAME, record) | {"more": {"S": "HALF"}})  # type: ignore[arg-type]
    world.write_at(NAME, record, text.replace("HALF", "\\ud800"))


@pytest.mark.parametrize(
    ("damage", "refused"),
    [
        (lambda world: world.drop(NAME, v(4)), True),
        (lambda world: world.edit(NAME, v(3), id=None), True),
        (lambda world: world.edit(NAME, HEAD, state={"S": "x"}), True),
        (lambda world: world.write_at(NAME, v(3), "{}"), True),
        (lambda world: world.edit(NAME, v(3), more={"BS": [b"x"]}), True),
        (lambda world: surrogate(world, HEAD), True),
        (lambda world: surrogate(world, v(3)), True),
        (lambda world: world.drop(NAME, v(3)), False),
        (lambda world: world.edit(NAME, v(3), comment={"S": "forged"}), False),
        (lambda world: world.write_at(NAME, "notes", "{}"), False),
    ],
)
def test_export_of_damage(world: World, tmp_path: Path, damage: Callable[[World], object], refused: bool) -> None:
    """What could not be restored is refused, by its name; what can be is exported as it is, for verify to find."""
    damage(world)
    if refused:
        with pytest.raises(TransferError, match=NAME):
            exported(world)
        return
    target = World(tmp_path / "target")
    restored(exported(world), target)
    assert problems(target.fresh()) <= problems(world.fresh())


def test_export_keeps_what_an_interrupted_erasure_left(world: World, tmp_path: Path) -> None:
    """It is no backup's business to erase."""
    old = world.item(NAME, v(2))
    world.stash.prune(NAME, keep=1)
    world.write(old)
    target = World(tmp_path / "target")
    restored(exported(world), target)
    assert problems(target.fresh()) == problems(world.fresh()) == {Problem.STRAY}


def test_the_largest_item_fits_a_line(world: World) -> None:
    """400 KB of what JSON spells with six letters each."""
    item = {**world.item(NAME, v(3)), "more": {"S": "\x01" * (400 * 1024)}}
    assert len(encode_item(item)) < 4 << 20  # type: ignore[arg-type]
    world.write(item)
    assert check_sealed(io.BytesIO(exported(world)), "prod") == Counts(3, 10)


def test_memory_follows_the_largest_secret_and_not_their_number(tmp_path: Path) -> None:
    """Ten times the secrets, out, checked and in: the same peak, give or take the names."""

    def peak(count: int) -> int:
        world, target = World(tmp_path / f"{count}"), World(tmp_path / f"to-{count}")
        for number in range(count):
            world.stash.put(f"n/{number}", bytes(20_000))
        path = tmp_path / f"backup-{count}"
        list(world.store.scan())
        tracemalloc.start()
        with path.open("wb") as file:
            export_sealed(world.store, "prod", file, at=1)
        with path.open("rb") as file:
            assert check_sealed(file, "prod").secrets == count
            file.seek(0)
            for counts in import_sealed(target.store, "prod", file):
                assert counts.items <= 2 * count
        _, high = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return high

    few, many = peak(20), peak(200)
    assert many < few + 200 * 1024  # the 180 further secrets hold 3.6 MB
