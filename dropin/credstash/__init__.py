"""The module ``credstash``, carried out by dynastash: over an old table, or over an environment of dynastash.

::

    import credstash

    credstash.putSecret("db/password", "hunter2", version="1")
    credstash.getSecret("db/password")
    credstash.getSecret("db/password", table="environment:prod")

docs/reference/credstash-dropin.md says what differs from credstash 1.17.1, and why. Importing this loads nothing but
this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from credstash.errors import IntegrityError, ItemNotFound, KmsError
    from credstash.library import (
        createDdbTable,
        deleteSecrets,
        getAllSecrets,
        getHighestVersion,
        getSecret,
        listSecrets,
        putSecret,
        putSecretAutoversion,
    )
    from credstash.sessions import get_session, reset_sessions
    from credstash.text import expand_wildcard, key_value_pair, paddedInt

__all__ = [
    "IntegrityError",
    "ItemNotFound",
    "KmsError",
    "createDdbTable",
    "deleteSecrets",
    "expand_wildcard",
    "getAllSecrets",
    "getHighestVersion",
    "getSecret",
    "get_session",
    "key_value_pair",
    "listSecrets",
    "paddedInt",
    "putSecret",
    "putSecretAutoversion",
    "reset_sessions",
]

_HOMES = {
    **dict.fromkeys(("IntegrityError", "ItemNotFound", "KmsError"), "credstash.errors"),
    **dict.fromkeys(("get_session", "reset_sessions"), "credstash.sessions"),
    **dict.fromkeys(("expand_wildcard", "key_value_pair", "paddedInt"), "credstash.text"),
}


if not TYPE_CHECKING:  # or any misspelt name would be an object to type checkers

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(_HOMES.get(name, "credstash.library")), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__
