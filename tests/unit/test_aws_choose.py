"""Which transport is chosen, and what the reason says."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import botocore
import botocore.handlers
import pytest
from botocore import configprovider

from dynastash.aws.base import AwsSettings
from dynastash.aws.choose import choose
from dynastash.aws.direct import plan as planning
from dynastash.aws.instrumented import instrumented
from dynastash.errors import ConfigError
from tests import oracle

KEYS = {"AWS_ACCESS_KEY_ID": "key-env", "AWS_SECRET_ACCESS_KEY": "made-up-env"}
PLAIN = {**KEYS, "AWS_REGION": "eu-west-1"}
FILE = "[default]\naws_access_key_id = key-file\naws_secret_access_key = made-up-file\nregion = eu-west-1\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    return tmp_path


def outcome(home: Path, variables: Mapping[str, str], settings: AwsSettings | None = None) -> tuple[str, str]:
    choice = choose(settings or AwsSettings(), {"HOME": str(home), **variables})
    assert (choice.plan is not None) == (choice.transport == "direct")
    return choice.transport, choice.reason


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        (PLAIN, "credentials from the environment"),
        ({**PLAIN, "AWS_SESSION_TOKEN": "t"}, "credentials from the environment"),
        ({**PLAIN, "AWS_ACCOUNT_ID": "123456789012"}, "credentials from the environment"),
        ({**PLAIN, "AWS_CREDENTIAL_EXPIRATION": "2199-01-01T00:00:00+00:00"}, "credentials from the environment"),
        ({**PLAIN, "AWS_USE_FIPS_ENDPOINT": "false"}, "credentials from the environment"),
        ({**PLAIN, "AWS_CA_BUNDLE": "/ca.pem"}, "credentials from the environment"),
        ({**PLAIN, "AWS_ENDPOINT_URL": "http://localhost:4566"}, "credentials from the environment"),
        ({**PLAIN, "AWS_REGION": "eu-west-99"}, "credentials from the environment"),
        (
            {**PLAIN, "AWS_REGION": "local", "AWS_ENDPOINT_URL": "http://localhost:1"},
            "credentials from the environment",
        ),
        ({**PLAIN, "NO_PROXY": "*", "HTTPS_PROXY": ""}, "credentials from the environment"),
        ({**PLAIN, "AWS_EXECUTION_ENV": "AWS_Lambda", "AWS_PAGER": ""}, "credentials from the environment"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"},
            "credentials from the container",
        ),
        (
            {"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"},
            "credentials from the container",
        ),
        (
            {"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[fd00:ec2::23]/v1/credentials"},
            "credentials from the container",
        ),
        ({"AWS_REGION": "eu-west-1"}, "credentials from the instance"),
        ({"AWS_REGION": "eu-west-1", "AWS_IMDS_USE_IPV6": "true"}, "credentials from the instance"),
    ],
)
def test_plain_surroundings_are_direct(home: Path, variables: Mapping[str, str], reason: str) -> None:
    assert outcome(home, variables) == ("direct", reason)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "a web identity"),
        ({"AWS_CREDENTIAL_FILE": "/old"}, "AWS_CREDENTIAL_FILE"),
        ({"BOTO_CONFIG": "/old"}, "BOTO_CONFIG"),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/credentials"},
            "a container's endpoint at an uncommon address",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "https://localhost/credentials"},
            "a container's endpoint at an uncommon address",
        ),
        (
            {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "https://localhost/"},
            "an instance's metadata service at an uncommon address",
        ),
    ],
)
def test_where_only_the_credentials_are_unusual_boto3_finds_them(
    home: Path, variables: Mapping[str, str], reason: str
) -> None:
    usual = {"AWS_REGION": "eu-west-1", **variables}
    assert outcome(home, usual) == ("direct", f"credentials from boto3 ({reason})")
    assert outcome(home, {**usual, **KEYS}) == ("direct", "credentials from the environment")
    assert outcome(home, {**usual, "DYNASTASH_TRANSPORT": "direct"})[0] == "direct"
    assert outcome(home, {**usual, "HTTPS_PROXY": "http://proxy:1"}) == ("boto", "HTTPS_PROXY is set")
    assert outcome(home, {**usual, "AWS_USE_FIPS_ENDPOINT": "true"}) == ("boto", "use_fips_endpoint is set")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "no region is set"),
        ({"AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "TRUE"}, "there are no credentials"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a"},
            "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is missing",
        ),
        ({**PLAIN, "AWS_PROFILE": "nobody"}, "there is no AWS profile nobody"),
        ({**PLAIN, "AWS_PROFILE": ""}, "there is no AWS profile "),
        ({**PLAIN, "AWS_REGION": "aws-global"}, "aws-global is not a Region that it knows"),
        ({**PLAIN, "AWS_REGION": "EU-WEST-1"}, "the region has an uncommon name"),
        ({**PLAIN, "AWS_DEFAULT_REGION": ""}, "region is set to nothing"),
        ({**PLAIN, "AWS_ACCOUNT_ID": "me"}, "the account of the credentials is not a number of twelve digits"),
        (
            {**PLAIN, "AWS_CREDENTIAL_EXPIRATION": "2001-01-01T00:00:00Z"},
            "the credentials in the environment are about to expire",
        ),
        (
            {**PLAIN, "AWS_CREDENTIAL_EXPIRATION": "tomorrow"},
            "the credentials' time of expiry is written in another way",
        ),
        ({**PLAIN, "AWS_USE_FIPS_ENDPOINT": "True"}, "use_fips_endpoint is set"),
        ({**PLAIN, "AWS_USE_DUALSTACK_ENDPOINT": "true"}, "use_dualstack_endpoint is set"),
        ({**PLAIN, "AWS_CSM_ENABLED": "true"}, "csm_enabled is set"),
        ({**PLAIN, "AWS_STS_REGIONAL_ENDPOINTS": "legacy"}, "sts_regional_endpoints is set"),
        ({**PLAIN, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"}, "account_id_endpoint_mode is set"),
        ({**PLAIN, "HTTPS_PROXY": "http://proxy:1"}, "HTTPS_PROXY is set"),
        ({**PLAIN, "http_proxy": "http://proxy:1"}, "http_proxy is set"),
        ({**PLAIN, "AWS_ENDPOINT_URL": "http://a b"}, "the endpoint URL is uncommon"),
        ({**PLAIN, "AWS_ENDPOINT_URL_KMS": "https://kms.eu-west-1.api.aws"}, "the endpoint URL is uncommon"),
        ({**PLAIN, "REQUESTS_CA_BUNDLE": ""}, "the file of certificate authorities is set to nothing"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv5"},
            "ec2_metadata_service_endpoint_mode is neither ipv4 nor ipv6",
        ),
        (
            {"AWS_REGION": "eu-west-1", "AWS_METADATA_SERVICE_TIMEOUT": "soon"},
            "metadata_service_timeout is not a small number",
        ),
    ],
)
def test_anything_else_is_botos(home: Path, variables: Mapping[str, str], reason: str) -> None:
    assert outcome(home, variables) == ("boto", reason)


@pytest.mark.parametrize("name", planning._BOTOS)
def test_what_botocore_alone_understands_is_botos(home: Path, name: str) -> None:
    assert outcome(home, {**PLAIN, name: ""}) == ("boto", f"{name} is set")


def test_every_variable_of_botocores_settings_is_understood_or_left_to_it() -> None:
    ours = set(planning._BOTOS)
    source = "".join(
        Path(module).read_text()
        for module in Path(planning.__file__).parent.rglob("*.py")
        if module.name != "handover.py"
    )
    beside = {"csm_host", "csm_port", "csm_client_id"}  # of what csm_enabled turns on
    for name, (_, variables, _, _) in configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
        for variable in [variables] if isinstance(variables, str) else variables or []:
            mentioned = variable in ours or f'"{variable}"' in source or f'"{name}"' in source
            assert mentioned or name in beside, f"botocore has learnt to read {variable}"


@pytest.mark.parametrize(
    ("config", "credentials", "expected"),
    [
        (FILE, "", ("direct", "credentials from the AWS profile")),
        ("[default]\noutput = json\ncli_pager =\n", FILE, ("direct", "credentials from the AWS profile")),
        (FILE + "role_arn = arn:aws:iam::123456789012:role/x\n", "", ("direct", "credentials from boto3 (a role)")),
        (
            FILE + "sso_session = x\n[sso-session x]\nsso_start_url = y\nsso_region = z\n",
            "",
            ("direct", "credentials from boto3 (SSO)"),
        ),
        (FILE + "sso_session = x\n", "", ("boto", "the AWS profile's sso_session is missing or incomplete")),
        (
            FILE + "sso_session = x\n[sso-session x]\nsso_region = z\n",
            "",
            ("boto", "the AWS profile's sso_session is missing or incomplete"),
        ),
        (
            FILE,
            "[default]\ncredential_process = x\n",
            ("direct", "credentials from boto3 (a credential process)"),
        ),
        (FILE + "login_session = x\n", "", ("direct", "credentials from boto3 (an AWS login)")),
        (FILE + "web_identity_token_file = x\nrole_arn = y\n", "", ("direct", "credentials from boto3 (a role)")),
        (FILE + "sso_session =\n  a = b\n", "", ("boto", "the AWS profile sets sso_session")),
        (FILE + "credential_process = x\nuse_fips_endpoint = true\n", "", ("boto", "use_fips_endpoint is set")),
        (FILE + "use_fips_endpoint = true\n", "", ("boto", "use_fips_endpoint is set")),
        (FILE + "unheard_of = 1\n", "", ("boto", "the AWS profile sets unheard_of")),
        (FILE + "region = x\n", "", ("boto", "~/.aws/config has an uncommon line")),
        (FILE, "nonsense", ("boto", "~/.aws/credentials has an uncommon line")),
        (
            "[default]\nregion = eu-west-1\naws_access_key_id = a\n",
            "",
            ("boto", "the AWS profile has only a part of the credentials"),
        ),
        (FILE + "[profile b]\nsso_session = x\n", "", ("direct", "credentials from the AWS profile")),
    ],
)  # fmt: skip
def test_profiles(home: Path, config: str, credentials: str, expected: tuple[str, str]) -> None:
    (home / ".aws" / "config").write_text(config)
    (home / ".aws" / "credentials").write_text(credentials)
    assert outcome(home, {}) == expected


def test_a_role_in_the_settings_goes_before_the_environment(home: Path) -> None:
    settings = AwsSettings(role_arn="arn:aws:iam::123456789012:role/x")
    assert outcome(home, PLAIN, settings) == ("direct", "credentials from boto3 (a role)")


def test_own_models_are_botos(home: Path) -> None:
    (home / ".aws" / "models").touch()
    assert outcome(home, PLAIN)[0] == "boto"


def test_the_old_file_is_read_by_boto3(home: Path) -> None:
    (home / ".boto").touch()
    assert outcome(home, {"AWS_REGION": "eu-west-1"}) == ("direct", f"credentials from boto3 ({home}/.boto)")
    assert outcome(home, PLAIN) == ("direct", "credentials from the environment")


def test_the_variable_forces_one(home: Path) -> None:
    assert outcome(home, {**PLAIN, "DYNASTASH_TRANSPORT": "boto"}) == ("boto", "DYNASTASH_TRANSPORT says so")
    assert outcome(home, {**PLAIN, "DYNASTASH_TRANSPORT": "direct"})[0] == "direct"
    assert outcome(home, {**PLAIN, "DYNASTASH_TRANSPORT": ""})[0] == "direct"
    with pytest.raises(ConfigError, match="the direct transport cannot be used: HTTPS_PROXY is set") as caught:
        outcome(home, {**PLAIN, "DYNASTASH_TRANSPORT": "direct", "HTTPS_PROXY": "http://proxy:1"})
    assert caught.value.hint == "unset DYNASTASH_TRANSPORT: boto3 can do it"
    with pytest.raises(ConfigError, match="DYNASTASH_TRANSPORT is neither boto nor direct"):
        outcome(home, {**PLAIN, "DYNASTASH_TRANSPORT": "http2"})


@pytest.mark.parametrize("variables", [KEYS, {"AWS_REGION": "eu-west-1", "AWS_PROFILE": "nobody"}])
def test_what_no_transport_could_do_is_for_boto3_to_say(home: Path, variables: Mapping[str, str]) -> None:
    assert outcome(home, {**variables, "DYNASTASH_TRANSPORT": "direct"})[0] == "boto"


@pytest.mark.parametrize("module", ["moto", "ddtrace", "aws_xray_sdk", "gevent.monkey"])
def test_a_package_that_patches_botocore_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    assert outcome(home, PLAIN) == ("boto", f"{module} is loaded")


def _wrapped(self: Any, *args: Any) -> None:
    """What a tracer puts in the place of a method."""


def test_a_patched_botocore_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    boto3.client("kms", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert instrumented() is None
    for target in ("botocore.client.BaseClient._make_api_call", "boto3.client", "boto3.Session"):
        with mock.patch(target):
            assert instrumented() is not None, target
    for target in (
        "botocore.client.BaseClient._make_api_call",
        "botocore.endpoint.Endpoint._send",
        "botocore.httpsession.URLLib3Session.send",
        "botocore.session.Session.get_credentials",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, _wrapped)
            assert str(instrumented()).endswith(f"{target.split('.')[-2]} is patched")
    with monkeypatch.context() as patch:
        patch.setattr("botocore.endpoint.URLLib3Session", type("Fake", (), {}))
        assert instrumented() == "botocore.endpoint.URLLib3Session is patched"
    with monkeypatch.context() as patch:
        patch.setattr(botocore.handlers, "BUILTIN_HANDLERS", [("before-send", _wrapped)])
        assert instrumented() == "botocore has a handler of somebody else's"
    with monkeypatch.context() as patch:
        patch.setattr(botocore, "_INITIALIZERS", [_wrapped])
        assert instrumented() == "botocore has an initializer"
    assert instrumented() is None


def test_moto_is_seen_for_real() -> None:
    program = "import moto; from dynastash.aws.instrumented import instrumented; print(instrumented())"
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert seen.stdout in ("moto is loaded\n", "responses is loaded\n")


def test_a_macs_own_proxy_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxies: dict[str, str] = {}
    module: Any = types.ModuleType("_scproxy")
    module._get_proxies = lambda: proxies
    monkeypatch.setitem(sys.modules, "_scproxy", module)
    monkeypatch.setattr(planning.sys, "platform", "darwin")
    assert outcome(home, PLAIN)[0] == "direct"
    proxies["https"] = "http://proxy:1"
    assert outcome(home, PLAIN) == ("boto", "the system has a proxy")


def test_choosing_direct_loads_nothing_of_botocore(home: Path) -> None:
    program = (
        "import sys; from dynastash.aws.choose import choose; from dynastash.aws.base import AwsSettings\n"
        "plan = choose(AwsSettings()).plan; plan.source.get(); plan.endpoints('kms')\n"
        "print([m for m in ('boto3', 'botocore', 'configparser', 'urllib3', 'json', 'threading') if m in sys.modules])"
    )
    (home / ".aws" / "config").write_text(FILE)
    seen = subprocess.run(
        [sys.executable, "-c", program], env={"HOME": str(home)}, capture_output=True, text=True, check=True
    )
    assert seen.stdout == "[]\n"


def _section(name: str, **settings: str) -> str:
    lines = "".join(f"{setting} = {value}\n" for setting, value in settings.items())
    return f"[{name}]\naws_access_key_id = key-{name.split()[-1]}\naws_secret_access_key = made-up\n{lines}"


def _chosen(home: Path, config: str, credentials: str, **variables: str) -> tuple[str, str, str | None]:
    """The Region, access key and session token, of which boto3 says the same."""
    (home / ".aws" / "config").write_text(config)
    (home / ".aws" / "credentials").write_text(credentials)
    surroundings = {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **variables}
    plan = choose(AwsSettings(), surroundings).plan
    assert plan is not None
    held, answer = plan.source.get(), oracle.ask(AwsSettings(), surroundings)
    assert (plan.region, held.access_key, held.token) == (answer.region, answer.access_key, answer.token)
    return plan.region, held.access_key, held.token


def test_the_credentials_file_goes_before_the_configuration_file(home: Path) -> None:
    config = _section("default", region="eu-west-1", aws_session_token="config")
    credentials = _section("default", region="eu-west-2", aws_session_token="credentials")
    assert _chosen(home, config, credentials) == ("eu-west-2", "key-default", "credentials")


def test_the_older_name_of_the_session_token_goes_before_the_newer(home: Path) -> None:
    credentials = _section("default", region="eu-west-1", aws_session_token="newer", aws_security_token="older")
    assert _chosen(home, "", credentials) == ("eu-west-1", "key-default", "older")


def test_the_older_variable_of_the_profile_goes_before_the_newer(home: Path) -> None:
    config = _section("profile newer", region="eu-west-1") + _section("profile older", region="eu-west-2")
    chosen = _chosen(home, config, "", AWS_PROFILE="newer", AWS_DEFAULT_PROFILE="older")
    assert chosen == ("eu-west-2", "key-older", None)
