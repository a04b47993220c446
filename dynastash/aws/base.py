"""The calls to AWS that the data path makes, and how they fail, whichever client carries them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any, Final, Protocol

from dynastash.frozen import Frozen, field


class AwsSettings(Frozen, kw_only=True):
    """How to reach an account: each as in the AWS CLI, None where boto3's own chain decides.

    ``external_id``, ``mfa_serial``, ``role_session_name`` and ``duration_seconds`` belong to ``role_arn``. ``ask_mfa``
    gets the serial number of the MFA device and returns its code; None where nobody can be asked. ``read_region`` and
    ``read_endpoint_url`` are where reads go while ``region`` is out of reach. ``default_region`` is taken where neither
    ``region`` nor boto3's chain names one.
    """

    region: str | None = None
    default_region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    mfa_serial: str | None = None
    role_session_name: str | None = None
    duration_seconds: int | None = None
    endpoint_url: str | None = None
    read_region: str | None = None
    read_endpoint_url: str | None = None
    ask_mfa: Callable[[str], str] | None = field(default=None, repr=False)


class Operation(Enum):
    """The operations in use: ``(service, name in the API)``."""

    QUERY = ("dynamodb", "Query")
    SCAN = ("dynamodb", "Scan")
    BATCH_GET_ITEM = ("dynamodb", "BatchGetItem")
    TRANSACT_WRITE_ITEMS = ("dynamodb", "TransactWriteItems")
    UPDATE_ITEM = ("dynamodb", "UpdateItem")
    PUT_ITEM = ("dynamodb", "PutItem")
    DELETE_ITEM = ("dynamodb", "DeleteItem")
    GENERATE_DATA_KEY = ("kms", "GenerateDataKey")
    DECRYPT = ("kms", "Decrypt")
    RE_ENCRYPT = ("kms", "ReEncrypt")
    GET_CALLER_IDENTITY = ("sts", "GetCallerIdentity")

    @property
    def service(self) -> str:
        """The service's name in AWS's own spelling."""
        return self.value[0]

    @property
    def action(self) -> str:
        """The operation's name in the API."""
        return self.value[1]


WRITES: Final = frozenset(
    (Operation.TRANSACT_WRITE_ITEMS, Operation.UPDATE_ITEM, Operation.PUT_ITEM, Operation.DELETE_ITEM)
)
"""The operations that change something."""


class Failure(StrEnum):
    """What a failed call leaves open."""

    REJECTED = "rejected"
    """AWS said no; asking again gives the same answer."""

    THROTTLED = "throttled"
    """AWS asked to slow down; nothing was done."""

    UNREACHABLE = "unreachable"
    """No connection came about; nothing was done."""

    AMBIGUOUS = "ambiguous"
    """The request may have been carried out: a timeout, a reset connection, a server's own failure."""


class CallError(Exception):
    """One failed call, in AWS's words. Stores and key providers turn it into the public errors.

    ``code`` is the AWS error code (or the client's exception for a call that got no answer); ``reasons`` are a
    cancelled transaction's codes, one for each action, in order. ``uncertain`` is set where the same request was sent
    more than once and this attempt or an earlier one may have been carried out.
    """

    uncertain: bool

    def __init__(
        self,
        operation: Operation,
        failure: Failure,
        code: str,
        message: str,
        *,
        reasons: Sequence[str] = (),
    ) -> None:
        super().__init__(f"{operation.action}: {code}: {message}")
        self.operation = operation
        self.failure = failure
        self.code = code
        self.message = message
        self.reasons = tuple(reasons)
        self.uncertain = failure is Failure.AMBIGUOUS


class Flight(Protocol):
    """Many calls at once, sent and awaited from one thread. One attempt each, like :meth:`Transport.call`."""

    def send(self, ticket: int, operation: Operation, request: Mapping[str, Any]) -> None:
        """Start a call. ``ticket`` is how the caller recognizes its end."""
        ...

    def wait(self, timeout: float | None) -> list[tuple[int, dict[str, Any] | Exception]]:
        """The calls that have ended: each one's ticket with its reply, or with what ``call`` would have raised.

        Waits ``timeout`` seconds at most for the first of them, or as long as it takes; the list may be empty.
        """
        ...

    def close(self) -> None:
        """Abandon what has not ended. Whether AWS carries it out is open."""
        ...


class Transport(Protocol):
    """Carries out single calls. Makes one attempt each: patience is :mod:`dynastash.aws.retry`'s.

    Requests and replies are the API's own shapes, binary as ``bytes``. Safe to use from several threads.
    """

    @property
    def region(self) -> str:
        """The Region that calls go to."""
        ...

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply, or :class:`CallError`; or :class:`~dynastash.errors.ConfigError` where no call can be made."""
        ...

    def flight(self) -> Flight:
        """A way to have many calls under way at once."""
        ...

    def prepare(self, *services: str) -> None:
        """Connect to ``services`` in the background, if that is worth it. What fails is met again by the call."""
        ...

    def access_key(self) -> str:
        """The id of the access key in use. Raises :class:`~dynastash.errors.CredentialsError` without any."""
        ...
