"""Credentials of an EC2 instance's role, from its metadata service, version 2."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from dynastash.aws.direct.credentials import metadata
from dynastash.aws.direct.credentials.base import CredentialSource, Lease
from dynastash.aws.direct.credentials.renewing import ADVISORY, Renewing
from dynastash.aws.direct.credentials.times import seconds
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.signing import Credentials
from dynastash.aws.direct.urls import Url

IPV4: Final = "http://169.254.169.254/"
IPV6: Final = "http://[fd00:ec2::254]/"
_SECONDS: Final = "21600"  # that a session's token is good for
_ROLE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-")


def from_instance(
    base: Url,
    otherwise: Callable[[], CredentialSource],
    *,
    timeout: float = 1.0,
    now: Callable[[], float] = time.time,
) -> CredentialSource:
    """The role's credentials from the service at ``base``, each answer within ``timeout`` seconds.

    Version 1 of the service, further attempts, and an instance without a role are left to ``otherwise``.
    """
    return Renewing(lambda: _fetch(base, timeout, now), otherwise, now=now)


def _fetch(base: Url, timeout: float, now: Callable[[], float]) -> Lease:
    root = base.target if base.target.endswith("/") else f"{base.target}/"

    def ask(method: str, path: str, headers: dict[str, str]) -> bytes:
        return metadata.ask(method, Url(base.scheme, base.host, base.port, root + path), headers, timeout)

    session = ask("PUT", "latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": _SECONDS}).decode("latin-1")
    if not session:
        raise HandOver("the instance's metadata service gives no token")
    headers = {"x-aws-ec2-metadata-token": session}
    path = "latest/meta-data/iam/security-credentials/"
    role = ask("GET", path, headers).decode("latin-1")
    if not role or not _ROLE.issuperset(role):
        raise HandOver("the instance's role has an uncommon name")
    answer = metadata.document(
        ask("GET", path + role, headers), "AccessKeyId", "SecretAccessKey", "Token", "Expiration"
    )
    return Lease(
        Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"]),
        _extended(seconds(answer["Expiration"]), now()),
    )


def _extended(expires: float, now: float) -> float:
    """When to ask again.

    While the service that makes these credentials is out, the instance goes on giving the last ones, and AWS goes on
    accepting them: they are kept in use beyond their time, and asked for again after a while that differs between
    instances.
    """
    interval = ADVISORY + 120 + int.from_bytes(os.urandom(2)) % 481
    return expires if now < expires - interval else now + interval
