"""The retry policy, on a clock that does not wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.aws.retry import UNREACHABLE, patiently
from dynastash.errors import CredentialsError
from dynastash.testing.fakes import FakeClock
from tests.engines.transports import ScriptedTransport, lost, rejected, throttled, unreachable

QUERY = Operation.QUERY


class Failing:
    """Fails for ever; each call takes ``seconds``."""

    region = "eu-west-1"

    def __init__(self, clock: FakeClock, error: CallError, seconds: float = 0.0) -> None:
        self._clock, self._error, self._seconds = clock, error, seconds
        self.calls = 0

    def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        self._clock.advance(self._seconds)
        raise self._error


@pytest.mark.parametrize("error", [throttled(QUERY), lost(QUERY), unreachable(QUERY)], ids=lambda e: e.failure)
def test_what_may_pass_is_tried_again(error: CallError) -> None:
    """The same request, until the answer comes."""
    transport = ScriptedTransport(error, error, {"Items": []})
    request = {"TableName": "t"}
    assert patiently(transport, QUERY, request, FakeClock()) == {"Items": []}
    assert transport.requests == [(QUERY, request)] * 3


def test_a_refusal_is_final() -> None:
    """Asking again gives the same answer."""
    transport = ScriptedTransport(rejected(QUERY, "ValidationException"))
    with pytest.raises(CallError) as caught:
        patiently(transport, QUERY, {}, FakeClock())
    assert not caught.value.uncertain


def test_settings_that_do_not_work_are_final() -> None:
    """Errors of the configuration pass through."""
    transport = ScriptedTransport(CredentialsError("expired"))
    with pytest.raises(CredentialsError):
        patiently(transport, QUERY, {}, FakeClock())


@pytest.mark.parametrize("error", [throttled(QUERY), lost(QUERY)], ids=lambda e: e.failure)
def test_patience_ends_after_thirty_seconds(error: CallError) -> None:
    """With the last error, and pauses that grow to a second."""
    clock = FakeClock()
    transport = Failing(clock, error)
    with pytest.raises(CallError) as caught:
        patiently(transport, QUERY, {}, clock)
    assert caught.value is error
    assert 25 < clock.monotonic() <= 30
    assert max(clock.slept) <= 1
    assert clock.slept[0] <= 0.05
    assert transport.calls == len(clock.slept) + 1


def test_no_network_is_reported_sooner() -> None:
    """Someone waits at a terminal: about five seconds, in a handful of attempts."""
    clock = FakeClock()
    transport = Failing(clock, unreachable(QUERY))
    with pytest.raises(CallError):
        patiently(transport, QUERY, {}, clock)
    assert UNREACHABLE <= clock.monotonic() <= UNREACHABLE + 1
    assert transport.calls > 3


def test_slow_connects_count_for_the_five_seconds() -> None:
    """Two attempts of four seconds each, not seven of them."""
    clock = FakeClock()
    transport = Failing(clock, unreachable(QUERY), 4.0)
    with pytest.raises(CallError):
        patiently(transport, QUERY, {}, clock)
    assert transport.calls == 2


def test_an_answer_starts_the_five_seconds_anew() -> None:
    """A network that comes and goes is not a missing one."""
    clock = FakeClock()

    class Flapping(Failing):
        def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
            self._error = throttled(QUERY) if self.calls % 3 == 2 else unreachable(QUERY)
            return super().call(operation, request)

    transport = Flapping(clock, unreachable(QUERY), 1.0)
    with pytest.raises(CallError):
        patiently(transport, QUERY, {}, clock)
    assert clock.monotonic() > 20


def test_an_open_outcome_is_worth_the_full_wait() -> None:
    """After a lost reply the network went away: how it ended matters more than a quick answer."""
    clock = FakeClock()

    class Gone(Failing):
        def call(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
            self._error = unreachable(QUERY) if self.calls else lost(QUERY)
            return super().call(operation, request)

    with pytest.raises(CallError) as caught:
        patiently(Gone(clock, lost(QUERY)), QUERY, {}, clock)
    assert clock.monotonic() > 25
    assert caught.value.failure is Failure.UNREACHABLE
    assert caught.value.uncertain


def test_a_refusal_after_a_lost_reply_stays_uncertain() -> None:
    """The refusal may be of the repetition alone."""
    transport = ScriptedTransport(
        lost(Operation.UPDATE_ITEM), rejected(Operation.UPDATE_ITEM, "ConditionalCheckFailedException")
    )
    with pytest.raises(CallError) as caught:
        patiently(transport, Operation.UPDATE_ITEM, {}, FakeClock())
    assert caught.value.code == "ConditionalCheckFailedException"
    assert caught.value.uncertain


@pytest.mark.parametrize("operation", [Operation.TRANSACT_WRITE_ITEMS, Operation.UPDATE_ITEM])
def test_credentials_that_run_out_behind_an_unanswered_write_say_so(operation: Operation) -> None:
    """Whoever signs in and repeats the put would otherwise write the version twice without a word."""
    transport = ScriptedTransport(lost(operation), CredentialsError("the credentials have expired", hint="sign in"))
    with pytest.raises(CredentialsError, match="an earlier attempt to write may have been carried out") as caught:
        patiently(transport, operation, {}, FakeClock())
    assert "look at the secret" in (caught.value.hint or "")
    assert "sign in" in (caught.value.hint or "")


def test_credentials_that_run_out_between_two_reads_are_no_more_than_that() -> None:
    """Nothing was written, and nothing is said of it."""
    transport = ScriptedTransport(lost(QUERY), CredentialsError("the credentials have expired"))
    with pytest.raises(CredentialsError) as caught:
        patiently(transport, QUERY, {}, FakeClock())
    assert str(caught.value) == "the credentials have expired"
