"""What callers give, checked against the limits of the record format before anything is asked of store or keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from dynastash.crypto.attributes import MAX_EPOCH_S
from dynastash.errors import InvalidArgumentError, ValueTooLargeError
from dynastash.models import (
    MAX_COMMENT,
    MAX_CONTENT_TYPE,
    MAX_VALUE,
    Plaintext,
    check_pairs,
    check_version,
    encode,
)
from dynastash.stash.writer import NewVersion

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_version(
    now: int,
    value: str | bytes | Plaintext,
    comment: str | None,
    content_type: str | None,
    expires_at: datetime | None,
    tags: Mapping[str, str] | None,
    context: Mapping[str, str] | None,
) -> NewVersion:
    """What :meth:`Stash.put` was given, checked; ``now`` in epoch milliseconds."""
    return NewVersion(
        value=plaintext(value),
        comment=_limited("comment", comment, MAX_COMMENT),
        content_type=_limited("content type", content_type, MAX_CONTENT_TYPE),
        expires_at=_expiry(expires_at, now),
        tags=None if tags is None else check_pairs("tags", tags),
        context=check_pairs("context", context),
    )


def expected(if_version: int | None) -> int | None:
    """The version that a caller expects to be current, or 0 for none, checked."""
    if if_version is not None and (if_version != 0 or isinstance(if_version, bool)):
        check_version(if_version)
    return if_version


def _expiry(expires_at: datetime | None, now: int) -> int | None:
    if expires_at is None:
        return None
    if expires_at.utcoffset() is None:
        raise InvalidArgumentError("the expiry has no time zone", hint="give an aware datetime, as in UTC")
    seconds = (expires_at - _EPOCH) // timedelta(seconds=1)  # exact, which a float is not
    if seconds * 1000 <= now:
        raise InvalidArgumentError("the expiry is in the past", hint="give a time to come")
    if seconds > MAX_EPOCH_S:
        raise InvalidArgumentError("the expiry is too far away", hint="give a time before the year 10000 in UTC")
    return seconds


def plaintext(value: str | bytes | Plaintext) -> Plaintext:
    """A value as a caller or a rotator gives it, checked."""
    if isinstance(value, str):
        value = encode(value, "the value")
    if isinstance(value, bytes | bytearray | memoryview):
        value = Plaintext(bytes(value))
    if not isinstance(value, Plaintext):
        raise InvalidArgumentError("the value is neither text nor bytes")
    if len(value.expose()) > MAX_VALUE:
        raise ValueTooLargeError(
            "the value is too large", hint=f"at most {MAX_VALUE} bytes (320 KiB) fit into one version"
        )
    return value


def _limited(what: str, text: str | None, maximum: int) -> str | None:
    if text is not None and len(encode(text, f"the {what}")) > maximum:
        raise ValueTooLargeError(f"the {what} is too long", hint=f"at most {maximum} bytes")
    return text or None
