"""Planning, applying and discarding a change of one environment's stack."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dynastash._version import __version__
from dynastash.clock import Clock, SystemClock
from dynastash.deploy.plan import Change, Deployment, Event, Plan
from dynastash.deploy.wire import translated
from dynastash.errors import DeployError, DynastashError, InvalidArgumentError
from dynastash.models import check_environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

PLAN_TIMEOUT: Final = 300.0
"""Seconds to wait for CloudFormation to compute a change set; it takes a few."""

_DELETE_TIMEOUT: Final = 60.0
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")
_CONFIGURED: Final = ("EnvironmentName", "TableName", "KeyAlias")

_CREATION_FAILED: Final = (
    "mend the cause, delete what is left with aws cloudformation delete-stack --stack-name {stack}, and deploy again"
)
_STUCK: Final = {
    "CREATE_FAILED": _CREATION_FAILED,
    "ROLLBACK_COMPLETE": _CREATION_FAILED,
    "ROLLBACK_FAILED": _CREATION_FAILED,
    "DELETE_FAILED": "finish its deletion with aws cloudformation delete-stack --stack-name {stack}",
    "UPDATE_ROLLBACK_FAILED": "finish the rollback with aws cloudformation continue-update-rollback "
    "--stack-name {stack}",
    "IMPORT_ROLLBACK_FAILED": "see what happened with aws cloudformation describe-stack-events --stack-name {stack}",
}
"""The statuses that CloudFormation does not leave by a change set, and what leads out of them."""


def template() -> str:
    """The CloudFormation template of an environment, as YAML."""
    from importlib import resources

    return (resources.files("dynastash.cloudformation") / "environment.yaml").read_text(encoding="utf-8")


def stack_name(environment: str) -> str:
    """The name of the stack that holds ``environment``."""
    return f"dynastash-{check_environment(environment)}"


class Deployer:
    """Plans and carries out changes to the stack of one environment.

    ``client`` is boto3's CloudFormation client, as :func:`~dynastash.deploy.wire.make_client` makes one. ``table`` and
    ``key`` are what the configuration says, None for the environment's defaults. ``body`` is the template, as YAML.
    ``poll`` is the pause between two looks at CloudFormation, in seconds.

    Every method raises :class:`DeployError` for what CloudFormation refuses, and
    :class:`~dynastash.errors.ConfigError` where no call can be made.
    """

    def __init__(
        self,
        client: CloudFormationClient,
        environment: str,
        *,
        table: str | None = None,
        key: str | None = None,
        body: str | None = None,
        clock: Clock | None = None,
        poll: float = 2.0,
    ) -> None:
        self.stack = stack_name(environment)
        self._client = client
        self._environment = environment
        self._table = table
        self._key = key
        self._body = template() if body is None else body
        self._clock = clock or SystemClock()
        self._poll = poll

    @property
    def look(self) -> str:
        """Advice on how to follow the stack without this program."""
        return f"look at it with aws cloudformation describe-stack-events --stack-name {self.stack}"

    def plan(self, parameters: Mapping[str, str] | None = None) -> Plan:
        """Make a change set and describe it. Nothing is deployed yet.

        ``parameters`` are the template's; those that are not given keep the value that the stack has. The names of the
        environment, the table and the key come from the configuration: :class:`InvalidArgumentError`.
        """
        given = dict(parameters or {})
        if reserved := sorted(given.keys() & set(_CONFIGURED)):
            raise InvalidArgumentError(
                f"{reserved[0]} cannot be given as a parameter",
                hint="the configuration of the environment says it: its name, table and key",
            )
        with translated():
            found = self._describe(self.stack)
            action = self._action(found)
            values = {**given, **self._names(found)}
            return self._change_set(action, self._parameters(values, found if action == "update" else None))

    def apply(self, plan: Plan, *, allow_replacement: bool = False) -> Iterator[Event]:
        """Carry the plan out, yielding each event until the stack has come to rest.

        Raises :class:`DeployError` with the reason of the first resource that failed; CloudFormation has rolled back
        by then. A plan that would replace or remove the table or a key is refused unless ``allow_replacement``.
        The stack goes on without the caller: giving up the iteration stops nothing.
        """
        if plan.change_set is None:
            return
        plan.check(allow_replacement=allow_replacement)
        with translated():
            before = next((event["EventId"] for event in self._events(plan.stack_id)), None)
            self._client.execute_change_set(
                ChangeSetName=plan.change_set,
                ClientRequestToken=f"dynastash-{secrets.token_hex(16)}",
                DisableRollback=False,
                # Without it a creation that failed would leave its keys behind, because they are retained.
                RetainExceptOnCreate=True,
            )
        with translated(hint=f"the stack goes on by itself; {self.look}"):
            yield from self._watch(plan.stack_id, before)
        if plan.action == "create":
            # Only now: a stack whose creation failed is there to be deleted. Where the caller may not, or the endpoint
            # cannot, Deployment.protected says so.
            with suppress(DynastashError), translated():
                self._client.update_termination_protection(StackName=plan.stack_id, EnableTerminationProtection=True)

    def discard(self, plan: Plan) -> None:
        """Delete the plan's change set, and the empty stack that CloudFormation made to hold it."""
        if plan.change_set is not None:
            with translated():
                self._discard(plan.change_set, plan.stack_id)

    def deployment(self) -> Deployment | None:
        """The stack as it stands now, with its outputs; None where there is none."""
        with translated():
            found = self._describe(self.stack)
        return None if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS" else Deployment.of(found)

    # What there is

    def _describe(self, name_or_id: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            return self._client.describe_stacks(StackName=name_or_id)["Stacks"][0]
        except ClientError as error:
            described = error.response.get("Error", {})
            if described.get("Code") == "ValidationError" and "does not exist" in described.get("Message", ""):
                return None
            raise

    def _action(self, found: Mapping[str, Any] | None) -> str:
        """``create`` or ``update``, or the error for a stack that can have neither."""
        if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS":
            return "create"  # in review: the empty shell of a plan that nobody has decided on
        status = found["StackStatus"]
        if status.endswith("_IN_PROGRESS"):
            raise DeployError(
                f"another operation on the stack {self.stack} is under way ({status})",
                hint=f"wait until it is done; {self.look}",
            )
        if status in _STUCK:
            raise DeployError(f"the stack {self.stack} cannot be changed ({status})", hint=self._way_out(status))
        given = {parameter["ParameterKey"]: parameter.get("ParameterValue") for parameter in found["Parameters"]}
        # The parameters and not the outputs: a stack that took over existing resources has no outputs yet.
        if given.get("EnvironmentName") != self._environment or not given.keys() >= set(_CONFIGURED):
            raise DeployError(
                f"there is a stack {self.stack} that is not the environment {self._environment}",
                hint="give the environment another name, or delete that stack if nobody needs it",
            )
        return "update"

    def _way_out(self, status: str) -> str:
        return _STUCK[status].format(stack=self.stack)

    # What there should be

    def _names(self, found: Mapping[str, Any] | None) -> dict[str, str]:
        """The parameters that the configuration decides; empty where the template's own default says the same."""
        table = "" if self._table is None or self._table == self.stack else self._table
        alias = self._key or ""
        if ":alias/" in alias:  # an alias's ARN
            alias = "alias/" + alias.partition(":alias/")[2]
        elif alias and not alias.startswith("alias/"):
            outputs = Deployment.of(found).outputs if found else {}
            arn = outputs.get("EnvelopeKeyArn", "")
            if alias not in (arn, arn.rpartition("/")[2]):
                raise DeployError(
                    f"the environment {self._environment} is configured for a key that its stack did not make",
                    hint="set key to an alias, or leave it out, and the stack makes the key",
                )
            alias = outputs.get("EnvelopeKeyAlias", "")
        return {
            "EnvironmentName": self._environment,
            "TableName": table,
            "KeyAlias": "" if alias == f"alias/{self.stack}" else alias,
        }

    def _parameters(self, values: Mapping[str, str], found: Mapping[str, Any] | None) -> list[ParameterTypeDef]:
        """The request's parameters: those given, and for an update the stack's own for the rest."""
        validated = self._client.validate_template(TemplateBody=self._body)
        declared = {parameter["ParameterKey"] for parameter in validated["Parameters"]}
        if unknown := sorted(values.keys() - declared):
            raise InvalidArgumentError(
                f"the template has no parameter {', '.join(unknown)}",
                hint=f"it has {', '.join(sorted(declared - set(_CONFIGURED)))}",
            )
        arguments: list[ParameterTypeDef] = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
        ]
        kept = {parameter["ParameterKey"] for parameter in (found["Parameters"] if found else ())}
        for name in sorted(kept & declared - values.keys()):
            arguments.append({"ParameterKey": name, "UsePreviousValue": True})
        return arguments

    # Change sets

    def _change_set(self, action: str, arguments: list[ParameterTypeDef]) -> Plan:
        name = f"dynastash-{secrets.token_hex(8)}"
        made = self._client.create_change_set(
            StackName=self.stack,
            ChangeSetName=name,
            ChangeSetType="CREATE" if action == "create" else "UPDATE",
            ClientToken=name,
            Description=f"dynastash {__version__}: deploy {self._environment}",
            TemplateBody=self._body,
            Parameters=arguments,
        )
        change_set, stack_id = made["Id"], made["StackId"]
        try:
            status, reason, changes = self._computed(change_set)
            usable = status == "CREATE_COMPLETE"
            nothing = not usable and any(text in reason for text in _NO_CHANGES)
            if not usable and not nothing:
                raise _failure(
                    self._checks(ChangeSetName=change_set) or reason or status,
                    "nothing was changed; mend the cause and deploy again",
                )
            if nothing:
                self._discard(change_set, stack_id)
        except BaseException:  # Ctrl-C too: what nobody will decide on is not left lying about
            with suppress(DynastashError), translated():
                self._discard(change_set, stack_id)
            raise
        return Plan(
            environment=self._environment,
            stack=self.stack,
            stack_id=stack_id,
            action=action,
            change_set=change_set if usable else None,
            changes=changes if usable else (),
        )

    def _computed(self, change_set: str) -> tuple[str, str, tuple[Change, ...]]:
        """The change set's status and its reason once CloudFormation has finished with it, and what it would do."""
        deadline = self._clock.monotonic() + PLAN_TIMEOUT
        while True:
            pages = list(self._client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set))
            status = pages[0]["Status"]
            if status not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                changes = [change["ResourceChange"] for page in pages for change in page["Changes"]]
                return status, pages[0].get("StatusReason", ""), tuple(map(Change.of, changes))
            if self._clock.monotonic() >= deadline:
                raise DeployError(
                    f"CloudFormation did not compute the change in {PLAN_TIMEOUT:.0f} seconds",
                    hint="nothing was changed; try again",
                )
            self._clock.sleep(self._poll)

    def _discard(self, change_set: str, stack_id: str) -> None:
        self._client.delete_change_set(ChangeSetName=change_set)
        found = self._describe(stack_id)
        if found is None or found["StackStatus"] != "REVIEW_IN_PROGRESS":
            return
        others = self._client.list_change_sets(StackName=self.stack)["Summaries"]
        if any(other["ChangeSetId"] != change_set for other in others):
            return  # somebody else's plan waits in the same shell
        self._client.delete_stack(StackName=stack_id)
        deadline = self._clock.monotonic() + _DELETE_TIMEOUT
        while self._clock.monotonic() < deadline:
            found = self._describe(stack_id)
            if found is None or not found["StackStatus"].endswith("_IN_PROGRESS"):
                return
            self._clock.sleep(self._poll)

    # Progress

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

    def _watch(self, stack_id: str, before: str | None) -> Iterator[Event]:
        seen: set[str] = set()
        announced: set[str] = set()
        blamed: Event | None = None
        while True:
            # The status first: the events that are read after it then include the one that led to it.
            found = self._describe(stack_id)
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
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        reason = f"{blamed.logical_id}: {blamed.reason}" if blamed and blamed.reason else status
        if "DescribeEvents" in reason:
            reason = self._checks(StackName=stack_id) or reason
        if status == "UPDATE_ROLLBACK_COMPLETE":
            raise _failure(reason, "the environment is as it was before; mend the cause and deploy again")
        raise _failure(reason, self._way_out(status) if status in _STUCK else self.look)

    def _checks(self, **which: str) -> str | None:
        """What CloudFormation's checks before a deployment complain of, where its reason only says that they do."""
        describe: Any = getattr(self._client, "describe_events", None)  # younger than the oldest boto3 that works
        if describe is None:
            return None
        with suppress(DynastashError), translated():
            for event in describe(**which, Filters={"FailedEvents": True})["OperationEvents"]:
                if event.get("EventType") == "VALIDATION_ERROR":
                    return f"{event.get('LogicalResourceId', '')}: {event.get('ValidationStatusReason', '')}"
        return None


def _failure(reason: str, hint: str) -> DeployError:
    from dynastash.aws.errors import one_line

    if "already exists" in reason:
        hint = "an earlier stack has left it; the how-to on deploying says how to take it over"
    return DeployError(f"CloudFormation gave up: {one_line(reason)}", hint=hint)
