"""Each request of the DynamoDB store, word for word: what the table is asked decides what can be believed of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynastash.aws.base import Operation
from dynastash.errors import StoreError, StoreNotFoundError
from dynastash.models import WrappedKey
from dynastash.stores.base import Change, HeadMark, RecordKey
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import head_item, version_item
from dynastash.testing.fakes import FakeClock
from tests.engines.transports import ScriptedTransport, rejected

HEAD, ONE, TWO, THREE = head_item("a/b"), *(version_item("a/b", number) for number in (1, 2, 3))
NAME = {"#name": "name"}
PUBLIC = [
    "name",
    "record",
    "format",
    "suite",
    "version",
    "id",
    "created_at",
    "created_by",
    "key_id",
    "comment",
    "content_type",
    "expires_at",
    "context",
    "rewrapped_at",
    "destroyed_at",
    "destroyed_by",
    "ttl",
]
READ: dict[str, tuple[Callable[[DynamoDBStore], object], dict[str, Any], Operation, dict[str, Any]]] = {
    "newest": (
        lambda store: store.newest("a/b"),
        {"Items": []},
        Operation.QUERY,
        {
            "TableName": "t",
            "KeyConditionExpression": "#name = :name",
            "ExpressionAttributeNames": NAME,
            "ExpressionAttributeValues": {":name": {"S": "a/b"}},
            "ScanIndexForward": False,
            "Limit": 2,
            "ConsistentRead": True,
        },
    ),
    "fetch": (
        lambda store: store.fetch([RecordKey("a/b", "~head"), RecordKey("a/b", "~head"), RecordKey("c", "v#1")]),
        {"Responses": {"t": []}},
        Operation.BATCH_GET_ITEM,
        {
            "RequestItems": {
                "t": {
                    "Keys": [
                        {"name": {"S": "a/b"}, "record": {"S": "~head"}},
                        {"name": {"S": "c"}, "record": {"S": "v#1"}},
                    ],
                    "ConsistentRead": True,
                }
            }
        },
    ),
    "all heads": (
        lambda store: list(store.heads()),
        {"Items": []},
        Operation.SCAN,
        {"TableName": "t", "IndexName": "by-namespace"},
    ),
    "heads of a partition": (
        lambda store: list(store.heads("a/b")),
        {"Items": []},
        Operation.QUERY,
        {
            "TableName": "t",
            "IndexName": "by-namespace",
            "KeyConditionExpression": "#namespace = :namespace AND begins_with(#name, :prefix)",
            "ExpressionAttributeNames": {"#namespace": "namespace", "#name": "name"},
            "ExpressionAttributeValues": {":namespace": {"S": "a"}, ":prefix": {"S": "a/b"}},
        },
    ),
    "heads of a prefix": (
        lambda store: list(store.heads("a")),
        {"Items": []},
        Operation.SCAN,
        {
            "TableName": "t",
            "IndexName": "by-namespace",
            "FilterExpression": "begins_with(#name, :prefix)",
            "ExpressionAttributeNames": NAME,
            "ExpressionAttributeValues": {":prefix": {"S": "a"}},
        },
    ),
    "history": (
        lambda store: list(store.history("a/b")),
        {"Items": []},
        Operation.QUERY,
        {
            "TableName": "t",
            "KeyConditionExpression": "#name = :name AND begins_with(#record, :versions)",
            "ProjectionExpression": ", ".join(f"#{name}" for name in PUBLIC),
            "ExpressionAttributeNames": {f"#{name}": name for name in PUBLIC},
            "ExpressionAttributeValues": {":name": {"S": "a/b"}, ":versions": {"S": "v#"}},
            "ConsistentRead": True,
        },
    ),
    "scan": (
        lambda store: list(store.scan()),
        {"Items": []},
        Operation.SCAN,
        {"TableName": "t", "ConsistentRead": True},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_reads(name: str) -> None:
    """Strongly consistent wherever DynamoDB has that, which an index has not; every name an expression's."""
    call, reply, operation, request = READ[name]
    transport = ScriptedTransport(reply)
    call(DynamoDBStore(transport, "t", clock=FakeClock()))
    assert transport.requests == [(operation, request)]


def test_the_next_page_is_the_same_request_from_there_on() -> None:
    """And nothing else is asked of it."""
    start = {"name": {"S": "a/b"}, "record": {"S": "~head"}}
    transport = ScriptedTransport({"Items": [HEAD], "LastEvaluatedKey": start}, {"Items": []})
    assert list(DynamoDBStore(transport, "t").heads("a/b")) == [HEAD]
    expected = READ["heads of a partition"][3]
    assert [request for _, request in transport.requests] == [expected, {**expected, "ExclusiveStartKey": start}]


def _put(item: Any, condition: str) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": "t",
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": NAME,
        }
    }


def test_a_change() -> None:
    """The head only as it was read, new records only where there are none, others only where there is one."""
    transport = ScriptedTransport({})
    change = Change(
        head=HEAD,
        expected=HeadMark(7, 9),
        create=[ONE],
        tombstones=[TWO],
        delete=[RecordKey("a/b", "v#0000000003")],
        token="token",
    )
    DynamoDBStore(transport, "t", clock=FakeClock()).commit(change)
    head = {
        "Put": {
            "TableName": "t",
            "Item": HEAD,
            "ConditionExpression": "#last = :last AND #revision = :revision",
            "ExpressionAttributeNames": {"#last": "last", "#revision": "revision"},
            "ExpressionAttributeValues": {":last": {"N": "7"}, ":revision": {"N": "9"}},
        }
    }
    delete = {
        "Delete": {
            "TableName": "t",
            "Key": {"name": {"S": "a/b"}, "record": {"S": "v#0000000003"}},
            "ConditionExpression": "attribute_exists(#name)",
            "ExpressionAttributeNames": NAME,
        }
    }
    actions = [head, _put(ONE, "attribute_not_exists(#name)"), _put(TWO, "attribute_exists(#name)"), delete]
    assert transport.requests == [
        (Operation.TRANSACT_WRITE_ITEMS, {"TransactItems": actions, "ClientRequestToken": "token"})
    ]


def test_the_first_change() -> None:
    """A head where there is none."""
    transport = ScriptedTransport({})
    DynamoDBStore(transport, "t").commit(Change(head=HEAD, expected=None, token="token"))
    action = _put(HEAD, "attribute_not_exists(#name)")
    assert transport.requests == [
        (Operation.TRANSACT_WRITE_ITEMS, {"TransactItems": [action], "ClientRequestToken": "token"})
    ]


def test_another_wrapped_key() -> None:
    """Only where the record still has the old one, and its MAC."""
    transport = ScriptedTransport({})
    DynamoDBStore(transport, "t").replace_key(ONE, WrappedKey(b"new", "new key"), 5)
    assert transport.requests == [
        (
            Operation.UPDATE_ITEM,
            {
                "TableName": "t",
                "Key": {"name": {"S": "a/b"}, "record": {"S": "v#0000000001"}},
                "UpdateExpression": "SET #wrapped_key = :new, #key_id = :key_id, #rewrapped_at = :at",
                "ConditionExpression": "#wrapped_key = :old AND #mac = :mac",
                "ExpressionAttributeNames": {
                    "#wrapped_key": "wrapped_key",
                    "#key_id": "key_id",
                    "#rewrapped_at": "rewrapped_at",
                    "#mac": "mac",
                },
                "ExpressionAttributeValues": {
                    ":new": {"B": b"new"},
                    ":key_id": {"S": "new key"},
                    ":at": {"N": "5"},
                    ":old": ONE["wrapped_key"],
                    ":mac": ONE["mac"],
                },
            },
        )
    ]


@pytest.mark.parametrize(("count", "requests"), [(100, 1), (101, 2), (200, 2), (201, 3)])
def test_a_hundred_keys_at_a_time(count: int, requests: int) -> None:
    """As many as BatchGetItem takes."""
    transport = ScriptedTransport(*[{"Responses": {"t": []}}] * requests)
    assert DynamoDBStore(transport, "t").fetch([RecordKey("n", str(number)) for number in range(count)]) == {}
    sizes = [len(request["RequestItems"]["t"]["Keys"]) for _, request in transport.requests]
    assert sorted(sizes, reverse=True) == [100] * (count // 100) + ([count % 100] if count % 100 else [])


BATCH = {"Responses": {"t": []}}


@pytest.mark.parametrize(
    ("call", "reply", "kind"),
    [
        ("newest", {"Items": None}, StoreError),
        ("newest", {"Items": [{"record": {"S": "~head"}}]}, StoreError),
        ("newest", {"Items": [{"id": {"S": "somebody's"}}]}, StoreNotFoundError),
        ("newest", {"Items": ["text"]}, StoreNotFoundError),
        ("fetch", {}, StoreError),
        ("fetch", {**BATCH, "UnprocessedKeys": []}, StoreError),
        ("fetch", {**BATCH, "UnprocessedKeys": {"t": {"Keys": None}}}, StoreError),
        ("fetch", {**BATCH, "UnprocessedKeys": {"t": {"Keys": [{"name": {"S": "of nobody"}}]}}}, StoreError),
        ("fetch", {"Responses": {"t": [ONE]}}, StoreError),
        ("all heads", {"Items": [], "LastEvaluatedKey": "text"}, StoreError),
    ],
)
def test_what_cannot_be_an_answer_is_told_with_the_table(
    call: str, reply: dict[str, Any], kind: type[StoreError]
) -> None:
    """Somebody else's table from an answer that is none: only the former is not found."""
    with pytest.raises(StoreError, match=r"^table t in eu-west-1 ") as caught:
        READ[call][0](DynamoDBStore(ScriptedTransport(reply), "t", clock=FakeClock()))
    assert type(caught.value) is kind


def test_a_table_without_any_of_the_keys() -> None:
    """DynamoDB may leave its name out then."""
    assert DynamoDBStore(ScriptedTransport({"Responses": {}}), "t").fetch([RecordKey("n", "~head")]) == {}


def test_a_refusal_names_the_table() -> None:
    """Of each kind of call."""
    for call in (
        lambda store: store.newest("n"),
        lambda store: store.fetch([RecordKey("n", "~head")]),
        lambda store: store.commit(Change(head=HEAD, expected=None)),
        lambda store: store.replace_key(ONE, WrappedKey(b"new", "new key"), 5),
    ):
        error = rejected(Operation.QUERY, "ValidationException", "no such thing")
        with pytest.raises(StoreError, match="table t in eu-west-1"):
            call(DynamoDBStore(ScriptedTransport(error), "t", clock=FakeClock()))
