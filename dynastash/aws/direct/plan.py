"""What the direct transport is made of, from settings, variables and files: exactly what boto3 would take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

from dynastash.aws.base import AwsSettings
from dynastash.aws.direct.credentials.base import CredentialSource
from dynastash.aws.direct.credentials.chain import find
from dynastash.aws.direct.credentials.shared import load
from dynastash.aws.direct.endpoints import endpoint, partition_of
from dynastash.aws.direct.handover import CredentialsHandOver, HandOver
from dynastash.aws.direct.options import Options
from dynastash.aws.direct.profilefile import home
from dynastash.aws.direct.urls import plain

_SERVICES: Final = ("dynamodb", "kms", "sts")
_DUAL_STACK: Final = (".api.aws", ".api.amazonwebservices.com.cn", ".api.amazonwebservices.eu")

_BOTOS: Final = (
    "AWS_AUTH_SCHEME_PREFERENCE",
    "AWS_BEARER_TOKEN_DYNAMODB",
    "AWS_BEARER_TOKEN_KMS",
    "AWS_BEARER_TOKEN_STS",
    "AWS_DATA_PATH",
    "AWS_DEFAULTS_MODE",
    "AWS_DISABLE_HOST_PREFIX_INJECTION",
    "AWS_DISABLE_REQUEST_COMPRESSION",
    "AWS_ENDPOINT_DISCOVERY_ENABLED",
    "AWS_MAX_ATTEMPTS",
    "AWS_NEW_RETRIES_2026",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "AWS_RETRY_MODE",
    "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
    "AWS_SDK_UA_APP_ID",
    "AWS_SIGV4A_SIGNING_REGION_SET",
    "BOTOCORE_EXPERIMENTAL__PLUGINS",
    "BOTOCORE_TCP_KEEPALIVE",
)
"""Variables of which botocore knows what they mean."""

_SWITCHES: Final = ("use_fips_endpoint", "use_dualstack_endpoint", "csm_enabled")


class Plan:
    """What the direct transport needs. ``origin`` says in words where the credentials come from."""

    __slots__ = ("_by_account", "_configured", "ca_bundle", "origin", "region", "source")

    def __init__(
        self,
        region: str,
        origin: str,
        source: CredentialSource,
        configured: Mapping[str, str | None],
        *,
        by_account: bool,
        ca_bundle: str | None,
    ) -> None:
        self.region = region
        self.origin = origin
        self.source = source
        self.ca_bundle = ca_bundle
        self._configured = configured
        self._by_account = by_account

    def endpoints(self, service: str) -> str:
        """The URL of ``service``: as configured, else the Region's, which may take credentials to know."""
        configured = self._configured[service]
        if configured is not None:
            return configured
        by_account = service == "dynamodb" and self._by_account
        return endpoint(service, self.region, self.source.account() if by_account else None)


def plan(settings: AwsSettings, variables: Mapping[str, str], otherwise: Callable[[], CredentialSource]) -> Plan:
    """The plan for ``settings``. ``otherwise`` makes the source of credentials that asks boto3, for those that
    nobody else understands and for where another source fails.

    Raises :class:`HandOver` for whatever is out of the ordinary.
    """
    _check_surroundings(variables)
    profile = load(_profile(settings, variables), variables)
    options = Options(profile.settings, variables)
    for switch in _SWITCHES:
        if options.on(switch):
            raise HandOver(f"{switch} is set")
    if options.get("sts_regional_endpoints") not in (None, "regional"):
        raise HandOver("sts_regional_endpoints is set")
    mode = options.get("account_id_endpoint_mode")
    if mode not in (None, "preferred", "disabled"):
        raise HandOver("account_id_endpoint_mode is set")
    configured = _configured(settings, options, variables)
    region = _region(settings, options, variables)
    if None in configured.values():
        partition_of(region)
    ca_bundle = _authorities(options, variables)
    try:
        if settings.role_arn:
            raise CredentialsHandOver("a role")
        origin, source = find(profile, options, variables, otherwise, named=settings.profile is not None)
    except CredentialsHandOver as error:
        origin, source = f"boto3 ({error.reason})", otherwise()
    return Plan(region, origin, source, configured, by_account=mode != "disabled", ca_bundle=ca_bundle)


def _check_surroundings(variables: Mapping[str, str]) -> None:
    for name in _BOTOS:
        if name in variables:
            raise HandOver(f"{name} is set")
    for name, value in variables.items():
        if name[-6:].lower() == "_proxy" and name.lower() != "no_proxy" and value:
            raise HandOver(f"{name} is set")
    if sys.platform == "darwin" and _has_system_proxy():
        raise HandOver("the system has a proxy")
    if os.path.exists(os.path.join(home(variables), ".aws", "models")):
        raise HandOver("there are service models in ~/.aws/models")


def _has_system_proxy() -> bool:
    """macOS keeps proxies among its own settings, where urllib, and so botocore, finds them."""
    from importlib import import_module

    return bool(import_module("_scproxy")._get_proxies())


def _profile(settings: AwsSettings, variables: Mapping[str, str]) -> str | None:
    if settings.profile is not None:
        return settings.profile
    return next((variables[name] for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if name in variables), None)


def _region(settings: AwsSettings, options: Options, variables: Mapping[str, str]) -> str:
    """boto3's order, and ``AWS_REGION`` behind it, as the SDK's transport has it."""
    region = settings.region or options.get("region", "AWS_DEFAULT_REGION") or variables.get("AWS_REGION")
    region = region or settings.default_region
    if not region:
        raise HandOver("no region is set", fault=True)
    if not (region.isascii() and region.replace("-", "a").isalnum() and region == region.lower()):
        raise HandOver("the region has an uncommon name")
    return region


def _configured(settings: AwsSettings, options: Options, variables: Mapping[str, str]) -> dict[str, str | None]:
    """The endpoint URL of each service where one is configured."""
    ignored = options.on("ignore_configured_endpoint_urls")
    found: dict[str, str | None] = {}
    for service in _SERVICES:
        url = settings.endpoint_url
        if url is None and not ignored:
            # Not an option like others: an empty one is none at all.
            url = variables.get(f"AWS_ENDPOINT_URL_{service.upper()}") or options.get("endpoint_url")
        if url is not None:
            parts = plain(url)
            if parts is None or "?" in parts.target or parts.host.endswith(_DUAL_STACK):
                raise HandOver("the endpoint URL is uncommon", fault="://" not in url)
        found[service] = url
    return found


def _authorities(options: Options, variables: Mapping[str, str]) -> str | None:
    """The file of certificate authorities, where one is set."""
    path = options.get("ca_bundle")
    if path is None:
        path = variables.get("REQUESTS_CA_BUNDLE")
    if path == "":
        raise HandOver("the file of certificate authorities is set to nothing")
    return path
