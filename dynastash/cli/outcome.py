"""What becomes of a command: its exit code, and what is said of an error."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Final

from dynastash.cli import exits, output
from dynastash.cli.settings import Settings
from dynastash.errors import DynastashError

_OUTPUT_FAILURES: Final = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


def outcome(act: Callable[[], int], settings: Settings) -> int:
    """The exit code of ``act``. Nothing escapes: no traceback quotes a value."""
    try:
        return act()
    except (KeyboardInterrupt, EOFError):  # EOFError: Ctrl-D at a question
        output.end_line()
        return exits.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        output.abandon(sys.stdout)
        return exits.BROKEN_PIPE
    except DynastashError as error:
        output.complain_of(error, hint=settings.advice(error.hint), verbose=settings.verbose)
        return exits.code_of(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OUTPUT_FAILURES and error.filename is None:
            output.abandon(sys.stdout)  # click's own help could not be written
            output.complain(f"the output could not be written: {error.strerror}", "free some space")
            return exits.OTHER
        output.complain(
            f"unexpected {type(error).__name__}; this is a defect of dynastash",
            "please report it, with what `-v` shows in addition",
        )
        if settings.verbose:
            _show_where(error)
        return exits.OTHER


def _show_where(error: Exception) -> None:
    """The lines of code on the way to a defect, without the exception's text, which could quote a value."""
    import traceback

    for frame in traceback.extract_tb(error.__traceback__):
        output.say(f"  {frame.filename}:{frame.lineno} in {frame.name}")
