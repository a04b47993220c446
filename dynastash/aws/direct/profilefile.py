"""The AWS CLI's configuration and credentials files, as botocore reads them.

botocore reads them with :mod:`configparser`, a dialect with surprises: values over several lines, blank lines inside
them, delimiters of two kinds, several encodings. What is written as nearly everybody writes it is read here; whatever
could mean anything else is left to botocore, and so are complaints.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from dynastash.aws.direct.handover import HandOver

Section = dict[str, str | dict[str, str]]
"""Settings by name; those written in an indented block below a name are a dictionary of their own."""

_LIMIT: Final = 1 << 20
_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.")
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@/+:=,~")


def read(path: str, variables: Mapping[str, str]) -> dict[str, Section]:
    """The sections of the file at ``path``, where ``~`` is the home directory of ``variables``; none without a file.

    Raises :class:`HandOver` for a file that cannot be read or is out of the ordinary.
    """
    file = _expanded(path, variables)
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):  # botocore takes a pipe for no file
            return {}
        if status.st_size > _LIMIT:
            raise HandOver(f"{path} is large")
        with open(file, "rb") as opened:
            content = opened.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise HandOver(f"{path} cannot be read") from error
    try:
        return parse(content)
    except HandOver as error:
        raise HandOver(f"{path} {error.reason}") from None


def parse(content: bytes) -> dict[str, Section]:
    """The sections of a file. Raises :class:`HandOver` for one that is out of the ordinary."""
    text = content.replace(b"\r\n", b"\n")
    if not text.isascii() or not all(32 <= byte < 127 or byte in b"\n\t" for byte in text):
        raise HandOver("holds more than plain text")
    sections: dict[str, Section] = {}
    section: Section | None = None
    key = ""
    for line in text.decode("ascii").split("\n"):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if line[0] in " \t":
            _continue(section, key, stripped)
        elif stripped[0] == "[":
            name = stripped[1:-1]
            if stripped[-1] != "]" or not name or "[" in name or "]" in name or name in sections or name == "DEFAULT":
                raise HandOver("has an uncommon section")
            section, key = {}, ""
            sections[name] = section
        else:
            key, value = _setting(stripped)
            if section is None or key in section:
                raise HandOver("has an uncommon line")
            section[key] = value
    return sections


def profiles(sections: Mapping[str, Section]) -> dict[str, Section]:
    """The profiles among the sections of a configuration file (a credentials file has them by their bare names)."""
    found: dict[str, Section] = {}
    for name, section in sections.items():
        if not name.startswith("profile"):
            profile = name
            if name != "default":
                continue
        else:
            word, _, profile = name.partition(" ")
            if word != "profile" or not profile or not _NAME.issuperset(profile):
                raise HandOver("the AWS configuration file has an uncommon profile")
        if profile in found:
            raise HandOver("the AWS configuration file has a profile twice")
        found[profile] = section
    return found


def _setting(line: str) -> tuple[str, str]:
    ends = [position for position in (line.find("="), line.find(":")) if position > 0]
    if not ends or line[0] in "=:":
        raise HandOver("has an uncommon line")
    key = line[: min(ends)].rstrip().lower()
    if not _KEY.issuperset(key):
        raise HandOver("has an uncommon line")
    return key, line[min(ends) + 1 :].strip()


def _continue(section: Section | None, key: str, line: str) -> None:
    """Take in an indented line: one of a block. A value over several lines is too much."""
    if section is None or not key:
        raise HandOver("has an uncommon line")
    block = section[key]
    if block == "":
        block = section[key] = {}
    name, equals, value = line.partition("=")
    if not isinstance(block, dict) or not equals:
        raise HandOver("has a value over several lines")
    block[name.strip()] = value.strip()


def _expanded(path: str, variables: Mapping[str, str]) -> str:
    if "$" in path or (path.startswith("~") and not path.startswith("~/")):
        raise HandOver(f"{path} is an uncommon path")
    return home(variables) + path[1:] if path.startswith("~") else path


def home(variables: Mapping[str, str]) -> str:
    """The user's home directory, without a slash behind it."""
    directory = variables.get("HOME")
    if directory is None:
        import pwd

        try:
            directory = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            raise HandOver("the user has no home directory") from None
    return directory.rstrip("/")
