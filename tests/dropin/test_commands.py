"""credstash's commands and options over an old table, as its own command tests and its help have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dropin.kit import DropIn, Old, ensure_alias


@pytest.mark.engine
def test_the_life_of_a_secret(old: Old, credstash: DropIn) -> None:
    """put, get, put -a, get, get -v 1, delete."""
    assert credstash.ok("put", "cred1", "value").text == "cred1 has been stored\n"
    assert credstash.ok("get", "cred1").text == "value\n"
    credstash.ok("put", "cred1", "value2", "-a")
    assert credstash.ok("get", "cred1").text == "value2\n"
    assert credstash.ok("get", "cred1", "-v", "1").text == "value\n"
    expected = [f"Deleting cred1 -- version {version:019}\n" for version in (1, 2)]
    assert credstash.ok("delete", "cred1").text == "".join(expected)
    assert old.items() == []


@pytest.mark.engine
def test_the_life_of_a_secret_whose_key_is_elsewhere(old: Old, credstash: DropIn) -> None:
    """--region and --kms-region in front of the verb."""
    ensure_alias(old.engine, "us-east-1")
    where = ["--region", "eu-west-1", "--kms-region", "us-east-1"]
    credstash.ok(*where, "put", "cred2", "value")
    assert credstash.ok(*where, "get", "cred2").text == "value\n"
    credstash.ok(*where, "put", "cred2", "value2", "-a")
    assert credstash.ok(*where, "get", "cred2").text == "value2\n"
    assert credstash.ok(*where, "get", "cred2", "-v", "1").text == "value\n"
    credstash.ok(*where, "delete", "cred2")


@pytest.mark.engine
def test_list_and_keys(old: Old, credstash: DropIn) -> None:
    """Sorted by name and version, the names of one width."""
    assert credstash.ok("list").out == credstash.ok("keys").out == b""
    credstash.ok("put", "bb", "x", "-c", "why so")
    credstash.ok("put", "a", "x")
    credstash.ok("put", "a", "y", "-a")
    assert credstash.ok("list").text == (
        "a  -- version 0000000000000000001 -- comment \n"
        "a  -- version 0000000000000000002 -- comment \n"
        "bb -- version 0000000000000000001 -- comment why so\n"
    )
    assert credstash.ok("keys").text == "a\nbb\n"


@pytest.mark.engine
def test_getall_and_its_formats(old: Old, credstash: DropIn) -> None:
    """The newest of each; sorted; a map and a newline."""
    assert credstash.ok("getall").text == "{}\n"
    credstash.ok("put", "b", "é")
    credstash.ok("put", "a", "old")
    credstash.ok("put", "a", "new", "-a")
    assert credstash.ok("getall").text == '{\n    "a": "new",\n    "b": "\\u00e9"\n}\n'
    assert credstash.ok("getall", "-f", "csv").text == "a,new\nb,é\n\n"
    assert credstash.ok("getall", "-f", "dotenv").text == "A='new'\nB='é'\n\n"
    assert credstash.ok("getall", "--format=yaml").text == 'a: new\nb: "\\xE9"\n\n'
    assert json.loads(credstash.ok("getall", "-v", "1").out) == {"a": "old", "b": "é"}
    assert credstash("getall", "-f", "xml").code == 2


@pytest.mark.engine
def test_wildcards(old: Old, credstash: DropIn) -> None:
    """A map without a final newline; a name that fits none is an empty one."""
    for name in ("app1/a", "app1/b", "app2/a"):
        credstash.ok("put", name, name.upper())
    assert credstash.ok("get", "app1/*").text == '{\n    "app1/a": "APP1/A",\n    "app1/b": "APP1/B"\n}'
    assert credstash.ok("get", "*a", "-f", "csv").text == "app1/a,APP1/A\napp2/a,APP2/A\n"
    done = credstash("get", "no*")
    assert (done.code, done.out, done.err) == (0, b"{}", "no name fits no*\n")


@pytest.mark.engine
def test_values(old: Old, credstash: DropIn, home: Path) -> None:
    """From a word, a file below the home too, standard input whole; a word that is missing is an empty value."""
    (home / "value").write_text("of a file\n")
    credstash.ok("put", "a", "@~/value")
    assert credstash.ok("get", "a", "-n").text == "of a file\n"
    credstash.ok("put", "b", "-", given=b"piped\n")
    assert credstash.ok("get", "--noline", "b").text == "piped\n"
    assert credstash.ok("get", "b").text == "piped\n\n"
    done = credstash.ok("put", "c")
    assert done.err == "warning: the value is empty\n"
    assert credstash.ok("get", "c").out == b"\n"
    done = credstash("put", "d", "@no-such-file")
    assert done.code == 2
    assert "the file behind @ cannot be read: No such file or directory" in done.err


@pytest.mark.engine
def test_contexts(old: Old, credstash: DropIn) -> None:
    """What an item was put with has to be given again, and it is in the words, each with one =."""
    credstash.ok("put", "a", "x", "env=prod", "app=web")
    assert credstash.ok("get", "a", "app=web", "env=prod").text == "x\n"
    for words in (["a"], ["a", "env=prod"], ["a", "env=dev", "app=web"]):
        done = credstash("get", *words)
        assert (done.code, done.out) == (1, b"")
        assert done.err.startswith("KMS ERROR: the key of version 0000000000000000001 of a does not open")
    for word in ("env", "=prod", "env=", "a=b=c", "env==prod"):
        done = credstash("get", "a", word)
        assert done.code == 2
        assert done.err.endswith(f"""error: {word!r} is not the form of "key=value"\n""")


@pytest.mark.engine
def test_versions_digests_and_comments(old: Old, credstash: DropIn) -> None:
    """-v of any form, -d of each kind, -c."""
    credstash.ok("put", "a", "seven", "-v", "7", "-d", "SHA512", "-c", "why")
    credstash.ok("put", "a", "word", "-v", "rel-7")
    assert [one["version"]["S"] for one in old.items()] == ["0000000000000000007", "00000000000000rel-7"]
    assert (old.items()[0]["digest"], old.items()[0]["comment"]) == ({"S": "SHA512"}, {"S": "why"})
    assert credstash.ok("get", "a", "-v", "0000000000000000007").text == "seven\n"
    assert credstash.ok("get", "a").text == "word\n"
    for digest in ("SHA", "SHA224", "SHA256", "SHA384", "MD5"):
        credstash.ok("put", digest, "x", "-d", digest)
        assert credstash.ok("get", digest).text == "x\n"
    assert credstash("put", "b", "x", "-d", "WHIRLPOOL").code == 2


@pytest.mark.engine
def test_putall(old: Old, credstash: DropIn, home: Path) -> None:
    """A line each; version 0 unless told otherwise; a file or standard input too."""
    assert credstash.ok("putall", '{"a": "x", "b": "y"}').text == "a has been stored\nb has been stored\n"
    assert {one["version"]["S"] for one in old.items()} == {"0" * 19}
    Path("all.json").write_text('{"a": "file"}')
    credstash.ok("putall", "@all.json", "-a")
    credstash.ok("putall", "-", "-v", "5", given=b'{"a": "pipe"}')
    assert json.loads(credstash.ok("getall").out) == {"a": "pipe", "b": "y"}
    assert credstash.ok("get", "a", "-v", "1").text == "file\n"


@pytest.mark.engine
def test_what_is_not_there(old: Old, credstash: DropIn) -> None:
    """In the words that scripts look for."""
    done = credstash("get", "a")
    assert (done.code, done.out, done.err) == (1, b"", "Item {'name': 'a'} couldn't be found.\n")
    credstash.ok("put", "a", "x")
    done = credstash("get", "a", "-v", "2")
    assert (done.code, done.err) == (1, "Item {'name': 'a', 'version': '2'} couldn't be found.\n")


@pytest.mark.engine
def test_setup(old: Old, credstash: DropIn, home: Path) -> None:
    """A new table with its tags; one that is there is left alone; the Region of the key is kept."""
    table = f"{old.name}-new"
    done = credstash.ok("-t", table, "setup", "--save-kms-region", "us-west-2", "--tags", "team=a", "cost=b")
    assert done.text.splitlines()[0] == "KMS region set to us-west-2"
    assert done.text.splitlines()[-1].startswith("Table has been created. ")
    assert json.loads((home / ".credstash").read_text()) == {"kms-region": "us-west-2"}
    client = old.engine.client("dynamodb")
    described = client.describe_table(TableName=table)["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in described["KeySchema"]] == [
        ("name", "HASH"),
        ("version", "RANGE"),
    ]
    tags = client.list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"Name": "credstash", "team": "a", "cost": "b"}
    assert credstash.ok("-t", table, "setup").text.endswith("Credential Store table already exists\n")
    assert credstash("-t", table, "setup", "team=a").code == 2
    ensure_alias(old.engine, "us-west-2")
    credstash.ok("-t", table, "put", "a", "x")
    assert credstash("-t", table, "--kms-region", "eu-west-1", "get", "a").code == 1
    assert credstash.ok("-t", table, "get", "a").text == "x\n"


@pytest.mark.engine
def test_a_key_of_ones_own(old: Old, credstash: DropIn) -> None:
    """-k, with a word on what reading takes."""
    old.key = old.engine.create_key()
    done = credstash.ok("put", "a", "x", "-k", old.key)
    warning = f"warning: `get` does not trust {old.key}; set CREDSTASH_TRUSTED_KEYS=alias/credstash,{old.key}\n"
    assert done.err == warning
    assert credstash.ok("putall", '{"b": "x"}', "--key", old.key).err == warning
    done = credstash("put", "c", "x", "-k", old.key, env={"CREDSTASH_TRUSTED_KEYS": f"{old.key},alias/credstash"})
    assert (done.code, done.err) == (0, "")
    assert credstash("put", "d", "x", "-k", old.key, env={"CREDSTASH_TRUSTED_KEYS": "*"}).err == ""
    assert credstash.ok("put", "e", "x", "-k", "alias/credstash").err == ""
    assert credstash("get", "a", env={"CREDSTASH_TRUSTED_KEYS": old.key}).text == "x\n"
