"""A dynastash environment as a place that secrets come from: another account's, another Region's, or this machine's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from dynastash.errors import DynastashError, StoreError
from dynastash.models import Secret, SecretInfo, Stage, State, Version
from dynastash.places import History, Revision
from dynastash.references import Reference
from dynastash.transfer.opening import open_all

if TYPE_CHECKING:
    from dynastash.stash.api import Stash

_TOGETHER: Final = 20
"""Secrets that are opened side by side."""


class EnvironmentSource:
    """The secrets of ``stash``: each with all its versions up to the current one, or, not ``whole``, with that alone.

    Deleted secrets are there with that as their problem, destroyed ones are not. What is behind the current version,
    pending or aborted, is left where it is: nobody was ever given it. ``prefixes`` are what the names start with.
    """

    def __init__(self, stash: Stash, *, whole: bool = True, prefixes: Sequence[str] = ("",)) -> None:
        self._stash = stash
        self._whole = whole
        self._prefixes = prefixes

    @property
    def description(self) -> str:
        """Where that is, for messages."""
        return f"environment {self._stash.environment} ({self._stash.where})"

    def read(self) -> Iterator[History]:
        """Each secret in the order of the names' bytes. Raises what keeps all of them from being read."""
        found = {info.name: info for prefix in self._prefixes for info in self._stash.list(prefix)}
        listed = iter([found[name] for name in sorted(found) if found[name].state is not State.DESTROYED])
        while some := list(islice(listed, _TOGETHER)):
            yield from self._histories(some)

    def _histories(self, some: Sequence[SecretInfo]) -> Iterator[History]:
        wanted: dict[str, Sequence[Version | None]] = {}
        problems: dict[str, str] = {}
        for info in some:
            wanted[info.name] = ()
            if info.state is State.DELETED:
                problems[info.name] = "it is deleted there"
                continue
            try:
                wanted[info.name] = self._versions(info.name) if self._whole else (None,)
            except StoreError:
                raise
            except DynastashError as error:
                problems[info.name] = str(error)
        opened = open_all(
            self._stash, (_reference(name, version) for name, versions in wanted.items() for version in versions)
        )
        for info in some:
            yield History(
                info.name,
                tuple(_revision(version, opened[_reference(info.name, version)]) for version in wanted[info.name]),
                tags=info.tags,
                problem=problems.get(info.name),
                notes=("its rotation policy stays behind",) if info.rotation else (),
            )

    def _versions(self, name: str) -> list[Version]:
        """What there is of ``name`` up to its current version; a destroyed one leaves a gap."""
        versions = self._stash.history(name)
        current = max((version.number for version in versions if Stage.CURRENT in version.stages), default=0)
        return [version for version in versions if version.number <= current and version.destroyed_at is None]


def _reference(name: str, version: Version | None) -> Reference:
    return Reference(name, None if version is None else version.number)


def _revision(version: Version | None, opened: Secret | DynastashError) -> Revision:
    if isinstance(opened, DynastashError):
        return Revision(str(version.number) if version is not None else "", None, problem=str(opened))
    found = opened.version
    return Revision(
        str(found.number),
        opened.plaintext,
        comment=found.comment,
        content_type=found.content_type,
        created_at=found.created_at,
        expires_at=found.expires_at,
        stages=found.stages,
        context=found.context,
    )
