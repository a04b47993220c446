"""The latency server answers as DynamoDB and KMS do, as far as clients of secrets can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bench.seeds import ENVIRONMENT, KEY, name_of, seed, value_of
from bench.server.process import Running, running
from dynastash.keys.base import KeyProvider
from dynastash.keys.kms import KmsKeys
from dynastash.stash.api import Stash
from dynastash.stores.base import Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.testing.contracts import (
    ConcurrentStoreContract,
    KeyProviderContract,
    StoreContract,
    TamperProofKeyProviderContract,
)
from tests.engines.engine import Engine

NO_DELAYS = [f"--{service}=0" for service in ("dynamodb", "kms", "sts")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("bench"), NO_DELAYS) as found:
        yield found


@pytest.fixture(scope="module")
def engine(server: Running) -> Engine:
    return Engine("bench", server.variables()["AWS_ENDPOINT_URL"])


class TestStore(StoreContract):
    """Conditions, transactions, pages, the index."""

    @pytest.fixture
    def store(self, engine: Engine) -> Store:
        return engine.store()


class TestConcurrentStore(ConcurrentStoreContract):
    """Callers with a store each."""

    @pytest.fixture
    def table(self, engine: Engine) -> str:
        return engine.create_table()

    @pytest.fixture
    def store(self, reopen: Callable[[], Store]) -> Store:
        return reopen()

    @pytest.fixture
    def reopen(self, engine: Engine, table: str) -> Callable[[], Store]:
        return lambda: DynamoDBStore(engine.transport, table)


class TestKeys(KeyProviderContract, TamperProofKeyProviderContract):
    """Contexts are checked, keys are told apart, and damage is noticed."""

    @pytest.fixture
    def keys(self, engine: Engine) -> KeyProvider:
        return KmsKeys(engine.transport, "alias/bench")


SCAN = "DynamoDB_20120810.Scan"
QUERY = "DynamoDB_20120810.Query"
CAPACITY = {"ReturnConsumedCapacity": "TOTAL"}


def fill(server: Running, name: str, *items: dict[str, object]) -> None:
    keys = [{"AttributeName": "name"}, {"AttributeName": "version"}]
    server.call("DynamoDB_20120810.CreateTable", {"TableName": name, "KeySchema": keys})
    server.control("load", {"table": name, "items": items})


def item(name: str, version: str, size: int) -> dict[str, object]:
    """An item of ``size`` bytes as DynamoDB counts them."""
    rest = size - len("name" + "version" + "value") - len(name) - len(version)
    return {"name": {"S": name}, "version": {"S": version}, "value": {"S": "x" * rest}}


@pytest.mark.parametrize(
    ("size", "consistent", "units"), [(4096, True, 1), (4097, True, 2), (20_000, True, 5), (20_000, False, 2.5)]
)
def test_reading_costs_a_unit_for_each_4_kib(server: Running, size: int, consistent: bool, units: float) -> None:
    """Half of one where the read is not consistent; the sum of a page's items is what is rounded up."""
    table = f"cost-{size}-{consistent}"
    fill(server, table, item("n", "1", size))
    reply = server.call(SCAN, {"TableName": table, "ConsistentRead": consistent, **CAPACITY})
    assert reply["ConsumedCapacity"]["CapacityUnits"] == units


def test_a_page_holds_one_megabyte_and_says_where_to_go_on(server: Running) -> None:
    """Every item comes once, whatever the page's end cuts through."""
    fill(server, "pages", *(item(f"n{number % 3}", f"{number:03d}", 100_000) for number in range(25)))
    start: dict[str, object] = {}
    found: list[tuple[str, str]] = []
    sizes = []
    while True:
        page = server.call(SCAN, {"TableName": "pages", **start})
        found += [(entry["name"]["S"], entry["version"]["S"]) for entry in page["Items"]]
        sizes.append(len(page["Items"]))
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sizes == [10, 10, 5]
    assert sorted(found) == sorted({(f"n{number % 3}", f"{number:03d}") for number in range(25)})
    names = [name for name, _ in found]
    assert names == sorted(names, key=names.index)  # a partition's items stand together


def test_a_query_goes_on_downwards_too(server: Running) -> None:
    """With the old conditions as with expressions, which clients of 2017 still send."""
    fill(server, "down", *(item("n", str(number), 100) for number in range(5)))
    old = {"name": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "n"}]}}
    new = {
        "KeyConditionExpression": "(#k = :v AND begins_with(version, :none))",
        "ExpressionAttributeNames": {"#k": "name"},
        "ExpressionAttributeValues": {":v": {"S": "n"}, ":none": {"S": ""}},
    }
    for conditions in ({"KeyConditions": old}, new):
        request = {"TableName": "down", "ScanIndexForward": False, "Limit": 2, **conditions}
        first = server.call(QUERY, request)
        second = server.call(QUERY, {**request, "ExclusiveStartKey": first["LastEvaluatedKey"]})
        versions = [entry["version"]["S"] for page in (first, second) for entry in page["Items"]]
        assert versions == ["4", "3", "2", "1"]


def test_a_reply_that_is_kept_does_not_outlive_a_write(server: Running) -> None:
    """Repeated reads are answered from bytes; a write makes them old."""
    fill(server, "kept", item("n", "1", 100))
    request = {"TableName": "kept"}
    assert server.call(SCAN, request)["Count"] == server.call(SCAN, request)["Count"] == 1
    server.call("DynamoDB_20120810.PutItem", {"TableName": "kept", "Item": item("n", "2", 100)})
    assert server.call(SCAN, request)["Count"] == 2


def test_a_condition_that_is_not_understood_is_refused(server: Running) -> None:
    """No write slips through a condition that nobody evaluated."""
    fill(server, "odd")
    request = {"TableName": "odd", "Item": item("n", "1", 100)}
    for condition in ("size(#n) > :v", "name = :a OR name = :b", "NOT name = :a", "(name = :a", "name ="):
        reply = server.call("DynamoDB_20120810.PutItem", {**request, "ConditionExpression": condition})
        assert reply["__type"].endswith("ValidationException"), condition
    assert server.call(SCAN, {"TableName": "odd"})["Count"] == 0


def test_the_seeds_are_what_dynastash_writes(server: Running, engine: Engine) -> None:
    """They open, they verify, and the books count the calls."""
    seed(server, "seeded", 12, 3)
    store, opener = DynamoDBStore(engine.transport, "seeded"), KmsKeys(engine.transport, KEY)
    stash = Stash(ENVIRONMENT, store, opener, identity=lambda: "bench")
    server.control("reset")
    assert stash.get(name_of(7)).text == value_of(7, 3)
    assert server.control("books")["calls"] == {"dynamodb:Query": 1, "kms:Decrypt": 1}
    assert stash.get(name_of(7), version=2).text == value_of(7, 2)
    assert {name: secret.text for name, secret in stash.get_many(prefix="").items()} == {
        name_of(number): value_of(number, 3) for number in range(12)
    }
    assert [(found.versions, list(found.findings)) for found in stash.verify()] == [(3, [])] * 12
