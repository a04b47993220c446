"""Credentials of a container: ECS's endpoint, EKS Pod Identity's agent, or another that the variables name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from dynastash.aws.direct.credentials import metadata
from dynastash.aws.direct.credentials.base import CredentialSource, Lease
from dynastash.aws.direct.credentials.renewing import Renewing
from dynastash.aws.direct.credentials.times import seconds
from dynastash.aws.direct.handover import CredentialsHandOver, HandOver
from dynastash.aws.direct.signing import Credentials
from dynastash.aws.direct.urls import Url, plain

_ECS: Final = "169.254.170.2"
_HOSTS: Final = frozenset((_ECS, "169.254.170.23", "fd00:ec2::23", "localhost"))
_RELATIVE: Final = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_FULL: Final = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 (a variable's name)
_TOKEN_FILE: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 (a variable's name)
_TIMEOUT: Final = 2.0


def from_container(
    variables: Mapping[str, str],
    otherwise: Callable[[], CredentialSource],
    *,
    now: Callable[[], float] = time.time,
) -> CredentialSource:
    """The source that ``variables`` point to. Nothing is asked yet.

    Raises :class:`CredentialsHandOver` for an address that is not this machine's own or takes TLS.
    """
    url = plain(f"http://{_ECS}{variables[_RELATIVE]}" if _RELATIVE in variables else variables.get(_FULL, ""))
    if url is None or url.scheme != "http" or not _near(url.host):
        raise CredentialsHandOver("a container's endpoint at an uncommon address")
    return Renewing(lambda: _fetch(url, variables), otherwise, now=now)


def _near(host: str) -> bool:
    """Whether ``host`` may be sent the token in the clear: loopback, or an address that AWS has set aside."""
    parts = host.split(".")
    loopback = len(parts) == 4 and parts[0] == "127" and all(_octet(part) for part in parts)
    return host in _HOSTS or host == "::1" or loopback


def _octet(text: str) -> bool:
    return text.isdigit() and (text == "0" or text[0] != "0") and int(text) < 256


def _fetch(url: Url, variables: Mapping[str, str]) -> Lease:
    headers = {"Accept": "application/json"}
    token = variables.get(_TOKEN)
    if _TOKEN_FILE in variables:  # read each time: the kubelet replaces it long before it expires
        try:
            with open(variables[_TOKEN_FILE]) as file:
                token = file.read()
        except (OSError, ValueError) as error:
            raise HandOver(f"the file in {_TOKEN_FILE} cannot be read") from error
    if token is not None:
        headers["Authorization"] = token
    answer = metadata.document(
        metadata.ask("GET", url, headers, _TIMEOUT), "AccessKeyId", "SecretAccessKey", "Token", "Expiration"
    )
    account = answer.get("AccountId")
    if account is not None and not isinstance(account, str):
        raise HandOver("the container's credentials are of an uncommon account")
    return Lease(
        Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"]),
        seconds(answer["Expiration"]),
        account,
    )
