"""boto3's own clients as a transport, and sessions from settings."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dynastash._version import __version__
from dynastash.aws.base import AwsSettings, Operation, Transport
from dynastash.aws.botoerrors import call_error, configuration_error, credentials_failure, no_region
from dynastash.aws.errors import not_from_aws
from dynastash.aws.flight import ThreadedFlight
from dynastash.aws.limits import CONNECT_TIMEOUT, CONNECTIONS, IDENTITY_TIMEOUT, READ_TIMEOUT
from dynastash.errors import CredentialsError

if TYPE_CHECKING:
    import boto3
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.credentials import ReadOnlyCredentials

_SESSION_NAME: Final = "dynastash"


def make_session(settings: AwsSettings) -> boto3.Session:
    """A session for ``settings``; what they leave open is boto3's own chain, ``AWS_`` variables included.

    ``role_arn`` is assumed with the credentials that the session would otherwise have, when they are first needed, and
    again whenever they are about to expire. With ``mfa_serial`` a code is asked for, and the role's session kept until
    it expires where boto3 keeps such (``~/.aws/boto/cache``, readable by its owner). Raises :class:`ConfigError` for a
    profile that does not exist or a file that cannot be parsed.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session(profile_name=settings.profile, region_name=settings.region)
        return _assuming(session, settings.role_arn, settings) if settings.role_arn else session
    except BotoCoreError as error:
        raise configuration_error(error, settings.profile) from error


def _assuming(source: boto3.Session, role_arn: str, settings: AwsSettings) -> boto3.Session:
    """A session with the credentials of a role that ``source`` may assume, renewed by botocore's own machinery."""
    import boto3
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.session import Session
    from botocore.utils import JSONFileCache

    region = region_of(source)
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
                    source.client, region_name=region, endpoint_url=settings.endpoint_url, config=_config()
                ),
                source_credentials=credentials,
                role_arn=role_arn,
                extra_args=_role_request(settings),
                mfa_prompter=lambda _: _mfa_code(settings),
                cache=cache,
            )
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    core = Session(profile=settings.profile)
    core.register_component("credential_provider", CredentialResolver([Role()]))
    source.events.register("before-parse.sts", _hide_body)
    return boto3.Session(botocore_session=core, region_name=region)


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


def region_of(session: boto3.Session) -> str | None:
    """The session's Region, else that of ``AWS_REGION``: boto3 does not read it; the AWS CLI and containers do."""
    return session.region_name or os.environ.get("AWS_REGION")


def credentials_of(session: boto3.Session) -> ReadOnlyCredentials:
    """The credentials that calls of ``session`` would be signed with now.

    Raises :class:`ConfigError`, nearly always a :class:`~dynastash.errors.CredentialsError`.
    """
    from botocore.exceptions import NoCredentialsError

    try:
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials.get_frozen_credentials()
    except Exception as error:
        translated = credentials_failure(error, session.profile_name)
        raise translated from None if translated is error else error


class BotoTransport:
    """boto3's low-level clients, one for each service, made when first needed.

    ``session`` is used as it is. ``region`` and ``endpoint_url`` override what it says. Raises :class:`ConfigError`
    where no region is to be found. botocore makes one attempt for each call.
    """

    def __init__(self, session: boto3.Session, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        self._session = session
        found = region or region_of(session)
        if not found:
            raise no_region()
        self._region = found
        self._endpoint_url = endpoint_url
        self._start()

    @property
    def region(self) -> str:
        """The Region that calls go to."""
        return self._region

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply without botocore's ``ResponseMetadata``, or :class:`CallError`, or :class:`ConfigError`."""
        from botocore import xform_name

        client = self._client(operation.service)
        try:
            reply: dict[str, Any] = getattr(client, xform_name(operation.action))(**request)
        except Exception as error:
            translated = call_error(operation, error, self._session.profile_name)
            # A malformed request or answer is shown in botocore's words, and may hold what must stay hidden.
            hidden = translated is error or getattr(translated, "code", None) in (
                "ParamValidationError",
                "MalformedReply",
            )
            raise translated from None if hidden else error
        reply.pop("ResponseMetadata", None)
        return reply

    def flight(self) -> ThreadedFlight:
        """Many calls at once, each in a thread."""
        return ThreadedFlight(self.call)

    def prepare(self, *services: str) -> None:
        """Nothing: botocore connects when it calls, and making a client ahead would cost more than it saves."""

    def access_key(self) -> str:
        """The id of the access key in use. Raises :class:`~dynastash.errors.CredentialsError` without any."""
        return str(credentials_of(self._session).access_key)

    def _start(self) -> None:
        """Begin without clients: at first, and in a forked process, where their connections are the parent's."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._clients: dict[str, BaseClient] = {}

    def _client(self, service: str) -> BaseClient:
        if self._process != os.getpid():
            self._start()
        client = self._clients.get(service)
        if client is None:
            with self._lock:  # making clients is the one thing that a session cannot do from two threads
                client = self._clients.get(service) or self._make_client(service)
                self._clients[service] = client
        return client

    def _make_client(self, service: str) -> BaseClient:
        from botocore.exceptions import BotoCoreError

        try:
            self._session.get_credentials()  # here, where their failures are not taken for a client's
        except Exception as error:
            raise credentials_failure(error, self._session.profile_name) from error
        try:
            # The stubs know each service by its literal name; here the name is a variable.
            make: Any = self._session.client
            config = _config(IDENTITY_TIMEOUT, IDENTITY_TIMEOUT) if service == "sts" else _config()
            client: BaseClient = make(service, region_name=self._region, endpoint_url=self._endpoint_url, config=config)
        except (BotoCoreError, ValueError) as error:
            raise configuration_error(error, self._session.profile_name) from error
        if service == "kms":
            client.meta.events.register("before-parse.kms", _hide_body)
        if service != "sts":
            client.meta.events.register_last("before-parse", _check_body)
        return client


def _config(connect_timeout: float = CONNECT_TIMEOUT, read_timeout: float = READ_TIMEOUT) -> Config:
    from botocore.config import Config

    return Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 1},
        tcp_keepalive=True,
        user_agent_extra=f"dynastash/{__version__}",
    )


class _HiddenBody(bytes):
    """An answer's body that botocore can parse and that its debug log shows nothing of."""

    def __repr__(self) -> str:
        return "(hidden)"

    __str__ = __repr__


def _hide_body(response_dict: dict[str, Any], **_: object) -> None:
    response_dict["body"] = _HiddenBody(response_dict["body"])


class _NotJson(Exception):
    """An answer that is not AWS's."""


def _check_body(response_dict: dict[str, Any], **_: object) -> None:
    """Refuse a success whose body is no JSON object, and keep the body of another's error page out of messages.

    botocore takes anything for the empty answer, and the empty answer of a transaction means that it was committed:
    a captive portal's page, or a body cut off at whatever brace, must not. Status 300 counts as a success to it.
    """
    status = response_dict["status_code"]
    try:
        document = json.loads(response_dict["body"])
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and status != 300:
        return
    if status <= 300:
        raise _NotJson("the answer is not JSON")  # out here: the parser's exception holds the body
    response_dict["body"] = json.dumps({"message": not_from_aws(status)}).encode() if status < 500 else b""


if TYPE_CHECKING:

    def _conforms(transport: BotoTransport) -> Transport:
        return transport
