"""Items in one DynamoDB table (docs/format-v1.md, sections 4 and 6).

What the table answers is checked for its shape and for nothing else: it may be anybody's. Every attribute's name goes
through an expression name, because many are words of DynamoDB's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dynastash.aws.base import CallError, Operation, Transport
from dynastash.aws.errors import CONDITION_FAILED
from dynastash.aws.pipeline import Call, Pause, Work, carry_out, carry_out_many
from dynastash.aws.retry import patiently
from dynastash.aws.window import Window
from dynastash.backoff import Backoff
from dynastash.clock import Clock, SystemClock
from dynastash.crypto.transcript import is_map, transcript
from dynastash.errors import ConflictError, DynastashError, FormatError, InvalidArgumentError
from dynastash.models import Item, WrappedKey, namespace_of
from dynastash.stores.base import Change, RecordKey, Store
from dynastash.stores.dynamodb_errors import foreign, lost_race, malformed, store_error, throttled

INDEX: Final = "by-namespace"
"""The sparse index that holds the heads."""

TRANSACTION: Final = 100
"""Actions that AWS takes in one transaction. DynamoDB Local takes 10."""

_BATCH: Final = 100  # keys in one BatchGetItem
_BATCHES_AT_ONCE: Final = 8

# Whatever a version's metadata are read from; not its ciphertext, nor what only opens that.
_PUBLIC: Final = (
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
)


class DynamoDBStore:
    """The table ``table`` at the other end of ``transport``.

    ``transaction_size`` is the largest number of actions that the engine takes in a transaction. A change makes one
    for the head and one for each record, so whoever destroys or prunes more versions does it in several changes: a
    change that exceeds it is an :class:`InvalidArgumentError`.
    """

    def __init__(
        self, transport: Transport, table: str, *, clock: Clock | None = None, transaction_size: int = TRANSACTION
    ) -> None:
        self._transport = transport
        self._table = table
        self._clock = clock or SystemClock()
        self._transaction_size = transaction_size

    @property
    def description(self) -> str:
        """The table and its Region."""
        return f"table {self._table} in {self._transport.region}"

    @property
    def transaction_size(self) -> int:
        """The most actions that one change may make, the head's included."""
        return self._transaction_size

    def newest(self, name: str) -> Sequence[Item]:
        """The head and the newest version: one descending Query."""
        reply = self._call(
            Operation.QUERY,
            {
                "TableName": self._table,
                "KeyConditionExpression": "#name = :name",
                "ExpressionAttributeNames": _names("name"),
                "ExpressionAttributeValues": {":name": {"S": name}},
                "ScanIndexForward": False,
                "Limit": 2,
                "ConsistentRead": True,
            },
        )
        return self._items(reply.get("Items"))

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        """The items that exist among ``wanted``: 100 keys to a BatchGetItem, until none is left unprocessed.

        Up to eight of them are under way at once.
        """
        keys = list(dict.fromkeys(wanted))
        batches = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
        found: dict[RecordKey, Item] = {}
        if len(batches) == 1:
            return carry_out(self._fetching(batches[0]), self._transport, self._clock)
        works = map(self._fetching, batches)
        for part in carry_out_many(works, self._transport, self._clock, Window(_BATCHES_AT_ONCE)):
            if isinstance(part, DynastashError):
                raise part
            found |= part or {}
        return found

    def heads(self, prefix: str = "") -> Iterator[Item]:
        """From the index: one partition of it where ``prefix`` names one, by holding a slash; else all of it."""
        request: dict[str, Any] = {"TableName": self._table, "IndexName": INDEX}
        if "/" in prefix:
            request["KeyConditionExpression"] = "#namespace = :namespace AND begins_with(#name, :prefix)"
            request["ExpressionAttributeNames"] = _names("namespace", "name")
            request["ExpressionAttributeValues"] = {
                ":namespace": {"S": namespace_of(prefix)},
                ":prefix": {"S": prefix},
            }
            return self._pages(Operation.QUERY, request)
        if prefix:
            request["FilterExpression"] = "begins_with(#name, :prefix)"
            request["ExpressionAttributeNames"] = _names("name")
            request["ExpressionAttributeValues"] = {":prefix": {"S": prefix}}
        return iter(sorted(self._pages(Operation.SCAN, request), key=_name_bytes))

    def history(self, name: str) -> Iterator[Item]:
        """The public attributes of every version, oldest first."""
        return self._pages(
            Operation.QUERY,
            {
                "TableName": self._table,
                "KeyConditionExpression": "#name = :name AND begins_with(#record, :versions)",
                "ProjectionExpression": ", ".join(f"#{attribute}" for attribute in _PUBLIC),
                "ExpressionAttributeNames": _names(*_PUBLIC),
                "ExpressionAttributeValues": {":name": {"S": name}, ":versions": {"S": "v#"}},
                "ConsistentRead": True,
            },
        )

    def scan(self) -> Iterator[Item]:
        """A strongly consistent Scan of the table. DynamoDB returns a partition's items together, in order."""
        seen: set[str] = set()
        name: str | None = None
        for item in self._pages(Operation.SCAN, {"TableName": self._table, "ConsistentRead": True}):
            own = str(item["name"]["S"])
            if own != name:
                if own in seen:
                    raise malformed(self.description)
                seen.add(own)
                name = own
            yield item

    def commit(self, change: Change) -> None:
        """One transaction under the change's token.

        Where an attempt was left open, the same transaction is sent again; should it then lose, the table itself is
        asked whether it lost to this very change.
        """
        request = self._transaction(change)
        backoff = Backoff(self._clock)
        uncertain = False
        while True:
            try:
                patiently(self._transport, Operation.TRANSACT_WRITE_ITEMS, request, self._clock)
                return
            except CallError as error:
                error.uncertain = uncertain = uncertain or error.uncertain
                lost = lost_race(change, error.reasons)
                if lost is None:
                    raise store_error(error, self.description) from error
                if uncertain:
                    if self._holds(change):
                        return
                    # A conflict does not decide it: the other transaction may be our own first one, still under way.
                    if CONDITION_FAILED not in error.reasons and backoff.pause():
                        continue
                raise ConflictError(lost, hint="look at the secret and try again") from error

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        """One conditional UpdateItem."""
        key, old, mac = _key_of(item), item.get("wrapped_key"), item.get("mac")
        if key is None or old is None or mac is None:
            raise InvalidArgumentError("only the whole record of a live version has a key to replace")
        request = {
            "TableName": self._table,
            "Key": _key(key),
            "UpdateExpression": "SET #wrapped_key = :new, #key_id = :key_id, #rewrapped_at = :at",
            "ConditionExpression": "#wrapped_key = :old AND #mac = :mac",
            "ExpressionAttributeNames": _names("wrapped_key", "key_id", "rewrapped_at", "mac"),
            "ExpressionAttributeValues": {
                ":new": {"B": wrapped.blob},
                ":key_id": {"S": wrapped.key_id},
                ":at": {"N": str(at)},
                ":old": old,
                ":mac": mac,
            },
        }
        try:
            patiently(self._transport, Operation.UPDATE_ITEM, request, self._clock)
        except CallError as error:
            if error.code != "ConditionalCheckFailedException":
                raise store_error(error, self.description) from error
            stored = self.fetch([key]).get(key, {}) if error.uncertain else {}
            if (stored.get("wrapped_key"), stored.get("mac")) != ({"B": wrapped.blob}, mac):
                raise ConflictError(f"{key.record} of {key.name} has been changed by somebody else") from error

    def _call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return patiently(self._transport, operation, request, self._clock)
        except CallError as error:
            raise store_error(error, self.description) from error

    def _pages(self, operation: Operation, request: Mapping[str, Any]) -> Iterator[Item]:
        """The items of all pages; the next page is on its way while one is being used."""
        from dynastash.aws.paging import pages

        for page in pages(partial(self._call, operation), request, lambda: malformed(self.description)):
            yield from self._items(page.get("Items"))

    def _fetching(self, keys: Sequence[RecordKey]) -> Work[dict[RecordKey, Item]]:
        found: dict[RecordKey, Item] = {}
        waiting = set(keys)
        backoff = Backoff(self._clock)
        while True:
            asked = {"Keys": [_key(key) for key in keys if key in waiting], "ConsistentRead": True}
            try:
                reply = yield Call(Operation.BATCH_GET_ITEM, {"RequestItems": {self._table: asked}})
            except CallError as error:
                raise store_error(error, self.description) from error
            responses, unprocessed = reply.get("Responses"), reply.get("UnprocessedKeys", {})
            if not isinstance(responses, Mapping) or not isinstance(unprocessed, Mapping):
                raise malformed(self.description)
            for item in self._items(responses.get(self._table, [])):
                key = _key_of(item)
                if key is None or key not in waiting:
                    raise malformed(self.description)
                found[key] = item
            left = self._unprocessed(unprocessed.get(self._table), waiting)
            if not left:
                return found
            if len(left) < len(waiting):  # a full page rather than throttling: the patience starts anew
                backoff = Backoff(self._clock)
            waiting = left
            delay = backoff.delay()
            if delay is None:
                raise throttled(self.description)
            yield Pause(delay)

    def _unprocessed(self, part: object, waiting: set[RecordKey]) -> set[RecordKey]:
        if part is None:
            return set()
        keys = part.get("Keys") if isinstance(part, Mapping) else None
        if not isinstance(keys, list):
            raise malformed(self.description)
        left = [_key_of(key) for key in keys]
        if not waiting.issuperset(left):
            raise malformed(self.description)
        return {key for key in left if key is not None}

    def _items(self, items: object) -> list[Item]:
        if not isinstance(items, list):
            raise malformed(self.description)
        for item in items:
            if _key_of(item) is None:
                raise (malformed if isinstance(item, Mapping) and "record" in item else foreign)(self.description)
        return items

    def _transaction(self, change: Change) -> dict[str, Any]:
        actions = [self._put_head(change)]
        actions += [self._put(item, "attribute_not_exists(#name)") for item in change.create]
        actions += [self._put(item, "attribute_exists(#name)") for item in change.tombstones]
        actions += [self._delete(key) for key in change.delete]
        if len(actions) > self._transaction_size:
            raise InvalidArgumentError(
                f"a change of {len(actions)} records exceeds a transaction's {self._transaction_size}",
                hint="make it in several changes",
            )
        return {"TransactItems": actions, "ClientRequestToken": change.token}

    def _put_head(self, change: Change) -> dict[str, Any]:
        if change.expected is None:
            return self._put(change.head, "attribute_not_exists(#name)")
        return {
            "Put": {
                "TableName": self._table,
                "Item": change.head,
                "ConditionExpression": "#last = :last AND #revision = :revision",
                "ExpressionAttributeNames": _names("last", "revision"),
                "ExpressionAttributeValues": {
                    ":last": {"N": str(change.expected.last)},
                    ":revision": {"N": str(change.expected.revision)},
                },
            }
        }

    def _put(self, item: Item, condition: str) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": _names("name"),
            }
        }

    def _delete(self, key: RecordKey) -> dict[str, Any]:
        return {
            "Delete": {
                "TableName": self._table,
                "Key": _key(key),
                "ConditionExpression": "attribute_exists(#name)",
                "ExpressionAttributeNames": _names("name"),
            }
        }

    def _holds(self, change: Change) -> bool:
        """Whether the table holds what ``change`` writes, although its last attempt was refused.

        The random ids of created versions tell it for certain, whatever came later: a tombstone keeps them. A change
        without any is recognized only while nobody has changed the head again; after that, it counts as lost.
        """
        items = list(change.create) or [change.head]
        stored = self.fetch([key for item in items if (key := _key_of(item))])
        return all((key := _key_of(item)) is not None and _same(stored.get(key), item) for item in items)


def _names(*attributes: str) -> dict[str, str]:
    return {f"#{attribute}": attribute for attribute in attributes}


def _key(key: RecordKey) -> dict[str, Any]:
    return {"name": {"S": key.name}, "record": {"S": key.record}}


def _key_of(item: object) -> RecordKey | None:
    """Where ``item`` stands; None for anything that is not an item of such a table."""
    if not is_map(item) or not all(map(is_map, item.values())):
        return None
    name, record = item.get("name", {}).get("S"), item.get("record", {}).get("S")
    return RecordKey(name, record) if isinstance(name, str) and isinstance(record, str) else None


def _name_bytes(item: Item) -> bytes:
    return str(item["name"]["S"]).encode("utf-8", "surrogatepass")


def _same(stored: Item | None, written: Item) -> bool:
    """Whether ``stored`` came of writing ``written``: a version by its random id, a head as a whole."""
    if stored is None:
        return False
    if "id" in written:
        return stored.get("id") == written["id"]
    try:
        return transcript(b"", "", stored) == transcript(b"", "", written)
    except FormatError:
        return False


if TYPE_CHECKING:

    def _conforms(store: DynamoDBStore) -> Store:
        return store
