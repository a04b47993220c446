"""How a program of the user's gets the values: as a JSON document on its standard input, or in private files."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from dynastash.errors import RotationError
from dynastash.files import memory_directory
from dynastash.models import Secret
from dynastash.stash.rotation import Rotation

CURRENT_FILE: Final = "DYNASTASH_CURRENT_FILE"
PENDING_FILE: Final = "DYNASTASH_PENDING_FILE"


def facts(step: str, rotation: Rotation) -> dict[str, str]:
    """What is not secret, as environment variables. Values are never among them: others can read those."""
    return {
        "DYNASTASH_STEP": step,
        "DYNASTASH_ENVIRONMENT": rotation.environment,
        "DYNASTASH_NAME": rotation.name,
        "DYNASTASH_VERSION": str(rotation.version),
    }


def document(step: str, rotation: Rotation, pending: Secret) -> bytes:
    """The same and the values as one line of JSON, in ASCII.

    ``current`` and ``pending`` have ``version`` and ``value``, or ``value_base64`` where the value is not UTF-8 text.
    """
    content = {
        "step": step,
        "environment": rotation.environment,
        "name": rotation.name,
        "version": rotation.version,
        "current": _opened(rotation.current),
        "pending": _opened(pending),
    }
    return json.dumps(content).encode("ascii") + b"\n"


def _opened(secret: Secret) -> dict[str, Any]:
    try:
        return {"version": secret.number, "value": secret.value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"version": secret.number, "value_base64": base64.b64encode(secret.value).decode("ascii")}


@contextmanager
def files(step: str, current: Secret, pending: Secret) -> Iterator[dict[str, str]]:
    """Private files with the values, byte for byte; yields the variables that say where they are.

    They are 0600 in a directory of their own, 0700, in memory where the machine has a place for that. At the end,
    whatever ends it, they are overwritten and removed. Raises :class:`RotationError` where they cannot be written.
    """
    stack = ExitStack()
    try:
        with _translated(step):
            directory = memory_directory()
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            places = {CURRENT_FILE: (directory / "current", current), PENDING_FILE: (directory / "pending", pending)}
            for path, secret in places.values():
                stack.enter_context(_written(path, secret.value))
        yield {variable: str(path) for variable, (path, _) in places.items()}
    finally:
        with _translated(step):
            stack.close()


@contextmanager
def _translated(step: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RotationError(
            f"the values could not be handed over in private files: {error.strerror}",
            step=step,
            hint="make room for temporary files, then resume the rotation",
        ) from error


@contextmanager
def _written(path: Path, value: bytes) -> Iterator[None]:
    """A file of ``value``, overwritten at the end through the descriptor that created it.

    A program that renamed it or put a link in its place neither keeps the value nor has another file overwritten.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "wb", buffering=0, closefd=False) as file:
            left = memoryview(value)
            while left:
                left = left[file.write(left) :]
        yield
    finally:
        try:
            os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)
