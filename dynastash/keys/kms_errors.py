"""A failed call to KMS as the key provider's errors: what holds of any record."""

from __future__ import annotations

from dynastash.aws.base import CallError, Failure
from dynastash.errors import KeyProviderError, KeyUnavailableError, KeyUnreachableError


def unavailable(error: CallError, key: str) -> KeyUnreachableError | None:
    """What passes: KMS is throttled, out of reach or does not answer. None for a refusal."""
    match error.failure:
        case Failure.THROTTLED:
            return KeyUnreachableError(
                f"{key} is throttled",
                hint="try again later, or with less concurrency: the account's quota is shared",
                code=error.code,
            )
        case Failure.UNREACHABLE:
            return KeyUnreachableError(
                f"{key} is out of reach: {error.message}",
                hint="check the network, the region and endpoint_url",
                code=error.code,
            )
        case Failure.AMBIGUOUS:
            return KeyUnreachableError(
                f"{key} does not answer: {error.message or error.code}", hint="try again in a moment", code=error.code
            )
    return None


def unusable(error: CallError, key: str) -> KeyProviderError:
    """What is wrong with the key itself."""
    match error.code:
        case "NotFoundException":
            return KeyUnavailableError(
                f"{key} does not exist",
                hint="check the region, the account and key in the configuration, or create it: dynastash deploy ENV",
                code=error.code,
            )
        case "DisabledException":
            return KeyUnavailableError(f"{key} is disabled", hint="aws kms enable-key enables it", code=error.code)
        case "KMSInvalidStateException" if "pending deletion" in error.message.lower():
            return KeyUnavailableError(
                f"{key} is pending deletion",
                hint="aws kms cancel-key-deletion and then enable-key save it: without it every value is lost",
                code=error.code,
            )
        case "KMSInvalidStateException":
            return KeyUnavailableError(f"{key} cannot be used now: {error.message}", code=error.code)
        case "InvalidKeyUsageException" | "UnsupportedOperationException":
            return KeyProviderError(
                f"{key} is not a symmetric encryption key", hint="dynastash deploy ENV makes one", code=error.code
            )
    return KeyProviderError(f"{error.operation.action} failed on {key}: {error.message or error.code}", code=error.code)
