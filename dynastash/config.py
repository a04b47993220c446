"""Environments: from dynastash.toml, environment variables and arguments, each overriding the one before.

The file is the nearest ``dynastash.toml`` in the working directory or a parent of it, else the one in the user's
configuration directory; ``DYNASTASH_CONFIG`` names another. Without any, there is the environment ``local`` on this
machine, and every other name means the table and the key that ``dynastash deploy NAME`` makes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dynastash import directories
from dynastash.aws.base import AwsSettings
from dynastash.errors import ConfigError, InvalidNameError
from dynastash.frozen import Frozen, field
from dynastash.models import check_environment

if TYPE_CHECKING:
    from pathlib import Path

LOCAL: Final = "local"
"""The environment without any configuration."""

FILE_NAME: Final = "dynastash.toml"
_ROLE_KEYS: Final = ("external_id", "mfa_serial", "role_session_name", "duration_seconds")
_AWS_KEYS: Final = (
    "region", "profile", "role_arn", *_ROLE_KEYS, "endpoint_url", "read_region", "read_endpoint_url",
)  # fmt: skip
_STORES: Final = ("dynamodb", "sqlite")
_ENVIRONMENT_KEYS: Final = frozenset(
    (*_AWS_KEYS, "store", "path", "state", "table", "key", "trusted_keys", "concurrency", "parameters", "credstash")
)
_KINDS: Final = {
    "trusted_keys": "a list of text",
    "concurrency": "a whole number",
    "duration_seconds": "a whole number",
    "parameters": "a table of text, numbers, true and false",
}
_FORMS: Final = {
    "role_arn": (r"arn:[\w-]+:iam::\d+:role/[\w+=,.@/-]+", "the form arn:aws:iam::ACCOUNT:role/NAME"),
    "external_id": (r"[\w+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and +=,.@:/-_"),
    "role_session_name": (r"[\w+=,.@-]{2,64}", "2 to 64 letters, digits and +=,.@-_"),
    "mfa_serial": (r"[\w+=/:,.@-]{9,256}", "the device's ARN or serial number"),
}
_KNOWN: Final = f"the settings are {', '.join(sorted(_ENVIRONMENT_KEYS))}"
_VARIABLES: Final = {
    "DYNASTASH_TABLE": "table",
    "DYNASTASH_KEY": "key",
    "DYNASTASH_TRUSTED_KEYS": "trusted_keys",
    "DYNASTASH_CONCURRENCY": "concurrency",
}
_STATE: Final = "DYNASTASH_STATE"
CONCURRENCY: Final = 32
"""Calls to KMS in flight at once, unless told otherwise: its quota is shared by everybody in the account and Region."""

_MOST_CONCURRENCY: Final = 64  # more than that in flight gained nothing when it was measured


class Environment(Frozen, kw_only=True):
    """One environment's settings, resolved.

    ``store`` is ``dynamodb`` or ``sqlite``. ``location`` and ``keyring`` belong to ``sqlite``: where the file and its
    key stand, and whether the key stands in the operating system's keyring instead. ``state`` is the file that keeps
    the high-water marks, or None. ``concurrency`` is how many calls to KMS may be in flight at once. ``source`` says
    where the environment was defined: a file's path, or ``default``. ``parameters`` are those of the CloudFormation
    template, for ``dynastash deploy``.
    """

    name: str
    store: str
    aws: AwsSettings = field(default_factory=AwsSettings)
    table: str = ""
    key: str = ""
    trusted_keys: tuple[str, ...] = ()
    location: str = ""
    keyring: bool = False
    state: Path | None = None
    concurrency: int = CONCURRENCY
    parameters: Mapping[str, str] = field(default_factory=dict)
    source: str = "default"

    @property
    def directory(self) -> Path:
        """``location`` as a path."""
        from pathlib import Path

        return Path(self.location)


class Configuration(Frozen):
    """What a file says: ``path`` is None where there is none."""

    path: Path | None
    default: str
    tables: Mapping[str, Mapping[str, Any]]

    def names(self) -> list[str]:
        """The environments that are defined, ``local`` among them always."""
        return sorted({LOCAL, self.default, *self.tables})


def load(directory: Path | None = None, variables: Mapping[str, str] | None = None) -> Configuration:
    """Find and read the configuration file for ``directory`` (default: the working directory)."""
    variables = os.environ if variables is None else variables
    found = _find(str(directory or _working_directory()), variables)
    if found is None:
        return Configuration(None, LOCAL, {})
    import tomllib
    from pathlib import Path

    path = Path(found)

    text = ""
    try:
        text = path.read_bytes().decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check the file, or remove it") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: byte {error.start} is not UTF-8", hint="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        said = str(error).replace("at end of document", f"at line {len(text.splitlines())}, the last")
        raise ConfigError(f"{path} is not TOML: {said}", hint="mend the line that it names") from error
    return _checked(path, document)


def resolve(
    name: str | None = None,
    *,
    configuration: Configuration | None = None,
    variables: Mapping[str, str] | None = None,
    overrides: Mapping[str, str | None] | None = None,
) -> Environment:
    """The settings of environment ``name``: file < environment variables < ``overrides``.

    Without a name, ``DYNASTASH_ENV`` or the file's ``default`` or ``local`` is meant. ``overrides`` has the keys of the
    file (``region``, ``table``, ``path`` …), None meaning not given; ``trusted_keys`` with commas between.
    """
    variables = os.environ if variables is None else variables
    configuration = configuration or load(variables=variables)
    name = check_environment(name or variables.get("DYNASTASH_ENV") or configuration.default)
    settings: dict[str, Any] = dict(configuration.tables.get(name, {}))
    source = str(configuration.path) if name in configuration.tables else "default"
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if unknown := sorted(given.keys() - _ENVIRONMENT_KEYS):
        raise ConfigError(f"{unknown[0]} is not a setting", hint=_KNOWN)
    for key in ("path", "state"):
        if configuration.path is not None and key in settings:  # relative to the file; an absolute path stays
            settings[key] = os.path.join(configuration.path.parent, _expanded(settings[key]))
    if variables.get(_STATE):
        settings["state"] = variables[_STATE]
    store = given.get("store") or settings.get("store") or ("sqlite" if name == LOCAL else "dynamodb")
    if store not in _STORES:
        raise ConfigError("store is not a store that there is", hint=f"use {' or '.join(_STORES)}")
    if store == "dynamodb":  # DYNASTASH_TABLE may be set for a whole shell, and local is still local
        settings |= {key: variables[variable] for variable, key in _VARIABLES.items() if variables.get(variable)}
    settings |= given
    if store == "sqlite":
        return _sqlite(name, settings, source, variables)
    if settings.get("path"):
        raise ConfigError(
            f"environment {name} is on AWS and takes no path",
            hint='remove path, or write store = "sqlite" for an environment on this machine',
        )
    return Environment(
        name=name,
        store=store,
        aws=_aws(name, settings),
        table=settings.get("table") or f"dynastash-{name}",
        key=settings.get("key") or f"alias/dynastash-{name}",
        trusted_keys=_listed(settings.get("trusted_keys", ())),
        state=_state(settings),
        concurrency=_concurrency(settings.get("concurrency", CONCURRENCY)),
        parameters={name: _parameter(value) for name, value in settings.get("parameters", {}).items()},
        source=source,
    )


def _aws(name: str, settings: Mapping[str, Any]) -> AwsSettings:
    """How to reach the environment's account. A setting that would have no effect is refused: somebody relies on it."""
    aws = {key: settings.get(key) for key in _AWS_KEYS}
    for key, needed in (*((key, "role_arn") for key in _ROLE_KEYS), ("read_endpoint_url", "read_region")):
        if aws[key] is not None and aws[needed] is None:
            raise ConfigError(
                f"environment {name} has {key} and no {needed}", hint=f"give {needed} too, or remove {key}"
            )
    for key, (pattern, form) in _FORMS.items():
        if aws[key] is None:
            continue
        import re

        if not re.fullmatch(pattern, str(aws[key]), re.ASCII):
            raise ConfigError(f"{key} of environment {name} is not one", hint=f"it has {form}")
    if aws["duration_seconds"] is not None:
        text = str(aws["duration_seconds"])
        if not (text.isascii() and text.isdecimal() and 900 <= int(text[:9]) <= 43_200):
            raise ConfigError("duration_seconds is out of range", hint="give 900 to 43200")
        aws["duration_seconds"] = int(text)
    if aws["read_region"] is not None and aws["read_region"] == aws["region"]:
        raise ConfigError(
            f"environment {name} would read in {aws['region']} while {aws['region']} is out of reach",
            hint="read_region is the Region of a replica",
        )
    return AwsSettings(**aws)


def _parameter(value: str | int | bool) -> str:
    """A parameter as CloudFormation takes it; TOML's true is its ``true``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _concurrency(given: str | int) -> int:
    text = str(given)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST_CONCURRENCY):
        raise ConfigError("concurrency is out of range", hint=f"give 1 to {_MOST_CONCURRENCY}")
    return int(text)


def _listed(keys: str | Sequence[str]) -> tuple[str, ...]:
    """Trusted keys as the file has them, a list, or as a variable or an argument has them, with commas between."""
    separate = keys.split(",") if isinstance(keys, str) else keys
    return tuple(key.strip() for key in separate if key.strip())


def resolve_all(configuration: Configuration, variables: Mapping[str, str] | None = None) -> list[Environment]:
    """Every environment that is defined, as the file alone has it."""
    plain = {
        key: value
        for key, value in (os.environ if variables is None else variables).items()
        if key not in (*_VARIABLES, _STATE)
    }
    return [resolve(name, configuration=configuration, variables=plain) for name in configuration.names()]


def _sqlite(name: str, settings: Mapping[str, Any], source: str, variables: Mapping[str, str]) -> Environment:
    foreign = sorted(key for key in (*_AWS_KEYS, "table", "trusted_keys", "parameters") if settings.get(key))
    if foreign:
        raise ConfigError(
            f"environment {name} is on this machine and takes no {foreign[0]}",
            hint=f"remove {foreign[0]}, or choose an environment on AWS with -e",
        )
    if settings.get("key") not in (None, "keyring"):
        raise ConfigError(
            f"environment {name} is on this machine and takes no KMS key",
            hint='remove key, or write key = "keyring" to keep its key in the operating system\'s keyring',
        )
    directory = _expanded(settings["path"]) if settings.get("path") else _data_directory(variables)
    return Environment(
        name=name,
        store="sqlite",
        location=_absolute(directory),
        keyring=settings.get("key") == "keyring",
        state=_state(settings),
        source=source,
    )


def _state(settings: Mapping[str, Any]) -> Path | None:
    if not settings.get("state"):
        return None
    from pathlib import Path

    return Path(_absolute(_expanded(settings["state"])))


def _expanded(text: str) -> str:
    """A path as somebody wrote it, with ``~`` and ``~user`` replaced."""
    if "\0" in text:  # TOML has an escape for it, and no file has a name with it
        raise ConfigError(f"{text[:80]!r} is not a path: it has a zero byte", hint="mend the line")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ConfigError(
            f"{text[:80]!r} is not a path: there is no such user",
            hint="write ~/ for your home directory, or ./~ for a name that begins so",
        )
    return path


def _absolute(path: str) -> str:
    """``path`` from the root: the process may change its working directory later."""
    return os.path.join(os.getcwd(), path) if not os.path.isabs(path) else path


# Paths are text up to here, because pathlib is slow to import and most commands need no more than this.


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed under us, or may not be read
        return "/"


def _find(directory: str, variables: Mapping[str, str]) -> str | None:
    if named := variables.get("DYNASTASH_CONFIG"):
        path = _expanded(named)
        if not _is_file(path):
            raise ConfigError(f"DYNASTASH_CONFIG names {path}, which is not a file", hint="unset it or mend the path")
        return _absolute(path)
    parent = directory
    while True:
        if _is_file(path := os.path.join(parent, FILE_NAME)):
            _check_owner(path, directory)
            return path
        if parent == (above := os.path.dirname(parent)):
            break
        parent = above
    path = os.path.join(directories.user_config(), FILE_NAME)
    return path if _is_file(path) else None


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):  # also of a parent that we may pass through and not look into
        return False


def _check_owner(path: str, directory: str) -> None:
    """Refuse a file that somebody else left in a parent such as /tmp: it says where secrets go."""
    if os.stat(path).st_uid not in (0, os.geteuid(), os.stat(directory).st_uid):
        raise ConfigError(
            f"{path} belongs to another user", hint=f"if you trust it, say so with DYNASTASH_CONFIG={path}"
        )


def _data_directory(variables: Mapping[str, str]) -> str:
    if named := variables.get("DYNASTASH_DATA"):
        return _expanded(named)
    return directories.user_data()


def _checked(path: Path, document: Mapping[str, Any]) -> Configuration:
    def refuse(what: str, hint: str) -> ConfigError:
        return ConfigError(f"{path}: {what}", hint=hint)

    if unknown := sorted(document.keys() - {"default", "env"}):
        raise refuse(f"{unknown[0]} is not a setting", "the settings are default and [env.NAME]")
    default = document.get("default", LOCAL)
    tables = document.get("env", {})
    if not isinstance(default, str) or not isinstance(tables, Mapping):
        raise refuse("default is not a name, or env is not a table", 'write default = "dev" and [env.dev]')
    for name in (default, *tables):
        try:
            check_environment(name)
        except InvalidNameError as error:
            raise refuse(str(error), error.hint or "") from None
    for name, settings in tables.items():
        if not isinstance(settings, Mapping):
            raise refuse(f"env.{name} is not a table", f"write [env.{name}]")
        if unknown := sorted(settings.keys() - _ENVIRONMENT_KEYS):
            raise refuse(f"env.{name}.{unknown[0]} is not a setting", _KNOWN)
        for key, value in settings.items():
            if not _fits(key, value):
                kind = _KINDS.get(key, "text")
                raise refuse(f"env.{name}.{key} is not {kind}", "mend the line")
        if settings.get("store", "sqlite") not in _STORES:
            raise refuse(f"env.{name}.store is not a store", 'write "sqlite" or "dynamodb"')
    return Configuration(path, default, tables)


def _fits(key: str, value: object) -> bool:
    match key:
        case "trusted_keys":
            return isinstance(value, list) and all(isinstance(member, str) for member in value)
        case "concurrency" | "duration_seconds":
            return isinstance(value, int) and not isinstance(value, bool)
        case "parameters":
            return isinstance(value, Mapping) and all(isinstance(member, str | int) for member in value.values())
    return isinstance(value, str) and bool(value)
