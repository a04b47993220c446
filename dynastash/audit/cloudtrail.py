"""Events from CloudTrail's event history: the last 90 days of one Region, without a trail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from dynastash.audit.events import EVENT_NAMES, Event, Kind, event_of
from dynastash.aws.clients import Clients, translated
from dynastash.backoff import Backoff
from dynastash.clock import Clock, SystemClock
from dynastash.errors import ServiceError, ServiceUnavailableError

PAUSE: Final = 0.5
"""Seconds between two requests: CloudTrail takes two a second from an account and Region."""

PAGE: Final = 50
"""Events in one answer, at most."""

DAYS: Final = 90
"""How far back the event history goes."""


def events(
    clients: Clients,
    *,
    since: datetime | None,
    until: datetime | None,
    kinds: frozenset[Kind] = frozenset(Kind),
    clock: Clock | None = None,
) -> Iterator[Event]:
    """The events of the clients' account and Region, of each call the newest first.

    One lookup for each of KMS's calls: CloudTrail takes one condition besides the time. Everything in the account that
    uses KMS goes by, a hundred events a second. Raises :class:`ServiceError`.
    """
    clock = clock or SystemClock()
    client = clients.get("cloudtrail")
    first = True
    for name, kind in EVENT_NAMES.items():
        if kind not in kinds:
            continue
        request: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "MaxResults": PAGE,
        }
        request |= {key: value for key, value in (("StartTime", since), ("EndTime", until)) if value is not None}
        token: str | None = None
        while True:
            if not first:
                clock.sleep(PAUSE)
            first = False
            page = _page(client, request if token is None else {**request, "NextToken": token}, clock)
            for found in page.get("Events", ()):
                if event := _event(found):
                    yield event
            following = page.get("NextToken")
            if not following:
                break
            if following == token:
                raise ServiceError("CloudTrail does not go on: it gave the same page twice", hint="try again later")
            token = following


def _page(client: Any, request: Mapping[str, Any], clock: Clock) -> Mapping[str, Any]:
    backoff = Backoff(clock)
    while True:
        try:
            with translated("cloudtrail"):
                page: Mapping[str, Any] = client.lookup_events(**request)
                return page
        except ServiceUnavailableError as error:
            # Only who asks for patience is given it: where nothing answers, botocore has tried five times already.
            if error.action is None or not backoff.pause():
                raise


def _event(found: Mapping[str, Any]) -> Event | None:
    try:
        return event_of(json.loads(found["CloudTrailEvent"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
