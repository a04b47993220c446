"""Rows that alarm are red on a terminal that takes colours, and plain everywhere else."""

from __future__ import annotations

import io

import pytest

from dynastash.cli.output import emit_table

ROWS = [("modify", "Table"), ("remove", "EnvelopeKey"), ("add", "Policy")]


class Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, kind: type[io.TextIOWrapper], **variables: str) -> list[str]:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stream := kind(written, encoding="utf-8"))
        emit_table(ROWS, ("action", "resource"), alarming={1})
        stream.flush()
    return written.getvalue().decode().splitlines()


def test_the_alarming_row_is_red_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, Terminal, TERM="xterm")
    assert [line for line in lines if "\x1b" in line] == ["\x1b[31mremove    EnvelopeKey\x1b[0m"]


@pytest.mark.parametrize("variables", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_whoever_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    assert "\x1b" not in "".join(shown(monkeypatch, Terminal, **variables))


def test_a_file_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in "".join(shown(monkeypatch, io.TextIOWrapper, TERM="xterm"))
