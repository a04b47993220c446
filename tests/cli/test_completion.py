"""Completion in the shells themselves, and what they are answered."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.runner import Cli
from tests.cli.terminal import Terminal

NAMES = ("app1/db/password", "app1/db/user", "app1/tls:key", "app2/x=y", "mail@example")


@pytest.fixture
def stored(cli: Cli) -> Cli:
    """A store with names that shells find difficult, one with a comment that terminals do."""
    for name in NAMES:
        cli.ok("put", name, "--comment", f"about: {name}\n\x1b[31m\t", given=b"x")
    (cli.cwd / "dynastash.toml").write_text('[env.dev]\n[env.devel]\n[env.other]\nstore = "sqlite"\n')
    cli.ok("-e", "other", "put", "app/elsewhere", given=b"x")
    (cli.cwd / "apple.pem").write_text("")
    return cli


def needs(shell: str) -> str:
    """The shell's path, or a skipped test."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    return path


def bash(cli: Cli, line: str) -> list[str]:
    """What bash's completion function would put in place of the word at the end of ``line``, as bash cuts words."""
    script = """
        source <(dynastash completion bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
        COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
        $(complete -p dynastash | sed 's/.*-F \\([^ ]*\\) .*/\\1/') dynastash
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    words = line.split(" ")
    for mark in ":=@":
        words = [part for word in words for part in _cut(word, mark)]
    done = _run(cli, [needs("bash"), "--norc", "-c", script, "bash", line, *words])
    return [word for word in done.splitlines() if word]


def _cut(word: str, mark: str) -> list[str]:
    before, found, behind = word.partition(mark)
    return [before, mark, behind] if found and word != mark else [word]


def zsh(cli: Cli, line: str) -> list[str]:
    """What zsh's completion function offers at the end of ``line``: compadd's and _describe's arguments, recorded."""
    script = """
        compdef() { : }
        eval "$(dynastash completion zsh)"
        _files() { print -r -- ":files $PREFIX" }
        compset() { PREFIX=${PREFIX#*=} }
        _describe() { local array=$@[-1]; print -rl -- ${(P)array} }
        words=("${(@)@}") CURRENT=$# PREFIX=$@[-1]
        _dynastash
    """
    done = _run(cli, [needs("zsh"), "-f", "-c", script, "zsh", *line.split(" ")])
    return done.splitlines()


def fish(cli: Cli, line: str) -> list[str]:
    """What fish offers at the end of ``line``."""
    script = "dynastash completion fish | source; complete -C $argv[1]"
    return _run(cli, [needs("fish"), "--no-config", "-c", script, line]).splitlines()


def _run(cli: Cli, argv: list[str]) -> str:
    done = subprocess.run(argv, env=cli.variables, cwd=cli.cwd, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.stderr == b"", done.stderr
    return done.stdout.decode()


def words(lines: list[str]) -> list[str]:
    """Without the descriptions of zsh (behind a colon that is not escaped) and of fish (behind a tab)."""
    return sorted(re.split(r"\t|(?<!\\):(?=about|[A-Z])", line)[0].replace("\\:", ":") for line in lines)


SHELLS = pytest.mark.parametrize("shell", [zsh, fish], ids=["zsh", "fish"])
Ask = Callable[[Cli, str], list[str]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dynastash get app1/d", ["app1/db/password", "app1/db/user"]),
        ("dynastash get app1/tls", ["app1/tls:key"]),
        ("dynastash get app1/tls:k", ["key"]),
        ("dynastash get app1/tls:", ["key"]),
        ("dynastash get app2/x=", ["y"]),
        ("dynastash get mail@e", ["@example"]),
        ("dynastash get zzz", []),
        ("dynastash ge", ["generate", "get"]),
        ("dynastash get --sta", ["--stage"]),
        ("dynastash get --stage ", ["current", "pending", "previous"]),
        ("dynastash get --stage=p", ["pending", "previous"]),
        ("dynastash get n -o ", ["json", "table", "yaml"]),
        ("dynastash -e de", ["dev", "devel"]),
        ("dynastash get -e other app", ["app/elsewhere"]),
        ("dynastash -e other history app", ["app/elsewhere"]),
        ("dynastash put app1/db/u", ["app1/db/user"]),
        ("dynastash put app1/db/user ", []),
        ("dynastash put --file app", ["apple.pem"]),
        ("dynastash put n --file=app", ["apple.pem"]),
        ("dynastash rotate app1/db/u", ["app1/db/user"]),
        ("dynastash completion ", ["bash", "fish", "zsh"]),
    ],
)
def test_bash(stored: Cli, line: str, expected: list[str]) -> None:
    """What stands behind bash's last word break, and nothing before it."""
    assert sorted(bash(stored, line)) == expected


def test_bash_at_a_prompt(stored: Cli) -> None:
    """A real interactive bash: what has a colon, an at sign or an equals sign is completed where it stands."""
    environment = {**stored.variables, "PS1": "ready ", "TERM": "dumb"}
    with Terminal([needs("bash"), "--norc", "-i"], environment, stored.cwd) as terminal:
        terminal.expect(b"ready ")
        terminal.type(b'eval "$(dynastash completion bash)"\n')
        terminal.expect(b"ready ", 2)
        at_prompt(terminal)


def test_zsh_at_a_prompt(stored: Cli) -> None:
    """A real interactive zsh with its completion system."""
    environment = {**stored.variables, "TERM": "dumb", "ZDOTDIR": str(stored.directory)}
    (stored.directory / ".zshrc").write_text(
        'PS1="ready "; autoload -U compinit; compinit -D; eval "$(dynastash completion zsh)"\n'
    )
    with Terminal([needs("zsh"), "-i"], environment, stored.cwd) as terminal:
        terminal.expect(b"ready ")
        at_prompt(terminal)


def at_prompt(terminal: Terminal) -> None:
    """Complete names that shells find difficult, and see by running the line what it has become."""
    for number, (typed, name) in enumerate((("app1/t", "app1/tls:key"), ("app1/tls:", "app1/tls:key"), ("mail@", "mail@example"), ("app2/x=", "app2/x=y"), ("--stage=pr", "--stage=previous"))):  # fmt: skip # noqa: E501
        terminal.type(b"dynastash -v get " + typed.encode() + b"\t\x01echo run" + str(number).encode() + b" \n")
        terminal.expect(f"run{number} dynastash -v get {name}".encode() + b"\r\n")
    terminal.type(b"exit\n")
    terminal.finish()


@SHELLS
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dynastash get app1/d", ["app1/db/password", "app1/db/user"]),
        ("dynastash get app1/tls:", ["app1/tls:key"]),
        ("dynastash get app2/x=", ["app2/x=y"]),
        ("dynastash get mail@e", ["mail@example"]),
        ("dynastash get zzz", []),
        ("dynastash ge", ["generate", "get"]),
        ("dynastash get --stage ", ["current", "pending", "previous"]),
        ("dynastash get --stage=p", ["--stage=pending", "--stage=previous"]),
        ("dynastash -e de", ["dev", "devel"]),
        ("dynastash -e other get app", ["app/elsewhere"]),
        ("dynastash put app1/db/user ", []),
    ],
)
def test_zsh_and_fish(stored: Cli, shell: Ask, line: str, expected: list[str]) -> None:
    """Whole words, the option's name before an equals sign too."""
    assert words(shell(stored, line)) == expected


@SHELLS
def test_descriptions(stored: Cli, shell: Ask) -> None:
    """Comments stand beside the names, in one line and without anything that steers a terminal."""
    (line,) = shell(stored, "dynastash get app1/tls")
    assert r"about: app1/tls:key\n\x1b[31m\t" in line
    assert line.replace("\t", "").isprintable()
    (line,) = shell(stored, "dynastash rotat")
    assert "Replace the value of NAME" in line


def test_files_are_left_to_the_shell(stored: Cli) -> None:
    """zsh and fish complete paths themselves."""
    assert zsh(stored, "dynastash put n --file app") == [":files app"]
    assert zsh(stored, "dynastash put n --file=app") == [":files app"]
    assert words(fish(stored, "dynastash put n --file app")) == ["apple.pem"]
    assert words(fish(stored, "dynastash put n --file=app")) == ["--file=apple.pem"]


def ask(cli: Cli, line: str, shell: str = "fish", **variables: str) -> tuple[int, list[str]]:
    """What is answered, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, text in {"_DYNASTASH_COMPLETE": shell, "COMP_LINE": line, **variables}.items():
            patch.setenv(name, text)
        done = cli()
    assert done.err == ""
    return done.code, done.text.splitlines()


@pytest.mark.parametrize(
    ("line", "incomplete"),
    [
        ("dynastash get 'app1/tls", "app1/tls:key"),
        ('dynastash get "app1/tls', "app1/tls:key"),
        ("dynastash get app1/tl\\s", "app1/tls:key"),
        ("X=1 Y='a b' dynastash get app1/tls", "app1/tls:key"),
        ("/usr/bin/dynastash   get    app1/tls", "app1/tls:key"),
        ("dynastash put --no-such-option app1/tls", "app1/tls:key"),
        ("dynastash put --comment 'a b' app1/tls", "app1/tls:key"),
        ("dynastash -v get app1/tls", "app1/tls:key"),
    ],
)
def test_lines_as_people_type_them(stored: Cli, line: str, incomplete: str) -> None:
    """Quotes, assignments, options that do not exist."""
    code, lines = ask(stored, line)
    assert (code, [each.split("\t")[0] for each in lines]) == (0, [incomplete])


def test_nothing_is_said_at_a_prompt(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken configuration, a broken store, a defect: no completions, and no word of it."""
    assert ask(stored, "dynastash -e ../x get ") == (0, [])
    (stored.cwd / "dynastash.toml").write_text("nonsense")
    assert ask(stored, "dynastash get ") == (0, [])
    assert ask(stored, "dynastash -e ") == (0, [])
    (stored.cwd / "dynastash.toml").unlink()
    stored.database.write_bytes(b"garbage" * 1000)
    assert ask(stored, "dynastash get ") == (0, [])

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("dynastash.config.resolve", broken)
    assert ask(stored, "dynastash get ") == (1, [])


def test_deleted_secrets_are_not_offered(stored: Cli) -> None:
    """Only what get would open."""
    from dynastash.wiring import connect

    connect().delete("app1/db/user")
    assert [line.split("\t")[0] for line in ask(stored, "dynastash get app1/db/")[1]] == ["app1/db/password"]


def test_scripts_are_valid(cli: Cli) -> None:
    """Each shell reads its script without a word."""
    for shell, check in (("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])):
        script = cli.directory / f"script.{shell}"
        script.write_bytes(cli.ok("completion", shell).out)
        _run(cli, [needs(shell), *check, os.fspath(Path(script))])


def test_a_shell_that_is_not_known(cli: Cli) -> None:
    """Exit 2, and the three that are."""
    done = cli("completion", "tcsh")
    assert done.code == 2
    assert all(shell in done.err for shell in ("bash", "zsh", "fish"))


def test_bash_is_answered_what_it_replaces(stored: Cli) -> None:
    """The part behind its last word break, an @ being part of what follows; no descriptions."""
    breaks = " \t\n\"'@><=;|&(:"
    for line, expected in (
        ("dynastash get app1/tls:k", ["key"]),
        ("dynastash get mail@e", ["@example"]),
        ("dynastash get --stage=pr", ["previous"]),
        ("dynastash -e de", ["dev", "devel"]),
        ("dynastash put --file x", [":files"]),
        ("dynastash get app1/db/", ["app1/db/password", "app1/db/user"]),
    ):
        assert ask(stored, line, "bash", COMP_WORDBREAKS=breaks) == (0, expected)
    assert ask(stored, "dynastash get app1/tls:k", "bash", COMP_WORDBREAKS=" ") == (0, ["app1/tls:key"])


def test_scripts_are_printed_in_this_process(cli: Cli) -> None:
    """Each registers a function for dynastash."""
    for shell, said in (
        ("bash", "complete -F _dynastash"),
        ("zsh", "#compdef dynastash"),
        ("fish", "complete -c dyna"),
    ):
        assert said in cli.ok("completion", shell).text


def test_deploy_s_environment_and_options_complete(stored: Cli) -> None:
    """Options of every command, with their help."""
    assert ask(stored, "dynastash deploy --dry") == (0, ["--dry-run\tShow what would change, and change nothing."])
