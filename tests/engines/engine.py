"""A running engine as tests use it: sessions with credentials of their own, tables, keys, stores, key providers."""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import Any

import boto3

from dynastash.aws.base import Transport
from dynastash.aws.boto import BotoTransport
from dynastash.keys.kms import KmsKeys
from dynastash.stores.dynamodb import DynamoDBStore
from tests.engines.transports import direct

REGION = "eu-west-1"


def create_table(client: Any, table: str) -> None:
    """Create a table of format v1's shape (docs/format-v1.md, section 4) and wait until it is there."""
    client.create_table(
        TableName=table,
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("name", "record", "namespace")
        ],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}, {"AttributeName": "record", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-namespace",
                "KeySchema": [
                    {"AttributeName": "namespace", "KeyType": "HASH"},
                    {"AttributeName": "name", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


class Engine:
    """One emulator. Tables and keys get random names, so that tests which share it never meet."""

    def __init__(self, name: str, endpoint_url: str, *, transaction_size: int = 100) -> None:
        self.name = name
        self.endpoint_url = endpoint_url
        self.transaction_size = transaction_size

    def session(self) -> boto3.Session:
        """A new session with made-up credentials and a region."""
        return boto3.Session(
            aws_access_key_id="AKIATESTTESTTESTTEST", aws_secret_access_key="not-a-secret", region_name=REGION
        )

    def client(self, service: str) -> Any:
        """One of boto3's own clients, for arranging and looking behind the scenes."""
        if service not in self._clients:
            make: Any = self._session.client
            self._clients[service] = make(service, endpoint_url=self.endpoint_url)
        return self._clients[service]

    @cached_property
    def transport(self) -> Transport:
        """The transport that all tests on this engine share: making clients is slow."""
        return BotoTransport(self._session, endpoint_url=self.endpoint_url)

    @cached_property
    def direct(self) -> Engine:
        """The same engine, reached without the SDK; whatever is arranged behind the scenes still takes that."""
        return _Direct(self.name, self.endpoint_url, transaction_size=self.transaction_size)

    @cached_property
    def _session(self) -> boto3.Session:
        return self.session()

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def create_table(self) -> str:
        """The name of a new, empty table."""
        table = f"dynastash-{secrets.token_hex(6)}"
        create_table(self.client("dynamodb"), table)
        return table

    def create_key(self) -> str:
        """The ARN of a new symmetric KMS key."""
        return str(self.client("kms").create_key()["KeyMetadata"]["Arn"])

    def store(self) -> DynamoDBStore:
        """A store on a new table."""
        return DynamoDBStore(self.transport, self.create_table(), transaction_size=self.transaction_size)

    def keys(self) -> KmsKeys:
        """A key provider on a new key."""
        return KmsKeys(self.transport, self.create_key())


class _Direct(Engine):
    """An engine at the other end of the direct transport."""

    @cached_property
    def transport(self) -> Transport:
        return direct(self.endpoint_url)
