"""``dynastash get``."""

from __future__ import annotations

from dataclasses import replace

import click

from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import SecretName, Settings, Usage, Whole, common
from dynastash.cli.output import emit, say, secret_data, write_value
from dynastash.cli.quick import show_value
from dynastash.errors import SecretNotFoundError
from dynastash.models import Secret, Stage
from dynastash.references import SCHEME, check_field, parse


@click.command(
    "get",
    cls=Command,
    examples=(
        "dynastash get app1/db/password",
        "dynastash get app1/db/password --version 3",
        "dynastash get app1/db/password --stage previous",
        "dynastash get app1/db#password           # a member of a JSON value",
        "dynastash get app1/tls/key > key.pem",
        "dynastash get --prefix app1/ -o json",
    ),
)
@click.argument("names", metavar="[NAME[@VERSION][#FIELD]]...", nargs=-1, type=SecretName())
@click.option("--version", cls=OwnOption, type=Whole(1), metavar="N", help="Version N instead of the current one.")
@click.option(
    "--stage",
    cls=OwnOption,
    type=click.Choice(tuple(map(str, Stage))),
    metavar="STAGE",
    help=f"The version at {', '.join(list(Stage)[:-1])} or {list(Stage)[-1]}.",
)
@click.option(
    "--min-version",
    cls=OwnOption,
    type=Whole(1),
    metavar="N",
    help="Refuse a secret whose current version is below N.",
)
@click.option("--field", cls=OwnOption, metavar="FIELD", help="A member of a JSON value, or a JSON Pointer: /db/user.")
@click.option("--prefix", cls=OwnOption, metavar="PREFIX", help="Every secret whose name starts so; '' for all.")
@click.option("--raw", cls=OwnOption, is_flag=True, help="The exact bytes, to a terminal too.")
@click.option("--public-key", cls=OwnOption, is_flag=True, help="The public key of the private key stored there.")
@common
def get_command(
    settings: Settings,
    names: tuple[str, ...],
    version: int | None,
    stage: str | None,
    min_version: int | None,
    field: str | None,
    prefix: str | None,
    raw: bool,
    public_key: bool,
) -> None:
    """Print the value of NAME.

    Into a pipe or a file go the exact bytes. A terminal gets a final newline, and binary or control characters only
    with --raw. NAME@3 and NAME@previous are that version of NAME, and NAME#FIELD is a field of its JSON value;
    "dynastash://" may stand in front. Several names, or --prefix, need -o json or -o yaml; you get all of the secrets
    or none.
    """
    one = (version, stage, min_version, field)
    if prefix is not None or len(names) > 1:
        if any(given is not None for given in one) or raw or public_key:
            raise click.UsageError(
                "--version, --stage, --min-version, --field, --raw and --public-key go with one NAME"
            )
        if prefix is not None and names:
            raise click.UsageError("give names or --prefix, not both")
        if settings.output == "table":
            raise Usage("several secrets cannot be told apart as bare values", "add -o json or -o yaml")
        _get_many(settings, names, prefix)
        return
    if not names:
        raise click.UsageError("missing argument 'NAME'")
    if raw and settings.output != "table":
        raise click.UsageError(f"--raw and -o {settings.output} exclude each other")
    secret = _get(settings, names[0], *one)
    if public_key:
        _write_public_key(settings, secret)
    elif settings.output != "table":
        emit(secret_data(secret), settings.output)
    else:
        show_value(secret, raw=raw)


def _get(
    settings: Settings, name: str, version: int | None, stage: str | None, min_version: int | None, field: str | None
) -> Secret:
    from dynastash.stash.resolving import advised, select

    reference = parse(name)
    if field is not None:
        if reference.field is not None:
            raise click.UsageError("the field was given twice: behind # and by --field")
        reference = replace(reference, field=check_field(field))
    if version is not None or stage is not None:
        if reference.name != name.removeprefix(SCHEME).partition("#")[0]:
            raise click.UsageError("the version was given twice: behind @ and by --version or --stage")
    else:
        version, stage = reference.version, None if reference.version is not None else str(reference.stage)
    try:
        secret = settings.stash().get(reference.name, version=version, stage=stage, min_version=min_version)
    except SecretNotFoundError as error:
        raise advised(parse(name), error) from None
    return select(secret, reference.field)


def _get_many(settings: Settings, names: tuple[str, ...], prefix: str | None) -> None:
    references = [parse(name) for name in names]
    stash = settings.stash()
    if prefix is None:
        found = {str(reference): secret for reference, secret in stash.resolve(references).items()}
    else:
        found = stash.get_many(prefix=prefix)
    if not found:
        say(f"no secrets {f'start with {prefix} ' if prefix else ''}in {stash.environment} ({stash.where})")
    emit({name: secret_data(secret) for name, secret in found.items()}, settings.output)


def _write_public_key(settings: Settings, secret: Secret) -> None:
    from dynastash.generate import public_key

    public = public_key(secret.plaintext)
    if settings.output == "table":
        write_value(public, raw=True)
    else:
        emit({"name": secret.name, "version": secret.number, "public_key": public.decode("ascii")}, settings.output)
