"""A failed call to DynamoDB as the store's errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dynastash.aws.base import WRITES, CallError, Failure
from dynastash.aws.errors import CONDITION_FAILED, CONFLICT
from dynastash.errors import StoreAccessDeniedError, StoreError, StoreNotFoundError, StoreUnavailableError
from dynastash.stores.base import Change

_DENIED: Final = frozenset(("AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"))
_OTHER_SCHEMA: Final = re.compile(
    r"key schema|match (?:the )?schema|specified index|missing the key|mismatch for key|key condition"
    # We name each item once: twice it is only to a table that does not know the half of the key.
    r"|multiple operations on one item|keys contains duplicates|defined in the schema",
    re.IGNORECASE,
)
_ACTION: Final = re.compile(r"\b(?:dynamodb|kms):[A-Za-z]+")
_BECAUSE: Final = re.compile(r"\bbecause (.+)")


def store_error(error: CallError, description: str) -> StoreError:
    """The error for a call that failed for good; ``description`` says which table.

    Where the call may have been carried out all the same, the message says so.
    """
    translated = _unavailable(error, description) or _refused(error, description)
    if error.uncertain and error.operation in WRITES:
        return type(translated)(
            f"{translated}; the change may have been made",
            hint="look at the secret before doing it again",
            code=error.code,
        )
    return translated


def throttled(description: str, code: str | None = None) -> StoreUnavailableError:
    """The table went on asking to slow down."""
    return StoreUnavailableError(
        f"{description} is throttled", hint="try again later, or with fewer callers at once", code=code
    )


def foreign(description: str, code: str | None = None) -> StoreNotFoundError:
    """The table exists and is somebody else's."""
    return StoreNotFoundError(
        f"{description} is not a dynastash table",
        hint="check the table's name; dynastash deploy ENV makes an environment of its own",
        code=code,
    )


def of_another_shape(error: CallError) -> bool:
    """Whether the table was refused for having other keys or indexes than the call is for."""
    return _OTHER_SCHEMA.search(error.message) is not None


def malformed(description: str) -> StoreError:
    """An answer without the shape that DynamoDB's answers have."""
    return StoreError(f"{description} gave a malformed answer", hint="check endpoint_url and what stands before AWS")


def lost_race(change: Change, reasons: Sequence[str]) -> str | None:
    """What ``change`` lost to, for a message, if that is why it was cancelled; ``reasons`` follow its actions."""
    name = change.head.get("name", {}).get("S", "the secret")
    made = [item.get("record", {}).get("S", "") for item in change.create]
    gone = [item.get("record", {}).get("S", "") for item in change.tombstones] + [key.record for key in change.delete]
    losses = [f"{name} exists already" if change.expected is None else f"{name} has been changed by somebody else"]
    losses += [f"{_version(record)} of {name} exists already" for record in made]
    losses += [f"{_version(record)} of {name} does not exist" for record in gone]
    for loss, reason in zip(losses, reasons, strict=False):
        if reason == CONDITION_FAILED:
            return loss
    return f"{name} is being changed by somebody else" if CONFLICT in reasons else None


def _version(record: str) -> str:
    digits = record.removeprefix("v#")
    return f"version {int(digits)}" if digits.isdecimal() else f"record {record}"


def _unavailable(error: CallError, description: str) -> StoreUnavailableError | None:
    match error.failure:
        case Failure.THROTTLED:
            return throttled(description, error.code)
        case Failure.UNREACHABLE:
            return StoreUnavailableError(
                f"{description} is out of reach: {error.message}",
                hint="check the network, the region and endpoint_url",
                code=error.code,
            )
        case Failure.AMBIGUOUS:
            return StoreUnavailableError(
                f"{description} does not answer: {error.message or error.code}",
                hint="try again in a moment",
                code=error.code,
            )
    return None


def _refused(error: CallError, description: str) -> StoreError:
    if error.code in _DENIED:
        # Inside a transaction AWS names the action of the part that it refuses.
        named = _ACTION.search(error.message)
        action = named[0] if named else f"dynamodb:{error.operation.action}"
        cause = _BECAUSE.search(error.message)
        return StoreAccessDeniedError(
            f"{action} is denied on {description}" + (f": {cause[1]}" if cause else ""),
            hint=f"allow {action} on the table and its index to the caller, or use another AWS profile",
            code=error.code,
        )
    if error.code == "ResourceNotFoundException" and not of_another_shape(error):
        return StoreNotFoundError(
            f"{description} does not exist",
            hint="check the region, the account and the table's name, or create it: dynastash deploy ENV",
            code=error.code,
        )
    if of_another_shape(error):
        return foreign(description, error.code)
    return StoreError(
        f"{error.operation.action} failed on {description}: {error.message or error.code}", code=error.code
    )
