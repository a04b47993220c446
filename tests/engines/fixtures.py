"""The engines as session-wide fixtures. With pytest-xdist each worker starts its own, and only those it needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import servers
from tests.engines.engine import Engine

LIVE = "DYNASTASH_LIVE_ENV"
DDBLOCAL = "DYNASTASH_DDBLOCAL_DIR"


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[dict[str, str]]:
    """No test sees the developer's AWS or dynastash settings. Gives what was taken away, for the live tier."""
    taken = {
        variable: value
        for variable, value in os.environ.items()
        if variable.startswith(("AWS_", "DYNASTASH_")) and variable not in (LIVE, DDBLOCAL)
    }
    with pytest.MonkeyPatch.context() as patch:
        for variable in taken:
            patch.delenv(variable)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield taken


@pytest.fixture
def live(clean_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the environment for live tests, with the developer's own settings back; its module skips without."""
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(variable)
    for variable, value in clean_environment.items():
        monkeypatch.setenv(variable, value)
    return os.environ[LIVE]


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The main engine."""
    with servers.ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield Engine("ministack", url)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The second opinion; never for races."""
    with servers.moto(tmp_path_factory.mktemp("moto")) as url:
        yield Engine("moto", url)


@pytest.fixture(scope="session")
def ddblocal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Amazon's own engine, for whoever has accepted its licence."""
    directory = Path(os.environ[DDBLOCAL]).resolve()  # the tests' module skips without it
    with servers.dynamodb_local(tmp_path_factory.mktemp("ddblocal"), directory) as url:
        yield Engine("ddblocal", url, transaction_size=10)
