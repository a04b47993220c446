"""Credentials from ``AWS_ACCESS_KEY_ID`` and its siblings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from dynastash.aws.direct.credentials.base import CredentialSource, Fixed, Lease
from dynastash.aws.direct.credentials.renewing import ADVISORY, Renewing
from dynastash.aws.direct.credentials.times import seconds
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.signing import Credentials

ACCESS_KEY = "AWS_ACCESS_KEY_ID"
_TOKENS = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")  # in this order


def from_variables(
    variables: Mapping[str, str],
    otherwise: Callable[[], CredentialSource],
    *,
    now: Callable[[], float] = time.time,
) -> CredentialSource | None:
    """The credentials in ``variables``; None where there are none.

    With ``AWS_CREDENTIAL_EXPIRATION`` they are read again before they expire: whoever set them may have renewed them.
    Raises :class:`HandOver` where a part is missing, or the credentials have all but expired.
    """
    if not variables.get(ACCESS_KEY):
        return None
    lease = _read(variables)
    if lease.expires is None:
        return Fixed(lease.credentials, lease.account)
    if lease.expires - now() < ADVISORY:
        raise HandOver("the credentials in the environment are about to expire", fault=True)
    return Renewing(lambda: _read(variables), otherwise, now=now)


def _read(variables: Mapping[str, str]) -> Lease:
    access, secret = variables.get(ACCESS_KEY), variables.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        raise HandOver("AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is missing", fault=True)
    token = next((variables[name] for name in _TOKENS if variables.get(name)), None)
    expiration = variables.get("AWS_CREDENTIAL_EXPIRATION")
    return Lease(
        Credentials(access, secret, token),
        seconds(expiration) if expiration else None,
        variables.get("AWS_ACCOUNT_ID") or None,
    )
