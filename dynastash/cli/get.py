"""``dynastash get``."""

from __future__ import annotations

import click

from dynastash.cli.options import SecretName, Settings, common
from dynastash.cli.output import emit, secret_data, write_value
from dynastash.errors import InvalidArgumentError


@click.command("get")
@click.argument("names", metavar="[NAME]...", nargs=-1, type=SecretName())
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="Version N instead of the current one.")
@click.option("--stage", metavar="STAGE", help="The version at current, previous or pending.")
@click.option("--prefix", metavar="PREFIX", help="Every secret whose name starts with PREFIX ('' for all).")
@click.option("--raw", is_flag=True, help="The exact bytes, to a terminal too.")
@click.option("--public-key", is_flag=True, help="The public key of the private key stored there.")
@common
def get_command(
    settings: Settings,
    names: tuple[str, ...],
    version: int | None,
    stage: str | None,
    prefix: str | None,
    raw: bool,
    public_key: bool,
) -> None:
    """Print the value of NAME.

    Into a pipe or a file go the exact bytes; a terminal gets a final newline, and binary only with --raw. Several
    names, or --prefix, need -o json or -o yaml, and give all of the secrets or none.
    """
    if prefix is not None or len(names) > 1:
        if version is not None or stage is not None or raw or public_key:
            raise click.UsageError("--version, --stage, --raw and --public-key go with one NAME")
        if prefix is not None and names:
            raise click.UsageError("give names or --prefix, not both")
        if settings.output == "table":
            raise click.UsageError("several secrets need -o json or -o yaml")
        found = settings.stash().get_many(names or None, prefix=prefix)
        emit({name: secret_data(secret) for name, secret in found.items()}, settings.output)
        return
    if not names:
        raise click.UsageError("missing argument 'NAME'")
    secret = settings.stash().get(names[0], version=version, stage=stage)
    if public_key:
        from dynastash.generate import public_key as public_key_of

        write_value(public_key_of(secret.plaintext), raw=raw)
    elif settings.output != "table":
        emit(secret_data(secret), settings.output)
    elif not write_value(secret.value, raw=raw):
        raise InvalidArgumentError(
            f"version {secret.number} of {secret.name} is binary, and this is a terminal",
            hint="redirect the output into a file or a pipe, or use --raw",
        )
