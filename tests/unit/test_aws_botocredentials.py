"""Credentials that boto3 finds, under requests that go without it: the same keys, the same errors, the same renewal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynastash.aws.base import AwsSettings, CallError, Failure, Operation, Transport
from dynastash.aws.boto import BotoTransport
from dynastash.aws.botocredentials import BotoCredentials
from dynastash.aws.choose import choose, open_transport
from dynastash.aws.direct.transport import DirectTransport
from dynastash.errors import ConfigError, CredentialsError, DynastashError
from tests.engines.canned import Answer, Canned, canned
from tests.engines.metadata import expiring, serving
from tests.engines.servers import free_port

QUERY = {"TableName": "t"}
ROLE = "arn:aws:iam::123456789012:role/app"
START = "https://example.awsapps.com/start"
SSO = (
    "sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n"
    f"[sso-session corp]\nsso_start_url = {START}\nsso_region = eu-west-1\n"
)
SOURCE = (
    f"role_arn = {ROLE}\nsource_profile = base\n"
    "[profile base]\naws_access_key_id = key-base\naws_secret_access_key = made-up\n"
)
WEB = f"role_arn = {ROLE}\nweb_identity_token_file = "


def assumed(action: str) -> Answer:
    """STS's answer with credentials."""
    return Answer(
        body=f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
        "<AccessKeyId>key-role</AccessKeyId><SecretAccessKey>made-up</SecretAccessKey><SessionToken>token</SessionToken>"
        f"<Expiration>2199-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>".encode()
    )


def refused(code: str, status: int) -> Answer:
    """STS's answer without any."""
    return Answer(
        status, f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>".encode()
    )


class Surroundings:
    """A home with AWS's files, and a server that is DynamoDB and, unless ``sts`` says otherwise, gives no role."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, server: Canned) -> None:
        self.home = home
        self.patch = monkeypatch
        self.server = server
        self.settings = AwsSettings(endpoint_url=server.url)
        self.sts = refused("AccessDenied", 403)
        server.answer = lambda _, body: self.sts if body.startswith(b"Action=") else Answer(body=b'{"Items": []}')

    def profile(self, settings: str) -> None:
        """Make ``settings`` those of the default profile; further ones may follow."""
        (self.home / ".aws/config").write_text(f"[default]\n{settings}")

    def process(self, **parts: object) -> None:
        """Make a program print credentials that are named after how often it ran, but for ``parts``."""
        document = json.dumps({"Version": 1, "SecretAccessKey": "made-up", "AccessKeyId": "key-N", **parts})
        (self.home / "document").write_text(document)
        program = self.home / "program"
        program.write_text(
            f'#!/bin/sh\ncd {self.home}\necho x >> runs\nn=$(wc -l < runs)\nsed "s/key-N/key-$((n))/" document\n'
        )
        program.chmod(0o700)
        self.profile(f"credential_process = {program}\n")

    @property
    def runs(self) -> int:
        """How often the program ran."""
        runs = self.home / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    def signed(self) -> list[str]:
        """The access keys of the requests to DynamoDB."""
        return [
            headers["authorization"].split("Credential=")[1].split("/")[0]
            for headers, _ in self.server.requests
            if "x-amz-target" in headers
        ]

    def opened(self, transport: str, settings: AwsSettings | None = None) -> Transport:
        """``transport``, with calls to the server."""
        self.patch.setenv("DYNASTASH_TRANSPORT", transport)
        opened = open_transport(settings or self.settings)
        assert isinstance(opened, DirectTransport if transport == "direct" else BotoTransport)
        return opened


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    (tmp_path / ".aws").mkdir()
    for variable, value in {
        "HOME": str(tmp_path),
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(variable, value)
    # Wherever another test's surroundings have put them.
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(variable, raising=False)
    with canned(Answer()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield Surroundings(tmp_path, monkeypatch, server)


def told(use: Callable[[], object]) -> tuple[object, ...]:
    """All that a caller sees of a failure."""
    with pytest.raises((CallError, DynastashError)) as caught:
        use()
    error = caught.value
    if isinstance(error, CallError):
        return type(error), str(error), error.operation, error.failure, error.code, error.message
    assert isinstance(error, ConfigError)
    return type(error), str(error), error.hint


def token(around: Surroundings, expires: str) -> None:
    """An SSO token as ``aws sso login`` leaves it."""
    cache = around.home / ".aws/sso/cache"
    cache.mkdir(parents=True)
    # botocore looks for the home directory when it is loaded, which was for another test.
    around.patch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(cache))
    around.patch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(cache))
    name = hashlib.sha1(b"corp").hexdigest()
    kept = {"startUrl": START, "region": "eu-west-1", "accessToken": "made-up", "expiresAt": expires}
    (cache / f"{name}.json").write_text(json.dumps(kept))


def by_process(around: Surroundings) -> str:
    around.process(AccessKeyId="key-process")
    return "key-process"


def by_role(around: Surroundings) -> str:
    around.sts = assumed("AssumeRole")
    around.profile(SOURCE)
    return "key-role"


def by_web_identity(around: Surroundings) -> str:
    around.sts = assumed("AssumeRoleWithWebIdentity")
    (around.home / "token").write_text("made-up")
    around.profile(f"{WEB}{around.home}/token\n")
    return "key-role"


def by_web_identity_of_the_environment(around: Surroundings) -> str:
    around.sts = assumed("AssumeRoleWithWebIdentity")
    (around.home / "token").write_text("made-up")
    around.patch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f"{around.home}/token")
    around.patch.setenv("AWS_ROLE_ARN", ROLE)
    return "key-role"


def by_an_old_file(around: Surroundings) -> str:
    (around.home / ".boto").write_text("[Credentials]\naws_access_key_id = key-old\naws_secret_access_key = made-up\n")
    return "key-old"


@pytest.mark.parametrize(
    "kind", [by_process, by_role, by_web_identity, by_web_identity_of_the_environment, by_an_old_file]
)
def test_both_sign_with_what_boto3_finds(around: Surroundings, kind: Callable[[Surroundings], str]) -> None:
    key = kind(around)
    for transport in ("boto", "direct"):
        opened = around.opened(transport)
        assert opened.call(Operation.QUERY, QUERY) == {"Items": []}
        assert opened.access_key() == key
    assert around.signed() == [key, key]


def test_both_sign_with_what_sso_gives(around: Surroundings) -> None:
    """With the token that the AWS CLI's login has left."""
    around.profile(SSO)
    token(around, "2199-01-01T00:00:00Z")
    body = json.dumps(
        {
            "roleCredentials": {
                "accessKeyId": "key-sso", "secretAccessKey": "made-up", "sessionToken": "t", "expiration": 7226582400000
            }
        }
    ).encode()  # fmt: skip
    with serving() as portal:
        path = "/federation/credentials?role_name=dev&account_id=123456789012"
        portal.raw[f"GET {path}"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        around.patch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        for transport in ("boto", "direct"):
            around.opened(transport).call(Operation.QUERY, QUERY)
    assert around.signed() == ["key-sso", "key-sso"]


def test_a_role_of_the_settings_is_assumed(around: Surroundings) -> None:
    around.sts = assumed("AssumeRole")
    around.patch.setenv("AWS_ACCESS_KEY_ID", "key-env")
    around.patch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    settings = AwsSettings(role_arn=ROLE, external_id="tenant-7", endpoint_url=around.server.url)
    for transport in ("boto", "direct"):
        around.opened(transport, settings).call(Operation.QUERY, QUERY)
    asked = [body for _, body in around.server.requests if body.startswith(b"Action=")]
    assert around.signed() == ["key-role", "key-role"]
    assert len(asked) == 2 and asked[0] == asked[1] and b"ExternalId=tenant-7" in asked[0]


def no_login(around: Surroundings) -> None:
    around.profile(SSO)


def an_expired_login(around: Surroundings) -> None:
    around.profile(SSO)
    token(around, "2001-01-01T00:00:00Z")


def no_aws_login(around: Surroundings) -> None:
    around.profile("login_session = arn:aws:iam::123456789012:user/ada\n")


def no_token(around: Surroundings) -> None:
    around.profile(f"{WEB}{around.home}/missing\n")


def a_failing_process(around: Surroundings) -> None:
    around.profile("credential_process = sh -c 'echo made-up >&2; exit 3'\n")


def a_missing_process(around: Surroundings) -> None:
    around.profile("credential_process = /nowhere/at-all\n")


def a_babbling_process(around: Surroundings) -> None:
    around.profile("credential_process = echo made-up\n")


def an_outdated_process(around: Surroundings) -> None:
    around.process(Expiration=expiring(-60), SessionToken="token")


def a_role_without_a_source(around: Surroundings) -> None:
    around.profile(f"role_arn = {ROLE}\nsource_profile = nobody\n")


def a_refused_role(around: Surroundings) -> None:
    around.profile(SOURCE)


def a_role_in_the_settings(around: Surroundings, url: str) -> None:
    """Which is asked for once, where botocore asks four times more for a profile's."""
    around.patch.setenv("AWS_ACCESS_KEY_ID", "key-env")
    around.patch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    around.settings = AwsSettings(role_arn=ROLE, endpoint_url=url)


def a_throttled_role(around: Surroundings) -> None:
    a_role_in_the_settings(around, around.server.url)
    around.sts = refused("Throttling", 400)


def a_role_out_of_reach(around: Surroundings) -> None:
    a_role_in_the_settings(around, f"http://127.0.0.1:{free_port()}")


def an_unreadable_answer(around: Surroundings) -> None:
    a_role_in_the_settings(around, around.server.url)
    around.sts = Answer(body=b"<AssumeRoleResponse>")


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        (no_login, CredentialsError, "the AWS SSO login is missing or has expired"),
        (an_expired_login, CredentialsError, "the AWS SSO login is missing or has expired"),
        (no_aws_login, CredentialsError, "login"),
        (no_token, CredentialsError, "/missing: No such file"),
        (a_failing_process, CredentialsError, "the credential process failed"),
        (a_missing_process, CredentialsError, "/nowhere/at-all: No such file"),
        (a_babbling_process, DynastashError, ""),
        (an_outdated_process, CredentialsError, "the AWS credentials have expired"),
        (a_role_without_a_source, ConfigError, "nobody"),
        (a_refused_role, CredentialsError, "the role cannot be assumed: no (AccessDenied)"),
        (a_throttled_role, CallError, "Throttling"),
        (a_role_out_of_reach, CallError, "could not connect"),
        (an_unreadable_answer, CallError, ""),
    ],
)  # fmt: skip
def test_both_fail_in_the_same_words(
    around: Surroundings, trouble: Callable[[Surroundings], None], kind: type[Exception], said: str
) -> None:
    """A failure that may pass stays the call's own, which is what patience goes by."""
    trouble(around)
    seen: list[tuple[object, ...]] = []
    for transport in ("boto", "direct"):
        opened = around.opened(transport)
        flight = opened.flight()
        flight.send(7, Operation.QUERY, QUERY)
        ((ticket, end),) = flight.wait(None)
        assert ticket == 7 and isinstance(end, Exception)

        def fail(error: Exception = end) -> None:
            raise error

        uses = (lambda: opened.call(Operation.QUERY, QUERY), fail, opened.access_key)  # noqa: B023
        seen.append(tuple(told(use) for use in uses))
    assert seen[0] == seen[1]
    assert issubclass(seen[0][0][0], kind) and said in str(seen[0][0][1])  # type: ignore[index, arg-type]
    assert seen[0][0] == seen[0][1]
    assert issubclass(seen[0][2][0], ConfigError)  # type: ignore[index, arg-type]
    assert "made-up" not in str(seen)
    assert around.signed() == []


def test_a_role_that_cannot_be_had_for_now_is_a_call_that_may_be_repeated(around: Surroundings) -> None:
    """Once the credentials come, so does the answer; what was not to be had is not kept."""
    a_throttled_role(around)
    opened = around.opened("direct")
    with pytest.raises(CallError) as caught:
        opened.call(Operation.QUERY, QUERY)
    assert (caught.value.failure, caught.value.operation) == (Failure.UNREACHABLE, Operation.QUERY)
    assert not caught.value.uncertain
    around.sts = assumed("AssumeRole")
    assert opened.call(Operation.QUERY, QUERY) == {"Items": []}


def test_a_code_that_nobody_can_be_asked_for(around: Surroundings) -> None:
    around.patch.setenv("AWS_ACCESS_KEY_ID", "key-env")
    around.patch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    settings = AwsSettings(
        role_arn=ROLE, mfa_serial="arn:aws:iam::123456789012:mfa/ada", endpoint_url=around.server.url
    )
    both = [
        told(lambda: around.opened(transport, settings).call(Operation.QUERY, QUERY))  # noqa: B023
        for transport in ("boto", "direct")
    ]
    assert both[0] == both[1]
    assert "nobody can be asked for it" in str(both[0][1])


@pytest.mark.parametrize(("seconds", "runs"), [(3600, 1), (60, 3)])
def test_they_are_renewed_in_time(around: Surroundings, seconds: int, runs: int) -> None:
    around.process(Expiration=expiring(seconds), SessionToken="token")
    opened = around.opened("direct")
    for _ in range(3):
        opened.call(Operation.QUERY, QUERY)
    assert around.runs >= runs if runs > 1 else around.runs == 1
    assert len(set(around.signed())) == runs


def test_threads_share_what_was_found(around: Surroundings) -> None:
    """And it is one object, to which the signer keeps what it has made of it."""
    around.process()
    source = BotoCredentials(AwsSettings())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: source.get(), range(32)))
    assert around.runs == 1
    assert {credentials.access_key for credentials in found} == {"key-1"}
    assert source.get() is source.get()


def test_a_forked_process_does_not_wait_for_its_parents_threads(around: Surroundings) -> None:
    around.process()
    source = BotoCredentials(AwsSettings())
    source._lock.acquire()
    around.patch.setattr("dynastash.aws.botocredentials.os.getpid", lambda: 1)
    assert source.get().access_key == "key-1"


@pytest.mark.parametrize("account", ["123456789012", "12345", "x", None])
def test_the_account_of_the_credentials_names_the_endpoint(around: Surroundings, account: str | None) -> None:
    """As it does for boto3."""
    around.process(**({} if account is None else {"AccountId": account}))
    plan = choose(AwsSettings()).plan
    assert plan is not None
    boto: Any = BotoTransport(boto3.Session())._client("dynamodb")
    expected: list[str] = []
    boto.meta.events.register("before-send", lambda request, **_: expected.append(request.url.rstrip("/")) or _stop())
    with pytest.raises(_Stop):
        boto.list_tables()
    assert [plan.endpoints("dynamodb")] == expected


@pytest.mark.parametrize("account", ["evil.example.com/", "a.b", "-a", "a b", "ü"])
def test_an_account_that_is_no_part_of_a_hosts_name(around: Surroundings, account: str) -> None:
    around.process(AccountId=account)
    both = [
        told(lambda: around.opened(transport, AwsSettings()).call(Operation.QUERY, QUERY))  # noqa: B023
        for transport in ("boto", "direct")
    ]
    assert both[0] == both[1]
    assert both[0][0] is ConfigError


class _Stop(Exception):
    """Far enough."""


def _stop() -> None:
    raise _Stop
