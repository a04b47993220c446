"""What the DynamoDB store asks for, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynastash.aws.base import CallError, Operation
from dynastash.errors import (
    ConflictError,
    CredentialsError,
    InvalidArgumentError,
    StoreAccessDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreUnavailableError,
)
from dynastash.models import Item, WrappedKey
from dynastash.stores.base import Change, HeadMark, RecordKey
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import first, following, head_item, version_item
from dynastash.testing.fakes import FakeClock
from tests.engines.transports import ScriptedTransport, lost, rejected, throttled, unreachable

TRANSACT = Operation.TRANSACT_WRITE_ITEMS
HEAD = head_item("a/b")
ONE = version_item("a/b", 1)
KEY = RecordKey("a/b", "v#0000000001")
WRAPPED = WrappedKey(b"new", "new key")


def store(transport: ScriptedTransport, **options: Any) -> DynamoDBStore:
    """A store that never really waits."""
    return DynamoDBStore(transport, "t", clock=FakeClock(), **options)


def cancelled(*reasons: str, message: str = "") -> CallError:
    """A transaction that did not come about."""
    return rejected(TRANSACT, "TransactionCanceledException", message, reasons)


def batch(*items: Item, unprocessed: list[RecordKey] | None = None) -> dict[str, Any]:
    """A reply to BatchGetItem."""
    keys = [{"name": {"S": key.name}, "record": {"S": key.record}} for key in unprocessed or []]
    return {"Responses": {"t": list(items)}, "UnprocessedKeys": {"t": {"Keys": keys}} if keys else {}}


def asked(transport: ScriptedTransport) -> list[list[str]]:
    """The records that each BatchGetItem asked for."""
    return [[key["record"]["S"] for key in request["RequestItems"]["t"]["Keys"]] for _, request in transport.requests]


class TestReads:
    """Requests of the reading operations."""

    def test_it_says_which_table_and_where(self) -> None:
        """For messages."""
        assert store(ScriptedTransport()).description == "table t in eu-west-1"

    def test_newest_is_one_consistent_query(self) -> None:
        """Descending, two items."""
        transport = ScriptedTransport({"Items": [HEAD, ONE]})
        assert store(transport).newest("a/b") == [HEAD, ONE]
        ((operation, request),) = transport.requests
        assert operation is Operation.QUERY
        assert request["ConsistentRead"] is True
        assert request["ScanIndexForward"] is False
        assert request["Limit"] == 2

    def test_fetch_is_consistent_and_asks_for_each_key_once(self) -> None:
        """100 keys at a time; repetitions do not count."""
        keys = [RecordKey("n", f"v#{number:010d}") for number in range(250)]
        transport = ScriptedTransport(batch(), batch(), batch())
        assert store(transport).fetch([*keys, *keys]) == {}
        assert [len(records) for records in asked(transport)] == [100, 100, 50]
        assert [record for records in asked(transport) for record in records] == [key.record for key in keys]
        assert all(request["RequestItems"]["t"]["ConsistentRead"] is True for _, request in transport.requests)

    def test_fetch_goes_on_until_nothing_is_left(self) -> None:
        """What DynamoDB left unprocessed is asked for again, and only that."""
        two, three = version_item("a/b", 2), version_item("a/b", 3)
        keys = [RecordKey("a/b", f"v#{number:010d}") for number in (1, 2, 3)]
        transport = ScriptedTransport(
            batch(three, unprocessed=keys[:2]),
            batch(unprocessed=keys[:2]),
            batch(ONE, unprocessed=keys[1:2]),
            batch(two),
        )
        found = store(transport).fetch(keys)
        assert found == dict(zip(keys, [ONE, two, three], strict=True))
        assert asked(transport)[1:] == [["v#0000000001", "v#0000000002"]] * 2 + [["v#0000000002"]]

    def test_fetch_is_never_silently_partial(self) -> None:
        """Keys that stay unprocessed are an error in the end, not absent records."""
        clock = FakeClock()
        transport = ScriptedTransport(*[batch(unprocessed=[KEY])] * 1000)
        with pytest.raises(StoreUnavailableError, match="throttled"):
            DynamoDBStore(transport, "t", clock=clock).fetch([KEY])
        assert 25 < clock.monotonic() <= 30

    def test_progress_renews_the_patience(self) -> None:
        """Many large records take many pages: that is no throttling."""
        keys = [RecordKey("a/b", f"v#{number:010d}") for number in range(1, 101)]
        script = [
            batch(version_item("a/b", number), unprocessed=keys[number:]) for number in range(1, 101) for _ in range(1)
        ]
        clock = FakeClock()
        transport = ScriptedTransport(*script)
        assert set(DynamoDBStore(transport, "t", clock=clock).fetch(keys)) == set(keys)
        assert max(clock.slept) <= 0.05

    def test_heads_of_a_namespace_are_a_query_of_it(self) -> None:
        """A prefix with a slash names one partition of the index; a page is on its way while one is used, no more."""
        last = {"namespace": {"S": "a"}, "name": {"S": "a/b"}, "record": {"S": "~head"}}
        other = head_item("a/c")
        further = {"namespace": {"S": "a"}, "name": {"S": "a/c"}, "record": {"S": "~head"}}
        transport = ScriptedTransport(
            {"Items": [HEAD], "LastEvaluatedKey": last},
            {"Items": [other], "LastEvaluatedKey": further},
            {"Items": []},
        )
        heads = store(transport).heads("a/")
        assert transport.left == 3
        assert next(heads) == HEAD
        assert transport.left >= 1
        assert list(heads) == [other]
        (first_call, first_page), (_, second_page), _ = transport.requests
        assert first_call is Operation.QUERY
        assert first_page["IndexName"] == "by-namespace"
        assert first_page["ExpressionAttributeValues"] == {":namespace": {"S": "a"}, ":prefix": {"S": "a/"}}
        assert "ExclusiveStartKey" not in first_page
        assert second_page["ExclusiveStartKey"] == last

    @pytest.mark.parametrize("prefix", ["", "a"])
    def test_other_heads_are_a_scan_of_the_index(self, prefix: str) -> None:
        """All pages, the empty ones too, sorted by the names' bytes; never a scan of the table."""
        items = [head_item(name) for name in ("a/\U0001f511", "a/\ufb00", "a", "a1")]
        transport = ScriptedTransport(
            {"Items": items[:2], "LastEvaluatedKey": {"x": {"S": "1"}}},
            {"Items": [], "LastEvaluatedKey": {"x": {"S": "2"}}},
            {"Items": items[2:]},
        )
        names = [item["name"]["S"] for item in store(transport).heads(prefix)]
        assert names == ["a", "a/\ufb00", "a/\U0001f511", "a1"]
        assert {operation for operation, _ in transport.requests} == {Operation.SCAN}
        assert all(request["IndexName"] == "by-namespace" for _, request in transport.requests)
        assert all(("FilterExpression" in request) == bool(prefix) for _, request in transport.requests)

    def test_history_leaves_the_secret_part_where_it_is(self) -> None:
        """A consistent Query with a projection."""
        transport = ScriptedTransport({"Items": [ONE]})
        assert list(store(transport).history("a/b")) == [ONE]
        ((_, request),) = transport.requests
        projected = {request["ExpressionAttributeNames"][name] for name in request["ProjectionExpression"].split(", ")}
        assert projected >= {"created_at", "created_by", "destroyed_at", "destroyed_by", "rewrapped_at", "key_id"}
        assert projected >= {"context", "comment", "content_type", "expires_at", "version", "format"}
        assert not projected & {"ciphertext", "salt", "nonce", "mac", "wrapped_key"}
        assert request["ConsistentRead"] is True

    def test_throttling_is_waited_out(self) -> None:
        """Reads are tried again."""
        transport = ScriptedTransport(throttled(Operation.QUERY), lost(Operation.QUERY), {"Items": []})
        assert store(transport).newest("a") == []


class TestCommit:
    """One transaction, with conditions on everything."""

    @staticmethod
    def committed(change: Change) -> dict[str, Any]:
        """The request for ``change``."""
        transport = ScriptedTransport({})
        store(transport).commit(change)
        ((operation, request),) = transport.requests
        assert operation is TRANSACT
        return dict(request)

    def test_a_new_secret(self) -> None:
        """HEADNEW and VNEW, under the change's token."""
        change = first("a/b")
        request = self.committed(change)
        assert request["ClientRequestToken"] == change.token
        assert [action["Put"]["Item"] for action in request["TransactItems"]] == [change.head, *change.create]
        for action in request["TransactItems"]:
            assert action["Put"]["ConditionExpression"] == "attribute_not_exists(#name)"
            assert action["Put"]["ExpressionAttributeNames"] == {"#name": "name"}

    def test_a_changed_head(self) -> None:
        """HEADCAS compares both numbers."""
        head = self.committed(following("a/b", 3, 8))["TransactItems"][0]["Put"]
        assert head["ConditionExpression"] == "#last = :last AND #revision = :revision"
        assert head["ExpressionAttributeNames"] == {"#last": "last", "#revision": "revision"}
        assert head["ExpressionAttributeValues"] == {":last": {"N": "3"}, ":revision": {"N": "8"}}

    def test_tombstones_and_deletions(self) -> None:
        """Both want the record to be there."""
        change = Change(head=HEAD, expected=HeadMark(2, 2), tombstones=[ONE], delete=[RecordKey("a/b", "v#0000000002")])
        _, tombstone, deletion = self.committed(change)["TransactItems"]
        assert tombstone["Put"]["Item"] == ONE
        assert tombstone["Put"]["ConditionExpression"] == "attribute_exists(#name)"
        assert deletion["Delete"]["Key"] == {"name": {"S": "a/b"}, "record": {"S": "v#0000000002"}}
        assert deletion["Delete"]["ConditionExpression"] == "attribute_exists(#name)"

    @pytest.mark.parametrize(("size", "fits"), [(4, True), (3, False)])
    def test_a_change_that_no_transaction_holds(self, size: int, fits: bool) -> None:
        """Refused before anything is sent: the caller makes several of it."""
        change = Change(head=HEAD, expected=HeadMark(1, 1), delete=[RecordKey("a", f"v#{i:010d}") for i in range(3)])
        transport = ScriptedTransport({})
        limited = store(transport, transaction_size=size)
        assert limited.transaction_size == size
        if fits:
            limited.commit(change)
        else:
            with pytest.raises(InvalidArgumentError, match="4 records"):
                limited.commit(change)
        assert transport.left == (0 if fits else 1)

    def test_aws_takes_a_hundred_actions(self) -> None:
        """The limit without any setting."""
        keys = [RecordKey("a", f"v#{number:010d}") for number in range(1, 101)]
        assert len(self.committed(Change(head=HEAD, expected=HeadMark(1, 1), delete=keys[:99]))["TransactItems"]) == 100
        with pytest.raises(InvalidArgumentError):
            store(ScriptedTransport()).commit(Change(head=HEAD, expected=HeadMark(1, 1), delete=keys))

    @pytest.mark.parametrize(
        ("change", "reasons", "said"),
        [
            (first("a/b"), ("ConditionalCheckFailed", "None"), "a/b exists already"),
            (following("a/b", 1, 1), ("ConditionalCheckFailed", "None"), "a/b has been changed by somebody else"),
            (
                following("a/b", 1, 1),
                ("ConditionalCheckFailed", "ConditionalCheckFailed"),
                "a/b has been changed by somebody else",
            ),
            (following("a/b", 1, 1), ("None", "ConditionalCheckFailed"), "version 2 of a/b exists already"),
            (
                Change(head=HEAD, expected=HeadMark(1, 1), tombstones=[ONE], delete=[RecordKey("a/b", "v#0000000002")]),
                ("None", "ConditionalCheckFailed", "None"),
                "version 1 of a/b does not exist",
            ),
            (
                Change(head=HEAD, expected=HeadMark(1, 1), tombstones=[ONE], delete=[RecordKey("a/b", "odd")]),
                ("None", "None", "ConditionalCheckFailed"),
                "record odd of a/b does not exist",
            ),
            (first("a/b"), ("TransactionConflict", "None"), "a/b is being changed by somebody else"),
        ],
    )
    def test_a_lost_race_says_to_what(self, change: Change, reasons: tuple[str, ...], said: str) -> None:
        """Reported at once: the caller reads again and decides. Nothing is read here."""
        transport = ScriptedTransport(cancelled(*reasons))
        with pytest.raises(ConflictError, match=f"^{said}$"):
            store(transport).commit(change)
        assert len(transport.requests) == 1

    def test_throttling_inside_the_transaction_is_waited_out(self) -> None:
        """With the same body and the same token."""
        transport = ScriptedTransport(throttled(TRANSACT), throttled(TRANSACT), {})
        store(transport).commit(first("a/b"))
        assert transport.requests[0] == transport.requests[1] == transport.requests[2]

    def test_a_lost_reply_is_asked_for_with_the_same_request(self) -> None:
        """The token makes the repetition harmless."""
        transport = ScriptedTransport(lost(TRANSACT), {})
        store(transport).commit(first("a/b"))
        assert transport.requests[0] == transport.requests[1]

    def test_after_a_lost_reply_the_table_tells_who_won(self) -> None:
        """Our version's id is there: the refusal was of the repetition alone."""
        change = following("a/b", 1, 1)
        transport = ScriptedTransport(lost(TRANSACT), cancelled("ConditionalCheckFailed"), batch(*change.create))
        store(transport).commit(change)
        assert transport.requests[2][1]["RequestItems"]["t"]["ConsistentRead"] is True

    def test_a_tombstone_of_our_version_is_our_version(self) -> None:
        """It was written, and destroyed since: the commit took place."""
        change = following("a/b", 1, 1)
        tombstone = {**version_item("a/b", 2), "id": change.create[0]["id"], "destroyed_at": {"N": "1"}}
        del tombstone["ciphertext"]
        store(ScriptedTransport(lost(TRANSACT), cancelled("ConditionalCheckFailed"), batch(tombstone))).commit(change)

    @pytest.mark.parametrize("stored", [[], [version_item("a/b", 2)]], ids=["nothing", "somebody else's"])
    def test_after_a_lost_reply_somebody_else_may_have_won(self, stored: list[Item]) -> None:
        """Another id, or none."""
        transport = ScriptedTransport(lost(TRANSACT), cancelled("ConditionalCheckFailed"), batch(*stored))
        with pytest.raises(ConflictError):
            store(transport).commit(following("a/b", 1, 1))

    def test_a_change_of_the_head_alone_is_known_by_the_head(self) -> None:
        """As DynamoDB compares it: the order of a set does not matter."""
        change = Change(head={**HEAD, "destroyed": {"NS": ["1", "2"]}}, expected=HeadMark(1, 1))
        same = {**HEAD, "destroyed": {"NS": ["2", "1"]}}
        store(ScriptedTransport(lost(TRANSACT), cancelled("ConditionalCheckFailed"), batch(same))).commit(change)

    @pytest.mark.parametrize(
        "stored",
        [
            {**HEAD, "revision": {"N": "2"}},
            {**HEAD, "revision": {"N": "1.0"}},
            {"name": {"S": "a/b"}, "record": {"S": "~head"}},
        ],
        ids=["later", "not canonical", "bare"],
    )
    def test_another_head_is_not_ours(self, stored: Item) -> None:
        """A head that came later, or one that is no head at all."""
        transport = ScriptedTransport(lost(TRANSACT), cancelled("ConditionalCheckFailed"), batch(stored))
        with pytest.raises(ConflictError):
            store(transport).commit(Change(head=HEAD, expected=HeadMark(1, 1)))

    def test_a_conflict_after_a_lost_reply_may_be_with_ourselves(self) -> None:
        """Our first attempt can still be under way: ask again until it is decided."""
        change = first("a/b")
        conflict = cancelled("TransactionConflict", "None")
        transport = ScriptedTransport(lost(TRANSACT), conflict, batch(), conflict, batch(), {})
        store(transport).commit(change)
        sent = [request for operation, request in transport.requests if operation is TRANSACT]
        assert len(sent) == 4
        assert all(request == sent[0] for request in sent)

    def test_a_conflict_after_a_lost_reply_that_lasts(self) -> None:
        """Given up with the race counted as lost, after half a minute."""
        conflict = cancelled("TransactionConflict", "None")
        transport = ScriptedTransport(lost(TRANSACT), *[conflict, batch()] * 1000)
        with pytest.raises(ConflictError):
            store(transport).commit(first("a/b"))
        assert transport.left > 0

    @pytest.mark.parametrize("error", [lost, unreachable], ids=["silent", "unreachable"])
    def test_an_outcome_that_stays_open_is_said_to_be_open(self, error: Callable[[Operation], CallError]) -> None:
        """Nobody should take it for a failure."""
        transport = ScriptedTransport(lost(TRANSACT), *[error(TRANSACT) for _ in range(1000)])
        with pytest.raises(StoreUnavailableError, match="may have been made") as caught:
            store(transport).commit(first("a/b"))
        assert "look at the secret" in (caught.value.hint or "")

    def test_credentials_that_expire_are_named_so(self) -> None:
        """Errors of the configuration pass through."""
        with pytest.raises(CredentialsError):
            store(ScriptedTransport(CredentialsError("expired"))).commit(first("a/b"))


class TestReplaceKey:
    """Rewrap's one conditional update."""

    def test_it_is_conditional_on_wrapping_and_mac(self) -> None:
        """And sets three attributes."""
        transport = ScriptedTransport({})
        store(transport).replace_key(ONE, WRAPPED, 1234)
        ((operation, request),) = transport.requests
        assert operation is Operation.UPDATE_ITEM
        assert request["ConditionExpression"] == "#wrapped_key = :old AND #mac = :mac"
        values = request["ExpressionAttributeValues"]
        assert (values[":old"], values[":mac"]) == (ONE["wrapped_key"], ONE["mac"])
        assert (values[":new"], values[":key_id"], values[":at"]) == ({"B": b"new"}, {"S": "new key"}, {"N": "1234"})

    def test_after_a_lost_reply_the_table_tells(self) -> None:
        """Our wrapping is there."""
        failed = rejected(Operation.UPDATE_ITEM, "ConditionalCheckFailedException")
        ours = {**ONE, "wrapped_key": {"B": b"new"}}
        store(ScriptedTransport(lost(Operation.UPDATE_ITEM), failed, batch(ours))).replace_key(ONE, WRAPPED, 1)

    @pytest.mark.parametrize("stored", [[], [{**ONE, "wrapped_key": {"B": b"else"}}]], ids=["gone", "somebody else's"])
    def test_after_a_lost_reply_it_may_be_lost(self, stored: list[Item]) -> None:
        """Another wrapping, or no record."""
        failed = rejected(Operation.UPDATE_ITEM, "ConditionalCheckFailedException")
        transport = ScriptedTransport(lost(Operation.UPDATE_ITEM), failed, batch(*stored))
        with pytest.raises(ConflictError, match="changed by somebody else"):
            store(transport).replace_key(ONE, WRAPPED, 1)

    def test_a_plain_refusal_reads_nothing(self) -> None:
        """Without a lost reply there is no doubt."""
        transport = ScriptedTransport(rejected(Operation.UPDATE_ITEM, "ConditionalCheckFailedException"))
        with pytest.raises(ConflictError):
            store(transport).replace_key(ONE, WRAPPED, 1)

    def test_other_failures_are_the_stores(self) -> None:
        """Being denied, for one."""
        transport = ScriptedTransport(rejected(Operation.UPDATE_ITEM, "AccessDeniedException"))
        with pytest.raises(StoreAccessDeniedError, match="dynamodb:UpdateItem"):
            store(transport).replace_key(ONE, WRAPPED, 1)

    @pytest.mark.parametrize("missing", ["name", "wrapped_key", "mac"])
    def test_half_a_record_has_no_key_to_replace(self, missing: str) -> None:
        """What history shows is not enough."""
        item = {name: value for name, value in ONE.items() if name != missing}
        with pytest.raises(InvalidArgumentError):
            store(ScriptedTransport()).replace_key(item, WRAPPED, 1)


READS: list[Callable[[DynamoDBStore], object]] = [
    lambda it: it.newest("a/b"),
    lambda it: list(it.history("a/b")),
    lambda it: list(it.heads("a/")),
    lambda it: list(it.heads()),
]


class TestHostileReplies:
    """A table may answer anything; what comes out is a StoreError."""

    @pytest.mark.parametrize("read", READS, ids=["newest", "history", "query", "scan"])
    @pytest.mark.parametrize(
        "reply",
        [
            {},
            {"Items": None},
            {"Items": {}},
            {"Items": [None]},
            {"Items": ["x"]},
            {"Items": [{"name": {"S": "a/b"}, "record": {"S": 5}}]},
            {"Items": [{"name": "a/b", "record": {"S": "~head"}}]},
            {"Items": [{"record": {"S": "~head"}}]},
            {"Items": [{**HEAD, "tags": ["x"]}]},
        ],
        ids=repr,
    )
    def test_items_of_no_shape(self, read: Callable[[DynamoDBStore], object], reply: dict[str, Any]) -> None:
        """Neither lists nor items nor keys."""
        with pytest.raises(StoreError):
            read(store(ScriptedTransport(reply)))

    @pytest.mark.parametrize("read", READS, ids=["newest", "history", "query", "scan"])
    def test_items_of_another_table(self, read: Callable[[DynamoDBStore], object]) -> None:
        """credstash's have a version instead of a record."""
        theirs = {"name": {"S": "a/b"}, "version": {"S": "0000000000000000001"}, "contents": {"S": "…"}}
        with pytest.raises(StoreNotFoundError, match="not a dynastash table"):
            read(store(ScriptedTransport({"Items": [theirs]})))

    @pytest.mark.parametrize("read", READS[1:], ids=["history", "query", "scan"])
    @pytest.mark.parametrize("key", ["x", {"a": {"S": "1"}}], ids=["no key", "the same key"])
    def test_pages_without_end(self, read: Callable[[DynamoDBStore], object], key: object) -> None:
        """A page that leads to itself is noticed."""
        page = {"Items": [], "LastEvaluatedKey": key}
        with pytest.raises(StoreError, match="malformed"):
            read(store(ScriptedTransport(page, page, page)))

    @pytest.mark.parametrize(
        "reply",
        [
            {},
            {"Responses": []},
            {"Responses": {"t": None}},
            {"Responses": {"t": [{}]}},
            {"Responses": {"t": [HEAD]}},
            {"Responses": {}, "UnprocessedKeys": []},
            {"Responses": {}, "UnprocessedKeys": {"t": []}},
            {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": "x"}}},
            {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": ["x"]}}},
            {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [{"name": {"S": "a"}, "record": {"S": "other"}}]}}},
        ],
        ids=repr,
    )
    def test_batches_of_no_shape(self, reply: dict[str, Any]) -> None:
        """Nor records and keys that nobody asked for."""
        with pytest.raises(StoreError):
            store(ScriptedTransport(reply)).fetch([KEY])


class TestErrors:
    """AWS's refusals as the store's."""

    @pytest.mark.parametrize(
        ("operation", "code", "message", "kind", "said", "hinted"),
        [
            (
                Operation.QUERY,
                "ResourceNotFoundException",
                "Requested resource not found",
                StoreNotFoundError,
                "table t in eu-west-1 does not exist",
                "dynastash deploy",
            ),
            (
                Operation.QUERY,
                "ValidationException",
                "The table does not have the specified index: by-namespace",
                StoreNotFoundError,
                "not a dynastash table",
                "dynastash deploy",
            ),
            (
                Operation.QUERY,
                "ResourceNotFoundException",
                "Requested resource not found: The table does not have the specified index",
                StoreNotFoundError,
                "not a dynastash table",
                "dynastash deploy",
            ),
            (
                Operation.QUERY,
                "ValidationException",
                "Query condition missed key schema element: id",
                StoreNotFoundError,
                "not a dynastash table",
                "check the table's name",
            ),
            (
                Operation.BATCH_GET_ITEM,
                "ValidationException",
                "The provided key element does not match the schema",
                StoreNotFoundError,
                "not a dynastash table",
                "check the table's name",
            ),
            (
                TRANSACT,
                "TransactionCanceledException",
                "One or more parameter values were invalid: Missing the key version in the item",
                StoreNotFoundError,
                "not a dynastash table",
                "check the table's name",
            ),
            (
                TRANSACT,
                "TransactionCanceledException",
                "One or more parameter values were invalid: Type mismatch for key version expected: S actual: N",
                StoreNotFoundError,
                "not a dynastash table",
                "check the table's name",
            ),
            (
                Operation.QUERY,
                "AccessDeniedException",
                "User: arn:aws:iam::1:user/ada is not authorized to perform: dynamodb:Query on resource: "
                "arn:aws:dynamodb:eu-west-1:1:table/t because no identity-based policy allows the action",
                StoreAccessDeniedError,
                "dynamodb:Query is denied on table t in eu-west-1: no identity-based policy allows",
                "allow dynamodb:Query",
            ),
            (
                TRANSACT,
                "AccessDeniedException",
                "User: x is not authorized to perform: dynamodb:PutItem on resource: y",
                StoreAccessDeniedError,
                "dynamodb:PutItem is denied",
                "allow dynamodb:PutItem",
            ),
            (Operation.SCAN, "AccessDeniedException", "", StoreAccessDeniedError, "dynamodb:Scan is denied", "Scan"),
            (
                TRANSACT,
                "ValidationException",
                "Item size has exceeded the maximum allowed size",
                StoreError,
                "TransactWriteItems failed on table t in eu-west-1: Item size has exceeded",
                "",
            ),
            (TRANSACT, "IdempotentParameterMismatchException", "", StoreError, "IdempotentParameterMismatch", ""),
        ],
    )
    def test_refusals(
        self, operation: Operation, code: str, message: str, kind: type[StoreError], said: str, hinted: str
    ) -> None:
        """The error's type, AWS's code, which table, and what to do."""
        it = store(ScriptedTransport(rejected(operation, code, message)))
        with pytest.raises(StoreError) as caught:
            {
                Operation.QUERY: lambda: list(it.heads("a/")),
                Operation.SCAN: lambda: list(it.heads()),
                Operation.BATCH_GET_ITEM: lambda: it.fetch([KEY]),
                TRANSACT: lambda: it.commit(first("a/b")),
            }[operation]()
        assert type(caught.value) is kind
        assert said in str(caught.value)
        assert hinted in (caught.value.hint or "")
        assert caught.value.code == code

    @pytest.mark.parametrize(
        ("error", "said"),
        [(throttled, "is throttled"), (lost, "does not answer"), (unreachable, "is out of reach: could not connect")],
    )
    def test_patience_that_ends(self, error: Callable[[Operation], CallError], said: str) -> None:
        """A read leaves nothing open, whatever failed."""
        transport = ScriptedTransport(*[error(Operation.QUERY) for _ in range(1000)])
        with pytest.raises(StoreUnavailableError, match=said) as caught:
            store(transport).newest("a/b")
        assert caught.value.code
        assert caught.value.hint
        assert "may have been made" not in str(caught.value)
