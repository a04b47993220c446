"""New files where the file system knows no hard links."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from dynastash.cli.newfile import new_file
from dynastash.errors import TransferError


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory stick, say."""

    def link(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("no_links")
def test_a_file_appears_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    with new_file(str(tmp_path / "a")) as file:
        file.write(b"made up")
    assert (tmp_path / "a").read_bytes() == b"made up"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.usefixtures("no_links")
def test_a_link_to_nowhere_was_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TransferError, match="File exists"), new_file(str(tmp_path / "a")) as file:
        file.write(b"made up")
    assert (tmp_path / "a").is_symlink() and os.listdir(tmp_path) == ["a"]
