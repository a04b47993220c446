"""The order in which boto3 looks for credentials, as far as it is followed without it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from dynastash.aws.direct.credentials.base import CredentialSource
from dynastash.aws.direct.credentials.environment import from_variables
from dynastash.aws.direct.credentials.shared import Profile
from dynastash.aws.direct.handover import CredentialsHandOver, HandOver
from dynastash.aws.direct.options import Options
from dynastash.aws.direct.profilefile import home
from dynastash.aws.direct.urls import Url, plain

_CONTAINER: Final = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")

_BOTOS: Final = {
    "AWS_WEB_IDENTITY_TOKEN_FILE": "a web identity",
    "AWS_CREDENTIAL_FILE": "AWS_CREDENTIAL_FILE",
    "BOTO_CONFIG": "BOTO_CONFIG",
}
"""Variables that may lead to credentials that only botocore understands, with what they stand for."""


def find(
    profile: Profile,
    options: Options,
    variables: Mapping[str, str],
    otherwise: Callable[[], CredentialSource],
    *,
    named: bool,
) -> tuple[str, CredentialSource]:
    """Where the credentials come from, in words, and their source.

    ``named`` says that a profile was asked for by an argument or a setting of ours, which then goes before the
    variables. ``otherwise`` makes the source to go on with where a source fails. Raises :class:`CredentialsHandOver`
    for credentials that only boto3 finds, and :class:`HandOver`.
    """
    if not named and (source := from_variables(variables, otherwise)):
        return "the environment", source
    for name, kind in _BOTOS.items():
        if name in variables:
            raise CredentialsHandOver(kind)
    if source := profile.credentials():
        return "the AWS profile", source
    for path in ("/etc/boto.cfg", f"{home(variables)}/.boto"):
        if os.path.exists(path):
            raise CredentialsHandOver(path)
    if any(name in variables for name in _CONTAINER):
        from dynastash.aws.direct.credentials.container import from_container

        return "the container", from_container(variables, otherwise)
    if variables.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise HandOver("there are no credentials", fault=True)
    from dynastash.aws.direct.credentials.imds import from_instance

    base = _instance(options)
    options.number("metadata_service_num_attempts", 1)  # the further ones are botocore's
    return "the instance", from_instance(base, otherwise, timeout=options.number("metadata_service_timeout", 1))


def _instance(options: Options) -> Url:
    """The metadata service of this instance."""
    from dynastash.aws.direct.credentials.imds import IPV4, IPV6

    mode = options.get("ec2_metadata_service_endpoint_mode")
    if mode is not None and mode.lower() not in ("ipv4", "ipv6"):
        raise HandOver("ec2_metadata_service_endpoint_mode is neither ipv4 nor ipv6", fault=True)
    six = mode.lower() == "ipv6" if mode is not None else options.on("imds_use_ipv6")
    base = plain(options.get("ec2_metadata_service_endpoint") or (IPV6 if six else IPV4))
    if base is None or base.scheme != "http" or "?" in base.target:
        raise CredentialsHandOver("an instance's metadata service at an uncommon address")
    return base
