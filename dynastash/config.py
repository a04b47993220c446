"""Environments: from dynastash.toml, environment variables and arguments, each overriding the one before.

The file is the nearest ``dynastash.toml`` in the working directory or a parent of it, else the one in the user's
configuration directory; ``DYNASTASH_CONFIG`` names another. Without any, there is the environment ``local`` on this
machine, and every other name means the table and the key that ``dynastash deploy NAME`` makes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dynastash.aws.base import AwsSettings
from dynastash.errors import ConfigError
from dynastash.models import check_environment

LOCAL: Final = "local"
"""The environment without any configuration."""

FILE_NAME: Final = "dynastash.toml"
_AWS_KEYS: Final = ("region", "profile", "role_arn", "endpoint_url")
_ENVIRONMENT_KEYS: Final = frozenset((*_AWS_KEYS, "store", "path", "table", "key", "trusted_keys"))
_VARIABLES: Final = {
    "DYNASTASH_TABLE": "table",
    "DYNASTASH_KEY": "key",
    "DYNASTASH_TRUSTED_KEYS": "trusted_keys",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment's settings, resolved.

    ``store`` is ``dynamodb`` or ``sqlite``. ``directory`` and ``keyring`` belong to ``sqlite``: where the file and its
    key stand, and whether the key stands in the operating system's keyring instead. ``source`` says where the
    environment was defined: a file's path, or ``default``.
    """

    name: str
    store: str
    aws: AwsSettings = field(default_factory=AwsSettings)
    table: str = ""
    key: str = ""
    trusted_keys: tuple[str, ...] = ()
    directory: Path = field(default_factory=Path)
    keyring: bool = False
    source: str = "default"


@dataclass(frozen=True, slots=True)
class Configuration:
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
    path = _find(directory or Path.cwd(), variables)
    if path is None:
        return Configuration(None, LOCAL, {})
    import tomllib

    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check the file, or remove it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend the line that it names") from error
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
    file (``region``, ``profile``, ``role_arn``, ``endpoint_url``, ``table``, ``key``), None meaning not given.
    """
    variables = os.environ if variables is None else variables
    configuration = configuration or load(variables=variables)
    name = check_environment(name or variables.get("DYNASTASH_ENV") or configuration.default)
    settings: dict[str, Any] = dict(configuration.tables.get(name, {}))
    source = str(configuration.path) if name in configuration.tables else "default"
    store = settings.get("store") or ("sqlite" if name == LOCAL else "dynamodb")
    if store == "dynamodb":  # DYNASTASH_TABLE may be set for a whole shell, and local is still local
        for variable, key in _VARIABLES.items():
            if variables.get(variable):
                settings[key] = variables[variable].split(",") if key == "trusted_keys" else variables[variable]
    settings |= {key: value for key, value in (overrides or {}).items() if value is not None}
    if store == "sqlite":
        return _sqlite(name, settings, source, variables)
    return Environment(
        name=name,
        store=store,
        aws=AwsSettings(**{key: settings.get(key) for key in _AWS_KEYS}),
        table=settings.get("table") or f"dynastash-{name}",
        key=settings.get("key") or f"alias/dynastash-{name}",
        trusted_keys=tuple(key.strip() for key in settings.get("trusted_keys", ()) if key.strip()),
        source=source,
    )


def resolve_all(configuration: Configuration, variables: Mapping[str, str] | None = None) -> list[Environment]:
    """Every environment that is defined, as the file alone has it."""
    plain = {
        key: value for key, value in (os.environ if variables is None else variables).items() if key not in _VARIABLES
    }
    return [resolve(name, configuration=configuration, variables=plain) for name in configuration.names()]


def _sqlite(name: str, settings: Mapping[str, Any], source: str, variables: Mapping[str, str]) -> Environment:
    foreign = sorted(key for key in (*_AWS_KEYS, "table", "trusted_keys") if settings.get(key))
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
    directory = Path(settings["path"]).expanduser() if settings.get("path") else _data_directory(variables)
    if source != "default":
        directory = Path(source).parent / directory  # relative to the file; an absolute path stays
    return Environment(
        name=name, store="sqlite", directory=directory, keyring=settings.get("key") == "keyring", source=source
    )


def _find(directory: Path, variables: Mapping[str, str]) -> Path | None:
    if named := variables.get("DYNASTASH_CONFIG"):
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"DYNASTASH_CONFIG names {path}, which is not a file", hint="unset it or mend the path")
        return path
    for parent in (directory, *directory.parents):
        if (path := parent / FILE_NAME).is_file():
            return path
    import platformdirs

    path = platformdirs.user_config_path("dynastash") / FILE_NAME
    return path if path.is_file() else None


def _data_directory(variables: Mapping[str, str]) -> Path:
    if named := variables.get("DYNASTASH_DATA"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_data_path("dynastash")


def _checked(path: Path, document: Mapping[str, Any]) -> Configuration:
    def refuse(what: str, hint: str) -> ConfigError:
        return ConfigError(f"{path}: {what}", hint=hint)

    if unknown := sorted(document.keys() - {"default", "env"}):
        raise refuse(f"{unknown[0]} is not a setting", "the settings are default and [env.NAME]")
    default = document.get("default", LOCAL)
    tables = document.get("env", {})
    if not isinstance(default, str) or not isinstance(tables, Mapping):
        raise refuse("default is not a name, or env is not a table", 'write default = "dev" and [env.dev]')
    check_environment(default)
    for name, settings in tables.items():
        check_environment(name)
        if not isinstance(settings, Mapping):
            raise refuse(f"env.{name} is not a table", f"write [env.{name}]")
        if unknown := sorted(settings.keys() - _ENVIRONMENT_KEYS):
            raise refuse(
                f"env.{name}.{unknown[0]} is not a setting", f"the settings are {', '.join(sorted(_ENVIRONMENT_KEYS))}"
            )
        for key, value in settings.items():
            listed = key == "trusted_keys"
            if not (
                isinstance(value, list) and all(isinstance(v, str) for v in value)
                if listed
                else (isinstance(value, str) and value)
            ):
                raise refuse(f"env.{name}.{key} is not {'a list of text' if listed else 'text'}", "mend the line")
        if settings.get("store", "sqlite") not in ("sqlite", "dynamodb"):
            raise refuse(f"env.{name}.store is not a store", 'write "sqlite" or "dynamodb"')
    return Configuration(path, default, tables)
