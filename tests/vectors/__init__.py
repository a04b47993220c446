"""Known-answer files of record format v1, and the reader that runs them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynastash.crypto import envelope, records
from dynastash.crypto.transcript import MAX_DEPTH
from dynastash.errors import DynastashError, FormatError
from dynastash.models import DataKey, Item, State, check_environment

PUBLISHED = Path(__file__).with_name("format-v1.json")


def load_item(item: Any) -> Item:
    """A vector's item with base64 turned into bytes wherever DynamoDB would have binary.

    What cannot be turned (a text retyped to B, say) stays as it is, for the decoder to refuse.
    """

    def binary(content: Any) -> Any:
        try:
            return base64.b64decode(content, validate=True)
        except (TypeError, ValueError):
            return content

    def attribute(value: Any, depth: int) -> Any:
        if not isinstance(value, dict) or len(value) != 1 or depth > MAX_DEPTH + 1:
            return value
        ((kind, content),) = value.items()
        if kind == "B":
            return {"B": binary(content)}
        if kind == "BS" and isinstance(content, list):
            return {"BS": [binary(member) for member in content]}
        if kind == "M" and isinstance(content, dict):
            return {"M": {key: attribute(member, depth + 1) for key, member in content.items()}}
        if kind == "L" and isinstance(content, list):
            return {"L": [attribute(member, depth + 1) for member in content]}
        return value

    return {key: attribute(value, 0) for key, value in item.items()} if isinstance(item, dict) else item


def run_version(case: dict[str, Any]) -> str | None:
    """None if the case comes out as it says; else what went wrong."""
    try:
        data_key = DataKey(bytes.fromhex(case["data_key"]))
        environment = check_environment(case["env"])
        _, value, _ = envelope.open_version(
            environment, case["name"], case["version"], load_item(case["item"]), data_key
        )
    except DynastashError as error:
        return None if case["result"] == "reject" else f"refused: {error}"
    if case["result"] != "ok":
        return "accepted"
    return None if value.expose() == base64.b64decode(case["value"]) else "opened to another value"


def run_head(case: dict[str, Any]) -> str | None:
    """None if the case comes out as it says; else what went wrong."""
    try:
        data_key = DataKey(bytes.fromhex(case["data_key"]))
        environment = check_environment(case["env"])
        record = records.decode_version(load_item(case["item"]))
        record, _, keys = envelope.open_version(environment, case["name"], record.number, record.item, data_key)
        item = load_item(case["head"])
        head = records.decode_head(item)
        if head.name != case["name"]:
            return None if case["result"] == "reject" else "the head is another secret's"
        # A destroyed secret has no version left to seal its head under: being well-formed is all there is to check.
        if head.state is not State.DESTROYED:
            if head.sealing_version != record.number:
                return None if case["result"] == "reject" else "the head is sealed under another version"
            envelope.check_seal(environment, head, item, keys)
    except DynastashError as error:
        return None if case["result"] == "reject" else f"refused: {error}"
    return None if case["result"] == "ok" else "accepted"


def cases(path: Path) -> Iterator[tuple[str, str, str | None]]:
    """Run a file: ``(id, why, failure or None)`` for each case. Anything but our own errors is a failure too.

    Raises :class:`FormatError` for a file that does not have the form of docs/format-v1.md, section 7.
    """
    for kind, case in _document(path):
        try:
            _check_case(kind, case)
        except (ValueError, TypeError, KeyError) as error:
            failure: str | None = f"cannot be run: {type(error).__name__}: {error}"
        else:
            try:
                failure = (run_head if kind == "heads" else run_version)(case)
            except Exception as error:
                failure = f"raised {type(error).__name__}: {error}"
        yield str(case.get("id")), str(case.get("why", "")), failure


def _document(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """A file's cases, each with the list that it stands in."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8"))
        found = [(kind, case) for kind in ("vectors", "heads") for case in document.get(kind, [])]
        if not all(isinstance(case, dict) for _, case in found):
            raise TypeError
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} is not a file of vectors: {type(error).__name__}") from None
    return found


def _check_case(kind: str, case: dict[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError unless ``case`` can be run. Its items may be anything."""
    DataKey(bytes.fromhex(case["data_key"]))
    if not all(isinstance(case[name], str) for name in ("env", "name", "result")):
        raise TypeError("a text is none")
    if kind == "vectors" and not isinstance(case["version"], int):
        raise TypeError("the version is no number")
    if kind == "vectors" and case["result"] == "ok":
        base64.b64decode(case["value"], validate=True)
    for part in ("item", "head") if kind == "heads" else ("item",):
        case[part]
