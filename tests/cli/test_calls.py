"""What each command asks of AWS, counted on an engine: a regression is seen without a clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.runner import Cli, on_aws
from tests.engines.engine import Engine
from tests.engines.transports import CountingTransport

pytestmark = pytest.mark.engine

READ_ONE = {"Query": 1, "Decrypt": 1}
CHANGE_ONE = {"Query": 1, "GetCallerIdentity": 1, "Decrypt": 1, "TransactWriteItems": 1}
WRITE_ONE = CHANGE_ONE | {"GenerateDataKey": 1}

CALLS = {
    "get app/a": READ_ONE,
    "get app/a --version 1": {"Query": 1, "BatchGetItem": 1, "Decrypt": 2},
    "get app/a@previous": {"Query": 1, "BatchGetItem": 1, "Decrypt": 2},
    "get app/a app/b -o json": {"BatchGetItem": 2, "Decrypt": 2},
    "get --prefix app/ -o json": {"Query": 1, "BatchGetItem": 1, "Decrypt": 4},  # that one is deleted says its seal
    "get gone": {"Query": 1},
    "list": {"Scan": 1},
    "list app/": {"Query": 1},
    "history app/a": {"BatchGetItem": 1, "Query": 1},
    "put app/new text": {"Query": 1, "GetCallerIdentity": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    "put app/a text": WRITE_ONE,
    "put app/a text --if-version 9": {"Query": 1, "GetCallerIdentity": 1, "Decrypt": 1},
    "generate app/new": {"Query": 1, "GetCallerIdentity": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    "rollback app/a": {
        "Query": 2,
        "BatchGetItem": 1,
        "GetCallerIdentity": 1,
        "GenerateDataKey": 1,
        "Decrypt": 3,
        "TransactWriteItems": 1,
    },
    "diff app/a 1": {"Query": 3, "BatchGetItem": 1, "Decrypt": 4},  # current is looked up first
    "delete app/a": CHANGE_ONE,
    "undelete app/deleted": CHANGE_ONE,
    "destroy app/a --version 1 --yes": {
        "Query": 1,
        "GetCallerIdentity": 1,
        "BatchGetItem": 1,
        "Decrypt": 1,
        "TransactWriteItems": 1,
    },
    "verify --structure-only": {"Scan": 1},
    "verify": {"Scan": 1, "Decrypt": 6},
    "export --sealed FILE": {"Scan": 1},
    "env": {},
    "completion bash": {},
    "--help": {},
}


@pytest.fixture
def counted(cli: Cli, ministack: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingTransport]:
    """An environment of three secrets and a deleted one, six versions in all, and its calls from then on."""
    transport = CountingTransport(ministack.direct.transport)
    on_aws(cli, ministack)
    for variable, value in cli.variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("dynastash.aws.choose.open_transport", lambda *_: transport)
    for name in ("app/a", "app/a", "app/a", "app/b", "app/c", "app/deleted"):
        cli.ok("put", name, given=b"value")
    cli.ok("delete", "app/deleted")
    transport.calls.clear()
    yield transport


@pytest.mark.parametrize("line", CALLS)
def test_calls_of(line: str, cli: Cli, counted: CountingTransport) -> None:
    """Each in a table of its own."""
    done = cli(*line.replace("FILE", str(cli.directory / "backup")).split())
    assert done.code in (0, 3, 6), done.err
    assert {operation.action: count for operation, count in counted.calls.items()} == CALLS[line]
