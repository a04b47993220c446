"""botocore's sessions from settings: what finds the credentials, whoever then signs with them.

boto3 stands above these; for credentials it is not needed, and to import it costs as much again.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dynastash._version import __version__
from dynastash.aws.base import AwsSettings
from dynastash.aws.botoerrors import configuration_error
from dynastash.aws.limits import CONNECT_TIMEOUT, CONNECTIONS, READ_TIMEOUT
from dynastash.errors import CredentialsError

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.credentials import DeferredRefreshableCredentials
    from botocore.session import Session

_SESSION_NAME: Final = "dynastash"


def make_core(settings: AwsSettings) -> Session:
    """A session for ``settings``; what they leave open is boto3's own chain, ``AWS_`` variables included.

    ``role_arn`` is assumed with the credentials that the session would otherwise have, when they are first needed, and
    again whenever they are about to expire. With ``mfa_serial`` a code is asked for, and the role's session kept until
    it expires where boto3 keeps such (``~/.aws/boto/cache``, readable by its owner). Raises :class:`ConfigError` for a
    profile that does not exist or a file that cannot be parsed, if that has to be known already.
    """
    from botocore.exceptions import BotoCoreError

    try:
        session = _session(settings.profile, settings.region)
        return _assuming(session, settings.role_arn, settings) if settings.role_arn else session
    except BotoCoreError as error:
        raise configuration_error(error, settings.profile) from error


def client_config(connect_timeout: float = CONNECT_TIMEOUT, read_timeout: float = READ_TIMEOUT) -> Config:
    """How botocore's clients are to call: one attempt each, with our own patience around it."""
    from botocore.config import Config

    return Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 1},
        tcp_keepalive=True,
        user_agent_extra=f"dynastash/{__version__}",
    )


def hide_body(response_dict: dict[str, Any], **_: object) -> None:
    """Keep an answer's body out of botocore's debug log: for ``before-parse``."""
    response_dict["body"] = _HiddenBody(response_dict["body"])


class _HiddenBody(bytes):
    """An answer's body that botocore can parse and that its debug log shows nothing of."""

    def __repr__(self) -> str:
        return "(hidden)"

    __str__ = __repr__


def _session(profile: str | None, region: str | None) -> Session:
    import botocore.session

    session = botocore.session.get_session()
    for name, value in (("profile", profile), ("region", region)):
        if value is not None:
            session.set_config_variable(name, value)
    return session


def _assuming(source: Session, role_arn: str, settings: AwsSettings) -> Session:
    """A session with the credentials of a role that ``source`` may assume, renewed by botocore's own machinery."""
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.utils import JSONFileCache

    region = source.get_config_variable("region") or os.environ.get("AWS_REGION") or settings.default_region
    # A code is good for one session: without a place that outlives the process, each command would ask for another.
    kept = os.path.expanduser("~/.aws/boto/cache")  # noqa: PTH111
    cache: Any = JSONFileCache(kept) if settings.mfa_serial else None

    class Role(CredentialProvider):
        METHOD = "dynastash-assume-role"

        def load(self) -> DeferredRefreshableCredentials | None:
            credentials = source.get_credentials()
            if credentials is None:
                return None
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=partial(
                    source.create_client,
                    region_name=region,
                    endpoint_url=settings.endpoint_url,
                    config=client_config(),
                ),
                source_credentials=credentials,
                role_arn=role_arn,
                extra_args=_role_request(settings),
                mfa_prompter=lambda _: _mfa_code(settings),
                cache=cache,
            )
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    core = _session(settings.profile, region)
    core.register_component("credential_provider", CredentialResolver([Role()]))
    events: Any = source.get_component("event_emitter")
    events.register("before-parse.sts", hide_body)
    return core


def _role_request(settings: AwsSettings) -> dict[str, Any]:
    """What AssumeRole is asked for besides the role."""
    asked = {
        "RoleSessionName": settings.role_session_name or _SESSION_NAME,
        "ExternalId": settings.external_id,
        "SerialNumber": settings.mfa_serial,
        "DurationSeconds": settings.duration_seconds,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _mfa_code(settings: AwsSettings) -> str:
    serial = settings.mfa_serial or ""
    if settings.ask_mfa is None:
        raise CredentialsError(
            f"the role takes a code of the MFA device {serial}, and nobody can be asked for it",
            hint="run a dynastash command at a terminal first, whose session is kept, or use a role without MFA",
        )
    return settings.ask_mfa(serial)
