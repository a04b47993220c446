"""SSM Parameter Store and Secrets Manager as sources: every version that they still have, or the current ones alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any, Final

from dynastash import parallel
from dynastash.aws.clients import Clients, translated
from dynastash.errors import ServiceAccessDeniedError, ServiceError, ServiceUnavailableError
from dynastash.models import Plaintext, Stage
from dynastash.places import History, Revision
from dynastash.transfer.services import marks
from dynastash.transfer.services.managed import (
    CURRENT,
    current_values,
    deleted,
    entries,
    joined,
    plaintext,
)

AT_ONCE: Final = 4
"""Secrets whose versions are read side by side."""

_PENDING: Final = "AWSPENDING"
_STAGES: Final = {CURRENT: Stage.CURRENT, "AWSPREVIOUS": Stage.PREVIOUS}
_OF_CHAMBER: Final = "__chamber.service.metadata"
_BATCH: Final = 20
_SHORTEST: Final = 8


class ParameterSource:
    """The parameters under ``path``, at any depth. Not ``whole``, each has its current version alone.

    Parameter Store keeps the last 100 versions of a parameter. Labels are told in the notes. What chamber notes down
    for itself under a path is no secret and is left out.
    """

    def __init__(self, clients: Clients, path: str, *, whole: bool = True) -> None:
        self._clients = clients
        self._path = path.rstrip("/")
        self._whole = whole

    @property
    def description(self) -> str:
        return f"SSM parameters under {self._path or '/'} in {self._clients.region}"

    def read(self) -> Iterator[History]:
        found = sorted(self._parameters(), key=lambda each: str(each["Name"]).encode())
        if not self._whole:
            yield from (self._single(each) for each in found)
            return
        yield from parallel.streamed(self._history, found, limit=lambda: AT_ONCE)

    def _parameters(self) -> Iterator[Mapping[str, Any]]:
        with translated("ssm"):
            pages = self._client.get_paginator("get_parameters_by_path").paginate(
                Path=self._path or "/",
                Recursive=True,
                WithDecryption=not self._whole,  # a history brings the current value too
                PaginationConfig={"PageSize": 10},
            )
            for page in pages:
                yield from (each for each in page["Parameters"] if not str(each["Name"]).endswith(_OF_CHAMBER))

    def _single(self, parameter: Mapping[str, Any]) -> History:
        return History(self._key(parameter), (_revision(parameter, Stage.CURRENT),), notes=_kind(parameter))

    def _history(self, parameter: Mapping[str, Any]) -> History:
        name, key = str(parameter["Name"]), self._key(parameter)
        try:
            versions = self._versions(name)
        except ServiceUnavailableError:
            raise
        except ServiceError as error:
            return History(key, (), problem=f"its versions cannot be read: {error}")
        numbers = [int(each["Version"]) for each in versions]
        stages = dict(zip(reversed(numbers), (Stage.CURRENT, Stage.PREVIOUS), strict=False))
        labels = [
            f"version {each['Version']} is labelled {', '.join(each['Labels'])} there"
            for each in versions
            if each.get("Labels")
        ]
        tags, untold = self._tags(name)
        return History(
            key,
            tuple(_revision(each, stages.get(int(each["Version"]))) for each in versions),
            tags=tags,
            notes=(*_kind(parameter), *labels, *untold),
        )

    def _versions(self, name: str) -> list[Mapping[str, Any]]:
        with translated("ssm"):
            pages = self._client.get_paginator("get_parameter_history").paginate(
                Name=name, WithDecryption=True, PaginationConfig={"PageSize": 50}
            )
            found = [each for page in pages for each in page["Parameters"]]
        return sorted(found, key=lambda each: int(each["Version"]))

    def _tags(self, name: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
        try:
            with translated("ssm"):
                answer = self._client.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
        except ServiceAccessDeniedError:
            return {}, ("its tags cannot be read",)
        return marks.theirs(marks.pairs(answer.get("TagList"))), ()

    def _key(self, parameter: Mapping[str, Any]) -> str:
        return str(parameter["Name"]).removeprefix(f"{self._path}/")  # below / there are names without a slash too

    @cached_property
    def _client(self) -> Any:
        return self._clients.get("ssm")


class SecretsManagerSource:
    """The secrets whose names start with ``prefix``. Not ``whole``, each has its current version alone.

    Versions without a stage are there for as long as Secrets Manager keeps them. A version that is pending is told in
    the notes and stays behind: nobody was given it yet. What awaits its deletion is there with that as its problem.
    Labels are the first characters of the versions' ids, 8 or as many as tell them apart: a hundred whole ids are more
    than a tag holds.
    """

    def __init__(self, clients: Clients, prefix: str, *, whole: bool = True) -> None:
        self._clients = clients
        self._prefix = joined(prefix)
        self._whole = whole

    @property
    def description(self) -> str:
        what = f"secrets under {self._prefix}" if self._prefix else "secrets"
        return f"Secrets Manager's {what} in {self._clients.region}"

    def read(self) -> Iterator[History]:
        found = sorted(entries(self._client, self._prefix), key=lambda each: str(each["Name"]).encode())
        if self._whole:
            yield from parallel.streamed(self._history, found, limit=lambda: AT_ONCE)
            return
        for start in range(0, len(found), _BATCH):
            yield from self._current(found[start : start + _BATCH])

    def _current(self, some: Sequence[Mapping[str, Any]]) -> Iterator[History]:
        names = [str(entry["Name"]) for entry in some if not entry.get("DeletedDate")]
        values, problems = current_values(self._client, names) if names else ({}, {})
        for entry in some:
            name = str(entry["Name"])
            if problem := deleted(entry):
                yield self._as_history(entry, (), problem=problem)
                continue
            stages: Mapping[str, Sequence[str]] = entry.get("SecretVersionsToStages") or {}
            label = next((version for version, those in stages.items() if CURRENT in those), "")
            value = values.get(name)
            reason = None if value is not None else problems.get(name, ("", "it has no value"))[1]
            revision = Revision(
                label,
                value,
                problem=reason,
                comment=_written_by_hand(entry.get("Description")),
                stages=(Stage.CURRENT,),
            )
            yield self._as_history(entry, (revision,))

    def _history(self, entry: Mapping[str, Any]) -> History:
        if problem := deleted(entry):
            return self._as_history(entry, (), problem=problem)
        name = str(entry["Name"])
        try:
            versions = self._versions(name)
        except ServiceUnavailableError:
            raise
        except ServiceError as error:
            return self._as_history(entry, (), problem=f"its versions cannot be read: {error}")
        pending = [each for each in versions if _is_pending(each)]
        kept = sorted((each for each in versions if not _is_pending(each)), key=_age)
        if not kept or CURRENT not in kept[-1].get("VersionStages", ()):
            return self._as_history(entry, (), problem="it has no current version")
        comment = _written_by_hand(entry.get("Description"))
        labels = _labels([str(each["VersionId"]) for each in versions])
        revisions = tuple(self._revision(name, each, labels, comment if each is kept[-1] else None) for each in kept)
        notes = [f"version {labels[each['VersionId']]} is pending there and stays behind" for each in pending]
        for each in kept:
            others = sorted(stage for stage in each.get("VersionStages", ()) if stage not in _STAGES)
            if others:
                notes.append(f"version {labels[each['VersionId']]} is labelled {', '.join(others)} there")
        return self._as_history(entry, revisions, notes)

    def _versions(self, name: str) -> list[Mapping[str, Any]]:
        given: dict[str, Any] = {"SecretId": name, "IncludeDeprecated": True, "MaxResults": 100}
        found: list[Mapping[str, Any]] = []
        with translated("secretsmanager"):
            while True:
                answer = self._client.list_secret_version_ids(**given)
                found += answer.get("Versions", ())
                if not answer.get("NextToken"):
                    return found
                given["NextToken"] = answer["NextToken"]

    def _revision(
        self, name: str, version: Mapping[str, Any], labels: Mapping[str, str], comment: str | None
    ) -> Revision:
        value: Plaintext | None = None
        problem = None
        try:
            with translated("secretsmanager"):
                value = plaintext(self._client.get_secret_value(SecretId=name, VersionId=version["VersionId"]))
        except ServiceUnavailableError:
            raise
        except ServiceError as error:
            problem = str(error)
        return Revision(
            labels[str(version["VersionId"])],
            value,
            problem=problem,
            comment=comment,
            created_at=version.get("CreatedDate"),
            stages=tuple(_STAGES[stage] for stage in version.get("VersionStages", ()) if stage in _STAGES),
        )

    def _as_history(
        self,
        entry: Mapping[str, Any],
        revisions: tuple[Revision, ...],
        notes: Iterable[str] = (),
        problem: str | None = None,
    ) -> History:
        rotated = ("Secrets Manager rotates it, which stays behind",) if entry.get("RotationEnabled") else ()
        return History(
            str(entry["Name"])[len(self._prefix) :],
            revisions,
            tags=marks.theirs(marks.pairs(entry.get("Tags"))),
            problem=problem,
            notes=(*notes, *rotated),
        )

    @cached_property
    def _client(self) -> Any:
        return self._clients.get("secretsmanager")


def _revision(parameter: Mapping[str, Any], stage: Stage | None) -> Revision:
    return Revision(
        str(parameter["Version"]),
        Plaintext(str(parameter["Value"]).encode("utf-8")),
        comment=_written_by_hand(parameter.get("Description"), chamber=True),
        created_at=parameter.get("LastModifiedDate"),
        stages=() if stage is None else (stage,),
    )


def _written_by_hand(description: str | None, *, chamber: bool = False) -> str | None:
    """A description that somebody wrote: not ours, nor, on a parameter, ``chamber``'s, which is a number."""
    if not description or (chamber and description.isdecimal()) or marks.described(description) is not None:
        return None
    return description


def _kind(parameter: Mapping[str, Any]) -> tuple[str, ...]:
    kind = str(parameter.get("Type", ""))
    return () if kind == "SecureString" else (f"it is a plain {kind} there",)


def _labels(versions: Sequence[str]) -> Mapping[str, str]:
    """The beginning of each id, as long as it takes to tell all of them apart."""
    ids = set(versions)
    length = next(length for length in count(_SHORTEST) if len({each[:length] for each in ids}) == len(ids))
    return {each: each[:length] for each in versions}


def _is_pending(version: Mapping[str, Any]) -> bool:
    stages = version.get("VersionStages", ())
    return _PENDING in stages and CURRENT not in stages


def _age(version: Mapping[str, Any]) -> tuple[bool, Any, bool]:
    """From the oldest to the current one, which may be older than others where somebody put it back."""
    stages = version.get("VersionStages", ())
    return CURRENT in stages, version["CreatedDate"], "AWSPREVIOUS" in stages
