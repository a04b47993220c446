"""``dynastash env`` and ``dynastash completion``."""

from __future__ import annotations

import sys
from typing import Any

import click

from dynastash.cli.options import Settings, common
from dynastash.cli.output import emit, emit_table
from dynastash.config import Environment, load, resolve_all


@click.command("env")
@common
def env_command(settings: Settings) -> None:
    """Show the environments, and which one is in use."""
    chosen = settings.environment()
    found = {environment.name: environment for environment in resolve_all(load())}
    found[chosen.name] = chosen
    rows = [found[name] for name in sorted(found)]
    if settings.output != "table":
        emit([_data(environment, environment.name == chosen.name) for environment in rows], settings.output)
        return
    emit_table(
        [
            [
                "*" if environment.name == chosen.name else "",
                environment.name,
                environment.store,
                _where(environment),
                environment.aws.region or ("" if environment.store == "sqlite" else "(from AWS)"),
                _key(environment),
                environment.source,
            ]
            for environment in rows
        ],
        ("", "name", "store", "where", "region", "key", "defined in"),
    )


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion_command(shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and names of secrets.

    \b
    bash:  eval "$(dynastash completion bash)"      in ~/.bashrc
    zsh:   eval "$(dynastash completion zsh)"       in ~/.zshrc, behind compinit
    fish:  dynastash completion fish > ~/.config/fish/completions/dynastash.fish
    """
    from click.shell_completion import get_completion_class

    from dynastash.cli.app import app

    complete = get_completion_class(shell)
    assert complete is not None
    sys.stdout.write(complete(app, {}, "dynastash", "_DYNASTASH_COMPLETE").source())


def _where(environment: Environment) -> str:
    if environment.store == "sqlite":
        return str(environment.directory / f"{environment.name}.db")
    return environment.table


def _key(environment: Environment) -> str:
    if environment.store == "sqlite":
        return "keyring" if environment.keyring else str(environment.directory / f"{environment.name}.key")
    return environment.key


def _data(environment: Environment, chosen: bool) -> dict[str, Any]:
    remote = environment.store == "dynamodb"
    return {
        "name": environment.name,
        "chosen": chosen,
        "store": environment.store,
        "where": _where(environment),
        "key": _key(environment),
        "trusted_keys": list(environment.trusted_keys),
        "region": environment.aws.region,
        "profile": environment.aws.profile,
        "role_arn": environment.aws.role_arn,
        "endpoint_url": environment.aws.endpoint_url,
        "table": environment.table if remote else None,
        "defined_in": environment.source,
    }
