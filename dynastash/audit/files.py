"""Events from log files that CloudTrail delivered, one record at a time: memory does not grow with a file's size.

Read are a trail's own files (``{"Records": […]}``), the answer of ``lookup-events`` (``{"Events": […]}``), a list of
records, and one record a line; each as it is or compressed with gzip.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from dynastash.audit.events import Event, event_of

RECORD: Final = 1 << 20
"""Characters of one record, at most. CloudTrail's own limit is 256 KiB."""

MAX_BYTES: Final = 4 << 30
"""Bytes that one file may expand to: what is more is no log file."""

_CHUNK: Final = 1 << 18
_NAMES: Final = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_MAGIC: Final = b"\x1f\x8b"
_SPACE: Final = re.compile(r"[\s\x00]*")
_WRAPPER: Final = re.compile(r'\s*\{\s*"(Records|Events)"\s*:\s*\[')
_DECODER: Final = json.JSONDecoder()


class _Damaged(Exception):
    """The rest of a file cannot be read; the message says why."""


def events(paths: Iterable[Path], problem: Callable[[Path, str], None]) -> Iterator[Event]:
    """The events in ``paths``; of a directory, in every log file below it.

    ``problem`` is told of each file that could not be read, or not to its end: what an audit did not see is part of
    its result. What came before the damage counts.
    """
    for path in paths:
        for file in _files(path, problem):
            try:
                for record in records(file):
                    if event := event_of(record):
                        yield event
            except _Damaged as error:
                problem(file, str(error))
            except OSError as error:
                problem(file, error.strerror or str(error))


def records(path: Path) -> Iterator[Any]:
    """Every record of one file, decoded. Raises OSError, and what ends the file where it is damaged."""
    with path.open("rb") as file:
        compressed = file.read(2) == _MAGIC
        file.seek(0)
        if not compressed:
            yield from _records(_chunks(file))
            return
        with gzip.open(file) as expanded:
            yield from _records(_chunks(expanded))  # type: ignore[arg-type]


def _files(path: Path, problem: Callable[[Path, str], None]) -> Iterator[Path]:
    def checked(file: Path) -> Iterator[Path]:
        if file.is_file():  # whoever opens a pipe waits for somebody to write
            yield file
        else:
            problem(file, "it is not a file" if file.exists() else "there is no such file")

    if not path.is_dir():
        yield from checked(path)
        return

    def unreadable(error: OSError) -> None:
        problem(Path(str(error.filename)), error.strerror or str(error))

    for directory, below, names in os.walk(path, onerror=unreadable):
        below.sort()
        # Digests are a trail's signatures, and hold no records.
        below[:] = [name for name in below if name != "CloudTrail-Digest"]
        for name in sorted(names):
            if name.endswith(_NAMES):
                yield from checked(Path(directory, name))


def _chunks(file: BinaryIO) -> Iterator[str]:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    total = 0
    try:
        while data := file.read(_CHUNK):
            total += len(data)
            if total > MAX_BYTES:
                raise _Damaged("it expands beyond what a log file holds")
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise _Damaged("it is damaged: the compressed data end early or do not add up") from None
    except UnicodeDecodeError:
        raise _Damaged("it is not a log: not UTF-8") from None


class _Text:
    """A text that comes in pieces, of which there is always a whole record at hand."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self.text = ""
        self.at = 0
        self._ended = False
        self.fill()

    def fill(self) -> None:
        """Have :data:`RECORD` characters from here on, or all that there are."""
        if len(self.text) - self.at >= RECORD or self._ended:
            return
        pieces = [self.text[self.at :]]
        size = len(pieces[0])
        while size < 2 * RECORD:
            piece = next(self._chunks, None)
            if piece is None:
                self._ended = True
                break
            pieces.append(piece)
            size += len(piece)
        self.text, self.at = "".join(pieces), 0

    def next(self) -> str:
        """The next character that is not space; empty at the end."""
        while True:
            found = _SPACE.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text) or self._ended:
                self.fill()
                return self.text[self.at : self.at + 1]
            self.fill()

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What ``pattern`` matches here, passed over."""
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
            self.fill()
        return found

    def value(self) -> Any:
        """The JSON value that begins here."""
        try:
            value, end = _DECODER.raw_decode(self.text, self.at)
        except RecursionError:
            raise _Damaged("it is not a log: it is nested too deep") from None
        except ValueError:
            raise _Damaged(f"it is damaged, or no log: no JSON of at most {RECORD >> 20} MiB in a record") from None
        self.at = end
        self.fill()
        return value


def _records(chunks: Iterator[str]) -> Iterator[Any]:
    text = _Text(chunks)
    wrapped = text.take(_WRAPPER)
    if wrapped or text.next() == "[":
        if not wrapped:
            text.at += 1
        yield from _elements(text, unwrap=wrapped is not None and wrapped[1] == "Events")
        return
    while text.next():  # one a line, or a wrapper that begins with something else
        value = text.value()
        listed = isinstance(value, dict) and next((value[key] for key in ("Records", "Events") if key in value), None)
        if isinstance(listed, list):
            yield from (_inner(record) if "Events" in value else record for record in listed)
        else:
            yield value


def _elements(text: _Text, *, unwrap: bool) -> Iterator[Any]:
    if text.next() == "]":
        return
    while True:
        if not text.next():
            raise _Damaged("it ends in the middle")
        record = text.value()
        yield _inner(record) if unwrap else record
        follows = text.next()
        text.at += 1
        if follows == "]":
            return
        if follows != ",":
            raise _Damaged("it ends in the middle" if not follows else "it is damaged, or no log")


def _inner(found: Any) -> Any:
    """The record that ``lookup-events`` gives as text."""
    try:
        return json.loads(found["CloudTrailEvent"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
