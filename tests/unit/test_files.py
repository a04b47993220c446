"""Private files that appear whole."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dynastash.errors import ConfigError
from dynastash.files import check_private, create_once, one_at_a_time, prepare_directory
from tests.unit.stash_kit import mode


def test_a_directory_is_made_private_with_its_missing_parents(tmp_path: Path) -> None:
    """Whatever the umask; what was there before is left as it is."""
    before = os.umask(0)
    try:
        tmp_path.chmod(0o755)
        prepare_directory(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [mode(tmp_path / part) for part in (".", "a", "a/b", "a/b/c")] == [0o755, 0o700, 0o700, 0o700]
    prepare_directory(tmp_path / "a" / "b" / "c")


def test_a_directory_must_be_one(tmp_path: Path) -> None:
    """A file in its place is no reason to fail later, with less to say."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        prepare_directory(tmp_path / "file")
    with pytest.raises(OSError, match="Not a directory"):
        prepare_directory(tmp_path / "file" / "below")


@pytest.mark.parametrize(("bits", "refused"), [(0o700, False), (0o755, False), (0o770, True), (0o702, True)])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, bits: int, refused: bool) -> None:
    """Reading it is no harm."""
    tmp_path.chmod(bits)
    if refused:
        with pytest.raises(ConfigError) as caught:
            prepare_directory(tmp_path)
        assert f"chmod 700 {tmp_path}" in (caught.value.hint or "")
    else:
        prepare_directory(tmp_path)


def test_a_private_file_is_a_file_and_private(tmp_path: Path) -> None:
    """Group and others have no bit at all."""
    path = tmp_path / "f"
    path.touch()
    for bits in (0o600, 0o400, 0o700):
        path.chmod(bits)
        check_private(path, "it")
    for bits in (0o640, 0o601, 0o604):
        path.chmod(bits)
        with pytest.raises(ConfigError, match=f"it {path} is open to other users"):
            check_private(path, "it")
    with pytest.raises(ConfigError, match="is not a file"):
        check_private(tmp_path, "it")
    with pytest.raises(FileNotFoundError):
        check_private(tmp_path / "missing", "it")


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    """0600, complete, with nothing left beside it, not even what the filling made there."""
    path = tmp_path / "f.[a-z]*"

    def fill(into: Path) -> None:
        assert not path.exists()
        assert mode(into) == 0o600
        into.write_text("whole")
        into.with_name(into.name + "-wal").touch()

    create_once(path, fill)
    assert (path.read_text(), mode(path)) == ("whole", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_filled_does_not_appear(tmp_path: Path) -> None:
    """Neither does half of it."""

    def fail(into: Path) -> None:
        into.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_once(tmp_path / "f", fail)
    assert list(tmp_path.iterdir()) == []


def test_of_several_that_create_it_one_wins(tmp_path: Path) -> None:
    """Everybody reads the winner's afterwards."""
    barrier = threading.Barrier(8)
    path = tmp_path / "f"

    def create(number: int) -> str:
        def fill(into: Path) -> None:
            into.write_text(str(number) * 100)
            barrier.wait()

        create_once(path, fill)
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        read = set(pool.map(create, range(8)))
    assert len(read) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_one_at_a_time_is_one_at_a_time(tmp_path: Path) -> None:
    """Also among threads; no file is left."""
    inside: list[int] = []

    def enter(number: int) -> None:
        with one_at_a_time(tmp_path):
            inside.append(number)
            threading.Event().wait(0.002)  # for others to come in, if they could
            assert inside == [number]
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(24)))
    with pytest.raises(ZeroDivisionError), one_at_a_time(tmp_path):
        1 / 0  # noqa: B018
    with one_at_a_time(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
