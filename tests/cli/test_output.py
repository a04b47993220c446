"""Tables, JSON and YAML: keys as documented, and nothing of what others wrote steers a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynastash.cli import output
from tests.cli.runner import Cli

DOCUMENT = Path(__file__).parents[2] / "docs/reference/json.md"
HOSTILE = "red \x1b[31m bell\x07 line\nend\r c1 \x9b2J bidi \u202e\u2066 zero\u200b del\x7f tab\t"


def documented(heading: str) -> list[str]:
    """The keys of the first table below a heading of docs/reference/json.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, heading
    table = re.search(r"(?:^\|.*\n)+", section[1], re.MULTILINE)
    assert table, heading
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", table[0], re.MULTILINE)
    return [key for cell in cells for key in re.findall(r"\w+", cell)]


def loaded(cli: Cli, *arguments: str, given: bytes | None = None) -> Any:
    """What a command prints with -o json, and that -o yaml says the same of it where it only reads."""
    data = json.loads(cli.ok(*arguments, "-o", "json", given=given).text)
    if arguments[0] in ("get", "list", "history", "env"):
        assert yaml.safe_load(cli.ok(*arguments, "-o", "yaml").text) == data
    return data


def test_keys_of_what_writes(cli: Cli) -> None:
    """put, generate, rotate, rollback and rotate --abort print one version each, with the documented keys."""
    keys = documented("A version")
    assert keys
    assert list(loaded(cli, "put", "n", given=b"x")) == keys
    assert list(loaded(cli, "generate", "n")) == keys
    assert list(loaded(cli, "rotate", "n")) == keys
    assert list(loaded(cli, "rollback", "n")) == keys
    assert cli("rotate", "n", "--", "false").code == 1
    assert list(loaded(cli, "rotate", "n", "--abort")) == keys
    cli("rotate", "n", "--", "false")
    assert list(loaded(cli, "rotate", "n", "--resume", "--rotator", "generate")) == keys


def test_keys_of_what_reads(cli: Cli) -> None:
    """get, history, list and env."""
    cli.ok("put", "app/n", "--tag", "a=b", given=b"x")
    cli.ok("put", "app/m", given=b"\xff")
    opened = documented("An opened secret: `get`")
    assert list(loaded(cli, "get", "app/n")) == opened
    assert list(loaded(cli, "get", "app/m")) == opened
    both = loaded(cli, "get", "--prefix", "app/")
    assert list(both) == ["app/m", "app/n"]
    assert [list(each) for each in both.values()] == [opened, opened]
    assert loaded(cli, "get", "app/n", "app/m") == both
    assert [list(each) for each in loaded(cli, "history", "app/n")] == [documented("A version")]
    assert [list(each) for each in loaded(cli, "list")] == [documented("A listed secret: `list`")] * 2
    assert [list(each) for each in loaded(cli, "env")] == [documented("An environment: `env`")]
    cli.ok("generate", "k", "--key-pair", "p256")
    assert list(loaded(cli, "get", "k", "--public-key")) == documented("A public key: `get --public-key`")


def test_keys_of_what_ends_and_operates(cli: Cli) -> None:
    """diff, delete, undelete, destroy, prune, verify, rewrap, export and import."""
    for value in (b"one", b"two", b"three"):
        cli.ok("put", "n", given=value)
    version, listed = documented("A version"), documented("A listed secret: `list`")
    compared = loaded(cli, "diff", "n", "1")
    assert list(compared) == documented("A comparison: `diff`")
    bare = [key for key in documented("An opened secret: `get`") if not key.startswith("value")]
    assert list(compared["one"]) == list(compared["other"]) == [*bare, "size"]
    assert loaded(cli, "diff", "n", "1", "--show")["one"]["value"] == "one"
    assert list(loaded(cli, "delete", "n")) == listed
    assert list(loaded(cli, "undelete", "n")) == listed
    assert [list(each) for each in loaded(cli, "destroy", "n", "--dry-run")] == [version] * 3
    assert [list(each) for each in loaded(cli, "prune", "n", "--keep", "2", "--yes")] == [
        documented("An erasure: `prune`")
    ]
    verification = loaded(cli, "verify")
    assert list(verification) == documented("A verification: `verify`")
    assert (verification["versions"], verification["tombstones"], verification["findings"]) == (2, 0, [])
    assert [list(each) for each in loaded(cli, "rewrap", "n")] == [documented("A rewrapped version: `rewrap`")] * 2
    backup = documented("A backup: `export` and `import`")
    assert list(loaded(cli, "export", "--sealed", "../backup")) == backup
    assert list(loaded(cli, "import", "--sealed", "../backup")) == backup
    assert list(loaded(cli, "import", "--sealed", "../backup", "--dry-run")) == backup
    destroyed = loaded(cli, "destroy", "n", "--yes")
    assert (list(destroyed), destroyed["state"]) == (listed, "destroyed")
    assert loaded(cli, "prune", "--prefix", "", "--overdue", "--yes") == []


def test_keys_of_a_deployment() -> None:
    """What deploy prints, of a plan and of the stack after it."""
    from dynastash.cli.deploy import _data
    from dynastash.deploy import Plan

    plan = Plan(environment="dev", stack="dynastash-dev", stack_id="", action="create", change_set=None)
    assert list(_data(plan, None, None, applied=False)) == documented("A deployment: `deploy`")


def test_text_and_binary_values(cli: Cli) -> None:
    """`value` where it is UTF-8, `value_base64` where it is not, and the other one is null."""
    cli.ok("put", "n", given="pä\r\n\x00".encode())
    cli.ok("put", "m", given=b"\xff\x00")
    text, binary = loaded(cli, "get", "n"), loaded(cli, "get", "m")
    assert (text["value"], text["value_base64"]) == ("pä\r\n\x00", None)
    assert (binary["value"], binary["value_base64"]) == (None, "/wA=")


def test_the_document_s_examples_are_json(cli: Cli) -> None:
    """Every example in docs/reference/json.md parses, and has the keys of its section."""
    text = DOCUMENT.read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)\n(?:(?!^## ).*\n)*?```json\n((?:(?!^```).*\n)*)```", text, re.MULTILINE)
    assert len(sections) >= 4
    for heading, example in sections:
        data = json.loads(example)
        assert list(data[0] if isinstance(data, list) else data) == documented(heading), heading


def test_times(cli: Cli) -> None:
    """UTC with milliseconds and Z."""
    (version,) = (loaded(cli, "put", "n", given=b"x"),)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", version["created_at"])
    (info,) = loaded(cli, "list")
    assert info["updated_at"] == version["created_at"]


@pytest.mark.parametrize(
    "value", ["a\x85b", "\ufeffx", "\u2028", "- a: b", "null", "1e3", "'\"", " x ", "a\n\nb\n", "🔑"]
)
def test_yaml_brings_every_text_back(cli: Cli, value: str) -> None:
    """YAML's own specialities do not change a value."""
    cli.ok("put", "n", given=value.encode())
    assert loaded(cli, "get", "n")["value"] == value


def test_nothing_found(cli: Cli) -> None:
    """Empty documents on standard output, a sentence on standard error."""
    for arguments, empty in ((["list"], "[]\n"), (["list", "x"], "[]\n"), (["get", "--prefix", ""], "{}\n")):
        done = cli.ok(*arguments, "-o", "json")
        assert done.text == empty
        assert done.err.startswith("no secrets ")
    done = cli.ok("list")
    assert (done.text, done.err) == ("", f"no secrets in local ({cli.database})\n")
    assert cli.ok("list", "app").err == f"no secrets start with app in local ({cli.database})\n"


def test_tables(cli: Cli) -> None:
    """A head, a line, a row for each; columns in which nothing stands are left out."""
    cli.ok("put", "n", given=b"x")
    head, line, row = cli.ok("list").text.splitlines()
    assert head.split() == ["name", "version", "updated", "(UTC)", "by"]
    assert set(line) == {"-", " "}
    assert row.split()[:2] == ["n", "1"]
    cli.ok("put", "m", "--comment", "why", "--tag", "b=2", "--tag", "a=1", "--expires", "2999-01-01", given=b"x")
    head, _, row, _ = cli.ok("list").text.splitlines()
    assert head.split()[4:] == ["by", "comment", "expires", "(UTC)", "tags"]
    assert row.split()[5:] == ["why", "2999-01-01", "00:00", "a=1", "b=2"]
    assert "state" in cli.ok("list", "--all", "--verified").text.splitlines()[0]


def test_pending_stands_in_the_list(cli: Cli) -> None:
    """Somebody has to finish it."""
    cli.ok("generate", "n")
    cli("rotate", "n", "--", "false")
    assert "1 (pending 2)" in cli.ok("list").text
    assert "pending" in cli.ok("history", "n").text


def test_long_comments_are_shortened_in_tables_only(cli: Cli) -> None:
    """A comment may have 1 KiB, a table's row not."""
    comment = "x" * 1000
    cli.ok("put", "n", "--comment", comment, given=b"x")
    for command in (["list"], ["history", "n"]):
        table = cli.ok(*command).text
        assert "x" * 59 + "…" in table
        assert max(map(len, table.splitlines())) < 160
        (data,) = loaded(cli, *command)
        assert data["comment"] == comment


def test_comments_cannot_steer_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes, line ends, C1 controls and changes of direction are spelled out in tables, messages and JSON."""
    cli.ok("put", "n", "--comment", HOSTILE, "--tag", f"{HOSTILE}={HOSTILE}", given=b"x")
    cli.ok("put", "n", given=b"y")
    for arguments in (["list"], ["list", "-o", "json"], ["history", "n"], ["history", "n", "-o", "yaml"], ["rollback", "n", "--comment", HOSTILE]):  # fmt: skip # noqa: E501
        done = cli.ok(*arguments)
        for stream in (done.text, done.err):
            assert stream.replace("\n", "").isprintable(), arguments
    table = cli.ok("history", "n").text
    assert len(table.splitlines()) == 2 + 3
    assert r"\x1b[31m" in table
    assert r"\x1b[31m" in cli.ok("list").text


def test_authors_cannot_steer_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes is whatever the writer says."""
    monkeypatch.setattr("dynastash.wiring._local_identity", lambda: HOSTILE)
    cli.ok("put", "n", given=b"x")
    for arguments in (["list"], ["history", "n"]):
        done = cli.ok(*arguments)
        assert r"\x1b[31m" in done.text
        assert done.text.replace("\n", "").isprintable()


def test_errors_cannot_steer_a_terminal(cli: Cli) -> None:
    """What a message quotes is spelled out, in one line."""
    for arguments in (
        ["get", HOSTILE],
        [HOSTILE],
        ["get", "n", f"--{HOSTILE}"],
        ["put", "n", "--file", HOSTILE],
        ["put", "n", "--tag", HOSTILE],
        ["put", "n", "--expires", HOSTILE],
        ["-e", HOSTILE, "list"],
        ["get", "n", "--stage", HOSTILE],
        ["rotate", "n", "--rotator", HOSTILE],
    ):
        done = cli(*arguments, given=b"x")
        assert done.code in (2, 3), arguments
        assert done.err.replace("\n", "").isprintable(), arguments
        assert len(done.err.splitlines()) == 2, done.err


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_a_terminal_that_lacks_characters(cli: Cli, form: str) -> None:
    """LC_ALL=C with ASCII: spelled out, still valid JSON and YAML, and no crash."""
    cli.ok("put", "n", "--comment", "für 🔑", given="ä".encode())
    for command in (f"list -o {form}", f"history n -o {form}"):
        done = cli.shell(f"dynastash {command}", LC_ALL="C", PYTHONIOENCODING="ascii")
        assert (done.code, done.err) == (0, "")
        assert done.text.isascii()
        if form == "json":
            assert json.loads(done.text)[0]["comment"] == "für 🔑"
        elif form == "yaml":
            assert yaml.safe_load(done.text)[0]["comment"] == "für 🔑"
        else:
            assert r"f\xfcr \U0001f511" in done.text
    assert cli.shell("dynastash get n", LC_ALL="C", PYTHONIOENCODING="ascii").out == "ä".encode()
    done = cli.shell("dynastash get ä", LC_ALL="C", PYTHONIOENCODING="ascii:strict")
    assert done.code == 2


def test_unicode_is_readable_where_it_can_be(cli: Cli) -> None:
    """JSON and YAML leave printable characters as they are."""
    cli.ok("put", "n", "--comment", "für 🔑", given=b"x")
    assert "für 🔑" in cli.ok("list", "-o", "json").text
    assert "für 🔑" in cli.ok("list", "-o", "yaml").text


def test_without_pyyaml(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """-o yaml says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    done = cli("list", "-o", "yaml")
    assert (done.code, "pip install 'dynastash[yaml]'" in done.err) == (2, True)


def test_verbose_says_what_is_used(cli: Cli) -> None:
    """Environment, store and key, on standard error."""
    cli.ok("put", "n", given=b"x")
    done = cli.ok("get", "n", "-v")
    assert (done.out, done.err) == (b"x", f"environment local (not configured): {cli.database}, key {cli.key}\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb", r"a\nb"),
        ("\x1b", r"\x1b"),
        ("\udcff", r"\udcff"),
        ("\u202e", r"\u202e"),
        ("ä", "ä"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    """One line, printable characters only."""
    assert output.visible(text) == shown


def test_quoted() -> None:
    """Short texts whole, long ones cut, with how long they were."""
    assert output.quoted("abc") == "'abc'"
    assert output.quoted("a'b") == '"a\'b"'
    assert output.quoted("x" * 1000) == f"'{'x' * 40}…' (1000 characters)"
