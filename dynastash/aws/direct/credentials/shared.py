"""Credentials and settings of a profile in the AWS CLI's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dynastash.aws.direct.credentials.base import Fixed
from dynastash.aws.direct.handover import CredentialsHandOver, HandOver
from dynastash.aws.direct.profilefile import Section, profiles, read
from dynastash.aws.direct.signing import Credentials

_ACCESS_KEY: Final = "aws_access_key_id"
_SECRET_KEY: Final = "aws_secret_access_key"  # noqa: S105 (a setting's name)
_TOKENS: Final = ("aws_security_token", "aws_session_token")  # in this order
_ACCOUNT: Final = "aws_account_id"

_KNOWN: Final = frozenset(
    (
        _ACCESS_KEY,
        _SECRET_KEY,
        *_TOKENS,
        _ACCOUNT,
        "account_id_endpoint_mode",
        "ca_bundle",
        "ec2_metadata_service_endpoint",
        "ec2_metadata_service_endpoint_mode",
        "ec2_metadata_v1_disabled",
        "endpoint_url",
        "ignore_configured_endpoint_urls",
        "imds_use_ipv6",
        "metadata_service_num_attempts",
        "metadata_service_timeout",
        "region",
        "sts_regional_endpoints",
        "use_dualstack_endpoint",
        "use_fips_endpoint",
    )
)
"""Settings that are understood. Others may change where the credentials come from, or how requests are sent."""

_BESIDE: Final = frozenset(("output", "s3"))
"""Settings that concern others: the AWS CLI, whose own begin with ``cli_``, and S3."""


_BOTOS: Final = {
    "role_arn": "a role",
    "source_profile": "a role",
    "credential_source": "a role",
    "external_id": "a role",
    "mfa_serial": "a role",
    "role_session_name": "a role",
    "duration_seconds": "a role",
    "web_identity_token_file": "a web identity",
    "credential_process": "a credential process",
    "login_session": "an AWS login",
    "sso_account_id": "SSO",
    "sso_region": "SSO",
    "sso_registration_scopes": "SSO",
    "sso_role_name": "SSO",
    "sso_session": "SSO",
    "sso_start_url": "SSO",
}
"""Settings that concern the credentials alone, and that only botocore understands, with what they stand for."""

_LOGIN: Final = frozenset(("sso_region", "sso_start_url"))
"""What the section of an SSO session has to have."""


class Profile:
    """One profile: ``settings`` as both files have them together, and where keys stand in which."""

    __slots__ = ("_botos", "_configured", "_credentials", "settings")

    def __init__(self, configured: Section, credentials: Section) -> None:
        self._botos = next((kind for name, kind in _BOTOS.items() if name in configured or name in credentials), None)
        self._configured = _known(configured)
        self._credentials = _known(credentials)
        self.settings = {**self._configured, **self._credentials}

    def credentials(self) -> Fixed | None:
        """The keys in the credentials file, else those in the configuration file; None without any.

        Raises :class:`CredentialsHandOver` for a profile that says how to get others.
        """
        if self._botos is not None:
            raise CredentialsHandOver(self._botos)
        for section in (self._credentials, self._configured):
            if _ACCESS_KEY in section:
                access, secret = section[_ACCESS_KEY], section.get(_SECRET_KEY)
                if secret is None:
                    raise HandOver("the AWS profile has only a part of the credentials", fault=True)
                token = next((section[name] for name in _TOKENS if name in section), None)
                account = section.get(_ACCOUNT)
                if "" in (access, secret, token, account):
                    raise HandOver("the AWS profile has an empty setting")
                return Fixed(Credentials(access, secret, token), account)
        return None


def _known(section: Section) -> dict[str, str]:
    """The settings that matter here. Raises :class:`HandOver` for one that may matter and is not understood."""
    known = {}
    for name, value in section.items():
        if name in _BESIDE or name.startswith("cli_"):
            continue
        if not isinstance(value, str) or (name not in _KNOWN and name not in _BOTOS):
            raise HandOver(f"the AWS profile sets {name}")
        known[name] = value
    return known


def load(name: str | None, variables: Mapping[str, str]) -> Profile:
    """The profile ``name``, or the default one, which need not exist.

    Raises :class:`HandOver` for a name that neither file has, and for whatever is out of the ordinary in either.
    """
    sections = read(variables.get("AWS_CONFIG_FILE", "~/.aws/config"), variables)
    configured = profiles(sections)
    credentials = read(variables.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), variables)
    chosen = name or "default"
    if name is not None and name not in configured and name not in credentials:
        raise HandOver(f"there is no AWS profile {name}", fault=True)
    profile = Profile(configured.get(chosen, {}), credentials.get(chosen, {}))
    # botocore makes no client for such a profile, whatever keys there are.
    login = profile.settings.get("sso_session")
    if login is not None and not sections.get(f"sso-session {login}", {}).keys() >= _LOGIN:
        raise HandOver("the AWS profile's sso_session is missing or incomplete", fault=True)
    return profile
