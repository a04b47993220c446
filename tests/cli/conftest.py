"""A command line on a store of its own, for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.runner import Cli


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in an empty working directory with nothing configured and nothing stored."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    made = Cli(tmp_path, cwd)
    for variable in [name for name in os.environ if name.startswith(("DYNASTASH_", "AWS_", "XDG_", "COMP_"))]:
        monkeypatch.delenv(variable)
    for variable, text in made.variables.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.chdir(cwd)
    return made
