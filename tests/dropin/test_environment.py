"""The same words over an environment of dynastash: on this machine, and on AWS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import credstash as module
import dynastash
from dynastash.errors import ConfigError
from dynastash.models import Plaintext
from dynastash.stash.rotation import Rotation
from tests.dropin.kit import DropIn, Old, variables
from tests.engines.engine import Engine

FIRST, SECOND, THIRD = (f"{version:019}" for version in (1, 2, 3))


def test_the_life_of_a_secret(local: str, credstash: DropIn) -> None:
    """As over an old table; dynastash sees the same secret."""
    assert credstash.ok("put", "cred1", "value", "-c", "why").text == "cred1 has been stored\n"
    credstash.ok("put", "cred1", "value2", "-a")
    assert credstash.ok("get", "cred1").text == "value2\n"
    assert credstash.ok("get", "cred1", "-v", "1", "-n").text == "value"
    assert credstash.ok("get", "cred1", "-v", SECOND).text == "value2\n"
    assert credstash.ok("list").text == (
        f"cred1 -- version {FIRST} -- comment why\ncred1 -- version {SECOND} -- comment \n"
    )
    assert credstash.ok("keys").text == "cred1\n"
    assert dynastash.connect("local").get("cred1").text == "value2"
    assert credstash.ok("delete", "cred1").text == "".join(
        f"Deleting cred1 -- version {version}\n" for version in (FIRST, SECOND)
    )
    assert credstash("get", "cred1").code == credstash("get", "cred1", "-v", "1").code == 1
    assert credstash.ok("list").text == ""
    assert credstash.ok("getall").text == "{}\n"
    assert credstash("delete", "cred1").code == 1


def test_versions_are_the_environments(local: str, credstash: DropIn) -> None:
    """-v N stores only behind version N - 1; nothing is overwritten, left out or used twice."""
    credstash.ok("put", "a", "one")
    for version in ("1", "0"):
        done = credstash("put", "a", "x", "-v", version)
        assert done.code == 1
        assert "has version 0000000000000000001 already. Use the -v flag" in done.err
    done = credstash("put", "a", "x", "-v", "7")
    assert (done.code, done.err.splitlines()[0]) == (1, "a is at version 1, and version 6 was expected")
    credstash.ok("put", "a", "two", "-v", "2")
    assert module.getHighestVersion("a", table=local) == SECOND
    assert module.getHighestVersion("b", table=local) == 0
    for version in ("rel-7", "-1", "²", "9" * 20):
        assert credstash("put", "a", "x", f"--version={version}").code == 1
        assert credstash("get", "a", f"--version={version}").code == 1
    assert credstash.ok("putall", '{"b": "x"}').err == ""
    assert credstash.ok("get", "b", "-v", "1").text == "x\n"


def test_what_was_deleted_can_be_had_back_until_it_is_put_anew(local: str, credstash: DropIn) -> None:
    """And then the old versions are gone for good, and their numbers used."""
    credstash.ok("put", "a", "one")
    done = credstash.ok("delete", "a")
    assert done.err == "hidden, not erased: `dynastash -e local undelete a` has it back\n"
    stash = dynastash.connect("local")
    stash.undelete("a")
    assert credstash.ok("get", "a").text == "one\n"
    credstash.ok("delete", "a")
    credstash.ok("put", "a", "two")
    assert credstash.ok("get", "a").text == "two\n"
    assert [one["version"] for one in module.listSecrets(table=local)] == [SECOND]
    assert credstash("get", "a", "-v", "1").code == 1
    credstash.ok("put", "a", "three", "-a")
    credstash.ok("delete", "a")
    assert credstash("put", "a", "x", "-v", "4").code == 1
    stash.undelete("a")  # what was refused has destroyed nothing
    assert credstash.ok("get", "a").text == "three\n"
    credstash.ok("delete", "a")
    credstash.ok("put", "a", "four", "-a")
    assert stash.get("a").number == 4


def test_one_version_is_deleted(local: str, credstash: DropIn) -> None:
    """Not the current one, without which there is no value."""
    for value in ("one", "two"):
        credstash.ok("put", "a", value, "-a")
    done = credstash.ok("delete", "a", "-v", "1")
    assert done.text == f"Deleting a -- version {FIRST}\n"
    assert "`dynastash -e local undelete a --version 1`" in done.err
    assert [one["version"] for one in module.listSecrets(table=local)] == [SECOND]
    assert credstash("delete", "a", "-v", "1").code == 1
    assert credstash("delete", "a", "-v", "2").code == 1
    assert credstash.ok("get", "a").text == "two\n"


def test_contexts_are_kept_with_the_versions(local: str, credstash: DropIn) -> None:
    """So they need not be given; one that is given must be right."""
    credstash.ok("put", "a", "x", "env=prod")
    credstash.ok("put", "b", "y")
    assert credstash.ok("get", "a").text == credstash.ok("get", "a", "env=prod").text == "x\n"
    assert json.loads(credstash.ok("getall").out) == {"a": "x", "b": "y"}
    done = credstash("get", "a", "env=dev")
    assert (done.code, done.out) == (1, b"")
    assert done.err.startswith("KMS ERROR: a was not stored with the encryption context that was given\n")
    done = credstash("getall", "env=prod")
    assert (done.code, done.out) == (1, b"")
    assert "  b: KMS ERROR: b was not stored" in done.err


def test_all_of_a_version(local: str, credstash: DropIn) -> None:
    """All or nothing here too."""
    credstash.ok("put", "a", "one")
    credstash.ok("put", "a", "two", "-a")
    assert json.loads(credstash.ok("getall", "-v", "1").out) == {"a": "one"}
    credstash.ok("put", "b", "one")
    done = credstash("getall", "-v", "2")
    assert (done.code, done.out) == (1, b"")
    assert "1 of 2 secrets could not be had" in done.err
    assert credstash("getall", "-v", "x").code == 1
    assert json.loads(credstash.ok("get", "a*", "-v", "2").out) == {"a": "two"}


class Refused:
    """A rotator whose target system takes nothing."""

    def create(self, rotation: Rotation) -> Plaintext:
        return Plaintext(b"new")

    def set(self, rotation: Rotation) -> None:
        raise dynastash.RotationError("refused", step="set")

    def test(self, rotation: Rotation) -> None:
        raise NotImplementedError


def test_what_is_pending_is_not_there_yet(local: str, credstash: DropIn) -> None:
    """The version of a rotation that has not finished is neither listed nor the newest."""
    credstash.ok("put", "a", "one")
    stash = dynastash.connect("local")

    with pytest.raises(dynastash.RotationError):
        stash.rotate("a", Refused())
    assert [version.number for version in stash.history("a")] == [1, 2]
    assert [one["version"] for one in module.listSecrets(table=local)] == [FIRST]
    assert module.getHighestVersion("a", table=local) == FIRST
    done = credstash("put", "a", "two", "-a")
    assert (done.code, "a rotation of a is pending" in done.err) == (1, True)
    done = credstash("put", "a", "two", "-v", "2")
    assert (done.code, "a rotation of a is pending" in done.err) == (1, True)
    stash.abort("a")
    assert [one["version"] for one in module.listSecrets(table=local)] == [FIRST]
    done = credstash.ok("put", "a", "two", "-v", "2")
    assert done.err == "a: as version 3\n"
    assert [one["version"] for one in module.listSecrets(table=local)] == [FIRST, SECOND, THIRD]


def test_names_outside_the_alphabet(local: str, credstash: DropIn) -> None:
    """Are not there, and are refused with what is allowed."""
    assert credstash("get", "a b").err.startswith("Item {'name': 'a b'} couldn't be found.\nhint: an environment of")
    assert credstash("delete", "a b").code == 1
    assert module.getHighestVersion("a b", table=local) == 0
    done = credstash("put", "a b", "x")
    assert (done.code, "'a b' is not a name for a secret" in done.err) == (1, True)


def test_a_key_of_its_own(local: str, credstash: DropIn) -> None:
    """An environment has one; credstash's default may be named."""
    credstash.ok("put", "a", "x", "-k", "alias/credstash", "-d", "SHA512")
    done = credstash("put", "a", "x", "-a", "-k", "alias/other")
    assert done.err.startswith("the environment local has a key of its own, and 'alias/other' cannot be another\n")
    with pytest.raises(ConfigError, match="has a key of its own"):
        module.putSecret("a", "x", kms_key="alias/other", table=local)


def test_errors_of_the_library(local: str) -> None:
    """The three exceptions, and a ClientError where a version is there."""
    module.putSecret("a", "x", table=local)
    with pytest.raises(module.ItemNotFound):
        module.getSecret("b", table=local)
    with pytest.raises(module.ItemNotFound):
        module.getSecret("a", "2", table=local)
    with pytest.raises(ClientError) as caught:
        module.putSecret("a", "y", table=local)
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert module.putSecretAutoversion("a", b"\xff", table=local)["Version"] == SECOND
    assert module.getSecret("a", table=local) == b"\xff"
    assert module.getAllSecrets(credential="a", table=local) == {"a": b"\xff"}


@pytest.fixture
def prod(ministack: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment on AWS, defined in a file."""
    for name, value in variables(ministack, home).items():
        monkeypatch.setenv(name, value)
    Path("dynastash.toml").write_text(
        f'[env.prod]\ntable = "{ministack.create_table()}"\nkey = "{ministack.create_key()}"\n'
        'credstash = "credential-store"\n'
    )
    return "prod"


@pytest.mark.engine
def test_an_environment_on_aws(prod: str, credstash: DropIn, ministack: Engine) -> None:
    """By its name, by its table's, and in the place of the old table that it succeeds: for programs that name none."""
    credstash.ok("-t", prod, "put", "a", "x", "env=prod")
    assert credstash.ok("get", "a").text == "x\n"
    assert module.getSecret("a") == "x"
    assert module.getSecret("a", "", None, "credential-store", context={"env": "prod"}) == "x"
    table = Path("dynastash.toml").read_text().split('"')[1]
    assert credstash.ok("-t", table, "get", "a").text == "x\n"
    session = ministack.session()
    assert module.getAllSecrets(table=prod, session=session) == {"a": "x"}
    clients = {"dynamodb": ministack.client("dynamodb"), "kms": ministack.client("kms")}
    assert module.getSecret("a", table=prod, **clients) == "x"


@pytest.mark.engine
def test_an_environment_that_is_not_defined_is_found_where_there_is_no_table(
    old: Old, credstash: DropIn, ministack: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what DynamoDB says of the table; for every verb."""
    monkeypatch.setenv("DYNASTASH_TABLE", ministack.create_table())
    monkeypatch.setenv("DYNASTASH_KEY", ministack.create_key())
    name = f"e{old.name[4:]}"
    at = ("-t", name)
    assert credstash.ok(*at, "list").out == b""
    credstash.ok(*at, "put", "a", "x")
    credstash.ok(*at, "put", "a", "y", "-a")
    assert credstash.ok(*at, "get", "a").text == "y\n"
    assert json.loads(credstash.ok(*at, "getall").out) == {"a": "y"}
    assert credstash.ok(*at, "keys").text == "a\n"
    assert module.getHighestVersion("a", table=name) == SECOND
    credstash.ok(*at, "delete", "a")
    assert old.items() == []
    assert credstash("-t", f"credstash:{name}", "list").code == 1  # the table that was meant, and no other
    assert credstash("-t", f"dynastash-{name}", "list").code == 0


@pytest.mark.engine
def test_a_table_of_dynastashs_is_not_taken_for_an_old_one(credstash: DropIn, prod: str, ministack: Engine) -> None:
    """Nor an old one for an environment's."""
    credstash.ok("-t", prod, "put", "a", "x")
    table = Path("dynastash.toml").read_text().split('"')[1]
    for verb in (["get", "a"], ["list"], ["getall"], ["delete", "a"], ["put", "a", "y"]):
        done = credstash("-t", f"credstash:{table}", *verb)
        assert (done.code, done.out) == (1, b"")
    old = Old(ministack)
    old.add("a", FIRST, b"x")
    done = credstash("-t", "environment:prod", "get", "a", env={"DYNASTASH_TABLE": old.name})
    assert (done.code, "is not a dynastash table" in done.err) == (1, True)
