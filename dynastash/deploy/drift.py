"""What has been changed past CloudFormation: a stack's drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dynastash.clock import Clock, SystemClock
from dynastash.deploy.wire import translated
from dynastash.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

TIMEOUT: Final = 180.0
"""Seconds to wait for CloudFormation to compare; it takes some ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One property that is not as the template has it; ``property`` is empty for a resource that is gone.

    ``expected`` and ``actual`` are as CloudFormation writes them, None where there is none.
    """

    logical_id: str
    type: str
    physical_id: str | None
    property: str = ""
    expected: str | None = None
    actual: str | None = None


def drift_of(
    client: CloudFormationClient, stack: str, *, clock: Clock | None = None, poll: float = 2.0
) -> list[Drift] | None:
    """What differs; None where CloudFormation, or what stands in for it, cannot tell.

    Raises :class:`DeployError` for what it refuses or does not finish.
    """
    clock = clock or SystemClock()
    with translated():
        try:
            begun = client.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
        except client.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in ("InvalidAction", "UnknownOperationException", "NotImplemented", "InternalFailure"):
                return None
            raise
        deadline = clock.monotonic() + TIMEOUT
        while (found := client.describe_stack_drift_detection_status(StackDriftDetectionId=begun))[
            "DetectionStatus"
        ] == "DETECTION_IN_PROGRESS":
            if clock.monotonic() >= deadline:
                raise DeployError(
                    f"CloudFormation did not compare the stack in {TIMEOUT:.0f} seconds", hint="try again"
                )
            clock.sleep(poll)
        if found["DetectionStatus"] != "DETECTION_COMPLETE" and not found.get("DriftedStackResourceCount"):
            return None
        return _drifted(client, stack)


def _drifted(client: CloudFormationClient, stack: str) -> list[Drift]:
    found: list[Drift] = []
    following: dict[str, Any] = {}
    while True:
        page = client.describe_stack_resource_drifts(
            StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **following
        )
        for raw in page["StackResourceDrifts"]:
            found += _of(raw)
        if not page.get("NextToken"):
            return found
        following = {"NextToken": page["NextToken"]}


def _of(raw: Mapping[str, Any]) -> list[Drift]:
    resource: dict[str, Any] = {
        "logical_id": raw["LogicalResourceId"],
        "type": raw["ResourceType"],
        "physical_id": raw.get("PhysicalResourceId"),
    }
    if raw["StackResourceDriftStatus"] == "DELETED":
        return [Drift(**resource)]
    return [
        Drift(
            **resource,
            property=each["PropertyPath"].lstrip("/"),
            expected=each.get("ExpectedValue"),
            actual=each.get("ActualValue"),
        )
        for each in raw.get("PropertyDifferences", [])
    ]
