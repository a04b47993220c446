"""Reads from a replica's Region while the first is out of reach, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dynastash.aws.base import AwsSettings, CallError, Failure, Operation
from dynastash.aws.choose import elsewhere
from dynastash.aws.fallback import ATTEMPTS, READS, REST, FallbackTransport
from dynastash.aws.retry import patiently
from dynastash.testing.fakes import FakeClock

WRITES = sorted(set(Operation) - READS, key=lambda each: each.action)
MRK = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"


class Region:
    """One Region: answers with its name, or fails as told."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.fails: tuple[Failure, str] | None = None
        self.requests: list[tuple[Operation, Mapping[str, Any]]] = []

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append((operation, request))
        if self.fails is not None:
            failure, code = self.fails
            raise CallError(operation, failure, code, "it said")
        return {"from": self.region}

    def prepare(self, *services: str) -> None: ...

    def access_key(self) -> str:
        return "AKIATEST"

    def flight(self) -> Any:
        raise NotImplementedError


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.first, self.second = Region("eu-west-1"), Region("eu-central-1")
        self.told: list[str] = []
        self.transport = FallbackTransport(self.first, self.second, notice=self.told.append, clock=self.clock)

    def read(self, operation: Operation = Operation.QUERY, **request: Any) -> str:
        reply = patiently(self.transport, operation, request, self.clock)
        return str(reply["from"])


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("operation", sorted(READS, key=lambda each: each.action))
@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.AMBIGUOUS])
def test_reads_go_elsewhere_and_come_back(world: World, operation: Operation, failure: Failure) -> None:
    """After two failures in a row; for half a minute the first is left alone, and then asked again."""
    assert world.read(operation) == "eu-west-1" and world.told == []
    world.first.fails = (failure, "EndpointConnectionError")
    assert world.read(operation) == "eu-central-1"
    assert len(world.first.requests) == 1 + ATTEMPTS
    assert world.read(operation) == "eu-central-1" and len(world.first.requests) == 1 + ATTEMPTS
    assert len(world.told) == 1 and "reading in eu-central-1" in world.told[0] and "behind" in world.told[0]
    world.clock.advance(REST)
    assert world.read(operation) == "eu-central-1" and len(world.first.requests) == 2 + ATTEMPTS
    assert len(world.told) == 1  # nothing new
    world.clock.advance(REST)
    world.first.fails = None
    assert world.read(operation) == "eu-west-1"
    assert world.told[1:] == ["eu-west-1 answers again: reading there"]


def test_a_single_failure_is_only_tried_again(world: World) -> None:
    """A lost packet moves nobody to another Region."""
    calls = iter((True, False))

    def once(operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        if next(calls):
            raise CallError(operation, Failure.UNREACHABLE, "EndpointConnectionError", "lost")
        return {"from": "eu-west-1"}

    world.first.call = once  # type: ignore[method-assign]
    assert world.read() == "eu-west-1" and world.second.requests == [] and world.told == []


@pytest.mark.parametrize("operation", WRITES, ids=lambda each: each.action)
def test_writes_never_go_elsewhere(world: World, operation: Operation) -> None:
    """Neither at once nor after reads have."""
    world.first.fails = (Failure.UNREACHABLE, "EndpointConnectionError")
    assert world.read() == "eu-central-1"
    before = len(world.second.requests)
    with pytest.raises(CallError):
        world.transport.call(operation, {})
    assert len(world.second.requests) == before


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure.REJECTED, "AccessDeniedException"),
        (Failure.REJECTED, "ResourceNotFoundException"),
        (Failure.REJECTED, "DisabledException"),
        (Failure.THROTTLED, "ThrottlingException"),
    ],
)
def test_a_refusal_is_an_answer(world: World, failure: Failure, code: str) -> None:
    """Who is denied in one Region does not try the other."""
    world.first.fails = (failure, code)
    for _ in range(3 * ATTEMPTS):
        with pytest.raises(CallError) as caught:
            world.transport.call(Operation.QUERY, {})
        assert caught.value.code == code
    assert world.second.requests == [] and world.told == []


def test_a_replica_that_is_not_there(world: World) -> None:
    """The first Region's outage is what is told, and not that a table is missing."""
    world.first.fails = (Failure.UNREACHABLE, "EndpointConnectionError")
    world.second.fails = (Failure.REJECTED, "ResourceNotFoundException")
    with pytest.raises(CallError) as caught:
        world.read()
    assert caught.value.failure is Failure.UNREACHABLE
    assert "no answer in eu-west-1, and in eu-central-1" in caught.value.message


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        (MRK, MRK.replace("eu-west-1", "eu-central-1")),
        ("alias/dynastash-prod", "alias/dynastash-prod"),
        (MRK.replace("mrk-", ""), MRK.replace("mrk-", "")),
    ],
)
def test_a_multi_region_key_is_named_where_it_is_used(world: World, key: str, sent: str) -> None:
    """Its replica's ARN differs in the Region alone; an alias is the Region's own."""
    world.first.fails = (Failure.UNREACHABLE, "EndpointConnectionError")
    world.read(Operation.DECRYPT, KeyId=key)
    assert world.second.requests[-1][1]["KeyId"] == sent
    assert all(request["KeyId"] == key for _, request in world.first.requests)


def test_both_out_of_reach(world: World) -> None:
    """Ends as it would with one."""
    world.first.fails = world.second.fails = (Failure.UNREACHABLE, "EndpointConnectionError")
    with pytest.raises(CallError) as caught:
        world.read()
    assert caught.value.failure is Failure.UNREACHABLE


def test_many_at_once(world: World) -> None:
    """A flight takes the same way."""
    world.first.fails = (Failure.UNREACHABLE, "EndpointConnectionError")
    world.read()
    flight = world.transport.flight()
    for ticket in range(5):
        flight.send(ticket, Operation.QUERY, {})
    ended: list[Any] = []
    while len(ended) < 5:
        ended += flight.wait(5)
    flight.close()
    assert {reply["from"] for _, reply in ended} == {"eu-central-1"}
    assert (world.transport.region, world.transport.access_key()) == ("eu-west-1", "AKIATEST")


def test_without_a_listener_the_log_has_it(caplog: pytest.LogCaptureFixture) -> None:
    """For the library."""
    first, second = Region("a"), Region("b")
    transport = FallbackTransport(first, second, clock=FakeClock())
    first.fails = (Failure.AMBIGUOUS, "500")
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(CallError):
            transport.call(Operation.QUERY, {})
    assert transport.call(Operation.QUERY, {}) == {"from": "b"}
    assert [(each.name, each.levelname) for each in caplog.records] == [("dynastash", "WARNING")]


def test_everything_but_the_place_stays() -> None:
    """The second Region is reached with the same role, session and code."""
    settings = AwsSettings(
        region="a",
        profile="p",
        role_arn="r",
        external_id="e",
        mfa_serial="m",
        role_session_name="n",
        duration_seconds=900,
        endpoint_url="https://a",
        read_region="b",
        read_endpoint_url="https://b",
        ask_mfa=str,
    )
    found = elsewhere(settings)
    assert (found.region, found.endpoint_url, found.read_region, found.read_endpoint_url) == (
        "b",
        "https://b",
        None,
        None,
    )
    for name in (
        "profile",
        "role_arn",
        "external_id",
        "mfa_serial",
        "role_session_name",
        "duration_seconds",
        "ask_mfa",
    ):
        assert getattr(found, name) == getattr(settings, name)
