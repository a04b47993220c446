"""The marks that dynastash leaves on an item of a credstash table, in one map that other clients do not look at.

Foremost a *binding mac*. credstash authenticates the ciphertext alone, so that whoever can write the table may copy one
secret's item over another's, or an old version over a new one, and every client takes it. The binding mac covers the
name, the version, the comment, the digest, the wrapped key, the ciphertext and the marks themselves, under a key that
is derived from the item's own data key. It says nothing of an item that is gone, and it can be taken away; that is why
a place may require it.
"""

from __future__ import annotations

import hmac
import re
from typing import Any, Final

from dynastash.credstash.format import ItemKeys
from dynastash.crypto.transcript import transcript
from dynastash.errors import FormatError, IntegrityError, UnsupportedFormatError
from dynastash.frozen import Frozen, field, replace
from dynastash.models import AttributeValue, Item

MARKS: Final = "dynastash"
"""The attribute's name."""

_SALT: Final = b"dynastash/credstash-binding/1"
_DOMAIN: Final = b"dynastash/credstash-binding/1\x00"
_FORMAT: Final = "1"
_MAC: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,37}")


class Marks(Frozen):
    """What dynastash says of an item that it wrote.

    ``environment``, ``secret`` and ``number`` are there where it published that version of that secret. ``used`` is the
    highest version number that this name has ever had, where that one has been deleted; it is not covered by ``mac``,
    because whoever deletes need not be able to decrypt.
    """

    mac: bytes | None = field(default=None, repr=False)
    environment: str | None = None
    secret: str | None = None
    number: int | None = None
    used: int | None = None


def bind(keys: ItemKeys, covered: Item, marks: Marks) -> Marks:
    """``marks`` with the mac of themselves and of ``covered``."""
    return replace(marks, mac=_compute(keys, covered, marks))


def check(keys: ItemKeys, covered: Item, marks: Marks) -> None:
    """Raises :class:`IntegrityError` where ``marks`` were not made for ``covered``. In constant time."""
    if not hmac.compare_digest(_compute(keys, covered, marks), marks.mac or b""):
        raise IntegrityError(
            "it is bound to another name, version or comment than it stands under",
            hint="somebody has copied or renamed it within the table; take the value from its source and put it anew",
        )


def attribute(marks: Marks) -> AttributeValue:
    """The map to write."""
    return {"M": {"format": {"S": _FORMAT}, **_covered(marks), **_uncovered(marks)}}


def with_used(item: Item, number: int) -> Item:
    """``item`` with a mark that ``number`` was used and must not be again. Raises :class:`FormatError`."""
    marks = parse(item.get(MARKS)) or Marks()
    return {**item, MARKS: attribute(replace(marks, used=max(number, marks.used or 0)))}


def parse(value: AttributeValue | None) -> Marks | None:
    """The marks in the attribute, if it is there.

    Raises :class:`FormatError` where it is not what dynastash writes, and :class:`UnsupportedFormatError` where a later
    one wrote it.
    """
    if value is None:
        return None
    members = value.get("M")
    if not isinstance(members, dict):
        raise FormatError(f"its attribute {MARKS} is not a map")
    if _member(members, "format", "S") != _FORMAT:
        raise UnsupportedFormatError(
            f"its attribute {MARKS} is of a format that this release does not know", hint="use a newer dynastash"
        )
    mac, number, used = (_member(members, *member) for member in (("mac", "S"), ("version", "N"), ("used", "N")))
    if mac is not None and not _MAC.fullmatch(mac):
        raise FormatError("its binding mac is malformed")
    for text in (number, used):
        if text is not None and not _NUMBER.fullmatch(text):
            raise FormatError(f"a number in its attribute {MARKS} is malformed")
    return Marks(
        mac=None if mac is None else bytes.fromhex(mac),
        environment=_member(members, "environment", "S"),
        secret=_member(members, "secret", "S"),
        number=None if number is None else int(number),
        used=None if used is None else int(used),
    )


def _compute(keys: ItemKeys, covered: Item, marks: Marks) -> bytes:
    # The item's own MAC has its key as a key; here it is the message, so that no ciphertext can ever yield this key.
    key = hmac.digest(_SALT, keys.mac.expose(), "sha256")
    return hmac.digest(key, transcript(_DOMAIN, "", {**covered, MARKS: {"M": _covered(marks)}}), "sha256")


def _covered(marks: Marks) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    if marks.environment is not None:
        found["environment"] = {"S": marks.environment}
    if marks.secret is not None:
        found["secret"] = {"S": marks.secret}
    if marks.number is not None:
        found["version"] = {"N": str(marks.number)}
    return found


def _uncovered(marks: Marks) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    if marks.mac is not None:
        found["mac"] = {"S": marks.mac.hex()}
    if marks.used is not None:
        found["used"] = {"N": str(marks.used)}
    return found


def _member(members: dict[str, Any], name: str, kind: str) -> str | None:
    value = members.get(name)
    if value is None:
        return None
    text = value.get(kind) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise FormatError(f"{name} in its attribute {MARKS} is malformed")
    return text
