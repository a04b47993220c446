"""boto3's clients for what is beside the data path: looking at an account, reading its logs, changing its IAM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dynastash._version import __version__
from dynastash.aws.base import AwsSettings
from dynastash.errors import (
    CredentialsError,
    DynastashError,
    ServiceAccessDeniedError,
    ServiceError,
    ServiceUnavailableError,
)

if TYPE_CHECKING:
    import boto3

DENIED: Final = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation")
_ATTEMPTS: Final = 5


class Clients:
    """Clients for one environment's account and Region, each made when it is first asked for.

    ``timeout`` is in seconds, for connecting and for reading each; ``attempts`` how often botocore tries a call.
    Not for several threads at once. Raises :class:`~dynastash.errors.ConfigError` for settings that no session can be
    made of.
    """

    def __init__(
        self,
        settings: AwsSettings,
        *,
        session: boto3.Session | None = None,
        timeout: float = 10.0,
        attempts: int = _ATTEMPTS,
    ) -> None:
        from dynastash.aws.boto import make_session

        self.session = session if session is not None else make_session(settings)
        self._settings = settings
        self._timeout = timeout
        self._attempts = attempts
        self._made: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """The Region that calls go to. Raises :class:`~dynastash.errors.ConfigError` where none is set."""
        from dynastash.aws.boto import region_of
        from dynastash.aws.botoerrors import no_region

        found = self._settings.region or region_of(self.session) or self._settings.default_region
        if not found:
            raise no_region()
        return found

    def get(self, service: str) -> Any:
        """boto3's client for ``service``, such as ``iam``."""
        if service not in self._made:
            self._made[service] = self._make(service)
        return self._made[service]

    def _make(self, service: str) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        from dynastash.aws.botoerrors import configuration_error

        make: Any = self.session.client  # the stubs know each service by its literal name
        try:
            return make(
                service,
                region_name=self.region,
                endpoint_url=self._settings.endpoint_url,
                config=Config(
                    connect_timeout=self._timeout,
                    read_timeout=self._timeout,
                    retries={"mode": "standard", "total_max_attempts": self._attempts},
                    user_agent_extra=f"dynastash/{__version__}",
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise configuration_error(error, self.session.profile_name) from error


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Turn botocore's exceptions into dynastash's; ``service`` is its name in IAM actions, such as ``cloudtrail``.

    Raises :class:`ServiceError`, or :class:`~dynastash.errors.ConfigError` where no call could be made.
    """
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, ParamValidationError
    from botocore.parsers import ResponseParserError

    from dynastash.aws.botoerrors import configuration_error
    from dynastash.aws.errors import one_line

    try:
        yield
    except ClientError as error:
        raise _refused(service, error) from error
    except (ConnectionError, HTTPClientError) as error:
        said = one_line(error)
        raise ServiceUnavailableError(
            f"{service} cannot be reached: {said[:1].lower()}{said[1:]}",
            hint="check the network, the region and endpoint_url",
            code=type(error).__name__,
        ) from error
    except ParamValidationError as error:
        raise ServiceError(f"the request to {service} is malformed: {one_line(error)}") from error
    except ResponseParserError as error:
        raise ServiceError(f"the answer of {service} cannot be read", code="MalformedReply") from error
    except BotoCoreError as error:
        raise configuration_error(error) from error


def _refused(service: str, error: Any) -> DynastashError:
    from dynastash.aws.base import Failure
    from dynastash.aws.errors import credentials_error, failure_of, one_line

    described = error.response.get("Error", {})
    code, message = str(described.get("Code", "Unknown")), str(described.get("Message", ""))
    operation = error.operation_name
    if complaint := credentials_error(code, message):
        return complaint
    said = one_line(message or code)
    if operation.startswith("AssumeRole"):
        return CredentialsError(
            f"the role cannot be assumed: {said} ({one_line(code)})",
            hint="check the role's ARN, that its trust policy names the caller, and that the caller may sts:AssumeRole",
        )
    action = f"{service}:{operation}"
    if code in DENIED:
        return ServiceAccessDeniedError(
            f"not allowed to call {action}: {said}", hint=f"an identity with {action} may", code=code, action=action
        )
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if failure_of(status if isinstance(status, int) else 0, code) is not Failure.REJECTED:
        return ServiceUnavailableError(
            f"{service} asks for patience: {said}", hint="try again later", code=code, action=action
        )
    return ServiceError(f"{service} refused {operation}: {said} ({one_line(code)})", code=code, action=action)
