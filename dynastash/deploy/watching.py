"""Following a stack until it comes to rest, and saying why it did not get where it should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dynastash.clock import Clock
from dynastash.deploy.plan import Event
from dynastash.deploy.wire import translated
from dynastash.errors import DeployError, DynastashError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_CREATION_FAILED: Final = (
    "mend the cause, delete what is left with aws cloudformation delete-stack --stack-name {stack}, and deploy again"
)
STUCK: Final = {
    "CREATE_FAILED": _CREATION_FAILED,
    "ROLLBACK_COMPLETE": _CREATION_FAILED,
    "ROLLBACK_FAILED": _CREATION_FAILED,
    "DELETE_FAILED": "finish its deletion with aws cloudformation delete-stack --stack-name {stack}",
    "UPDATE_ROLLBACK_FAILED": "finish the rollback with aws cloudformation continue-update-rollback "
    "--stack-name {stack}",
    "IMPORT_ROLLBACK_FAILED": "see what happened with aws cloudformation describe-stack-events --stack-name {stack}",
}
"""The statuses that CloudFormation does not leave by a change set, and what leads out of them."""

_DEPLOYED: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def look(stack: str) -> str:
    """Advice on how to follow a stack without this program."""
    return f"look at it with aws cloudformation describe-stack-events --stack-name {stack}"


def way_out(stack: str, status: str) -> str | None:
    """What leads a stack out of a status that it does not leave by a change set; None for one that it does."""
    return STUCK[status].format(stack=stack) if status in STUCK else None


class Watcher:
    """Reads the events of the stack named ``stack``, at most every ``poll`` seconds."""

    def __init__(self, client: CloudFormationClient, stack: str, *, clock: Clock, poll: float) -> None:
        self._client = client
        self._stack = stack
        self._clock = clock
        self._poll = poll

    def describe(self, name_or_id: str) -> Mapping[str, Any] | None:
        """CloudFormation's ``Stack``, or None where there is none."""
        from botocore.exceptions import ClientError

        try:
            return self._client.describe_stacks(StackName=name_or_id)["Stacks"][0]
        except ClientError as error:
            described = error.response.get("Error", {})
            if described.get("Code") == "ValidationError" and "does not exist" in described.get("Message", ""):
                return None
            raise

    def newest(self, stack_id: str) -> str | None:
        """The id of the stack's newest event, behind which :meth:`watch` begins."""
        return next((event["EventId"] for event in self._events(stack_id)), None)

    def watch(self, stack_id: str, before: str | None, wanted: Sequence[str] = _DEPLOYED) -> Iterator[Event]:
        """The events behind ``before`` as they come, until the stack rests.

        Raises :class:`DeployError` with the reason of the first resource that failed, where it does not rest in one of
        the ``wanted`` statuses.
        """
        seen: set[str] = set()
        announced: set[str] = set()
        blamed: Event | None = None
        while True:
            # The status first: the events that are read after it then include the one that led to it.
            found = self.describe(stack_id)
            status = found["StackStatus"] if found else "DELETE_COMPLETE"
            for raw in self._fresh(stack_id, before, seen):
                event = Event.of(raw)
                if raw.get("PhysicalResourceId") == stack_id:
                    announced.add(event.status)
                if blamed is None and event.blames:
                    blamed = event
                yield event
            # Just after the start the status may still be the old one; then no event has announced it yet.
            if found is None or (not status.endswith("_IN_PROGRESS") and status in announced):
                break
            self._clock.sleep(self._poll)
        if status not in wanted:
            raise self._failed(stack_id, status, blamed)

    def checks(self, **which: str) -> str | None:
        """What CloudFormation's checks before a deployment complain of, where its reason only says that they do."""
        describe: Any = getattr(self._client, "describe_events", None)  # younger than the oldest boto3 that works
        if describe is None:
            return None
        with suppress(DynastashError), translated():
            for event in describe(**which, Filters={"FailedEvents": True})["OperationEvents"]:
                if event.get("EventType") == "VALIDATION_ERROR":
                    return f"{event.get('LogicalResourceId', '')}: {event.get('ValidationStatusReason', '')}"
        return None

    def _failed(self, stack_id: str, status: str, blamed: Event | None) -> DeployError:
        reason = f"{blamed.logical_id}: {blamed.reason}" if blamed and blamed.reason else status
        if "DescribeEvents" in reason:
            reason = self.checks(StackName=stack_id) or reason
        if status == "UPDATE_ROLLBACK_COMPLETE":
            return failure(reason, "the environment is as it was before; mend the cause and deploy again")
        return failure(reason, way_out(self._stack, status) or look(self._stack))

    def _events(self, stack_id: str) -> Iterator[Mapping[str, Any]]:
        """The stack's events, newest first, a page at a time as they are asked for."""
        for page in self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
            yield from page["StackEvents"]

    def _fresh(self, stack_id: str, before: str | None, seen: set[str]) -> list[Mapping[str, Any]]:
        """The events after ``before`` that are not in ``seen``, oldest first."""
        fresh: list[Mapping[str, Any]] = []
        for event in self._events(stack_id):
            if event["EventId"] == before:
                break
            if event["EventId"] not in seen:
                seen.add(event["EventId"])
                fresh.append(event)
        return fresh[::-1]


def failure(reason: str, hint: str) -> DeployError:
    """CloudFormation gave up for ``reason``."""
    from dynastash.aws.errors import one_line

    if "already exists" in reason:
        hint = "an earlier stack has left it; the how-to on deploying says how to take it over"
    return DeployError(f"CloudFormation gave up: {one_line(reason)}", hint=hint)
