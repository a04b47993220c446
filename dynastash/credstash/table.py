"""The items of a credstash table in DynamoDB.

The calls are the ones that credstash's own IAM policies allow: Query, Scan, PutItem, DeleteItem. Unlike credstash's,
all reads are strongly consistent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from dynastash.aws.base import CallError, Operation, Transport
from dynastash.aws.paging import pages
from dynastash.aws.retry import patiently
from dynastash.clock import Clock, SystemClock
from dynastash.credstash.binding import MARKS
from dynastash.credstash.failures import foreign, table_error
from dynastash.credstash.items import Label, label_of
from dynastash.credstash.versions import spellings
from dynastash.errors import ConflictError
from dynastash.models import Item
from dynastash.stores.dynamodb_errors import malformed

_LISTED: Final = ("name", "version", "comment", MARKS)
_CONDITION: Final = "ConditionalCheckFailedException"


class Table:
    """The table ``table`` at the other end of ``transport``. Each call's failure is a :class:`StoreError`."""

    def __init__(self, transport: Transport, table: str, *, clock: Clock | None = None) -> None:
        self._transport = transport
        self._table = table
        self._clock = clock or SystemClock()

    @property
    def description(self) -> str:
        """The table and its Region."""
        return f"credstash table {self._table} in {self._transport.region}"

    def latest(self, name: str) -> Item | None:
        """The item that credstash serves: the one whose version sorts last as text. One Query."""
        request = {**self._of(name), "ScanIndexForward": False, "Limit": 1}
        return next(iter(self._items(self._call(Operation.QUERY, request))), None)

    def exact(self, name: str, version: int | str) -> Item | None:
        """The item of that version, padded or as it is given (:func:`~dynastash.credstash.versions.spellings`)."""
        for label in spellings(version):
            request = self._of(name, "#version = :version", {":version": {"S": label}})
            found = self._items(self._call(Operation.QUERY, request))
            if found:
                return found[0]
        return None

    def versions(self, name: str, *, whole: bool = False) -> Iterator[Item]:
        """The items of ``name`` in the order of their versions as text; without ``whole``, no contents and keys."""
        return self._pages(Operation.QUERY, self._of(name) if whole else _listed(self._of(name)))

    def labels(self) -> Iterator[Label]:
        """Every version of every name, in no order, without opening or transferring any. One paginated Scan."""
        return map(label_of, self._pages(Operation.SCAN, _listed({"TableName": self._table, "ConsistentRead": True})))

    def scan(self) -> Iterator[Item]:
        """Every item, in no order. One paginated Scan."""
        return self._pages(Operation.SCAN, {"TableName": self._table, "ConsistentRead": True})

    def create(self, item: Item) -> None:
        """Write ``item``; :class:`ConflictError` where its name has that version already, which stays as it is."""
        request = {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#name)",
            "ExpressionAttributeNames": {"#name": "name"},
        }
        self._put(request, "it exists already", "versions are not overwritten: choose another number")

    def replace(self, old: Item, new: Item) -> None:
        """Write ``new`` in the place of ``old``, of which it has name and version.

        Raises :class:`ConflictError` where that is not what is there any more.
        """
        request = {"TableName": self._table, "Item": new, **_unchanged(old)}
        self._put(request, "somebody else has changed it", "look at it and try again")

    def delete(self, item: Item) -> bool:
        """Delete ``item``, whatever stands there by now; False where that is nothing."""
        request = {
            "TableName": self._table,
            "Key": {"name": item["name"], "version": item["version"]},
            "ReturnValues": "ALL_OLD",
        }
        return bool(self._call(Operation.DELETE_ITEM, request).get("Attributes"))

    def remove(self, item: Item) -> None:
        """Delete ``item``; :class:`ConflictError` where that is not what is there any more."""
        key = {"name": item["name"], "version": item["version"]}
        request = {"TableName": self._table, "Key": key, **_unchanged(item)}
        try:
            patiently(self._transport, Operation.DELETE_ITEM, request, self._clock)
        except CallError as error:
            if error.code != _CONDITION:
                raise table_error(error, self.description) from error
            if error.uncertain and self._stored(item) is None:  # it was us
                return
            raise _lost(item, "somebody else has changed it", "look at it and try again") from error

    def _put(self, request: Mapping[str, Any], lost: str, hint: str) -> None:
        item: Item = request["Item"]
        try:
            patiently(self._transport, Operation.PUT_ITEM, request, self._clock)
        except CallError as error:
            if error.code != _CONDITION:
                raise table_error(error, self.description) from error
            # An attempt that was left open may have been carried out: its random key tells.
            if error.uncertain and self._stored(item) == item:
                return
            raise _lost(item, lost, hint) from error

    def _stored(self, item: Item) -> Item | None:
        label = label_of(item)
        request = self._of(label.name, "#version = :version", {":version": {"S": label.version}})
        return next(iter(self._items(self._call(Operation.QUERY, request))), None)

    def _of(self, name: str, condition: str = "", values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A Query for ``name``, and for what ``condition`` says of its version."""
        return {
            "TableName": self._table,
            "KeyConditionExpression": "#name = :name" + (f" AND {condition}" if condition else ""),
            "ExpressionAttributeNames": {"#name": "name", **({"#version": "version"} if condition else {})},
            "ExpressionAttributeValues": {":name": {"S": name}, **(values or {})},
            "ConsistentRead": True,
        }

    def _call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return patiently(self._transport, operation, request, self._clock)
        except CallError as error:
            raise table_error(error, self.description) from error

    def _pages(self, operation: Operation, request: Mapping[str, Any]) -> Iterator[Item]:
        for page in pages(partial(self._call, operation), request, lambda: malformed(self.description)):
            yield from self._items(page)

    def _items(self, reply: Mapping[str, Any]) -> list[Item]:
        """The items of an answer, of which no more is known than that they have the table's keys."""
        items = reply.get("Items")
        if not isinstance(items, list):
            raise malformed(self.description)
        for item in items:
            if not isinstance(item, Mapping) or not all(isinstance(value, Mapping) for value in item.values()):
                raise malformed(self.description)
            if not all(isinstance(item.get(key, {}).get("S"), str) for key in ("name", "version")):
                raise foreign(self.description)
        return items


def _listed(request: dict[str, Any]) -> dict[str, Any]:
    names = {f"#{attribute}": attribute for attribute in _LISTED}
    return {
        **request,
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": {**request.get("ExpressionAttributeNames", {}), **names},
    }


def _unchanged(item: Item) -> dict[str, Any]:
    """The condition that the sealed part of ``item`` is still there. An attribute that it lacks must be lacking."""
    names, values, parts = {}, {}, []
    for attribute in ("key", "contents", "hmac"):
        names[f"#{attribute}"] = attribute
        if attribute in item:
            values[f":{attribute}"] = item[attribute]
            parts.append(f"#{attribute} = :{attribute}")
        else:
            parts.append(f"attribute_not_exists(#{attribute})")
    return {
        "ConditionExpression": " AND ".join(parts),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def _lost(item: Item, why: str, hint: str) -> ConflictError:
    label = label_of(item)
    return ConflictError(f"version {label.version} of {label.name} was not written: {why}", hint=hint)
