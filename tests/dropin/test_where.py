"""What a name means: decided by the configuration, and never by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from credstash.where import Meaning, meaning
from dynastash.config import Configuration, load
from dynastash.errors import ConfigError, DynastashError

TOML = """
[env.prod]
[env.named]
table = "secrets"
[env.heir]
table = "heirs"
credstash = "credential-store"
[env.local]
store = "sqlite"
"""


@pytest.fixture
def configured(tmp_path: Path) -> Configuration:
    """Environments with a table of the usual name, of another, and in an old table's place."""
    (tmp_path / "dynastash.toml").write_text(TOML)
    return load(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("prod", Meaning(environment="prod")),
        ("dynastash-prod", Meaning(environment="prod")),
        ("secrets", Meaning(environment="named")),
        ("named", Meaning(environment="named")),
        ("credential-store", Meaning(environment="heir")),
        ("local", Meaning(environment="local")),
        ("dynastash-other", Meaning(environment="other")),
        ("other", Meaning(table="other", environment="other")),
        ("Other_Table", Meaning(table="Other_Table")),
        ("dynastash-Other", Meaning(table="dynastash-Other")),
        ("credstash:prod", Meaning(table="prod")),
        ("credstash:credential-store", Meaning(table="credential-store")),
        ("environment:other", Meaning(environment="other")),
        ("arn:aws:dynamodb:eu-west-1:1:table/t", Meaning(table="arn:aws:dynamodb:eu-west-1:1:table/t")),
    ],
)  # fmt: skip
def test_what_a_name_means(configured: Configuration, name: str, expected: Meaning) -> None:
    """The table of the rule in docs/reference/credstash-dropin.md."""
    assert meaning(name, configured) == expected


def test_without_a_configuration() -> None:
    """Old tables, and behind them environments that a deploy made; what is on this machine is asked for by name."""
    nothing = Configuration(None, "local", {})
    assert meaning("credential-store", nothing) == Meaning(table="credential-store", environment="credential-store")
    assert meaning("local", nothing) == Meaning(table="local")
    assert meaning("environment:local", nothing) == Meaning(environment="local")


@pytest.mark.parametrize("name", ["", "credstash:", "environment:", "environment:No", "environment:a/b"])
def test_names_that_mean_nothing(configured: Configuration, name: str) -> None:
    """Told, and with what to do."""
    with pytest.raises(DynastashError) as caught:
        meaning(name, configured)
    assert caught.value.hint


def test_a_name_that_two_environments_claim(tmp_path: Path) -> None:
    """Is refused: nobody chooses for the user."""
    (tmp_path / "dynastash.toml").write_text('[env.a]\ncredstash = "old"\n[env.b]\ncredstash = "old"\n')
    with pytest.raises(ConfigError, match="old may be any of the environments a, b") as caught:
        meaning("old", load(tmp_path, {}))
    assert caught.value.hint == "write environment:a, or credstash:old for an old table"
