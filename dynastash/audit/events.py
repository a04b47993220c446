"""One use of a data key, as CloudTrail recorded it, and which of them are asked for.

The shape of a record is in AWS's documentation ("Examples of AWS KMS log entries"). A record is believed to be nothing:
whoever may call KMS chooses the encryption context, so every field may hold anything, or be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from dynastash.errors import InvalidNameError
from dynastash.models import MAX_NAME, MAX_VERSION, RESERVED, check_name

SOURCE: Final = "kms.amazonaws.com"
DRY_RUN: Final = "DryRunOperationException"
_LONGEST: Final = 2048
_VERSION: Final = re.compile("[1-9][0-9]{0,9}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


class Kind(StrEnum):
    """What was done with a data key."""

    MINT = "mint"
    """A new one was made, for a version about to be written."""

    UNWRAP = "unwrap"
    """It was opened: the version's value could be read."""

    REWRAP = "rewrap"
    """It was wrapped under another key, without leaving KMS."""


EVENT_NAMES: Final[Mapping[str, Kind]] = {
    "GenerateDataKey": Kind.MINT,
    "GenerateDataKeyWithoutPlaintext": Kind.MINT,
    "Decrypt": Kind.UNWRAP,
    "ReEncrypt": Kind.REWRAP,
}
"""The calls of KMS that concern a version, by their name in CloudTrail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One call to KMS on behalf of a version, done or refused.

    ``version`` is None where the context names none that there can be. ``principal`` is the caller's ARN, or what
    CloudTrail had instead; ``source`` the address or AWS service that the call came from. ``key`` is the ARN of the
    key-encryption key (of a rewrap: the old one). ``error`` is None where KMS did it.
    """

    at: datetime
    kind: Kind
    environment: str
    name: str
    version: int | None
    principal: str
    source: str
    user_agent: str
    region: str
    account: str
    key: str | None
    error: str | None
    event_id: str

    @property
    def done(self) -> bool:
        """Whether KMS did it: neither refused nor only tried."""
        return self.error is None

    @property
    def secret(self) -> str | None:
        """``name`` where it can be the name of a secret; the context may hold any text."""
        try:
            return check_name(self.name)
        except InvalidNameError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are asked for.

    ``principal`` is an ARN, a part of one between its separators (the name of a role, a session, an account), or a
    pattern with ``*`` and ``?`` for the whole ARN. ``since`` is included, ``until`` is not.
    """

    environment: str
    prefix: str = ""
    principal: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    kinds: frozenset[Kind] = frozenset(Kind)
    refused: bool = False
    """Only what KMS refused."""

    keys: frozenset[str] | None = None
    """The ids of the keys that count, None for every key: anybody may have a key, and choose contexts for it."""

    def matches(self, event: Event) -> bool:
        """Whether ``event`` is asked for."""
        return (
            event.environment == self.environment
            and event.name.startswith(self.prefix)
            and event.kind in self.kinds
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
            and not (self.refused and (event.done or event.error == DRY_RUN))
            and (self.principal is None or _named(self.principal, event.principal))
            and (self.keys is None or key_id(event.key) in self.keys)
        )


def key_id(arn: str | None) -> str | None:
    """What two ARNs of one key have in common, of a multi-Region key's replicas too: its id."""
    return None if arn is None else arn.rpartition(":key/")[2]


def _named(wanted: str, principal: str) -> bool:
    if any(character in wanted for character in "*?["):
        return fnmatchcase(principal, wanted)
    return wanted == principal or wanted in re.split("[:/]", principal)


def event_of(record: object) -> Event | None:
    """The event in one record of CloudTrail's, decoded from JSON; None where it is not about a version of dynastash's.

    Never raises.
    """
    if not isinstance(record, Mapping) or record.get("eventSource") != SOURCE:
        return None
    kind = EVENT_NAMES.get(_text(record.get("eventName")))
    parameters = record.get("requestParameters")
    if kind is None or not isinstance(parameters, Mapping):
        return None
    context = parameters.get("sourceEncryptionContext" if kind is Kind.REWRAP else "encryptionContext")
    at = _time(record.get("eventTime"))
    if not isinstance(context, Mapping) or at is None:
        return None
    environment, name = context.get(f"{RESERVED}env"), context.get(f"{RESERVED}name")
    if not isinstance(environment, str) or not isinstance(name, str) or not name:
        return None
    version = _text(context.get(f"{RESERVED}version"))
    error = _text(record.get("errorCode")) or None
    if error is None and parameters.get("dryRun") is True:
        error = DRY_RUN
    return Event(
        at=at,
        kind=kind,
        environment=environment[:_LONGEST],
        name=name[: MAX_NAME + 1],
        version=int(version) if _VERSION.fullmatch(version) and int(version) <= MAX_VERSION else None,
        principal=_principal(record.get("userIdentity")),
        source=_text(record.get("sourceIPAddress")),
        user_agent=_text(record.get("userAgent")),
        region=_text(record.get("awsRegion")),
        account=_text(record.get("recipientAccountId")),
        key=_key(record.get("resources")),
        error=error,
        event_id=_text(record.get("eventID")),
    )


def _principal(identity: object) -> str:
    """Who called. An AWS service has no ARN; a caller of another account that was refused has an account only."""
    if not isinstance(identity, Mapping):
        return "unknown"
    for part in ("arn", "invokedBy", "principalId", "accountId"):
        if found := _text(identity.get(part)):
            return found
    return "unknown"


def _key(resources: object) -> str | None:
    if isinstance(resources, list):
        for resource in resources:
            if isinstance(resource, Mapping) and ":key/" in (arn := _text(resource.get("ARN"))):
                return arn
    return None


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
