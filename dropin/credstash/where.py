"""What the name of a table means: an old table, or an environment of dynastash (docs/adr has why).

``credstash:TABLE`` and ``environment:NAME`` say it. Of other names, the configuration is asked first, without any call:
the name of an environment that is defined there, of its table, or of the old table that it succeeds, is that
environment; so is a name that begins as the tables of ``dynastash deploy`` do. Everything else is an old table. Only
where DynamoDB says that there is no such table, and never where it refuses to say, the environment of that name is
asked.
"""

from __future__ import annotations

from typing import Final

from dynastash.config import LOCAL, Configuration
from dynastash.errors import ConfigError, InvalidNameError
from dynastash.frozen import Frozen
from dynastash.models import check_environment

_ENVIRONMENT: Final = "environment:"
_TABLE: Final = "credstash:"
_DEPLOYED: Final = "dynastash-"


class Meaning(Frozen):
    """``table``, an old one, or ``environment``; with both, the environment if there is no such table."""

    table: str | None = None
    environment: str | None = None


def meaning(name: str, configuration: Configuration) -> Meaning:
    """What ``name`` means. Raises :class:`ConfigError` where the configuration gives it to several environments."""
    if name.startswith(_ENVIRONMENT):
        return Meaning(environment=check_environment(name.removeprefix(_ENVIRONMENT)))
    if name.startswith(_TABLE):
        return Meaning(table=_checked(name.removeprefix(_TABLE), name))
    _checked(name, name)
    claimed = sorted(
        environment
        for environment, settings in configuration.tables.items()
        if name in (environment, settings.get("table", f"{_DEPLOYED}{environment}"), settings.get("credstash"))
    )
    if len(claimed) > 1:
        raise ConfigError(
            f"{name} may be any of the environments {', '.join(claimed)}, as {configuration.path} has it",
            hint=f"write {_ENVIRONMENT}{claimed[0]}, or {_TABLE}{name} for an old table",
        )
    if claimed:
        return Meaning(environment=claimed[0])
    if name.startswith(_DEPLOYED) and _is_environment(name.removeprefix(_DEPLOYED)):
        return Meaning(environment=name.removeprefix(_DEPLOYED))
    # What is on this machine alone is never taken for want of something on AWS.
    return Meaning(table=name, environment=name if _is_environment(name) and name != LOCAL else None)


def _checked(table: str, given: str) -> str:
    if not table:
        raise ConfigError(f"{given!r} names no table", hint="give -t, or unset CREDSTASH_DEFAULT_TABLE")
    return table


def _is_environment(text: str) -> bool:
    try:
        check_environment(text)
    except InvalidNameError:
        return False
    return True
