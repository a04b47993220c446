"""Items as JSON text and back, exactly: binary in base64, every type and every set member kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from dynastash.errors import FormatError
from dynastash.models import Item


def encode_item(item: Item) -> str:
    """``item`` as one line of JSON."""
    return json.dumps(_attributes(item, _to_base64), ensure_ascii=False, separators=(",", ":"))


def decode_item(text: str) -> Item:
    """The item in ``text``; :class:`FormatError` where there is none, whatever a hostile file holds.

    What the attributes themselves hold is checked by whoever reads them.
    """
    try:
        item = json.loads(text)
        if not isinstance(item, dict):
            raise TypeError
        return _attributes(item, _from_base64)
    except (ValueError, TypeError, RecursionError):
        raise FormatError("a record in the store is not readable") from None


def _attributes(attributes: Any, binary: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: _attribute(value, binary) for name, value in attributes.items()}


def _attribute(value: Any, binary: Callable[[Any], Any]) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {"B": binary(content)}
        case "BS" if isinstance(content, list):
            return {"BS": [binary(member) for member in content]}
        case "M" if isinstance(content, dict):
            return {"M": _attributes(content, binary)}
        case "L" if isinstance(content, list):
            return {"L": [_attribute(member, binary) for member in content]}
    return value


def _to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _from_base64(content: Any) -> bytes:
    return base64.b64decode(content, validate=True)
