"""Making an old table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from credstash.access import Access, aws_settings
from credstash.where import meaning
from dynastash.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import boto3

EXISTS = "Credential Store table already exists"
_KEYS = (("name", "HASH"), ("version", "RANGE"))


def create(table: str, access: Access, tags: Mapping[str, str], say: Callable[[str], None] = lambda _: None) -> None:
    """Make ``table``, billed by request, with the tag ``Name`` and ``tags``, and wait until it is there.

    One that is there already stays as it is. ``say`` is told each step. Raises
    :class:`~dynastash.errors.DynastashError`.
    """
    from botocore.exceptions import ClientError

    from dynastash.aws.clients import Clients, translated
    from dynastash.config import load

    meant = meaning(table, load())
    if meant.table is None:
        raise ConfigError(
            f"{table} is the environment {meant.environment}, which is made in another way",
            hint=f"`dynastash deploy {meant.environment}`; for an old table, write -t credstash:NAME",
        )
    client = _client(access, Clients)
    with translated("dynamodb"):
        try:
            say("Creating table...")
            client.create_table(
                TableName=meant.table,
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in _KEYS],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in _KEYS],
                BillingMode="PAY_PER_REQUEST",
                Tags=[{"Key": key, "Value": value} for key, value in {"Name": "credstash", **tags}.items()],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUseException":
                raise
            _check(client.describe_table(TableName=meant.table)["Table"], meant.table)
            say(EXISTS)
            return
        say("Waiting for table to be created...")
        client.get_waiter("table_exists").wait(TableName=meant.table, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    say("Table has been created. It needs a KMS key: aws kms create-key, and create-alias for alias/credstash")


def _client(access: Access, clients: Any) -> Any:
    settings = aws_settings(access)
    session: boto3.Session | None = access.session
    return clients(settings, session=session).get("dynamodb")


def _check(described: Mapping[str, Any], table: str) -> None:
    found = {key["AttributeName"]: key["KeyType"] for key in described["KeySchema"]}
    if found != dict(_KEYS):
        raise StoreError(f"the table {table} is there and is none of credstash's", hint="choose another name with -t")
