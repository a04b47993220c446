"""What the commands print: results to stdout, everything else to stderr, nothing raw from a table to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from dynastash.errors import ConfigError, DynastashError, PartialError
from dynastash.models import Secret, SecretInfo, Version

FORMATS: Final = ("table", "json", "yaml")


def say(message: str) -> None:
    """A line for people, on stderr."""
    print(visible(message), file=sys.stderr)  # noqa: T201


def complain(message: str, hint: str | None) -> None:
    """An error and its advice, on stderr."""
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")


def complain_of(error: DynastashError, *, verbose: bool) -> None:
    """An error of the library's; every failure of a partial one."""
    complain(str(error), error.hint)
    if isinstance(error, PartialError):
        for name, failure in error.failures.items():
            say(f"  {name}: {failure}")
    if verbose:
        code = getattr(error, "code", None)
        say(f"class: {type(error).__name__}" + (f", code: {code}" if code else ""))


def visible(text: str) -> str:
    """``text`` with control characters spelled out: what a table holds must not steer a terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def emit(data: Any, output: str) -> None:
    """``data`` to stdout as ``json`` or ``yaml``."""
    if output == "yaml":
        try:
            import yaml
        except ImportError:
            raise ConfigError(
                "PyYAML is not installed", hint="install it with `pip install 'dynastash[yaml]'`"
            ) from None
        sys.stdout.write(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    else:
        import json

        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def emit_table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> None:
    """A table to stdout."""
    from tabulate import tabulate

    cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
    sys.stdout.write(tabulate(cells, headers, tablefmt="simple", disable_numparse=True) + "\n")


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return visible(str(value)).replace("\n", "\\n")


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
    """An opened secret's documented keys: ``value`` where it is text, else ``value_base64``."""
    import base64

    data = version_data(secret.version)
    try:
        value = {"value": secret.value.decode("utf-8")}
    except UnicodeDecodeError:
        value = {"value_base64": base64.b64encode(secret.value).decode("ascii")}
    return {"name": data.pop("name"), "version": data.pop("version"), **value, "tags": dict(secret.tags), **data}


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
    }


def write_value(value: bytes, *, raw: bool) -> bool:
    """A value to stdout: exact into a pipe or a file; to a terminal with a final newline, and only if it is text.

    False where a terminal was spared. ``raw`` writes the exact bytes wherever they go.
    """
    stream = sys.stdout.buffer
    if raw or not sys.stdout.isatty():
        stream.write(value)
    elif not _is_text(value):
        return False
    else:
        stream.write(value if value.endswith(b"\n") else value + b"\n")
    stream.flush()
    return True


def _is_text(value: bytes) -> bool:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\r\n" for char in text)


def settle_streams() -> None:
    """Text that the terminal's encoding lacks is spelled out instead of ending the program half-way."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
