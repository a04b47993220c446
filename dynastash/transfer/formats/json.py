"""JSON: an object of texts. Nested objects are read as names with slashes; written is a flat one.

``{"db": {"password": "…"}}`` and ``{"db/password": "…"}`` say the same. A number, true, false, null and a list are no
text and are refused: ``5432`` and ``5432.0`` may be one number, and are two secrets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from dynastash.transfer.formats.base import Entry, distinct, entry, refuse, refuse_manifest, text_of, text_value

_FORM: Final = "a JSON file"


class _Twice(Exception):
    """A member's name is there twice."""


class Json:
    """An object whose members are texts, or objects of such."""

    def read(self, data: bytes) -> list[Entry]:
        text = text_of(data)
        document: Any = None
        said = ""
        try:
            document = json.loads(text, object_pairs_hook=_members)
        except json.JSONDecodeError as error:
            said = f"line {error.lineno}: this is not JSON"
        except _Twice as error:
            said = f"{error.args[0]!r} is there twice"
        except (RecursionError, ValueError):  # a number of more digits than Python takes
            said = "this is not JSON that can be read"
        if said:  # out here: the decoder's error carries the document
            refuse(None, said, "mend the file")
        if not isinstance(document, dict):
            refuse(None, "the document is not an object", 'write {"name": "value"}')
        refuse_manifest(document, [key for key, value in document.items() if isinstance(value, dict)])
        return distinct(flattened(document, ""))

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        document = {each.key: text_value(each, _FORM, nul=True) for each in entries}
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def flattened(document: dict[str, Any], before: str) -> Iterator[Entry]:
    """The texts in ``document``, by their names joined with slashes."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{before}{key}/")
        elif isinstance(value, str):
            yield entry(before + key, value)
        else:
            kind = {bool: "true or false", type(None): "null", list: "a list"}.get(type(value), "a number")
            refuse(None, f"{before + key!r} is {kind}, which is no text", "put what is meant between quotes")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise _Twice(next(name for name in times if times[name] > 1))
    return found
