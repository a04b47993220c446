"""Whatever boto3 would have used, direct uses, or boto3 does: over generated environments and files."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dynastash.aws.base import AwsSettings
from dynastash.aws.choose import Choice, choose
from dynastash.errors import ConfigError
from tests import oracle
from tests.engines.metadata import Metadata, serving

EXAMPLES = int(os.environ.get("DYNASTASH_CHAIN_EXAMPLES", "150"))
"""More of them: ``DYNASTASH_CHAIN_EXAMPLES=5000 pytest tests/property/test_aws_chain.py``."""

_REGIONS = st.sampled_from(["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", "eu-west-99"])
_ODD_REGIONS = st.sampled_from(["", "aws-global", "local", "EU-WEST-1", "x y"])
_URLS = st.sampled_from(["http://127.0.0.1:4566", "https://localhost/", "http://[::1]:8000"])
_ODD_URLS = st.sampled_from(
    ["", "localhost:4566", "http://127.0.0.1:4566/a/b", "http://a b", "https://dynamodb.eu-west-1.api.aws"]
)
_SWITCH = st.sampled_from(["true", "false", "True", "", "1"])
_WORDS = st.sampled_from(["one", "disabled", "preferred", "required", "legacy", "regional", "standard", "3"])
_ACCOUNTS = st.sampled_from(["123456789012", "000000000000", "12345", ""])


def _mostly(usual: st.SearchStrategy[str], odd: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 15).flatmap(lambda number: odd if number == 15 else usual)


def _part(name: str) -> str:
    return f"{name}-{{file}}-{{profile}}"


_BOTH = {"aws_access_key_id": _part("key"), "aws_secret_access_key": _part("made-up")}
_TOKEN = {"aws_session_token": _part("token")}
_OLDER = {"aws_security_token": _part("older")}
_PROCESS = {"credential_process": "{home}/process {file} {profile}"}
_PROFILE = st.builds(
    lambda keys, token, region: {**keys, **token, **region},
    st.sampled_from([*[_BOTH] * 8, *[{}] * 3, {"aws_access_key_id": _part("key")}, _PROCESS]),
    st.sampled_from([{}, _TOKEN, _OLDER, {**_TOKEN, **_OLDER}]),
    st.one_of(st.just({}), st.fixed_dictionaries({"region": _mostly(_REGIONS, _ODD_REGIONS)})),
)
_RARE = st.dictionaries(
    st.sampled_from(
        [
            "aws_account_id", "account_id_endpoint_mode", "endpoint_url", "ca_bundle", "output", "cli_pager", "s3",
            "use_fips_endpoint", "use_dualstack_endpoint", "ignore_configured_endpoint_urls", "role_arn",
            "sts_regional_endpoints", "services", "credential_process", "sso_session", "unheard_of",
        ]
    ),
    _SWITCH | _ACCOUNTS | _URLS | _WORDS,
    max_size=1,
)  # fmt: skip
_FILES = st.dictionaries(
    st.sampled_from(["default", "one", "two"]),
    st.builds(lambda usual, rare, some: {**usual, **(rare if some == 9 else {})}, _PROFILE, _RARE, st.integers(0, 9)),
    min_size=2,
    max_size=3,
)
_KEYS = st.sampled_from(
    [
        {},
        {},
        {},
        {},
        {"AWS_ACCESS_KEY_ID": "key-env", "AWS_SECRET_ACCESS_KEY": "made-up-env"},
        {"AWS_ACCESS_KEY_ID": "key-env", "AWS_SECRET_ACCESS_KEY": "made-up-env", "AWS_SESSION_TOKEN": "token-env"},
        {"AWS_ACCESS_KEY_ID": "key-env", "AWS_SECRET_ACCESS_KEY": "made-up-env", "AWS_SECURITY_TOKEN": "older-env"},
        {
            "AWS_ACCESS_KEY_ID": "key-env",
            "AWS_SECRET_ACCESS_KEY": "made-up-env",
            "AWS_SESSION_TOKEN": "token-env",
            "AWS_SECURITY_TOKEN": "older-env",
        },
        {"AWS_ACCESS_KEY_ID": "key-env"},
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "made-up-env"},
        {
            "AWS_ACCESS_KEY_ID": "key-env",
            "AWS_SECRET_ACCESS_KEY": "made-up-env",
            "AWS_CREDENTIAL_EXPIRATION": "2199-01-01T00:00:00Z",
        },
    ]
)
_VARIABLES = st.fixed_dictionaries(
    {"AWS_REGION": _mostly(_REGIONS, _ODD_REGIONS)},
    optional={
        "AWS_DEFAULT_REGION": _mostly(_REGIONS, _ODD_REGIONS),
        "AWS_PROFILE": st.sampled_from([*["default", "one", "two"] * 4, "missing"]),
        "AWS_DEFAULT_PROFILE": st.sampled_from([*["default", "one", "two"] * 4, "missing"]),
    },
)
_RARE_VARIABLES = st.dictionaries(
    st.sampled_from(
        [
            "AWS_ACCOUNT_ID", "AWS_ACCOUNT_ID_ENDPOINT_MODE", "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_KMS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
            "AWS_STS_REGIONAL_ENDPOINTS", "AWS_EC2_METADATA_DISABLED", "NO_PROXY", "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS",
        ]
    ),
    _URLS | _ODD_URLS | _SWITCH | _ACCOUNTS | _WORDS,
    max_size=2,
)  # fmt: skip
_SETTINGS = st.builds(
    lambda region, profile, url: AwsSettings(region=region, profile=profile, endpoint_url=url),
    st.one_of(st.none(), st.none(), _REGIONS),
    st.one_of(st.none(), st.none(), st.none(), st.sampled_from(["default", "one", "two"])),
    st.one_of(st.none(), st.none(), st.none(), _URLS),
)
_PROGRAM = """#!/bin/sh
echo '{"Version": 1, "AccessKeyId": "key-'$1-$2'", "SecretAccessKey": "made-up", "AccountId": "210987654321"}'
"""
_NEARBY = st.sampled_from(["", "", "container", "instance", "both"])


@pytest.fixture(scope="module")
def metadata() -> Iterator[Metadata]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Counter[str]]:
    """How often which came about: a test that hands everything over would prove nothing."""
    counted: Counter[str] = Counter()
    yield counted
    assert set(counted) >= {
        "boto",
        "the environment",
        "the AWS profile",
        "the container",
        "the instance",
        "boto3 (a credential process)",
    }


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@example(AwsSettings(region="eu-west-1"), {}, {}, {}, {}, {}, 0, "instance")
@example(AwsSettings(region="eu-west-1"), {}, {}, {}, {}, {}, 0, "both")
@given(_SETTINGS, _FILES, _FILES, _KEYS, _VARIABLES, _RARE_VARIABLES, st.integers(0, 2), _NEARBY)
def test_what_boto3_would_have_used_is_used_or_boto3_is(
    tmp_path: Path,
    metadata: Metadata,
    outcomes: Counter[str],
    aws: AwsSettings,
    configured: Mapping[str, Mapping[str, str]],
    credentials: Mapping[str, Mapping[str, str]],
    keys: Mapping[str, str],
    usual: Mapping[str, str],
    rare: Mapping[str, str],
    odd: int,
    nearby: str,
) -> None:
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / ".aws").mkdir(parents=True)
    process = home / "process"
    process.write_text(_PROGRAM)
    process.chmod(0o700)
    _write(home / ".aws" / "config", configured, "profile ")
    _write(home / ".aws" / "credentials", credentials, "")
    variables = {
        "HOME": str(home),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
        "AWS_EC2_METADATA_DISABLED": "false" if nearby in ("instance", "both") else "true",
        **keys,
        **usual,
        **(rare if odd > 1 else {}),
    }
    if nearby in ("container", "both"):
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{metadata.url}/credentials"

    choice = choose(aws, variables)
    assert choose(aws, {**variables, "DYNASTASH_TRANSPORT": "boto"}).transport == "boto"
    outcomes[choice.plan.origin if choice.plan else "boto"] += 1
    if choice.plan is not None:
        with oracle.only(variables):
            _same(choice, aws, variables)


def _same(choice: Choice, aws: AwsSettings, variables: Mapping[str, str]) -> None:
    plan = choice.plan
    assert plan is not None
    try:
        answer = oracle.ask(aws, variables)
    except Exception:
        assert plan.origin.startswith("boto3 ")
        with pytest.raises(ConfigError):
            plan.endpoints("dynamodb"), plan.source.get()
        return
    held: Any = plan.source.get()
    assert (held.access_key, held.secret_key, held.token) == (answer.access_key, answer.secret, answer.token)
    assert plan.region == answer.region
    assert {service: plan.endpoints(service).rstrip("/") for service in answer.urls} == answer.urls
    assert (True if plan.ca_bundle is None else plan.ca_bundle) == answer.verify


def _write(path: Path, profiles: Mapping[str, Mapping[str, str]], prefix: str) -> None:
    lines = []
    for name, options in profiles.items():
        lines.append(f"[{name if name == 'default' else prefix + name}]")
        lines += [
            f"{key} = {value.format(file=path.name, profile=name, home=path.parent.parent)}"
            for key, value in options.items()
        ]
    path.write_text("\n".join(lines))
