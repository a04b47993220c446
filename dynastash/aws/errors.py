"""What AWS's error answers mean, whichever client received them. Nothing here does I/O or imports a client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.errors import ConfigError, CredentialsError
from dynastash.frozen import Frozen

CONDITION_FAILED: Final = "ConditionalCheckFailed"
CONFLICT: Final = "TransactionConflict"
"""Two of the codes that stand in a cancelled transaction's reasons."""

_MESSAGE_LIMIT: Final = 400

# Nothing was done, and AWS asks for patience. DynamoDB and KMS both send most of these with HTTP 400. A transaction in
# progress is our own, sent before; one in conflict with a single write has not touched it.
_THROTTLED: Final = frozenset(
    (
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    )
)
_THROTTLED_REASONS: Final = frozenset(("ProvisionedThroughputExceeded", "RequestLimitExceeded", "ThrottlingError"))

# The server gave up on its own account: it may have done the work before.
_SERVER: Final = frozenset(
    (
        "DependencyTimeoutException",
        "InternalFailure",
        "InternalServerError",
        "KMSInternalException",
        "KeyUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    )
)


class _Complaint(Frozen):
    """What is wrong with the credentials, and what to do."""

    message: str
    hint: str


_EXPIRED: Final = _Complaint(
    "the AWS credentials have expired", "sign in again (aws sso login), or renew the temporary credentials"
)
_UNKNOWN: Final = _Complaint(
    "AWS does not know these credentials",
    "check the access key, that it is active, and that a session token is given where it needs one",
)
_SIGNATURE: Final = _Complaint(
    "AWS refuses the request's signature", "check the secret access key, and this machine's clock"
)
_CLOCK: Final = _Complaint("AWS refuses the request's time", "set this machine's clock: it is minutes off")
_UNSIGNED: Final = _Complaint("AWS got incomplete credentials", "check the access key, secret key and session token")

_CREDENTIALS: Final = {
    "AuthFailure": _UNKNOWN,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "IncompleteSignature": _UNSIGNED,
    "IncompleteSignatureException": _UNSIGNED,
    "InvalidAccessKeyId": _UNKNOWN,
    "InvalidClientTokenId": _UNKNOWN,
    "InvalidSignatureException": _SIGNATURE,
    "InvalidToken": _UNKNOWN,
    "MissingAuthenticationToken": _UNSIGNED,
    "MissingAuthenticationTokenException": _UNSIGNED,
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    "SignatureDoesNotMatch": _SIGNATURE,
    "TokenRefreshRequired": _EXPIRED,
    "UnrecognizedClientException": _UNKNOWN,
}


def one_line(text: object) -> str:
    """``text`` as a part of a message: printable, on one line, of bounded length, without a final full stop."""
    printable = "".join(character if character.isprintable() else " " for character in str(text))
    words = " ".join(printable.split()).rstrip(".")
    return words if len(words) <= _MESSAGE_LIMIT else words[:_MESSAGE_LIMIT] + "…"


def credentials_error(code: str, message: str) -> CredentialsError | None:
    """The error for an answer that complains of the credentials; None for any other."""
    complaint = _CREDENTIALS.get(code)
    if complaint is None:
        return None
    if refuses_time(code, message):
        complaint = _CLOCK
    return CredentialsError(f"{complaint.message} ({code})", hint=complaint.hint)


def refuses_time(code: str, message: str) -> bool:
    """Whether an answer complains of the time at which the request was signed."""
    complaint = _CREDENTIALS.get(code)
    return complaint is _CLOCK or (
        complaint is _SIGNATURE and ("Signature expired" in message or "Signature not yet current" in message)
    )


def failure_of(status: int, code: str, reasons: Iterable[str] = ()) -> Failure:
    """What an error answer leaves open: ``status`` is HTTP's, ``reasons`` a cancelled transaction's codes."""
    causes = set(reasons) - {"None"}
    if code in _THROTTLED or status == 429 or (causes and causes <= _THROTTLED_REASONS):
        return Failure.THROTTLED
    if code in _SERVER or status >= 500:
        return Failure.AMBIGUOUS
    return Failure.REJECTED


def answered(
    operation: Operation, status: int, code: str, message: str, reasons: Sequence[tuple[str, str]] = ()
) -> CallError | CredentialsError:
    """The error for an error answer.

    ``reasons`` are a cancelled transaction's ``(code, message)``, one for each action. The first message among them
    becomes part of the error's: AWS's own names the codes only.
    """
    if credentials := credentials_error(code, message):
        return credentials
    codes = [reason for reason, _ in reasons]
    explained = next((text for reason, text in reasons if text and reason not in ("None", CONDITION_FAILED)), None)
    return CallError(
        operation,
        failure_of(status, code, codes),
        one_line(code),
        one_line(explained or message),
        reasons=codes,
    )


def malformed_reply(operation: Operation, message: str = "the answer cannot be read") -> CallError:
    """The error for an answer that nothing follows from: the call may have been carried out."""
    return CallError(operation, Failure.AMBIGUOUS, "MalformedReply", message)


def not_from_aws(status: int) -> str:
    """The message for an error answer that is not in AWS's form: nothing of it is shown."""
    return f"the answer of status {status} is not AWS's"


def invalid_configuration(text: str) -> ConfigError:
    """The error for a setting that no client can be made with; ``text`` says which."""
    return ConfigError(
        one_line(f"the AWS configuration is invalid: {text}"),
        hint="check the AWS config file, the AWS_ variables, region and endpoint_url",
    )


def unverified(url: str) -> ConfigError:
    """The error for a server whose certificate is not to be trusted. No patience mends it."""
    return ConfigError(
        one_line(f"the TLS certificate of {url} cannot be verified"),
        hint="where a proxy opens TLS, set AWS_CA_BUNDLE to its certificate authority's file",
    )


def no_authorities() -> ConfigError:
    """The error for a bundle of certificate authorities that is missing or none."""
    return ConfigError("the file of certificate authorities cannot be read", hint="check AWS_CA_BUNDLE")
