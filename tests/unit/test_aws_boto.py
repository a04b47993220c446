"""boto3's clients as a transport: against servers that misbehave, and with configurations that do not work."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynastash.aws.base import AwsSettings, CallError, Failure, Operation
from dynastash.aws.boto import BotoTransport, make_session
from dynastash.aws.identity import Identity
from dynastash.errors import ConfigError, CredentialsError
from tests.engines.canned import Answer, canned, refusal
from tests.engines.servers import free_port

QUERY: Mapping[str, Any] = {"TableName": "some-table"}
DATA_KEY = b"sixteen bytes..." * 2
MINTED = Answer(
    body=json.dumps(
        {
            "KeyId": "arn:aws:kms:eu-west-1:1:key/2",
            "Plaintext": base64.b64encode(DATA_KEY).decode(),
            "CiphertextBlob": base64.b64encode(b"wrapped").decode(),
        }
    ).encode()
)


def session() -> boto3.Session:
    """A session that needs nothing from outside."""
    return boto3.Session(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret", region_name="eu-west-1")


def transport(url: str) -> BotoTransport:
    """A transport to ``url``."""
    return BotoTransport(session(), endpoint_url=url)


@pytest.fixture
def aws_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AWS config file of the test's own, and a home without SSO caches."""
    path = tmp_path / "config"
    path.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


def test_a_forked_process_gets_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pre-fork server's children would otherwise read each other's answers from one socket."""
    made = transport("http://127.0.0.1:1")
    client = made._client("dynamodb")
    assert made._client("dynamodb") is client
    monkeypatch.setattr("dynastash.aws.boto.os.getpid", lambda: 1)
    made._lock.acquire()  # by a thread that is the parent's
    assert made._client("dynamodb") is not client


class TestCalls:
    """Replies and failures as they come over the wire."""

    def test_the_environment_does_not_bring_other_retries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two policies, one inside the other, would multiply."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
        monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
        with canned(refusal("ThrottlingException")) as server, pytest.raises(CallError):
            transport(server.url).call(Operation.QUERY, QUERY)
        assert len(server.requests) == 1

    def test_a_request_that_botocore_refuses_is_not_shown(self) -> None:
        """Its validation error would print the request, at every depth of the exception's chain."""
        bad = {**QUERY, "ExpressionAttributeValues": {":v": {"B": ["hunter2"]}}}
        with pytest.raises(CallError) as caught:
            transport("http://127.0.0.1:1").call(Operation.QUERY, bad)
        assert caught.value.failure is Failure.REJECTED
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_threads_share_one_client(self) -> None:
        """Making clients from several threads is what boto3's sessions forbid."""
        made: list[str] = []
        together = threading.Barrier(8)

        class Watched(boto3.Session):
            def client(self, service_name: str, **options: Any) -> Any:  # type: ignore[override]
                made.append(service_name)
                return super().client(service_name, **options)  # type: ignore[call-overload]

        with canned(Answer(body=b'{"Items": []}')) as server:
            watched = Watched(aws_access_key_id="A", aws_secret_access_key="s", region_name="eu-west-1")
            shared = BotoTransport(watched, endpoint_url=server.url)

            def call(_: int) -> dict[str, Any]:
                together.wait()
                return shared.call(Operation.QUERY, QUERY)

            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(call, range(8))) == [{"Items": []}] * 8
        assert made == ["dynamodb"]

    def test_patience_of_the_clients(self) -> None:
        """Room for 64 calls at once, time-outs well below the deadline; for the author's name hardly any wait."""
        it = transport("http://127.0.0.1:1")
        configs = {service: it._client(service).meta.config for service in ("dynamodb", "kms", "sts")}
        for service in ("dynamodb", "kms"):
            assert configs[service].max_pool_connections >= 64
            assert configs[service].connect_timeout <= 5
            assert 5 <= configs[service].read_timeout <= 15
        assert configs["sts"].connect_timeout + configs["sts"].read_timeout <= 5


class TestSecrecy:
    """Data keys in the clear pass through botocore."""

    def test_the_debug_log_does_not_show_data_keys(self, caplog: pytest.LogCaptureFixture) -> None:
        """botocore logs the body of every answer; of KMS's it has nothing to show."""
        with caplog.at_level(logging.DEBUG), canned(MINTED) as server:
            reply = transport(server.url).call(Operation.GENERATE_DATA_KEY, {"KeyId": "alias/x"})
        assert reply["Plaintext"] == DATA_KEY
        assert "Response body" in caplog.text
        assert base64.b64encode(DATA_KEY).decode() not in caplog.text
        assert repr(DATA_KEY) not in caplog.text

    def test_a_malformed_answer_is_not_quoted(self, caplog: pytest.LogCaptureFixture) -> None:
        """Neither in the message nor in the chain: it could be half a data key."""
        half = MINTED.body[:-2]
        with caplog.at_level(logging.DEBUG), canned(Answer(body=half)) as server, pytest.raises(CallError) as caught:
            transport(server.url).call(Operation.DECRYPT, {"CiphertextBlob": b"x"})
        assert caught.value.__cause__ is None
        assert base64.b64encode(DATA_KEY).decode() not in str(caught.value) + caplog.text


class TestSettings:
    """Regions, endpoints, profiles and credentials."""

    def test_without_a_region(self) -> None:
        """Found out when the transport is made."""
        with pytest.raises(ConfigError, match="no AWS region") as caught:
            BotoTransport(make_session(AwsSettings()))
        assert "--region" in (caught.value.hint or "")

    @pytest.mark.parametrize("variable", ["AWS_DEFAULT_REGION", "AWS_REGION"])
    def test_the_region_of_the_environment(self, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both variables are about, and settings come before them."""
        monkeypatch.setenv(variable, "eu-north-1")
        assert BotoTransport(make_session(AwsSettings())).region == "eu-north-1"
        assert BotoTransport(make_session(AwsSettings(region="us-east-2"))).region == "us-east-2"
        assert BotoTransport(make_session(AwsSettings()), region="us-west-1").region == "us-west-1"

    def test_the_endpoint_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """AWS_ENDPOINT_URL means what it means to boto3."""
        with canned(Answer(body=b'{"Count": 7}')) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            assert BotoTransport(session()).call(Operation.QUERY, QUERY) == {"Count": 7}

    def test_a_profile(self, aws_config: Path) -> None:
        """Its region and credentials are used."""
        aws_config.write_text(
            "[profile work]\nregion = eu-south-1\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n"
        )
        work = BotoTransport(make_session(AwsSettings(profile="work")))
        assert (work.region, work.access_key()) == ("eu-south-1", "AKIAWORK")

    def test_a_profile_that_does_not_exist(self) -> None:
        """Named in the settings."""
        with pytest.raises(ConfigError, match="profile nobody does not exist"):
            make_session(AwsSettings(profile="nobody"))

    def test_a_profile_of_the_environment_that_does_not_exist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """AWS_PROFILE is found out at the same place."""
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(ConfigError, match="profile nobody does not exist"):
            BotoTransport(make_session(AwsSettings(region="eu-west-1"))).call(Operation.QUERY, QUERY)

    def test_a_config_file_that_cannot_be_parsed(self, aws_config: Path) -> None:
        """Named with its path."""
        aws_config.write_text("[profile work\nregion=")
        with pytest.raises(ConfigError, match=str(aws_config)):
            BotoTransport(make_session(AwsSettings(profile="work", region="eu-west-1")))

    def test_an_endpoint_that_is_no_url(self) -> None:
        """Shown as it was given."""
        with pytest.raises(ConfigError, match="nonsense"):
            transport("nonsense").call(Operation.QUERY, QUERY)

    def test_a_region_that_is_no_region(self) -> None:
        """Shown as it was given."""
        with pytest.raises(ConfigError, match="not a region"):
            BotoTransport(session(), region="not a region").call(Operation.QUERY, QUERY)

    def test_no_credentials(self) -> None:
        """Said before any connection."""
        with pytest.raises(CredentialsError, match="no AWS credentials") as caught:
            BotoTransport(boto3.Session(region_name="eu-west-1")).call(Operation.QUERY, QUERY)
        assert "AWS_PROFILE" in (caught.value.hint or "")

    def test_half_a_credential(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The missing half is named."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        with pytest.raises(CredentialsError, match="AWS_SECRET_ACCESS_KEY"):
            BotoTransport(boto3.Session(region_name="eu-west-1")).call(Operation.QUERY, QUERY)

    def test_a_login_that_has_not_happened(self, aws_config: Path) -> None:
        """SSO without a cached token: the hint is the command to run."""
        aws_config.write_text(
            "[profile work]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 1\nsso_role_name = dev\n"
            "[sso-session corp]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
        )
        work = BotoTransport(make_session(AwsSettings(profile="work")))
        with pytest.raises(CredentialsError, match="SSO") as caught:
            work.call(Operation.QUERY, QUERY)
        assert caught.value.hint == "run aws sso login --profile work"

    def test_a_credential_process_that_fails(self, aws_config: Path) -> None:
        """What it printed is not repeated."""
        aws_config.write_text(
            "[profile work]\nregion = eu-west-1\ncredential_process = sh -c 'echo hunter2 >&2; exit 3'\n"
        )
        work = BotoTransport(make_session(AwsSettings(profile="work")))
        with pytest.raises(CredentialsError, match="credential process failed") as caught:
            work.call(Operation.QUERY, QUERY)
        assert "hunter2" not in str(caught.value)


def sts(action: str, content: str) -> Answer:
    """An answer of STS, which speaks XML."""
    body = f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{content}'
    return Answer(body=f"{body}</{action}Result></{action}Response>".encode())


def assumed(seconds: int) -> Answer:
    """Credentials of a role for so many seconds."""
    expires = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return sts(
        "AssumeRole",
        "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>"
        f"<SessionToken>token</SessionToken><Expiration>{expires}</Expiration></Credentials>",
    )


class TestRole:
    """A role to assume, on top of whatever credentials there are."""

    @pytest.fixture(autouse=True)
    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The caller's own."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOURCE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    @staticmethod
    def assuming(url: str, region: str | None = "eu-west-1") -> BotoTransport:
        """A transport that assumes a role at ``url``, where everything else is as well."""
        settings = AwsSettings(region=region, role_arn="arn:aws:iam::123456789012:role/app", endpoint_url=url)
        return BotoTransport(make_session(settings), endpoint_url=url)

    @pytest.mark.parametrize(("seconds", "renewed"), [(3600, False), (60, True)], ids=["lasting", "expiring"])
    def test_it_is_assumed_once_and_renewed_in_time(self, seconds: int, renewed: bool) -> None:
        """By the caller's own credentials; calls are signed with the role's."""
        with canned(Answer()) as server:
            server.answer = lambda headers, body: assumed(seconds) if b"Action=AssumeRole" in body else Answer()
            role = self.assuming(server.url)
            for _ in range(3):
                role.call(Operation.QUERY, QUERY)
        signed = [headers["authorization"].split("/")[0].split("=")[1] for headers, _ in server.requests]
        assert signed.count("AKIASOURCE") >= 3 if renewed else signed.count("AKIASOURCE") == 1
        assert signed.count("ASIAROLE") == 3
        assert any(b"role%2Fapp" in body for _, body in server.requests)

    def test_it_works_with_the_region_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also with the variable that boto3 does not read."""
        monkeypatch.setenv("AWS_REGION", "eu-west-3")
        with canned(assumed(3600)) as server:
            assert self.assuming(server.url, None).access_key() == "ASIAROLE"

    def test_its_credentials_are_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """botocore would show the answer of STS."""
        with caplog.at_level(logging.DEBUG), canned(assumed(3600)) as server:
            assert self.assuming(server.url).access_key() == "ASIAROLE"
        assert "Response body" in caplog.text
        assert "hunter2" not in caplog.text

    def test_it_cannot_be_assumed(self) -> None:
        """One line with AWS's reason, and where to look."""
        denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform</Message></Error>"
        with (
            canned(Answer(403, denied + b"</ErrorResponse>")) as server,
            pytest.raises(CredentialsError, match="role cannot be assumed: not authorized") as caught,
        ):
            self.assuming(server.url).call(Operation.QUERY, QUERY)
        assert "trust policy" in (caught.value.hint or "")

    def test_there_is_nothing_to_assume_it_with(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same line as without a role."""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(CredentialsError, match="no AWS credentials"):
            self.assuming("http://127.0.0.1:1").call(Operation.QUERY, QUERY)


class TestIdentity:
    """Who writes, for the record's author."""

    def test_without_credentials_there_is_nobody(self) -> None:
        """Then nothing else will work either."""
        with pytest.raises(CredentialsError, match="no AWS credentials"):
            Identity(BotoTransport(boto3.Session(region_name="eu-west-1")))()

    def test_without_a_network_for_the_role_there_is_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The role's access key is STS's to give."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOURCE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with pytest.raises(CredentialsError, match="cannot be had"):
            Identity(TestRole.assuming(f"http://127.0.0.1:{free_port()}"))()
