"""Opening a transport: which class it becomes, and that both fail in the same words where credentials do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynastash.aws.base import AwsSettings, Operation
from dynastash.aws.boto import BotoTransport
from dynastash.aws.choose import open_transport
from dynastash.aws.direct.transport import DirectTransport
from dynastash.errors import ConfigError, CredentialsError
from tests.engines.metadata import Metadata, expiring, serving

QUERY = {"TableName": "t"}


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with nothing but a home and a Region."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return monkeypatch


@pytest.fixture
def keys(plain: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The same, with keys."""
    plain.setenv("AWS_ACCESS_KEY_ID", "key-env")
    plain.setenv("AWS_SECRET_ACCESS_KEY", "made-up-env")
    return plain


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with serving() as server:
        yield server


def test_plain_settings_are_direct(keys: pytest.MonkeyPatch) -> None:
    transport = open_transport(AwsSettings())
    assert isinstance(transport, DirectTransport)
    assert (transport.region, transport.access_key()) == ("eu-west-1", "key-env")


def test_anything_else_is_botos(keys: pytest.MonkeyPatch) -> None:
    keys.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    transport = open_transport(AwsSettings(region="us-east-1"))
    assert isinstance(transport, BotoTransport)
    assert (transport.region, transport.access_key()) == ("us-east-1", "key-env")


@pytest.mark.parametrize("wanted", ["", "direct"])
def test_a_session_is_used_whatever_the_variable_says(keys: pytest.MonkeyPatch, wanted: str) -> None:
    keys.setenv("DYNASTASH_TRANSPORT", wanted)
    session = boto3.Session(aws_access_key_id="key-own", aws_secret_access_key="made-up", region_name="us-east-2")
    transport = open_transport(AwsSettings(), session)
    assert isinstance(transport, BotoTransport)
    assert (transport.region, transport.access_key()) == ("us-east-2", "key-own")


def test_the_authorities_that_are_set_are_used(keys: pytest.MonkeyPatch, tmp_path: Path, metadata: Metadata) -> None:
    keys.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match="certificate authorities cannot be read"):
        open_transport(AwsSettings(endpoint_url=metadata.url.replace("http", "https"))).call(Operation.QUERY, QUERY)


def _instance(metadata: Metadata) -> dict[str, str]:
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url, "AWS_EC2_METADATA_DISABLED": "false"}


def _container(metadata: Metadata) -> dict[str, str]:
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/credentials"}


UNEXPECTED = "the AWS credentials cannot be had: their source gives an unexpected answer"
EXPIRED = "the AWS credentials have expired (ExpiredToken)"


@pytest.mark.parametrize(
    ("source", "parts", "said"),
    [
        (_container, None, UNEXPECTED),
        (_container, {"SecretAccessKey": None}, UNEXPECTED),
        (_container, {"Expiration": "soon"}, "the AWS configuration is invalid: unknown string format: soon"),
        (_container, {"Expiration": expiring(-60)}, EXPIRED),
        (_instance, None, "no AWS credentials were found"),
        (_instance, {"Token": None}, "no AWS credentials were found"),
    ],
)
def test_credentials_that_cannot_be_had_are_no_defect_of_dynastash_and_no_reason_to_wait(
    plain: pytest.MonkeyPatch, metadata: Metadata, source: Any, parts: dict[str, Any] | None, said: str
) -> None:
    """Once a KeyError out of botocore, and 30 seconds of attempts to read a table with expired credentials."""
    document = {"Code": "Failed", "Message": "no role"} if parts is None else metadata.document("x", **parts)
    metadata.container = metadata.instance = document
    for variable, value in source(metadata).items():
        plain.setenv(variable, value)
    errors = []
    for transport in ("boto", "direct"):
        plain.setenv("DYNASTASH_TRANSPORT", transport)
        opened = open_transport(AwsSettings(endpoint_url="http://127.0.0.1:9"))
        assert isinstance(opened, DirectTransport) == (transport == "direct")
        for use in (lambda: opened.call(Operation.QUERY, QUERY), opened.access_key):  # noqa: B023
            with pytest.raises(ConfigError) as caught:
                use()
            errors.append((type(caught.value), str(caught.value), caught.value.hint))
    assert set(errors) == {errors[0]}
    assert errors[0][1] == said
    if not said.startswith("the AWS configuration"):
        assert errors[0][0] is CredentialsError


@pytest.mark.parametrize("source", [_container, _instance])
def test_version_1_and_second_attempts_are_boto3s_and_give_credentials(
    plain: pytest.MonkeyPatch, metadata: Metadata, source: Any
) -> None:
    """What the first attempt does not get, botocore's patience and its ways back do."""
    for variable, value in source(metadata).items():
        plain.setenv(variable, value)
    metadata.status = {"PUT /latest/api/token": 404}  # an instance that knows version 1 only
    metadata.once = {"GET /credentials": 500}
    metadata.version_1 = True
    transport = open_transport(AwsSettings())
    assert isinstance(transport, DirectTransport)
    assert transport.access_key().startswith("key-")


def test_opening_and_calling_direct_loads_nothing_of_botocore(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom dynastash.aws.choose import open_transport\nfrom dynastash.aws.base import *\n"
        "try: open_transport(AwsSettings()).call(Operation.QUERY, {'TableName': 't'})\n"
        "except CallError as error: print(error.failure.value)\n"
        "print([m for m in ('boto3', 'botocore', 'configparser', 'urllib3', 'ssl') if m in sys.modules])"
    )
    variables = {
        "HOME": str(tmp_path),
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "unreachable\n[]\n"


def test_credentials_that_boto3_finds_take_neither_boto3_nor_a_client(tmp_path: Path) -> None:
    """botocore's session with its chain, and not a single model of a service."""
    program = (
        "import sys\nfrom dynastash.aws.choose import open_transport\nfrom dynastash.aws.base import *\n"
        "transport = open_transport(AwsSettings())\n"
        "print([m for m in ('boto3', 'botocore') if m in sys.modules])\n"
        "import botocore.client, botocore.loaders\n"
        "def fail(*_, **__): raise AssertionError\n"
        "botocore.client.ClientCreator.create_client = botocore.loaders.Loader.load_service_model = fail\n"
        "print(transport.access_key())\n"
        "try: transport.call(Operation.QUERY, {'TableName': 't'})\n"
        "except CallError as error: print(error.failure.value)\n"
        "print([m for m in ('boto3', 's3transfer', 'dynastash.aws.boto') if m in sys.modules])"
    )
    process = tmp_path / "process"
    process.write_text("""#!/bin/sh\necho '{"Version": 1, "AccessKeyId": "key", "SecretAccessKey": "made-up"}'\n""")
    process.chmod(0o700)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    variables = {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "key", "unreachable", "[]"]
