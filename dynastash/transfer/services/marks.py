"""How something in a service says which environment made it, of which version of which secret."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dynastash.frozen import Frozen
from dynastash.places import Outgoing

ENVIRONMENT: Final = "dynastash:environment"
NAME: Final = "dynastash:name"

_LONGEST_TAG: Final = 256
_DESCRIPTION: Final = re.compile(r"dynastash ([a-z][a-z0-9-]{0,30}): (?:version ([0-9]{1,10}) of )?([^\s]{1,512})")
_TOKEN: Final = re.compile(r"dynastash-v([0-9]{10})-[0-9a-f]{40}")


class Mark(Frozen):
    """Who made it; ``version`` is None where the service does not tell."""

    environment: str
    name: str
    version: int | None = None


def description(environment: str, outgoing: Outgoing, *, versioned: bool) -> str:
    """A description for people, which :func:`described` reads back."""
    version = f"version {outgoing.version} of " if versioned else ""
    return f"dynastash {environment}: {version}{outgoing.name}"


def described(text: str | None) -> Mark | None:
    """The mark that a description is; None for anybody else's."""
    match = _DESCRIPTION.fullmatch(text or "")
    if match is None:
        return None
    return Mark(match[1], match[3], None if match[2] is None else int(match[2]))


def tags(environment: str, name: str) -> list[dict[str, str]]:
    """The tags of what dynastash makes, for policies and bills. A name too long for a tag is left out."""
    pairs = {ENVIRONMENT: environment, NAME: name}
    return [{"Key": key, "Value": text} for key, text in pairs.items() if len(text) <= _LONGEST_TAG]


def pairs(given: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags as a service lists them, by key."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in given or ()}


def theirs(given: Mapping[str, str]) -> dict[str, str]:
    """The tags that are neither ours nor AWS's own."""
    return {key: text for key, text in given.items() if not key.startswith(("dynastash:", "aws:"))}


def token(environment: str, outgoing: Outgoing, before: str) -> str:
    """A version's own id: the same for each attempt at this change, another for every other change.

    ``before`` is the id of the version that it replaces. Nothing of the value is in it.
    """
    text = "\0".join((environment, outgoing.name, str(outgoing.version), outgoing.key, before))
    return f"dynastash-v{outgoing.version:010d}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def version_of(token: str | None) -> int | None:
    """The version that :func:`token` was made for; None for anybody else's id."""
    match = _TOKEN.fullmatch(token or "")
    return None if match is None else int(match[1])
