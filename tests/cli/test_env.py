"""dynastash env: which environment is used, and why."""

from __future__ import annotations

import json

import pytest

from tests.cli.runner import Cli

FILE = """
default = "dev"
[env.dev]
region = "eu-west-1"
[env.prod]
region = "eu-central-1"
table = "secrets"
key = "alias/secrets"
trusted_keys = ["alias/old"]
[env.home]
store = "sqlite"
path = "stash"
"""


def rows(cli: Cli, *arguments: str) -> dict[str, dict[str, object]]:
    """The environments by name."""
    return {each["name"]: each for each in json.loads(cli.ok(*arguments, "env", "-o", "json").text)}


def chosen(cli: Cli, *arguments: str) -> list[tuple[object, object]]:
    """Which ones are in use, and by what."""
    return [(name, row["chosen_by"]) for name, row in rows(cli, *arguments).items() if row["chosen"]]


def test_without_any_configuration(cli: Cli) -> None:
    """local, because nothing says otherwise."""
    assert chosen(cli) == [("local", "default")]
    head, _, row = cli.ok("env").text.splitlines()
    assert head.split() == ["name", "in", "use", "store", "where", "key", "defined", "in"]
    assert row.split("  ")[0] == "local"
    assert "yes, by default" in row and str(cli.database) in row and str(cli.key) in row and "built in" in row


def test_each_reason_beats_the_next(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """-e before DYNASTASH_ENV before the file's default before local."""
    (cli.cwd / "dynastash.toml").write_text(FILE)
    assert chosen(cli) == [("dev", "file")]
    assert f"yes, by default in {cli.cwd / 'dynastash.toml'}" in cli.ok("env").text
    monkeypatch.setenv("DYNASTASH_ENV", "prod")
    assert chosen(cli) == [("prod", "variable")]
    assert "yes, by DYNASTASH_ENV" in cli.ok("env").text
    assert chosen(cli, "-e", "home") == [("home", "option")]
    assert "yes, by -e" in cli.ok("env", "-e", "home").text
    assert chosen(cli, "-e", "elsewhere") == [("elsewhere", "option")]
    monkeypatch.delenv("DYNASTASH_ENV")
    (cli.cwd / "dynastash.toml").write_text("[env.dev]\n")
    assert chosen(cli) == [("local", "default")]


def test_what_is_chosen_is_what_is_used(cli: Cli) -> None:
    """The table's path is where a put goes."""
    (cli.cwd / "dynastash.toml").write_text(FILE)
    row = rows(cli)["home"]
    assert row["where"] == str(cli.cwd / "stash" / "home.db")
    assert str(row["where"]) in cli.ok("-e", "home", "put", "n", given=b"x").err


def test_settings_of_each(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the file has them; options and variables show in the chosen one only."""
    (cli.cwd / "dynastash.toml").write_text(FILE)
    found = rows(cli, "--region", "us-east-1")
    assert found["dev"]["region"] == "us-east-1"
    assert found["prod"]["region"] == "eu-central-1"
    assert (found["prod"]["table"], found["prod"]["key"]) == ("secrets", "alias/secrets")
    assert found["prod"]["trusted_keys"] == ["alias/old"]
    assert found["prod"]["defined_in"] == str(cli.cwd / "dynastash.toml")
    assert found["local"]["defined_in"] is None
    assert found["home"]["table"] is None
    monkeypatch.setenv("DYNASTASH_LOCAL_KEY", "x")
    assert rows(cli)["home"]["key"] == "DYNASTASH_LOCAL_KEY"
    monkeypatch.delenv("DYNASTASH_LOCAL_KEY")
    (cli.cwd / "dynastash.toml").write_text('[env.home]\nstore = "sqlite"\nkey = "keyring"\n[env.aws]\n')
    assert rows(cli)["home"]["key"] == "keyring"
    assert "(from AWS)" in cli.ok("env").text
