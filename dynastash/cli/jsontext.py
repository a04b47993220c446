"""JSON for people and programs: what ``json.dumps(…, indent=2)`` writes.

The standard library's quick encoder knows no indentation, and the slow one takes longer over a thousand secrets than
opening them does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

_CONSTANTS = {None: "null", True: "true", False: "false"}


def indented(data: Any, *, ascii: bool) -> str:
    """``data``, of text, numbers, lists and dictionaries with text as keys; ``ascii`` escapes everything else."""
    parts: list[str] = []
    _write(data, "\n", encode_basestring_ascii if ascii else encode_basestring, parts.append)
    return "".join(parts)


def _write(value: Any, line: str, encode: Callable[[str], str], put: Callable[[str], None]) -> None:
    """``line`` is the line's end with what the next line begins with."""
    kind = type(value)
    if kind is str:
        put(encode(value))
    elif kind is dict and value:
        below, between = line + "  ", "{"
        for key, member in value.items():
            put(f"{between}{below}{encode(key)}: ")
            _write(member, below, encode, put)
            between = ","
        put(line + "}")
    elif kind is list and value:
        below, between = line + "  ", "["
        for member in value:
            put(between + below)
            _write(member, below, encode, put)
            between = ","
        put(line + "]")
    elif kind is bool or value is None:
        put(_CONSTANTS[value])
    else:
        put(json.dumps(value))
