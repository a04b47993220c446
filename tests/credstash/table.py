"""A large table as years leave it, made by the real credstash in a few seconds: what a migration has to cope with.

::

    old = OldTable(ministack)
    versions = build(old)                # skips where credstash is not installed
    contexts(versions)                   # what has to be said to open them

Everything is put by credstash's own code. Afterwards some items are respelled as other clients and earlier releases
write them, one is corrupted, and one is put there that is not credstash's at all.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dynastash.credstash.contexts import Contexts
from tests.credstash.clients import Call, credstash
from tests.credstash.kit import OldTable
from tests.engines.engine import REGION

FOREIGN: Final = "foreign/lock"
_DIGESTS: Final = ("SHA256", "SHA256", "SHA256", "SHA", "SHA224", "SHA384", "SHA512", "MD5")
_COMMENTS: Final = ("", "rotated after the audit", "größer", "made-up \x1b[31mred\x1b[0m\nand a second line")
_ODD_NAMES: Final = {
    3: "name with spaces",
    7: "schlüssel/größe",
    11: "UPPER.lower_1+2=3:4@5",
    13: "!not/a/name",
    17: "-leading/dash",
    19: "two//slashes",
    23: "long/" + "x" * 600,
}


@dataclass(frozen=True)
class OldVersion:
    """One version: ``label`` is the text that stands in the table. ``readable`` is whether anybody can read it."""

    name: str
    label: str
    value: str = field(repr=False)
    context: Mapping[str, str]
    comment: str
    digest: str
    readable: bool = True


def plan(secrets: int = 200) -> list[OldVersion]:
    """Every version that :func:`build` makes, by name and in credstash's order; always the same."""
    return sorted(_planned(secrets), key=lambda one: (one.name.encode(), one.label.encode()))


def build(old: OldTable, secrets: int = 200) -> list[OldVersion]:
    """Make the table that :func:`plan` plans, in the empty table ``old``."""
    planned = plan(secrets)
    calls: list[Call] = []
    for one in planned:
        if one.name != FOREIGN:
            calls.append(("putSecret", {**_arguments(old, one), "version": _as_put(one.label)}))
    failed = [error for _, error in credstash(old.engine, calls) if error]
    assert not failed, failed[:3]
    for index, one in enumerate(planned):
        _respell(old, one, index)
    return planned


def by_name(versions: Sequence[OldVersion]) -> dict[str, list[OldVersion]]:
    """The versions of each name, from the oldest to the one that credstash serves."""
    found = defaultdict(list)
    for one in versions:
        found[one.name].append(one)
    return dict(found)


def contexts(versions: Sequence[OldVersion]) -> Contexts:
    """The contexts that open them: none, but for two beginnings of names."""
    return Contexts({}, {f"{one.name.split('/')[0]}/*": one.context for one in versions if one.context})


def _planned(secrets: int) -> Iterator[OldVersion]:
    for number in range(secrets):
        name, context = _name(number)
        count = 1 + number // 5 % 12 if number % 5 == 0 else 1 + number % 3
        for version, label in enumerate(_labels(number, count), 1):
            yield OldVersion(
                name,
                label,
                _value(number, version),
                context,
                _COMMENTS[(number + version) % 4] if number % 2 else "",
                _DIGESTS[(number + version) % 8],
                readable=(number, version) != (10, 2),
            )
    yield OldVersion(FOREIGN, "1", "", {}, "", "", readable=False)


def _name(number: int) -> tuple[str, Mapping[str, str]]:
    if number in _ODD_NAMES:
        return _ODD_NAMES[number], {}
    if number % 20 == 4:
        return f"prod/secret-{number:03d}", {"env": "prod"}
    if number % 20 == 9:
        return f"billing/secret-{number:03d}", {"app": "billing", "env": "prod"}
    return f"app{number % 10}/service/secret-{number:03d}", {}


def _labels(number: int, count: int) -> list[str]:
    """Numbers from 1 in nearly all cases."""
    match number:
        case 50:  # of credstash's first releases; the last one as text is 9
            return ["10", "11", "8", "9"]
        case 51:
            return [f"{1:019d}", "00000000000000rel-7"]
        case 52:
            return [f"{version:019d}" for version in (1, 2, 5, 40)]
        case 53:
            return ["9" * 19, "10000000000000000000"]
        case 54:
            return [f"{0:019d}"]
    return [f"{version:019d}" for version in range(1, count + 1)]


def _value(number: int, version: int) -> str:
    """Made up, and nothing that anybody would take for real. credstash holds text alone."""
    mark = f"made-up-{number:03d}-{version:02d}"
    match number % 9:
        case 1:
            return f"{mark} – größer als 日本 \U0001f511"
        case 2:
            return mark + "".join(map(chr, range(256)))
        case 3 if version % 2:
            return ""
        case 4:
            return f"{mark}\nsecond line\r\n\n"
        case 5:
            return f'{{"user": "{mark}", "nested": {{"password": "it\'s \\"made up\\""}}}}'
        case 6:
            return mark.ljust(1700, "x")
        case 7 if number == 7:
            return mark.ljust(100_000, "y")
    return mark


def _arguments(old: OldTable, one: OldVersion) -> dict[str, Any]:
    return {
        "name": one.name,
        "secret": one.value,
        "kms_key": old.key,
        "region": REGION,
        "table": old.name,
        "context": dict(one.context),
        "digest": one.digest,
        "comment": one.comment,
    }


def _as_put(label: str) -> str:
    return label.removeprefix("00000000000000") if label.endswith("rel-7") else label


def _respell(old: OldTable, one: OldVersion, index: int) -> None:
    """Let the item be as another client would have left it."""
    client = old.engine.client("dynamodb")
    if one.name == FOREIGN:
        lock = {"holder": {"S": "somebody"}, "until": {"N": "1700000000"}}
        client.put_item(TableName=old.name, Item={"name": {"S": FOREIGN}, "version": {"S": "1"}, **lock})
        return
    unpadded = len(one.label) < 19
    kind = index % 16 if one.readable and not unpadded else -1
    if one.readable and not unpadded and kind not in (1, 5, 9):
        return
    key = {"name": {"S": one.name}, "version": {"S": one.label.rjust(19, "0")}}
    item = client.get_item(TableName=old.name, Key=key, ConsistentRead=True)["Item"]
    if unpadded:
        client.delete_item(TableName=old.name, Key=key)
        item["version"] = {"S": one.label}
    if not one.readable:
        data = bytearray(base64.b64decode(item["contents"]["S"]))
        data[0] ^= 1
        item["contents"] = {"S": base64.b64encode(data).decode()}
    if kind == 1:  # Python 2 and most ports
        item["hmac"] = {"S": item["hmac"]["B"].decode()}
    if kind == 5 and one.digest == "SHA256":  # gcredstash and many others
        del item["digest"]
    if kind == 9:  # rcredstash and unicreds
        text = item["contents"]["S"]
        item["contents"] = {"S": "\n".join(text[at : at + 64] for at in range(0, len(text), 64))}
        item["hmac"] = {"B": item["hmac"]["B"].upper()}
        item["created_at"] = {"N": "1600000000"}
    client.put_item(TableName=old.name, Item=item)
