"""Roles of other accounts, with what they ask for; and a second Region that is read while the first is away."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.boto import make_session
from dynastash.cli.app import app
from dynastash.cli.options import SecretName
from dynastash.config import Environment
from dynastash.errors import CredentialsError, StoreUnavailableError
from dynastash.wiring import open_environment
from tests.cli.runner import Cli
from tests.engines.canned import Answer, canned
from tests.engines.engine import REGION, Engine
from tests.engines.servers import free_port

pytestmark = pytest.mark.engine

ROLE = "arn:aws:iam::444455556666:role/reader"
MFA = "arn:aws:iam::111122223333:mfa/ada"
ASSUMED = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>made-up</SecretAccessKey><SessionToken>made-up</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@pytest.fixture(autouse=True)
def caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials in the environment, and a home of one's own for what boto3 keeps."""
    for name, text in {"ACCESS_KEY_ID": "AKIATEST", "SECRET_ACCESS_KEY": "made-up", "REGION": REGION}.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    monkeypatch.setenv("HOME", str(tmp_path))


def asked(settings: AwsSettings) -> list[str]:
    """The bodies of the requests to STS that making credentials takes."""
    from dataclasses import replace

    with canned(Answer(body=ASSUMED)) as server:
        session = make_session(replace(settings, endpoint_url=server.url))
        found = session.get_credentials()
        assert found is not None and found.get_frozen_credentials().access_key == "ASIATEST"
        return [body.decode() for _, body in server.requests]


def test_a_role_is_asked_for_as_configured() -> None:
    """External id, session name and duration reach STS."""
    (body,) = asked(
        AwsSettings(
            region=REGION, role_arn=ROLE, external_id="tenant-7", role_session_name="ada", duration_seconds=1800
        )
    )
    for part in ("ExternalId=tenant-7", "RoleSessionName=ada", "DurationSeconds=1800", "role%2Freader"):
        assert part in body
    (body,) = asked(AwsSettings(region=REGION, role_arn=ROLE))
    assert "RoleSessionName=dynastash" in body and "ExternalId" not in body and "SerialNumber" not in body


def test_a_code_is_asked_for_once(tmp_path: Path) -> None:
    """The session is kept, for its owner alone, and the next process asks nobody."""
    serials: list[str] = []

    def ask(serial: str) -> str:
        serials.append(serial)
        return "123456"

    settings = AwsSettings(region=REGION, role_arn=ROLE, mfa_serial=MFA, ask_mfa=ask)
    (body,) = asked(settings)
    assert "TokenCode=123456" in body and "SerialNumber=" in body and serials == [MFA]
    (kept,) = (tmp_path / ".aws/boto/cache").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert asked(AwsSettings(region=REGION, role_arn=ROLE, mfa_serial=MFA)) == [] and serials == [MFA]


def test_where_nobody_can_be_asked() -> None:
    """The library raises, from the first call on, and no call is made."""
    environment = Environment(
        name="prod",
        store="dynamodb",
        aws=AwsSettings(region=REGION, role_arn=ROLE, mfa_serial=MFA, endpoint_url="http://127.0.0.1:1"),
        table="t",
        key="alias/k",
    )
    with pytest.raises(CredentialsError, match=f"code of the MFA device {MFA}") as caught:
        open_environment(environment).get("app1/db")
    assert "terminal" in (caught.value.hint or "") and caught.value.__cause__ is None


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    return Cli(tmp_path, cwd)


def test_the_command_line_asks_at_a_terminal_only(cli: Cli) -> None:
    """In a pipe it says what to do."""
    (cli.cwd / "dynastash.toml").write_text(
        f'[env.prod]\nregion = "{REGION}"\nrole_arn = "{ROLE}"\nmfa_serial = "{MFA}"\n'
        'endpoint_url = "http://127.0.0.1:1"\n'
    )
    done = cli("get", "app1/db", "-e", "prod")
    assert done.code == 4
    assert "code of the MFA device" in done.err and "not a terminal" in done.err and "hint:" in done.err


def test_ctrl_c_at_the_prompt_ends_the_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was taken for a call that failed, and the code asked for again."""
    (cli.cwd / "dynastash.toml").write_text(
        f'[env.prod]\nregion = "{REGION}"\nrole_arn = "{ROLE}"\nmfa_serial = "{MFA}"\n'
        'endpoint_url = "http://127.0.0.1:1"\n'
    )
    prompts: list[str] = []

    def interrupted(text: str, **_: object) -> str:
        prompts.append(text)
        raise click.Abort

    monkeypatch.setattr("click.prompt", interrupted)
    monkeypatch.setattr("dynastash.cli.asking.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    assert cli("get", "app1/db", "-e", "prod").code == 130
    assert prompts == [f"code of the MFA device {MFA}"]


def test_completion_asks_nobody(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt is no place for another."""
    (cli.cwd / "dynastash.toml").write_text(
        f'[env.prod]\nregion = "{REGION}"\nrole_arn = "{ROLE}"\nmfa_serial = "{MFA}"\n'
        'endpoint_url = "http://127.0.0.1:1"\n'
    )
    monkeypatch.setattr("dynastash.cli.asking.mfa_code", lambda serial: pytest.fail("asked"))
    context = app.make_context("dynastash", ["-e", "prod", "get"], resilient_parsing=True)
    parameter = click.Argument(["name"])
    assert SecretName().shell_complete(context, parameter, "app") == []


# A second Region


def test_a_secret_is_read_in_the_second_region_and_written_in_none(cli: Cli, ministack: Engine) -> None:
    """The first Region gives no answer: reads say where they go, a write says that it cannot."""
    table, key = ministack.create_table(), ministack.create_key()
    name = f"t{secrets.token_hex(4)}"
    here = AwsSettings(region=REGION, endpoint_url=ministack.endpoint_url)
    environment = Environment(name=name, store="dynamodb", aws=here, table=table, key=key)
    open_environment(environment, session=ministack.session()).put("app1/db", "hunter2")
    (cli.cwd / "dynastash.toml").write_text(
        f'[env.{name}]\nregion = "eu-central-1"\nendpoint_url = "http://127.0.0.1:{free_port()}"\n'
        f'read_region = "{REGION}"\nread_endpoint_url = "{ministack.endpoint_url}"\n'
        f'table = "{table}"\nkey = "{key}"\n'
    )
    done = cli("get", "app1/db", "-e", name)
    assert (done.code, done.text) == (0, "hunter2")
    assert done.err == (
        f"warning: eu-central-1 is out of reach: reading in {REGION}, whose replica may be some seconds behind\n"
    )
    done = cli("get", "--prefix", "app1/", "-o", "json", "-e", name)
    assert json.loads(done.text)["app1/db"]["value"] == "hunter2"
    assert [each["name"] for each in json.loads(cli.ok("list", "-o", "json", "-e", name).text)] == ["app1/db"]
    done = cli("put", "app1/db", "-e", name, given=b"x")
    assert done.code == 7 and "error:" in done.err
    assert cli.ok("get", "app1/db", "-e", name).text == "hunter2"


def test_without_a_second_region_there_is_no_other_answer(ministack: Engine) -> None:
    """The same settings without read_region fail."""
    aws = AwsSettings(region="eu-central-1", endpoint_url=f"http://127.0.0.1:{free_port()}")
    environment = Environment(name="prod", store="dynamodb", aws=aws, table="t", key="alias/k")
    with pytest.raises(StoreUnavailableError):
        open_environment(environment, session=ministack.session()).get("app1/db")


# boto3's own endpoint settings


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "kms-fips.us-east-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL_KMS": "https://vpce-1.kms.us-east-1.vpce.amazonaws.com"}, "vpce-1.kms.us-east-1.vpce"),
        ({}, "kms.us-east-1.amazonaws.com"),
    ],
    ids=["FIPS", "VPC", "plain"],
)
def test_endpoints_by_boto3_s_settings(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], host: str) -> None:
    """FIPS and VPC endpoints are chosen as everywhere else, by both kinds of clients."""
    from dynastash.aws.boto import BotoTransport
    from dynastash.aws.clients import Clients

    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    settings = AwsSettings(region="us-east-1")
    assert host in BotoTransport(make_session(settings), region="us-east-1")._client("kms").meta.endpoint_url
    assert host in Clients(settings).get("kms").meta.endpoint_url
