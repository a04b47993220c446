"""Parameter Store and Secrets Manager as sources on ministack and moto: versions, stages, and what cannot be read."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.clients import Clients
from dynastash.errors import ServiceAccessDeniedError
from dynastash.models import Plaintext, Stage
from dynastash.places import History, Outgoing
from dynastash.transfer.outgoing import apply, plan
from dynastash.transfer.services.histories import ParameterSource, SecretsManagerSource
from dynastash.transfer.services.managed import SecretsManagerTarget
from dynastash.transfer.services.parameters import ParameterTarget
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine


@pytest.fixture(params=["ministack", "moto"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def clients(engine: Engine) -> Clients:
    return Clients(AwsSettings(region=REGION, endpoint_url=engine.endpoint_url), session=engine.session())


@pytest.fixture
def path() -> str:
    return f"/s{secrets.token_hex(5)}"


@pytest.fixture
def prefix() -> str:
    return f"s{secrets.token_hex(5)}"


def by_key(histories: Any) -> dict[str, History]:
    return {history.key: history for history in histories}


def values(history: History) -> list[bytes | None]:
    return [None if each.value is None else each.value.expose() for each in history.revisions]


def refuse(monkeypatch: pytest.MonkeyPatch, operation: str, code: str = "AccessDeniedException", **of: str) -> None:
    """Let calls of ``operation`` fail, those alone whose arguments say ``of``."""
    import botocore.client
    from botocore.exceptions import ClientError

    real = botocore.client.BaseClient._make_api_call

    def call(self: Any, called: str, given: Any) -> Any:
        if called == operation and all(given.get(key) == text for key, text in of.items()):
            raise ClientError({"Error": {"Code": code, "Message": "no policy allows it"}}, called)
        return real(self, called, given)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)


def put(engine: Engine, name: str, *texts: str, kind: str = "SecureString", **more: Any) -> None:
    for text in texts:
        engine.client("ssm").put_parameter(Name=name, Value=text, Type=kind, Overwrite=True, **more)


def test_every_version_of_a_parameter_with_its_time_comment_and_labels(
    engine: Engine, clients: Clients, path: str
) -> None:
    ssm = engine.client("ssm")
    put(engine, f"{path}/db/password", "made-up-1", "made-up-2", Description="by hand")
    put(engine, f"{path}/db/password", "made-up-3", Description="3")
    ssm.label_parameter_version(Name=f"{path}/db/password", ParameterVersion=2, Labels=["good"])
    tags = [{"Key": "team", "Value": "one"}, {"Key": "dynastash:name", "Value": "x"}]
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=f"{path}/db/password", Tags=tags)
    put(engine, f"{path}/plain", "made-up", kind="String")
    found = list(ParameterSource(clients, f"{path}/").read())
    assert [history.key for history in found] == ["db/password", "plain"]
    password, plain = found
    assert values(password) == [b"made-up-1", b"made-up-2", b"made-up-3"]
    assert [each.label for each in password.revisions] == ["1", "2", "3"]
    assert [each.stages for each in password.revisions] == [(), (Stage.PREVIOUS,), (Stage.CURRENT,)]
    assert [each.comment for each in password.revisions] == ["by hand", "by hand", None]  # 3 is chamber's own
    assert all(each.created_at is not None and each.created_at.tzinfo is not None for each in password.revisions)
    assert password.notes == ("version 2 is labelled good there",) and password.tags == {"team": "one"}
    assert plain.notes == ("it is a plain String there",)
    assert "made-up" not in repr(found)


def test_the_current_values_of_parameters_alone(engine: Engine, clients: Clients, path: str) -> None:
    for number in range(12):  # more than a page
        put(engine, f"{path}/p{number:02d}", "old", f"made-up-{number}")
    put(engine, f"{path}x/other", "made-up")
    found = list(ParameterSource(clients, path, whole=False).read())
    assert [values(history) for history in found] == [[f"made-up-{number}".encode()] for number in range(12)]
    assert all(history.revisions[0].label == "2" for history in found)


def test_what_chamber_notes_down_for_itself_is_left_out(engine: Engine, clients: Clients, path: str) -> None:
    put(engine, f"{path}/__chamber.service.metadata", "{}", kind="String")
    put(engine, f"{path}/key", "made-up")
    assert [history.key for history in ParameterSource(clients, path).read()] == ["key"]


def test_a_parameter_that_cannot_be_decrypted_is_listed_and_the_others_are_read(
    engine: Engine, clients: Clients, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "abc":
        put(engine, f"{path}/{key}", "made-up")
    refuse(monkeypatch, "GetParameterHistory", Name=f"{path}/b")
    refuse(monkeypatch, "ListTagsForResource")
    found = by_key(ParameterSource(clients, path).read())
    assert values(found["a"]) == values(found["c"]) == [b"made-up"] and found["a"].notes == ("its tags cannot be read",)
    assert "not allowed to call ssm:GetParameterHistory" in str(found["b"].problem) and not found["b"].revisions


def test_a_path_that_may_not_be_read_is_an_error(clients: Clients, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "GetParametersByPath")
    with pytest.raises(ServiceAccessDeniedError, match="ssm:GetParametersByPath"):
        list(ParameterSource(clients, path).read())


def test_every_version_and_stage_of_a_secret(engine: Engine, clients: Clients, prefix: str) -> None:
    client = engine.client("secretsmanager")
    name = f"{prefix}/db"
    tags = [{"Key": "team", "Value": "one"}, {"Key": "aws:x", "Value": "y"}][:1]
    client.create_secret(Name=name, SecretString="made-up-1", Description="by hand", Tags=tags)
    client.put_secret_value(SecretId=name, SecretString="made-up-2")
    client.put_secret_value(SecretId=name, SecretBinary=b"\x00\xff-3")
    client.put_secret_value(SecretId=name, SecretString="not given out", VersionStages=["AWSPENDING"])
    (history,) = SecretsManagerSource(clients, prefix).read()
    assert history.key == "db" and history.tags == {"team": "one"}
    assert values(history)[-2:] == [b"made-up-2", b"\x00\xff-3"]
    assert [each.stages for each in history.revisions][-2:] == [(Stage.PREVIOUS,), (Stage.CURRENT,)]
    assert [each.comment for each in history.revisions][-1] == "by hand"
    ids = {
        each["VersionId"] for each in client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    }
    assert {each.label for each in history.revisions} < {each[:8] for each in ids}
    assert any("is pending there and stays behind" in note for note in history.notes)
    assert b"not given out" not in values(history)


def test_a_version_that_was_put_back_is_the_last_one(engine: Engine, clients: Clients, prefix: str) -> None:
    client = engine.client("secretsmanager")
    name = f"{prefix}/db"
    first = client.create_secret(Name=name, SecretString="made-up-1")["VersionId"]
    second = client.put_secret_value(SecretId=name, SecretString="made-up-2")["VersionId"]
    client.update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=first, RemoveFromVersionId=second
    )
    (history,) = SecretsManagerSource(clients, prefix).read()
    assert values(history) == [b"made-up-2", b"made-up-1"]
    assert [each.stages for each in history.revisions] == [(Stage.PREVIOUS,), (Stage.CURRENT,)]


def test_the_current_values_of_secrets_alone(engine: Engine, clients: Clients, prefix: str) -> None:
    client = engine.client("secretsmanager")
    for number in range(22):  # more than a batch
        client.create_secret(Name=f"{prefix}/s{number:02d}", SecretString=f"made-up-{number}")
    client.create_secret(Name=f"{prefix}x/other", SecretString="made-up")
    client.delete_secret(SecretId=f"{prefix}/s03")
    found = list(SecretsManagerSource(clients, prefix, whole=False).read())
    assert [history.key for history in found] == [f"s{number:02d}" for number in range(22)]
    assert "awaits its deletion" in str(found[3].problem) and not found[3].revisions
    assert all(values(each) == [f"made-up-{n}".encode()] for n, each in enumerate(found) if n != 3)
    assert all(each.revisions[0].label for n, each in enumerate(found) if n != 3)


def test_a_secret_without_a_value_and_one_that_awaits_its_deletion_are_listed(
    engine: Engine, clients: Clients, prefix: str
) -> None:
    client = engine.client("secretsmanager")
    client.create_secret(Name=f"{prefix}/gone", SecretString="made-up")
    client.delete_secret(SecretId=f"{prefix}/gone")
    client.create_secret(Name=f"{prefix}/good", SecretString="made-up")
    found = by_key(SecretsManagerSource(clients, prefix).read())
    assert "awaits its deletion there" in str(found["gone"].problem) and found["good"].problem is None


def test_a_version_that_may_not_be_read_is_listed_with_the_others(
    engine: Engine, clients: Clients, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = engine.client("secretsmanager")
    name = f"{prefix}/db"
    first = client.create_secret(Name=name, SecretString="made-up-1")["VersionId"]
    client.put_secret_value(SecretId=name, SecretString="made-up-2")
    refuse(monkeypatch, "GetSecretValue", VersionId=first)
    (history,) = SecretsManagerSource(clients, prefix).read()
    assert values(history) == [None, b"made-up-2"] and "no policy allows it" in str(history.revisions[0].problem)


@pytest.mark.parametrize(("given", "key"), [("dash-", "db"), ("dash", "x"), ("", "dash-db")])
def test_a_prefix_ends_at_a_slash_unless_it_ends_in_a_sign(
    engine: Engine, clients: Clients, prefix: str, given: str, key: str
) -> None:
    client = engine.client("secretsmanager")
    client.create_secret(Name=f"{prefix}dash-db", SecretString="made-up")
    client.create_secret(Name=f"{prefix}dash/x", SecretString="made-up")
    found = [history.key for history in SecretsManagerSource(clients, f"{prefix}{given}", whole=False).read()]
    assert found == [key] if given else {f"{prefix}dash-db", f"{prefix}dash/x"} - set(found)


def test_what_sync_made_comes_back_without_our_own_marks(clients: Clients, path: str, prefix: str) -> None:
    targets = ParameterTarget(clients, path, "prod"), SecretsManagerTarget(clients, prefix, "prod")
    for target in targets:
        for number in (1, 2):
            wanted = [Outgoing("a", "app1/a", number, Plaintext(f"made-up-{number}".encode()))]
            assert all(done.error is None for done in apply(target, plan(target, wanted)))
    for source in (ParameterSource(clients, path), SecretsManagerSource(clients, prefix)):
        (history,) = source.read()
        assert values(history) == [b"made-up-1", b"made-up-2"] and not history.tags
        assert {each.comment for each in history.revisions} == {None}
