"""What callers ask for, checked before anything is asked of store or keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dynastash.errors import InvalidArgumentError, RollbackError
from dynastash.models import Stage, check_name, check_prefix

if TYPE_CHECKING:
    from dynastash.references import Reference


def version_or_stage(version: int | None, stage: Stage | str | None) -> None:
    """Refuse to be asked for both."""
    if version is not None and stage is not None:
        raise InvalidArgumentError("a version and a stage were asked for", hint="ask for one of them")


def selection(names: Iterable[str] | None, prefix: str | None) -> list[str] | str:
    """The names, checked, or the prefix, which of the two was given."""
    if (names is None) == (prefix is None):
        raise InvalidArgumentError("give either names or a prefix", hint="a prefix of '' means all secrets")
    if names is None:
        return check_prefix(prefix or "")
    if isinstance(names, str):
        raise InvalidArgumentError("names is one name", hint="use get, or give a list")
    return [check_name(name) for name in names]


def references(given: Iterable[str | Reference]) -> list[Reference]:
    """References as a caller gives them, parsed."""
    from dynastash.references import parse

    if isinstance(given, str):
        raise InvalidArgumentError("references is one text", hint="give a list")
    return [parse(each) if isinstance(each, str) else each for each in given]


def reached(name: str, current: int, min_version: int) -> None:
    """Raise :class:`RollbackError` where the version that is current is below what the caller knows of."""
    if current < min_version:
        raise RollbackError(
            f"{name} is at version {current}, and version {min_version} at least was expected",
            hint="the table was rolled back or tampered with: compare it with a backup and the audit log",
        )
