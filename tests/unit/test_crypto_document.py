"""docs/format-v1.md against the code: its examples come out, and its tables name what the records have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dynastash import models
from dynastash.crypto import attributes as limits
from dynastash.crypto import padding, records
from dynastash.crypto.kdf import derive
from dynastash.crypto.records import decode_head, decode_metadata, decode_version
from dynastash.crypto.transcript import transcript
from dynastash.errors import FormatError
from dynastash.models import DataKey
from tests.unit import crypto_reference as reference

DOCUMENT = (Path(__file__).parents[2] / "docs" / "format-v1.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """The text under a heading, up to the next one of the same or a higher level."""
    level, _, _ = heading.partition(" ")
    after = DOCUMENT.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"\n#{{2,{len(level)}}} ", after)[0]


def attributes(heading: str) -> dict[str, tuple[str, str]]:
    """The attributes in the first table under a heading: name → type, and whether it is required."""
    found = {}
    for row in re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \|", section(heading), re.MULTILINE):
        names = re.findall(r"`(\w+)`", row[0])
        types = [kind.strip() for kind in row[1].split(",")]
        for name, kind in zip(names, types * len(names) if len(types) == 1 else types, strict=True):
            found[name] = (kind, row[2])
    return found


def test_the_derived_keys_of_the_example() -> None:
    """The three keys for zeros."""
    printed = re.findall(r"\b[0-9a-f]{64}\b", section("### Derived keys"))
    keys = derive(DataKey(bytes(32)), bytes(32))
    assert "".join(printed) == (keys.encryption + keys.mac + keys.head).hex()


def test_the_transcript_of_the_example() -> None:
    """Item and bytes as printed."""
    text = section("### Transcript")
    item = json.loads(text.split("```json\n")[1].split("```")[0])
    printed = "".join(re.findall(r"^[0-9a-f]+$", text, re.MULTILINE))
    assert transcript(b"dynastash/v1/item\x00", "prod", item).hex() == printed


def test_the_payloads_of_the_table() -> None:
    """Each row: length of the value, L, size of the payload."""
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d,]+) \| (?:(\d+) )?\| (?:(\d+) )?\| ([\d,]+) \|$",
        section("## 3. Encryption"),
        re.MULTILINE,
    )
    assert len(rows) == 8
    for length, unpadded, e, s, size in rows:
        value = int(length.replace(",", ""))
        assert int(unpadded.replace(",", "")) == 5 + value
        assert int(size.replace(",", "")) == padding.padded_length(value)
        assert bool(e) == bool(s) == (5 + value > 1024)
        if e:
            assert 2 ** int(e) <= 5 + value < 2 ** (int(e) + 1)
            assert 2 ** (int(s) - 1) <= int(e) < 2 ** int(s)


def test_limits() -> None:
    """The numbers that the document gives are the code's."""
    text = section("## 3. Encryption") + section("## 1. Names") + section("### Version")
    for number in (models.MAX_VALUE, models.MAX_COMMENT, models.MAX_VERSION, records.MAX_WRAPPED):
        assert f"{number:,}" in text
    assert f"{models.MAX_PAIRS} pairs each, and {models.MAX_PAIRS_BYTES // 1024} KiB" in text
    assert f"`rotation` | {limits.MAX_ROTATION_BYTES // 1024} KiB" in text
    assert f"{limits.MAX_NUMBERS} numbers each" in text
    assert f"at most {models.MAX_NAME} bytes" in text


@pytest.mark.parametrize(
    ("heading", "whole", "decode"),
    [
        ("### Version", reference.version(reference.OPTIONAL), decode_version),
        ("### Head", reference.head(), decode_head),
    ],
)
def test_tables_of_attributes(heading: str, whole: dict[str, dict[str, object]], decode: object) -> None:
    """Each attribute that the records have is in the table, of that type, and required where it says so."""
    assert callable(decode)
    table = attributes(heading)
    assert set(table) == set(whole)
    for name, (kind, needed) in table.items():
        ((actual, content),) = whole[name].items()
        letters = re.fullmatch(r"([A-Z]+)(\d*)( of S)?", kind)
        assert letters and letters[1] == actual, name
        if letters[2]:
            assert isinstance(content, bytes) and len(content) == int(letters[2])
        without = {key: value for key, value in whole.items() if key != name}
        try:
            decode(without)
            accepted = True
        except FormatError:
            accepted = False
        assert accepted == (needed == "optional"), name


def test_the_tombstones_attributes() -> None:
    """The text's list and the table's rows make up a tombstone that decodes, and nothing may be added."""
    text = section("### Tombstone")
    listed = re.findall(r"`(\w+)`", text.split("same key:")[1].split("| |")[0])
    names = set(listed) | set(attributes("### Tombstone"))
    assert names == records._TOMBSTONE
    item = {
        **{name: value for name, value in reference.version().items() if name in names},
        "destroyed_at": {"N": "1"},
        "destroyed_by": {"S": "arn"},
        "ttl": {"N": "1"},
    }
    assert set(item) == names
    assert decode_metadata(item).destroyed_ms == 1


def test_patterns_are_the_codes() -> None:
    """The two patterns for names, to the character."""
    patterns = re.findall(r"\| `(\[[^`]*)`", section("## 1. Names"))
    assert patterns == [models._ENVIRONMENT.pattern, models._SECRET.pattern]
