"""What the operations cost: calls to AWS, counted on a running engine. Counts do not flicker; times would."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from dynastash.aws.base import Operation
from dynastash.keys.kms import KmsKeys
from dynastash.rendering.jinja import JinjaTemplate
from dynastash.rendering.plain import PlainTemplate
from dynastash.stash.api import Stash
from dynastash.stores.base import Change, HeadMark
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import version_item
from tests.engines.engine import Engine
from tests.engines.transports import CountingTransport

pytestmark = pytest.mark.engine

CALLER = Operation.GET_CALLER_IDENTITY


class Counted:
    """A stash on an engine, and the count of its calls since :meth:`reset`."""

    def __init__(self, engine: Engine) -> None:
        self.transport = CountingTransport(engine.transport)
        self.table = engine.create_table()
        self.store = DynamoDBStore(self.transport, self.table)
        self.stash = self.client(engine.create_key())

    def client(self, key: str) -> Stash:
        """A stash as another process would have it."""
        self.key = key
        return Stash("prod", self.store, KmsKeys(self.transport, key), identity=lambda: "test")

    def fresh(self) -> Stash:
        """A stash that has seen nothing yet, with the counters at zero."""
        self.transport.calls.clear()
        self.transport.requests.clear()
        return self.client(self.key)

    @property
    def calls(self) -> dict[str, int]:
        return {operation.action: count for operation, count in Counter(self.transport.calls).items()}


@pytest.fixture
def counted(ministack: Engine) -> Counted:
    return Counted(ministack)


def test_get_is_one_read_and_one_decrypt(counted: Counted) -> None:
    """The head and the newest version come with one Query, and the version's key checks the head's seal too."""
    counted.stash.put("app1/db/password", "correct horse")
    assert counted.fresh().get("app1/db/password").text == "correct horse"
    assert counted.calls == {"Query": 1, "Decrypt": 1}


def test_get_of_a_version_is_two_reads_and_two_decrypts(counted: Counted) -> None:
    """Head and newest version, then the one asked for, with the current one if that is a third: it checks the seal."""
    for value in ("one", "two", "three"):
        counted.stash.put("n", value)
    assert counted.fresh().get("n", version=1).text == "one"
    assert counted.calls == {"Query": 1, "BatchGetItem": 1, "Decrypt": 2}


def test_the_first_put_is_a_read_a_new_key_and_a_transaction(counted: Counted) -> None:
    """Nothing is there to be checked."""
    counted.fresh().put("n", "one")
    assert counted.calls == {"Query": 1, "GenerateDataKey": 1, "TransactWriteItems": 1}


def test_put_is_three_requests_deep(ministack: Engine, counted: Counted) -> None:
    """Query, then Decrypt beside GenerateDataKey, then the transaction; the caller's name beside the Query.

    A pair that did not overlap would wait for its partner in vain.
    """
    counted.stash.put("n", "one")
    pairs = {
        Operation.QUERY: threading.Barrier(2),
        Operation.DECRYPT: threading.Barrier(2),
    }
    pairs[CALLER] = pairs[Operation.QUERY]
    pairs[Operation.GENERATE_DATA_KEY] = pairs[Operation.DECRYPT]

    class Paired(CountingTransport):
        def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
            if operation in pairs:
                pairs[operation].wait(timeout=20)
            return super().call(operation, request)

    transport = Paired(ministack.transport)
    stash = Stash(
        "prod",
        DynamoDBStore(transport, counted.table),
        KmsKeys(transport, counted.key),
        identity=lambda: str(transport.call(CALLER, {})["Arn"]),
    )
    assert stash.put("n", "two").number == 2
    assert transport.calls == {
        Operation.QUERY: 1,
        CALLER: 1,
        Operation.DECRYPT: 1,
        Operation.GENERATE_DATA_KEY: 1,
        Operation.TRANSACT_WRITE_ITEMS: 1,
    }


def test_list_of_a_thousand_secrets_reads_no_version(counted: Counted) -> None:
    """1,000 secrets × 10 versions: the listing reads the index, which holds the heads and nothing else."""
    counted.stash.put("bulk/0000", "the template of all others")
    head, newest = counted.store.newest("bulk/0000")
    client = counted.transport._inner._client("dynamodb")  # type: ignore[attr-defined]
    batch: list[dict[str, Any]] = []
    for number in range(1000):
        name = f"bulk/{number:04d}"
        batch.append({**head, "name": {"S": name}, "last": {"N": "10"}})
        batch += [version_item(name, version, ciphertext=newest["ciphertext"]) for version in range(1, 11)]
    for start in range(0, len(batch), 25):
        requests = [{"PutRequest": {"Item": item}} for item in batch[start : start + 25]]
        client.batch_write_item(RequestItems={counted.table: requests})

    listed = counted.fresh().list("bulk/")
    assert [info.name for info in listed] == [f"bulk/{number:04d}" for number in range(1000)]
    assert set(counted.calls) == {"Query"}
    assert all(request["IndexName"] == "by-namespace" for _, request in counted.transport.requests)
    # 1,000 heads of a few hundred bytes are one page, or few; 10,000 versions would be many.
    assert counted.calls["Query"] <= 3

    assert len(counted.fresh().list()) == 1000
    assert set(counted.calls) == {"Scan"}
    assert all(request["IndexName"] == "by-namespace" for _, request in counted.transport.requests)


def test_get_many_of_200_is_four_reads_and_200_decrypts(counted: Counted) -> None:
    """100 keys to a batch: two of heads, two of versions."""
    names = [f"many/{number:03d}" for number in range(200)]
    for name in names:
        counted.stash.put(name, f"value of {name}")
    found = counted.fresh().get_many(names)
    assert {name: secret.text for name, secret in found.items()} == {name: f"value of {name}" for name in names}
    assert counted.calls == {"BatchGetItem": 4, "Decrypt": 200}
    assert all(
        len(request["RequestItems"][counted.table]["Keys"]) == 100
        for operation, request in counted.transport.requests
        if operation is Operation.BATCH_GET_ITEM
    )

    by_prefix = counted.fresh().get_many(prefix="many/")
    assert list(by_prefix) == names
    assert counted.calls == {"Query": 1, "BatchGetItem": 2, "Decrypt": 200}


def test_history_transfers_no_ciphertext(counted: Counted) -> None:
    """One read of the head, one of the versions' public attributes, and no key."""
    for number in range(5):
        counted.stash.put("n", f"value {number}")
    history = counted.fresh().history("n")
    assert [version.number for version in history] == [1, 2, 3, 4, 5]
    assert counted.calls == {"BatchGetItem": 1, "Query": 1}
    assert all("ciphertext" not in item for item in counted.store.history("n"))


def test_rotate_is_two_commits(counted: Counted) -> None:
    """Staged, then promoted: in between, the current version stays what it was."""
    from dynastash.generate import Password

    counted.stash.generate("n", Password())
    counted.fresh().rotate("n")
    assert counted.calls["TransactWriteItems"] == 2
    assert counted.calls["GenerateDataKey"] == 1


def test_a_lost_race_is_repeated_from_the_read_on(counted: Counted) -> None:
    """Somebody else's version came between: read, mint, check and commit once more."""
    counted.stash.put("n", "one")
    other = counted.client(counted.key)
    racing = counted.fresh()
    commit = counted.store.commit

    class Meddled(DynamoDBStore):
        def commit(self, change: Change) -> None:
            if change.expected == HeadMark(1, 1):
                other_store_commit(change)
            else:
                commit(change)

    def other_store_commit(change: Change) -> None:
        other.put("n", "two")
        commit(change)

    racing._reader.store = Meddled(counted.transport, counted.table)
    assert racing.put("n", "three").number == 3
    assert [racing.get("n", version=number).text for number in (1, 2, 3)] == ["one", "two", "three"]


def test_render_is_two_reads_and_a_decrypt_for_each_secret(counted: Counted) -> None:
    """25 secrets, each named twice: a batch of heads, one of versions. Looking where they lead to decrypts nothing."""
    for number in range(25):
        counted.stash.put(f"app1/s{number:02d}", f"value {number}")
    names = [f"app1/s{number % 25:02d}" for number in range(50)]
    plain = PlainTemplate("\n".join(f"{{{{ dynastash://{name} }}}}" for name in names).encode())
    jinja = JinjaTemplate("\n".join(f'{{{{ secret("{name}") }}}}' for name in names).encode())
    for template in (plain, jinja):
        result = template.render(counted.fresh()).expose().decode()
        assert result.split("\n") == [f"value {number % 25}" for number in range(50)]
        assert counted.calls == {"BatchGetItem": 2, "Decrypt": 25}
        counted.fresh().locate([use.reference for use in template.uses])
        assert counted.calls == {"BatchGetItem": 2}
