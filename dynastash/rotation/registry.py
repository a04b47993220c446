"""Rotators by name: the entry points of the group ``dynastash.rotators``, our own two among them.

A package adds one by declaring, say, ``vault = "dynastash_vault:VaultRotator"`` in that group. What an entry point
names makes rotators; ``dynastash rotate --rotator vault`` calls it without arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from dynastash.errors import ConfigError
from dynastash.stash.rotation import Rotator

GROUP: Final = "dynastash.rotators"


def names() -> tuple[str, ...]:
    """The names of all installed rotators, sorted. Loads none of them."""
    return tuple(sorted(entry_points(group=GROUP).names))


def load(name: str) -> Callable[..., Rotator]:
    """What makes rotators of that name.

    Raises :class:`ConfigError` where there is none, more than one, or one that cannot be loaded.
    """
    # Equal values are one installation seen twice, as on a path that holds both a checkout and its metadata.
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        raise ConfigError(f"there is no rotator {name!r}", hint=f"installed are {', '.join(names()) or 'none'}")
    if len(found) > 1:
        # Which one comes first depends on the order of installation: nothing to hand credentials over by.
        packages = ", ".join(sorted(map(_package, found.values())))
        raise ConfigError(f"the rotator {name!r} is declared more than once: {packages}", hint="uninstall all but one")
    (entry,) = found.values()
    try:
        rotator = entry.load()
    except Exception as error:  # whatever a plug-in's module raises when it is imported
        raise ConfigError(
            f"the rotator {name!r} of {_package(entry)} cannot be loaded: {type(error).__name__}: {error}",
            hint="install that package again, or a release of it that fits",
        ) from error
    if not callable(rotator):
        raise ConfigError(f"the rotator {name!r} of {_package(entry)} is not something that makes rotators")
    made: Callable[..., Rotator] = rotator
    return made


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
