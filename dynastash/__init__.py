"""Versioned secrets in DynamoDB under KMS, or in a file on this machine.

::

    import dynastash

    stash = dynastash.connect()              # or connect("prod")
    stash.put("app1/db/password", "hunter2", comment="initial")
    stash.get("app1/db/password").text

Importing this package loads nothing but this file; each name below is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynastash._version import __version__

if TYPE_CHECKING:
    from dynastash import errors
    from dynastash.aio import AsyncStash
    from dynastash.cache.caching import CachingStash
    from dynastash.errors import (
        ConflictError,
        DynastashError,
        EnvelopeError,
        KeyProviderError,
        NotFoundError,
        PartialError,
        RotationError,
        StoreError,
    )
    from dynastash.generate import KeyPair, Passphrase, Password, RandomBytes
    from dynastash.models import Secret, SecretInfo, Stage, State, Version
    from dynastash.stash.api import Stash
    from dynastash.wiring import connect

__all__ = [
    "AsyncStash",
    "CachingStash",
    "ConflictError",
    "DynastashError",
    "EnvelopeError",
    "KeyPair",
    "KeyProviderError",
    "NotFoundError",
    "PartialError",
    "Passphrase",
    "Password",
    "RandomBytes",
    "RotationError",
    "Secret",
    "SecretInfo",
    "Stage",
    "Stash",
    "State",
    "StoreError",
    "Version",
    "__version__",
    "connect",
    "errors",
]

_HOMES = {
    "connect": "dynastash.wiring",
    "Stash": "dynastash.stash.api",
    "CachingStash": "dynastash.cache.caching",
    "AsyncStash": "dynastash.aio",
    **dict.fromkeys(("KeyPair", "Passphrase", "Password", "RandomBytes"), "dynastash.generate"),
    **dict.fromkeys(("Secret", "SecretInfo", "Stage", "State", "Version"), "dynastash.models"),
}


if not TYPE_CHECKING:  # or any misspelt name would be an object to type checkers

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if name == "errors":
            return import_module("dynastash.errors")
        found = getattr(import_module(_HOMES.get(name, "dynastash.errors")), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__
