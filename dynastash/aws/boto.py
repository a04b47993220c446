"""boto3's own clients as a transport, and sessions from settings."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynastash.aws.base import AwsSettings, Operation, Transport
from dynastash.aws.botoerrors import call_error, configuration_error, credentials_failure, no_region
from dynastash.aws.botosession import client_config, hide_body, make_core
from dynastash.aws.errors import not_from_aws
from dynastash.aws.flight import ThreadedFlight
from dynastash.aws.limits import IDENTITY_TIMEOUT

if TYPE_CHECKING:
    import boto3
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials


def make_session(settings: AwsSettings) -> boto3.Session:
    """boto3's session on :func:`~dynastash.aws.botosession.make_core`'s.

    Raises :class:`ConfigError` for a profile that does not exist or a file that cannot be parsed.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    core = make_core(settings)
    try:
        return boto3.Session(botocore_session=core)
    except BotoCoreError as error:
        raise configuration_error(error, settings.profile) from error


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

    ``session`` is used as it is. ``region`` and ``endpoint_url`` override what it says, ``default_region`` is taken
    where it says none. Raises :class:`ConfigError` where no region is to be found. botocore makes one attempt for each
    call.
    """

    def __init__(
        self,
        session: boto3.Session,
        *,
        region: str | None = None,
        default_region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self._session = session
        found = region or region_of(session) or default_region
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
            config = client_config(IDENTITY_TIMEOUT, IDENTITY_TIMEOUT) if service == "sts" else client_config()
            client: BaseClient = make(service, region_name=self._region, endpoint_url=self._endpoint_url, config=config)
        except (BotoCoreError, ValueError) as error:
            raise configuration_error(error, self._session.profile_name) from error
        if service == "kms":
            client.meta.events.register("before-parse.kms", hide_body)
        if service != "sts":
            client.meta.events.register_last("before-parse", _check_body)
        return client


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
