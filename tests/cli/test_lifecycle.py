"""delete to destroy, prune, diff, verify, rewrap, export, import, and what is about to expire."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import sys

import pytest

from tests.cli.runner import Cli
from tests.cli.terminal import Terminal


@pytest.fixture
def stored(cli: Cli) -> Cli:
    """A secret of four versions."""
    for number in range(1, 5):
        cli.ok("put", "app/n", given=b"value %d" % number)
    return cli


def test_delete_and_undelete(stored: Cli) -> None:
    """Hidden, and back; a single version too."""
    stored.ok("delete", "app/n", "--version", "2")
    assert stored("get", "app/n", "--version", "2").code == 6
    stored.ok("undelete", "app/n", "--version", "2")
    stored.ok("delete", "app/n", "--recovery-days", "3", "--if-version", "4")
    assert stored("get", "app/n").code == 6
    assert stored.ok("list").text == ""
    stored.ok("undelete", "app/n")
    assert stored.ok("get", "app/n").out == b"value 4"
    assert stored("delete", "app/n", "--version", "2", "--recovery-days", "3").code == 2
    assert stored("delete", "nobody").code == 3


def test_destroy(stored: Cli) -> None:
    """Versions or all; --dry-run shows them and changes nothing; without a terminal it wants --yes."""
    before = stored.ok("history", "app/n").text
    table = stored.ok("destroy", "app/n", "--version", "1", "--dry-run").text
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["1"]
    assert stored("destroy", "app/n", "--version", "1").code == 2
    assert stored.ok("history", "app/n").text == before
    stored.ok("destroy", "app/n", "--version", "1", "--version", "2", "--yes")
    assert stored.ok("history", "app/n").text.count("destroyed") == 2
    stored.ok("destroy", "app/n", "--yes")
    assert stored("put", "app/n", given=b"x").code == 6
    assert "version 5" in stored.ok("put", "app/n", "--recreate", given=b"x").err


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1), (b"\x03", 130)])
def test_destroy_asks(stored: Cli, answer: bytes, code: int) -> None:
    """At a terminal; anything but yes leaves everything as it is."""
    argv = [sys.executable, "-m", "dynastash", "destroy", "app/n"]
    with Terminal(argv, stored.variables, stored.cwd) as terminal:
        terminal.expect(b"for good? [y/N]: ")
        assert (terminal.insist(answer) if code == 130 else answered(terminal, answer))[0] == code
    assert stored("get", "app/n").code == (6 if code == 0 else 0)


def answered(terminal: Terminal, answer: bytes) -> tuple[int, bytes]:
    """Type it and wait for the end."""
    terminal.type(answer)
    return terminal.finish()


def test_prune(stored: Cli) -> None:
    """By number and by age; what is due of the deleted ones."""
    assert stored("prune", "app/n").code == 2
    assert stored("prune", "app/n", "--keep", "2", "--overdue").code == 2
    assert "no versions of no secrets" in stored.ok("prune", "app/n", "--keep", "9").err
    for age in ("1h", "999999w"):
        assert "no versions" in stored.ok("prune", "app/n", "--older-than", age).err
    assert "1 to 2" in stored.ok("prune", "--prefix", "app/", "--keep", "2", "--yes").text
    stored.ok("put", "m", given=b"x")
    stored.ok("delete", "m", "--recovery-days", "0")
    assert "m " in stored.ok("prune", "--prefix", "", "--overdue", "--dry-run").text
    assert "destroyed m in local" in stored.ok("prune", "m", "--overdue", "--yes").err
    assert stored("prune", "m", "--keep", "1", "--older-than", "soon").code == 2


def test_diff(stored: Cli) -> None:
    """Equal or not, with values only when asked, spelled out."""
    stored.ok("put", "app/n", given=b"value 1\x1b[31m")
    assert "value" in stored.ok("diff", "app/n", "1", "2").text
    assert stored("diff", "app/n", "1", "2", "--exit-code").code == 1
    assert stored("diff", "app/n", "1", "1", "--exit-code").code in (0, 2)
    assert "value 1" not in stored.ok("diff", "app/n", "1").text.replace("version 1", "")
    shown = stored.ok("diff", "app/n", "1", "--show").text
    assert "-value 1\n" in shown and "+value 1\\x1b[31m\n" in shown


def test_verify(stored: Cli) -> None:
    """Exit 5 and a table where something is wrong."""
    assert stored.ok("verify").text == ""
    assert "checked the structure" in stored.ok("verify", "app/", "--structure-only").err
    with sqlite3.connect(stored.database) as database:
        database.execute("DELETE FROM records WHERE record = 'v#0000000002'")
    database.close()
    done = stored("verify")
    assert done.code == 5
    assert "app/n" in done.text and "1 finding" in done.err
    assert stored("verify", "-o", "json").code == 5


def test_rewrap(stored: Cli) -> None:
    """By name or by prefix, not by both nor by neither."""
    assert "4 versions of 1 secret" in stored.ok("rewrap", "--prefix", "app/").err
    assert stored("rewrap").code == 2
    assert stored("rewrap", "app/n", "--prefix", "app/").code == 2
    assert stored.ok("get", "app/n").out == b"value 4"


def test_backup_and_restore(stored: Cli) -> None:
    """Into a store that is gone; over one that is there; never over a file."""
    stored.ok("export", "--sealed", "../backup")
    assert stored("export", "--sealed", "../backup").code == 1
    assert stored("export", "--sealed", "/nowhere/at/all").code == 1
    assert stored("import", "--sealed", "/nowhere").code == 1
    stored.database.unlink()
    assert "restored 1 secret" in stored.ok("import", "--sealed", "../backup").err
    assert stored.ok("get", "app/n", "--version", "2").out == b"value 2"
    assert list(stored.cwd.iterdir()) == []
    assert stored.real("import", "--sealed", "../backup", cwd="/proc").code == 1


@pytest.mark.parametrize(
    ("code", "exit_code", "advice"),
    [
        (errno.EACCES, 4, "check the owner and the modes of the file and of its directory"),
        (errno.EROFS, 4, "check the owner and the modes of the file and of its directory"),
        (errno.ENOSPC, 7, "free some space, or choose another file; nothing is left of this one"),
        (errno.EISDIR, 1, "choose another file"),
    ],
)
def test_a_backup_that_cannot_be_written_says_why_by_its_exit_code(
    stored: Cli, monkeypatch: pytest.MonkeyPatch, code: int, exit_code: int, advice: str
) -> None:
    """Whatever the file system said, it was 1."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("dynastash.cli.newfile._publish", refuse)
    done = stored("export", "--sealed", "b")
    assert (done.code, done.out) == (exit_code, b"")
    assert done.err == f"error: b cannot be written: {os.strerror(code)}\nhint: {advice}\n"
    assert not list(stored.cwd.iterdir())


def test_a_backup_that_may_not_be_read_is_denied(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for import."""
    assert stored("export", "--sealed", "b").code == 0

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("dynastash.transfer.sealed.check_sealed", refuse)
    done = stored("import", "--sealed", "b")
    assert (done.code, done.err.splitlines()[0]) == (4, "error: b cannot be read: Permission denied")


def test_expiring(stored: Cli) -> None:
    """What needs a new value soon, with an exit code for monitoring."""
    stored.ok("put", "app/soon", "--expires", "3d", given=b"x")
    stored.ok("put", "app/later", "--expires", "90d", given=b"x")
    assert stored("list", "--expiring", "14d", "--exit-code").code == 6
    listed = stored.ok("list", "--expiring", "14d").text
    assert "app/soon" in listed and "app/later" not in listed
    assert "app/later" in stored.ok("list", "--expiring", "999999w").text
    assert "expire by then" in stored.ok("list", "x", "--expiring", "14d", "--exit-code").err
    assert stored("list", "--exit-code").code == 2
    assert stored("list", "--expiring", "x").code == 2


def test_a_secret_undeleted_at_the_question_is_not_purged(stored: Cli) -> None:
    """Between the listing and the answer somebody took the deletion back: the value stays, the rest goes."""
    stored.ok("put", "app/gone", given=b"x")
    for name in ("app/n", "app/gone"):
        stored.ok("delete", name, "--recovery-days", "0")
    argv = [sys.executable, "-m", "dynastash", "prune", "--prefix", "", "--overdue"]
    with Terminal(argv, stored.variables, stored.cwd) as terminal:
        terminal.expect(b"for good? [y/N]: ")
        stored.ok("undelete", "app/n")
        assert answered(terminal, b"y\n")[0] == 0
    assert stored.ok("get", "app/n").out == b"value 4"
    assert stored("get", "app/gone").code == 6


def test_rewrap_goes_on_behind_a_damaged_secret(stored: Cli) -> None:
    """Exit 8, the damaged one named, and everything else rewrapped."""
    stored.ok("put", "app/damaged", given=b"x")
    with sqlite3.connect(stored.database) as connection:
        connection.execute(
            "UPDATE records SET item = replace(item, '\"created_by\"', '\"created_bx\"')"
            " WHERE name = 'app/damaged' AND record LIKE 'v#%'"
        )
    done = stored("rewrap", "--prefix", "app/", "-o", "json")
    assert done.code == 8
    assert "app/damaged" in done.err
    assert done.text.count('"app/n"') == 4


def test_get_refuses_a_secret_below_the_expected_version(stored: Cli) -> None:
    """--min-version: what the caller knows that the store must have reached."""
    assert stored.ok("get", "app/n", "--min-version", "4").out == b"value 4"
    refused = stored("get", "app/n", "--min-version", "5")
    assert (refused.code, refused.out) == (5, b"")


def test_advice_names_the_environment_that_was_chosen(stored: Cli) -> None:
    """What is copied from a hint must not hit another environment."""
    stored.ok("delete", "app/n")
    assert "`dynastash -e local undelete app/n`" in stored("get", "app/n", "-e", "local").err
    assert "`dynastash undelete app/n`" in stored("get", "app/n").err


def test_advance(cli: Cli) -> None:
    """Asked for, carried out once, and told; nothing for a number that is used already."""
    cli.ok("put", "n", given=b"x")
    assert cli("advance", "n", "--to", "3").code == 2  # nobody can be asked
    assert "the next would be 4" in cli.ok("advance", "n", "--to", "3", "--dry-run").err
    assert json.loads(cli.ok("advance", "n", "--to", "3", "--yes", "-o", "json").text)["last"] == 3
    assert "nothing to do" in cli.ok("advance", "n", "--to", "3", "--dry-run").err
    assert "the next version is 4" in cli.ok("advance", "n", "--to", "2", "--yes").err
    assert "version 4" in cli.ok("put", "n", given=b"y").err
    done = cli("advance", "none", "--to", "3", "--yes")
    assert done.code == 3 and "another name" in done.err
    for wrong in (["--to", "0"], ["--to", "x"], []):
        assert cli("advance", "n", *wrong).code == 2
