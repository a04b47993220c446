"""botocore's exceptions in dynastash's words.

They are told apart by the names of their classes, because several are younger than the oldest botocore that dynastash
works with, and because nothing has to be imported for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.aws.errors import (
    answered,
    credentials_error,
    failure_of,
    invalid_configuration,
    malformed_reply,
    no_authorities,
    one_line,
    unverified,
)
from dynastash.errors import ConfigError, CredentialsError

_UNREACHABLE: Final = ("ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError")
_AMBIGUOUS: Final = ("SSLError", "HTTPClientError", "ConnectionError", "IncompleteReadError", "ResponseParserError")

_UNVERIFIED: Final = ("CERTIFICATE_VERIFY_FAILED", "doesn't match", "subjectAltName")  # the latter two are urllib3's


class _Advice(NamedTuple):
    """How to say it. ``{text}`` is botocore's message, ``{option}`` `` --profile NAME``; others are botocore's."""

    kind: type[ConfigError]
    message: str
    hint: str


_NO_REGION: Final = _Advice(
    ConfigError, "no AWS region is set", "give --region, or set region in the configuration or AWS_REGION"
)
_FILE: Final = _Advice(
    ConfigError, "the AWS config file {path} cannot be read", "mend its syntax, or set AWS_CONFIG_FILE"
)
_SSO: Final = _Advice(CredentialsError, "the AWS SSO login is missing or has expired", "run aws sso login{option}")
_RETRIEVAL: Final = _Advice(
    CredentialsError,
    "the AWS credentials cannot be had: {text}",
    "aws sts get-caller-identity{option} shows whether the AWS CLI can",
)

# By the nearest ancestor's name: subclasses first.
_CONFIGURATION: Final[Mapping[str, _Advice]] = {
    "NoRegionError": _NO_REGION,
    "NoCredentialsError": _Advice(
        CredentialsError,
        "no AWS credentials were found",
        "sign in (aws sso login, aws configure), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY",
    ),
    "PartialCredentialsError": _Advice(
        CredentialsError,
        "the AWS credentials are incomplete: {cred_var} is missing",
        "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or both in the AWS profile",
    ),
    "ProfileNotFound": _Advice(
        ConfigError,
        "the AWS profile {profile} does not exist",
        "aws configure list-profiles shows those that do; check AWS_PROFILE and profile in the configuration",
    ),
    "ConfigParseError": _FILE,
    "ConfigNotFound": _FILE,
    "SSOError": _SSO,
    "TokenRetrievalError": _SSO,
    "NoAuthTokenError": _SSO,
    "LoginError": _Advice(CredentialsError, "the AWS login is missing or has expired", "run aws login{option}"),
    "CredentialRetrievalError": _RETRIEVAL,
    "MetadataRetrievalError": _RETRIEVAL,
    "RefreshWithMFAUnsupportedError": _RETRIEVAL,
    "MissingDependencyException": _RETRIEVAL,
    "UnknownCredentialError": _RETRIEVAL,
}


def no_region() -> ConfigError:
    """No region is configured anywhere."""
    return ConfigError(_NO_REGION.message, hint=_NO_REGION.hint)


def configuration_error(error: Exception, profile: str | None = None) -> ConfigError:
    """For an exception from making a session or a client, or from looking for credentials.

    An exception without an entry of its own is a setting that botocore cannot use.
    """
    advice = next((_CONFIGURATION[name] for name in _ancestry(error) if name in _CONFIGURATION), None)
    if advice is None:
        return invalid_configuration(_text(error))
    details = _mapping(getattr(error, "kwargs", None))
    # What a credential process prints is its own business, and may be a credential.
    text = "the credential process failed" if details.get("provider") == "custom-process" else _text(error)
    fields = defaultdict(lambda: "a part", {**details, "text": text, "option": _option(profile)})
    return advice.kind(one_line(advice.message.format_map(fields)), hint=advice.hint.format_map(fields))


def call_error(operation: Operation, error: Exception, profile: str | None = None) -> CallError | ConfigError:
    """For any exception that a client's call raised, its credentials' retrieval included.

    An exception without a known name came up while the answer was read: the call may have been carried out.
    """
    if isinstance(error, ConfigError):  # our own, from within botocore: nobody could be asked for an MFA code
        return error
    if isinstance(error, OSError) and error.filename:  # a token's file, a credential process: botocore wraps the others
        return CredentialsError(
            one_line(f"the AWS credentials cannot be had: {error.filename}: {error.strerror}"),
            hint="check the AWS profile and the AWS_ variables",
        )
    names = _ancestry(error)
    if "ClientError" in names:
        return _answer(operation, error)
    if "ParamValidationError" in names:  # its text shows values
        return CallError(operation, Failure.REJECTED, "ParamValidationError", "the request is malformed")
    if "SSLError" in names and (unverified := _unverified(error)):
        return unverified
    if any(name in names for name in _UNREACHABLE):
        return CallError(operation, Failure.UNREACHABLE, type(error).__name__, _text(error))
    if any(name in names for name in _AMBIGUOUS):
        return CallError(operation, Failure.AMBIGUOUS, type(error).__name__, _text(error))
    if "BotoCoreError" in names:
        return configuration_error(error, profile)
    if isinstance(error, RuntimeError) and "still expired" in str(error):  # the credentials, also when renewed
        return credentials_error("ExpiredToken", "") or malformed_reply(operation)
    return malformed_reply(operation)


def credentials_failure(error: Exception, profile: str | None = None) -> ConfigError:
    """For any exception from looking for credentials, those of botocore's code on an unexpected document included."""
    if isinstance(error, ValueError):
        return configuration_error(error, profile)
    translated = call_error(Operation.GET_CALLER_IDENTITY, error, profile)
    if isinstance(translated, ConfigError):
        return translated
    unexpected = translated.code == malformed_reply(translated.operation).code
    text = "their source gives an unexpected answer" if unexpected else translated.message
    return CredentialsError(
        f"the AWS credentials cannot be had: {text}", hint="check the network, their source and the AWS profile"
    )


def _answer(operation: Operation, error: Exception) -> CallError | CredentialsError:
    response = _mapping(getattr(error, "response", None))
    described = _mapping(response.get("Error"))
    code, message = str(described.get("Code", "Unknown")), str(described.get("Message", ""))
    status = _mapping(response.get("ResponseMetadata")).get("HTTPStatusCode")
    number = status if isinstance(status, int) else 0
    asked = getattr(error, "operation_name", operation.action)
    if asked != operation.action:
        return _credentials_refused(operation, number, asked, code, message)
    reasons = response.get("CancellationReasons")
    return answered(
        operation,
        number,
        code,
        message,
        [
            (str(_mapping(reason).get("Code", "None")), str(_mapping(reason).get("Message") or ""))
            for reason in (reasons if isinstance(reasons, list) else [])
        ],
    )


def _credentials_refused(
    operation: Operation, status: int, asked: str, code: str, message: str
) -> CallError | CredentialsError:
    """The answer was to a call that botocore made to get credentials: AssumeRole, GetRoleCredentials …"""
    if failure_of(status, code) is not Failure.REJECTED:  # our own call was not even begun
        return CallError(operation, Failure.UNREACHABLE, one_line(code), one_line(message or code))
    if credentials := credentials_error(code, message):
        return credentials
    if asked.startswith("AssumeRole"):
        return CredentialsError(
            f"the role cannot be assumed: {one_line(message) or one_line(code)} ({one_line(code)})",
            hint="check the role's ARN, that its trust policy names the caller, and that the caller may sts:AssumeRole",
        )
    return CredentialsError(
        f"the AWS credentials cannot be had: {one_line(asked)}: {one_line(code)}: {one_line(message)}",
        hint="sign in again, or check the AWS profile",
    )


def _unverified(error: Exception) -> ConfigError | None:
    text = str(error)
    if any(complaint in text for complaint in _UNVERIFIED):
        return unverified(getattr(error, "kwargs", {}).get("endpoint_url", "AWS"))
    if "No such file" in text or "[X509" in text:
        return no_authorities()
    return None


def _option(profile: str | None) -> str:
    return f" --profile {profile}" if profile and profile != "default" else ""


def _ancestry(error: Exception) -> list[str]:
    return [cls.__name__ for cls in type(error).__mro__]


def _mapping(content: object) -> Mapping[str, Any]:
    return content if isinstance(content, Mapping) else {}


def _text(error: Exception) -> str:
    text = one_line(error)
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]  # an abbreviation stays what it is
