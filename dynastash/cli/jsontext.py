"""JSON for people and programs: what ``json.dumps(…, indent=2)`` writes.

The standard library's quick encoder knows no indentation, and the slow one takes longer over a thousand secrets than
opening them does. A dictionary that holds no other is the quick one's all the same: its separator may be a line's end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

_CONSTANTS = {None: "null", True: "true", False: "false"}
_PLAIN = frozenset((str, int, bool, type(None)))
_NESTS = (dict, list)


def indented(data: Any, *, ascii: bool) -> str:
    """``data``, of text, numbers, lists and dictionaries with text as keys; ``ascii`` escapes everything else."""
    writer = _Writer(ascii)
    writer.write(data, "\n")
    return "".join(writer.parts)


class _Writer:
    def __init__(self, ascii: bool) -> None:
        self.parts: list[str] = []
        self._ascii = ascii
        self._text = encode_basestring_ascii if ascii else encode_basestring
        self._flat: dict[str, Callable[[Any], str]] = {}  # by the end of the line and what the next one begins with

    def write(self, value: Any, line: str) -> None:
        """``line`` is the line's end with what the next line begins with."""
        kind = type(value)
        put, below = self.parts.append, line + "  "
        if kind is dict and value:
            if all(type(member) in _PLAIN or (type(member) in _NESTS and not member) for member in value.values()):
                put("{" + below + self._quickly(below)(value)[1:-1] + line + "}")
                return
            between = "{"
            for key, member in value.items():
                put(f"{between}{below}{self._text(key)}: ")
                if type(member) is str:  # a step less for nearly all that there is
                    put(self._text(member))
                else:
                    self.write(member, below)
                between = ","
            put(line + "}")
        elif kind is list and value:
            between = "["
            for member in value:
                put(between + below)
                self.write(member, below)
                between = ","
            put(line + "]")
        elif kind is str:
            put(self._text(value))
        elif kind is bool or value is None:
            put(_CONSTANTS[value])
        else:
            put(json.dumps(value))

    def _quickly(self, below: str) -> Callable[[Any], str]:
        if below not in self._flat:
            self._flat[below] = json.JSONEncoder(ensure_ascii=self._ascii, separators=("," + below, ": ")).encode
        return self._flat[below]
