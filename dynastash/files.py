"""Files that only their owner may read, and that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dynastash.errors import ConfigError


def prepare_directory(path: Path) -> None:
    """Make ``path`` a directory that only its owner can enter (0700), or refuse one that others may write to.

    Parents that are missing are made as private: whoever may rename in one of them could put another in its place.
    """
    for missing in reversed([parent for parent in (path, *path.parents) if not parent.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise ConfigError(f"{path} is not a directory", hint="choose another path")
    if stat.S_IMODE(path.stat().st_mode) & 0o022:
        raise ConfigError(
            f"the directory {path} can be written by other users",
            hint=f"run `chmod 700 {path}` if it is for secrets alone, or choose another",
        )


def check_private(path: Path, what: str) -> None:
    """Refuse a file that anyone but its owner may read or write; ``what`` names it in the error."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{what} {path} is not a file", hint="move it away, or choose another path")
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{what} {path} is open to other users", hint=f"run `chmod 600 {path}`")


def create_once(path: Path, fill: Callable[[Path], None]) -> None:
    """Create ``path`` (0600) with the content that ``fill`` writes into the empty file it is given.

    Of several processes that do this at once one wins, and none ever sees half a file: the file is filled in a
    directory of its own beside ``path``, brought to the disk, and linked into place.
    """
    import shutil
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        directory.chmod(0o700)  # whatever the umask took away, here and below
        whole = directory / path.name
        descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        fill(whole)
        _sync(whole)
        with contextlib.suppress(FileExistsError):  # another process was first: its file is the file
            os.link(whole, path)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    _sync(path.parent)


def memory_directory() -> Path:
    """A new directory of our own (0700), in memory where the machine has a place for that, else among temporary files.

    Such places are the user's run-time directory, if it is theirs alone, and POSIX shared memory.
    """
    import tempfile

    for parent in (*_in_memory(), None):
        try:
            directory = Path(tempfile.mkdtemp(prefix="dynastash-", dir=parent))
        except OSError:
            if parent is None:
                raise
        else:
            directory.chmod(0o700)  # whatever the umask took away
            return directory
    raise AssertionError  # the last one returned or raised


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` in the place of ``path``, as a whole and with ``mode``, whether there was something or not.

    A symbolic link is replaced, not followed. The file belongs to whoever calls this.
    """
    import secrets

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)  # whatever the umask took away
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync(path.parent)


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Let one process in at once, for what cannot be linked into place. Ends with the process: no file is left."""
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _in_memory() -> Iterator[Path]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    try:
        status = runtime.stat()
        if runtime.is_absolute() and status.st_uid == os.geteuid() and status.st_mode & 0o077 == 0:
            yield runtime
    except OSError:
        pass
    shared = Path("/dev/shm")  # noqa: S108  # mkdtemp makes a directory of our own in it
    if shared.is_dir():
        yield shared


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
