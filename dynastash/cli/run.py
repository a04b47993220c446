"""``dynastash run``."""

from __future__ import annotations

from typing import Any

import click

from dynastash.cli.command import OwnOption
from dynastash.cli.options import FilePath, Settings, Usage, common
from dynastash.cli.program import ProgramCommand


def _pair(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in given:
        variable, equals, reference = text.partition("=")
        if not equals:
            raise click.BadParameter("write VAR=REFERENCE, as in DB_PASSWORD=app1/db/password", ctx, param)
        pairs.append((variable, reference))
    return tuple(pairs)


@click.command(
    "run",
    cls=ProgramCommand,
    usage="dynastash run --prefix app1/ -- PROGRAM ARG ...",
    required=True,
    examples=(
        "dynastash run --prefix app1/ -- ./server --port 8080",
        "dynastash run --secret DB_PASSWORD=app1/db/password@3 -- ./migrate",
        "dynastash run --env-file app.env -e prod -- ./server",
        "dynastash run --pristine --secret TOKEN=ci/api#token -- ./job",
    ),
)
@click.argument("program", nargs=-1, metavar="-- PROGRAM [ARG]...", type=click.UNPROCESSED)
@click.option(
    "--prefix",
    "prefixes",
    cls=OwnOption,
    multiple=True,
    metavar="PREFIX",
    help="Every secret whose name starts so; app1/db/password under app1/ is DB_PASSWORD.",
)
@click.option(
    "--secret",
    "secrets",
    cls=OwnOption,
    multiple=True,
    callback=_pair,
    metavar="VAR=REF",
    help="One secret: NAME, NAME@VERSION or NAME#FIELD.",
)
@click.option(
    "--env-file",
    "files",
    cls=OwnOption,
    multiple=True,
    type=FilePath(),
    metavar="FILE",
    help="Variables from a dotenv file; dynastash://NAME is a secret.",
)
@click.option("--keep-prefix", cls=OwnOption, is_flag=True, help="Name variables by whole names: APP1_DB_PASSWORD.")
@click.option("--pristine", cls=OwnOption, is_flag=True, help="Inherit no variables but PATH.")
@click.option(
    "--pass",
    "passed",
    cls=OwnOption,
    multiple=True,
    metavar="VAR",
    help="Inherit VAR all the same: with --pristine, or DYNASTASH_LOCAL_KEY.",
)
@common
def run_command(settings: Settings, program: tuple[str, ...], **given: Any) -> None:
    """Run PROGRAM with secrets as environment variables: all of them, or it does not start.

    dynastash becomes PROGRAM, so that signals, exit code and terminal are the program's own. No value is ever in an
    argument. Variables that are there already are inherited, and the secrets win.
    """
    from dynastash.running.environment import inherited, with_plain, with_secrets
    from dynastash.running.launch import become, find
    from dynastash.running.plan import collect, request

    asked = request(given["prefixes"], given["secrets"], given["files"], keep_prefix=given["keep_prefix"])
    if not asked and not given["files"]:
        raise Usage("which secrets was not said", "give --prefix ('' for all), --secret or --env-file")
    environment = with_plain(inherited(pristine=given["pristine"], passed=given["passed"]), asked.plain)
    path = find(program[0], environment)
    if asked:
        environment = with_secrets(environment, collect(settings.stash(), asked))
    become(path, program, environment)
