"""What boto3 would do with settings, variables and files: asked of boto3 itself, up to the bytes that it would send."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from dynastash.aws.base import AwsSettings
from dynastash.aws.boto import make_session, region_of

_CALLS = {
    "dynamodb": ("query", {"TableName": "t", "KeyConditionExpression": "a = b"}),
    "kms": ("list_keys", {}),
    "sts": ("get_caller_identity", {}),
}


@dataclass(frozen=True)
class Answer:
    """What requests to each service hold, and how they would travel. ``secret`` signs them."""

    region: str
    access_key: str
    secret: str
    token: str | None
    method: str
    verify: Any
    urls: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def only(variables: Mapping[str, str]) -> Iterator[None]:
    """``variables`` as the whole environment of this process."""
    with patch.dict(os.environ, variables, clear=True):
        yield


@cache
def _loader() -> Loader:
    return create_loader()


def ask(settings: AwsSettings, variables: Mapping[str, str], services: tuple[str, ...] = tuple(_CALLS)) -> Answer:
    """boto3's answer. Raises whatever it raises; nothing leaves the machine but a look for its own credentials."""
    with only(variables):
        session = make_session(settings)
        session._session.register_component("data_loader", _loader())  # type: ignore[attr-defined]
        found = session.get_credentials()
        if found is None:
            raise LookupError("no credentials")
        frozen = found.get_frozen_credentials()
        requests = {service: _request(session, settings, service) for service in services}
        scopes = {_scope(request) for request, _ in requests.values()}
        (region,) = {scope[1] for scope in scopes}
        (key,) = {scope[0] for scope in scopes}
        assert key == frozen.access_key
        for request, _ in requests.values():
            assert _header(request, "X-Amz-Security-Token") == frozen.token
        (verify,) = {verify for _, verify in requests.values()}
        return Answer(
            region=region,
            access_key=str(frozen.access_key),
            secret=str(frozen.secret_key),
            token=frozen.token,
            method=found.method,
            verify=verify,
            urls={service: request.url.rstrip("/") for service, (request, _) in requests.items()},
        )


def _request(session: boto3.Session, settings: AwsSettings, service: str) -> tuple[Any, Any]:
    make: Any = session.client
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    region = settings.region or region_of(session)
    client = make(service, region_name=region, endpoint_url=settings.endpoint_url, config=config)
    seen: list[Any] = []

    def catch(request: Any, **_: Any) -> AWSResponse:
        seen.append(request)
        return AWSResponse(request.url, 500, {}, _Empty())

    client.meta.events.register("before-send", catch)
    operation, arguments = _CALLS[service]
    with contextlib.suppress(Exception):
        getattr(client, operation)(**arguments)
    return seen[0], client._endpoint.http_session._verify


def _scope(request: Any) -> tuple[str, str]:
    match = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", _header(request, "Authorization") or "")
    assert match is not None
    return match[1], match[2]


def _header(request: Any, name: str) -> str | None:
    value = request.headers.get(name)
    return value.decode() if isinstance(value, bytes) else value


class _Empty:
    def stream(self) -> Iterator[bytes]:
        yield b"{}"

    def read(self) -> bytes:
        return b"{}"
