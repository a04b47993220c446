"""References on the command line: versions, stages and fields in `get`."""

from __future__ import annotations

import json

import pytest

from tests.cli.runner import Cli


@pytest.fixture
def stocked(cli: Cli) -> Cli:
    cli.ok("put", "db", given=b'{"user": "old", "port": 1}')
    cli.ok("put", "db", given=b'{"user": "ada", "port": 5432, "tls": {"on": true}, "none": null}')
    cli.ok("put", "team@2", given=b"two")
    cli.ok("put", "plain", given=b"hunter2")
    return cli


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["db#user"], "ada"),
        (["dynastash://db#user"], "ada"),
        (["db@1#user"], "old"),
        (["db@previous#user"], "old"),
        (["db#port"], "5432"),
        (["db#/tls/on"], "true"),
        (["db", "--field", "/tls/on"], "true"),
        (["db@1", "--field", "user"], "old"),
        (["db#user", "--version", "1"], "old"),
        (["db#user", "--stage", "previous"], "old"),
        (["db#user", "--min-version", "2"], "ada"),
        (["team@2@current"], "two"),
        (["team@2@1"], "two"),
    ],
    ids=" ".join,
)
def test_what_get_prints(stocked: Cli, arguments: list[str], expected: str) -> None:
    assert stocked.ok("get", *arguments).text == expected


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["db#pass"], 3, "error: version 2 of db has no field pass\n"),
        (["db#none"], 3, "error: field none of version 2 of db is null, which has no text\n"),
        (["db#/tls"], 3, "error: field /tls of version 2 of db is an object, which has no text\n"),
        (["plain#user"], 3, "error: the value of version 1 of plain is not JSON and has no fields\n"),
        (["db@3"], 3, "error: db has no version 3\n"),
        (["team@2"], 3, "error: there is no secret team\n"),
        (["db@0"], 2, "error: 'db@0' is not a reference: 0 is not a version number\n"),
        (["db#"], 2, "error: 'db#' is not a reference: '' is not a field\n"),
        (["db#user", "--field", "user"], 2, "error: the field was given twice: behind # and by --field\n"),
        (["db@1", "--version", "1"], 2, "error: the version was given twice: "),
        (["db", "plain", "--field", "user", "-o", "json"], 2, "error: --version, --stage, "),
        (["Dynastash://db"], 2, "error: 'Dynastash://db' is not a reference\nhint: the scheme is written dynastash://"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else None,
)
def test_what_get_refuses(stocked: Cli, arguments: list[str], code: int, message: str) -> None:
    """With an exit code of the table, and without a word of the value."""
    done = stocked("get", *arguments)
    assert (done.code, done.out) == (code, b"")
    assert done.err.startswith(message)
    assert "hunter2" not in done.err and "5432" not in done.err


def test_a_name_that_ends_like_a_version_is_told_how_it_is_named(stocked: Cli) -> None:
    """`team@2` is version 2 of `team`; where there is no such secret, the advice says how the other is meant."""
    assert "hint: a secret of the name team@2 is written team@2@current" in stocked("get", "team@2").err


def test_several_references_are_told_apart(stocked: Cli) -> None:
    """By what was asked for."""
    found = json.loads(stocked.ok("get", "db#user", "db@1#user", "team@2@current", "-o", "json").text)
    assert {reference: (secret["name"], secret["version"], secret["value"]) for reference, secret in found.items()} == {
        "db#user": ("db", 2, "ada"),
        "db@1#user": ("db", 1, "old"),
        "team@2@current": ("team@2", 1, "two"),
    }
    done = stocked("get", "db#user", "db#pass", "nobody", "-o", "json")
    assert (done.code, done.out) == (8, b"")
    assert "db#pass: version 2 of db has no field pass" in done.err and "nobody: there is no secret" in done.err
