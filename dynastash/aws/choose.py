"""Which transport carries the calls.

``direct`` is quick, and serves where everything is plain: keys in the environment or in the AWS CLI's files, a
container's or an instance's own credentials, an ordinary endpoint or one that is given. Whatever it does not know goes
to ``boto``. Both find the same credentials, Region, endpoints and authorities, and boto3 says what is wrong with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from dynastash.aws.base import AwsSettings, Transport
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.plan import Plan, plan
from dynastash.aws.instrumented import instrumented
from dynastash.errors import ConfigError

if TYPE_CHECKING:
    import boto3

    from dynastash.aws.direct.credentials.base import CredentialSource

VARIABLE: Final = "DYNASTASH_TRANSPORT"


class Choice:
    """A transport's name, ``direct`` or ``boto``, and why in a short phrase. ``plan`` belongs to ``direct``."""

    __slots__ = ("plan", "reason", "transport")

    def __init__(self, transport: str, reason: str, plan: Plan | None = None) -> None:
        self.transport = transport
        self.reason = reason
        self.plan = plan


def open_transport(
    settings: AwsSettings, session: boto3.Session | None = None, notice: Callable[[str], None] | None = None
) -> Transport:
    """The transport for ``settings``; with a ``session``, boto3's on it, whatever ``DYNASTASH_TRANSPORT`` says.

    ``notice`` is told when reads go to ``read_region``; without it, the logger ``dynastash`` is. Raises
    :class:`ConfigError`.
    """
    first = _open(settings, session)
    if settings.read_region is None:
        return first
    from dynastash.aws.fallback import FallbackTransport

    return FallbackTransport(first, _open(elsewhere(settings), session), notice=notice)


def elsewhere(settings: AwsSettings) -> AwsSettings:
    """``settings`` for the Region that reads fall back to."""
    return AwsSettings(
        region=settings.read_region,
        profile=settings.profile,
        role_arn=settings.role_arn,
        external_id=settings.external_id,
        mfa_serial=settings.mfa_serial,
        role_session_name=settings.role_session_name,
        duration_seconds=settings.duration_seconds,
        endpoint_url=settings.read_endpoint_url,
        ask_mfa=settings.ask_mfa,
    )


def _open(settings: AwsSettings, session: boto3.Session | None) -> Transport:
    found = choose(settings).plan if session is None else None
    if found is None:
        from dynastash.aws.boto import BotoTransport, make_session

        return BotoTransport(
            make_session(settings) if session is None else session,
            region=settings.region,
            default_region=settings.default_region,
            endpoint_url=settings.endpoint_url,
        )
    from dynastash.aws.direct.transport import DirectTransport

    tls = None
    if found.ca_bundle is not None:
        from dynastash.aws.direct.tls import TlsSettings

        tls = TlsSettings(found.ca_bundle)
    return DirectTransport(found.source, region=found.region, endpoints=found.endpoints, tls=tls)


def choose(settings: AwsSettings, variables: Mapping[str, str] | None = None) -> Choice:
    """The transport for ``settings``. Reads variables and files; asks neither AWS nor this machine's own services.

    Raises :class:`ConfigError` where ``DYNASTASH_TRANSPORT`` asks for one that there is not, or that cannot do it.
    """
    variables = os.environ if variables is None else variables
    wanted = variables.get(VARIABLE, "")
    if wanted not in ("", "boto", "direct"):
        raise ConfigError(f"{VARIABLE} is neither boto nor direct", hint=f"unset {VARIABLE}: the better one is chosen")
    if wanted == "boto":
        return Choice("boto", f"{VARIABLE} says so")

    def ask_boto() -> CredentialSource:
        from dynastash.aws.botocredentials import BotoCredentials

        return BotoCredentials(settings)

    try:
        if patched := instrumented():
            raise HandOver(patched)
        found = plan(settings, variables, ask_boto)
    except HandOver as error:
        if wanted == "direct" and not error.fault:
            raise ConfigError(
                f"the direct transport cannot be used: {error.reason}", hint=f"unset {VARIABLE}: boto3 can do it"
            ) from None
        return Choice("boto", error.reason)
    return Choice("direct", f"credentials from {found.origin}", found)
