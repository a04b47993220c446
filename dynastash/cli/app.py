"""The group of commands, each loaded when it is called, and what becomes of errors."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from dynastash._version import __version__
from dynastash.cli import exits, output
from dynastash.cli.command import Command, GlobalOption, write_options
from dynastash.cli.options import Settings, Usage, with_globals
from dynastash.cli.outcome import outcome
from dynastash.cli.quick import COMPLETE
from dynastash.cli.summaries import SUMMARIES

_SECTIONS: Final = {
    "Secrets": ("put", "get", "list", "history", "diff", "generate", "rotate", "rollback"),
    "Their end": ("delete", "undelete", "destroy", "prune"),
    "Use": ("run", "render", "sync", "publish"),
    "Operate": (
        "deploy",
        "doctor",
        "policy",
        "grant",
        "revoke",
        "access",
        "audit",
        "verify",
        "advance",
        "rewrap",
        "export",
        "import",
        "migrate",
        "env",
        "completion",
    ),
}
_MODULES: Final = {
    "put": "put",
    "get": "get",
    "list": "listing",
    "history": "listing",
    "generate": "rotation",
    "rotate": "rotation",
    "rollback": "rotation",
    **dict.fromkeys(("delete", "undelete", "destroy", "prune", "diff"), "lifecycle"),
    "run": "run",
    "render": "render",
    "verify": "verify",
    "rewrap": "verify",
    "advance": "advance",
    "export": "transfer",
    "import": "incoming",
    "migrate": "incoming",
    "sync": "sync",
    "publish": "publish",
    "deploy": "deploy",
    "policy": "leastprivilege",
    "doctor": "doctor",
    "audit": "audit",
    **dict.fromkeys(("grant", "revoke", "access"), "access"),
    "env": "environment",
    "completion": "completion",
}
_LONGEST_MESSAGE: Final = 300


class Commands(click.Group):
    """Commands by name, imported on demand, listed in sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in _SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "help":
            return _help
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(f"dynastash.cli.{_MODULES[cmd_name]}"), f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in (*_MODULES, "help") and not ctx.resilient_parsing:
            _refuse_command(args[0])
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _MODULES))
        for section, names in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), SUMMARIES.get(name, "")) for name in names])


def _refuse_command(given: str) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(given, _MODULES, n=1)
    raise Usage(
        f"{output.quoted(given)} is not a command",
        f"did you mean `dynastash {near[0]}`?" if near else "`dynastash --help` lists the commands",
    )


def _show_version(ctx: click.Context, _: click.Parameter, given: bool) -> None:
    if given and not ctx.resilient_parsing:
        output.write_text(f"dynastash {__version__}\n")
        ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.pass_context
def app(ctx: click.Context, /, **given: Any) -> None:
    """Versioned secrets in DynamoDB under KMS, or in a file on this machine.

    Without any configuration the environment is "local": an encrypted SQLite file in your data directory. Any other
    environment is a DynamoDB table and its KMS keys, which "dynastash deploy ENV" creates.

    "dynastash COMMAND --help" shows a command's options. They stand anywhere behind COMMAND, and the global ones before
    it too.
    """
    if ctx.invoked_subcommand is None:
        output.write_text(ctx.get_help() + "\n")
    ctx.ensure_object(Settings).take(given)


app = with_globals(app)
app = click.option(
    "-V",
    "--version",
    cls=GlobalOption,
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)(app)


@click.command("help", cls=Command)
@click.argument("command", required=False)
@click.pass_context
def _help(ctx: click.Context, command: str | None) -> None:
    """Show help, for COMMAND if it is named. `dynastash COMMAND --help` is the same."""
    group = ctx.find_root()
    if command is None:
        output.write_text(group.get_help() + "\n")
        return
    found = app.get_command(group, command)
    if found is None:
        _refuse_command(command)
    with found.make_context(command, ["--help"], parent=group, resilient_parsing=True) as shown:
        output.write_text(found.get_help(shown) + "\n")


def run(arguments: list[str]) -> int:
    """Carry out a command line and return its exit code. Nothing escapes: no traceback quotes a value."""
    output.settle_streams()
    if COMPLETE in os.environ:
        from dynastash.cli.completion import answer

        return answer(app, os.environ[COMPLETE])
    settings = Settings()
    return outcome(lambda: _invoke(arguments, settings), settings)


def _invoke(arguments: list[str], settings: Settings) -> int:
    try:
        # Not app.main(): it would end the process by itself when the reader of our output goes away.
        with app.make_context("dynastash", list(arguments), obj=settings) as context:
            app.invoke(context)
        return exits.OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        output.complain(*_usage(error))
        return exits.USAGE


def _usage(error: click.ClickException) -> tuple[str, str | None]:
    """click's sentence in our style, and what to do about it."""
    context = getattr(error, "ctx", None)
    path = "dynastash" if context is None else context.command_path
    hint = getattr(error, "hint", None) or f"see `{path} --help`"
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities or ()
        if near:
            hint = f"did you mean {' or '.join(near[:2])}?"
        elif context is not None and context.parent is None:
            hint = f"a command's own options stand behind its name; {hint}"
        return f"{output.quoted(error.option_name)} is not an option of `{path}`", hint
    message = error.format_message().rstrip(".")
    if message[1:2].islower():
        message = message[:1].lower() + message[1:]
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…", hint
