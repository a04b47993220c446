"""The same black-box checks on the drop-in and on credstash itself: the checks are right, and so is what differs.

Where credstash is not installed (``make old-clients``), the drop-in alone is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credstash.clients import credstash as real_calls
from tests.credstash.clients import require_credstash
from tests.dropin.kit import DropIn, Old, Process, Program, variables

FIRST, SECOND = (f"{version:019}" for version in (1, 2))


@pytest.fixture(params=["dropin", "real"])
def program(request: pytest.FixtureRequest, old: Old, home: Path) -> Iterator[Program]:
    """One after the other, on a table of its own."""
    cwd = home.parent / "cwd"
    if request.param == "dropin":
        yield DropIn(cwd)
    else:
        command = [str(require_credstash().with_name("credstash"))]
        env = {**variables(old.engine, home), "CREDSTASH_DEFAULT_TABLE": old.name}
        yield Process(command, env, cwd, real=True)


@pytest.mark.engine
def test_what_is_the_same(program: Program, old: Old, home: Path) -> None:
    """Commands, outputs and exit codes that scripts rely on."""
    expected: list[tuple[list[str], int, str]] = [
        (["put", "cred1", "value"], 0, "cred1 has been stored\n"),
        (["put", "-a", "cred1", "it is 2"], 0, "cred1 has been stored\n"),
        (["get", "-n", "cred1"], 0, "it is 2"),
        (["get", "-v", "1", "cred1"], 0, "value\n"),
        (["put", "-c", "why", "b", "é", "env=prod"], 0, "b has been stored\n"),
        (["get", "b", "env=prod"], 0, "é\n"),
        (["get", "b"], 1, ""),
        (["get", "none"], 1, ""),
        (["get", "b", "a=b=c"], 2, ""),
        (["list"], 0, f"b     -- version {FIRST} -- comment why\ncred1 -- version {FIRST} -- comment \n"
         f"cred1 -- version {SECOND} -- comment \n"),
        (["keys"], 0, "b\ncred1\n"),
        (["get", "-f", "csv", "cred*"], 0, "cred1,it is 2\n"),
        (["get", "c*"], 0, '{\n    "cred1": "it is 2"\n}'),
        (["get", "x*"], 0, "{}"),
        (["delete", "b"], 0, f"Deleting b -- version {FIRST}\n"),
        (["getall"], 0, '{\n    "cred1": "it is 2"\n}\n'),
        (["getall", "-f", "dotenv"], 0, "CRED1='it is 2'\n\n"),
        (["put", "cred1", "again"], 1, ""),
        (["frobnicate"], 2, ""),
        (["putall", '{"p": "q"}'], 0, "p has been stored\n"),
    ]  # fmt: skip
    for words, code, out in expected:
        done = program(*words)
        assert (words, done.code, done.text) == (words, code, out), done.err
    assert "Item {'name': 'none'} couldn't be found." in program("get", "none").err
    assert old.items()[-1]["version"]["S"] == "0" * 19


@pytest.mark.engine
def test_what_is_known_to_differ(program: Program, old: Old, home: Path) -> None:
    """Each line is one of the reference's rows: credstash's behaviour on the left, the drop-in's on the right."""
    Path("lines").write_bytes(b"one\r\n")
    program("put", "crlf", "@lines")
    program("put", "axb1", "x")
    program("put", "a.b1", "x")
    old.add("unpadded", "9", b"nine")
    rows = {
        "CRLF becomes LF": (program("get", "-n", "crlf").out, b"one\n", b"one\r\n"),
        "a wildcard is a regular expression": (program("get", "a.b*").text, None, '{\n    "a.b1": "x"\n}'),
        "9 is not found": (program("get", "unpadded", "-v", "9").code, 1, 0),
        "a context behind an option": (program("get", "crlf", "-v", "1", "k=v").code, 2, 1),
        "deleting nothing": (program("delete", "nothing").code, 0, 1),
        "deleting a version": (program("delete", "axb1", "-v", "1").code, 2, 0),
        "putall of a number": (program("putall", '{"n": 5}').code, None, 1),
        "putall of what is there": (program("putall", '{"axb1": "y", "crlf": "z"}', "-v", "1").code, 0, 1),
        "a binary pipe": (program("put", "binary", "-", given=b"\xff").code, None, 0),
        "a log file": (Path("credstash.log").exists(), True, False),
    }
    for row, (found, real, ours) in rows.items():
        if program.real:
            assert found != ours, row
            assert real is None or found == real, row
        else:
            assert found == ours, row


@pytest.mark.engine
def test_each_reads_what_the_other_writes(old: Old, home: Path) -> None:
    """Values, contexts, versions and digests, both ways; in the library."""
    import credstash as module

    sealed = {"context": {"env": "prod"}, "table": old.name}
    results = real_calls(
        old.engine,
        [
            ("putSecret", {"name": "theirs", "secret": "é\n", "version": "3", "comment": "why", **sealed}),
            ("putSecret", {"name": "md5", "secret": "x", "version": "1", "digest": "MD5", "table": old.name}),
        ],
    )
    assert [error for _, error in results] == [None, None]
    assert module.getSecret("theirs", **sealed) == "é\n"
    assert module.getSecret("md5", table=old.name) == "x"
    module.putSecret("ours", "ü", "1", comment="because", digest="SHA512", **sealed)
    module.putSecretAutoversion("theirs", "next", **sealed)
    (got, _), (listed, _), (newest, _), (highest, _) = real_calls(
        old.engine,
        [
            ("getSecret", {"name": "ours", **sealed}),
            ("listSecrets", {"table": old.name}),
            ("getSecret", {"name": "theirs", **sealed}),
            ("getHighestVersion", {"name": "theirs", "table": old.name}),
        ],
    )
    assert (got, newest, highest) == ("ü", "next", f"{4:019}")
    assert sorted(map(json.dumps, listed)) == sorted(json.dumps(one) for one in _in_their_order(old, listed))
    assert module.getHighestVersion("theirs", table=old.name) == highest


def _in_their_order(old: Old, listed: list[dict[str, str]]) -> list[dict[str, str]]:
    """What our listSecrets says, each with its keys in the order that theirs has."""
    import credstash as module

    ours = {(one["name"], one["version"]): one for one in module.listSecrets(table=old.name)}
    assert len(ours) == len(listed)
    return [{key: ours[one["name"], one["version"]][key] for key in one} for one in listed]
