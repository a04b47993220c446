"""What is fuzzed. A new parser needs a function here and a line in :data:`TARGETS`; CI and the fuzzer do the rest.

A target takes any bytes. It may raise an error of ours, or of the few others that the table allows; anything else is a
defect, and so is a failing ``assert``: what comes back must go out again the same.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dynastash import config, dotenv, references, template
from dynastash.aws.base import CallError, Operation
from dynastash.aws.direct import profilefile, protocol
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.http1 import Response, ResponseError
from dynastash.cli.options import Expiry, Pair, Period, Whole
from dynastash.credstash import format as old_format
from dynastash.credstash import items as old_items
from dynastash.credstash.contexts import Contexts
from dynastash.credstash.keys import TableKeys
from dynastash.credstash.publisher import CredstashTarget
from dynastash.credstash.reader import CredstashSource
from dynastash.credstash.store import CredentialStore
from dynastash.credstash.table import Table as OldTable
from dynastash.crypto import envelope, padding, records
from dynastash.crypto.transcript import transcript
from dynastash.errors import DynastashError
from dynastash.generate import Password, RandomBytes, from_item
from dynastash.keys.local import key_from_text
from dynastash.models import DataKey, Item, Plaintext, WrappedKey
from dynastash.policy.names import parse_pattern
from dynastash.statefile import StateFile
from dynastash.stores.dynamodb import DynamoDBStore
from dynastash.stores.itemjson import decode_item, encode_item
from dynastash.transfer.sealed import check_sealed, export_sealed, import_sealed
from tests.engines.transports import ScriptedTransport
from tests.fuzz import forms
from tests.tamper import MemoryStore, filled
from tests.vectors import PUBLISHED, cases, load_item

_KEY = DataKey(bytes(range(32)))


@dataclass(frozen=True)
class Target:
    """``run`` takes an input; ``seeds`` are inputs to begin with; ``allowed`` may come out besides our own errors."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    allowed: tuple[type[Exception], ...] = ()

    def __call__(self, data: bytes) -> None:
        """Run it. Raises what must not come out."""
        with suppress(DynastashError, *self.allowed):
            self.run(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@functools.cache
def _scratch() -> Path:
    """A private directory, in memory where the machine has a place for that, and gone with the process."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[Any] = []


# Records


def item(data: bytes) -> None:
    """An item as the embedded store and backups hold it."""
    found = decode_item(_text(data))
    assert decode_item(encode_item(found)) == found


def record(data: bytes) -> None:
    """An item as a version, as metadata, as a head: what is accepted is written the same again."""
    found = decode_item(_text(data))
    for read in (records.key_of, records.is_tombstone, records.decode_metadata, _version, _head):
        with suppress(DynastashError):
            read(found)
    transcript(b"", "prod", found)


def _version(found: Item) -> None:
    decoded = records.decode_version(found)
    with suppress(DynastashError):
        envelope.open_record("prod", decoded, _KEY)


def _head(found: Item) -> None:
    head = records.decode_head(found)
    assert records.decode_head(records.encode_head(head)) == head


def payload(data: bytes) -> None:
    """What was encrypted: the padding has one form."""
    assert padding.pad(padding.unpad(data)) == data


def policy(data: bytes) -> None:
    """A rotation policy in a head."""
    found = decode_item(_text(data))
    assert from_item(found).to_item() == found


# Files


def configuration(data: bytes) -> None:
    """A dynastash.toml, and every environment in it."""
    path = _scratch() / config.FILE_NAME
    path.write_bytes(data)
    variables = {"DYNASTASH_CONFIG": str(path)}
    config.resolve_all(config.load(variables=variables), variables)


def state_file(data: bytes) -> None:
    """The file of high-water marks."""
    path = _scratch() / "state"
    path.touch(mode=0o600)
    path.write_bytes(data)
    StateFile(path, "prod", lambda: "the store").names()


def backup(data: bytes) -> None:
    """A sealed backup as it is."""
    check_sealed(io.BytesIO(data), "prod")


def backup_body(data: bytes) -> None:
    """The lines of a backup between a right header and a right trailer. What is accepted comes back the same."""
    lines = data.split(b"\n")
    header = json.dumps({"kind": "dynastash sealed export", "format": 1, "environment": "prod", "at": 1}).encode()
    body = b"".join(line + b"\n" for line in (header, *lines))
    secrets = sum(b'"~head"' in line for line in lines)
    trailer = {"secrets": secrets, "items": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    file = io.BytesIO(body + json.dumps(trailer).encode() + b"\n")
    counts = check_sealed(file, "prod")
    store: Any = MemoryStore()
    file.seek(0)
    assert [(found.secrets, found.items) for found in import_sealed(store, "prod", file)][-1:] == [
        (counts.secrets, counts.items)
    ]
    again = io.BytesIO()
    assert export_sealed(store, "prod", again, at=1).items == counts.items


def vectors(data: bytes) -> None:
    """A file of known answers. A case that raises what it should not is told as a failure of its own."""
    path = _scratch() / "vectors.json"
    path.write_bytes(data)
    for identity, _, failure in cases(path):
        assert failure is None or not failure.startswith("raised"), f"{identity}: {failure}"


def local_key(data: bytes) -> None:
    """A key-encryption key as text."""
    key_from_text(_text(data), "it")


def aws_profiles(data: bytes) -> None:
    """The AWS files of profiles."""
    profilefile.profiles(profilefile.parse(data))


# What people write


def reference(data: bytes) -> None:
    """A reference, and a field of a value: the reference before the first zero byte, the value behind it."""
    text, _, value = data.partition(b"\0")
    found = references.parse(_text(text))
    assert references.parse(str(found)) == found
    if found.field is not None:
        references.field_of(Plaintext(value), found.field, "it")


def template_file(data: bytes) -> None:
    """A template: what is no reference stays as it is."""
    found = template.take_apart(data)
    values = {placeholder.reference: Plaintext(b"{{ dynastash://x }}") for placeholder in found.placeholders}
    filled = found.fill(values).expose()
    assert found.placeholders or b"{{!" in data or filled == data


def dotenv_file(data: bytes) -> None:
    """A dotenv file: each value, written between double quotes, is read as the same."""
    entries = dotenv.parse(_text(data))
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    for entry in entries:
        if "${" not in entry.value:
            written = "".join(escapes.get(letter, letter) for letter in entry.value)
            (again,) = dotenv.parse(f'{entry.name}="{written}"')
            assert again.value == entry.value


def name_pattern(data: bytes) -> None:
    """A pattern of names for policies."""
    parse_pattern(_text(data))


def command_line(data: bytes) -> None:
    """Times, lengths of time, numbers and pairs as options take them."""
    for kind in (Expiry(), Period(), Whole(1), Pair()):
        with suppress(click.UsageError):
            kind.convert(_text(data), None, None)


# What the network answers


def http(data: bytes) -> None:
    """An HTTP response, in one piece and byte by byte: the same comes out."""
    whole, pieces = Response(1 << 16), Response(1 << 16)
    outcomes = []
    for response, parts in ((whole, [data]), (pieces, [data[at : at + 1] for at in range(len(data))])):
        try:
            done = any(response.feed(part) for part in parts)
            if not done:
                response.end()
            outcomes.append((response.status, response.headers, response.body))
        except ResponseError as error:
            outcomes.append((type(error), {}, b""))
    assert outcomes[0] == outcomes[1]


def aws_reply(data: bytes) -> None:
    """A body of each operation, as an answer and as an error."""
    for status in (200, 400, 500):
        for operation in Operation:
            response = Response(1 << 16)
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            if response.feed(head + data) or not data:
                with suppress(DynastashError, CallError):
                    protocol.Codec(operation).reply(response)


def credstash_item(data: bytes) -> None:
    """An item of a credstash table under the examples' key: what opens, and is sealed again, opens to the same."""
    found = decode_item(_text(data))
    keys = old_format.split(bytes(range(64)))
    opened = old_items.open_entry(old_items.parse(found), keys)
    again = old_items.seal(opened.label, opened.value, keys, old_items.parse(found).wrapped, marks=opened.marks)
    assert old_items.open_entry(old_items.parse(again), keys, require_binding=True).value == opened.value


def credstash_table(data: bytes) -> None:
    """What a table answers, and KMS after it: anybody's items."""
    try:
        document = json.loads(_text(data))
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    for read in (
        lambda table, keys: table.latest("a"),
        lambda table, keys: list(table.labels()),
        lambda table, keys: list(CredstashSource(table, keys).read()),
        lambda table, keys: CredstashTarget(table, keys, "prod").held(["a"]),
        lambda table, keys: list(CredentialStore(table, keys).get_all(Contexts())),
    ):
        transport = ScriptedTransport(document, *[{"Plaintext": bytes(range(64))}] * 20)
        with suppress(DynastashError, IndexError):
            read(OldTable(transport, "t"), TableKeys(transport))


def table(data: bytes) -> None:
    """What a table answers to the store: anybody's items."""
    try:
        document = json.loads(_text(data))
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        for read in (
            lambda store: store.newest("a"),
            lambda store: list(store.heads()),
            lambda store: list(store.scan()),
        ):
            with suppress(DynastashError, IndexError):  # IndexError: the script's end, where another page was asked for
                read(DynamoDBStore(ScriptedTransport(document), "t"))


# Seeds


def _items() -> list[bytes]:
    document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    found = [load_item(case["item"]) for case in document["vectors"]] + [
        load_item(case[part]) for case in document["heads"] for part in ("item", "head")
    ]
    texts = []
    for one in found:
        with suppress(Exception):  # what is no item cannot be written as one
            texts.append(encode_item(one).encode())
    return sorted({text for text in texts if len(text) < 4096})


def _old_items() -> list[bytes]:
    keys = old_format.split(bytes(range(64)))
    wrapped = WrappedKey(b"wrapped", "")
    label = old_items.Label("a", "0000000000000000001", "why")
    sealed = dict(old_items.seal(label, Plaintext(b"made-up"), keys, wrapped))
    sealed["dynastash"]["M"]["used"] = {"N": "7"}
    bare = {**sealed, "hmac": {"B": sealed["hmac"]["S"].upper().encode()}, "created_at": {"N": "1700000000"}}
    del bare["dynastash"], bare["digest"]
    return [encode_item(sealed).encode(), encode_item(bare).encode()]


def _old_answers() -> list[bytes]:
    return [b'{"Items": [%s], "LastEvaluatedKey": null}' % item for item in _old_items()]


def _policies() -> list[bytes]:
    return [encode_item(one.to_item()).encode() for one in (Password(), RandomBytes(16))]


def _backup() -> bytes:
    file = io.BytesIO()
    store: Any = filled("prod", ["a"])
    export_sealed(store, "prod", file, at=1)
    return file.getvalue()


def _backup_lines() -> list[bytes]:
    return [b"\n".join(_backup().split(b"\n")[1:-2])]


def _vectors() -> list[bytes]:
    document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return [json.dumps({"vectors": [case], "heads": []}).encode() for case in document["vectors"][:6]] + [
        json.dumps({"heads": [case]}).encode() for case in document["heads"][:6]
    ]


def _written(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


_TOML = """default = "dev"
[env.dev]
region = "eu-west-1"
trusted_keys = ["alias/old"]
[env.here]
store = "sqlite"
path = "~/x"
state = "marks"
key = "keyring"
"""
_STATE = '{"kind": "dynastash high-water marks", "format": 1, "marks": {"prod": {"the store": {"n": [1, 1]}}}}'
_PROFILES = "[default]\nregion = eu-west-1\n[profile a]\nrole_arn : x\ns3 =\n  a = b\n# c\n"
_REPLY = (
    '{"Items": [{"name": {"S": "a"}, "record": {"S": "~head"}}], "LastEvaluatedKey": {"name": {"S": "a"}},'
    ' "Plaintext": "AAAA", "CiphertextBlob": "AAAA", "__type": "x#ThrottlingException", "message": "m",'
    ' "CancellationReasons": [{"Code": "None"}], "UnprocessedKeys": {}, "Responses": {"t": []}}'
)


def credstash_line(data: bytes) -> None:
    """A command line of the drop-in's: a word between NULs."""
    from credstash.cli import arguments

    try:
        line = arguments.read(_text(data).split("\0"))
    except arguments.Usage:
        return
    again = [f"--{name}" + (f"={value}" if value else "") for name, value in line.options.items()]
    if line.verb is not None and all(line.options.values()):
        assert arguments.read([line.verb, *again, "--", *line.words]) == line


def credstash_secrets(data: bytes) -> None:
    """What its putall is given."""
    from credstash.cli import values

    assert all(value.expose() is not None for value in values.named(data).values())


TARGETS: Mapping[str, Target] = {
    "item": Target(item, _items),
    "record": Target(record, _items),
    "payload": Target(payload, lambda: [padding.pad(b"x" * length) for length in (0, 1, 59, 60, 1019, 1020)]),
    "policy": Target(policy, _policies),
    "config": Target(configuration, _written(_TOML)),
    "state": Target(state_file, _written(_STATE)),
    "backup": Target(backup, lambda: [_backup()]),
    "backup-body": Target(backup_body, _backup_lines),
    "vectors": Target(vectors, _vectors),
    "local-key": Target(local_key, _written("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")),
    "aws-profiles": Target(aws_profiles, _written(_PROFILES), (HandOver,)),
    "reference": Target(
        reference, _written("dynastash://a/b@3#/x~1y/0\0" + '{"x/y": ["z"]}', "a@pending#f\0" + '{"f": 1.10}', "a@b")
    ),
    "template": Target(template_file, _written("a {{ dynastash://a/b@3#f }}\n{{! dynastash://x }} {{ x }}")),
    "dotenv": Target(dotenv_file, _written("# c\nexport A=b # c\nB='x\ny'\nC=\"\\n\\\\\" # d\nD = e\r\nE=\n")),
    "name-pattern": Target(name_pattern, _written("*", "app1/*", "app1/db", "${aws:PrincipalTag/dynastash}/*")),
    "command-line": Target(command_line, _written("90d", "2027-01-31T12:00Z", "12", "a=b")),
    "credstash-line": Target(
        credstash_line, _written("put\0-av2\0n\0v\0k=v", "-t=x\0get\0n\0-n", "--\0put\0--lit\0-x")
    ),
    "credstash-secrets": Target(credstash_secrets, _written('{"a": "x", "b": "\\ud83d"}', '{"a": 1, "a": []}')),
    "http": Target(
        http,
        _written(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2;x=y\r\n{}\r\n0\r\na: b\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n{}",
        ),
    ),
    "aws-reply": Target(aws_reply, _written(_REPLY, "<Arn>arn:aws:iam::111122223333:user/a</Arn>")),
    "table": Target(table, _written(_REPLY)),
    "credstash-item": Target(credstash_item, _old_items),
    "credstash-table": Target(credstash_table, _old_answers),
    **{f"form-{form}": Target(forms.target(form), _written(*seeds)) for form, seeds in forms.SEEDS.items()},
}
"""By name, as the command takes it."""
