"""GitHub Actions: masks that the runner is told before anything is printed, and the file of a job's variables."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from dynastash.errors import InvalidArgumentError
from dynastash.masking import SHORTEST
from dynastash.running.plan import Assigned


def mask_commands(assigned: Iterable[Assigned]) -> bytes:
    """The workflow commands that have the runner mask each line of each value, since it reads logs line by line.

    Lines of fewer than four bytes are left out: the runner would mask them everywhere. So is what is no text.
    """
    lines = {line.strip() for each in assigned for line in each.secret.value.splitlines()}
    return b"".join(b"::add-mask::" + _escaped(line) + b"\n" for line in sorted(lines) if len(line) >= SHORTEST)


def variables_file(assigned: Iterable[Assigned]) -> bytes:
    """What to append to ``$GITHUB_ENV``: each value between two lines that nobody can guess.

    Raises :class:`InvalidArgumentError` for a value that is no text, or has a NUL.
    """
    parts = []
    for each in assigned:
        value = each.secret.value
        if b"\0" in value or not _is_text(value):
            raise InvalidArgumentError(
                f"{each.label} is not text, which a variable of a workflow has to be",
                hint="fetch it where it is needed, with `dynastash get`",
            )
        mark = f"dynastash_{secrets.token_hex(16)}".encode("ascii")
        parts.append(b"%s<<%s\n%s\n%s\n" % (each.variable.encode("ascii"), mark, value, mark))
    return b"".join(parts)


def too_short(assigned: Iterable[Assigned]) -> list[str]:
    """How the secrets were named that no log is masked for."""
    return [each.label for each in assigned if len(each.secret.value.strip()) < SHORTEST]


def _escaped(line: bytes) -> bytes:
    return line.replace(b"%", b"%25").replace(b"\r", b"%0D").replace(b"\n", b"%0A")


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
