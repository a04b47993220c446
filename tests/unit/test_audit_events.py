"""What a record of CloudTrail's says, whatever stands in it, and which of them are asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.audit import Event, Filter, Kind, event_of
from dynastash.audit.collect import newest, summary
from dynastash.models import MAX_VERSION
from tests.cloudtrail import ALICE, KEY, START, record


def event(*arguments: Any, **more: Any) -> Event:
    found = event_of(record(*arguments, **more))
    assert found is not None
    return found


def test_the_documented_shape() -> None:
    """Every field of a Decrypt, as AWS's own example has it."""
    found = event("Decrypt", "app1/db/password", 7)
    assert found == Event(
        at=START,
        kind=Kind.UNWRAP,
        environment="prod",
        name="app1/db/password",
        version=7,
        principal=ALICE,
        source="192.0.2.7",
        user_agent="Boto3/1.40 dynastash/0.1.0",
        region="eu-west-1",
        account="111122223333",
        key=KEY,
        error=None,
        event_id=found.event_id,
    )
    assert found.done and found.secret == "app1/db/password"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GenerateDataKey", Kind.MINT),
        ("GenerateDataKeyWithoutPlaintext", Kind.MINT),
        ("Decrypt", Kind.UNWRAP),
        ("ReEncrypt", Kind.REWRAP),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    """A rewrap's context is the source's, and its key the old one."""
    found = event(name, version=3)
    assert (found.kind, found.version, found.key) == (kind, 3, KEY)


@pytest.mark.parametrize("name", ["DescribeKey", "Encrypt", "GenerateRandom", "Decrypt2"])
def test_other_calls_are_not_ours(name: str) -> None:
    """Nor are other services', nor uses of KMS without our context."""
    assert event_of(record(name)) is None
    assert event_of(record(eventSource="s3.amazonaws.com")) is None
    assert event_of(record(requestParameters={"encryptionContext": {"aws:s3:arn": "x"}})) is None
    assert event_of(record(requestParameters=None)) is None


def test_what_was_refused_or_only_tried_is_not_done() -> None:
    """An error of KMS's, a dry run's answer, and a dry run that says so in its request."""
    assert event(error="AccessDenied").error == "AccessDenied"
    assert event("Decrypt", error="DryRunOperationException").error == "DryRunOperationException"
    asked = record("GenerateDataKey")
    asked["requestParameters"]["dryRun"] = True
    found = event_of(asked)
    assert found is not None and not found.done


@pytest.mark.parametrize(
    ("identity", "principal"),
    [
        ({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}, "lambda.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDA:x", "accountId": "444455556666"}, "AIDA:x"),
        ({"type": "AWSAccount", "accountId": "444455556666"}, "444455556666"),
        ({}, "unknown"),
        (None, "unknown"),
        ({"arn": 7}, "unknown"),
    ],
)
def test_callers_without_an_arn(identity: Any, principal: str) -> None:
    """The best that CloudTrail has."""
    assert event(userIdentity=identity).principal == principal


@pytest.mark.parametrize("version", ["0", "01", "-1", "1.0", "", " 1", "٣", "99999999999", "1\n", str(MAX_VERSION + 1)])
def test_versions_that_cannot_be(version: str) -> None:
    """The event is shown, and names no version."""
    assert event(version=version).version is None
    assert event(version=str(MAX_VERSION)).version == MAX_VERSION


@pytest.mark.parametrize("name", ["/app1", "app1//db", "app1/../x", "a b", "x" * 513, "x" * 100_000, "\x1b[2J"])
def test_names_that_cannot_be(name: str) -> None:
    """Shown as far as a name may go, and no secret's name."""
    found = event(name=name)
    assert found.secret is None and len(found.name) <= 513


@pytest.mark.parametrize(
    "time", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-22", 1_800_000_000, None, "2026-11-22T09:00:00"]
)
def test_without_a_time_there_is_no_event(time: Any) -> None:
    """Anything else than CloudTrail's own form."""
    assert event_of(record(eventTime=time)) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = ("eventName", "eventSource", "eventTime", "userIdentity", "requestParameters", "resources", "errorCode")


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from((*_FIELDS, "awsRegion", "eventID", "sourceIPAddress")), _JSON, max_size=5))
def test_no_record_breaks_the_parser(fields: dict[str, Any]) -> None:
    """A genuine record with any of its fields replaced: an event of the documented types, or none."""
    found = event_of({**record(), **fields})
    assert event_of(fields.get("userIdentity")) is None
    if found is not None:
        assert isinstance(found.at, datetime) and found.at.tzinfo is not None
        assert found.version is None or 1 <= found.version <= MAX_VERSION
        for field in ("environment", "name", "principal", "source", "user_agent", "region", "account", "event_id"):
            assert isinstance(getattr(found, field), str)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["dynastash:env", "dynastash:name", "dynastash:version"]), _JSON))
def test_no_context_breaks_the_parser(context: dict[str, Any]) -> None:
    """Whoever may call KMS chooses it."""
    found = event_of(record(requestParameters={"encryptionContext": context}))
    assert found is None or (found.name == context["dynastash:name"][:513] and found.environment)


# Filters


def test_filters() -> None:
    """Each by itself."""
    found = event("Decrypt", "app1/db", 2)
    wanted = Filter(environment="prod")
    hour = timedelta(hours=1)
    assert wanted.matches(found)
    for asked, matches in [
        (replace(wanted, environment="dev"), False),
        (replace(wanted, prefix="app1/"), True),
        (replace(wanted, prefix="app10/"), False),
        (replace(wanted, kinds=frozenset((Kind.MINT,))), False),
        (replace(wanted, since=START), True),
        (replace(wanted, since=START + hour), False),
        (replace(wanted, until=START), False),
        (replace(wanted, until=START + hour), True),
        (replace(wanted, refused=True), False),
        (replace(wanted, keys=frozenset(("1234abcd-12ab-34cd-56ef-1234567890ab",))), True),
        (replace(wanted, keys=frozenset(("mrk-1",))), False),
    ]:
        assert asked.matches(found) is matches, asked
    denied, dry = event(error="AccessDenied"), event(error="DryRunOperationException")
    assert replace(wanted, refused=True).matches(denied) and not replace(wanted, refused=True).matches(dry)


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ("arn:aws:sts::111122223333:assumed-role/app1-role/i-0abc", True),
        ("app1-role", True),
        ("i-0abc", True),
        ("111122223333", True),
        ("app1", False),
        ("*app1-role*", True),
        ("arn:aws:sts::*:assumed-role/app1-*", True),
        ("app1-*", False),
    ],
)
def test_principals(asked: str, matches: bool) -> None:
    """A whole ARN, a part between its separators, or a pattern for the whole."""
    found = event(principal="arn:aws:sts::111122223333:assumed-role/app1-role/i-0abc")
    assert Filter(environment="prod", principal=asked).matches(found) is matches


# What is kept of them


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 10))
def test_the_newest_are_kept_in_order(minutes: list[int], limit: int) -> None:
    """As many as asked for, and what is left out is counted."""
    events = [event(version=number + 1, at=START + timedelta(minutes=at)) for number, at in enumerate(minutes)]
    found = newest(iter(events), limit)
    assert list(found.events) == sorted(events, key=lambda each: each.at)[-limit:] or len(
        {each.at for each in events}
    ) < len(events)
    assert [each.at for each in found.events] == sorted(each.at for each in events)[-limit:]
    assert found.left == max(0, len(events) - limit)


def test_summary() -> None:
    """By secret, principal and kind; what was refused counts by itself and names no version."""
    later = START + timedelta(hours=1)
    events = [
        event("Decrypt", "app1/db", 1),
        event("Decrypt", "app1/db", 2, at=later),
        event("Decrypt", "app1/db", 9, error="AccessDenied"),
        event("GenerateDataKey", "app1/db", 3),
        event("Decrypt", "app0/x", 1, principal="arn:aws:iam::111122223333:user/Bob"),
    ]
    first, second, third = summary(events)
    assert (first.name, first.kind) == ("app0/x", Kind.UNWRAP)
    assert (second.kind, third.kind) == (Kind.MINT, Kind.UNWRAP)
    assert (third.done, third.refused, third.versions, third.first, third.last) == (2, 1, {1, 2}, START, later)
    assert json.dumps(sorted(third.versions)) == "[1, 2]" and START.tzinfo is UTC
