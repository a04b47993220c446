"""KMS keeps the contract of key providers, on each engine as far as that can tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dynastash.aws.boto import BotoTransport
from dynastash.errors import KeyProviderError, KeyUnavailableError
from dynastash.keys.base import KeyProvider
from dynastash.keys.kms import KmsKeys
from dynastash.models import Context
from dynastash.testing.contracts import KeyProviderContract, TamperProofKeyProviderContract
from dynastash.testing.fakes import FakeClock
from tests.engines.engine import Engine
from tests.engines.servers import free_port

CONTEXT = Context("prod", "app1/db/password", 3)


@pytest.mark.engine
class TestMoto(KeyProviderContract):
    """moto authenticates the context and re-encrypts."""

    @pytest.fixture
    def keys(self, moto: Engine) -> KeyProvider:
        return moto.keys()


@pytest.mark.engine
class TestTamperProofMoto(TamperProofKeyProviderContract):
    """moto notices altered blobs."""

    @pytest.fixture
    def keys(self, moto: Engine) -> KeyProvider:
        return moto.keys()


@pytest.mark.engine
class TestMinistack(KeyProviderContract):
    """ministack authenticates the context; it does not have ReEncrypt, and opens altered blobs."""

    test_rewrap_keeps_the_data_key = None  # type: ignore[assignment]
    test_many_are_rewrapped_in_order = None  # type: ignore[assignment]

    @pytest.fixture
    def keys(self, ministack: Engine) -> KeyProvider:
        return ministack.keys()


@pytest.mark.engine
class TestDirectMoto(TamperProofKeyProviderContract, KeyProviderContract):
    """The same without the SDK."""

    @pytest.fixture
    def keys(self, moto: Engine) -> KeyProvider:
        return moto.direct.keys()


@pytest.mark.engine
class TestDirectMinistack(TestMinistack):
    """The same without the SDK."""

    @pytest.fixture
    def keys(self, ministack: Engine) -> KeyProvider:
        return ministack.direct.keys()


@pytest.mark.engine
class TestKeyStates:
    """A key that exists and does not serve, as ministack has it; moto goes on using such keys."""

    @pytest.fixture
    def key(self, ministack: Engine) -> str:
        return ministack.create_key()

    @pytest.fixture
    def both(self, ministack: Engine, key: str) -> Callable[[], None]:
        """Mints and opens, the one with a fresh and the other with an existing data key; both must fail alike."""
        keys = KmsKeys(ministack.transport, key)
        _, wrapped = keys.generate(CONTEXT)

        def use() -> None:
            with pytest.raises(KeyUnavailableError) as opening:
                keys.unwrap(wrapped, CONTEXT)
            try:
                keys.generate(CONTEXT)
            except KeyUnavailableError as minting:
                assert (str(minting), minting.code) == (str(opening.value), opening.value.code)
                raise

        return use

    def test_disabled(self, ministack: Engine, key: str, both: Callable[[], None]) -> None:
        """Someone can enable it."""
        ministack.client("kms").disable_key(KeyId=key)
        with pytest.raises(KeyUnavailableError, match=f"{key} in eu-west-1 is disabled") as caught:
            both()
        assert "enable-key" in (caught.value.hint or "")
        assert caught.value.code == "DisabledException"

    def test_enabled_again(self, ministack: Engine, key: str) -> None:
        """Nothing was lost."""
        keys = KmsKeys(ministack.transport, key)
        data_key, wrapped = keys.generate(CONTEXT)
        ministack.client("kms").disable_key(KeyId=key)
        ministack.client("kms").enable_key(KeyId=key)
        assert keys.unwrap(wrapped, CONTEXT) == data_key

    def test_pending_deletion(self, ministack: Engine, key: str, both: Callable[[], None]) -> None:
        """Every value is about to be lost: the hint says how to stop it."""
        ministack.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        with pytest.raises(KeyUnavailableError, match="is pending deletion") as caught:
            both()
        assert "cancel-key-deletion" in (caught.value.hint or "")
        assert caught.value.code == "KMSInvalidStateException"

    @pytest.mark.parametrize("engine", ["ministack", "moto"])
    def test_missing(self, engine: str, request: pytest.FixtureRequest) -> None:
        """The environment was never deployed, or elsewhere."""
        it: Engine = request.getfixturevalue(engine)
        with pytest.raises(KeyUnavailableError, match="alias/no-such-key in eu-west-1 does not exist") as caught:
            KmsKeys(it.transport, "alias/no-such-key").generate(CONTEXT)
        assert "dynastash deploy" in (caught.value.hint or "")

    def test_not_symmetric(self, ministack: Engine) -> None:
        """A key for something else."""
        made = ministack.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
        with pytest.raises(KeyProviderError, match="not a symmetric encryption key"):
            KmsKeys(ministack.transport, made["KeyMetadata"]["Arn"]).generate(CONTEXT)


@pytest.mark.engine
@pytest.mark.parametrize("engine", ["ministack", "moto"])
def test_an_alias_serves_as_key(engine: str, request: pytest.FixtureRequest) -> None:
    """The record then names the key behind it."""
    it: Engine = request.getfixturevalue(engine)
    key = it.create_key()
    alias = f"alias/{key.rpartition('/')[2]}"
    it.client("kms").create_alias(AliasName=alias, TargetKeyId=key)
    keys = KmsKeys(it.transport, alias)
    data_key, wrapped = keys.generate(CONTEXT)
    assert wrapped.key_id == key
    assert keys.unwrap(wrapped, CONTEXT) == data_key


@pytest.mark.engine
def test_a_move_between_keys(moto: Engine) -> None:
    """Rewrapped under the new key, a data key opens without the old one being trusted.

    moto ignores ReEncrypt's SourceKeyId, and calls a wrong KeyId of Decrypt a denial: that only a trusted key is
    asked for stands in the unit tests.
    """
    old, new = moto.create_key(), moto.create_key()
    data_key, wrapped = KmsKeys(moto.transport, old).generate(CONTEXT)
    moved = KmsKeys(moto.transport, new, [old]).rewrap(wrapped, CONTEXT)
    assert moved.key_id == new
    assert KmsKeys(moto.transport, new).unwrap(moved, CONTEXT) == data_key
    with pytest.raises(KeyProviderError):
        KmsKeys(moto.transport, new).unwrap(wrapped, CONTEXT)


def test_without_a_network_it_is_said_soon() -> None:
    """One line with the address, after a few attempts and five seconds of the clock."""
    engine = Engine("nobody", f"http://127.0.0.1:{free_port()}")
    clock = FakeClock()
    with pytest.raises(KeyUnavailableError, match=r"out of reach.*127\.0\.0\.1"):
        KmsKeys(BotoTransport(engine.session(), endpoint_url=engine.endpoint_url), "k", clock=clock).generate(CONTEXT)
    assert clock.monotonic() < 8
