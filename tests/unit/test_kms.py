"""What the KMS key provider asks for, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynastash.aws.base import CallError, Operation
from dynastash.errors import (
    ContextMismatchError,
    CredentialsError,
    KeyAccessDeniedError,
    KeyProviderError,
    KeyUnavailableError,
    UntrustedKeyError,
)
from dynastash.keys.kms import KmsKeys
from dynastash.models import Context, DataKey, WrappedKey
from dynastash.testing.fakes import FakeClock
from tests.engines.transports import ScriptedTransport, lost, rejected, throttled, unreachable

CONTEXT = Context("prod", "app1/db/password", 3, {"team": "payments"})
PAIRS = {
    "team": "payments",
    "dynastash:env": "prod",
    "dynastash:name": "app1/db/password",
    "dynastash:version": "3",
    "dynastash:format": "1",
}
KEY = "alias/dynastash-prod"
STRANGER = "arn:aws:kms:eu-west-1:666:key/evil"
WRAPPED = WrappedKey(b"blob", STRANGER)
PLAIN = bytes(range(32))
MINTED = {"Plaintext": PLAIN, "CiphertextBlob": b"wrapped", "KeyId": "arn:key"}
OPENED = {"Plaintext": PLAIN, "KeyId": "arn:key"}
MOVED = {"CiphertextBlob": b"again", "KeyId": "arn:key", "SourceKeyId": "arn:old"}

USES: dict[str, Callable[[KmsKeys], object]] = {
    "generate": lambda keys: keys.generate(CONTEXT),
    "unwrap": lambda keys: keys.unwrap(WRAPPED, CONTEXT),
    "rewrap": lambda keys: keys.rewrap(WRAPPED, CONTEXT),
}


def provider(transport: ScriptedTransport, *trusted: str) -> KmsKeys:
    """A provider that never really waits."""
    return KmsKeys(transport, KEY, trusted, clock=FakeClock())


def incorrect(operation: Operation) -> CallError:
    """The blob is wrapped under another key than the one named."""
    return rejected(operation, "IncorrectKeyException")


def test_it_says_which_key_and_where() -> None:
    """For messages."""
    assert provider(ScriptedTransport()).description == f"KMS key {KEY} in eu-west-1"


@pytest.mark.parametrize("length", [1, 6144])
def test_a_blob_of_any_possible_length_is_taken(length: int) -> None:
    """Both ways."""
    blob = b"x" * length
    assert provider(ScriptedTransport(OPENED)).unwrap(WrappedKey(blob, "k"), CONTEXT) == DataKey(PLAIN)
    assert provider(ScriptedTransport({**MINTED, "CiphertextBlob": blob})).generate(CONTEXT)[1].blob == blob


def test_generate_asks_for_an_aes_key_bound_to_the_whole_context() -> None:
    """One call, all pairs."""
    transport = ScriptedTransport(MINTED)
    assert provider(transport, "old").generate(CONTEXT) == (DataKey(PLAIN), WrappedKey(b"wrapped", "arn:key"))
    request = {"KeyId": KEY, "KeySpec": "AES_256", "EncryptionContext": PAIRS}
    assert transport.requests == [(Operation.GENERATE_DATA_KEY, request)]


def test_decrypt_names_the_configured_key() -> None:
    """Never the one that the record claims."""
    transport = ScriptedTransport(OPENED)
    assert provider(transport, "old").unwrap(WRAPPED, CONTEXT) == DataKey(PLAIN)
    request = {"KeyId": KEY, "CiphertextBlob": b"blob", "EncryptionContext": PAIRS}
    assert transport.requests == [(Operation.DECRYPT, request)]


def test_reencrypt_names_both_keys_and_both_contexts() -> None:
    """The source is a trusted key, the destination the configured one."""
    transport = ScriptedTransport(MOVED)
    assert provider(transport).rewrap(WRAPPED, CONTEXT) == WrappedKey(b"again", "arn:key")
    request = {
        "CiphertextBlob": b"blob",
        "SourceKeyId": KEY,
        "SourceEncryptionContext": PAIRS,
        "DestinationKeyId": KEY,
        "DestinationEncryptionContext": PAIRS,
    }
    assert transport.requests == [(Operation.RE_ENCRYPT, request)]


@pytest.mark.parametrize(
    ("use", "operation", "member", "reply"),
    [("unwrap", Operation.DECRYPT, "KeyId", OPENED), ("rewrap", Operation.RE_ENCRYPT, "SourceKeyId", MOVED)],
)
class TestTrustedKeys:
    """The configured key first, then each other one, once."""

    def test_the_next_is_asked_when_it_is_the_wrong_key(
        self, use: str, operation: Operation, member: str, reply: dict[str, Any]
    ) -> None:
        """In the order of the configuration, without repeating one."""
        transport = ScriptedTransport(incorrect(operation), incorrect(operation), reply)
        USES[use](provider(transport, "old", KEY, "older", "oldest"))
        assert [request[member] for _, request in transport.requests] == [KEY, "old", "older"]
        if use == "rewrap":
            assert {request["DestinationKeyId"] for _, request in transport.requests} == {KEY}

    def test_a_strangers_key_fails(self, use: str, operation: Operation, member: str, reply: dict[str, Any]) -> None:
        """No key is left: the one that the record names is never tried."""
        transport = ScriptedTransport(incorrect(operation), incorrect(operation))
        with pytest.raises(UntrustedKeyError, match="version 3 of app1/db/password") as caught:
            USES[use](provider(transport, "old"))
        assert caught.value.code == "IncorrectKeyException"
        assert "trusted_keys" in (caught.value.hint or "")
        assert STRANGER not in [request[member] for _, request in transport.requests]

    @pytest.mark.parametrize(
        "code",
        ["AccessDeniedException", "DisabledException", "NotFoundException", "InvalidCiphertextException", "Whatever"],
    )
    def test_any_other_refusal_ends_it(
        self, use: str, operation: Operation, member: str, reply: dict[str, Any], code: str
    ) -> None:
        """Only the wrong key is a reason to ask for another."""
        transport = ScriptedTransport(rejected(operation, code), reply)
        with pytest.raises(KeyProviderError):
            USES[use](provider(transport, "old"))
        assert transport.left == 1

    @pytest.mark.parametrize("blob", [b"", b"x" * 6145], ids=["empty", "too long"])
    def test_an_impossible_blob_is_not_sent(
        self, use: str, operation: Operation, member: str, reply: dict[str, Any], blob: bytes
    ) -> None:
        """KMS would not take it, and botocore would show it."""
        keys = provider(ScriptedTransport())
        wrapped = WrappedKey(blob, "x")
        with pytest.raises(ContextMismatchError):
            keys.unwrap(wrapped, CONTEXT) if use == "unwrap" else keys.rewrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    ("use", "reply"),
    [
        ("generate", {}),
        ("generate", {**MINTED, "Plaintext": PLAIN[:31]}),
        ("generate", {**MINTED, "Plaintext": PLAIN + b"x"}),
        ("generate", {**MINTED, "Plaintext": "x" * 32}),
        ("generate", {**MINTED, "CiphertextBlob": b""}),
        ("generate", {**MINTED, "CiphertextBlob": b"x" * 6145}),
        ("generate", {**MINTED, "CiphertextBlob": None}),
        ("generate", {**MINTED, "KeyId": ""}),
        ("generate", {**MINTED, "KeyId": 5}),
        ("unwrap", {}),
        ("unwrap", {"Plaintext": b""}),
        ("unwrap", {"Plaintext": PLAIN[:16]}),
        ("rewrap", {}),
        ("rewrap", {**MOVED, "CiphertextBlob": b""}),
        ("rewrap", {"CiphertextBlob": b"x"}),
    ],
    ids=repr,
)
def test_an_answer_of_another_shape_is_refused(use: str, reply: dict[str, Any]) -> None:
    """And what it held does not stand in the message."""
    with pytest.raises(KeyProviderError, match="KMS answered without") as caught:
        USES[use](provider(ScriptedTransport(reply)))
    assert repr(PLAIN)[2:-1] not in str(caught.value)


@pytest.mark.parametrize(
    ("use", "operation"),
    [("generate", Operation.GENERATE_DATA_KEY), ("unwrap", Operation.DECRYPT), ("rewrap", Operation.RE_ENCRYPT)],
)
class TestErrors:
    """KMS's refusals in the provider's words."""

    @pytest.mark.parametrize(
        ("code", "message", "kind", "said", "hinted"),
        [
            ("DisabledException", "", KeyUnavailableError, f"KMS key {KEY} in eu-west-1 is disabled", "enable-key"),
            (
                "KMSInvalidStateException",
                "arn:x is pending deletion.",
                KeyUnavailableError,
                "pending deletion",
                "cancel-key-deletion",
            ),
            ("KMSInvalidStateException", "arn:x is pending import", KeyUnavailableError, "pending import", ""),
            ("NotFoundException", "Alias is not found.", KeyUnavailableError, "does not exist", "dynastash deploy"),
            ("InvalidKeyUsageException", "", KeyProviderError, "not a symmetric encryption key", "dynastash deploy"),
            ("ValidationException", "too odd", KeyProviderError, "failed on KMS key alias/dynastash-prod", ""),
            ("ValidationException", "", KeyProviderError, "ValidationException", ""),
        ],
    )
    def test_the_key_does_not_serve(
        self,
        use: str,
        operation: Operation,
        code: str,
        message: str,
        kind: type[KeyProviderError],
        said: str,
        hinted: str,
    ) -> None:
        """The error's type, AWS's code, which key, and what to do."""
        with pytest.raises(KeyProviderError) as caught:
            USES[use](provider(ScriptedTransport(rejected(operation, code, message))))
        assert type(caught.value) is kind
        assert said in str(caught.value)
        assert hinted in (caught.value.hint or "")
        assert caught.value.code == code

    def test_denied(self, use: str, operation: Operation) -> None:
        """The hint names the permission and the encryption context that it must allow."""
        with pytest.raises(KeyAccessDeniedError, match="app1/db/password") as caught:
            USES[use](provider(ScriptedTransport(rejected(operation, "AccessDeniedException"))))
        assert caught.value.hint is not None
        assert f"kms:{operation.action}" in caught.value.hint
        assert "dynastash:name=app1/db/password" in caught.value.hint
        assert caught.value.code == "AccessDeniedException"

    def test_altered(self, use: str, operation: Operation) -> None:
        """Or of another record: KMS does not say which."""
        with pytest.raises(ContextMismatchError, match="version 3 of app1/db/password"):
            USES[use](provider(ScriptedTransport(rejected(operation, "InvalidCiphertextException"))))

    @pytest.mark.parametrize(
        ("error", "said"),
        [(throttled, "is throttled"), (lost, "does not answer"), (unreachable, "is out of reach: could not connect")],
    )
    def test_patience_that_ends(
        self, use: str, operation: Operation, error: Callable[[Operation], CallError], said: str
    ) -> None:
        """Unavailable, for now."""
        transport = ScriptedTransport(*[error(operation) for _ in range(1000)])
        with pytest.raises(KeyUnavailableError, match=said) as caught:
            USES[use](provider(transport))
        assert caught.value.hint
        assert caught.value.code == error(operation).code

    def test_patience_that_pays(self, use: str, operation: Operation) -> None:
        """Throttled, cut off, and then answered."""
        transport = ScriptedTransport(throttled(operation), lost(operation), {**MINTED, **MOVED})
        USES[use](provider(transport))
        assert transport.left == 0

    def test_credentials_that_expire_are_named_so(self, use: str, operation: Operation) -> None:
        """Errors of the configuration pass through."""
        with pytest.raises(CredentialsError):
            USES[use](provider(ScriptedTransport(CredentialsError("expired"))))


def test_concurrency_is_the_callers_to_choose() -> None:
    """32 by default: the quota is everybody's."""
    assert KmsKeys(ScriptedTransport(), KEY).concurrency == 32
    assert KmsKeys(ScriptedTransport(), KEY, concurrency=64).concurrency == 64
