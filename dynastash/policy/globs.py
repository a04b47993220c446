"""Sets of names as IAM's globs describe them: ``*`` for any text, ``?`` for any character."""

from __future__ import annotations

import functools
import re
from typing import Final

from dynastash.policy.conditions import covers
from dynastash.policy.request import Request

_ANY: Final = "zq7wx0k"  # in no name that anybody would give
_NOTHING: Final = Request("")
_STARS: Final = 3


def witness(glob: str) -> str:
    """A name that fits ``glob`` and hardly any other pattern."""
    return glob.replace("*", _ANY).replace("?", "z")


def fits(glob: str, name: str) -> bool:
    """Whether ``glob`` covers ``name``."""
    return covers(glob, name, _NOTHING) is True


def within(inner: str, outer: str) -> bool:
    """Whether every name that fits ``inner`` fits ``outer``. A glob with a variable fits none."""
    return fits(outer, witness(inner)) and fits(outer, inner.replace("*", "").replace("?", "z"))


def intersection(one: str, other: str) -> set[str]:
    """Globs that together cover what both cover. For globs with many stars an approximation: the two themselves."""
    if within(one, other):
        return {one}
    if within(other, one):
        return {other}
    if max(one.count("*"), other.count("*")) > _STARS or len(one) + len(other) > 400:
        return {one, other}
    found = {re.sub(r"\*+", "*", glob) for glob in _meet(one, other)}
    return {glob for glob in found if not any(glob != wider and within(glob, wider) for wider in found)}


@functools.lru_cache(maxsize=4096)
def _meet(one: str, other: str) -> frozenset[str]:
    if not one or not other:
        return frozenset({""}) if not (one + other).strip("*") else frozenset()
    first, second = one[0], other[0]
    if first == second == "*":
        return frozenset("*" + rest for rest in _meet(one[1:], other) | _meet(one, other[1:]))
    if first == "*" or second == "*":
        starred, plain = (one, other) if first == "*" else (other, one)
        skipped = _meet(starred[1:], plain)
        taken = {plain[0] + rest for rest in _meet(starred, plain[1:])}
        return skipped | frozenset(taken)
    if "?" not in (first, second) and first != second:
        return frozenset()
    letter = second if first == "?" else first
    return frozenset(letter + rest for rest in _meet(one[1:], other[1:]))
