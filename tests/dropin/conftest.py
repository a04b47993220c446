"""A credstash table and whoever works on it, for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.dropin.kit import DropIn, Old, variables
from tests.engines.engine import Engine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, a home of its own, and nothing set."""
    for name in [one for one in os.environ if one.startswith(("DYNASTASH_", "AWS_", "XDG_", "CREDSTASH_"))]:
        monkeypatch.delenv(name)
    directory = tmp_path / "home"
    directory.mkdir()
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("DYNASTASH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.chdir(cwd)
    return directory


@pytest.fixture
def old(ministack: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> Old:
    """An empty old table on ministack, which is the default table of this process."""
    table = Old(ministack)
    for name, value in variables(ministack, home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CREDSTASH_DEFAULT_TABLE", table.name)
    return table


@pytest.fixture
def credstash(home: Path) -> DropIn:
    """The drop-in's command line."""
    return DropIn(home.parent / "cwd")


@pytest.fixture
def local(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment on this machine as the default table: what needs no AWS."""
    monkeypatch.setenv("CREDSTASH_DEFAULT_TABLE", "environment:local")
    return "environment:local"
