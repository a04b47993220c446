"""Opening many versions of a stash where some may fail: what is wrong with one of them is kept beside the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from dynastash.errors import CredentialsError, DynastashError, KeyUnavailableError, PartialError, StoreError
from dynastash.models import Secret
from dynastash.references import Reference

if TYPE_CHECKING:
    from dynastash.stash.api import Stash

STOPPING: Final = (StoreError, CredentialsError, KeyUnavailableError)
"""What concerns no single secret: whatever was asked next would meet it too."""


def open_all(stash: Stash, references: Iterable[Reference]) -> dict[Reference, Secret | DynastashError]:
    """Each reference's secret, or why it cannot be had. Raises what is :data:`STOPPING`."""
    wanted = list(dict.fromkeys(references))
    failures: dict[str, DynastashError] = {}
    found: dict[Reference, Secret | DynastashError] = {}
    while left := [reference for reference in wanted if str(reference) not in failures]:
        try:
            found.update(stash.resolve(left))
            break
        except PartialError as error:
            failures |= error.failures
        except DynastashError as error:
            if isinstance(error, STOPPING) or len(left) > 1:
                raise
            failures[str(left[0])] = error
    for failure in failures.values():
        if isinstance(failure, STOPPING):
            raise failure
    return {reference: failures.get(str(reference)) or found[reference] for reference in wanted}
