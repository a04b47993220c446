"""What a deployment would do, does and did: frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from dynastash.errors import DeployError

_HOLDERS: Final = ("AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::KMS::ReplicaKey")
"""What secrets live in or hang on: a new one is empty, or opens nothing."""

_REPLACEMENT: Final = {"True": "yes", "Conditional": "maybe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One resource of a change set.

    ``action`` is ``add``, ``modify``, ``remove``, ``import`` or ``dynamic``. ``replacement`` is ``no``, ``yes``, or
    ``maybe`` where CloudFormation only finds out on the way. ``properties`` are the names of the changed properties,
    and ``decisive`` those among them that cannot change without a replacement.
    """

    action: str
    logical_id: str
    type: str
    physical_id: str | None = None
    replacement: str = "no"
    properties: tuple[str, ...] = ()
    decisive: tuple[str, ...] = ()

    @property
    def abandons(self) -> bool:
        """Whether secrets would stay behind in, or under, what this change takes out of use."""
        replaced = self.replacement == "yes" or (self.replacement == "maybe" and bool(self.decisive))
        return self.type in _HOLDERS and (self.action == "remove" or replaced)

    @property
    def costly(self) -> bool:
        """Whether something goes, or may: a removal, or a replacement."""
        return self.action == "remove" or self.replacement != "no"

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Change:
        """From CloudFormation's ``ResourceChange``."""
        targets = [detail.get("Target", {}) for detail in raw.get("Details", ())]
        return cls(
            action=raw["Action"].lower(),
            logical_id=raw["LogicalResourceId"],
            type=raw["ResourceType"],
            physical_id=raw.get("PhysicalResourceId"),
            replacement=_REPLACEMENT.get(raw.get("Replacement", ""), "no"),
            properties=_names(targets),
            decisive=_names([target for target in targets if target.get("RequiresRecreation") == "Always"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a deployment would do.

    ``action`` is ``create`` or ``update``; ``change_set`` is the change set's ARN, None where nothing would change.
    """

    environment: str
    stack: str
    stack_id: str
    action: str
    change_set: str | None
    changes: tuple[Change, ...] = ()

    @property
    def where(self) -> str:
        """The account and the Region, for a person who is about to agree."""
        _, _, _, region, account, *_ = self.stack_id.split(":")
        return f"account {account}, {region}"

    @property
    def grants(self) -> bool:
        """Whether it touches IAM: policies that give access, which CloudFormation wants acknowledged."""
        return any(change.type.startswith("AWS::IAM::") for change in self.changes)

    @property
    def abandoned(self) -> tuple[Change, ...]:
        """The changes that would leave secrets behind: a replaced or removed table or key."""
        return tuple(change for change in self.changes if change.abandons)

    def check(self, *, allow_replacement: bool = False) -> None:
        """Raise :class:`DeployError` where secrets would be left behind, unless that is meant."""
        if self.abandoned and not allow_replacement:
            names = ", ".join(change.logical_id for change in self.abandoned)
            raise DeployError(
                f"this would replace or remove {names}, and every secret would stay behind in the old one",
                hint="set table and key in the configuration as they were, or allow the replacement on purpose",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of a deployment, in CloudFormation's own words."""

    at: datetime
    logical_id: str
    type: str
    status: str
    reason: str = ""

    @property
    def blames(self) -> bool:
        """Whether this is a failure of its own, and not a consequence of another."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.blames and self.reason else ""
        return f"{self.at:%H:%M:%S}  {self.status}  {self.logical_id}{reason}"

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Event:
        """From CloudFormation's ``StackEvent``."""
        return cls(
            at=raw["Timestamp"],
            logical_id=raw["LogicalResourceId"],
            type=raw["ResourceType"],
            status=raw["ResourceStatus"],
            reason=raw.get("ResourceStatusReason", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A stack as it stands. ``protected`` is its termination protection."""

    stack: str
    stack_id: str
    status: str
    protected: bool
    outputs: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Deployment:
        """From CloudFormation's ``Stack``."""
        return cls(
            stack=raw["StackName"],
            stack_id=raw["StackId"],
            status=raw["StackStatus"],
            protected=raw.get("EnableTerminationProtection", False),
            outputs={output["OutputKey"]: output["OutputValue"] for output in raw.get("Outputs", ())},
        )


def _names(targets: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The properties that a change's details name, each once; an attribute such as ``Tags`` stands for itself."""
    return tuple(dict.fromkeys(target.get("Name") or target.get("Attribute", "") for target in targets))
