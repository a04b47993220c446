"""Paging through CloudTrail's event history, at its pace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from dynastash.audit import Kind
from dynastash.audit.cloudtrail import PAUSE, events
from dynastash.errors import ServiceAccessDeniedError, ServiceError, ServiceUnavailableError
from dynastash.testing.fakes import FakeClock
from tests.cloudtrail import START, record


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "Rate exceeded"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "LookupEvents",
    )


class CloudTrail:
    """Answers each call with the next of ``pages`` of the event that it asks for."""

    def __init__(self, pages: Mapping[str, list[Any]]) -> None:
        self._pages = {name: list(each) for name, each in pages.items()}
        self.requests: list[dict[str, Any]] = []

    def get(self, service: str) -> CloudTrail:
        assert service == "cloudtrail"
        return self

    def lookup_events(self, **request: Any) -> Mapping[str, Any]:
        self.requests.append(request)
        (condition,) = request["LookupAttributes"]
        assert condition["AttributeKey"] == "EventName"
        left = self._pages.get(condition["AttributeValue"], [])
        answer = left.pop(0) if left else page()
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*versions: int, token: str | None = None, event: str = "Decrypt") -> dict[str, Any]:
    found = [{"EventId": "x", "CloudTrailEvent": json.dumps(record(event, version=number))} for number in versions]
    return {"Events": found, **({"NextToken": token} if token else {})}


def looked_up(trail: CloudTrail, clock: FakeClock, **more: Any) -> list[int | None]:
    found = events(trail, **{"since": None, "until": None, "clock": clock, **more})  # type: ignore[arg-type]
    return [event.version for event in found]


def test_every_page_of_every_call() -> None:
    """Four calls of KMS's, each to its last page, never more than two requests a second."""
    clock = FakeClock()
    trail = CloudTrail(
        {
            "GenerateDataKey": [page(3, event="GenerateDataKey")],
            "Decrypt": [page(2, 2, token="a"), page(token="b"), page(1)],
            "ReEncrypt": [page(1, event="ReEncrypt")],
        }
    )
    began = clock.monotonic()
    assert looked_up(trail, clock, since=START, until=START + timedelta(days=1)) == [3, 2, 2, 1, 1]
    assert len(trail.requests) == 6
    assert clock.monotonic() - began == pytest.approx(5 * PAUSE)
    assert [request.get("NextToken") for request in trail.requests] == [None, None, None, "a", "b", None]
    assert all(request["StartTime"] == START and request["MaxResults"] == 50 for request in trail.requests)


def test_only_what_is_asked_for() -> None:
    """A kind has its own lookups."""
    trail = CloudTrail({})
    assert looked_up(trail, FakeClock(), kinds=frozenset((Kind.UNWRAP,))) == []
    assert [request["LookupAttributes"][0]["AttributeValue"] for request in trail.requests] == ["Decrypt"]
    assert "StartTime" not in trail.requests[0]


def test_throttling_is_waited_out() -> None:
    """The same page again, until it comes; and not forever."""
    clock = FakeClock()
    trail = CloudTrail({"Decrypt": [refusal("ThrottlingException"), refusal("ThrottlingException"), page(1)]})
    assert looked_up(trail, clock) == [1]
    endless = CloudTrail({"Decrypt": [refusal("ThrottlingException")] * 10_000})
    with pytest.raises(ServiceUnavailableError, match="patience"):
        looked_up(endless, clock)


def test_where_nothing_answers_nobody_waits_half_a_minute() -> None:
    """botocore has tried several times before it says so."""
    refused = EndpointConnectionError(endpoint_url="http://127.0.0.1:1/")
    trail = CloudTrail({"GenerateDataKey": [refused, page(3)]})
    with pytest.raises(ServiceUnavailableError, match="cannot be reached"):
        looked_up(trail, FakeClock())
    assert len(trail.requests) == 1


def test_a_refusal_is_not() -> None:
    """It names the permission."""
    trail = CloudTrail({"GenerateDataKey": [refusal("AccessDeniedException")]})
    with pytest.raises(ServiceAccessDeniedError, match="cloudtrail:LookupEvents"):
        looked_up(trail, FakeClock())
    assert len(trail.requests) == 1


def test_a_token_that_leads_nowhere() -> None:
    """The same one twice would go on forever."""
    trail = CloudTrail({"Decrypt": [page(1, token="a"), page(1, token="a")]})
    with pytest.raises(ServiceError, match="same page twice"):
        looked_up(trail, FakeClock())


@pytest.mark.parametrize(
    "found", [{}, {"CloudTrailEvent": None}, {"CloudTrailEvent": "{"}, {"CloudTrailEvent": "[" * 99_999}]
)
def test_events_that_cannot_be_read(found: dict[str, Any]) -> None:
    """Passed over."""
    trail = CloudTrail({"Decrypt": [{"Events": [found]}]})
    assert looked_up(trail, FakeClock()) == [] and SimpleNamespace()
