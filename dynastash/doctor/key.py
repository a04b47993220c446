"""The envelope key: its state, its rotation, and what its policy refuses to everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dynastash.aws.clients import translated
from dynastash.doctor import expected
from dynastash.doctor.account import Account
from dynastash.doctor.check import Outcome, failed, ok, skipped, warning
from dynastash.errors import ServiceError


class Key:
    """The environment's key, described once."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._key = account.environment.key
        self._described: Mapping[str, Any] = {}

    def usable(self) -> Outcome:
        """Whether there is one, and whether it can be used now."""
        environment = self._account.environment
        try:
            with translated("kms"):
                self._described = self._account.client("kms").describe_key(KeyId=self._key)["KeyMetadata"]
        except ServiceError as error:
            if error.code == "NotFoundException":
                return failed(
                    f"there is no key {self._key} in {self._account.clients.region}",
                    f"create it with `dynastash deploy {environment.name}`, or check the account, the region and key "
                    "in the configuration",
                )
            raise
        arn, state = self._described.get("Arn", self._key), self._described.get("KeyState", "?")
        if state == "PendingDeletion":
            date = self._described.get("DeletionDate")
            when = f" on {date:%Y-%m-%d}" if date is not None else ""
            return failed(
                f"{arn} will be deleted{when}, and every value with it",
                f"save it: aws kms cancel-key-deletion --key-id {arn}, and then aws kms enable-key --key-id {arn}",
            )
        if state == "Disabled":
            return failed(f"{arn} is disabled", f"aws kms enable-key --key-id {arn}")
        if state not in ("Enabled", "Creating", "Updating"):
            return failed(f"{arn} is {state}", "wait, or choose another key in the configuration")
        spec, usage = self._described.get("KeySpec"), self._described.get("KeyUsage")
        if spec not in (None, expected.KEY_SPEC) or usage not in (None, expected.KEY_USAGE):
            return failed(
                f"{arn} is a key for {usage}, {spec}: it wraps no data keys",
                f"name a symmetric key, or let `dynastash deploy {environment.name}` make one",
            )
        also = " (multi-Region)" if self._described.get("MultiRegion") else ""
        return ok(f"{self._key} is {arn}{also}" if self._key != arn else f"{arn}{also}")

    def rotation(self) -> Outcome:
        """Whether KMS renews its material."""
        if self._described.get("KeyManager") == "AWS":
            return skipped("AWS manages this key")
        key = self._described.get("KeyId", self._key)
        with translated("kms"):
            reply = self._account.client("kms").get_key_rotation_status(KeyId=key)
        if not reply.get("KeyRotationEnabled"):
            return warning("off", f"aws kms enable-key-rotation --key-id {key}")
        days = reply.get("RotationPeriodInDays")
        return ok(f"every {days} days" if days else "on")

    def policy(self) -> Outcome:
        """Whether the key refuses to be used for another environment or without a secret's name."""
        key = self._described.get("KeyId", self._key)
        with translated("kms"):
            text = self._account.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        try:
            missing = list(_missing(json.loads(text), self._account.environment.name))
        except (ValueError, TypeError, AttributeError):
            return warning("the key's policy cannot be read", "look at it in the console")
        if missing:
            return warning(
                f"does not refuse {' or '.join(missing)}",
                f"run `dynastash deploy {self._account.environment.name}`, or take its template's Deny statements",
            )
        return ok("refuses other environments, use without a name, and chosen data keys")


def _missing(policy: Mapping[str, Any], environment: str) -> Iterator[str]:
    denies = [statement for statement in _listed(policy.get("Statement")) if statement.get("Effect") == "Deny"]
    uses = ("kms:decrypt", "kms:generatedatakey*", "kms:reencrypt*")

    def refuses(operator: str, key: str, text: str, actions: tuple[str, ...]) -> bool:
        return any(
            set(actions) <= {str(action).lower() for action in _listed(statement.get("Action"))}
            and _listed(statement.get("Condition", {}).get(operator, {}).get(key)) == [text]
            and _everybody(statement.get("Principal"))
            for statement in denies
        )

    if not refuses("StringNotEquals", expected.ENVIRONMENT_CONTEXT, environment, uses):
        yield "other environments"
    if not refuses("Null", expected.NAME_CONTEXT, "true", uses):
        yield "use without a secret's name"
    if not any(
        "kms:encrypt" in {str(action).lower() for action in _listed(statement.get("Action"))}
        and "Condition" not in statement
        for statement in denies
    ):
        yield "chosen data keys"


def _everybody(principal: object) -> bool:
    return principal == "*" or (isinstance(principal, Mapping) and _listed(principal.get("AWS")) == ["*"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
