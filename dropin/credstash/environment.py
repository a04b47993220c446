"""A dynastash environment, asked in credstash's words.

Its versions are numbered by itself and are never used twice, its contexts are stored with the versions, and what is
deleted can be had back: docs/reference/credstash-dropin.md has what that means for credstash's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from credstash.errors import KmsError, not_found
from credstash.store import Context, Deleted, Entry, Listed
from credstash.text import paddedInt
from dynastash import parallel
from dynastash.errors import (
    DynastashError,
    InvalidArgumentError,
    NotFoundError,
    PartialError,
    SecretDeletedError,
    SecretDestroyedError,
)
from dynastash.models import Plaintext, State, is_name

if TYPE_CHECKING:
    from credstash.store import Store
    from dynastash.models import Secret, Version
    from dynastash.stash.api import Stash

_HISTORIES: Final = 8  # read at once, each a call or two


class EnvironmentStore:
    """The secrets of ``stash``."""

    def __init__(self, stash: Stash) -> None:
        self._stash = stash

    @property
    def description(self) -> str:
        """The environment's name, and where its records are."""
        return f"environment {self._stash.environment} ({self._stash.where})"

    def get(self, name: str, version: str, context: Context) -> Plaintext:
        """The value, if ``context`` is empty or the one that it was stored with."""
        if not is_name(name):
            raise not_found(name, version, "an environment of dynastash has no such names")
        number = _number(name, version) if version else None
        try:
            secret = self._stash.get(name, version=number)
        except (NotFoundError, SecretDeletedError, SecretDestroyedError) as error:
            raise not_found(name, version, self._advice(error)) from error
        return _opened(secret, context)

    def get_all(self, wanted: Callable[[str], bool], version: str, context: Context) -> dict[str, Plaintext]:
        """One batch for the current versions; with ``version``, a read for each secret."""
        names = [info.name for info in self._stash.list() if info.current is not None and _there(info.state)]
        names = [name for name in names if wanted(name)]
        found: dict[str, Secret | DynastashError] = {}
        if version:
            number = int(version) if version.isdecimal() else None
            for name in names:
                try:
                    if number is None:
                        raise not_found(name, version)
                    found[name] = self._stash.get(name, version=number)
                except DynastashError as error:
                    found[name] = error
        elif names:
            found |= self._stash.get_many(names)
        values: dict[str, Plaintext] = {}
        failures: dict[str, DynastashError] = {}
        for name, secret in found.items():
            try:
                if isinstance(secret, DynastashError):
                    raise secret
                values[name] = _opened(secret, context)
            except DynastashError as error:
                failures[name] = error
        if failures:
            raise PartialError(f"{len(failures)} of {len(names)} secrets could not be had", failures)
        return values

    def listed(self) -> Sequence[Listed]:
        """Versions that can be opened: not those that are deleted, destroyed, pending or given up."""
        infos = [info for info in self._stash.list() if _there(info.state)]
        current = {info.name: info.current or 0 for info in infos}
        histories = parallel.each(lambda info: self._stash.history(info.name), infos, limit=_HISTORIES)
        return [
            Listed(version.name, paddedInt(version.number), version.comment)
            for history in histories
            for version in history
            if _open(version) and version.number <= current[version.name]
        ]

    def highest(self, name: str) -> str | None:
        """The current version's number. Nothing is opened."""
        current = self._current(name)
        return None if current is None else paddedInt(current.number)

    def put(self, entry: Entry) -> str:
        """The environment gives the number. ``entry.version`` says which version must be current: the one before."""
        expected = None if entry.version is None else max(0, _number(entry.name, entry.version) - 1)
        return paddedInt(self._put(entry, expected).number)

    def delete(self, name: str, version: str | None = None) -> Deleted:
        """Hide a secret, or a version that is not the current one, so that ``dynastash undelete`` has it back."""
        if self._current(name) is None:
            return Deleted()
        number = None if version is None else _number(name, version)
        gone = [each.number for each in self._stash.history(name) if _open(each) and number in (None, each.number)]
        if not gone:
            return Deleted()
        self._stash.delete(name, number)
        one = "" if number is None else f" --version {number}"
        return Deleted(
            tuple(map(paddedInt, gone)),
            f"hidden, not erased: `dynastash -e {self._name} undelete {name}{one}` has it back",
        )

    def _advice(self, error: DynastashError) -> str | None:
        """What to do about a secret that cannot be had, with commands as they must be typed here."""
        if isinstance(error, NotFoundError):
            return "`credstash list` shows what there is"
        return None if error.hint is None else error.hint.replace("`dynastash ", f"`dynastash -e {self._name} ")

    @property
    def _name(self) -> str:
        return self._stash.environment

    def _current(self, name: str) -> Version | None:
        """The current version, unopened; None where there is none, or the secret is deleted."""
        if not is_name(name):
            return None
        from dynastash.references import Reference

        (found,) = self._stash.locate([Reference(name)]).values()
        if isinstance(found, (NotFoundError, SecretDeletedError, SecretDestroyedError)):
            return None
        if isinstance(found, DynastashError):
            raise found
        return found

    def _put(self, entry: Entry, expected: int | None) -> Version:
        recreate = False
        while True:
            try:
                return self._stash.put(
                    entry.name,
                    entry.value,
                    if_version=expected,
                    comment=entry.comment,
                    context=entry.context,
                    recreate=recreate,
                )
            except (SecretDeletedError, SecretDestroyedError):
                # Whoever deletes with credstash and puts again begins anew; the numbers go on all the same.
                if recreate or expected:
                    raise
                self._stash.destroy(entry.name)
                recreate = True


def _opened(secret: Secret, context: Context) -> Plaintext:
    """The value, unless another context was given than it was stored with, at which KMS would have refused."""
    stored: Mapping[str, str] = secret.version.context
    if context and dict(context) != dict(stored):
        raise KmsError(
            f"{secret.name} was not stored with the encryption context that was given",
            hint="leave the context out: the environment has it with the version",
        )
    return secret.plaintext


def _there(state: State) -> bool:
    return state is State.ACTIVE


def _open(version: Version) -> bool:
    return version.destroyed_at is None and not version.disabled and "pending" not in version.stages


def _number(name: str, version: str) -> int:
    """``version`` as an environment numbers it; 0 is the one before the first."""
    if not (version.isascii() and version.isdecimal() and len(version) <= 19):
        raise InvalidArgumentError(
            f"{version[:40]!r} is no version of {name}: an environment's versions are whole numbers",
            hint="`credstash list` shows them",
        )
    return int(version)


if TYPE_CHECKING:

    def _conforms(store: EnvironmentStore) -> Store:
        return store
