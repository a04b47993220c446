"""Which failures leave open whether a kept value still holds (docs/adr/0015)."""

from __future__ import annotations

from dynastash.errors import (
    DynastashError,
    KeyUnreachableError,
    PartialError,
    StoreUnavailableError,
    VersionNotFoundError,
)


def passing(error: BaseException) -> bool:
    """Whether nobody has answered: throttled, out of reach, busy. Any other error is an answer, and no is one too."""
    if isinstance(error, PartialError):
        return bool(error.failures) and all(passing(failure) for failure in error.failures.values())
    return isinstance(error, StoreUnavailableError | KeyUnreachableError)


def concerns_one_version(error: DynastashError) -> bool:
    """Whether the secret's other versions are as good as before."""
    return isinstance(error, VersionNotFoundError)
