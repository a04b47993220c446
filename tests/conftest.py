"""Fixtures that all tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.engines.fixtures import clean_environment, ddblocal, live, ministack, moto

__all__ = ["clean_environment", "ddblocal", "interruptible", "live", "ministack", "moto"]


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
