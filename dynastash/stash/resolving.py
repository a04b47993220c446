"""Resolving references: the values of many at once, or of none."""

from __future__ import annotations

from collections.abc import Iterable

from dynastash import parallel
from dynastash.errors import DynastashError, SecretNotFoundError, StoreError
from dynastash.frozen import replace
from dynastash.models import Secret, Stage
from dynastash.references import Reference, field_of
from dynastash.stash import together, views
from dynastash.stash.reader import Opened, Reader


def resolve(reader: Reader, references: Iterable[Reference]) -> dict[Reference, Secret]:
    """Each reference's secret, its value that of the field where one is named; in order, and each once.

    The current versions come with one batch, however many, and other versions beside each other, each opened once
    whatever number of its fields is asked for. Raises :class:`PartialError` with every reference that failed, or the
    one failure itself where only one reference was asked for.
    """
    wanted = list(dict.fromkeys(references))
    opened = _open(reader, dict.fromkeys(replace(reference, field=None) for reference in wanted))
    secrets: dict[Reference, Secret] = {}
    failures: dict[str, DynastashError] = {}
    for reference in wanted:
        found = opened[replace(reference, field=None)]
        try:
            if isinstance(found, DynastashError):
                raise found
            secrets[reference] = select(views.secret(reader.usable(found)), reference.field)
        except DynastashError as error:
            failures[str(reference)] = advised(reference, error)
    refuse_part(failures, len(wanted))
    return secrets


def refuse_part(failures: dict[str, DynastashError], asked: int) -> None:
    """Raise :class:`PartialError` where some of the references ``asked`` for failed: the failure itself of only one."""
    if failures and asked == 1:
        raise failures.popitem()[1]
    if failures:
        raise views.partial(failures, asked)


def select(secret: Secret, field: str | None) -> Secret:
    """``secret`` with the text of ``field`` as its value, or as it is for None."""
    if field is None:
        return secret
    return replace(secret, plaintext=field_of(secret.plaintext, field, f"version {secret.number} of {secret.name}"))


def advised(reference: Reference, error: DynastashError) -> DynastashError:
    """``error``, with a word on names that end like a version where one of those may have been meant."""
    if isinstance(error, SecretNotFoundError) and (version := str(replace(reference, field=None))) != reference.name:
        return SecretNotFoundError(str(error), hint=f"a secret of the name {version} is written {version}@current")
    return error


def _open(reader: Reader, wanted: Iterable[Reference]) -> dict[Reference, Opened | DynastashError]:
    current: list[Reference] = []
    others: list[Reference] = []
    for reference in wanted:
        (current if reference.version is None and reference.stage is Stage.CURRENT else others).append(reference)

    def one(reference: Reference) -> Opened | DynastashError:
        try:
            if reference.version is not None:
                return reader.version(reference.name, reference.version)
            return reader.staged(reference.name, reference.stage)
        except StoreError:  # the store itself failed, and would again
            raise
        except DynastashError as error:
            return error

    current_ones = together.named(reader, (one.name for one in current), lambda opened: opened) if current else {}
    other_ones = parallel.each(one, others, limit=reader.keys.concurrency)
    return {
        **{reference: current_ones[reference.name] for reference in current},
        **dict(zip(others, other_ones, strict=True)),
    }
