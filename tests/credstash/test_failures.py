"""What AWS says no to, and answers that are none: each an error that names the table, the key and the item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.credstash.contexts import Contexts
from dynastash.credstash.items import label_of, marks_of
from dynastash.credstash.keys import TableKeys
from dynastash.credstash.publisher import CredstashTarget
from dynastash.credstash.reader import CredstashSource
from dynastash.credstash.store import CredentialStore
from dynastash.credstash.table import Table
from dynastash.errors import (
    DynastashError,
    FormatError,
    KeyAccessDeniedError,
    KeyProviderError,
    KeyUnavailableError,
    StoreAccessDeniedError,
    StoreError,
    StoreNotFoundError,
    StoreUnavailableError,
)
from dynastash.models import Plaintext
from dynastash.testing.fakes import FakeClock
from tests.credstash.kit import KEY, item
from tests.engines.transports import ScriptedTransport, rejected

ITEMS = {"Items": [item()]}
OPENED = {"Plaintext": KEY, "KeyId": "arn:aws:kms:eu-west-1:1:key/2"}
GENERATED = {**OPENED, "CiphertextBlob": b"wrapped"}


def store(*script: Mapping[str, Any] | Exception) -> CredentialStore:
    """A store whose AWS answers so."""
    transport = ScriptedTransport(*script)
    clock = FakeClock()
    return CredentialStore(Table(transport, "old", clock=clock), TableKeys(transport, clock=clock), clock=clock)


def test_the_script_is_right() -> None:
    """Without a failure, the value comes out."""
    assert store(ITEMS, OPENED).get("a").value == Plaintext(b"made-up")
    assert store(GENERATED, {}).put("a", 1, Plaintext(b"x")) == f"{1:019d}"


@pytest.mark.parametrize(
    ("code", "message", "expected", "said"),
    [
        ("AccessDeniedException", "no", StoreAccessDeniedError, "dynamodb:Query is denied on credstash table old"),
        ("ResourceNotFoundException", "no", StoreNotFoundError, "credstash table old in eu-west-1 does not exist"),
        (
            "ValidationException",
            "Query condition missed key schema element: record",
            StoreNotFoundError,
            "credstash table old in eu-west-1 is none: its keys are not name and version",
        ),
        ("ValidationException", "else", StoreError, "Query failed on credstash table old in eu-west-1: else"),
    ],
)
def test_the_table_says_no(code: str, message: str, expected: type[DynastashError], said: str) -> None:
    """In a sentence with a way out."""
    with pytest.raises(expected) as caught:
        store(rejected(Operation.QUERY, code, message)).get("a")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        (
            "AccessDeniedException",
            KeyAccessDeniedError,
            "kms:Decrypt is denied on KMS key alias/credstash in eu-west-1 for version 0000000000000000001 of a",
        ),
        ("NotFoundException", KeyUnavailableError, "KMS key alias/credstash in eu-west-1 does not exist"),
        ("DisabledException", KeyUnavailableError, "KMS key alias/credstash in eu-west-1 is disabled"),
        ("ElseException", KeyProviderError, "Decrypt failed on KMS key alias/credstash in eu-west-1"),
    ],
)
def test_the_key_says_no(code: str, expected: type[DynastashError], said: str) -> None:
    """To a reader, and to a writer."""
    with pytest.raises(expected) as caught:
        store(ITEMS, rejected(Operation.DECRYPT, code)).get("a")
    assert str(caught.value).startswith(said)
    with pytest.raises(expected) as caught:
        store(rejected(Operation.GENERATE_DATA_KEY, code)).put("a", 1, Plaintext(b"x"))
    assert str(caught.value).startswith(said.replace("Decrypt", "GenerateDataKey"))


@pytest.mark.parametrize(
    "answer",
    [{}, {"Plaintext": b"short", "CiphertextBlob": b"x"}, {"Plaintext": "text"}, {"Plaintext": KEY[:32]}],
)
def test_kms_answers_without_a_key(answer: Mapping[str, Any]) -> None:
    """Nothing is opened or written with it."""
    with pytest.raises(KeyProviderError, match="KMS answered without a"):
        store(ITEMS, answer).get("a")
    with pytest.raises(KeyProviderError, match="KMS answered without a"):
        store({**answer, "CiphertextBlob": b"x"}, {}).put("a", 1, Plaintext(b"x"))
    with pytest.raises(KeyProviderError, match="KMS answered without a wrapped key"):
        store(OPENED, {}).put("a", 1, Plaintext(b"x"))


@pytest.mark.parametrize(
    "answer", [{}, {"Items": {}}, {"Items": ["x"]}, {"Items": [{"name": "a"}]}, {"Items": [{"name": {"S": "a"}}]}]
)
def test_the_table_answers_what_is_no_answer(answer: Mapping[str, Any]) -> None:
    """Whoever asks."""
    clock = FakeClock()

    def read(transport: ScriptedTransport) -> object:
        keys = TableKeys(transport, clock=clock)
        return list(CredstashSource(Table(transport, "old", clock=clock), keys, Contexts()).read())

    def held(transport: ScriptedTransport) -> object:
        return CredstashTarget(Table(transport, "old"), TableKeys(transport), "prod").held(["a"])

    for ask in (read, held):
        with pytest.raises(StoreError):
            ask(ScriptedTransport(answer))
    with pytest.raises(StoreError):
        store(answer).labels()
    with pytest.raises(StoreError):
        store(answer).get("a")


def test_a_write_whose_end_is_open_says_so() -> None:
    """The change may have been made."""
    open_end = CallError(Operation.PUT_ITEM, Failure.AMBIGUOUS, "ReadTimeoutError", "read timeout")
    with pytest.raises(StoreUnavailableError, match="the change may have been made"):
        store(GENERATED, *[open_end] * 1000).put("a", 1, Plaintext(b"x"))


def test_whose_mark_it_is_cannot_always_be_told() -> None:
    """And then it is nobody's."""
    assert marks_of({**item(), "dynastash": {"S": "x"}}) is None
    with pytest.raises(FormatError):
        label_of({"version": {"S": "1"}})
