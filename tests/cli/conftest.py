"""A command line on a store of its own, for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.recording import RECORD, TRANSPORT, Recorded, outcome, predictable
from tests.cli.runner import Cli, on_aws


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Cli:
    """The command line in an empty working directory with nothing configured and nothing stored.

    Where the suite is recorded (:mod:`tests.cli.recording`), on AWS instead of an embedded store.
    """
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    made = Cli(tmp_path, cwd)
    if transport := os.environ.get(TRANSPORT):
        made = Recorded(tmp_path, cwd, request.node.nodeid, Path(os.environ[RECORD]))
        on_aws(made, request.getfixturevalue("ministack"))
        made.variables["DYNASTASH_TRANSPORT"] = transport
        predictable(monkeypatch)
    for variable in [name for name in os.environ if name.startswith(("DYNASTASH_", "AWS_", "XDG_", "COMP_"))]:
        monkeypatch.delenv(variable)
    for variable, text in made.variables.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.chdir(cwd)
    return made


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Where the suite is recorded, how each test ended is too."""
    if directory := os.environ.get(RECORD):
        outcome(report, Path(directory))
