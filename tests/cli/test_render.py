"""``render``: what comes out, where it goes, and what is refused; docs/how-to/render.md is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.runner import Cli
from tests.cli.terminal import Terminal
from tests.cli.test_documents import normal
from tests.cli.test_output import documented
from tests.unit.stash_kit import mode

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/render.md"


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """A few secrets."""
    cli.ok("put", "app1/password", given=b"hunter2")
    cli.ok("put", "app1/binary", given=b"\xff\x00")
    cli.ok("put", "app1/config", given=b'{"port": 5432}')
    return cli


def test_the_how_to_does_what_it_shows(cli: Cli) -> None:
    """Its templates, and each command line by line."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (template,) = re.findall(r"^```ini\n(\[database\].*?)^```$", text, re.MULTILINE | re.DOTALL)
    (jinja,) = re.findall(r"^```jinja\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (cli.cwd / "app.ini.tmpl").write_text(template)
    (cli.cwd / "app.env.j2").write_text(jinja)
    shown: list[tuple[str, list[str]]] = []
    for line in "".join(re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    environment = {**cli.variables, "XDG_DATA_HOME": str(cli.directory / "xdg")}
    del environment["DYNASTASH_DATA"]
    assert len(shown) > 10
    for command, expected in shown:
        done = subprocess.run(
            ["sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=cli.cwd,
            text=True,
        )
        assert normal(done.stdout) == normal("\n".join(expected)), command


def test_a_pipe_gets_the_exact_bytes(filled: Cli) -> None:
    """Binary values, line ends and what stands around them."""
    done = filled.ok("render", "-", given=b"\xfe{{ dynastash://app1/binary }}\r\n{{dynastash://app1/config#port}}")
    assert done.out == b"\xfe\xff\x00\r\n5432"
    assert done.err == ""


def test_the_file_is_private_and_whole(filled: Cli) -> None:
    """Mode 600 whatever the umask and whatever was there; nothing else is left in the directory."""
    (filled.cwd / "t").write_text("{{ dynastash://app1/password }}")
    out = filled.cwd / "out"
    out.write_text("old")
    out.chmod(0o644)
    before = os.umask(0o277)
    try:
        done = filled.ok("render", "t", "--out", "out")
        assert (out.read_text(), mode(out)) == ("hunter2", 0o600)
        filled.ok("render", "t", "--out", "out", "--mode", "640")
    finally:
        os.umask(before)
    assert mode(out) == 0o640
    assert sorted(path.name for path in filled.cwd.iterdir()) == ["out", "t"]
    assert done.err == f"rendered out: 1 reference of local ({filled.database})\n"
    assert done.out == b""
    data = json.loads(filled.ok("render", "t", "--out", "out", "-o", "json").out)
    assert list(data) == documented("A rendering: `render --out`")
    assert data == {"path": "out", "references": ["app1/password"]}


def test_nothing_is_written_where_one_fails(filled: Cli) -> None:
    """All that failed are named; what was there stays."""
    (filled.cwd / "out").write_text("old")
    text = b"{{ dynastash://app1/password }} {{ dynastash://a }} {{ dynastash://app1/password@7 }}"
    done = filled("render", "-", "--out", "out", given=text)
    assert done.code == 8
    assert "2 of 3 secrets could not be had: a: there is no secret a; app1/password@7: " in done.err
    assert (filled.cwd / "out").read_text() == "old"
    assert filled("render", "-", given=b"{{ dynastash://a }}").code == 3
    assert filled("render", "-", given=b"{{ dynastash://app1/password#x }}").code == 3


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["nothing"], "the template nothing cannot be read: No such file", 2),
        (["."], "the template . cannot be read: Is a directory", 2),
        (["t", "--out", "no/where"], "no/where cannot be written: No such file", 2),
        (["t", "--out", "."], ". is not a file", 2),
        (["t", "--out", "link"], "link is a symbolic link", 2),
        (["t", "--out", "out", "--mode", "644"], "the file holds secrets", 2),
        (["t", "--out", "out", "--mode", "rw"], "'rw' is not a mode", 2),
        (["t", "--mode", "640"], "--mode is for a file", 2),
        (["t", "--check", "--out", "out"], "--check writes nothing", 2),
        (["t", "--set", "a=b"], "a plain template has no variables", 2),
        (["bad"], "line 2, column 3: the reference is not closed", 2),
        (["bad.j2"], "line 1: x is not defined", 2),
    ],
)
def test_what_is_refused(filled: Cli, arguments: list[str], said: str, code: int) -> None:
    """One line that says what to do, and one of advice."""
    (filled.cwd / "t").write_text("{{ dynastash://app1/password }}")
    (filled.cwd / "bad").write_text("\n  {{ dynastash://app1/password\n")
    (filled.cwd / "bad.j2").write_text("{{ x }}")
    (filled.cwd / "link").symlink_to("t")
    done = filled("render", *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert "hint: " in done.err
    assert not (filled.cwd / "out").exists()


def test_a_terminal_sees_it_only_when_asked(filled: Cli) -> None:
    """``--out -``."""
    (filled.cwd / "t").write_text("{{ dynastash://app1/password }}")
    done = filled("render", "t", terminal=True)
    assert (done.code, done.out) == (2, b"")
    assert "the result would be shown on this terminal" in done.err
    assert filled("render", "t", "--out", "-", terminal=True).out == b"hunter2"


def test_check_reads_no_value(filled: Cli) -> None:
    """It works without the key; its exit codes are those of the rendering."""
    (filled.cwd / "t").write_text("{{ dynastash://app1/password }}\n {{ dynastash://app1/config#no-field }}")
    filled.key.unlink()
    done = filled.ok("render", "--check", "t", "-o", "json")
    assert all(list(use) == documented("A reference of a template: `render --check`") for use in json.loads(done.out))
    assert [(use["line"], use["column"], use["version"], use["field"]) for use in json.loads(done.out)] == [
        (1, 1, 1, None),
        (2, 2, 1, "no-field"),
    ]
    (filled.cwd / "t").write_text("{{ dynastash://a }}{{ dynastash://app1/password@9 }}{{ dynastash://app1/config }}")
    done = filled("render", "--check", "t")
    assert done.code == 8
    assert "2 of 3 references lead nowhere: a, app1/password@9" in done.err
    assert "there is no secret a" in done.text
    assert filled("render", "--check", "-", given=b"{{ dynastash://a }}").code == 3
    assert filled.ok("render", "--check", "-", given=b"nothing").out != b""


def test_no_stdin_is_said(filled: Cli) -> None:
    """A terminal is no template."""
    argv = [sys.executable, "-m", "dynastash", "render", "-"]
    with Terminal(argv, filled.variables, filled.cwd) as terminal:
        terminal.expect(b"no template was given on standard input")


def test_without_jinja2_it_says_what_to_install(filled: Cli) -> None:
    """The extra; plain templates do without."""
    (filled.cwd / "t.j2").write_text("x")
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from dynastash.cli.app import run\n"
        "print(run(['render', 't.j2']), run(['render', '-']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=filled.variables, cwd=filled.cwd, capture_output=True, text=True, input="plain",
    )  # fmt: skip
    assert "pip install 'dynastash[jinja]'" in done.stderr
    assert done.stdout.split() == ["plain2", "0"]
