"""What the faults and the crashes have found, each under its own name."""

from __future__ import annotations

import pytest

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.aws.boto import BotoTransport
from tests.engines.canned import Answer, canned
from tests.engines.engine import Engine


@pytest.mark.parametrize("body", [b'{"ConsumedCapacity":[{}', b"{garbage}", b"{}{}", b"[]", b""])
@pytest.mark.parametrize("operation", [Operation.TRANSACT_WRITE_ITEMS, Operation.UPDATE_ITEM, Operation.DECRYPT])
def test_braces_alone_do_not_acknowledge_a_write(operation: Operation, body: bytes) -> None:
    """botocore takes a body that it cannot parse for an empty one, and that of a transaction for a commit."""
    with canned(Answer(200, body)) as server:
        transport = BotoTransport(Engine("canned", server.url).session(), endpoint_url=server.url)
        request = {
            Operation.TRANSACT_WRITE_ITEMS: {"TransactItems": [{"Delete": {"TableName": "t", "Key": {}}}]},
            Operation.UPDATE_ITEM: {"TableName": "t", "Key": {}},
            Operation.DECRYPT: {"CiphertextBlob": b"x"},
        }[operation]
        with pytest.raises(CallError) as caught:
            transport.call(operation, request)
    assert caught.value.failure is Failure.AMBIGUOUS
    assert "garbage" not in str(caught.value)
    assert caught.value.__cause__ is None
