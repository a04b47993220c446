"""YAML as a tree of mappings and texts, by PyYAML's safe loader, and nothing else of what YAML can be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from dynastash.errors import ConfigError
from dynastash.transfer.formats.base import refuse, text_of

if TYPE_CHECKING:
    from types import ModuleType

    from yaml.nodes import MappingNode, Node

_TEXT: Final = "tag:yaml.org,2002:str"
_DEEPEST: Final = 64
_KINDS: Final = {
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:timestamp": "a date",
}
_ELSEWHERE: Final = re.compile(
    r"[yYnN]|[-+]?(?:0o[0-7]+|0x[0-9A-Fa-f]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
"""What PyYAML takes for text and other readers, of YAML 1.1 or 1.2, for a number or for true or false."""


def root(data: bytes) -> MappingNode:
    """The one document in ``data``, a mapping."""
    yaml = module()
    text = text_of(data)
    found: Node | None = None
    said = ""
    line: int | None = None
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:  # the parser takes time by the square of it
                said, line = f"there are more than {_DEEPEST} levels", event.start_mark.line + 1
                break
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                said, line = "there is an anchor or an alias", event.start_mark.line + 1
                break
        else:
            found = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        said = "this is not YAML of one document"
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
    except (yaml.YAMLError, RecursionError, ValueError):
        said = "this is not YAML that can be read"
    if said:  # out here: the parser's error quotes the document
        refuse(line, said, "mend the file, and write every value out")
    if not is_mapping(found):
        refuse(None, "the document is not a mapping", "write name: value, one a line")
    return found


def is_mapping(node: Node | None) -> TypeGuard[MappingNode]:
    """Whether ``node`` has members."""
    return isinstance(node, module().MappingNode)


def members(mapping: MappingNode) -> Iterator[tuple[str, Node]]:
    """The members of ``mapping``; their keys are texts, and none is there twice."""
    seen: dict[str, int] = {}
    if mapping.tag != "tag:yaml.org,2002:map":
        refuse(mapping.start_mark.line + 1, "there is a tag", "write every value out, without a tag")
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        text = scalar(key, "a key")
        if text in seen:
            refuse(line, f"{text!r} is there twice, first in line {seen[text]}", "remove one of the two")
        seen[text] = line
        yield text, value


def scalar(node: Node, what: str) -> str:
    """The text of ``node``, which has to be one in every version of YAML; ``what`` is its key."""
    line = node.start_mark.line + 1
    if not isinstance(node, module().ScalarNode):
        refuse(line, f"{what!r} is a list or a mapping, which is no text", "write a value, between quotes")
    if node.tag != _TEXT:
        kind = _KINDS.get(node.tag, "something else than text")
        refuse(line, f"{what!r} is {kind} to YAML", "put it between quotes")
    text = str(node.value)
    if getattr(node, "style", None) is None and _ELSEWHERE.fullmatch(text):
        refuse(line, f"{what!r} is no text to every reader of YAML", "put it between quotes")
    return text


def dumped(document: Mapping[str, str]) -> bytes:
    """``document`` as YAML, every text between quotes and in ASCII."""
    text: str = module().safe_dump(
        dict(document), default_style='"', allow_unicode=False, sort_keys=False, width=float("inf")
    )
    return text.encode("ascii")


def module() -> ModuleType:
    """PyYAML. Raises :class:`ConfigError` where it is not installed."""
    try:
        import yaml
    except ImportError:
        raise ConfigError("PyYAML is not installed", hint="install it with `pip install 'dynastash[yaml]'`") from None
    made: Any = yaml
    return made  # type: ignore[no-any-return]
