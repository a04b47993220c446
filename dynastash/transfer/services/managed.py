"""AWS Secrets Manager as a target: one secret a key, its versions in the stages AWSCURRENT and AWSPREVIOUS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from dynastash.aws.clients import DENIED, Clients, translated
from dynastash.errors import ConflictError, InvalidArgumentError, ServiceAccessDeniedError, ServiceError
from dynastash.models import Plaintext
from dynastash.places import Held, Outgoing
from dynastash.transfer.services import marks

LARGEST: Final = 65_536
CURRENT: Final = "AWSCURRENT"

_NAME: Final = re.compile("[A-Za-z0-9/_+=.@-]{1,512}")
_BATCH: Final = 20


def joined(prefix: str) -> str:
    """``prefix`` as names begin with it: a / follows a letter or a digit, and any other character stands as it is."""
    return f"{prefix}/" if prefix[-1:].isalnum() else prefix


class SecretsManagerTarget:
    """Secrets whose names start with ``prefix``. What ``environment`` made is known by a tag.

    ``key_id`` encrypts what is created, the account's own ``aws/secretsmanager`` key where it is None. What is removed
    can be restored for ``recovery_days``, 7 to 30.
    """

    def __init__(
        self, clients: Clients, prefix: str, environment: str, *, key_id: str | None = None, recovery_days: int = 30
    ) -> None:
        if not 7 <= recovery_days <= 30:
            raise InvalidArgumentError("the recovery window is out of range", hint="Secrets Manager takes 7 to 30 days")
        self._clients = clients
        self._prefix = joined(prefix)
        self._environment = environment
        self._key_id = key_id
        self._recovery_days = recovery_days
        self._there: dict[str, Mapping[str, Any]] = {}
        self._changed: set[str] = set()

    @property
    def description(self) -> str:
        what = f"secrets under {self._prefix}" if self._prefix else "secrets"
        return f"Secrets Manager's {what} in {self._clients.region}"

    def refusal(self, outgoing: Outgoing) -> str | None:
        size = len(outgoing.value.expose())
        if not _NAME.fullmatch(self._prefix + outgoing.key):
            return "a secret's name there has 512 letters, digits and / _ + = . @ - at most"
        if not size:
            return "a secret there must not be empty"
        if size > LARGEST:
            return f"it has {size} bytes, and a secret there {LARGEST} at most"
        return None

    def held(self, keys: Iterable[str]) -> Mapping[str, Held]:
        asked = {self._prefix + key: key for key in keys}
        self._there = self._found(asked)
        wanted = {name: key for name, key in asked.items() if name in self._there}
        values = self._values([name for name in sorted(wanted) if not self._there[name].get("DeletedDate")])
        found: dict[str, Held] = {}
        for name, entry in self._there.items():
            tags = marks.pairs(entry.get("Tags"))
            owned = tags.get(marks.ENVIRONMENT) == self._environment
            key = wanted.get(name, name[len(self._prefix) :])
            if name not in wanted and (not owned or entry.get("DeletedDate")):
                continue
            mark = marks.described(entry.get("Description"))
            value = values.get(name)
            found[key] = Held(
                key,
                owned,
                value if isinstance(value, Plaintext) else None,
                tags.get(marks.NAME) or (None if mark is None else mark.name) if owned else None,
                marks.version_of(self._current(name)) if owned else None,
                deleted(entry) or (value if isinstance(value, str) else None),
            )
        return found

    def write(self, outgoing: Outgoing, held: Held | None) -> None:
        name = self._prefix + outgoing.key
        self._changed.add(name)
        given = {
            **_value(outgoing.value.expose()),
            "ClientRequestToken": marks.token(self._environment, outgoing, self._current(name)),
        }
        tags = marks.tags(self._environment, outgoing.name)
        if held is None:
            if self._key_id is not None:
                given["KmsKeyId"] = self._key_id
            about = marks.description(self._environment, outgoing, versioned=False)
            try:
                self._call("create_secret", Name=name, Description=about, Tags=tags, **given)
            except ServiceError as error:
                if error.code != "ResourceExistsException":
                    raise
                raise ConflictError(
                    f"the secret {name} was made by somebody else meanwhile", hint="run it again to see the plan"
                ) from error
            return
        if self._there.get(name, {}).get("DeletedDate"):
            self._call("restore_secret", SecretId=name)
        self._call("put_secret_value", SecretId=name, **given)
        if not held.owned or held.name != outgoing.name:
            self._call("tag_resource", SecretId=name, Tags=tags)

    def remove(self, held: Held) -> None:
        name = self._prefix + held.key
        self._changed.add(name)
        try:
            self._call("delete_secret", SecretId=name, RecoveryWindowInDays=self._recovery_days)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise

    def _found(self, asked: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """What is there under the prefix, by name.

        The list may lack changes of the last five minutes, as AWS says of it: what is missing from it, what was changed
        from here, and what is about to be taken away because nobody asks for it, is looked at by itself.
        """
        found = {str(each["Name"]): each for each in entries(self._client, self._prefix)}
        asked = set(asked)
        unwanted = {
            name
            for name, entry in found.items()
            if name not in asked
            and not entry.get("DeletedDate")
            and marks.pairs(entry.get("Tags")).get(marks.ENVIRONMENT) == self._environment
        }
        for name in sorted((asked - found.keys()) | unwanted | self._changed):
            if (entry := described(self._client, name)) is None:
                found.pop(name, None)
            else:
                found[name] = entry
        return found

    def _current(self, name: str) -> str:
        """The id of the version that is current, empty where none is."""
        stages = self._there.get(name, {}).get("SecretVersionsToStages") or {}
        return next((str(version) for version, those in stages.items() if CURRENT in those), "")

    def _values(self, names: Sequence[str]) -> dict[str, Plaintext | str]:
        """Each current value, or why it cannot be had. Raises where it is denied for every one of them."""
        found: dict[str, Plaintext | str] = {}
        denied: dict[str, str] = {}
        for start in range(0, len(names), _BATCH):
            values, problems = current_values(self._client, names[start : start + _BATCH])
            found |= values
            for name, (code, said) in problems.items():
                found[name] = said
                if code in DENIED:
                    denied[name] = said
        if denied and len(denied) == len(names):
            action = "secretsmanager:GetSecretValue"
            raise ServiceAccessDeniedError(
                f"not allowed to call {action}: {next(iter(denied.values()))}",
                hint=f"an identity with {action} may",
                action=action,
            )
        return found

    def _call(self, operation: str, **given: Any) -> None:
        with translated("secretsmanager"):
            getattr(self._client, operation)(**given)

    @cached_property
    def _client(self) -> Any:
        return self._clients.get("secretsmanager")


def entries(client: Any, prefix: str) -> Iterator[Mapping[str, Any]]:
    """What Secrets Manager lists under ``prefix``, those that await their deletion among it."""
    given: dict[str, Any] = {"IncludePlannedDeletion": True, "PaginationConfig": {"PageSize": 100}}
    if prefix:
        given["Filters"] = [{"Key": "name", "Values": [prefix]}]
    with translated("secretsmanager"):
        for page in client.get_paginator("list_secrets").paginate(**given):
            # The filter knows no case everywhere, and finds more than beginnings somewhere.
            yield from (entry for entry in page["SecretList"] if entry["Name"].startswith(prefix))


def described(client: Any, name: str) -> Mapping[str, Any] | None:
    """The secret as the list would have it once it is up to date; None where there is none."""
    try:
        with translated("secretsmanager"):
            answer: Mapping[str, Any] = client.describe_secret(SecretId=name)
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
    return {**answer, "SecretVersionsToStages": answer.get("VersionIdsToStages")}


def current_values(client: Any, names: Sequence[str]) -> tuple[dict[str, Plaintext], Mapping[str, tuple[str, str]]]:
    """The current values of at most 20 secrets by name, and of those that have none to give the code and the reason."""
    values: dict[str, Plaintext] = {}
    problems: dict[str, tuple[str, str]] = {}
    given: dict[str, Any] = {"SecretIdList": list(names)}
    with translated("secretsmanager"):
        while True:
            answer = client.batch_get_secret_value(**given)
            for each in answer.get("SecretValues", ()):
                values[str(each["Name"])] = plaintext(each)
            for each in answer.get("Errors", ()):
                name = _named(str(each["SecretId"]), names)
                problems[name] = str(each.get("ErrorCode", "")), f"it cannot be read: {each.get('Message', '')}"
            if not answer.get("NextToken"):
                break
            given["NextToken"] = answer["NextToken"]
    missing = (name for name in names if name not in values and name not in problems)
    return values, {**problems, **dict.fromkeys(missing, ("", "it has no value"))}


def _named(identifier: str, names: Sequence[str]) -> str:
    """The name that was asked for: errors may tell it by its ARN, which ends in a hyphen and six characters."""
    if identifier in names:
        return identifier
    name = identifier.partition(":secret:")[2]
    return name[:-7] if name[:-7] in names else name


def plaintext(answer: Mapping[str, Any]) -> Plaintext:
    """The value in an answer, text or binary."""
    text = answer.get("SecretString")
    return Plaintext(answer["SecretBinary"] if text is None else text.encode("utf-8"))


def deleted(entry: Mapping[str, Any]) -> str | None:
    """That a listed secret awaits its deletion; None for all others."""
    return "it awaits its deletion there" if entry.get("DeletedDate") else None


def _value(value: bytes) -> dict[str, Any]:
    try:
        return {"SecretString": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"SecretBinary": value}
