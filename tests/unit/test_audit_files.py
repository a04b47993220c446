"""Log files: every shape that CloudTrail's records come in, damaged ones, and enormous ones."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.audit import files
from tests.cloudtrail import record


def read(*paths: Path) -> tuple[list[int | None], dict[str, str]]:
    """The versions of the events in ``paths``, and what was said of files."""
    problems: dict[str, str] = {}
    events = files.events(paths, lambda path, reason: problems.update({path.name: reason}))
    return [event.version for event in events], problems


def wrapped(key: str) -> Callable[[list[Any]], bytes]:
    return lambda records: json.dumps({key: records}).encode()


def looked_up(records: list[Any]) -> bytes:
    """What the AWS CLI prints of lookup-events."""
    events = [{"EventId": "x", "CloudTrailEvent": json.dumps(each)} for each in records]
    return json.dumps({"Events": events}, indent=4).encode()


SHAPES: dict[str, Callable[[list[Any]], bytes]] = {
    "a trail's": wrapped("Records"),
    "lookup-events": looked_up,
    "a list": lambda records: json.dumps(records, indent=1).encode(),
    "a line each": lambda records: b"".join(json.dumps(each).encode() + b"\n" for each in records),
    "wrapper with more": lambda records: json.dumps({"region": "eu-west-1", "Records": records}).encode(),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(tmp_path: Path, shape: str, compressed: bool) -> None:
    """Every record of every shape, and other services' records passed over."""
    data = SHAPES[shape]([record(version=1), record(eventSource="s3.amazonaws.com"), record(version=2)])
    path = tmp_path / "log.json"
    path.write_bytes(gzip.compress(data) if compressed else data)
    assert read(path) == ([1, 2], {})


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"Records": []}', b" \n", b'{"Records":null}'])
def test_without_any_record(tmp_path: Path, data: bytes) -> None:
    """Nothing is there, and nothing is wrong."""
    (tmp_path / "log.json").write_bytes(data)
    assert read(tmp_path / "log.json") == ([], {})


def test_a_directory(tmp_path: Path) -> None:
    """Every log file below it, in order; digests, other files and links to elsewhere are left alone."""
    below = tmp_path / "logs/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/22"
    below.mkdir(parents=True)
    for number, name in enumerate(("b.json.gz", "a.json"), 1):
        data = json.dumps({"Records": [record(version=number)]}).encode()
        (below / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (below / "README.txt").write_text("not a log")
    digest = tmp_path / "logs/AWSLogs/111122223333/CloudTrail-Digest"
    digest.mkdir()
    (digest / "digest.json").write_text("[[[")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c.json").write_text(json.dumps([record(version=9)]))
    (below / "link").symlink_to(outside)
    assert read(tmp_path / "logs") == ([2, 1], {})


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing one, a fifo: neither stops the others, and nobody waits for the fifo."""
    good = tmp_path / "good.json"
    good.write_text(json.dumps([record()]))
    os.mkfifo(tmp_path / "fifo.json")
    versions, problems = read(tmp_path / "none.json", tmp_path / "fifo.json", good)
    assert versions == [1] and set(problems) == {"none.json", "fifo.json"}


def test_a_fifo_below_a_directory_is_not_opened(tmp_path: Path) -> None:
    """It would wait for somebody who never writes."""
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "good.json").write_text(json.dumps([record()]))
    versions, problems = read(tmp_path)
    assert versions == [1] and set(problems) == {"fifo.json"}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_file_that_was_cut_off(tmp_path: Path, cut: int, compressed: bool) -> None:
    """What came before counts, and the damage is told."""
    data = json.dumps({"Records": [record(version=number) for number in (1, 2, 3)]}).encode()[:-1]
    path = tmp_path / "log.json"
    path.write_bytes(gzip.compress(data)[:-cut] if compressed else data[:-cut])
    versions, problems = read(path)
    assert versions == [1, 2, 3][: len(versions)] and "log.json" in problems


@pytest.mark.parametrize(
    "data",
    [
        b"not json",
        b"\xff\xfe\x00",
        b"\x1f\x8bnot gzip",
        b"[" * 100_000,
        b'{"Records":[' + b'{"a":' * 100_000,
        b'{"Records":[{"a":1} {"b":2}]}',
        b'{"Records":[1,]}',
        b'{"Records":["' + b"x" * (3 << 20) + b'"]}',
        b"PK\x03\x04",
    ],
    ids=["text", "utf-16", "magic", "deep list", "deep objects", "no comma", "comma", "long record", "zip"],
)
def test_hostile_files(tmp_path: Path, data: bytes) -> None:
    """One line, and no exception."""
    path = tmp_path / "log.json"
    path.write_bytes(data)
    versions, problems = read(path)
    assert versions == [] and list(problems) == ["log.json"]


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(SHAPES)),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=3)), max_size=3),
    st.booleans(),
)
def test_no_file_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, shape: str, count: int, edits: list[tuple[int, bytes]], compressed: bool
) -> None:
    """A genuine file with bytes replaced anywhere: events, or a line about the file, and no exception."""
    data = SHAPES[shape]([record(version=number + 1) for number in range(count)])
    data = gzip.compress(data) if compressed else data
    for at, noise in edits:
        at %= len(data)
        data = data[:at] + noise + data[at + len(noise) :]
    path = tmp_path_factory.mktemp("noise") / "log.json"
    path.write_bytes(data)
    versions, problems = read(path)
    assert len(versions) <= count
    if not edits:
        assert (versions, problems) == ([*range(1, count + 1)], {})


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file is read that would not fit into what it takes."""
    path = tmp_path / "log.json.gz"
    text = json.dumps(record())
    count = (14 << 20) // len(text)
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write('{"Records":[' + text)
        for _ in range(count - 1):
            file.write("," + text)
        file.write("]}")
    tracemalloc.start()
    try:
        found = sum(1 for _ in files.events([path], lambda *_: pytest.fail("unreadable")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 12 << 20


def test_a_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros that expand without end, here to a smaller limit."""
    monkeypatch.setattr(files, "MAX_BYTES", 4 << 20)
    path = tmp_path / "log.json.gz"
    path.write_bytes(gzip.compress(b" " * (8 << 20)))
    versions, problems = read(path)
    assert versions == [] and "beyond" in problems["log.json.gz"]


def spaced(records: list[Any]) -> Iterator[bytes]:
    """A text whose records straddle every boundary of the reader's pieces."""
    for each in records:
        yield json.dumps(each).encode() + b" " * 70_001 + b"\n"


def test_records_across_the_pieces(tmp_path: Path) -> None:
    """Each comes once and whole."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(spaced([record(version=number) for number in range(1, 101)])))
    assert read(path) == ([*range(1, 101)], {})
