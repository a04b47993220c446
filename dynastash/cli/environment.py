"""``dynastash env``."""

from __future__ import annotations

import os
from typing import Any

import click

from dynastash.cli.command import Command
from dynastash.cli.options import Settings, common
from dynastash.cli.output import emit, emit_table
from dynastash.config import LOCAL, Configuration, Environment, load, resolve_all

_OPTIONAL = ("region", "key")


@click.command("env", cls=Command)
@common
def env_command(settings: Settings) -> None:
    """Show the environments, which one is in use, and why.

    -e chooses one, else the variable DYNASTASH_ENV, else the default in dynastash.toml, else it is "local".
    """
    configuration = load()
    chosen = settings.environment()
    by, why = _choice(settings, configuration)
    found = {environment.name: environment for environment in resolve_all(configuration)}
    found[chosen.name] = chosen
    rows = [found[name] for name in sorted(found)]
    if settings.output != "table":
        emit([_data(each, by if each.name == chosen.name else None) for each in rows], settings.output)
        return
    emit_table(
        [
            [
                each.name,
                f"yes, by {why}" if each.name == chosen.name else "",
                each.store,
                _where(each),
                each.aws.region or ("" if each.store == "sqlite" else "(from AWS)"),
                _key(each),
                "built in" if each.source == "default" else each.source,
            ]
            for each in rows
        ],
        ("name", "in use", "store", "where", "region", "key", "defined in"),
        _OPTIONAL,
    )


def _choice(settings: Settings, configuration: Configuration) -> tuple[str, str]:
    """What chose the environment, for a machine and for people; :func:`dynastash.config.resolve` decides so too."""
    if settings.env:
        return "option", "-e"
    if os.environ.get("DYNASTASH_ENV"):
        return "variable", "DYNASTASH_ENV"
    if configuration.default != LOCAL:
        return "file", f"default in {configuration.path}"
    return "default", "default"


def _where(environment: Environment) -> str:
    if environment.store == "sqlite":
        return str(environment.directory / f"{environment.name}.db")
    return environment.table


def _key(environment: Environment) -> str:
    if environment.store == "sqlite":
        if os.environ.get("DYNASTASH_LOCAL_KEY"):
            return "DYNASTASH_LOCAL_KEY"
        return "keyring" if environment.keyring else str(environment.directory / f"{environment.name}.key")
    return environment.key


def _data(environment: Environment, chosen_by: str | None) -> dict[str, Any]:
    remote = environment.store == "dynamodb"
    return {
        "name": environment.name,
        "chosen": chosen_by is not None,
        "chosen_by": chosen_by,
        "store": environment.store,
        "where": _where(environment),
        "key": _key(environment),
        "trusted_keys": list(environment.trusted_keys),
        "region": environment.aws.region,
        "profile": environment.aws.profile,
        "role_arn": environment.aws.role_arn,
        "external_id": environment.aws.external_id,
        "mfa_serial": environment.aws.mfa_serial,
        "role_session_name": environment.aws.role_session_name,
        "duration_seconds": environment.aws.duration_seconds,
        "endpoint_url": environment.aws.endpoint_url,
        "read_region": environment.aws.read_region,
        "read_endpoint_url": environment.aws.read_endpoint_url,
        "table": environment.table if remote else None,
        "defined_in": None if environment.source == "default" else environment.source,
    }
