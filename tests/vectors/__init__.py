"""Known-answer files of record format v1, and the reader that runs them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynastash.crypto import envelope, records
from dynastash.crypto.transcript import MAX_DEPTH
from dynastash.errors import DynastashError
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
    """Run a file: ``(id, why, failure or None)`` for each case. Anything but our own errors is a failure too."""
    document = json.loads(path.read_text(encoding="utf-8"))
    for kind, run in (("vectors", run_version), ("heads", run_head)):
        for case in document.get(kind, []):
            try:
                failure = run(case)
            except Exception as error:
                failure = f"raised {type(error).__name__}: {error}"
            yield case["id"], case.get("why", ""), failure
