"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.fixtures import clean_environment, ddblocal, live, ministack, moto

_UNTRACED = ("bench", "faults", "fuzz", "history", "property")

__all__ = ["clean_environment", "ddblocal", "interruptible", "live", "ministack", "moto", "unprivileged", "unraisable"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where coverage is measured, long walks are left out: tracing slows them down, and they reach nothing new."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in _UNTRACED:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Signals reach the programs that tests start, also where the tests run in the background or under nohup.

    A shell that is not interactive starts background jobs with SIGINT and SIGQUIT ignored, nohup ignores SIGHUP, and
    children inherit that: a test that presses Ctrl-C would wait for ever.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    ignored = [number for number in usual if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def unraisable() -> None:
    """What a finalizer raises is no test's failure: SDK and emulators leave sockets to the garbage collector.

    The runner's own plugin for them is off: it turns them into warnings, and its filter against these can be half set
    up when another thread saves and restores the filters at that moment. It stays so to the end of the process, where
    the last of them are collected.
    """
    sys.unraisablehook = lambda _: None


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of its own, while permissions count: they mean nothing to root, who is nobody meanwhile.

    Not below the runner's directory, which only its owner may enter: opening that would change it under other tests.
    """
    directory = Path(tempfile.mkdtemp(prefix="dynastash-test-")).resolve()
    root = os.geteuid() == 0
    try:
        if root:
            closed = [parent for parent in directory.parents if parent.stat().st_mode & 0o001 == 0]
            if closed:
                pytest.skip(f"nobody but root may enter {closed[0]}; set TMPDIR to a directory that everybody may")
            os.chown(directory, 65534, 65534)
            os.seteuid(65534)
        yield directory
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(directory)
