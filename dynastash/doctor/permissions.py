"""May this principal read, list, write, rotate? Asked by calls that change and open nothing.

KMS is asked with ``DryRun``. DynamoDB has no such thing, so it is asked to read a record that cannot exist, and to
write under a condition that contradicts itself: the transaction is cancelled before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dynastash.aws.clients import translated
from dynastash.doctor import expected
from dynastash.doctor.account import Account
from dynastash.doctor.check import Outcome, failed, ok, skipped, warning
from dynastash.errors import ServiceAccessDeniedError, ServiceError
from dynastash.models import Context, namespace_of

PROBE: Final = "dynastash-doctor/probe"
"""The name that is asked about where the caller gave none."""

NEEDS: Final = ("read", "list", "write", "rotate")
_RECORD: Final = "~doctor"  # neither a head nor a version
_NEVER: Final = "attribute_exists(#name) AND attribute_not_exists(#name)"
_NOT_A_CIPHERTEXT: Final = b"dynastash doctor"

_Ask = Callable[[], str | None]
"""Makes one call; returns why nothing follows from its answer, or None. Raises what the service refuses."""


class Permissions:
    """What the caller may do with the secret ``name``, or with one that does not exist.

    ``needed`` are those of :data:`NEEDS` whose lack is a failure and not a warning.
    """

    def __init__(self, account: Account, name: str | None, needed: frozenset[str]) -> None:
        self._account = account
        self._given = name
        self._name = name or PROBE
        self._needed = needed
        self._table = account.environment.table

    def read(self) -> Outcome:
        """Query, BatchGetItem, Decrypt."""
        return self._outcome(
            "read",
            [
                ("dynamodb:Query", self._query),
                ("dynamodb:BatchGetItem", self._batch),
                ("kms:Decrypt", self._decrypt),
            ],
        )

    def listing(self) -> Outcome:
        """Query of the index."""
        return self._outcome("list", [("dynamodb:Query on the index", self._query_index)])

    def write(self) -> Outcome:
        """PutItem in a transaction, GenerateDataKey."""
        return self._outcome(
            "write", [("dynamodb:PutItem", lambda: self._transact("Put")), ("kms:GenerateDataKey", self._generate)]
        )

    def rotate(self) -> Outcome:
        """DeleteItem in a transaction: what pruning takes besides."""
        return self._outcome("rotate", [("dynamodb:DeleteItem", lambda: self._transact("Delete"))])

    def _outcome(self, what: str, asked: list[tuple[str, _Ask]]) -> Outcome:
        denied: list[str] = []
        unknown: list[str] = []
        for action, ask in asked:
            try:
                why = ask()
            except ServiceAccessDeniedError:
                denied.append(action)
            except ServiceError as error:
                unknown.append(str(error))
            else:
                unknown += [why] if why else []
        of = f" {self._given}" if self._given else ""
        if denied:
            said = f"may not {what}{of}: {' and '.join(denied)} denied"
            if self._given is None and what != "list":
                said += f" for the name {PROBE}"
                hint = "if it may use certain names only, ask about one: `dynastash doctor NAME`"
            else:
                hint = "`dynastash policy` prints what to allow" if what in self._needed else "grant it if it is needed"
            if what in self._needed and self._given is not None:
                return failed(said, hint)
            return warning(said, hint)
        if unknown:
            return skipped(f"cannot be told: {unknown[0]}", "ask about a secret that exists: `dynastash doctor NAME`")
        return ok(f"may {what}{of}")

    def _key(self) -> dict[str, Any]:
        return {"name": {"S": self._name}, "record": {"S": _RECORD}}

    def _query(self) -> str | None:
        with translated("dynamodb"):
            self._account.client("dynamodb").query(
                TableName=self._table,
                KeyConditionExpression="#name = :name AND #record = :record",
                ExpressionAttributeNames={"#name": "name", "#record": "record"},
                ExpressionAttributeValues={":name": {"S": self._name}, ":record": {"S": _RECORD}},
                Limit=1,
                ConsistentRead=True,
            )
        return None

    def _batch(self) -> str | None:
        with translated("dynamodb"):
            self._account.client("dynamodb").batch_get_item(RequestItems={self._table: {"Keys": [self._key()]}})
        return None

    def _query_index(self) -> str | None:
        with translated("dynamodb"):
            self._account.client("dynamodb").query(
                TableName=self._table,
                IndexName=expected.INDEX,
                KeyConditionExpression="#namespace = :namespace AND #name = :name",
                ExpressionAttributeNames={"#namespace": "namespace", "#name": "name"},
                ExpressionAttributeValues={
                    ":namespace": {"S": namespace_of(self._name)},
                    ":name": {"S": f"{self._name}{_RECORD}"},  # no name has a tilde
                },
                Limit=1,
            )
        return None

    def _transact(self, action: str) -> str | None:
        never = {
            "TableName": self._table,
            "ConditionExpression": _NEVER,
            "ExpressionAttributeNames": {"#name": "name"},
        }
        if action == "Put":
            never["Item"] = self._key()
        else:
            never["Key"] = self._key()
        try:
            with translated("dynamodb"):
                self._account.client("dynamodb").transact_write_items(TransactItems=[{action: never}])
        except ServiceError as error:
            if error.code == "TransactionCanceledException" and "ConditionalCheckFailed" in str(error):
                return None
            raise
        return "DynamoDB did not refuse a condition that contradicts itself"

    def _context(self) -> dict[str, str]:
        return Context(self._account.environment.name, self._name, 1).pairs()

    def _generate(self) -> str | None:
        return self._dry_run(
            "generate_data_key",
            KeyId=self._account.environment.key,
            KeySpec="AES_256",
            EncryptionContext=self._context(),
        )

    def _decrypt(self) -> str | None:
        client = self._account.client("kms")
        knows = client.meta.service_model.operation_model("Decrypt").input_shape.members
        stored = self._stored() if self._given is not None else None
        if stored is not None:
            blob, context = stored
            return self._dry_run(
                "decrypt", KeyId=self._account.environment.key, CiphertextBlob=blob, EncryptionContext=context
            )
        if "DryRunModifiers" not in knows:
            return "this boto3 is too old to ask KMS without a secret"
        return self._dry_run(
            "decrypt",
            KeyId=self._account.environment.key,
            CiphertextBlob=_NOT_A_CIPHERTEXT,
            EncryptionContext=self._context(),
            DryRunModifiers=["IGNORE_CIPHERTEXT"],
        )

    def _dry_run(self, operation: str, **request: Any) -> str | None:
        client = self._account.client("kms")
        try:
            with translated("kms"):
                getattr(client, operation)(DryRun=True, **request)
        except ServiceError as error:
            if error.code == "DryRunOperationException":
                return None
            if error.code == "InvalidCiphertextException":
                return "this endpoint's KMS looks at the ciphertext in spite of DryRun"
            if error.code == "IncorrectKeyException":
                return f"{self._name} is wrapped under another key than {self._account.environment.key}"
            raise
        return None  # an emulator that knows no DryRun; its answer is dropped

    def _stored(self) -> tuple[bytes, dict[str, str]] | None:
        """The wrapped key of the secret's newest version with its context; None where there is none to be had."""
        try:
            with translated("dynamodb"):
                reply = self._account.client("dynamodb").query(
                    TableName=self._table,
                    KeyConditionExpression="#name = :name AND begins_with(#record, :versions)",
                    ProjectionExpression="#wrapped_key, #version, #context",
                    ExpressionAttributeNames={
                        "#name": "name",
                        "#record": "record",
                        "#wrapped_key": "wrapped_key",
                        "#version": "version",
                        "#context": "context",
                    },
                    ExpressionAttributeValues={":name": {"S": self._name}, ":versions": {"S": "v#"}},
                    ScanIndexForward=False,
                    Limit=1,
                )
        except ServiceError:
            return None  # said already, or to be said, by the checks of reading
        for item in reply.get("Items", ()):
            try:
                extra = {key: value["S"] for key, value in item.get("context", {}).get("M", {}).items()}
                context = Context(self._account.environment.name, self._name, int(item["version"]["N"]), extra)
                return bytes(item["wrapped_key"]["B"]), context.pairs()
            except (KeyError, TypeError, ValueError):
                return None
        return None
