"""The CloudFormation client, and its exceptions in dynastash's words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dynastash._version import __version__
from dynastash.aws.base import AwsSettings
from dynastash.errors import (
    CredentialsError,
    DeployAccessDeniedError,
    DeployError,
    DeployUnavailableError,
    DynastashError,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_cloudformation import CloudFormationClient

_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_OUTDATED: Final = ("ChangeSetNotFound", "InvalidChangeSetStatus")
_ATTEMPTS: Final = 5


def make_client(settings: AwsSettings) -> CloudFormationClient:
    """boto3's CloudFormation client for ``settings``.

    Raises :class:`~dynastash.errors.ConfigError` for settings that no client can be made of.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    from dynastash.aws.boto import make_session
    from dynastash.aws.botoerrors import configuration_error

    session = make_session(settings)
    try:
        return session.client(
            "cloudformation",
            region_name=session.region_name or os.environ.get("AWS_REGION"),
            endpoint_url=settings.endpoint_url,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                user_agent_extra=f"dynastash/{__version__}",
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise configuration_error(error, session.profile_name) from error


@contextmanager
def translated(hint: str | None = None) -> Iterator[None]:
    """Turn botocore's exceptions into dynastash's. ``hint`` replaces the advice where the call was never answered."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        ParamValidationError,
        WaiterError,
    )

    from dynastash.aws.botoerrors import configuration_error
    from dynastash.aws.errors import one_line

    try:
        yield
    except ClientError as error:
        raise _refused(error) from error
    except (ConnectionError, HTTPClientError) as error:
        raise DeployUnavailableError(
            f"CloudFormation cannot be reached: {one_line(error)}",
            hint=hint or "check the network, the region and endpoint_url",
        ) from error
    except (ParamValidationError, WaiterError) as error:
        raise DeployError(f"the request to CloudFormation is malformed: {one_line(error)}") from error
    except BotoCoreError as error:
        raise configuration_error(error) from error


def _refused(error: ClientError) -> DynastashError:
    """What an error answer means."""
    from dynastash.aws.errors import credentials_error, one_line

    described = error.response.get("Error", {})
    code, message = described.get("Code", "Unknown"), described.get("Message", "")
    operation = error.operation_name
    if complaint := credentials_error(code, message):
        return complaint
    if operation.startswith("AssumeRole"):
        return CredentialsError(
            f"the role cannot be assumed: {one_line(message or code)}",
            hint="check the role's ARN, its trust policy, and that the caller may sts:AssumeRole",
        )
    said = one_line(message or code)
    if code in _DENIED:
        return DeployAccessDeniedError(
            f"not allowed to call cloudformation:{operation}: {said}",
            hint="deploying takes permissions on the stack, the table and its keys; the how-to lists them",
        )
    if code in _OUTDATED:
        return DeployError(f"the change set is out of date: {said}", hint="somebody else deployed; deploy again")
    if "_IN_PROGRESS state" in message or code == "AlreadyExistsException":
        return DeployError(f"another operation on the stack is under way: {said}", hint="wait until it is done")
    return DeployError(f"CloudFormation refused {operation}: {said} ({code})")
