"""Which secrets a policy is about: one by its name, all under a prefix, or all of an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dynastash.errors import InvalidNameError
from dynastash.models import MAX_NAME, check_name, namespace_of

TAG: Final = "dynastash-prefix"
"""The tag of a principal that says which prefix is its own, where policies go by tags: ``app1`` for ``app1/*``."""

_TAGGED: Final = f"${{aws:PrincipalTag/{TAG}}}"


@dataclass(frozen=True, slots=True, order=True)
class Pattern:
    """``app1/db/password`` is one secret, ``app1/*`` all below ``app1/`` at any depth, ``*`` all of an environment.

    ``app1`` is the secret of that name and nothing below it. No pattern ends within a segment, because ``app1*`` would
    cover ``app10/…`` too. As ``str`` it is what IAM's ``StringLike`` takes: the alphabet of names has no character that
    means something to IAM.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def everything(self) -> bool:
        """Whether it covers all secrets of an environment."""
        return self.text == "*"

    @property
    def prefix(self) -> str | None:
        """What the covered names start with, up to and with a slash; None for a single secret, empty for all."""
        return self.text[:-1] if self.text.endswith("*") else None

    @property
    def namespace(self) -> str | None:
        """The partition of the index that lists the covered names; None where it takes no partition, or all."""
        if self.prefix is None or self.everything:
            return None
        return _TAGGED if self == BY_TAG else namespace_of(self.prefix)

    def covers(self, other: Pattern) -> bool:
        """Whether every secret that ``other`` covers is covered."""
        return self.text == other.text or (self.prefix is not None and other.text.startswith(self.prefix))


EVERYTHING: Final = Pattern("*")
BY_TAG: Final = Pattern(f"{_TAGGED}/*")
"""What stands below the prefix that the principal's own tag names. A principal without the tag has nothing, and one
whose tag is empty has ``/*``, which is no secret's name."""


def parse_pattern(text: str) -> Pattern:
    """The pattern that ``text`` spells, or :class:`InvalidNameError`."""
    if text == EVERYTHING.text:
        return EVERYTHING
    if text == BY_TAG.text:
        return BY_TAG
    prefix = text.removesuffix("*") if isinstance(text, str) else ""
    if prefix != text and not prefix.endswith("/"):
        raise InvalidNameError(
            f"{text[:80]!r} does not end at a segment's end: it would cover names that only start alike",
            hint=f"write {prefix}/* for what is below {prefix}, or {prefix} for that one secret"
            if _is_name(prefix)
            else "write app1/* for what is below app1, or a secret's whole name",
        )
    if prefix == text:
        return Pattern(check_name(text))
    try:
        check_name(prefix[:-1])
    except InvalidNameError as error:
        raise InvalidNameError(f"no secret's name starts with {prefix[:80]!r}", hint=error.hint) from None
    if len(prefix) >= MAX_NAME:
        raise InvalidNameError(f"no secret's name starts with {prefix[:80]!r}", hint="names are shorter than that")
    return Pattern(text)


def reduce_patterns(patterns: list[Pattern]) -> list[Pattern]:
    """The patterns in order, without those that others among them cover."""
    unique = sorted(set(patterns))
    return [one for one in unique if not any(other != one and other.covers(one) for other in unique)]


def _is_name(text: str) -> bool:
    try:
        check_name(text)
    except InvalidNameError:
        return False
    return True
