"""Several values as one text, read back by the programs that read such texts."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import dotenv
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from credstash.formats import quoted_for_dotenv, written
from dynastash.dotenv import parse
from dynastash.errors import ConfigError, PartialError
from tests.property.strategies import steady

NAMES = st.text("AB_", min_size=1, max_size=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
QUOTES = st.text("a'\"\\$`# \n!%{}é", max_size=8)


def of(texts: dict[str, str]) -> dict[str, bytes]:
    """As values."""
    return {name: text.encode() for name, text in texts.items()}


@steady(100)
@given(st.dictionaries(TEXTS, TEXTS))
def test_json(texts: dict[str, str]) -> None:
    """Sorted, four spaces, ASCII alone: what credstash prints."""
    text = written(of(texts), "json")
    assert json.loads(text) == texts
    assert text == json.dumps(texts, sort_keys=True, indent=4)
    assert text.isascii()


@steady(100)
@given(st.dictionaries(TEXTS, TEXTS))
def test_csv(texts: dict[str, str]) -> None:
    """A row each."""
    rows = list(csv.reader(io.StringIO(written(of(texts), "csv"), newline="")))
    assert {name: text for name, text in rows} == texts  # noqa: C416


@steady(100)
@given(st.dictionaries(TEXTS, st.binary(max_size=8) | TEXTS.map(str.encode)))
def test_yaml(values: dict[str, bytes]) -> None:
    """Binary too."""
    read = yaml.safe_load(written(values, "yaml")) or {}
    assert {name: one.encode() if isinstance(one, str) else one for name, one in read.items()} == values


@steady(100)
@given(st.dictionaries(NAMES, TEXTS | QUOTES))
def test_dotenv(texts: dict[str, str]) -> None:
    """What is written is read alike by python-dotenv and by dynastash; what is not is named."""
    try:
        text = written(of(texts), "dotenv")
    except PartialError as error:
        assert set(error.failures) == {name for name, one in texts.items() if quoted_for_dotenv(one) is None}
        return
    assert dotenv.dotenv_values(stream=io.StringIO(text, newline="")) == texts
    assert {entry.name: entry.value for entry in parse(text)} == texts


@steady(30)
@given(st.lists(QUOTES, min_size=1, max_size=20))
def test_dotenv_in_a_shell(texts: list[str]) -> None:
    """And by sh."""
    values = {f"N{number}": text for number, text in enumerate(texts) if quoted_for_dotenv(text) is not None}
    prints = "".join(f'printf "%s\\0" "${name}"\n' for name in values)
    script = written(of(values), "dotenv") + prints
    done = subprocess.run(["sh", "-u", "-c", script], capture_output=True, check=True, env={})
    assert done.stdout.decode().split("\0")[:-1] == list(values.values())


@pytest.mark.parametrize("name", ["a b", "a=b", "a'b", "a\nb", "#a", "$(a)", "a;b", "a>b", "a&b"])
def test_names_that_dotenv_cannot_hold(name: str) -> None:
    """Nor two that are one in upper case."""
    with pytest.raises(PartialError) as caught:
        written({name: b"x", "fine": b"x"}, "dotenv")
    assert list(caught.value.failures) == [name]
    with pytest.raises(PartialError, match="1 of 2"):
        written({"a": b"x", "A": b"x"}, "dotenv")


@pytest.mark.parametrize("form", ["json", "csv", "dotenv"])
def test_binary_values_are_refused(form: str) -> None:
    """By the formats of text; no value is in the error."""
    with pytest.raises(PartialError) as caught:
        written({"a": b"\xff\xfehunter2", "b": b"x"}, form)
    assert "hunter2" not in str(caught.value) + str(caught.value.failures["a"])
    assert list(caught.value.failures) == ["a"]


def test_yaml_without_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(ConfigError, match="PyYAML is not installed"):
        written({}, "yaml")
