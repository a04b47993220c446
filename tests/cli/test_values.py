"""Values go in and come out byte for byte, by every way that there is."""

from __future__ import annotations

import os
import random

import pytest

from tests.cli.runner import Cli

VALUES = {
    "text": b"correct horse",
    "final newline": b"correct horse\n",
    "crlf": b"a\r\nb\r\n",
    "bare carriage return": b"a\rb",
    "empty": b"",
    "one newline": b"\n",
    "nul": b"\x00",
    "binary": bytes(range(256)),
    "not utf-8": b"\xff\xfe\xfa",
    "unicode": "päß 🔑 \u202e x".encode(),
    "byte order mark": b"\xef\xbb\xbfx",
    "spaces": b"  x \t ",
    "largest": random.Random(1).randbytes(320 * 1024),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_file_keeps_every_byte(cli: Cli, value: bytes) -> None:
    """--file in, standard output out."""
    (cli.directory / "value").write_bytes(value)
    cli.ok("put", "n", "--file", str(cli.directory / "value"))
    assert cli.ok("get", "n").out == value


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_standard_input_keeps_every_byte(cli: Cli, value: bytes) -> None:
    """A redirected file as standard input, with and without --file -."""
    cli.ok("put", "n", given=value)
    cli.ok("put", "m", "--file", "-", given=value)
    assert cli.ok("get", "n").out == value
    assert cli.ok("get", "m").out == value


@pytest.mark.parametrize("kind", ["largest", "binary", "empty", "crlf"])
def test_real_pipes_keep_every_byte(cli: Cli, kind: str) -> None:
    """A real process between two real pipes."""
    assert cli.real("put", "n", given=VALUES[kind]).code == 0
    done = cli.real("get", "n")
    assert (done.code, done.out, done.err) == (0, VALUES[kind], "")


def test_one_byte_too_many_is_refused(cli: Cli) -> None:
    """320 KiB and one byte: exit 2, nothing written, by pipe and by file."""
    large = bytes(320 * 1024 + 1)
    (cli.directory / "value").write_bytes(large)
    for done in (cli.real("put", "n", given=large), cli("put", "n", "--file", str(cli.directory / "value"))):
        assert done.code == 2
        assert done.err == (
            "error: the value is too large\nhint: at most 327680 bytes (320 KiB) fit into one version\n"
        )
    assert cli("get", "n").code == 3


def test_an_endless_file_is_read_no_further_than_needed(cli: Cli) -> None:
    """/dev/zero is refused as too large instead of filling the memory."""
    assert cli("put", "n", "--file", "/dev/zero").code == 2


def test_older_versions_by_number_and_stage(cli: Cli) -> None:
    """get --version 3, --stage previous and --stage current."""
    for number in range(1, 6):
        cli.ok("put", "n", given=b"value %d" % number)
    assert cli.ok("get", "n", "--version", "3").out == b"value 3"
    assert cli.ok("get", "n", "--stage", "previous").out == b"value 4"
    assert cli.ok("get", "n", "--stage", "current").out == b"value 5"
    assert cli.ok("get", "--version=1", "n").out == b"value 1"


@pytest.mark.parametrize(
    "value",
    ["@handle", "@/etc/passwd", "-", "a=b", "=", "-secret", "-1234", "-_x", "$HOME", "a b", "", "päß 🔑", "\\n", "--"],
)
def test_values_as_arguments_need_no_escape(cli: Cli, value: str) -> None:
    """What other tools take for a file name, standard input or an option is a value here; the warning is there."""
    arguments = ["put", "n", *(["--"] if value == "--" else []), value]
    done = cli.ok(*arguments, given=b"standard input is not read")
    assert done.err.startswith("warning: others can see a value given as an argument")
    assert cli.ok("get", "n").out == value.encode()


def test_values_as_arguments_among_options(cli: Cli) -> None:
    """Options stand before, between and behind; a value with a hyphen too."""
    cli.ok("put", "--comment", "one", "n", "-secret", "--tag", "a=b=c")
    cli.ok("put", "n", "--comment=two", "-secret", "-o", "json")
    assert cli.ok("get", "n").out == b"-secret"
    assert [line.split()[-1] for line in cli.ok("history", "n").text.splitlines()[2:]] == ["two", "one"]


def test_behind_two_hyphens_everything_is_literal(cli: Cli) -> None:
    """Names of options too, and a second --."""
    for value in ("--comment=x", "-e", "-eprod", "-oyaml", "--generate", "--help", "--", "-v", "--file"):
        cli.ok("put", "n", "--comment", "why", "--", value)
        assert cli.ok("get", "n").text == value


@pytest.mark.parametrize("word", ["-eprod", "-oyaml", "-vsecret", "-hidden", "-e=prod", "-vo"])
def test_look_alikes_of_short_options_are_refused(cli: Cli, word: str) -> None:
    """They could be a value or an option: neither is guessed, and the word is not quoted."""
    done = cli("put", "n", word, given=b"x")
    assert done.code == 2
    assert done.out == b""
    assert word not in done.err
    assert "could be a value" in done.err and "behind --" in done.err
    assert cli("get", "n").code == 3


def test_look_alikes_of_long_options_are_refused(cli: Cli) -> None:
    """A word with two hyphens is an option or an error; it is not quoted, and a near option is named."""
    done = cli("put", "n", "--hunter2", given=b"x")
    assert done.code == 2
    assert "hunter2" not in done.err
    assert "behind --" in done.err
    near = cli("put", "n", "--coment=x", given=b"x")
    assert (near.code, near.err.splitlines()[1]) == (2, "hint: did you mean --comment?")
    assert cli("get", "n").code == 3


def test_a_value_equal_to_an_option_with_text_takes_no_text_from_nowhere(cli: Cli) -> None:
    """`put n --comment` asks for the comment's text instead of storing anything."""
    done = cli("put", "n", "--comment", given=b"x")
    assert done.code == 2
    assert done.err.splitlines()[0] == "error: the option --comment needs a text behind it"
    assert cli("get", "n").code == 3


def test_a_value_torn_apart_by_the_shell_is_not_quoted(cli: Cli) -> None:
    """`put n correct horse battery` forgot the quotes: the words do not end up in a log."""
    done = cli("put", "n", "correct", "horse", "battery")
    assert done.code == 2
    assert "horse" not in done.err and "correct" not in done.err
    assert "quotes" in done.err


def test_only_one_source(cli: Cli) -> None:
    """VALUE, --file and --generate exclude each other, and policies belong to --generate."""
    for arguments in (["v", "--file", "x"], ["v", "--generate"], ["--file", "x", "--generate"]):
        done = cli("put", "n", *arguments)
        assert done.code == 2
        assert "one value only" in done.err
    assert "go with --generate" in cli("put", "n", "--length", "40", given=b"x").err


def test_put_generate(cli: Cli) -> None:
    """--generate makes a value by the options, says how, and does not print it."""
    done = cli.ok("put", "n", "--generate", "--length", "48", "--alphabet", "hex")
    value = cli.ok("get", "n").text
    assert len(value) == 48 and set(value) <= set("0123456789abcdef")
    assert done.out == b"" and value not in done.err
    assert "48 characters" in done.err
    assert len(cli.ok("put", "m", "--generate").err) > 0 and len(cli.ok("get", "m").out) == 32


def test_no_standard_input_to_speak_of(cli: Cli) -> None:
    """/dev/null and a closed descriptor store nothing; an empty pipe stores an empty value, with a warning."""
    for done in (cli.real("put", "n"), cli.shell("dynastash put n <&-"), cli.shell("dynastash put n --file - <&-")):
        assert done.code == 2, done
        assert done.err.startswith("error: no value for n: standard input is neither")
    assert cli("get", "n").code == 3
    done = cli.real("put", "n", given=b"")
    assert done.code == 0
    assert done.err.splitlines()[0] == "warning: the value is empty"
    assert cli.ok("get", "n").out == b""


def test_unreadable_files(cli: Cli) -> None:
    """A directory, a missing file, an impossible path: one line and advice."""
    for path, reason in (("/nowhere", "No such file"), (str(cli.cwd), "Is a directory"), ("a\0b", "not a path")):
        done = cli("put", "n", "--file", path)
        assert done.code == 2
        assert reason in done.err
        assert len(done.err.splitlines()) == 2
    done = cli.shell("dynastash put n 0>../written")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: standard input cannot be read: Bad file descriptor")


def test_an_argument_that_is_no_text(cli: Cli) -> None:
    """Bytes that are not UTF-8 cannot come as an argument, and are not quoted."""
    done = cli.real(*map(os.fsdecode, (b"put", b"n", b"se\xffcret")))
    assert done.code == 2
    assert "use a pipe or --file" in done.err
    assert "cret" not in done.err
