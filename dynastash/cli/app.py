"""The group of commands, each loaded when it is called, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, Final

import click

from dynastash.cli import exits, output
from dynastash.cli.options import Settings, with_globals
from dynastash.errors import DynastashError

_SECTIONS: Final = {
    "Secrets": ("put", "get", "list", "history", "generate", "rotate", "rollback"),
    "Operate": ("deploy", "env", "completion"),
}
_MODULES: Final = {
    "put": "put",
    "get": "get",
    "list": "listing",
    "history": "listing",
    "generate": "rotation",
    "rotate": "rotation",
    "rollback": "rotation",
    "deploy": "deploy",
    "env": "environment",
    "completion": "environment",
}


class Commands(click.Group):
    """Commands by name, imported on demand, listed in sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in _SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(f"dynastash.cli.{_MODULES[cmd_name]}"), f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _MODULES))
        for section, names in _SECTIONS.items():
            with formatter.section(section):
                rows = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl(
                    [(name.ljust(width), command.get_short_help_str(100)) for name, command in rows if command]
                )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(None, "-V", "--version", package_name="dynastash", message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context, /, **given: Any) -> None:
    """Versioned secrets in DynamoDB under KMS, or in a file on this machine.

    Without any configuration the environment is "local": an encrypted SQLite file in your data directory. Any other
    environment is a DynamoDB table and a KMS key, which "dynastash deploy ENV" creates. Options may stand anywhere.
    """
    ctx.ensure_object(Settings).take(given)


app = with_globals(app)  # type: ignore[assignment]


def run(arguments: list[str]) -> int:
    """Carry out a command line and return its exit code. Nothing escapes: no traceback quotes a value."""
    output.settle_streams()
    settings = Settings()
    try:
        code = app.main(arguments, prog_name="dynastash", standalone_mode=False, obj=settings)
        sys.stdout.flush()
        return code if isinstance(code, int) else exits.OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would flush into the closed pipe once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    except click.ClickException as error:
        output.complain(_plain(error.format_message()), _usage_hint(error))
        return exits.USAGE
    except DynastashError as error:
        output.complain_of(error, verbose=settings.verbose)
        return exits.code_of(error)
    except Exception as error:
        output.complain(f"unexpected {type(error).__name__}; this is a defect of dynastash", "please report it")
        if settings.verbose:
            _show_where(error)
        return exits.OTHER


def _plain(message: str) -> str:
    """click's sentence in our style."""
    message = message.rstrip(".")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


def _usage_hint(error: click.ClickException) -> str | None:
    hint: str | None = getattr(error, "hint", None)
    if hint:
        return hint
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if context is not None else None


def _show_where(error: Exception) -> None:
    """The lines of code on the way to a defect, without the exception's text, which could quote a value."""
    import traceback

    for line in traceback.format_tb(error.__traceback__):
        output.say(line.rstrip())
