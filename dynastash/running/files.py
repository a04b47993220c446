"""Secrets as files instead of variables: private, whole from the first moment they are seen, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from dynastash.errors import ConfigError, InvalidArgumentError
from dynastash.files import memory_directory
from dynastash.running.plan import Assigned

AUTO: Final = "auto"
DIRECTORY: Final = "DYNASTASH_FILES"
"""The variable that says where the files are."""


class SecretFiles:
    """A directory of secrets. ``where`` is its path, or ``auto`` for a new one in memory.

    The directory is 0700 and the files 0600. One that is there already must be empty, ours and closed to others.
    :meth:`close` removes the files, and the directory unless it was there before. Raises :class:`ConfigError`.
    """

    def __init__(self, where: str) -> None:
        self._written: set[Path] = set()
        self._ours = True
        if where == AUTO:
            self.directory = memory_directory()
            return
        self.directory = Path(where).absolute()
        try:
            self.directory.mkdir(0o700)
            self.directory.chmod(0o700)
        except FileExistsError:
            self._ours = False
            _check(self.directory)
        except OSError as error:
            raise _failed(self.directory, error) from error

    def write(self, assigned: Iterable[Assigned]) -> dict[str, str]:
        """Write each secret to its file, replacing what was there; returns the variables that say where they are.

        The file of the secret that would be the variable ``DB_PASSWORD`` is in ``DB_PASSWORD_FILE``.
        """
        wanted = {each.path: each for each in assigned}
        try:
            for each in wanted.values():
                self._replace(self.directory / each.path, each.secret.value)
            for stale in self._written - {self.directory / path for path in wanted}:
                stale.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(self.directory, error) from error
        variables = {f"{each.variable}_FILE": str(self.directory / each.path) for each in wanted.values()}
        return {DIRECTORY: str(self.directory), **variables}

    def close(self) -> None:
        """Remove them. What cannot be removed stays, without an error: the program has ended already."""
        if self._ours:
            shutil.rmtree(self.directory, ignore_errors=True)
            return
        for path in self._written:
            path.unlink(missing_ok=True)
        inner = {parent for path in self._written for parent in path.parents if self.directory in parent.parents}
        for directory in sorted(inner, key=lambda path: -len(path.parts)):
            try:
                directory.rmdir()
            except OSError:  # the program has left something in it
                pass

    def _replace(self, path: Path, value: bytes) -> None:
        for parent in reversed(path.relative_to(self.directory).parents[:-1]):
            (self.directory / parent).mkdir(0o700, exist_ok=True)
        temporary = path.with_name(f".{path.name[:200]}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)  # whatever the umask took away
                file.write(value)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._written.add(path)


def check_paths(assigned: Iterable[Assigned]) -> None:
    """Refuse two secrets of one path, and one whose path is a directory of another's: both are named."""
    by_path: dict[PurePosixPath, Assigned] = {}
    for each in assigned:
        other = by_path.setdefault(PurePosixPath(each.path), each)
        if other is not each:
            raise InvalidArgumentError(
                f"{other.label} and {each.label} would both be the file {each.path}",
                hint="give one of them another name with --secret",
            )
    for path, each in by_path.items():
        for parent in path.parents:
            if parent in by_path:
                raise InvalidArgumentError(
                    f"{by_path[parent].label} would be the file {parent}, and {each.label} a file within it",
                    hint="give one of them another name with --secret",
                )


def _check(directory: Path) -> None:
    try:
        status = directory.lstat()
        empty = stat.S_ISDIR(status.st_mode) and not any(directory.iterdir())
    except OSError as error:
        raise _failed(directory, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"{directory} is not a directory", hint="choose another for --files, or auto")
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ConfigError(
            f"the directory {directory} is open to other users, or another's",
            hint=f"run `chmod 700 {directory}`, or choose one that is not there yet",
        )
    if not empty:
        raise ConfigError(f"the directory {directory} is not empty", hint="choose one that is not there yet, or auto")


def _failed(directory: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"the secrets cannot be written to {directory}: {error.strerror}", hint="choose another directory, or auto"
    )
