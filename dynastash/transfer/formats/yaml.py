"""YAML: a mapping of texts, nested ones read as names with slashes. Needs PyYAML (``pip install 'dynastash[yaml]'``).

YAML makes other things of what is written without quotes: ``no`` is false, ``012`` ten, ``1.10`` a number without its
zero. Whatever YAML 1.1 or 1.2 would take for anything but text has to stand between quotes, and is refused otherwise.
Aliases, merges, tags and several documents are refused too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dynastash.transfer.formats.base import Entry, distinct, entry, refuse_manifest, text_value
from dynastash.transfer.formats.yamlnodes import dumped, is_mapping, members, root, scalar

if TYPE_CHECKING:
    from yaml.nodes import MappingNode

_FORM: Final = "a YAML file"


class Yaml:
    """A mapping whose values are texts, or mappings of such."""

    def read(self, data: bytes) -> list[Entry]:
        document = root(data)
        top = dict(members(document))
        refuse_manifest(top, [key for key, node in top.items() if is_mapping(node)])
        return distinct(_flattened(document, ""))

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        return dumped({each.key: text_value(each, _FORM, nul=True) for each in entries})


def _flattened(mapping: MappingNode, before: str) -> Iterator[Entry]:
    for key, node in members(mapping):
        if is_mapping(node):
            yield from _flattened(node, f"{before}{key}/")
        else:
            yield entry(before + key, scalar(node, before + key), node.start_mark.line + 1)
