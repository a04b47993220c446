"""Kubernetes: a manifest of a Secret. Every value is in ``data``, as base64, and may be any bytes.

Read are ``data`` and ``stringData`` of the one Secret in a manifest, which may be JSON too. Needs PyYAML for that.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from dynastash.errors import InvalidArgumentError
from dynastash.models import Plaintext
from dynastash.transfer.formats.base import Entry, cannot, distinct, entry, refuse

_FORM: Final = "a Secret of Kubernetes's"
_KEY: Final = re.compile("[-._A-Za-z0-9]{1,253}")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LARGEST: Final = 1 << 20


class Kubernetes:
    """One Secret of type Opaque."""

    def read(self, data: bytes) -> list[Entry]:
        from dynastash.transfer.formats.yamlnodes import is_mapping, members, root, scalar

        document = dict(members(root(data)))
        if "kind" not in document or scalar(document["kind"], "kind") != "Secret":
            refuse(None, "this is no manifest of a Secret", "kind is Secret, and there is one document")
        found = []
        for section in ("data", "stringData"):
            node = document.get(section)
            if node is None:
                continue
            if not is_mapping(node):
                refuse(node.start_mark.line + 1, f"{section} is not a mapping", "write key: value below it")
            for key, value in members(node):
                line, text = value.start_mark.line + 1, scalar(value, key)
                found.append(entry(key, text, line) if section == "stringData" else _opened(key, text, line))
        return distinct(found)

    def write(self, entries: Sequence[Entry], *, name: str = "") -> bytes:
        if not _NAME.fullmatch(name) or len(name) > 253:
            raise InvalidArgumentError(
                f"{name!r} is not a name for a Secret of Kubernetes's",
                hint="use lower-case letters, digits, - and ., as in --name app1",
            )
        if sum(len(each.value.expose()) for each in entries) > _LARGEST:
            raise InvalidArgumentError(
                "the secrets are too large for one Secret of Kubernetes's", hint="it holds 1 MiB: export fewer"
            )
        return "".join(line + "\n" for line in _lines(entries, name)).encode("ascii")


def _lines(entries: Sequence[Entry], name: str) -> Iterator[str]:
    yield from ("apiVersion: v1", "kind: Secret", "metadata:", f"  name: {json.dumps(name)}", "type: Opaque")
    yield "data:" if entries else "data: {}"
    for each in entries:
        if not _KEY.fullmatch(each.key) or each.key in (".", "..") or each.key.startswith(".."):
            cannot(each, _FORM, f"its key {each.key!r} is none there", "keys are letters, digits, - _ and .")
        yield f"  {json.dumps(each.key)}: {json.dumps(base64.b64encode(each.value.expose()).decode('ascii'))}"


def _opened(key: str, text: str, line: int) -> Entry:
    value = None
    try:
        value = base64.b64decode(re.sub("[\r\n]", "", text), validate=True)
    except (binascii.Error, ValueError):
        pass  # an error raised in here would carry the text
    if value is None:
        refuse(line, f"{key!r} is not base64", "what is not belongs into stringData")
    return Entry(key, Plaintext(value), line=line)
