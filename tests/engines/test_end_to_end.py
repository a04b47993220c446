"""The main job as a user does it: deploy an environment, then put, get, rotate; by the CLI and by the library.

Everything runs against the stack that ``dynastash deploy`` made on an emulator, and the same on the embedded store.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dynastash
from dynastash.cli.app import run
from dynastash.errors import (
    ContextMismatchError,
    DynastashError,
    EnvelopeError,
    FormatError,
    IntegrityError,
    RollbackError,
    StoreNotFoundError,
)
from dynastash.generate import Password
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine

DOTENV = Path(__file__).with_name("example.env")


@dataclass(frozen=True)
class Place:
    """An environment as the command line and the library name it."""

    name: str
    variables: dict[str, str]


def command(place: Place, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "dynastash", "-e", place.name, *arguments],
        input=given,
        stdin=None if given is not None else subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **place.variables},
        timeout=120,
    )


@pytest.fixture(scope="module")
def deployed(ministack: Engine) -> Place:
    """An environment that the command itself deployed."""
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": ministack.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    place = Place("e2e", variables)
    done = command(place, "deploy", "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr.decode()
    return place


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The environment that needs nothing."""
    return Place("local", {"DYNASTASH_DATA": str(tmp_path_factory.mktemp("data") / "dynastash")})


@pytest.fixture(params=["embedded", "deployed"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """Each in turn, with its variables set for this process too."""
    found: Place = request.getfixturevalue(request.param)
    for name, text in found.variables.items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)
    yield found
    assert list(tmp_path.iterdir()) == []  # nothing is ever written where one happens to be


def dotenv_lines() -> list[bytes]:
    return DOTENV.read_bytes().split(b"\n")[:-1]


def test_thirty_lines_of_a_dotenv_file_by_the_command(place: Place, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Each line goes in through --file and comes out of stdout byte for byte; three also through real pipes."""
    lines = dotenv_lines()
    assert len(lines) == 30
    for number, line in enumerate(lines):
        name = f"dotenv/cli/{number:02d}"
        if number % 10 == 0:
            assert command(place, "put", name, given=line).returncode == 0
            got = command(place, "get", name)
            assert (got.returncode, got.stdout) == (0, line)
            continue
        file = Path(f"../line-{number}")
        file.write_bytes(line)
        try:
            assert run(["put", name, "--file", str(file), "-e", place.name]) == 0
        finally:
            file.unlink()
        capfdbinary.readouterr()
        assert run(["-e", place.name, "get", name]) == 0
        assert capfdbinary.readouterr().out == line
    assert run(["get", "--prefix", "dotenv/cli/", "-o", "json", "-e", place.name]) == 0
    found: dict[str, Any] = json.loads(capfdbinary.readouterr().out)
    assert [secret["value"].encode() for secret in found.values()] == lines


def test_thirty_lines_of_a_dotenv_file_by_the_library(place: Place) -> None:
    """The same bytes, alone and in bulk."""
    stash = dynastash.connect(place.name)
    lines = {f"dotenv/lib/{number:02d}": line for number, line in enumerate(dotenv_lines())}
    for name, line in lines.items():
        assert stash.put(name, line).number == 1
    again = dynastash.connect(place.name)
    assert {name: again.get(name).value for name in lines} == lines
    assert {name: secret.value for name, secret in again.get_many(prefix="dotenv/lib/").items()} == lines
    assert {name: secret.value for name, secret in again.get_many(lines).items()} == lines


def test_twenty_processes_put_one_name_at_once(place: Place) -> None:
    """20 distinct consecutive versions, and no error."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "dynastash", "put", "race/one", "-e", place.name, "-o", "json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **place.variables},
        )
        for _ in range(20)
    ]
    for number, process in enumerate(processes):  # all are up and wait for their value: now they race
        assert process.stdin is not None
        process.stdin.write(b"value of process %d" % number)
        process.stdin.close()
        process.stdin = None
    outcomes = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 20, outcomes
    numbers = {json.loads(out)["version"]: number for number, (out, _) in enumerate(outcomes)}
    assert sorted(numbers) == list(range(1, 21))
    stash = dynastash.connect(place.name)
    for version, number in numbers.items():
        assert stash.get("race/one", version=version).value == b"value of process %d" % number


def test_a_life_of_versions(place: Place, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """put, generate, rotate, rollback, history and list in one go, and what the machine reads of them."""

    def call(*arguments: str) -> Any:
        capfdbinary.readouterr()
        assert run([*arguments, "-e", place.name, "-o", "json"]) == 0, capfdbinary.readouterr().err
        return json.loads(capfdbinary.readouterr().out)

    assert call("generate", "life/token", "--length", "40")["version"] == 1
    assert call("rotate", "life/token", "--comment", "monthly")["version"] == 2
    first, second = (call("get", "life/token", "--version", number)["value"] for number in "12")
    assert (len(first), len(second), first != second) == (40, 40, True)
    assert call("get", "life/token", "--stage", "previous")["value"] == first
    assert call("rollback", "life/token")["version"] == 3
    assert call("get", "life/token")["value"] == first
    assert [version["version"] for version in call("history", "life/token")] == [3, 2, 1]
    assert [secret["name"] for secret in call("list", "life/")] == ["life/token"]
    assert run(["put", "life/token", "x", "--if-version", "1", "-e", place.name]) == 6


def test_a_rotation_by_a_program_that_fails_first(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The current version stays current; resumed with a program that works, the pending one takes over."""
    stash = dynastash.connect(place.name)
    stash.generate("rotated/db", Password())
    old = stash.get("rotated/db").text
    script = tmp_path_factory.mktemp("rotator") / "rotate"
    script.write_text('#!/bin/sh\ncat >/dev/null\n[ "$1" = set ] && exit 0\nexit 3\n')
    script.chmod(0o700)
    failed = command(place, "rotate", "rotated/db", "--", str(script))
    assert failed.returncode == 1
    assert b"--resume" in failed.stderr
    assert stash.get("rotated/db").text == old
    assert command(place, "put", "rotated/db", given=b"x").returncode == 6
    script.write_text("#!/bin/sh\ncat >/dev/null\n")
    assert command(place, "rotate", "rotated/db", "--resume", "--", str(script)).returncode == 0
    assert stash.get("rotated/db").text != old
    assert stash.get("rotated/db", stage="previous").text == old


class Table:
    """A table in the hands of somebody who may write it and has no key."""

    def __init__(self, engine: Engine, table: str) -> None:
        self.client = engine.client("dynamodb")
        self.table = table

    def read(self, name: str, record: str) -> dict[str, Any]:
        key = {"name": {"S": name}, "record": {"S": record}}
        found: dict[str, Any] = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)["Item"]
        return found

    def holds(self, name: str, record: str) -> bool:
        key = {"name": {"S": name}, "record": {"S": record}}
        return "Item" in self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)

    def write(self, item: dict[str, Any], **changes: dict[str, Any]) -> None:
        self.client.put_item(TableName=self.table, Item={**item, **changes})

    def delete(self, name: str, record: str) -> None:
        self.client.delete_item(TableName=self.table, Key={"name": {"S": name}, "record": {"S": record}})


@pytest.fixture
def hostile(deployed: Place, ministack: Engine, monkeypatch: pytest.MonkeyPatch) -> Table:
    """The deployed table from the other side."""
    for name, text in deployed.variables.items():
        monkeypatch.setenv(name, text)
    return Table(ministack, "dynastash-e2e")


def refused(name: str, *errors: type[DynastashError], **how: Any) -> None:
    """A client that has seen nothing before refuses ``name`` with one of ``errors``."""
    with pytest.raises(errors):
        dynastash.connect("e2e").get(name, **how)


def test_a_number_is_never_used_again(hostile: Table) -> None:
    """put × 3, then the newest destroyed by hand: not version 2 is served, and not version 3 written again."""
    stash = dynastash.connect("e2e")
    for value in ("one", "two", "three"):
        stash.put("reuse/n", value)
    hostile.delete("reuse/n", "v#0000000003")
    refused("reuse/n", IntegrityError)
    with pytest.raises(IntegrityError):
        dynastash.connect("e2e").put("reuse/n", "again")
    hostile.write({**hostile.read("reuse/n", "~head"), "last": {"N": "2"}, "current": {"N": "2"}})
    refused("reuse/n", IntegrityError)
    with pytest.raises(IntegrityError):
        dynastash.connect("e2e").put("reuse/n", "again")
    with pytest.raises(RollbackError):
        stash.get("reuse/n")


def test_a_record_copied_to_another_name_is_refused(hostile: Table) -> None:
    """Alone under the other name, relabelled for it, and with its head."""
    stash = dynastash.connect("e2e")
    stash.put("copy/admin", "admin")
    stash.put("copy/guest", "guest")
    admin = hostile.read("copy/admin", "v#0000000001")
    hostile.write(admin, name={"S": "copy/guest"})
    refused("copy/guest", ContextMismatchError, IntegrityError)
    hostile.write(hostile.read("copy/admin", "~head"), name={"S": "copy/guest"})
    refused("copy/guest", ContextMismatchError, IntegrityError)


def test_a_version_relabelled_or_replayed_is_refused(hostile: Table) -> None:
    """Version 1 in the place of version 2, and version 1 as a new version 3."""
    stash = dynastash.connect("e2e")
    stash.put("replay/n", "one")
    stash.put("replay/n", "two")
    one, two = hostile.read("replay/n", "v#0000000001"), hostile.read("replay/n", "v#0000000002")
    head = hostile.read("replay/n", "~head")
    hostile.write(one, record={"S": "v#0000000002"}, version={"N": "2"})
    refused("replay/n", ContextMismatchError, IntegrityError)
    hostile.write(one, record={"S": "v#0000000002"})
    refused("replay/n", FormatError)
    hostile.write(two)
    hostile.write(one, record={"S": "v#0000000003"}, version={"N": "3"})
    hostile.write(head, last={"N": "3"}, current={"N": "3"}, revision={"N": "3"})
    refused("replay/n", ContextMismatchError, IntegrityError)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("ciphertext", {"B": b"\x00" * 80}),
        ("mac", {"B": b"\x00" * 64}),
        ("salt", {"B": b"\x00" * 32}),
        ("nonce", {"B": b"\x00" * 12}),
        ("created_by", {"S": "arn:aws:iam::111122223333:user/somebody-else"}),
        ("comment", {"S": "nothing to see here"}),
        ("expires_at", {"N": "4102444800"}),
        ("context", {"M": {"team": {"S": "other"}}}),
        ("anything", {"S": "else"}),
    ],
)
def test_an_edited_record_is_refused(hostile: Table, attribute: str, value: dict[str, Any]) -> None:
    """Whatever is changed or added, nothing is returned."""
    name = f"edit/{attribute}"
    dynastash.connect("e2e").put(name, "value")
    item = hostile.read(name, "v#0000000001")
    hostile.write(item, **{attribute: value})
    refused(name, EnvelopeError, ContextMismatchError)
    hostile.write(item)
    if attribute != "anything":
        hostile.client.update_item(
            TableName=hostile.table,
            Key={"name": {"S": name}, "record": {"S": "v#0000000001"}},
            UpdateExpression="REMOVE #a",
            ExpressionAttributeNames={"#a": attribute},
        )
        if attribute in item:
            refused(name, EnvelopeError, ContextMismatchError)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("current", {"N": "1"}),
        ("last", {"N": "1"}),
        ("revision", {"N": "9"}),
        ("state", {"S": "deleted"}),
        ("tags", {"M": {"team": {"S": "other"}}}),
        ("disabled", {"NS": ["2"]}),
        ("seal", {"B": b"\x00" * 64}),
        ("rotation", {"M": {"policy": {"M": {"kind": {"S": "password"}}}}}),
    ],
)
def test_an_edited_head_is_refused(hostile: Table, attribute: str, value: dict[str, Any]) -> None:
    """On get, on put and on rotate alike: a head that was tampered with is not carried on."""
    name = f"head/{attribute}"
    stash = dynastash.connect("e2e")
    stash.put(name, "one")
    stash.put(name, "two")
    hostile.write(hostile.read(name, "~head"), **{attribute: value})
    refused(name, EnvelopeError)
    refused(name, EnvelopeError, version=2)
    with pytest.raises(EnvelopeError):
        dynastash.connect("e2e").put(name, "three")
    with pytest.raises(EnvelopeError):
        dynastash.connect("e2e").rotate(name, policy=Password())
    assert not hostile.holds(name, "v#0000000003")


def test_the_states_of_a_key_are_told_apart(ministack: Engine, deployed: Place) -> None:
    """A disabled key and one pending deletion: one line each, with the way out, and exit code 7."""
    place = Place("keyed", deployed.variables)
    assert command(place, "deploy", "--yes").returncode == 0
    assert command(place, "put", "n", given=b"value").returncode == 0
    kms = ministack.client("kms")
    key = kms.describe_key(KeyId="alias/dynastash-keyed")["KeyMetadata"]["Arn"]

    kms.disable_key(KeyId=key)
    refusal = command(place, "get", "n")
    assert (refusal.returncode, refusal.stdout) == (7, b"")
    assert b"disabled" in refusal.stderr
    assert b"enable-key" in refusal.stderr

    kms.enable_key(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    refusal = command(place, "get", "n")
    assert (refusal.returncode, refusal.stdout) == (7, b"")
    assert b"deletion" in refusal.stderr
    assert b"cancel-key-deletion" in refusal.stderr

    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert command(place, "get", "n").stdout == b"value"


def test_a_session_of_the_callers_is_used(deployed: Place, ministack: Engine) -> None:
    """connect(env, session=…) needs nothing from the environment's variables."""
    stash = dynastash.connect("e2e", session=ministack.session(), endpoint_url=ministack.endpoint_url)
    stash.put("session/n", "value")
    assert stash.get("session/n").text == "value"
    with pytest.raises(StoreNotFoundError):
        dynastash.connect("nowhere", session=ministack.session(), endpoint_url=ministack.endpoint_url).get("n")
