"""Files of secrets in the forms that other programs read, one module each; nothing is loaded before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import PurePath
from typing import Final

from dynastash.frozen import Frozen
from dynastash.transfer.formats.base import Format


class Keys(StrEnum):
    """What a form calls a secret: a variable, or the secret's own name without the prefix that was asked for."""

    VARIABLES = "variables"
    LOWER = "lower-case variables"
    NAMES = "names"


class Known(Frozen):
    """A form that there is: where it is, what it calls secrets, and the files that are surely of it."""

    module: str
    kind: str
    keys: Keys
    suffixes: tuple[str, ...] = ()


FORMATS: Final[Mapping[str, Known]] = {
    "dotenv": Known("dotenv", "Dotenv", Keys.VARIABLES),
    "docker": Known("docker", "Docker", Keys.VARIABLES),
    "json": Known("json", "Json", Keys.NAMES, (".json",)),
    "yaml": Known("yaml", "Yaml", Keys.NAMES),
    "csv": Known("csv", "Csv", Keys.NAMES, (".csv",)),
    "properties": Known("properties", "Properties", Keys.NAMES, (".properties",)),
    "shell": Known("shell", "Shell", Keys.VARIABLES, (".sh",)),
    "powershell": Known("powershell", "PowerShell", Keys.VARIABLES, (".ps1",)),
    "kubernetes": Known("kubernetes", "Kubernetes", Keys.VARIABLES),
    "tfvars": Known("tfvars", "Tfvars", Keys.LOWER, (".tfvars",)),
}
"""By the names that options take. ``.env`` may be dotenv or docker, ``.yaml`` a manifest: those have to be named."""


def open_format(name: str) -> Format:
    """The form of that name, which is in :data:`FORMATS`."""
    known = FORMATS[name]
    made: Format = getattr(import_module(f"{__name__}.{known.module}"), known.kind)()
    return made


def guessed(path: str) -> str | None:
    """The form that a file's name tells beyond doubt, or None."""
    suffix = PurePath(path).suffix.lower()
    return next((name for name, known in FORMATS.items() if suffix in known.suffixes), None)
