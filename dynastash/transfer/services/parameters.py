"""SSM Parameter Store as a target: SecureStrings under a path, as ECS, CloudFormation and chamber read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from dynastash.aws.clients import Clients, translated
from dynastash.errors import ConflictError, DynastashError, InvalidArgumentError, ServiceAccessDeniedError, ServiceError
from dynastash.models import Plaintext
from dynastash.places import Held, Outgoing
from dynastash.transfer.services import marks

STANDARD: Final = 4096
ADVANCED: Final = 8192

_NAME: Final = re.compile("[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_DEEPEST: Final = 15
_LONGEST_ARN: Final = 1011
_ARN: Final = "arn:aws-us-gov:ssm:{region}:123456789012:parameter{name}"  # the longest partition
_NESTED: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_BATCH: Final = 10


class ParameterTarget:
    """Parameters under ``path``. What ``environment`` made is known by its description, which has the version too.

    ``key_id`` encrypts what is written; where it is None, a parameter keeps its key, and a new one gets the account's
    own ``aws/ssm`` key. ``advanced`` allows values above 4 KiB, up to 8 KiB, as parameters of the advanced tier; the
    others stay standard ones.
    """

    def __init__(
        self, clients: Clients, path: str, environment: str, *, key_id: str | None = None, advanced: bool = False
    ) -> None:
        if not path.startswith("/"):
            raise InvalidArgumentError(f"{path!r} is no path of parameters", hint="a path starts with /")
        self._clients = clients
        self._path = path.rstrip("/")
        self._environment = environment
        self._key_id = key_id
        self._advanced = advanced
        self._there: dict[str, Mapping[str, Any]] = {}

    @property
    def description(self) -> str:
        return f"SSM parameters under {self._path or '/'} in {self._clients.region}"

    @property
    def tier_limit(self) -> int:
        """The largest value in bytes."""
        return ADVANCED if self._advanced else STANDARD

    def refusal(self, outgoing: Outgoing) -> str | None:
        value = outgoing.value.expose()
        return self._refused_name(outgoing.key) or self._refused_size(len(value)) or _refused_text(value)

    def _refused_name(self, key: str) -> str | None:
        name = self._name(key)
        if not _NAME.fullmatch(name[1:]):
            return "a parameter's name has letters, digits and _ . - / only"
        if name[1:4].lower() in ("aws", "ssm"):
            return "a parameter's name must not start with aws or ssm"
        if name.count("/") > _DEEPEST:
            return f"a parameter's name has {_DEEPEST} levels at most"
        if len(_ARN.format(region=self._clients.region, name=name)) > _LONGEST_ARN:
            return f"a parameter's ARN has {_LONGEST_ARN} characters at most"
        return None

    def _refused_size(self, size: int) -> str | None:
        if not size:
            return "a parameter must not be empty"
        if size > ADVANCED:
            return f"it has {size} bytes, and a parameter {ADVANCED} at most"
        if size > self.tier_limit:
            return (
                f"it has {size} bytes, and a standard parameter {STANDARD} at most: --tier advanced allows {ADVANCED}"
            )
        return None

    def held(self, keys: Iterable[str]) -> Mapping[str, Held]:
        there = self._there = {str(each["Name"]): each for each in self._metadata()}
        wanted = {name: key for key in keys if (name := self._name(key)) in there}
        values = self._values(sorted(wanted))
        found: dict[str, Held] = {}
        for name, metadata in there.items():
            mark = marks.described(metadata.get("Description"))
            owned = mark is not None and mark.environment == self._environment
            key = wanted.get(name, name.removeprefix(f"{self._path}/"))
            if name not in wanted and not owned:
                continue
            value = values.get(name)
            found[key] = Held(
                key,
                owned,
                value if isinstance(value, Plaintext) else None,
                mark.name if mark is not None and owned else None,
                mark.version if mark is not None and owned else None,
                None if value is None or isinstance(value, Plaintext) else f"it cannot be read: {value}",
            )
        return found

    def write(self, outgoing: Outgoing, held: Held | None) -> None:
        name = self._name(outgoing.key)
        value = outgoing.value.expose()
        there = self._there.get(name, {})
        large = len(value) > STANDARD or there.get("Tier") == "Advanced"  # there is no way back from advanced
        given: dict[str, Any] = {
            "Name": name,
            "Value": value.decode("utf-8"),
            "Type": "SecureString",
            "Tier": "Advanced" if large else "Standard",
            "Description": marks.description(self._environment, outgoing, versioned=True),
        }
        if key_id := self._key_id or there.get("KeyId"):  # without one, Parameter Store goes back to the account's own
            given["KeyId"] = key_id
        tags = marks.tags(self._environment, outgoing.name)
        if held is None:
            try:
                self._call("put_parameter", **given, Tags=tags)
            except ServiceError as error:
                if error.code != "ParameterAlreadyExists":
                    raise
                raise ConflictError(
                    f"the parameter {name} was made by somebody else meanwhile", hint="run it again to see the plan"
                ) from error
            return
        self._call("put_parameter", **given, Overwrite=True)
        if not held.owned or held.name != outgoing.name:  # tags and Overwrite do not go together
            self._call("add_tags_to_resource", ResourceType="Parameter", ResourceId=name, Tags=tags)

    def remove(self, held: Held) -> None:
        try:
            self._call("delete_parameter", Name=self._name(held.key))
        except ServiceError as error:
            if error.code != "ParameterNotFound":
                raise

    def _name(self, key: str) -> str:
        return f"{self._path}/{key}"

    def _metadata(self) -> Iterator[Mapping[str, Any]]:
        filters = [{"Key": "Path", "Option": "Recursive", "Values": [self._path or "/"]}]
        with translated("ssm"):
            pages = self._client.get_paginator("describe_parameters").paginate(
                ParameterFilters=filters, PaginationConfig={"PageSize": 50}
            )
            for page in pages:
                yield from page["Parameters"]

    def _values(self, names: Sequence[str]) -> dict[str, Plaintext | DynastashError]:
        """Each value, or why it cannot be decrypted. Raises where not one can."""
        found: dict[str, Plaintext | DynastashError] = {}
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            try:
                found |= self._batch(batch)
            except ServiceAccessDeniedError:  # for one of them, and the call says it of all
                for name in batch:
                    try:
                        found |= self._batch([name])
                    except ServiceAccessDeniedError as error:
                        found[name] = error
        errors = [each for each in found.values() if isinstance(each, DynastashError)]
        if errors and len(errors) == len(found):
            raise errors[0]
        return found

    def _batch(self, names: Sequence[str]) -> dict[str, Plaintext | DynastashError]:
        answer = self._call("get_parameters", Names=list(names), WithDecryption=True)
        return {str(each["Name"]): Plaintext(each["Value"].encode("utf-8")) for each in answer["Parameters"]}

    def _call(self, operation: str, **given: Any) -> Mapping[str, Any]:
        with translated("ssm"):
            answer: Mapping[str, Any] = getattr(self._client, operation)(**given)
            return answer

    @cached_property
    def _client(self) -> Any:
        return self._clients.get("ssm")


def _refused_text(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return "it is binary, and a parameter holds text"
    if _NESTED.search(text):
        return "it has {{…}} in it, which Parameter Store takes for the name of another parameter"
    return None
