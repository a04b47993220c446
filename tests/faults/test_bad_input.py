"""Bad input, by name, against every operation of the stash: errors of ours, never a wrong value, nothing destroyed."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynastash.crypto import records
from dynastash.errors import (
    ConflictError,
    DynastashError,
    FormatError,
    InvalidNameError,
    PartialError,
    RotationError,
    SecretNotFoundError,
    StoreAccessDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreUnavailableError,
    UnsupportedFormatError,
    UntrustedKeyError,
    ValueTooLargeError,
)
from dynastash.generate import Password
from dynastash.keys.kms import KmsKeys
from dynastash.keys.local import LocalKeys
from dynastash.models import DataKey
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash.api import Stash
from dynastash.stores.base import RecordKey, Store
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.stores.itemjson import decode_item, encode_item
from dynastash.testing.fakes import FakeClock
from tests.engines.engine import Engine
from tests.faults.crasher import TracedSQLite
from tests.faults.embedded import KEY, Embedded, client, open_store
from tests.faults.operations import OPERATIONS
from tests.faults.site import ENVIRONMENT, TRANSACTION, Site, state_of

EVERY = frozenset(text.encode() for text in ("new", "other 1", "other 2", *(f"multi {n}" for n in range(2, 6))))
READS = [name for name in OPERATIONS if name.startswith(("get", "list", "history", "verify", "export", "prune dry"))]
WRITES = [name for name in OPERATIONS if name not in READS]
UNOPENED = ("list", "list by prefix", "history", "verify structure", "export sealed")
"""What opens no value."""


def outcome(operation: str, stash: Stash, backup: bytes) -> object:
    """The result, or the error of ours; any other exception is a failure of the test."""
    try:
        return OPERATIONS[operation].run(stash, SimpleNamespace(backup=backup))  # type: ignore[arg-type]
    except DynastashError as error:
        assert str(error) and "\n" not in str(error) and not str(error).endswith(".")
        assert not any(value.decode() in f"{error}{error.hint}" for value in EVERY if value != b"new")
        return error


def causes(error: object) -> list[object]:
    """What an error that stands for others came of, and itself."""
    if isinstance(error, PartialError):
        return [error, *error.failures.values()]
    return [error, error.__cause__] if isinstance(error, RotationError) else [error]


# Hostile names

HOSTILE_NAMES = (
    ["../x", "a/../b", "a/./b", "..", ".", "/a", "a/", "a//b", "", " ", "a b", "-", "~head", "-a", "#a", "a*", "é"]
    + [f"a{chr(code)}b" for code in (*range(32), 127, 0x85, 0x2028)]
    + ["a\n", "a\u202eb", "x" * 10_240, "x/" * 5_000 + "x", "a\ud800"]
)  # fmt: skip


class Tripwire:
    """A store that nobody may ask."""

    description = "nowhere"
    transaction_size = 3

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the store was asked: {name}")


NAMED: Mapping[str, Callable[[Stash, str], object]] = {
    "put": lambda stash, name: stash.put(name, "x"),
    "generate": lambda stash, name: stash.generate(name, Password()),
    "get": lambda stash, name: stash.get(name),
    "get version": lambda stash, name: stash.get(name, version=1),
    "get many": lambda stash, name: stash.get_many([name]),
    "history": lambda stash, name: stash.history(name),
    "rotate": lambda stash, name: stash.rotate(name),
    "resume": lambda stash, name: stash.resume(name, GenerateRotator(Password())),
    "abort": lambda stash, name: stash.abort(name),
    "rollback": lambda stash, name: stash.rollback(name),
    "delete": lambda stash, name: stash.delete(name),
    "undelete": lambda stash, name: stash.undelete(name),
    "destroy": lambda stash, name: stash.destroy(name),
    "prune": lambda stash, name: stash.prune(name, keep=1),
    "rewrap": lambda stash, name: list(stash.rewrap(name)),
    "policy": lambda stash, name: stash.policy(name),
    "diff": lambda stash, name: stash.diff(name, 1, 2),
}


@pytest.mark.parametrize("operation", NAMED)
def test_hostile_names(operation: str) -> None:
    """``../``, control characters, 10 kB and more: refused before store and key are asked, in one short line."""
    stash = Stash(ENVIRONMENT, Tripwire(), LocalKeys(KEY), identity=lambda: "x", clock=FakeClock())  # type: ignore[arg-type]
    for name in HOSTILE_NAMES:
        with pytest.raises(InvalidNameError) as caught:
            NAMED[operation](stash, name)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 700
        assert caught.value.hint


# Hostile values

HOSTILE_VALUES = {
    "nothing": b"",
    "a zero byte": b"\0",
    "every byte": bytes(range(256)) * 3,
    "line ends": b"\r\n\n\r",
    "not UTF-8": b"\xff\xfe\x80",
    "terminal escapes": b"\x1b]0;x\x07\x1b[31m",
    "looks like a record": b'{"name":{"S":"n"},"record":{"S":"~head"}}',
    "looks like SQL": b"'); DROP TABLE records; --",
    "looks like padding": b"\0" * 64,
    "the largest": b"x" * 327_680,
}


@pytest.mark.parametrize("value", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES)
@pytest.mark.parametrize("where", ["sqlite", pytest.param("dynamodb", marks=pytest.mark.engine)])
def test_hostile_values(value: bytes, where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Come out as they went in; no representation shows them."""
    if where == "sqlite":
        stash = client(open_store(tmp_path / "private" / "prod.db"))
    else:
        engine: Engine = request.getfixturevalue("ministack")
        stash = Stash(ENVIRONMENT, engine.store(), engine.keys(), identity=lambda: "x", clock=FakeClock())
    stash.put("n", value)
    secret = stash.get("n")
    assert secret.value == value
    assert stash.get_many(["n"])["n"].value == value
    assert len(value) < 10 or str(value)[2:-1] not in repr(secret)
    assert not [finding for checked in stash.verify() for finding in checked.findings]


def test_hostile_values_that_are_refused(tmp_path: Path) -> None:
    """One byte too many, and text that is none: told without the value; and nothing is written."""
    stash = client(open_store(tmp_path / "private" / "prod.db"))
    with pytest.raises(ValueTooLargeError, match="the value is too large"):
        stash.put("n", b"s" * 327_681)
    with pytest.raises(DynastashError) as caught:
        stash.put("n", "hunter\ud8002")
    assert "hunter" not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"
    assert stash.list() == []


# A table of another schema, and credstash's

SCHEMAS: Mapping[str, list[tuple[str, str, str]]] = {
    "credstash": [("name", "HASH", "S"), ("version", "RANGE", "S")],
    "hash only": [("name", "HASH", "S")],
    "other names": [("pk", "HASH", "S"), ("sk", "RANGE", "S")],
    "other types": [("name", "HASH", "S"), ("record", "RANGE", "N")],
    "binary keys": [("name", "HASH", "B"), ("record", "RANGE", "B")],
}


def _foreign_table(engine: Engine, schema: str) -> str:
    table = f"foreign-{schema.replace(' ', '-')}-{os.urandom(4).hex()}"
    keys = SCHEMAS[schema]
    dynamodb = engine.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, _, kind in keys],
        KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    values = {"S": "app/multi", "N": "1", "B": b"app/multi"}
    item = {name: {kind: values[kind]} for name, _, kind in keys}
    if schema == "credstash":
        item |= {"name": {"S": "app/multi"}, "version": {"S": "0000000000000000001"}, "digest": {"S": "SHA256"}}
        item |= {"key": {"S": "a2V5"}, "contents": {"S": "Y29udGVudHM="}, "hmac": {"B": b"00"}}
    dynamodb.put_item(TableName=table, Item=item)
    return table


def _refused_by_a_foreign_table(site: Site, schema: str) -> None:
    table = _foreign_table(site.dynamodb, schema)
    before = site.dynamodb.client("dynamodb").scan(TableName=table)["Items"]
    for operation in OPERATIONS:
        store = DynamoDBStore(site.dynamodb.transport, table, clock=FakeClock(), transaction_size=TRANSACTION)
        keys = KmsKeys(site.kms.transport, site.key, clock=FakeClock())
        stash = Stash(ENVIRONMENT, store, keys, identity=lambda: "x", clock=FakeClock())
        refused = outcome(operation, stash, site.backup)
        if isinstance(refused, SecretNotFoundError | ConflictError):  # a name that the table does not have
            assert operation in WRITES
            continue
        assert isinstance(refused, StoreError), (operation, refused)
        if schema not in ("other types", "binary keys"):  # whose names are right
            assert isinstance(refused, StoreNotFoundError), (operation, refused)
            assert "not a dynastash table" in str(refused), operation
        assert refused.hint
    assert site.dynamodb.client("dynamodb").scan(TableName=table)["Items"] == before


@pytest.mark.engine
@pytest.mark.parametrize("schema", [schema for schema in SCHEMAS if schema != "credstash"])
def test_a_table_of_another_schema(schema: str, site: Site) -> None:
    """Every operation says that it is not a dynastash table, and leaves it as it is."""
    _refused_by_a_foreign_table(site, schema)


@pytest.mark.engine
def test_a_table_of_the_credstash_schema(site: Site) -> None:
    """HASH ``name``, RANGE ``version``, with a credential of that name in it: neither read nor written."""
    _refused_by_a_foreign_table(site, "credstash")


# Records

SECRET = "app/multi"


def _edited(embedded: Embedded, directory: Path, record: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the file in which one record of the secret is changed."""
    path = embedded.copy(directory)
    connection = sqlite3.connect(path, isolation_level=None)
    where = (SECRET, record)
    ((text,),) = connection.execute("SELECT item FROM records WHERE name = ? AND record = ?", where).fetchall()
    item = dict(decode_item(text))
    change(item)
    connection.execute("UPDATE records SET item = ? WHERE name = ? AND record = ?", (encode_item(item), *where))
    connection.close()
    return path


def _others(store: Store) -> Mapping[str, Any]:
    """The state of the other secrets."""
    items = [item for item in store.scan() if item["name"] != {"S": SECRET}]
    return state_of(SimpleNamespace(scan=lambda: items), LocalKeys(KEY), EVERY)  # type: ignore[arg-type]


CURRENT = records.version_key(5)
REQUIRED = [
    *((CURRENT, part) for part in ("format", "suite", "version", "id", "salt", "nonce", "ciphertext")),
    *((CURRENT, part) for part in ("created_at", "created_by", "wrapped_key", "key_id", "mac")),
    *((records.HEAD, part) for part in ("format", "namespace", "last", "revision", "pruned_below", "state", "seal")),
    *((records.HEAD, part) for part in ("created_at", "updated_at", "updated_by", "current")),
]


TOUCHING = ("get", "get version", "get many by prefix", "rotate", "rollback", "delete", "undelete version")
"""What needs the current version of the secret."""


@pytest.mark.parametrize(("record", "part"), REQUIRED, ids=lambda value: value)
def test_a_half_written_record(record: str, part: str, embedded: Embedded, tmp_path: Path) -> None:
    """Without any one of its attributes: nothing of it is believed, the others are there, and verify finds it."""
    path = _edited(embedded, tmp_path / "edited", record, lambda item: item.pop(part))
    before = _others(open_store(path))
    with pytest.raises(DynastashError):
        client(open_store(path)).get(SECRET)
    for operation in (
        "get",
        "get version",
        "put",
        "rotate",
        "get many by prefix",
        "rollback",
        "delete",
        "undelete version",
    ):
        done = outcome(operation, client(open_store(path)), embedded.backup)
        assert isinstance(done, DynastashError) or operation == "put", (operation, done)
    found = [checked for checked in client(open_store(path)).verify() if checked.findings]
    assert {checked.name for checked in found} == {SECRET}
    after = _others(open_store(path))
    assert {key: value for key, value in after.items() if "app/other" not in key} == {
        key: value for key, value in before.items() if "app/other" not in key
    }


OPENING = ("get", "get many", "get many by prefix", "rotate", "rollback", "delete", "prune")
"""What opens the current version of the secret."""


@pytest.mark.parametrize("record", [CURRENT, records.HEAD])
def test_a_future_format(record: str, embedded: Embedded, tmp_path: Path) -> None:
    """A record of a later release: told from damage, with the advice to upgrade; and never overwritten."""
    for operation in OPERATIONS:
        path = _edited(
            embedded, tmp_path / operation.replace(" ", "-"), record, lambda item: item.update(format={"N": "2"})
        )
        original = open_store(path).fetch([RecordKey(SECRET, record)])
        done = outcome(operation, client(open_store(path)), embedded.backup)
        if operation in OPENING:
            assert any(isinstance(one, UnsupportedFormatError | FormatError) for one in causes(done)), (operation, done)
        assert open_store(path).fetch([RecordKey(SECRET, record)]) == original, operation
    path = _edited(embedded, tmp_path / "get-it", record, lambda item: item.update(format={"N": "2"}))
    with pytest.raises(UnsupportedFormatError) as caught:
        client(open_store(path)).get(SECRET)
    assert caught.value.hint == "upgrade dynastash"


# Files


def _scribbled(content: bytes, rng: random.Random) -> bytes:
    """Damaged as files are: pages zeroed or swapped, bytes changed, the end cut off."""
    data, page = bytearray(content), 4096
    pages = len(data) // page
    match rng.randrange(5):
        case 0:
            start = rng.randrange(pages) * page
            data[start : start + page] = bytes(page)
        case 1:
            one, other = rng.randrange(pages) * page, rng.randrange(pages) * page
            data[one : one + page], data[other : other + page] = data[other : other + page], data[one : one + page]
        case 2:
            return bytes(data[: rng.randrange(len(data))])
        case 3:
            for _ in range(rng.randrange(1, 200)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case _:
            start = rng.randrange(len(data))
            data[start : start + 512] = rng.randbytes(512)
    return bytes(data)


def test_a_corrupted_sqlite_file(embedded: Embedded, tmp_path: Path) -> None:
    """A hundred damages: a read gives what was written or an error of ours; no operation raises anything else."""
    truth = {name: outcome(name, client(open_store(embedded.copy(tmp_path / name))), embedded.backup) for name in READS}
    content, rng = embedded.file.read_bytes(), random.Random(3)
    refused = 0
    for number in range(100):
        path = embedded.copy(tmp_path / str(number))
        path.write_bytes(_scribbled(content, rng))
        for operation in ("get", "get version", "get many by prefix"):
            done = outcome(operation, client(open_store(path)), embedded.backup)
            right = done == truth[operation]
            if operation == "get many by prefix" and isinstance(done, list):
                # Which names there are is the word of a listing, which nothing authenticates: it may lack some.
                right = all(secret in truth[operation] for secret in done)  # type: ignore[operator]
            assert isinstance(done, DynastashError) or right, (number, operation, done)
            refused += isinstance(done, DynastashError)
        for operation in ("list", "history", "verify", "export sealed", rng.choice(WRITES)):
            outcome(operation, client(open_store(path)), embedded.backup)
    assert 50 < refused < 300


@pytest.mark.parametrize("operation", [name for name in WRITES if name != "import sealed"])
def test_a_full_disk(operation: str, embedded: Embedded, tmp_path: Path) -> None:
    """Full at every size up to where the operation fits: told, nothing is half there, and then it goes on."""
    full, room, done = 0, 0, None
    comparable = _run_somewhere(operation, embedded, tmp_path / "reference")
    while full == 0 or isinstance(done, DynastashError):
        path = embedded.copy(tmp_path / str(room))
        done = outcome(operation, client(_Small(path, room)), embedded.backup)
        if isinstance(done, DynastashError):
            full += 1
            assert any(isinstance(one, StoreUnavailableError) for one in causes(done)), done
            assert any("no space is left" in str(one) for one in causes(done))
        stash = client(open_store(path))
        for finding in (finding for checked in stash.verify() for finding in checked.findings):
            assert operation == "destroy" and "left over" in finding.message
        if isinstance(done, DynastashError) and operation != "rotate":
            assert outcome(operation, stash, embedded.backup) == comparable
        room += 1
        if full == 0 and room > 3:
            break  # it needs no further page: replacing what is there fits
    assert done == comparable


class _Small(TracedSQLite):
    """A SQLite store on a disk that has room for so many pages more."""

    def __init__(self, path: Path, pages: int) -> None:
        super().__init__(path, lambda _: None)
        self._pages = pages
        self.transaction_size = TRANSACTION

    def _open(self) -> Any:
        opened = super()._open()
        (size,) = opened.connection.execute("PRAGMA page_count").fetchone()
        opened.connection.execute(f"PRAGMA max_page_count = {size + self._pages}")
        return opened


def _run_somewhere(operation: str, embedded: Embedded, directory: Path) -> object:
    return outcome(operation, client(open_store(embedded.copy(directory))), embedded.backup)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@pytest.mark.parametrize("operation", WRITES)
def test_a_full_disk_in_the_middle_of_a_write(operation: str, embedded: Embedded, tmp_path: Path) -> None:
    """The system refuses to make a file larger, at every size: the write is undone, and can be repeated."""
    comparable = _run_somewhere(operation, embedded, tmp_path / "reference")
    limits, failed = range(0, 100_000, 1500), 0
    for limit in limits:
        path = embedded.copy(tmp_path / str(limit))
        with _no_file_beyond(limit):
            done = outcome(operation, client(open_store(path)), embedded.backup)
        stash = client(open_store(path))
        for finding in (finding for checked in stash.verify() for finding in checked.findings):
            assert operation == "destroy" and "left over" in finding.message
        if not isinstance(done, DynastashError):
            assert done == comparable
            break
        failed += 1
        assert any(isinstance(one, StoreError) for one in causes(done)), done
    assert failed > 0 and limit < limits[-1]
    assert operation == "import sealed" or outcome("get", client(open_store(path)), embedded.backup)


class _no_file_beyond:  # noqa: N801
    """No file of this process grows beyond ``limit`` bytes: writes fail, as on a full disk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __enter__(self) -> None:
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
        signal.signal(signal.SIGXFSZ, self._handler)


def test_a_read_only_directory(embedded: Embedded, unprivileged: Path) -> None:
    """Every operation says that it may not; the file is as it was, and opens again when the directory is writable."""
    content = _as_root(embedded.file.read_bytes)
    for operation in OPERATIONS:
        directory = unprivileged / operation.replace(" ", "-")
        directory.mkdir(mode=0o700)
        path = directory / "prod.db"
        path.write_bytes(content)
        path.chmod(0o400)
        directory.chmod(0o500)
        done = outcome(operation, client(open_store(path)), embedded.backup)
        if operation in WRITES:
            assert any(isinstance(one, StoreAccessDeniedError) for one in causes(done)), (operation, done)
        for one in causes(done):
            if isinstance(one, StoreAccessDeniedError):  # it did not say why, and a read is denied too
                assert "its directory cannot be written" in str(one), operation
        directory.chmod(0o700)
        path.chmod(0o600)
        assert path.read_bytes() == content
        assert client(open_store(path)).get(SECRET).value == b"multi 5"


def _as_root(call: Callable[[], bytes]) -> bytes:
    if os.geteuid() == os.getuid():
        return call()
    mine = os.geteuid()
    os.seteuid(os.getuid())
    try:
        return call()
    finally:
        os.seteuid(mine)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_wrong_local_key(operation: str, embedded: Embedded, tmp_path: Path) -> None:
    """Told from tampering, with the advice to restore the key; what needs no key works; nothing is written."""
    path = embedded.copy(tmp_path / "copy")
    before = state_of(open_store(path), LocalKeys(KEY), EVERY)
    wrong = LocalKeys(DataKey(b"\x01" * 32))
    done = outcome(operation, client(open_store(path), wrong), embedded.backup)
    if operation in UNOPENED:
        assert not isinstance(done, DynastashError)
    elif operation == "verify":
        assert not isinstance(done, DynastashError)
        assert all(findings for name, _, _, findings in done if name != "gone/destroyed")  # type: ignore[attr-defined]
    elif operation in ("put write-only", "put the first", "recreate", "import sealed"):
        return  # they open nothing of what is there
    elif operation == "migrate":  # one conflict among others, which it lists
        assert "what is here cannot be compared: version 1 of app/other is not wrapped" in str(done)
    else:
        untrusted = [one for one in causes(done) if isinstance(one, UntrustedKeyError)]
        assert untrusted, done
        assert "restore the key-encryption key" in str(untrusted[0].hint)
    assert state_of(open_store(path), LocalKeys(KEY), EVERY) == before
