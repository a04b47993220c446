"""``dynastash run``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from dynastash.cli.command import OwnOption
from dynastash.cli.options import FilePath, Seconds, Settings, Usage, common
from dynastash.cli.output import say
from dynastash.cli.program import ProgramCommand
from dynastash.cli.which import add_mask, which_secrets
from dynastash.cli.workflow import register

if TYPE_CHECKING:
    from dynastash.running.supervised import Care


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
@which_secrets
@click.option(
    "--env-file",
    "files",
    cls=OwnOption,
    multiple=True,
    type=FilePath(),
    metavar="FILE",
    help="Variables from a dotenv file; dynastash://NAME is a secret.",
)
@click.option("--pristine", cls=OwnOption, is_flag=True, help="Inherit no variables but PATH.")
@click.option(
    "--pass",
    "passed",
    cls=OwnOption,
    multiple=True,
    metavar="VAR",
    help="Inherit VAR all the same: with --pristine, or DYNASTASH_LOCAL_KEY.",
)
@click.option("--mask", cls=OwnOption, is_flag=True, help="Put **** in place of the values in what PROGRAM prints.")
@click.option(
    "--files",
    "directory",
    cls=OwnOption,
    metavar="DIR",
    help="Files in DIR instead of variables, removed afterwards; auto: in memory. VAR_FILE is the path.",
)
@click.option("--watch", cls=OwnOption, is_flag=True, help="Restart PROGRAM when a secret changes.")
@click.option(
    "--interval",
    cls=OwnOption,
    type=Seconds(1),
    metavar="TIME",
    help="How often --watch looks: 30s, 5m.  [default: 60s]",
)
@click.option(
    "--on-change",
    cls=OwnOption,
    metavar="WHAT",
    help="restart, or a signal such as SIGHUP.  [default: restart]",
)
@add_mask
@click.option("--init", cls=OwnOption, is_flag=True, help="Stay as its parent: pass signals on, reap zombies.")
@common
def run_command(settings: Settings, program: tuple[str, ...], **given: Any) -> None:
    """Run PROGRAM with secrets as environment variables: all of them, or it does not start.

    dynastash becomes PROGRAM, so that signals, exit code and terminal are the program's own. With --mask, --files,
    --watch or --init it stays as its parent, passes signals on and returns its exit code. No value is ever in an
    argument. Variables that are there already are inherited, and the secrets win.
    """
    from dynastash.running.environment import inherited, with_plain, with_secrets
    from dynastash.running.launch import become, find
    from dynastash.running.plan import collect, request

    asked = request(given["prefixes"], given["secrets"], given["files"], keep_prefix=given["keep_prefix"])
    if not asked and not given["files"]:
        raise Usage("which secrets was not said", "give --prefix ('' for all), --secret or --env-file")
    environment = with_plain(inherited(pristine=given["pristine"], passed=given["passed"]), asked.plain)
    care = _care(given)
    path = find(program[0], environment)
    stash = settings.stash() if asked else None
    found = [] if stash is None else collect(stash, asked)
    register(found, given["add_mask"])
    if care is None:
        become(path, program, with_secrets(environment, found))
    from dynastash.running.supervised import Supervised

    announce = partial(register, wanted=given["add_mask"])
    supervised = Supervised(stash, asked, found, environment, care, say, announce)
    click.get_current_context().exit(supervised.run(path, program))


def _care(given: dict[str, Any]) -> Care | None:
    """What keeps us beside the program; None where nothing does, and nothing for it has to be loaded."""
    if not given["watch"] and (given["interval"] is not None or given["on_change"] is not None):
        raise Usage("--interval and --on-change go with --watch", "add --watch")
    if not (given["mask"] or given["directory"] is not None or given["watch"] or given["init"]):
        return None
    from dynastash.running.supervised import Care
    from dynastash.running.supervisor import signal_named
    from dynastash.running.watch import INTERVAL

    change = given["on_change"]
    number = None if change in (None, "restart") else signal_named(change)
    if change not in (None, "restart") and number is None:
        raise Usage(f"--on-change {change} is no signal", "write restart, SIGHUP, SIGUSR1 and so on")
    interval = (given["interval"] or INTERVAL) if given["watch"] else None
    return Care(given["mask"], given["directory"], interval, number)
