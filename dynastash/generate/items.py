"""From a stored policy back to a :class:`Policy`. What is stored may be hostile, or of a later release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from dynastash.errors import FormatError, InvalidArgumentError, UnsupportedFormatError
from dynastash.generate.base import Policy
from dynastash.generate.keypair import KeyPair
from dynastash.generate.passphrase import Passphrase
from dynastash.generate.password import Password
from dynastash.generate.randombytes import RandomBytes
from dynastash.models import Item

_KINDS: Final[dict[str, type[Policy]]] = {
    policy.kind: policy for policy in (Password, Passphrase, RandomBytes, KeyPair)
}
_TYPES: Final = {str: "S", int: "N", bool: "BOOL"}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_AGAIN: Final = "give the policy anew when rotating"


def from_item(item: Item) -> Policy:
    """The policy that :meth:`Policy.to_item` wrote; ``from_item(item).to_item() == item`` for all that is accepted.

    Raises :class:`FormatError` for a shape that no release writes, and :class:`UnsupportedFormatError` for a kind or
    a setting of a later release: half understood, it would make another value than was meant.
    """
    if not isinstance(item, Mapping) or "kind" not in item:
        raise FormatError("the rotation policy has no kind", hint=_AGAIN)
    policy = _KINDS.get(str(_read(item["kind"], str)))
    if policy is None:
        raise UnsupportedFormatError(
            "the rotation policy is of a kind that this release does not know", hint=f"upgrade dynastash, or {_AGAIN}"
        )
    settings = {setting.name: type(setting.default) for setting in fields(policy)}  # type: ignore[arg-type]
    if not item.keys() <= settings.keys() | {"kind"}:
        raise UnsupportedFormatError(
            "the rotation policy has a setting that this release does not know", hint=f"upgrade dynastash, or {_AGAIN}"
        )
    if not settings.keys() <= item.keys():
        raise FormatError("the rotation policy lacks a setting", hint=_AGAIN)
    try:
        return policy(**{name: _read(item[name], kind) for name, kind in settings.items()})
    except InvalidArgumentError as error:
        raise FormatError(f"the rotation policy is not one that dynastash writes: {error}", hint=_AGAIN) from None


def _read(attribute: object, kind: type) -> object:
    """The content of ``attribute``, whose type in DynamoDB must be that of ``kind``."""
    name = _TYPES[kind]
    if not isinstance(attribute, Mapping) or len(attribute) != 1 or name not in attribute:
        raise FormatError("a setting of the rotation policy is of another type than expected", hint=_AGAIN)
    content: object = attribute[name]
    if kind is int and isinstance(content, str) and _NUMBER.fullmatch(content):
        return int(content)
    if kind is int or not isinstance(content, kind):
        raise FormatError("a setting of the rotation policy is malformed", hint=_AGAIN)
    return content
