"""DynamoDB's answers: pages of 1 MB, conditions, transactions, and consumed capacity as AWS counts it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from bench.server import expressions
from bench.server.expressions import Names
from bench.server.refusals import Refused, invalid
from bench.server.table import Item, Keyed, Row, Table

TARGET: Final = "DynamoDB_20120810"
PAGE: Final = 1 << 20
BATCH: Final = 16 << 20
ITEM: Final = 400 << 10
_READ_UNIT: Final = 4096
_WRITE_UNIT: Final = 1024
READS: Final = frozenset(("Query", "Scan", "GetItem", "BatchGetItem"))

Request = Mapping[str, Any]


class Answer(NamedTuple):
    """A reply's body without its closing brace's neighbours, and what it cost."""

    body: str
    reads: float = 0.0
    writes: float = 0.0


class _Write(NamedTuple):
    """What one action would do: the row that is there, the one that shall be, and the condition's clauses."""

    table: Table
    key: tuple[Any, Any]
    before: Row | None
    after: Row | None
    holds: bool


class DynamoDB:
    """Some tables. One thread: whatever one answer does, it does at once."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self._done: dict[str, Answer] = {}
        self._actions: dict[str, Callable[[Request], Answer]] = {
            "CreateTable": self._create,
            "DescribeTable": self._describe,
            "Query": self._query,
            "Scan": self._scan,
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "PutItem": lambda request: self._single("Put", request),
            "UpdateItem": lambda request: self._single("Update", request),
            "DeleteItem": lambda request: self._single("Delete", request),
            "TransactWriteItems": self._transact,
        }

    def answer(self, action: str, request: Request) -> Answer:
        """The reply. Raises :class:`Refused`."""
        if action not in self._actions:
            raise Refused("UnknownOperationException", action)
        return self._actions[action](request)

    def load(self, name: str, items: Iterable[Item]) -> None:
        """Put ``items`` into a table, free of charge."""
        table = self._table({"TableName": name})
        for item in items:
            table.put(Row(item))

    def _table(self, request: Request) -> Table:
        found = self.tables.get(request["TableName"])
        if found is None:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return found

    def _create(self, request: Request) -> Answer:
        keys = [part["AttributeName"] for part in request["KeySchema"]]
        index = None
        for found in request.get("GlobalSecondaryIndexes") or ():
            index = (found["IndexName"], *(part["AttributeName"] for part in found["KeySchema"]))
        self.tables[request["TableName"]] = Table(keys[0], keys[1], index)
        return Answer(f'{{"TableDescription":{{"TableName":"{request["TableName"]}","TableStatus":"CREATING"}}}}')

    def _describe(self, request: Request) -> Answer:
        self._table(request)
        return Answer(f'{{"Table":{{"TableName":"{request["TableName"]}","TableStatus":"ACTIVE"}}}}')

    def _query(self, request: Request) -> Answer:
        table = self._table(request)
        source = self._source(table, request)
        if "KeyConditions" in request:
            clauses, names = expressions.legacy(request["KeyConditions"])
        else:
            clauses, names = expressions.condition(request["KeyConditionExpression"]), Names.of(request)
        own = [
            clause
            for clause in clauses
            if clause.operator == "=" and names.attribute(clause.attribute) == source.hash_key
        ]
        if len(own) != 1:
            raise invalid("Query condition missed key schema element")
        start = request.get("ExclusiveStartKey")
        rows = source.partition(
            expressions.comparable(names.value(own[0].operands[0])),
            forward=request.get("ScanIndexForward", True),
            after=source.key_of(start)[1] if start else None,
        )
        rest = [clause for clause in clauses if clause is not own[0]]
        return self._page(table, source, request, (row for row in rows if expressions.holds(rest, row.item, names)))

    def _scan(self, request: Request) -> Answer:
        table = self._table(request)
        source = self._source(table, request)
        start = request.get("ExclusiveStartKey")
        rows = source.scan(
            after=source.key_of(start) if start else None,
            segment=request.get("Segment", 0),
            segments=request.get("TotalSegments", 1),
        )
        return self._page(table, source, request, rows)

    def _source(self, table: Table, request: Request) -> Keyed:
        if "IndexName" not in request:
            return table
        if table.index is None or request["IndexName"] != table.index_name:
            raise invalid(f"The table does not have the specified index: {request['IndexName']}")
        if request.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes")
        return table.index

    def _page(self, table: Table, source: Keyed, request: Request, rows: Iterable[Row]) -> Answer:
        """The rows that fit into a page, filtered and projected, and where to go on."""
        names = Names.of(request)
        if request.get("ScanFilter") or request.get("QueryFilter"):
            filters, names = expressions.legacy(request.get("ScanFilter") or request["QueryFilter"])
        else:
            filters = expressions.condition(request["FilterExpression"]) if "FilterExpression" in request else ()
        limit = request.get("Limit") or math.inf
        size = evaluated = 0
        matching: list[Row] = []
        last: Row | None = None
        more = False
        for row in rows:
            if evaluated >= limit or (size + row.size > PAGE and evaluated):
                more = True
                break
            size += row.size
            evaluated += 1
            last = row
            if not filters or expressions.holds(filters, row.item, names):
                matching.append(row)
        more = more or evaluated >= limit
        units = _read_units(size, consistent=bool(request.get("ConsistentRead")))
        parts = [
            f'"Count":{len(matching)},"ScannedCount":{evaluated}',
            *([] if request.get("Select") == "COUNT" else [f'"Items":[{",".join(_shown(matching, request, names))}]']),
        ]
        if more and last is not None:
            following = Row({**source.attributes_of(last.item), **table.attributes_of(last.item)}).wire
            parts.append(f'"LastEvaluatedKey":{following}')
        return Answer("{" + ",".join([*parts, *_capacity(request, units)]) + "}", reads=units)

    def _get(self, request: Request) -> Answer:
        table = self._table(request)
        row = table.get(table.key_of(request["Key"]))
        units = _read_units(row.size if row else 0, consistent=bool(request.get("ConsistentRead")))
        parts = [f'"Item":{shown}' for shown in _shown([row] if row else [], request, Names.of(request))]
        return Answer("{" + ",".join([*parts, *_capacity(request, units)]) + "}", reads=units)

    def _batch_get(self, request: Request) -> Answer:
        asked = sum(len(wanted["Keys"]) for wanted in request["RequestItems"].values())
        if not 1 <= asked <= 100:
            raise invalid("Too many items requested for the BatchGetItem call")
        responses, unprocessed = [], []
        units = 0.0
        size = 0
        for name, wanted in request["RequestItems"].items():
            table = self._table({"TableName": name})
            keys = [table.key_of(key) for key in wanted["Keys"]]
            if len(set(keys)) < len(keys):
                raise invalid("Provided list of item keys contains duplicates")
            found: list[Row] = []
            left: list[Item] = []
            for key, given in zip(keys, wanted["Keys"], strict=True):
                row = table.get(key)
                if row is not None and size + row.size > BATCH:
                    left.append(given)
                    continue
                units += _read_units(row.size if row else 0, consistent=bool(wanted.get("ConsistentRead")))
                if row is not None:
                    size += row.size
                    found.append(row)
            responses.append(f'"{name}":[{",".join(_shown(found, wanted, Names.of(wanted)))}]')
            if left:
                unprocessed.append(f'"{name}":{Row({**wanted, "Keys": left}).wire}')
        body = f'"Responses":{{{",".join(responses)}}},"UnprocessedKeys":{{{",".join(unprocessed)}}}'
        total = [f'"ConsumedCapacity":[{{"CapacityUnits":{units}}}]'] if "ReturnConsumedCapacity" in request else []
        return Answer("{" + ",".join([body, *total]) + "}", reads=units)

    def _single(self, action: str, request: Request) -> Answer:
        write = self._intend(action, request)
        if not write.holds:
            raise Refused("ConditionalCheckFailedException", "The conditional request failed")
        units = self._carry_out(write)
        old = f'"Attributes":{write.before.wire}' if write.before and request.get("ReturnValues") == "ALL_OLD" else ""
        parts = [part for part in (old, *_capacity(request, units)) if part]
        return Answer("{" + ",".join(parts) + "}", writes=units)

    def _transact(self, request: Request) -> Answer:
        token = request.get("ClientRequestToken")
        if token and token in self._done:
            return self._done[token]
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        if not 1 <= len(actions) <= 100:
            raise invalid("Member must have length less than or equal to 100")
        writes = [self._intend(action, part) for action, part in actions]
        if any(count > 1 for count in Counter((id(write.table), write.key) for write in writes).values()):
            raise invalid("Transaction request cannot include multiple operations on one item")
        if not all(write.holds for write in writes):
            reasons = [{"Code": "None" if write.holds else "ConditionalCheckFailed"} for write in writes]
            codes = ", ".join(reason["Code"] for reason in reasons)
            raise Refused(
                "TransactionCanceledException",
                f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
                CancellationReasons=reasons,
            )
        units = sum(self._carry_out(write, factor=2) for write in writes)
        total = [f'"ConsumedCapacity":[{{"CapacityUnits":{units}}}]'] if "ReturnConsumedCapacity" in request else []
        done = Answer("{" + ",".join(total) + "}", writes=units)
        if token:
            self._done[token] = done
        return done

    def _intend(self, action: str, request: Request) -> _Write:
        table = self._table(request)
        names = Names.of(request)
        given = request["Item"] if action == "Put" else request["Key"]
        key = table.key_of(given)
        before = table.get(key)
        clauses = expressions.condition(request["ConditionExpression"]) if "ConditionExpression" in request else ()
        after: Row | None = before if action == "ConditionCheck" else None
        if action == "Put":
            after = Row(given)
        elif action == "Update":
            after = Row(_updated(before.item if before else given, request["UpdateExpression"], names))
        if after is not None and after.size > ITEM:
            raise invalid("Item size has exceeded the maximum allowed size")
        return _Write(table, key, before, after, expressions.holds(clauses, before.item if before else None, names))

    @staticmethod
    def _carry_out(write: _Write, factor: int = 1) -> float:
        """Do it, and the units that it costs; what an index takes is not doubled by a transaction."""
        table, before, after = write.table, write.before, write.after
        size = max(before.size if before else 0, after.size if after else 0)
        units = factor * max(1, math.ceil(size / _WRITE_UNIT))
        for row, other in ((before, after), (after, before)):
            own, others = table.indexed(row.item if row else None), table.indexed(other.item if other else None)
            # A changed entry costs one write; one that comes, goes or moves costs its own.
            if row is not None and own and (row is after or not others):
                units += max(1, math.ceil(row.size / _WRITE_UNIT))
        if after is None:
            table.delete(write.key)
        else:
            table.put(after)
        return float(units)


def _updated(item: Item, text: str, names: Names) -> Item:
    changed = dict(item)
    for attribute, value in expressions.update(text):
        if value is None:
            changed.pop(names.attribute(attribute), None)
        else:
            changed[names.attribute(attribute)] = names.value(value)
    return changed


def _shown(rows: list[Row], request: Request, names: Names) -> list[str]:
    if "ProjectionExpression" in request:
        wanted = [names.attribute(token) for token in expressions.projection(request["ProjectionExpression"])]
    elif "AttributesToGet" in request:
        wanted = request["AttributesToGet"]
    else:
        return [row.wire for row in rows]
    return [Row({name: row.item[name] for name in wanted if name in row.item}).wire for row in rows]


def _read_units(size: int, *, consistent: bool) -> float:
    return max(1, math.ceil(size / _READ_UNIT)) * (1.0 if consistent else 0.5)


def _capacity(request: Request, units: float) -> list[str]:
    if request.get("ReturnConsumedCapacity") not in ("TOTAL", "INDEXES"):
        return []
    return [f'"ConsumedCapacity":{{"TableName":"{request["TableName"]}","CapacityUnits":{units}}}']
