"""Failed calls as errors that speak of a credstash table and its items."""

from __future__ import annotations

from dynastash.aws.base import CallError
from dynastash.errors import (
    ContextMismatchError,
    KeyAccessDeniedError,
    KeyProviderError,
    KeyUnavailableError,
    StoreError,
    StoreNotFoundError,
)
from dynastash.keys.kms_errors import unavailable, unusable
from dynastash.stores.dynamodb_errors import of_another_shape, store_error


def foreign(description: str, code: str | None = None) -> StoreNotFoundError:
    """The table exists and does not hold names and versions."""
    return StoreNotFoundError(
        f"{description} is none: its keys are not name and version", hint="check the table's name", code=code
    )


def table_error(error: CallError, description: str) -> StoreError:
    """The error for a call to DynamoDB that failed for good."""
    if of_another_shape(error):
        return foreign(description, error.code)
    if error.code == "ResourceNotFoundException":
        return StoreNotFoundError(
            f"{description} does not exist", hint="check the table's name, the region and the account", code=error.code
        )
    return store_error(error, description)


def key_error(error: CallError, key: str, what: str) -> KeyProviderError:
    """The error for a call to KMS that failed for good. ``key`` names the key, ``what`` the item."""
    if passing := unavailable(error, key):
        return passing
    match error.code:
        case "InvalidCiphertextException":
            return ContextMismatchError(
                f"the key of {what} does not open: it was put with another context, or altered",
                hint="say the context that it was put with; credstash does not keep it",
                code=error.code,
            )
        case "AccessDenied" | "AccessDeniedException":
            action = f"kms:{error.operation.action}"
            return KeyAccessDeniedError(
                f"{action} is denied on {key} for {what}",
                hint=f"the key's policy and the caller's must allow {action} with this encryption context",
                code=error.code,
            )
        case "NotFoundException":
            return KeyUnavailableError(
                f"{key} does not exist",
                hint="name the key that the table's items are wrapped under, and check the region and the account",
                code=error.code,
            )
    return unusable(error, key)
