"""The tamper matrix (tests/tamper.py): nothing is accepted but in the two attributes that are exempt by design."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import tamper
from tests.tamper import EXEMPT, HEAD, KINDS, NAME, Row

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Row]]:
    return tamper.matrix()


def test_nothing_is_accepted_but_what_is_exempt(table: dict[str, dict[str, Row]]) -> None:
    """Of a version: key_id and rewrapped_at, which a rewrap changes and nothing is decided by. Of a head: nothing."""
    for title, rows in table.items():
        accepted = {attribute for attribute, row in rows.items() if row.accepted}
        assert accepted == (set() if title == "head" else EXEMPT), title
        assert rows.keys() >= {"(another attribute)", "(the whole record)"}


def test_the_exemptions_are_exercised(table: dict[str, dict[str, Row]]) -> None:
    """A matrix in which nothing at all is accepted would show nothing: reading works, and notices the rest."""
    for title in ("version, current", "version, older"):
        for attribute in EXEMPT:
            assert table[title][attribute].accepted["bit"] > 0
        assert table[title]["wrapped_key"].tried["bit"] == 61 * 8


def test_every_attribute_is_tried_in_every_way(table: dict[str, dict[str, Row]]) -> None:
    """All that the format has, but for what excludes each other; each bit of each, and every kind of change."""
    store = tamper.filled("prod", (NAME,))
    for target in tamper.TARGETS:
        rows = table[target.title]
        assert rows.keys() >= store.items[NAME, target.record].keys()  # type: ignore[index]
        for attribute in store.items[NAME, target.record]:  # type: ignore[index]
            tried = rows[attribute].tried
            assert all(tried[kind] for kind in ("bit", "truncated", "extended", "emptied", "deleted", "retyped"))
        assert all(any(row.tried[kind] for row in rows.values()) for kind in KINDS)
    older = store.items[NAME, "v#0000000004"]  # type: ignore[index]
    assert older.keys() >= {"comment", "content_type", "expires_at", "context", "rewrapped_at"}
    head = store.items[NAME, HEAD]  # type: ignore[index]
    assert head.keys() >= {"current", "previous", "destroyed", "disabled", "tags", "rotation", "comment", "seal"}


def test_the_document_has_these_figures(table: dict[str, dict[str, Row]]) -> None:
    """docs/reliability.md says how many; so many they are."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for title, rows in table.items():
        tried, accepted = tamper.totals(rows)
        assert re.search(rf"^\| {title} \| {tried:,} \| {accepted:,} \|", text, re.MULTILINE), (title, tried, accepted)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """python -m tests.tamper: a row for each attribute, a sum at the end, and success."""
    assert tamper.main() == 0
    out = capsys.readouterr().out
    assert "| head | `seal` |" in out
    assert "changes tried" in out.splitlines()[-1]
