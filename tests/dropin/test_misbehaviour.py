"""What credstash 1.17.1 does wrong, row by row as it was reproduced, and what the drop-in does instead."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.dropin.kit import ROOT, DropIn, Old, dropin_command, variables
from tests.engines.engine import Engine

SEALED = ("key", "contents", "hmac", "digest", "dynastash")
FIRST, SECOND = (f"{version:019}" for version in (1, 2))


def sealed(old: Old, name: str, version: str = FIRST) -> dict[str, object]:
    """The sealed part of an item, with its binding."""
    (found,) = [one for one in old.items() if (one["name"]["S"], one["version"]["S"]) == (name, version)]
    return {key: found[key] for key in SEALED}


def fails(done: object, *said: str) -> None:
    """Exit code 1, nothing on standard output, and a few lines that say these things, none of them a traceback."""
    code, out, err = done.code, done.out, done.err  # type: ignore[attr-defined]
    assert (code, out) == (1, b""), err
    assert "Traceback" not in err
    assert "%s" not in err
    for text in said:
        assert text in err


@pytest.mark.engine
def test_one_secrets_item_over_anothers_is_refused(old: Old, credstash: DropIn) -> None:
    """Copied, and swapped. credstash: accepted."""
    credstash.ok("put", "admin_pw", "root")
    credstash.ok("put", "guest_pw", "guest")
    admin, guest = sealed(old, "admin_pw"), sealed(old, "guest_pw")
    old.rewrite("guest_pw", FIRST, **admin)
    fails(credstash("get", "guest_pw"), "INTEGRITY ERROR: version", "bound to another name")
    old.rewrite("admin_pw", FIRST, **guest)
    fails(credstash("get", "admin_pw"), "bound to another name")
    fails(credstash("getall"), "admin_pw", "guest_pw")


@pytest.mark.engine
def test_an_old_version_as_a_new_one_is_refused(old: Old, credstash: DropIn) -> None:
    """In the place of version 2, and as a version 3 that never was. credstash: a silent rollback."""
    credstash.ok("put", "a", "one")
    credstash.ok("put", "a", "two", "-a")
    first = sealed(old, "a")
    old.put({"name": {"S": "a"}, "version": {"S": f"{3:019}"}, **first})
    fails(credstash("get", "a"), "version 0000000000000000003 of a", "bound to another")
    old.rewrite("a", SECOND, **first)
    fails(credstash("get", "a", "-v", "2"), "bound to another")
    assert credstash.ok("get", "a", "-v", "1").text == "one\n"


@pytest.mark.engine
def test_a_binding_that_was_taken_away_is_missed_where_it_is_required(old: Old, credstash: DropIn) -> None:
    """Old items have none, so by default it may be missing; a team whose items all have one says so."""
    credstash.ok("put", "a", "one")
    assert credstash("get", "a", env={"CREDSTASH_REQUIRE_BINDING": "1"}).text == "one\n"
    old.rewrite("a", FIRST, dynastash=None)
    assert credstash.ok("get", "a").text == "one\n"
    fails(credstash("get", "a", env={"CREDSTASH_REQUIRE_BINDING": "1"}), "not bound to its name and version")
    fails(credstash("get", "a", env={"CREDSTASH_REQUIRE_BINDING": "yes"}), "neither 0 nor 1")


@pytest.mark.engine
def test_a_foreign_version_that_sorts_last_is_not_served_and_can_go(old: Old, credstash: DropIn) -> None:
    """credstash serves it, put -a fails for ever, and one version cannot be deleted."""
    credstash.ok("put", "a", "mine")
    old.put({"name": {"S": "a"}, "version": {"S": "~"}, **sealed(old, "a")})
    fails(credstash("get", "a"), "version ~ of a")
    fails(credstash("put", "a", "next", "-a"), "the latest version of a is '~', which no number follows")
    assert credstash.ok("delete", "a", "-v", "~").text == "Deleting a -- version ~\n"
    credstash.ok("put", "a", "next", "-a")
    assert credstash.ok("get", "a").text == "next\n"


@pytest.mark.engine
def test_an_item_under_a_strangers_key_is_refused(moto: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """credstash asks KMS to open it with whatever key it names. Keys of one's own are named, or all of them."""
    for name, value in variables(moto, home).items():
        monkeypatch.setenv(name, value)
    old, credstash = Old(moto), DropIn(home)
    credstash.ok("-t", old.name, "put", "a", "mine")
    old.key = moto.create_key()
    old.add("a", SECOND, b"theirs")
    get = ("-t", old.name, "get", "a")
    fails(credstash(*get), "KMS ERROR", "alias/credstash")  # the engine has another word for it than AWS
    assert credstash(*get, env={"CREDSTASH_TRUSTED_KEYS": f"{old.key}, alias/credstash"}).text == "theirs\n"
    assert credstash(*get, env={"CREDSTASH_TRUSTED_KEYS": "*"}).text == "theirs\n"


@pytest.mark.engine
@pytest.mark.parametrize("attribute", ["contents", "hmac", "digest"])
def test_a_changed_item_is_refused_in_plain_words(old: Old, credstash: DropIn, attribute: str) -> None:
    """credstash says "Computed HMAC on %s does not match"."""
    credstash.ok("put", "a", "made-up")
    text = sealed(old, "a")[attribute]["S"]  # type: ignore[index]
    if attribute == "digest":
        changed = "SHA512"
    elif attribute == "hmac":
        changed = f"{int(text[0], 16) ^ 1:x}{text[1:]}"
    else:
        changed = f"{'B' if text[0] != 'B' else 'C'}{text[1:]}"
    old.rewrite("a", FIRST, **{attribute: {"S": changed}})
    fails(credstash("get", "a"), "INTEGRITY ERROR: version 0000000000000000001 of a: the contents fail authentication")


@pytest.mark.engine
def test_a_changed_key_is_not_blamed_on_the_context_alone(
    moto: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """credstash names the encryption context as the one cause."""
    for name, value in variables(moto, home).items():
        monkeypatch.setenv(name, value)
    old, credstash = Old(moto), DropIn(home)
    credstash.ok("-t", old.name, "put", "a", "mine")
    text = sealed(old, "a")["key"]["S"]  # type: ignore[index]
    old.rewrite("a", FIRST, key={"S": f"{text[:-8]}{'A' if text[-8] != 'A' else 'B'}{text[-7:]}"})
    fails(credstash("-t", old.name, "get", "a"), "it was put with another context, or altered")


@pytest.mark.engine
def test_getall_ends_whatever_is_in_the_table(old: Old, credstash: DropIn) -> None:
    """A corrupt item, another context, an old digest, a foreign item, a version that one name lacks: credstash waits
    for ever. Here every one is named, nothing is printed, and the exit code says so."""
    credstash.ok("put", "good", "x")
    credstash.ok("put", "context", "x", "env=prod")
    credstash.ok("put", "corrupt", "x")
    old.rewrite("corrupt", FIRST, hmac={"S": "00" * 32})
    old.add("digest", FIRST, b"x", digest={"S": "WHIRLPOOL"})
    old.put({"name": {"S": "foreign"}, "version": {"S": FIRST}})
    done = credstash("getall")
    fails(done, "4 of 5 secrets could not be had", "nothing was returned")
    for name in ("context", "corrupt", "digest", "foreign"):
        assert f"\n  {name}: version {FIRST} of {name}" in done.err or f"\n  {name}: " in done.err
    assert "good:" not in done.err
    assert json.loads(credstash.ok("get", "goo*").out) == {"good": "x"}
    credstash.ok("put", "good", "y", "-a")
    fails(credstash("get", "*", "-v", "2"), "corrupt has no version 2")


@pytest.mark.engine
def test_parallel_writers_all_get_a_version(old: Old) -> None:
    """20 at once: credstash stores two and fails 18."""
    import credstash

    credstash.putSecret("a", "first", version="1", table=old.name)
    made: list[str] = []

    def put() -> None:
        made.append(credstash.putSecretAutoversion("a", "next", table=old.name)["Version"])

    threads = [threading.Thread(target=put) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [f"{number:019}" for number in range(2, 22)]


@pytest.mark.engine
def test_a_version_that_is_there_says_what_to_do(old: Old, credstash: DropIn) -> None:
    """credstash prints AWS's own text; its message is dead code."""
    credstash.ok("put", "a", "one")
    credstash.ok("put", "a", "two", "-v", "3")
    fails(credstash("put", "a", "three"), "has version 0000000000000000003 already", "Use the -v flag")
    assert "ConditionalCheckFailed" not in credstash("put", "a", "three").err
    assert credstash.ok("get", "a", "-v", "1").text == "one\n"


@pytest.mark.engine
def test_no_version_is_used_twice(old: Old, credstash: DropIn) -> None:
    """After delete, credstash's put -a begins with 1 again."""
    for value in ("one", "two"):
        credstash.ok("put", "a", value, "-a")
    before = {one["version"]["S"] for one in old.items()}
    credstash.ok("delete", "a")
    credstash.ok("put", "a", "three", "-a")
    assert not before & {one["version"]["S"] for one in old.items()}
    credstash.ok("put", "b", "one")
    credstash.ok("put", "b", "two", "-a")
    credstash.ok("delete", "b", "-v", "2")
    credstash.ok("put", "b", "three", "-a")
    assert [one["version"]["S"] for one in old.items() if one["name"]["S"] == "b"] == [FIRST, f"{3:019}"]


@pytest.mark.engine
def test_one_version_is_deleted_and_a_missing_one_is_told(old: Old, credstash: DropIn) -> None:
    """credstash has no delete -v, and says nothing of a name that is not there."""
    credstash.ok("put", "a", "one")
    credstash.ok("put", "a", "two", "-a")
    assert credstash.ok("delete", "a", "--version", "2").text == f"Deleting a -- version {SECOND}\n"
    assert credstash.ok("get", "a").text == "one\n"
    fails(credstash("delete", "a", "-v", "2"), "Item {'name': 'a', 'version': '2'} couldn't be found.")
    fails(credstash("delete", "b"), "Item {'name': 'b'} couldn't be found.", "nothing was deleted")


@pytest.mark.engine
def test_versions_that_are_no_numbers_or_not_padded(old: Old, credstash: DropIn) -> None:
    """credstash: invalid literal for int(); not found; a new version that is never served."""
    credstash.ok("put", "a", "word", "-v", "rel-7")
    assert credstash.ok("get", "a", "-v", "rel-7").text == "word\n"
    old.add("b", "9", b"nine")
    old.add("b", "10", b"ten")
    assert credstash.ok("get", "b").text == "nine\n"
    assert credstash.ok("get", "b", "-v", "9").text == "nine\n"
    assert credstash.ok("get", "b", "-v", "10").text == "ten\n"
    fails(credstash("put", "b", "eleven", "-a"), "would not become its latest")
    credstash.ok("put", "c", "last", "-v", "9" * 19)
    fails(credstash("put", "c", "later", "-a"), "would not become its latest")
    assert credstash.ok("get", "c").text == "last\n"


@pytest.mark.engine
def test_putall_looks_first_and_reports_all(old: Old, credstash: DropIn) -> None:
    """credstash: errors, exit code 0, and the comment is lost."""
    credstash.ok("put", "b", "there", "-v", "0")
    done = credstash("putall", '{"a": "x", "b": "y", "c": "z"}', "-c", "why")
    assert (done.code, done.text) == (1, "a has been stored\nc has been stored\n")
    assert "1 of 3 secrets have not been stored:\n  b: b version 0 cannot be stored" in done.err
    assert {one["name"]["S"]: one.get("comment") for one in old.items()} == {
        "a": {"S": "why"},
        "b": None,
        "c": {"S": "why"},
    }
    fails(credstash("putall", '{"d": "x", "e": 5}'), "the value of e is not text", "nothing was stored")
    fails(credstash("putall", '{"d": "x", "d": "y"}'), "d is there twice", "nothing was stored")
    for document in ("[]", "nonsense", '{"a": ', "[" * 100_000):
        fails(credstash("putall", document), "what putall was given is no")
    assert len(old.items()) == 3


@pytest.mark.engine
def test_bytes_stay_bytes(old: Old, credstash: DropIn) -> None:
    """A binary file and a binary pipe, line ends as they are. credstash: errors, and LF for CRLF."""
    binary = bytes(range(256)) + b"\r\n"
    Path("binary").write_bytes(binary)
    credstash.ok("put", "file", "@binary")
    credstash.ok("put", "pipe", "-", given=binary)
    assert credstash.ok("get", "file", "-n").out == credstash.ok("get", "pipe", "-n").out == binary
    credstash.ok("put", "word", "caf\udce9")  # a byte that is no text here, as Python has it of the command line
    assert credstash.ok("get", "word", "-n").out == b"caf\xe9"
    Path("lines").write_bytes(b"one\r\ntwo\r\n")
    credstash.ok("put", "lines", "@lines")
    assert credstash.ok("get", "lines", "-n").out == b"one\r\ntwo\r\n"
    fails(credstash("getall"), "3 of 4 secrets cannot be written as json", "the value is binary")
    assert b"!!binary" in credstash.ok("getall", "-f", "yaml").out


@pytest.mark.engine
def test_a_value_that_is_too_large_is_told(old: Old, credstash: DropIn) -> None:
    """Some 300 kB fit; above that credstash shows a ValidationException."""
    Path("most").write_bytes(b"x" * 290_000)
    credstash.ok("put", "a", "@most")
    assert len(credstash.ok("get", "a", "-n").out) == 290_000
    Path("more").write_bytes(b"x" * 310_000)
    fails(credstash("put", "b", "@more"), "of b would take 413746 bytes", "about 300,000 bytes of a value")


@pytest.mark.engine
def test_a_value_may_look_like_anything(old: Old, credstash: DropIn) -> None:
    """A leading @ or -, which credstash cannot take."""
    credstash.ok("put", "a", "--literal", "@handle")
    assert credstash.ok("get", "a").text == "@handle\n"
    credstash.ok("put", "b", "--", "-hunter2")
    assert credstash.ok("get", "b").text == "-hunter2\n"
    credstash.ok("put", "c", "--literal", "-", given=b"not this")
    assert credstash.ok("get", "c").text == "-\n"
    for words in (["-hunter2"], ["--hunter2"], ["x", "hunter2"]):
        done = credstash("put", "d", *words)
        assert done.code == 2
        assert "hunter2" not in done.err + done.text


@pytest.mark.engine
def test_a_context_stands_anywhere(old: Old, credstash: DropIn) -> None:
    """credstash takes one in front of the options only."""
    credstash.ok("put", "a", "x", "-v", "2", "env=prod")
    assert credstash.ok("get", "a", "-v", "2", "env=prod").text == "x\n"
    assert credstash.ok("get", "-n", "a", "env=prod", "-v", "2").text == "x"
    credstash.ok("put", "-a", "a", "y", "-c", "why", "env=prod")
    assert json.loads(credstash.ok("getall", "-f", "json", "env=prod").out) == {"a": "y"}
    assert credstash.ok("get", "a", "env=prod", "-t", old.name, "--region", "eu-west-1").text == "y\n"


@pytest.mark.engine
def test_a_prompt_leaves_the_context_a_context(old: Old, credstash: DropIn, home: Path) -> None:
    """credstash takes the first pair for the value and stores with no context at all."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'dropin'}"}
    with Terminal([*dropin_command(), "put", "-P", "a", "env=prod"], env, Path.cwd()) as terminal:
        terminal.expect(b"a: ")
        terminal.type(b"typed\r")
        code, seen = terminal.finish()
    assert (code, b"typed" in seen) == (0, False), seen
    assert credstash.ok("get", "a", "env=prod").text == "typed\n"
    fails(credstash("get", "a"), "another context")


@pytest.mark.engine
def test_a_star_is_the_only_wildcard(old: Old, credstash: DropIn) -> None:
    """credstash makes a regular expression of it."""
    for name in ("a.b1", "axb1", "[c", "d*e", "dxe"):
        credstash.ok("put", name, "x")
    assert json.loads(credstash.ok("get", "a.b*").out) == {"a.b1": "x"}
    assert json.loads(credstash.ok("get", "[*").out) == {"[c": "x"}
    assert set(json.loads(credstash.ok("get", "d*e").out)) == {"d*e", "dxe"}
    assert credstash.ok("get", "--literal", "d*e").text == "x\n"


@pytest.mark.engine
def test_dotenv_quotes_what_has_quotes(old: Old, credstash: DropIn) -> None:
    """What it cannot quote for all its readers is refused. credstash: A='it's'."""
    credstash.ok("put", "a", "it's")
    assert credstash.ok("getall", "-f", "dotenv").text == 'A="it\'s"\n\n'
    credstash.ok("put", "b", "it's $HOME")
    fails(credstash("getall", "-f", "dotenv"), "1 of 2 secrets cannot be written as dotenv", "  b: ")


@pytest.mark.engine
def test_a_comment_steers_no_terminal(old: Old, credstash: DropIn) -> None:
    """Nor does a name; and no locale ends the list half-way."""
    credstash.ok("put", "a", "x", "-c", "\x1b[2Jone\nb -- version 1 -- comment two")
    credstash.ok("put", "é\n", "x")
    for command in ("list", "keys"):
        out = credstash.ok(command).text
        assert out.count("\n") == 2
        assert out.replace("\n", "").isprintable()
        assert credstash(command, encoding="ascii").code == 0
    assert "comment \\x1b[2Jone\\nb -- version 1" in credstash.ok("list").text


def test_bad_surroundings_are_told_in_a_line(local: str, credstash: DropIn, home: Path) -> None:
    """An unknown profile, a bad ~/.credstash, a bad level, a table without a name. credstash: tracebacks."""
    fails(credstash("-t", "t", "-p", "nobody", "get", "a"), "nobody")
    assert credstash("--log-level", "loud", "list").code == 2
    (home / ".credstash").write_text("nonsense")
    fails(credstash("get", "a"), "~/.credstash is not of the form")
    (home / ".credstash").unlink()
    fails(credstash("-t", "credstash:", "list"), "'credstash:' names no table")
    assert credstash("-p", "a", "-n", "arn", "list").code == 2
    assert credstash("frobnicate").code == 2


@pytest.fixture
def loaded(local: str, credstash: DropIn) -> None:
    """Every module that putting and getting takes: nobody may not be allowed where Python keeps them."""
    credstash.ok("put", "warm", "x", "-a")
    assert credstash("get", "b").code == 1


def test_a_working_directory_that_cannot_be_written_is_no_matter(
    loaded: None, credstash: DropIn, unprivileged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is written where it can be: credstash leaves credstash.log everywhere."""
    cwd = unprivileged / "cwd"
    cwd.mkdir()
    monkeypatch.setenv("DYNASTASH_DATA", str(unprivileged / "data"))
    monkeypatch.setenv("HOME", str(unprivileged))
    monkeypatch.chdir(cwd)
    for mode in (0o700, 0o500):
        cwd.chmod(mode)
        assert credstash("put", "a", "x", "-a").code == 0
        assert credstash("get", "b").code == 1
        assert list(cwd.iterdir()) == []


def test_a_log_file_is_written_for_who_asks(local: str, credstash: DropIn) -> None:
    """A line for each error, for its owner's eyes, and none of it from others' hands."""
    credstash("--log-file", "log", "get", "no\x1b[2Jsuch")
    credstash("--log-file", "log", "--log-level", "critical", "get", "b")
    (line,) = Path("log").read_text().splitlines()
    assert " ERROR Item {'name': 'no\\x1b[2Jsuch'} couldn't be found." in line
    assert stat.S_IMODE(Path("log").stat().st_mode) == 0o600
    done = credstash("--log-file", "no/such/log", "get", "b")
    assert (done.code, "couldn't be found" in done.err) == (1, True)
    assert done.err.endswith("the log file cannot be written: No such file or directory\n")


@pytest.mark.engine
def test_the_library_takes_numbers_and_bytes_and_ends_nothing(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    """credstash: TypeError, AttributeError, a print and sys.exit."""
    import credstash

    credstash.putSecret("a", b"\x00\xff", 0, table=old.name)
    assert credstash.getSecret("a", 0, table=old.name) == b"\x00\xff"
    assert credstash.putSecretAutoversion("a", "next", table=old.name)["Version"] == FIRST
    with pytest.raises(credstash.KmsError, match="KMS ERROR: KMS key alias/none in eu-west-1 does not exist"):
        credstash.putSecretAutoversion("a", "more", "alias/none", table=old.name)
    credstash.deleteSecrets("a", table=old.name)
    assert capsys.readouterr() == ("", "")


@pytest.mark.engine
def test_names_of_any_letters_and_empty_values(old: Old, credstash: DropIn) -> None:
    """These work in credstash too, and go on working."""
    credstash.ok("put", "名前/é", "")
    assert credstash.ok("get", "名前/é").text == "\n"
    assert json.loads(credstash.ok("getall").out) == {"名前/é": ""}


@pytest.mark.engine
def test_a_newest_version_that_is_gone_is_missed_in_an_environment(
    ministack: Engine, old: Old, credstash: DropIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a row that somebody deletes an old table tells nothing, and credstash serves the older value; an environment
    tells it."""
    table = ministack.create_table()
    monkeypatch.setenv("DYNASTASH_TABLE", table)
    monkeypatch.setenv("DYNASTASH_KEY", ministack.create_key())
    at = ("-t", "environment:prod")
    credstash.ok(*at, "put", "a", "one")
    credstash.ok(*at, "put", "a", "two", "-a")
    client = ministack.client("dynamodb")
    (newest,) = [one for one in client.scan(TableName=table)["Items"] if one["record"]["S"].endswith("2")]
    client.delete_item(TableName=table, Key={"name": newest["name"], "record": newest["record"]})
    fails(credstash(*at, "get", "a"), "INTEGRITY ERROR: the records of a do not fit together")
