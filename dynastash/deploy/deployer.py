"""Planning, applying and discarding a change of one environment's stack."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dynastash._version import __version__
from dynastash.clock import Clock, SystemClock
from dynastash.deploy.plan import Change, Deployment, Event, Plan
from dynastash.deploy.templates import template
from dynastash.deploy.watching import Watcher, failure, look, way_out
from dynastash.deploy.wire import translated
from dynastash.errors import DeployError, DynastashError, InvalidArgumentError
from dynastash.models import check_environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import CapabilityType
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

PLAN_TIMEOUT: Final = 300.0
"""Seconds to wait for CloudFormation to compute a change set; it takes a few."""

_DELETE_TIMEOUT: Final = 60.0
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")
_CONFIGURED: Final = ("EnvironmentName", "TableName", "KeyAlias")


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
        self._watcher = Watcher(client, self.stack, clock=self._clock, poll=poll)

    @property
    def look(self) -> str:
        """Advice on how to follow the stack without this program."""
        return look(self.stack)

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
            found = self._watcher.describe(self.stack)
            action = self._action(found)
            values = {**given, **self._names(found)}
            validated = self._client.validate_template(TemplateBody=self._body)
            arguments = self._parameters(values, found if action == "update" else None, validated)
            return self._change_set(action, arguments, validated.get("Capabilities", []))

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
            before = self._watcher.newest(plan.stack_id)
            self._client.execute_change_set(
                ChangeSetName=plan.change_set,
                ClientRequestToken=f"dynastash-{secrets.token_hex(16)}",
                DisableRollback=False,
                # Without it a creation that failed would leave its keys behind, because they are retained.
                RetainExceptOnCreate=True,
            )
        with translated(hint=f"the stack goes on by itself; {self.look}"):
            yield from self._watcher.watch(plan.stack_id, before)
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
            found = self._watcher.describe(self.stack)
        return None if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS" else Deployment.of(found)

    def delete(self) -> Iterator[Event]:
        """Delete the stack, yielding each event; what holds secrets stays. Takes the termination protection off first.

        Raises :class:`DeployError` where there is no such stack or CloudFormation gives up.
        """
        with translated():
            found = self._watcher.describe(self.stack)
            if found is None:
                raise DeployError(f"there is no stack {self.stack}", hint="nothing is deployed under this name here")
            self._own(found)
            stack_id, before = found["StackId"], self._watcher.newest(found["StackId"])
            if found.get("EnableTerminationProtection"):
                self._client.update_termination_protection(StackName=stack_id, EnableTerminationProtection=False)
            self._client.delete_stack(StackName=stack_id)
        with translated(hint=f"the deletion goes on by itself; {self.look}"):
            yield from self._watcher.watch(stack_id, before, ("DELETE_COMPLETE",))

    # What there is

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
        if hint := way_out(self.stack, status):
            raise DeployError(f"the stack {self.stack} cannot be changed ({status})", hint=hint)
        self._own(found)
        return "update"

    def _own(self, found: Mapping[str, Any]) -> None:
        """Refuse a stack that is not this environment's."""
        given = {parameter["ParameterKey"]: parameter.get("ParameterValue") for parameter in found["Parameters"]}
        # The parameters and not the outputs: a stack that took over existing resources has no outputs yet.
        if given.get("EnvironmentName") != self._environment or not given.keys() >= set(_CONFIGURED):
            raise DeployError(
                f"there is a stack {self.stack} that is not the environment {self._environment}",
                hint="give the environment another name, or delete that stack if nobody needs it",
            )

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

    def _parameters(
        self, values: Mapping[str, str], found: Mapping[str, Any] | None, validated: Mapping[str, Any]
    ) -> list[ParameterTypeDef]:
        """The request's parameters: those given, and for an update the stack's own for the rest."""
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

    def _change_set(
        self, action: str, arguments: list[ParameterTypeDef], capabilities: Sequence[CapabilityType]
    ) -> Plan:
        name = f"dynastash-{secrets.token_hex(8)}"
        acknowledged: Any = {"Capabilities": list(capabilities)} if capabilities else {}
        made = self._client.create_change_set(
            StackName=self.stack,
            ChangeSetName=name,
            ChangeSetType="CREATE" if action == "create" else "UPDATE",
            ClientToken=name,
            Description=f"dynastash {__version__}: deploy {self._environment}",
            TemplateBody=self._body,
            Parameters=arguments,
            **acknowledged,
        )
        change_set, stack_id = made["Id"], made["StackId"]
        try:
            status, reason, changes = self._computed(change_set)
            usable = status == "CREATE_COMPLETE"
            nothing = not usable and any(text in reason for text in _NO_CHANGES)
            if not usable and not nothing:
                raise failure(
                    self._watcher.checks(ChangeSetName=change_set) or reason or status,
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
                listed = (Change.of(change["ResourceChange"]) for page in pages for change in page["Changes"])
                # Emulators also list what a condition leaves out, as modified although it is not there.
                changes = tuple(each for each in listed if each.action != "modify" or each.physical_id)
                return status, pages[0].get("StatusReason", ""), changes
            if self._clock.monotonic() >= deadline:
                raise DeployError(
                    f"CloudFormation did not compute the change in {PLAN_TIMEOUT:.0f} seconds",
                    hint="nothing was changed; try again",
                )
            self._clock.sleep(self._poll)

    def _discard(self, change_set: str, stack_id: str) -> None:
        self._client.delete_change_set(ChangeSetName=change_set)
        found = self._watcher.describe(stack_id)
        if found is None or found["StackStatus"] != "REVIEW_IN_PROGRESS":
            return
        others = self._client.list_change_sets(StackName=self.stack)["Summaries"]
        if any(other["ChangeSetId"] != change_set for other in others):
            return  # somebody else's plan waits in the same shell
        self._client.delete_stack(StackName=stack_id)
        deadline = self._clock.monotonic() + _DELETE_TIMEOUT
        while self._clock.monotonic() < deadline:
            found = self._watcher.describe(stack_id)
            if found is None or not found["StackStatus"].endswith("_IN_PROGRESS"):
                return
            self._clock.sleep(self._poll)
