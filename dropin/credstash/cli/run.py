"""One command line from its words to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from credstash.cli.arguments import Usage, described, read, usage
from dynastash.cli.output import abandon, say, settle_streams, write_text
from dynastash.errors import DynastashError, PartialError

if TYPE_CHECKING:
    from credstash.cli.log import Log

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def run(arguments: Sequence[str]) -> int:
    """Carry it out. Nothing escapes: no traceback quotes a value."""
    settle_streams()
    verb: str | None = None
    log: Log | None = None
    try:
        line = read(arguments)
        verb = line.verb
        if "help" in line.options or verb is None:
            write_text(described(verb))
            return OK
        log = _log(line.options)
        from credstash.cli.verbs import VERBS

        return VERBS[verb](line)
    except Usage as error:
        verb = verb or error.verb
        say(usage(verb))
        say(f"credstash{f' {verb}' if verb else ''}: error: {error}")
        return USAGE
    except DynastashError as error:
        _complain(error, log)
        return FAILED
    except (KeyboardInterrupt, EOFError):
        return INTERRUPTED
    except BrokenPipeError:
        abandon(sys.stdout)
        return BROKEN_PIPE
    except Exception as error:
        message = f"unexpected {type(error).__name__}; this is a defect of dynastash, please report it"
        say(message)
        if log is not None:
            log.error(message)
        return FAILED


def _log(options: Mapping[str, str]) -> Log | None:
    """The log that was asked for, if any; credstash left one in every working directory."""
    if "log-level" in options or "log-file" in options:
        from credstash.cli.log import Log

        return Log(options.get("log-file"), options.get("log-level", "WARNING"))
    return None


def _complain(error: DynastashError, log: Log | None) -> None:
    from credstash.errors import told

    expected = told(error) if not isinstance(error, PartialError) else error
    lines = [str(expected)]
    if expected.hint:
        lines.append(f"hint: {expected.hint}")
    if isinstance(error, PartialError):
        lines += [f"  {name}: {failure}" for name, failure in error.failures.items()]
    for text in lines:
        say(text)
    if log is not None:
        log.error("; ".join(lines))
