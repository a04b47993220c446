"""What the commands print: results to stdout, everything else to stderr, nothing raw from a table to a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from dynastash.errors import ConfigError, DynastashError, PartialError

if TYPE_CHECKING:
    from dynastash.models import Secret, SecretInfo, Version
    from dynastash.stash.api import Stash

FORMATS: Final = ("table", "json", "yaml")
_LONGEST_CELL: Final = 60
_RED: Final = "\x1b[31m{}\x1b[0m"


def say(message: str) -> None:
    """A line for people, on stderr. What is said never stops what is done: a stderr that is gone is passed over."""
    stream: TextIO | None = sys.stderr  # None where the caller closed it; print() would then take stdout
    if stream is not None:
        try:
            stream.write(visible(message) + "\n")
            stream.flush()
        except OSError:
            abandon(stream)


def say_written(stash: Stash, verb: str, version: Version, note: str = "") -> None:
    """What was written, and where."""
    say(f"{verb} {version.name}: version {version.number}{note} in {stash.environment} ({stash.where})")


def end_line() -> None:
    """Leave the line of a question that was not answered."""
    if sys.stderr is not None and sys.stderr.isatty():
        say("")


def complain(message: str, hint: str | None) -> None:
    """An error and its advice, on stderr, a line each."""
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")


def complain_of(error: DynastashError, *, hint: str | None, verbose: bool) -> None:
    """An error of the library's with the advice to give; of a partial one every failure."""
    message = str(error)
    complain(message, hint)
    if isinstance(error, PartialError):
        for name, failure in error.failures.items():
            if (line := f"{name}: {failure}") not in message:
                say(f"  {line}")
    if verbose:
        code = getattr(error, "code", None)
        say(f"class: {type(error).__name__}" + (f", code: {code}" if code else ""))


def visible(text: str) -> str:
    """``text`` in one line, with control characters spelled out: what others wrote must not steer a terminal.

    Spelled out are all that Python calls unprintable: controls and escapes, line ends, what changes the direction of
    writing, what takes no space, and bytes that are no text.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def quoted(text: str, longest: int = 40) -> str:
    """``text`` between quotes, for an error: in one line and not too long."""
    shown = repr(text)
    return shown if len(shown) <= longest + 2 else f"{shown[: longest + 1]}…{shown[0]} ({len(text)} characters)"


def counted(number: int, noun: str) -> str:
    """``1 version``, ``2 versions``, ``no findings``."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def emit(data: Any, output: str) -> None:
    """``data`` to stdout as ``json`` or ``yaml``, without a character that could steer a terminal."""
    write_text((_yaml if output == "yaml" else _json)(data))


def _json(data: Any) -> str:
    import json
    import re

    from dynastash.cli.jsontext import indented

    text = indented(data, ascii=not _takes_unicode(sys.stdout)) + "\n"
    if text.isascii() and "\x7f" not in text:
        return text
    # JSON leaves everything above U+001F as it is, C1 controls and changes of direction among it.
    return re.sub(r"[^\n -~]", lambda match: match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1], text)


def _yaml(data: Any) -> str:
    try:
        import yaml
    except ImportError:
        raise ConfigError("PyYAML is not installed", hint="install it with `pip install 'dynastash[yaml]'`") from None
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=_takes_unicode(sys.stdout))
    if not text.replace("\n", "").isprintable():
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=False)
    return text


def _takes_unicode(stream: TextIO | None) -> bool:
    encoding = getattr(stream, "encoding", None) or "ascii"
    return str(encoding).lower().replace("-", "").replace("_", "") == "utf8"


def emit_table(
    rows: Sequence[Sequence[object]],
    headers: Sequence[str],
    optional: Sequence[str] = (),
    alarming: Collection[int] = (),
) -> None:
    """A table to stdout. A column of ``optional`` in which nothing stands is left out.

    The rows whose numbers are ``alarming`` are red on a terminal that takes colours.
    """
    from tabulate import tabulate

    cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
    kept = [index for index, header in enumerate(headers) if header not in optional or any(row[index] for row in cells)]
    table = tabulate(
        [[row[index] for index in kept] for row in cells],
        [headers[index] for index in kept],
        tablefmt="simple",
        disable_numparse=True,
    )
    lines = [line.rstrip() for line in table.splitlines()]
    if alarming and _takes_colours(sys.stdout):
        first = len(lines) - len(cells)  # behind the headers; no cell holds a line's end
        lines = [_RED.format(line) if number - first in alarming else line for number, line in enumerate(lines)]
    write_text("".join(line + "\n" for line in lines))


def _takes_colours(stream: TextIO | None) -> bool:
    """Whether colours were not declined (no-color.org) and there is a terminal to show them."""
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def shortened(text: str | None) -> str | None:
    """A comment's beginning, as much of it as a table has room for; JSON has it all."""
    if text is None or len(shown := visible(text)) <= _LONGEST_CELL:
        return text
    return shown[: _LONGEST_CELL - 1] + "…"


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return visible(str(value))


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def version_data(version: Version) -> dict[str, Any]:
    """A version's documented keys (docs/reference/json.md)."""
    return {
        "name": version.name,
        "version": version.number,
        "stages": [str(stage) for stage in version.stages],
        "created_at": _time(version.created_at),
        "created_by": version.created_by,
        "comment": version.comment,
        "content_type": version.content_type,
        "expires_at": _time(version.expires_at),
        "context": dict(version.context),
        "key_id": version.key_id,
        "rewrapped_at": _time(version.rewrapped_at),
        "destroyed_at": _time(version.destroyed_at),
        "destroyed_by": version.destroyed_by,
        "deleted": version.disabled,
    }


def secret_data(secret: Secret) -> dict[str, Any]:
    """An opened secret's documented keys: ``value`` where it is text, else ``value_base64``; the other is None."""
    import base64

    data = version_data(secret.version)
    text, encoded = None, None
    try:
        text = secret.value.decode("utf-8")
    except UnicodeDecodeError:
        encoded = base64.b64encode(secret.value).decode("ascii")
    return {
        "name": data.pop("name"),
        "version": data.pop("version"),
        "value": text,
        "value_base64": encoded,
        "tags": dict(secret.tags),
        **data,
    }


def info_data(info: SecretInfo) -> dict[str, Any]:
    """A listed secret's documented keys."""
    return {
        "name": info.name,
        "current": info.current,
        "pending": info.pending,
        "previous": info.previous,
        "last": info.last,
        "state": str(info.state),
        "created_at": _time(info.created_at),
        "updated_at": _time(info.updated_at),
        "updated_by": info.updated_by,
        "comment": info.comment,
        "expires_at": _time(info.expires_at),
        "tags": dict(info.tags),
        "rotation": info.rotation,
        "deleted_at": _time(info.deleted_at),
        "purge_at": _time(info.purge_at),
    }


def write_value(value: bytes, *, raw: bool) -> bool:
    """A value to stdout: exact into a pipe or a file; to a terminal with a final newline, and only if it is text.

    False where a terminal was spared. ``raw`` writes the exact bytes wherever they go.
    """
    if not raw and _stdout().isatty():
        if not _is_text(value):
            return False
        value = value if value.endswith(b"\n") else value + b"\n"
    _write(value)
    return True


def write_text(text: str) -> None:
    """Text of ours to stdout. A character that its encoding lacks is spelled out."""
    _write(text.encode(_stdout().encoding or "utf-8", "backslashreplace"))


def abandon(stream: TextIO) -> None:
    """Point a stream that failed at nothing: Python would otherwise try once more at its end, and complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # it is none of the operating system's
        pass


def settle_streams() -> None:
    """Text that a stream's encoding lacks is spelled out instead of ending the program half-way."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _stdout() -> TextIO:
    stream: TextIO | None = sys.stdout
    if stream is None:
        raise DynastashError("standard output is closed", hint="the result has no place to go: leave out >&-")
    return stream


def _write(data: bytes) -> None:
    stream = _stdout()
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon(stream)
        raise DynastashError(
            f"the output could not be written: {error.strerror}", hint="what was read or stored stays as it is"
        ) from error


def _is_text(value: bytes) -> bool:
    """Whether a terminal shows all of it and nothing else: a bare carriage return would write over what stands."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\n" for char in text.replace("\r\n", "\n"))
