"""KMS keeps the contract of key providers, on each engine as far as that can tell."""

from __future__ import annotations

import pytest

from dynastash.keys.base import KeyProvider
from dynastash.testing.contracts import KeyProviderContract, TamperProofKeyProviderContract
from tests.engines.engine import Engine


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

    @pytest.fixture
    def keys(self, ministack: Engine) -> KeyProvider:
        return ministack.keys()
