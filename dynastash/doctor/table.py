"""The table: its shape, and what protects it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynastash.aws.clients import translated
from dynastash.doctor import expected
from dynastash.doctor.account import Account
from dynastash.doctor.check import Outcome, failed, ok, skipped, warning

_WARM_UP = 86_400


class Table:
    """The environment's table, described once."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._name = account.environment.table
        self._described: Mapping[str, Any] = {}

    def exists(self) -> Outcome:
        """Whether there is one, and whether it can be used now."""
        region = self._account.clients.region
        client = self._account.client("dynamodb")
        try:
            with translated("dynamodb"):
                self._described = client.describe_table(TableName=self._name)["Table"]
        except Exception as error:
            if getattr(error, "code", None) == "ResourceNotFoundException":
                return failed(
                    f"there is no table {self._name} in {region}",
                    f"create it with `dynastash deploy {self._account.environment.name}`, or check the account, "
                    "the region and table in the configuration",
                )
            raise
        status = self._described.get("TableStatus", "?")
        replicas = [replica.get("RegionName", "?") for replica in self._described.get("Replicas", ())]
        also = f", with replicas in {', '.join(sorted(replicas))}" if replicas else ""
        if status not in ("ACTIVE", "UPDATING"):
            return failed(f"{self._name} in {region} is {status}", "wait until it is ACTIVE")
        return ok(f"{self._name} in {region}{also}")

    def key_schema(self) -> Outcome:
        """Whether it is a table of ours."""
        found = expected.schema_of(self._described)
        if found == expected.KEY_SCHEMA:
            return ok(expected.spelled(found))
        if found == expected.CREDSTASH_SCHEMA:
            return failed(
                f"{self._name} is a table of credstash's: its key is {expected.spelled(found)}",
                "name another table in the configuration: the two formats never share one",
            )
        return failed(
            f"{self._name} is another program's table: its key is {expected.spelled(found)}",
            f"name another table in the configuration; `dynastash deploy` makes one with "
            f"{expected.spelled(expected.KEY_SCHEMA)}",
        )

    def index(self) -> Outcome:
        """Whether secrets can be listed."""
        found = {index["IndexName"]: index for index in self._described.get("GlobalSecondaryIndexes", ())}
        index = found.get(expected.INDEX)
        deploy = f"run `dynastash deploy {self._account.environment.name}`"
        if index is None:
            return failed(f"the index {expected.INDEX} is missing: secrets cannot be listed", deploy)
        if expected.schema_of(index) != expected.INDEX_SCHEMA:
            return failed(
                f"the index {expected.INDEX} has the key {expected.spelled(expected.schema_of(index))}, "
                f"not {expected.spelled(expected.INDEX_SCHEMA)}",
                deploy,
            )
        projection = index.get("Projection", {}).get("ProjectionType", expected.PROJECTION)
        if projection != expected.PROJECTION:
            return failed(f"the index {expected.INDEX} projects {projection} only", deploy)
        status = index.get("IndexStatus", "ACTIVE")
        if status != "ACTIVE":
            return warning(
                f"the index {expected.INDEX} is {status}: listings are incomplete", "wait until it is ACTIVE"
            )
        return ok(expected.INDEX)

    def deletion_protection(self) -> Outcome:
        """Whether one call could delete it."""
        if self._described.get("DeletionProtectionEnabled"):
            return ok("on")
        return warning(
            "off: one call deletes every secret",
            f"run `dynastash deploy {self._account.environment.name}`, or aws dynamodb update-table "
            f"--table-name {self._name} --deletion-protection-enabled",
        )

    def encryption(self) -> Outcome:
        """The key of the table at rest."""
        described = self._described.get("SSEDescription", {})
        if described.get("SSEType") == "KMS" and described.get("Status") in ("ENABLED", "UPDATING"):
            return ok(f"at rest under {described.get('KMSMasterKeyArn', 'a KMS key')}")
        return warning(
            "at rest under a key that AWS owns; values are sealed all the same",
            f"run `dynastash deploy {self._account.environment.name}`",
        )

    def recovery(self) -> Outcome:
        """Whether the table can be put back to any second."""
        with translated("dynamodb"):
            reply = self._account.client("dynamodb").describe_continuous_backups(TableName=self._name)
        described = reply["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if described.get("PointInTimeRecoveryStatus") != "ENABLED":
            return warning(
                "off: what is overwritten cannot be had back",
                f"run `dynastash deploy {self._account.environment.name}`, or aws dynamodb update-continuous-backups "
                f"--table-name {self._name} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            )
        days = described.get("RecoveryPeriodInDays")
        return ok(f"on, {days} days back" if days else "on")

    def time_to_live(self) -> Outcome:
        """Whether tombstones go by themselves, and nothing else does."""
        with translated("dynamodb"):
            reply = self._account.client("dynamodb").describe_time_to_live(TableName=self._name)
        described = reply.get("TimeToLiveDescription", {})
        attribute = described.get("AttributeName")
        status = described.get("TimeToLiveStatus", "DISABLED")
        if status in ("DISABLED", "DISABLING"):
            return warning(
                "off: the tombstones of destroyed versions stay",
                f"run `dynastash deploy {self._account.environment.name}`",
            )
        if attribute != expected.TTL_ATTRIBUTE:
            return failed(
                f"on for the attribute {attribute}: DynamoDB would delete live records",
                f"turn it off at once: aws dynamodb update-time-to-live --table-name {self._name} "
                f"--time-to-live-specification Enabled=false,AttributeName={attribute}",
            )
        return ok(f"on, for {attribute}")

    def billing(self) -> Outcome:
        """Whether capacity has to be planned."""
        mode = self._described.get("BillingModeSummary", {}).get("BillingMode")
        if mode is None or mode == expected.BILLING:
            return ok("on demand") if mode else skipped("the table does not say")
        return warning(
            f"{mode}: bursts are throttled at the provisioned capacity", "on demand is what the template has"
        )
