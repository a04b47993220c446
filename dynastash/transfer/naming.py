"""What a key of a source is called here: as it is where that is a name, else a name made of it, always the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from dynastash.errors import InvalidArgumentError
from dynastash.frozen import Frozen, field
from dynastash.models import MAX_NAME, check_name, check_prefix, is_name

TAG: Final = "source-name"
"""The tag that keeps a key that could not be the name."""

_OUTSIDE: Final = re.compile("[^A-Za-z0-9_.@+=:/-]")


class Named(Frozen):
    """What becomes of a key: a ``name``, or the ``problem`` that it has none. ``renamed``: it is not the key."""

    key: str
    name: str
    renamed: bool = False
    problem: str | None = None


class Names(Frozen):
    """How keys become names: ``prefix`` stands in front of each; ``mapped`` are whole names that the user chose."""

    prefix: str = ""
    mapped: Mapping[str, str] = field(default_factory=dict)


def checked(prefix: str, mapped: Iterable[tuple[str, str]]) -> Names:
    """What options say, checked. Raises :class:`InvalidArgumentError` and :class:`InvalidNameError`."""
    check_prefix(prefix)
    chosen: dict[str, str] = {}
    for key, name in mapped:
        if chosen.setdefault(key, check_name(name)) != name:
            raise InvalidArgumentError(f"{key} was mapped twice, to {chosen[key]} and to {name}", hint="leave one out")
    return Names(prefix, chosen)


def name_all(keys: Iterable[str], names: Names) -> list[Named]:
    """What each of ``keys`` is called, in order; two that would get one name have that as their problem, both."""
    wanted = [_name(key, names) for key in keys]
    holders: dict[str, list[str]] = {}
    for each in wanted:
        if each.problem is None:
            holders.setdefault(each.name, []).append(each.key)
    return [
        each
        if each.problem is not None or len(sharing := holders[each.name]) == 1
        else Named(
            each.key,
            each.name,
            each.renamed,
            f"{' and '.join(repr(key) for key in sharing[:3])} would all be {each.name}: name them with --map"
            if len(sharing) > 2
            else f"{' and '.join(map(repr, sharing))} would both be {each.name}: name one of them with --map",
        )
        for each in wanted
    ]


def made_of(key: str) -> str:
    """A name that looks like ``key``, or one that is none where nothing can be made of it.

    Characters that names do not have become ``_``, empty segments go, and so does what cannot begin a name.
    """
    segments = (segment for segment in _OUTSIDE.sub("_", key).split("/") if segment)
    return "/".join("_" * len(segment) if segment in (".", "..") else segment for segment in segments)


def _name(key: str, names: Names) -> Named:
    if key in names.mapped:
        name = names.mapped[key]
        return Named(key, name, renamed=name != names.prefix + key)
    if is_name(names.prefix + key):
        return Named(key, names.prefix + key)
    made = names.prefix + made_of(key)
    if not names.prefix:
        made = re.sub("^[^A-Za-z0-9]+", "", made)
    if is_name(made) and made != names.prefix:
        return Named(key, made, renamed=True)
    why = f"is longer than {MAX_NAME} characters" if len(made) > MAX_NAME else "has nothing that a name may begin with"
    return Named(key, "", problem=f"the key {why}: name it with --map")
