"""The environments behind the proxy, made once for each worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.engine import Engine
from tests.faults.embedded import Embedded, furnished
from tests.faults.proxy import Proxy
from tests.faults.site import Site


@pytest.fixture(scope="session")
def site(ministack: Engine) -> Iterator[Site]:
    """Both services at ministack."""
    with Proxy({"dynamodb": ministack.endpoint_url, "kms": ministack.endpoint_url}).running() as proxy:
        yield Site(ministack, ministack, proxy)


@pytest.fixture(scope="session")
def site_with_moto(ministack: Engine, moto: Engine) -> Iterator[Site]:
    """KMS at moto, which knows ReEncrypt, and DynamoDB at ministack, which isolates transactions."""
    with Proxy({"dynamodb": ministack.endpoint_url, "kms": moto.endpoint_url}).running() as proxy:
        yield Site(ministack, moto, proxy)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """What all copies of a SQLite file are made of."""
    return furnished(tmp_path_factory.mktemp("furnished"))
