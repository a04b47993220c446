"""``~/.credstash``, where ``credstash setup --save-kms-region`` keeps the Region of the KMS key."""

from __future__ import annotations

import os
from typing import Any, Final

from dynastash.errors import ConfigError

_FILE: Final = "~/.credstash"
_NAME: Final = "kms-region"


def saved() -> str | None:
    """The Region that was saved. Raises :class:`ConfigError` for a file that cannot be understood."""
    return _read().get(_NAME)


def save(region: str) -> None:
    """Write ``region`` there, and keep what else the file has. Raises :class:`ConfigError`."""
    import json
    from pathlib import Path

    from dynastash.files import replace_file

    options = {**_read(), _NAME: region}
    try:
        replace_file(Path(_path()).resolve(), json.dumps(options).encode())
    except OSError as error:
        raise ConfigError(f"{_FILE} cannot be written: {error.strerror}", hint="mend its permissions") from error


def _path() -> str:
    return os.path.expanduser(_FILE)  # noqa: PTH111


def _read() -> dict[str, Any]:
    try:
        with open(_path(), "rb") as file:  # noqa: PTH123
            data = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{_FILE} cannot be read: {error.strerror}", hint="mend its permissions") from error
    import json

    try:
        options = json.loads(data)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict) or not isinstance(options.get(_NAME), str | None):
        raise ConfigError(f'{_FILE} is not of the form {{"{_NAME}": "REGION"}}', hint="mend it, or remove it")
    return options
