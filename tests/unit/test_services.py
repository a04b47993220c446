"""Parameter Store and Secrets Manager as places, where no emulator goes: refusals of single values, pages, marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import InvalidArgumentError, ServiceAccessDeniedError, ServiceError
from dynastash.models import Plaintext
from dynastash.places import Held, Kind, Outgoing
from dynastash.transfer.outgoing import plan
from dynastash.transfer.services import marks
from dynastash.transfer.services.costs import cost
from dynastash.transfer.services.histories import ParameterSource, SecretsManagerSource, _labels
from dynastash.transfer.services.managed import SecretsManagerTarget, joined
from dynastash.transfer.services.parameters import ParameterTarget
from tests.property.strategies import names
from tests.unit.source_kit import moved
from tests.unit.stash_kit import World
from tests.unit.target_kit import MemoryTarget

Answer = Callable[[dict[str, Any]], Any]


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no policy allows it"}}, operation)


class Scripted:
    """Clients that answer as a test says, and note what they were asked."""

    region = "eu-west-1"

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, service: str) -> Any:
        return self

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **given: [getattr(self, operation)(**given)])

    def __getattr__(self, operation: str) -> Any:
        def call(**given: Any) -> Any:
            self.asked.append((operation, given))
            return self.answers[operation](given)

        return call


def out(key: str = "a", value: bytes = b"made-up", version: int = 3) -> Outgoing:
    return Outgoing(key, f"app1/{key}", version, Plaintext(value))


def described(*parameters: str, ours: bool = False) -> Answer:
    text = "dynastash prod: version 3 of app1/a" if ours else "by hand"
    return lambda _: {"Parameters": [{"Name": name, "Description": text} for name in parameters]}


def values_but(*denied: str) -> Answer:
    def answer(given: dict[str, Any]) -> Any:
        if set(given["Names"]) & set(denied):
            raise refused("AccessDeniedException", "GetParameters")
        return {"Parameters": [{"Name": name, "Value": "made-up"} for name in given["Names"]]}

    return answer


@pytest.mark.parametrize(("chosen", "written"), [(None, "alias/copies"), ("alias/other", "alias/other")])
def test_an_update_without_a_key_moved_the_parameter_to_the_accounts_own(chosen: str | None, written: str) -> None:
    """Which every identity in the account that reads parameters may use."""
    there = {"Name": "/x/a", "Description": "dynastash prod: version 3 of app1/a", "KeyId": "alias/copies"}
    clients: Any = Scripted(
        describe_parameters=lambda _: {"Parameters": [there]},
        get_parameters=lambda _: {"Parameters": [{"Name": "/x/a", "Value": "made-up"}]},
        put_parameter=lambda _: {},
    )
    target = ParameterTarget(clients, "/x", "prod", key_id=chosen)
    target.write(out("a", b"newer", 4), target.held(["a"])["a"])
    assert clients.asked[-1][0] == "put_parameter" and clients.asked[-1][1]["KeyId"] == written


def test_a_parameter_outside_of_all_paths_lost_its_first_letter() -> None:
    found = {"Name": "token", "Value": "made-up", "Version": 1, "Type": "SecureString"}
    clients: Any = Scripted(get_parameters_by_path=lambda _: {"Parameters": [found, {**found, "Name": "/a/b"}]})
    assert [each.key for each in ParameterSource(clients, "/", whole=False).read()] == ["a/b", "token"]


def test_a_description_in_digits_was_dropped_from_a_secret_as_if_chamber_had_written_it() -> None:
    clients: Any = Scripted(
        list_secrets=lambda _: {"SecretList": [{"Name": "a", "Description": "2024"}]},
        batch_get_secret_value=lambda _: {"SecretValues": [{"Name": "a", "SecretString": "made-up"}]},
    )
    (found,) = SecretsManagerSource(clients, "", whole=False).read()
    assert found.revisions[0].comment == "2024"


def test_one_parameter_that_cannot_be_decrypted_is_a_conflict_and_the_others_are_read() -> None:
    clients: Any = Scripted(describe_parameters=described("/x/a", "/x/b", "/x/c"), get_parameters=values_but("/x/b"))
    planned = plan(ParameterTarget(clients, "/x", "prod"), [out("a"), out("b"), out("c")])
    assert [str(step.action) for step in planned.steps] == ["same", "conflict", "same"]
    assert "cannot be read: not allowed to call ssm:GetParameters" in str(planned.steps[1].reason)


def test_no_parameter_that_can_be_read_is_an_error() -> None:
    names = ("/x/a", "/x/b")
    clients: Any = Scripted(describe_parameters=described(*names), get_parameters=values_but(*names))
    with pytest.raises(ServiceAccessDeniedError, match="ssm:GetParameters"):
        plan(ParameterTarget(clients, "/x", "prod"), [out("a"), out("b")])


def test_what_is_ours_and_not_wanted_is_not_decrypted() -> None:
    clients: Any = Scripted(describe_parameters=described("/x/a", ours=True))
    (step,) = plan(ParameterTarget(clients, "/x", "prod"), []).steps
    assert (str(step.action), step.name, step.version) == ("remove", "app1/a", 3)
    assert [operation for operation, _ in clients.asked] == ["describe_parameters"]


@pytest.mark.parametrize(
    ("target", "operation", "code"),
    [
        (ParameterTarget, "delete_parameter", "ParameterNotFound"),
        (SecretsManagerTarget, "delete_secret", "ResourceNotFoundException"),
    ],
)
def test_what_is_gone_already_is_removed(target: Any, operation: str, code: str) -> None:
    def fail(with_code: str) -> Answer:
        def answer(_: dict[str, Any]) -> Any:
            raise refused(with_code, operation)

        return answer

    target(Scripted(**{operation: fail(code)}), "/x", "prod").remove(Held("a", True))
    with pytest.raises(ServiceError):
        target(Scripted(**{operation: fail("InternalFailure")}), "/x", "prod").remove(Held("a", True))


def test_the_key_of_the_copies_goes_with_each_write() -> None:
    clients: Any = Scripted(put_parameter=lambda _: {}, add_tags_to_resource=lambda _: {}, create_secret=lambda _: {})
    parameters = ParameterTarget(clients, "/x", "prod", key_id="alias/copies")
    parameters.write(out(), None)
    parameters.write(out(), Held("a", True, Plaintext(b"old"), "app1/a", 2))
    SecretsManagerTarget(clients, "x", "prod", key_id="alias/copies").write(out(), None)
    (_, made), (_, replaced), (_, created) = clients.asked
    assert made["KeyId"] == replaced["KeyId"] == created["KmsKeyId"] == "alias/copies"
    assert "Overwrite" not in made and replaced["Overwrite"] is True and "Tags" not in replaced


def entry(name: str, ours: bool = True) -> dict[str, Any]:
    tags = [{"Key": "dynastash:environment", "Value": "prod"}] if ours else []
    return {"Name": name, "Tags": tags, "SecretVersionsToStages": {"v" * 32: ["AWSCURRENT"]}}


def listed(*entries: Mapping[str, Any]) -> Answer:
    return lambda _: {"SecretList": list(entries)}


def batch(*, denied: tuple[str, ...] = (), arns: bool = False) -> Answer:
    """Values one a page, and the refusals on the first."""

    def answer(given: dict[str, Any]) -> Any:
        wanted = [name for name in given["SecretIdList"] if name not in denied]
        number = int(given.get("NextToken", 0))
        named = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:{}-AbCdEf" if arns else "{}"
        errors = [
            {"SecretId": named.format(name), "ErrorCode": "AccessDeniedException", "Message": "no policy allows it"}
            for name in given["SecretIdList"]
            if name in denied and number == 0
        ]
        page = [{"Name": name, "SecretString": "made-up"} for name in wanted[number : number + 1]]
        more = {"NextToken": str(number + 1)} if number + 1 < len(wanted) else {}
        return {"SecretValues": page, "Errors": errors, **more}

    return answer


@pytest.mark.parametrize("arns", [False, True])
def test_a_secret_that_may_not_be_read_is_a_conflict_and_the_others_are_read(arns: bool) -> None:
    clients: Any = Scripted(
        list_secrets=listed(entry("x/a"), entry("x/b", ours=False), entry("x/c")),
        batch_get_secret_value=batch(denied=("x/b",), arns=arns),
    )
    planned = plan(SecretsManagerTarget(clients, "x", "prod"), [out("a"), out("b"), out("c")])
    assert [str(step.action) for step in planned.steps] == ["same", "conflict", "same"]
    assert planned.steps[1].reason == "it cannot be read: no policy allows it"


def test_a_list_that_lags_behind_hid_what_had_just_been_made_and_showed_what_had_just_been_removed() -> None:
    """AWS's list may be five minutes late: what counts is what each secret says of itself."""
    there: dict[str, dict[str, Any]] = {}

    def describe(given: dict[str, Any]) -> Any:
        if given["SecretId"] not in there:
            raise refused("ResourceNotFoundException", "DescribeSecret")
        return there[given["SecretId"]]

    def delete(given: dict[str, Any]) -> None:
        there[given["SecretId"]]["DeletedDate"] = datetime(2026, 1, 1, tzinfo=UTC)

    late = [entry("x/old")]
    there["x/old"] = {**entry("x/old"), "VersionIdsToStages": {}}
    clients: Any = Scripted(
        list_secrets=lambda _: {"SecretList": late},
        describe_secret=describe,
        batch_get_secret_value=batch(),
        create_secret=lambda given: there.update({given["Name"]: {**entry(given["Name"]), "VersionIdsToStages": {}}}),
        delete_secret=delete,
    )
    target = SecretsManagerTarget(clients, "x", "prod")
    before = target.held(["a"])
    assert before.keys() == {"old"}
    target.write(out("a"), None)
    target.remove(before["old"])
    held = target.held(["a"])
    assert (held.keys(), held["a"].owned, held["a"].value) == ({"a"}, True, Plaintext(b"made-up"))
    again = SecretsManagerTarget(clients, "x", "prod").held(["a"])
    assert again.keys() == {"a"}
    there.pop("x/old")
    assert SecretsManagerTarget(clients, "x", "prod").held([]).keys() == set()


def test_no_secret_that_may_be_read_is_an_error() -> None:
    clients: Any = Scripted(list_secrets=listed(entry("x/a")), batch_get_secret_value=batch(denied=("x/a",)))
    with pytest.raises(ServiceAccessDeniedError, match="secretsmanager:GetSecretValue"):
        plan(SecretsManagerTarget(clients, "x", "prod"), [out("a")])


def test_a_secret_of_ours_that_has_no_value_yet_is_given_one() -> None:
    clients: Any = Scripted(
        list_secrets=listed(entry("x/a")), batch_get_secret_value=lambda _: {"SecretValues": [], "Errors": []}
    )
    (step,) = plan(SecretsManagerTarget(clients, "x", "prod"), [out("a")]).steps
    assert (str(step.action), step.reason) == ("update", "it has no value")


@pytest.mark.parametrize("days", [6, 31])
def test_a_recovery_window_that_secrets_manager_does_not_take(days: int) -> None:
    with pytest.raises(InvalidArgumentError, match="recovery window"):
        SecretsManagerTarget(Scripted(), "x", "prod", recovery_days=days)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"), [("app1", "app1/"), ("app1/", "app1/"), ("app1-", "app1-"), ("", ""), ("a.b_", "a.b_")]
)
def test_where_a_prefix_ends(given: str, expected: str) -> None:
    assert joined(given) == expected


@given(names, st.integers(1, 9_999_999_999), st.sampled_from(["prod", "a", "x" * 31]), st.booleans())
def test_marks_are_read_back(name: str, version: int, environment: str, versioned: bool) -> None:
    outgoing = Outgoing("key", name, version, Plaintext(b""))
    text = marks.description(environment, outgoing, versioned=versioned)
    assert marks.described(text) == marks.Mark(environment, name, version if versioned else None)
    assert len(text) <= 1024
    token = marks.token(environment, outgoing, "")
    assert 32 <= len(token) <= 64 and marks.version_of(token) == version
    assert all(1 <= len(tag["Value"]) <= 256 for tag in marks.tags(environment, name))


@given(st.text(max_size=80) | st.from_regex(r"dynastash [a-z]+: .*", fullmatch=True))
def test_anybody_else_s_description_is_no_mark_or_is_spelled_like_one(text: str) -> None:
    mark = marks.described(text)
    if mark is not None:
        outgoing = Outgoing("key", mark.name, mark.version or 0, Plaintext(b""))
        again = marks.description(mark.environment, outgoing, versioned=mark.version is not None)
        assert marks.described(again) == mark
    assert marks.version_of(text) is None


def test_each_change_has_a_token_of_its_own_in_which_nothing_of_the_value_is() -> None:
    same = marks.token("prod", out(), "before")
    assert marks.token("prod", out(value=b"other"), "before") == same
    others = [
        marks.token("dev", out(), "before"),
        marks.token("prod", out("b"), "before"),
        marks.token("prod", out(version=4), "before"),
        marks.token("prod", out(), "after"),
    ]
    assert len({same, *others}) == 5


def test_what_copies_cost() -> None:
    target = MemoryTarget(largest=10_000)
    planned = plan(target, [out("a"), out("b", b"x" * 4096), out("c", b"x" * 4097), out("d", b"x" * 10_001)])
    managed, parameters = cost(Kind.SECRETS_MANAGER, planned), cost(Kind.SSM, planned)
    assert (managed.copies, managed.a_month, managed.reads) == (3, Decimal("1.20"), Decimal("0.05"))
    assert (parameters.copies, parameters.a_month, parameters.reads) == (3, Decimal("0.05"), Decimal("0.08"))
    assert managed.told.startswith("keeping 3 costs $1.20 a month, 10,000 reads $0.05")
    small = cost(Kind.SSM, plan(target, [out("a")]))
    assert small.told.startswith("keeping them is free, 10,000 reads $0.03")
    assert small.data == {
        "copies": 1,
        "usd_a_month": "0.00",
        "usd_for_10000_reads": "0.03",
        "prices": "us-east-1, 2026",
    }


def rotated(versions: int) -> Scripted:
    """A secret with as many versions, the last one current."""
    ids = [f"{number:08d}-aaaa-bbbb-cccc-{number:012d}" for number in range(versions)]
    listed_versions = [
        {
            "VersionId": each,
            "VersionStages": ["AWSCURRENT"] if each == ids[-1] else [],
            "CreatedDate": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number),
        }
        for number, each in enumerate(ids)
    ]

    def page(given: dict[str, Any]) -> Any:
        start = int(given.get("NextToken", 0))
        more = {"NextToken": str(start + 60)} if start + 60 < versions else {}
        return {"Versions": listed_versions[start : start + 60], **more}

    return Scripted(
        list_secrets=listed(entry("x/a")),
        list_secret_version_ids=page,
        get_secret_value=lambda given: {"SecretString": f"made-up {given['VersionId']}"},
    )


def test_a_hundred_versions_of_a_secret_can_be_brought_in(tmp_path: Path) -> None:
    """As daily rotation leaves them: the tag that tells which ones they were holds their names."""
    clients: Any = rotated(100)
    (done,) = moved(SecretsManagerSource(clients, "x").read(), World(tmp_path).stash)
    assert done.error is None and len(done.written) == 100 and done.compared == 100


def test_labels_are_as_long_as_it_takes_to_tell_versions_apart() -> None:
    assert dict(_labels(["abcdefgh-1", "abcdefgh-2"])) == {"abcdefgh-1": "abcdefgh-1", "abcdefgh-2": "abcdefgh-2"}
    assert dict(_labels(["0123456789", "abcdefghij"])) == {"0123456789": "01234567", "abcdefghij": "abcdefgh"}
    assert dict(_labels(["short"])) == {"short": "short"} and dict(_labels([])) == {}
    assert dict(_labels(["twice", "twice"])) == {"twice": "twice"}
