"""The log file, for those who ask for one: a line for each error, in credstash's form."""

from __future__ import annotations

import os
import time
from typing import Final

from credstash.cli.arguments import Usage
from dynastash.cli.output import say, visible

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Log:
    """``path`` is None where a level was given and no file; ``level`` above ERROR keeps errors out."""

    def __init__(self, path: str | None, level: str) -> None:
        if level.upper() not in LEVELS:
            raise Usage(f"--log-level is none of {', '.join(LEVELS)}")
        self._path = path if level.upper() != "CRITICAL" else None

    def error(self, message: str) -> None:
        """Append a line; where that cannot be, say so."""
        if self._path is None:
            return
        moment = time.strftime("%Y-%m-%d %H:%M:%S")
        line = f"{moment},000 ERROR {visible(message)}\n".encode()
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a path"
            say(f"the log file cannot be written: {reason}")
