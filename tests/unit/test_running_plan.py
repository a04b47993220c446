"""From options and files to secrets by variable: the rule for names, collisions, and who is named in errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.dotenv import NAME
from dynastash.errors import (
    ConfigError,
    InvalidArgumentError,
    InvalidReferenceError,
    PartialError,
    SecretNotFoundError,
)
from dynastash.running.plan import collect, request
from dynastash.running.variables import check_variable, variable_of
from tests.unit.stash_kit import World

Written = Callable[[str], str]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for name in ("app1/db/password", "app1/db-1/user", "app1/9lives", "app2/token"):
        world.stash.put(name, f"value of {name}")
    world.stash.put("json", '{"user": "ada"}')
    return world


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(text: str) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.env"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("name", "prefix", "variable"),
    [
        ("app1/db/password", "app1/", "DB_PASSWORD"),
        ("app1/db/password", "app1", "DB_PASSWORD"),
        ("app1/db/password", "", "APP1_DB_PASSWORD"),
        ("app1/db/password", "app1/db/pass", "WORD"),
        ("App-1.x@y+z=a:b", "", "APP_1_X_Y_Z_A_B"),
        ("app1/9lives", "app1/", "_9LIVES"),
        ("app1/_x", "app1/", "_X"),
        ("app1/git/token", "app1/", "GIT_TOKEN"),
        ("app1/aws/secret-access-key", "app1/", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_which_variable_a_secret_becomes(name: str, prefix: str, variable: str) -> None:
    assert variable_of(name, prefix) == check_variable(variable) == variable


STEERING = ("path", "ld/preload", "LD_LIBRARY_PATH", "bash-env", "pythonpath", "node/options", "git/ssh-command")
STEERING += ("dynastash/local/key", "env", "ifs", "perl5opt", "classpath")


@pytest.mark.parametrize("name", STEERING)
def test_a_name_steers_no_other_program(name: str) -> None:
    """Who writes a secret under a prefix chooses its variable, and must not choose what code runs."""
    with pytest.raises(InvalidArgumentError, match=f"app/{name} would be the variable .*, which steers other programs"):
        variable_of(f"app/{name}", "app/")


@pytest.mark.parametrize("variable", ["", "1A", "A-B", "A B", "Ä", "A=", "A\n", "A.B"])
def test_what_is_no_variable(variable: str) -> None:
    with pytest.raises(InvalidArgumentError):
        check_variable(variable)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.@+=:-]{0,8}(/[A-Za-z0-9_@+=:-]{1,8}){0,2}", fullmatch=True), st.data())
def test_every_name_becomes_a_variable_or_is_refused(name: str, data: st.DataObject) -> None:
    prefix = name[: data.draw(st.integers(0, len(name)))]
    try:
        assert NAME.fullmatch(variable_of(name, prefix))
    except InvalidArgumentError as error:
        assert name in str(error)


def test_everything_together(world: World, written: Written) -> None:
    """Prefixes, secrets by name, versions, fields, and files, of which the later one wins."""
    world.stash.put("app1/db/password", "second")
    first = written("PLAIN=one\nBOTH=dynastash://nobody\nUSER_NAME=dynastash://json#user\n")
    later = written("BOTH=two\nOTHER='dynastash://app2/token'\n")
    asked = request(
        ["app1/"], [("OLD", "app1/db/password@1"), ("OLD", "dynastash://app1/db/password@1")], [first, later]
    )
    found = collect(world.fresh(), asked)
    assert {each.variable: (each.secret.text, each.label, each.path) for each in found} == {
        "DB_1_USER": ("value of app1/db-1/user", "app1/db-1/user", "db-1/user"),
        "DB_PASSWORD": ("second", "app1/db/password", "db/password"),
        "OLD": ("value of app1/db/password", "app1/db/password@1", "OLD"),
        "OTHER": ("value of app2/token", "app2/token", "OTHER"),
        "USER_NAME": ("ada", "json#user", "USER_NAME"),
        "_9LIVES": ("value of app1/9lives", "app1/9lives", "9lives"),
    }
    assert [each.variable for each in found] == sorted(each.variable for each in found)
    assert asked.plain == {"PLAIN": "one", "BOTH": "two"}
    assert "BOTH': 'two" not in repr(asked) and "value of" not in repr(found)


def test_keep_prefix(world: World) -> None:
    """Whole names; overlapping prefixes then mean the same variables, and that is no collision."""
    found = collect(world.stash, request(["app1/", "app1/db"], [], [], keep_prefix=True))
    assert [each.variable for each in found] == ["APP1_9LIVES", "APP1_DB_1_USER", "APP1_DB_PASSWORD"]
    assert found[0].path == "app1/9lives"


@pytest.mark.parametrize(
    ("prefixes", "secrets", "text", "message"),
    [
        (["app1/", "app1/db/"], [("PASSWORD", "json#user")], "", "json#user and app1/db/password would both"),
        (["app1/"], [("DB_PASSWORD", "app2/token")], "", "app2/token and app1/db/password would both be the variable"),
        (["app1/"], [], "DB_PASSWORD=x", "app1/db/password would be the variable DB_PASSWORD, which an --env-file"),
        ([], [("A", "json"), ("A", "json#user")], "", "A was asked for twice: json and json#user"),
        ([], [("A", "json")], "A=x", "A is in an --env-file, and --secret names it too"),
        ([], [("A", "json")], "A=dynastash://json", r"A is in .*\.env, line 1, and --secret names it too"),
        ([], [], "A=postgres://u:dynastash://json#user@h/", r"\.env, line 1: A has dynastash:// in the middle"),
        ([], [], "A=b\nB", r"\.env, line 2: there is no NAME=value"),
        (["app1/db/password"], [], "", "nothing of app1/db/password is left for a variable's name"),
    ],
)  # fmt: skip
def test_what_would_be_ambiguous_is_refused(
    world: World, written: Written, prefixes: list[str], secrets: list[tuple[str, str]], text: str, message: str
) -> None:
    """Both sides are named."""
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        collect(world.stash, request(prefixes, secrets, [written(text)] if text else []))
    assert caught.value.hint


def test_whole_names_are_advised_only_where_they_part_what_shares_a_variable(world: World) -> None:
    world.stash.put("app1/db-password", "x")
    world.stash.put("app2/db/password", "x")
    for prefixes, secrets, keep, advised in (
        (["app1/"], [], False, False),
        (["app1/"], [], True, False),
        (["app1/db/", "app2/db/"], [], False, True),
        (["app1/db/"], [("PASSWORD", "app1/db/password#user")], False, True),
    ):
        world.stash.put("app1/db/password", '{"user": "x"}')
        with pytest.raises(InvalidArgumentError, match="would both be the variable") as caught:
            collect(world.stash, request(prefixes, secrets, [], keep_prefix=keep))
        assert ("--keep-prefix" in str(caught.value.hint)) == advised, prefixes


def test_references_are_refused_with_their_place(written: Written) -> None:
    path = written("A=x\nB=dynastash://n@0\n")
    with pytest.raises(InvalidReferenceError, match=r"\.env, line 2: 'dynastash://n@0' is not a reference"):
        request([], [], [path])
    with pytest.raises(InvalidReferenceError, match="--secret A: 'a b' is not a name"):
        request([], [("A", "a b")], [])
    with pytest.raises(InvalidReferenceError, match=r"line 1: 'DYNASTASH://n'"):
        request([], [], [written("A=DYNASTASH://n\n")])


def test_a_file_that_cannot_be_read(tmp_path: Path, written: Written) -> None:
    """And one that is no text: nothing of it is shown."""
    (tmp_path / "binary").write_bytes(b"A=hunter2\xff")
    for path, message in (
        (tmp_path / "nobody", "No such file"),
        (tmp_path, "Is a dir"),
        (tmp_path / "binary", "UTF-8"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            request([], [], [str(path)])
        assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__.args)


def test_every_failure_is_named(world: World) -> None:
    """Of references and under prefixes alike, a prefix that nothing starts with among them."""
    for name in ("bad/1", "bad/2", "bad/3"):
        world.stash.put(name, "x")
    world.edit("bad/1", "~head", comment={"S": "x"})
    world.edit("bad/3", "~head", comment={"S": "x"})
    asked = request(["bad/", "nobody/"], [("A", "json#pass"), ("B", "json#user"), ("C", "gone")], [])
    with pytest.raises(PartialError, match="5 secrets could not be had: ") as caught:
        collect(world.fresh(), asked)
    assert set(caught.value.failures) == {"bad/1", "bad/3", "nobody/*", "json#pass", "gone"}
    with pytest.raises(SecretNotFoundError):
        collect(world.fresh(), request([], [("C", "gone")], []))
    with pytest.raises(PartialError, match="1 secret could not be had: nobody/") as caught:
        collect(world.fresh(), request(["nobody/"], [], []))
    assert "dynastash list" in (caught.value.hint or "")


def test_deleted_secrets_are_not_under_a_prefix(world: World) -> None:
    """As in listings; named, they fail."""
    world.stash.delete("app1/9lives")
    assert "_9LIVES" not in {each.variable for each in collect(world.fresh(), request(["app1/"], [], []))}
    with pytest.raises(Exception, match="app1/9lives is deleted"):
        collect(world.fresh(), request([], [("A", "app1/9lives")], []))
