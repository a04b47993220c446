"""Several values as one text: json, csv, dotenv, yaml. What a format cannot hold is refused, not bent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dynastash.errors import ConfigError, DynastashError, InvalidArgumentError, PartialError


def written(values: Mapping[str, bytes], form: str) -> str:
    """``values`` in ``form``, sorted by name.

    Raises :class:`~dynastash.errors.PartialError` with the reason for each value that it cannot hold.
    """
    if form == "yaml":
        return _yaml(values)
    texts: dict[str, str] = {}
    failures: dict[str, DynastashError] = {}
    for name, value in sorted(values.items()):
        try:
            texts[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            failures[name] = InvalidArgumentError(f"the value is binary, and {form} holds text alone")
    if failures:
        raise _unfit(failures, len(values), form)
    return _WRITERS[form](texts)


def _json(texts: Mapping[str, str]) -> str:
    import json

    return json.dumps(texts, sort_keys=True, indent=4, separators=(",", ": "))


def _csv(texts: Mapping[str, str]) -> str:
    import csv
    import io
    import os

    file = io.StringIO()
    plain, quoting = (
        csv.writer(file, lineterminator=os.linesep, quoting=style) for style in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    for row in texts.items():
        # A carriage return alone would be taken for the end of a row, and the module leaves it bare.
        (quoting if "\r" in "".join(row) else plain).writerow(row)
    return file.getvalue()


def _yaml(values: Mapping[str, bytes]) -> str:
    try:
        import yaml
    except ImportError:
        raise ConfigError("PyYAML is not installed", hint="install it with `pip install PyYAML`") from None
    data: dict[str, str | bytes] = {}
    for name, value in sorted(values.items()):
        try:
            data[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            data[name] = value  # !!binary
    return str(yaml.safe_dump(data, default_flow_style=False))


def _dotenv(texts: Mapping[str, str]) -> str:
    lines: dict[str, str] = {}
    failures: dict[str, DynastashError] = {}
    for name, text in texts.items():
        variable, quoted = name.upper(), quoted_for_dotenv(text)
        if variable in lines:
            failures[name] = InvalidArgumentError(f"another name is {variable} in upper case too")
        elif not variable.isprintable() or any(letter in " '\"#=\\$`;&|<>()" for letter in variable):
            failures[name] = InvalidArgumentError(f"{variable!r} cannot stand in front of the = of a dotenv file")
        elif quoted is None:
            failures[name] = InvalidArgumentError("the readers of dotenv files do not agree on how to quote the value")
        lines[variable] = f"{variable}={quoted}\n"
    if failures:
        raise _unfit(failures, len(texts), "dotenv")
    return "".join(lines.values())


def quoted_for_dotenv(text: str) -> str | None:
    """``text`` between quotes that sh, python-dotenv and dynastash read alike, or None where there are none.

    Between single quotes everything is literal, save that some readers take a backslash before a quote, another
    backslash or the end for an escape. Between double quotes, ``\\`` and ``"`` are escaped, and sh would expand ``$``
    and a backtick. A carriage return is lost to readers that mend the ends of lines, and python-dotenv expands ``${``
    everywhere.
    """
    if "\0" in text or "\r" in text or "${" in text:
        return None
    if "'" not in text and "\\\\" not in text and not text.endswith("\\"):
        return f"'{text}'"
    if "$" in text or "`" in text:
        return None
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unfit(failures: Mapping[str, DynastashError], wanted: int, form: str) -> PartialError:
    return PartialError(
        f"{len(failures)} of {wanted} secrets cannot be written as {form}",
        failures,
        hint="another format may hold them: json, csv, yaml; `credstash get NAME` has any value's bytes",
    )


_WRITERS: Final[Mapping[str, Callable[[Mapping[str, str]], str]]] = {"json": _json, "csv": _csv, "dotenv": _dotenv}
