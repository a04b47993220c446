"""What the faults and the crashes have found, each under its own name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynastash.aws.base import WRITES, CallError, Failure, Operation
from dynastash.aws.boto import BotoTransport
from dynastash.errors import StoreError, StoreNotFoundError
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.stores.sqlite import SQLiteStore
from dynastash.testing.contracts import first
from tests.engines.canned import Answer, canned, refusal
from tests.engines.engine import Engine


@pytest.mark.parametrize("body", [b'{"ConsumedCapacity":[{}', b"{garbage}", b"{}{}", b"[]", b""])
@pytest.mark.parametrize("operation", [*sorted(WRITES, key=str), Operation.DECRYPT])
def test_braces_alone_do_not_acknowledge_a_write(operation: Operation, body: bytes) -> None:
    """botocore takes a body that it cannot parse for an empty one, and that of a transaction for a commit."""
    with canned(Answer(200, body)) as server:
        transport = BotoTransport(Engine("canned", server.url).session(), endpoint_url=server.url)
        request = {
            Operation.TRANSACT_WRITE_ITEMS: {"TransactItems": [{"Delete": {"TableName": "t", "Key": {}}}]},
            Operation.UPDATE_ITEM: {"TableName": "t", "Key": {}},
            Operation.PUT_ITEM: {"TableName": "t", "Item": {}},
            Operation.DELETE_ITEM: {"TableName": "t", "Key": {}},
            Operation.DECRYPT: {"CiphertextBlob": b"x"},
        }[operation]
        with pytest.raises(CallError) as caught:
            transport.call(operation, request)
    assert caught.value.failure is Failure.AMBIGUOUS
    assert "garbage" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_damaged_schema_that_is_no_text_is_an_error_of_ours(tmp_path: Path) -> None:
    """SQLite quotes the damaged schema in its message, and Python raises a UnicodeDecodeError in its place."""
    path = tmp_path / "private" / "prod.db"
    store = SQLiteStore(path)
    store.commit(first("n"))
    store.close()
    content = path.read_bytes()
    assert content.count(b"CREATE TABLE heads") == 1
    path.write_bytes(content.replace(b"CREATE TABLE heads", b"CREATE \xff\xb7BLE heads"))
    with pytest.raises(StoreError, match="is damaged") as caught:
        SQLiteStore(path).newest("n")
    assert caught.value.code == "SQLITE_CORRUPT"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "message",
    [
        "Transaction request cannot include multiple operations on one item",
        "Provided list of item keys contains duplicates",
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ],
)
def test_a_table_without_our_sort_key_is_told(message: str) -> None:
    """Each item is named once: whoever sees it twice does not know half of its key."""
    with canned(refusal("ValidationException", message)) as server:
        transport = BotoTransport(Engine("canned", server.url).session(), endpoint_url=server.url)
        with pytest.raises(StoreNotFoundError, match="not a dynastash table"):
            DynamoDBStore(transport, "t").commit(first("n"))
