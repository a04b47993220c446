"""`sync` into Parameter Store and Secrets Manager on ministack and moto, read back as ECS and others would."""

from __future__ import annotations

import json
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.clients import Clients
from dynastash.cli import exits
from dynastash.errors import ServiceUnavailableError
from dynastash.models import Plaintext
from dynastash.places import Outgoing
from dynastash.transfer.outgoing import apply, plan, verify
from dynastash.transfer.services.managed import SecretsManagerTarget
from dynastash.transfer.services.parameters import ParameterTarget
from tests.cli.runner import Cli, Done, beside
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine

UNICODE = "Grüße, 世界 🔑\nzweite Zeile\n"


@pytest.fixture(params=["ministack", "moto"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def cli(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The environment local on this machine; what it hands over goes to the engine."""
    return beside(engine, tmp_path, monkeypatch)


class Service:
    """One service as its readers see it, under a prefix of the test's own."""

    def __init__(self, engine: Engine, kind: str) -> None:
        self.engine = engine
        self.kind = kind
        self.client = engine.client(kind)
        self.prefix = f"/t{secrets.token_hex(5)}" if kind == "ssm" else f"t{secrets.token_hex(5)}"
        self.place = f"{kind}:{self.prefix}"

    def name(self, key: str) -> str:
        return f"{self.prefix}/{key}"

    def get(self, key: str) -> str | bytes:
        """As ECS gets it for a container: GetParameters or GetSecretValue."""
        if self.kind == "ssm":
            (found,) = self.client.get_parameters(Names=[self.name(key)], WithDecryption=True)["Parameters"]
            assert found["Type"] == "SecureString"
            return str(found["Value"])
        found = self.client.get_secret_value(SecretId=self.name(key))
        value: str | bytes = found["SecretString"] if "SecretString" in found else found["SecretBinary"]
        return value

    def keys(self) -> list[str]:
        """What readers can still read."""
        if self.kind == "ssm":
            pages = self.client.get_paginator("get_parameters_by_path").paginate(Path=self.prefix, Recursive=True)
            names = [each["Name"] for page in pages for each in page["Parameters"]]
        else:
            names = [
                each["Name"]
                for page in self.client.get_paginator("list_secrets").paginate()
                for each in page["SecretList"]
            ]
        return sorted(name[len(self.prefix) + 1 :] for name in names if name.startswith(self.prefix + "/"))

    def make(self, key: str, value: str) -> None:
        """Somebody else makes it."""
        if self.kind == "ssm":
            self.client.put_parameter(Name=self.name(key), Value=value, Type="SecureString", Overwrite=True)
        else:
            self.client.create_secret(Name=self.name(key), SecretString=value)

    def versions(self, key: str) -> int:
        if self.kind == "ssm":
            return len(self.client.get_parameter_history(Name=self.name(key))["Parameters"])
        return len(self.client.list_secret_version_ids(SecretId=self.name(key), IncludeDeprecated=True)["Versions"])

    def tags(self, key: str) -> dict[str, str]:
        if self.kind == "ssm":
            found = self.client.list_tags_for_resource(ResourceType="Parameter", ResourceId=self.name(key))["TagList"]
        else:
            found = self.client.describe_secret(SecretId=self.name(key))["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    @cached_property
    def clients(self) -> Clients:
        settings = AwsSettings(region=REGION, endpoint_url=self.engine.endpoint_url)
        return Clients(settings, session=self.engine.session())

    def target(self, environment: str = "prod", **options: Any) -> ParameterTarget | SecretsManagerTarget:
        if self.kind == "ssm":
            return ParameterTarget(self.clients, self.prefix, environment, **options)
        return SecretsManagerTarget(self.clients, self.prefix, environment, **options)


@pytest.fixture(params=["ssm", "secretsmanager"])
def service(engine: Engine, request: pytest.FixtureRequest) -> Service:
    return Service(engine, request.param)


@pytest.fixture
def ssm(engine: Engine) -> Service:
    return Service(engine, "ssm")


@pytest.fixture
def managed(engine: Engine) -> Service:
    return Service(engine, "secretsmanager")


def sync(cli: Cli, service: Service, *more: str) -> Done:
    return cli("sync", "--to", service.place, "--prefix", "app1/", "--yes", *more)


def steps(done: Done) -> dict[str, str]:
    return {step["key"]: step["action"] for step in json.loads(done.text)["steps"]}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations called from now on, in order."""
    import botocore.client

    calls: list[str] = []
    real = botocore.client.BaseClient._make_api_call

    def call(self: Any, operation: str, given: Any) -> Any:
        calls.append(operation)
        return real(self, operation, given)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
    return calls


def out(key: str, value: bytes, version: int = 1, name: str = "") -> Outgoing:
    return Outgoing(key, name or f"app1/{key}", version, Plaintext(value))


def test_from_the_first_sync_to_the_last(cli: Cli, service: Service) -> None:
    """Made, the same, changed, removed; what others made stays; no value in any output."""
    cli.ok("put", "app1/db/password", given=b"made-up-one")
    cli.ok("put", "app1/token", given=UNICODE.encode())
    cli.ok("put", "app2/token", given=b"made-up-other")
    service.make("theirs", "made-up-theirs")
    done = sync(cli, service, "--dry-run")
    assert done.code == 0 and "2 to create" in done.err and service.keys() == ["theirs"]
    done = sync(cli, service)
    assert done.code == 0 and "created 2; compared" in done.err and "made-up" not in done.err + done.text
    assert service.get("db/password") == "made-up-one" and service.get("token") == UNICODE
    assert service.tags("token") == {"dynastash:environment": "local", "dynastash:name": "app1/token"}

    again = sync(cli, service, "-o", "json")
    assert again.code == 0 and set(steps(again).values()) == {"same"} and service.versions("token") == 1

    cli.ok("put", "app1/token", given=b"made-up-two")
    done = sync(cli, service)
    assert done.code == 0 and "updated 1; compared" in done.err
    assert service.get("token") == "made-up-two" and service.versions("token") == 2

    cli.ok("delete", "app1/token")
    done = sync(cli, service)
    assert done.code == 0 and "removed 1; compared" in done.err
    assert service.keys() == ["db/password", "theirs"] and service.get("theirs") == "made-up-theirs"

    cli.ok("undelete", "app1/token")
    assert sync(cli, service).code == 0 and service.get("token") == "made-up-two"


def test_a_run_that_changes_nothing_reads_and_calls_nothing_else(
    cli: Cli, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        cli.ok("put", f"app1/s{number:02d}", given=b"made-up")
    assert sync(cli, service).code == 0
    calls = counted(monkeypatch)
    assert sync(cli, service).code == 0
    if service.kind == "ssm":
        assert calls.count("GetParameters") == 2 and set(calls) == {"DescribeParameters", "GetParameters"}
    else:
        assert calls.count("BatchGetSecretValue") == 1 and set(calls) == {"ListSecrets", "BatchGetSecretValue"}
    calls.clear()
    cli.ok("put", "app1/s05", given=b"made-up-two")
    assert sync(cli, service).code == 0
    writes = [call for call in calls if not call.startswith(("List", "Describe", "Get", "Batch"))]
    assert writes == ["PutParameter" if service.kind == "ssm" else "PutSecretValue"]


def test_what_somebody_else_made_is_a_conflict_unless_it_is_equal_or_taken_over(cli: Cli, service: Service) -> None:
    for name in ("alike", "mine", "theirs"):
        cli.ok("put", f"app1/{name}", given=b"made-up")
    service.make("theirs", "other")
    service.make("alike", "made-up")
    done = sync(cli, service, "-o", "json")
    assert done.code == exits.PARTIAL and "theirs: conflict: somebody else made it" in done.err
    assert steps(done) == {"alike": "same", "mine": "create", "theirs": "conflict"}
    assert service.get("theirs") == "other" and service.get("mine") == "made-up"
    done = sync(cli, service, "--take-over")
    assert done.code == 0 and service.get("theirs") == "made-up"
    assert service.tags("theirs")["dynastash:name"] == "app1/theirs"
    assert set(steps(sync(cli, service, "-o", "json")).values()) == {"same"}


def test_another_environment_s_copies_are_somebody_else_s(service: Service) -> None:
    prod, staging = service.target("prod"), service.target("staging")
    list(apply(prod, plan(prod, [out("a", b"made-up")])))
    planned = plan(staging, [out("b", b"made-up")])
    assert [(step.key, str(step.action)) for step in planned.steps] == [("b", "create")]
    list(apply(staging, planned))
    assert [step.key for step in plan(prod, []).steps] == ["a"]
    assert str(plan(staging, [out("a", b"x")]).steps[0].action) == "conflict"


def test_nobody_is_asked_where_nothing_is_taken_away_and_somebody_is_elsewhere(cli: Cli, service: Service) -> None:
    cli.ok("put", "app1/a", given=b"made-up")
    arguments = ("sync", "--to", service.place, "--prefix", "app1/")
    assert cli(*arguments).code == 0
    cli.ok("put", "app1/a", given=b"made-up-two")
    done = cli(*arguments)
    assert done.code == exits.USAGE and "give --yes" in done.err and service.get("a") == "made-up"


def test_an_export_makes_the_same_copies_once_and_removes_nothing(cli: Cli, service: Service) -> None:
    cli.ok("put", "app1/db/password", given=b"made-up")
    cli.ok("put", "app1/token", given=b"made-up")
    export = ("export", "--to", service.place)
    assert "2 to create" in cli.ok(*export, "--prefix", "app1/", "--dry-run").err and service.keys() == []
    cli.ok(*export, "--prefix", "app1/")
    assert service.keys() == ["db/password", "token"] and service.get("db/password") == "made-up"
    done = cli.ok(*export, "--secret", "other=app1/token")
    assert "1 to create" in done.err and service.keys() == ["db/password", "other", "token"]
    assert set(steps(sync(cli, service, "-o", "json")).values()) == {"same", "remove"}
    for arguments in ((*export,), ("export", "--sealed", "x", "--tier", "advanced"), ("export", "--to", "file")):
        assert cli(*arguments).code == exits.USAGE


def test_an_empty_prefix_is_no_order_to_remove_everything(cli: Cli, service: Service) -> None:
    cli.ok("put", "app1/a", given=b"made-up")
    assert sync(cli, service).code == 0
    cli.ok("delete", "app1/a")
    done = sync(cli, service)
    assert done.code == exits.NOT_FOUND and "--even-if-empty removes" in done.err and service.keys() == ["a"]
    assert sync(cli, service, "--even-if-empty").code == 0 and service.keys() == []


def test_single_secrets_fields_and_versions(cli: Cli, service: Service) -> None:
    cli.ok("put", "app1/login", given=b'{"user": "u", "password": "made-up"}')
    cli.ok("put", "app1/login", given=b'{"user": "v", "password": "made-up"}')
    done = cli("sync", "--to", service.place, "--secret", "user=app1/login#user", "--secret", "first=app1/login@1")
    assert done.code == 0 and service.get("user") == "v" and '"u"' in str(service.get("first"))
    done = cli("sync", "--to", service.place, "--secret", "user=app1/login@1#user", "--yes")
    assert done.code == 0 and service.get("user") == "u" and service.keys() == ["user"]


def test_the_layout_of_chamber(cli: Cli, ssm: Service) -> None:
    """chamber reads /service/key: one level, in lower case."""
    cli.ok("put", "app1/DB/Password", given=b"made-up")
    assert sync(cli, ssm, "--layout", "chamber").code == 0
    assert ssm.keys() == ["db_password"]
    cli.ok("put", "app1/db_password", given=b"made-up")
    done = sync(cli, ssm, "--layout", "chamber")
    assert done.code == exits.USAGE and "would both have the key db_password" in done.err


@pytest.mark.parametrize(
    ("value", "tier", "said"),
    [
        (b"x" * 4096, "standard", None),
        (b"x" * 4097, "standard", "--tier advanced allows 8192"),
        (b"x" * 4097, "advanced", None),
        ("ü".encode() * 4096, "advanced", None),
        (b"x" * 8193, "advanced", "a parameter 8192 at most"),
        (b"", "advanced", "must not be empty"),
        (b"\xff\xfe", "advanced", "it is binary"),
        (b"a {{ssm:other}} b", "standard", "the name of another parameter"),
    ],
)
def test_what_a_parameter_holds(ssm: Service, value: bytes, tier: str, said: str | None) -> None:
    target = ssm.target(advanced=tier == "advanced")
    planned = plan(target, [out("value", value)])
    if said is not None:
        assert said in str(planned.steps[0].reason) and not planned.changes
        return
    results = verify(target, list(apply(target, planned)))
    assert [done.error for done in results] == [None] and str(ssm.get("value")).encode() == value
    filters = [{"Key": "Name", "Values": [ssm.name("value")]}]
    (told,) = ssm.client.describe_parameters(ParameterFilters=filters)["Parameters"]
    assert told["Tier"] == ("Advanced" if len(value) > 4096 else "Standard")


def test_an_advanced_parameter_stays_one_because_there_is_no_way_back(ssm: Service) -> None:
    target = ssm.target(advanced=True)
    for value in (b"x" * 5000, b"small"):
        results = list(apply(target, plan(target, [out("value", value)])))
        assert [done.error for done in results] == [None]
    filters = [{"Key": "Name", "Values": [ssm.name("value")]}]
    (told,) = ssm.client.describe_parameters(ParameterFilters=filters)["Parameters"]
    assert told["Tier"] == "Advanced" and ssm.get("value") == "small"


@pytest.mark.parametrize("key", ["a:b", "a@b", "a b", "/".join("abcdefghijklmnop"), "x" * 1000])
def test_keys_that_are_no_parameter_s_name(ssm: Service, key: str) -> None:
    assert ssm.target().refusal(out(key, b"made-up", name="app1/x")) is not None


@pytest.mark.parametrize("path", ["/aws/app1", "/SSMx"])
def test_reserved_paths_are_refused(engine: Engine, path: str) -> None:
    clients = Clients(AwsSettings(region=REGION, endpoint_url=engine.endpoint_url), session=engine.session())
    refused = ParameterTarget(clients, path, "prod").refusal(out("x", b"made-up"))
    assert refused == "a parameter's name must not start with aws or ssm"


@pytest.mark.parametrize("value", [b"x" * 65_536, b"\x00\xff" * 32_768, b"\x00\xff", "🔑".encode(), b"\n"])
def test_what_a_secret_holds(managed: Service, value: bytes) -> None:
    target = managed.target()
    results = verify(target, list(apply(target, plan(target, [out("value", value)]))))
    assert [done.error for done in results] == [None]
    found = managed.get("value")
    assert (found if isinstance(found, bytes) else found.encode()) == value
    assert isinstance(found, bytes) == (b"\xff" in value)


def test_what_a_secret_does_not_hold(managed: Service) -> None:
    target = managed.target()
    wanted = [out("empty", b""), out("large", b"x" * 65_537), out("a:b", b"x"), out("x" * 512, b"x")]
    assert {step.key for step in plan(target, wanted).problems} == {each.key for each in wanted}


def test_what_was_removed_can_be_restored_and_comes_back(managed: Service) -> None:
    target = managed.target(recovery_days=7)
    list(apply(target, plan(target, [out("a", b"made-up")])))
    assert [done.error for done in verify(target, list(apply(target, plan(target, []))))] == [None]
    assert "DeletedDate" in managed.client.describe_secret(SecretId=managed.name("a"))
    assert plan(target, []).steps == ()  # what awaits its deletion is not removed again
    planned = plan(target, [out("a", b"made-up", 2)])
    assert planned.steps[0].reason is not None and "awaits its deletion" in planned.steps[0].reason
    assert [done.error for done in verify(target, list(apply(target, planned)))] == [None]
    assert managed.get("a") == "made-up"


def test_somebody_else_s_secret_that_awaits_its_deletion_is_a_conflict(managed: Service) -> None:
    managed.make("a", "other")
    managed.client.delete_secret(SecretId=managed.name("a"), RecoveryWindowInDays=7)
    (step,) = plan(managed.target(), [out("a", b"made-up")]).steps
    assert str(step.action) == "conflict" and "awaits its deletion" in str(step.reason)


def test_the_same_attempt_twice_is_one_version(moto: Engine) -> None:
    """The token is the same for a retry, and another one where somebody changed the value in between.

    On moto alone: ministack takes a repeated token for a new version.
    """
    managed = Service(moto, "secretsmanager")
    target = managed.target()
    list(apply(target, plan(target, [out("a", b"made-up")])))
    planned = plan(target, [out("a", b"made-up-two", 2)])
    for _ in range(2):
        assert [done.error for done in apply(target, planned)] == [None]
    assert managed.versions("a") == 2
    held = target.held(["a"])["a"]
    assert held.version == 2 and held.name == "app1/a"
    managed.client.put_secret_value(SecretId=managed.name("a"), SecretString="by hand")
    assert [done.error for done in apply(target, plan(target, [out("a", b"made-up-two", 2)]))] == [None]
    assert managed.get("a") == "made-up-two" and managed.versions("a") == 4


def test_a_parameter_tells_its_version_and_a_newer_one_of_the_same_value_is_written(ssm: Service) -> None:
    target = ssm.target()
    list(apply(target, plan(target, [out("a", b"made-up", 3)])))
    held = target.held(["a"])["a"]
    assert (held.name, held.version, held.owned) == ("app1/a", 3, True)
    list(apply(target, plan(target, [out("a", b"made-up", 4)])))
    assert target.held(["a"])["a"].version == 4 and ssm.versions("a") == 2


def test_made_by_somebody_else_between_plan_and_apply(service: Service) -> None:
    target = service.target()
    planned = plan(target, [out("a", b"made-up"), out("b", b"made-up")])
    service.make("a", "other")
    errors = {done.step.key: done.error for done in apply(target, planned)}
    assert "made by somebody else meanwhile" in str(errors["a"]) and errors["b"] is None
    assert service.get("a") == "other"


def test_one_refusal_is_listed_the_rest_is_done_and_the_next_run_goes_on(
    cli: Cli, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    import botocore.client
    from botocore.exceptions import ClientError

    for name in "abc":
        cli.ok("put", f"app1/{name}", given=b"made-up")
    real = botocore.client.BaseClient._make_api_call

    def refuse(self: Any, operation: str, given: Any) -> Any:
        if given.get("Name") == service.name("b"):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no policy allows it"}}, operation)
        return real(self, operation, given)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", refuse)
        done = sync(cli, service)
    action = "ssm:PutParameter" if service.kind == "ssm" else "secretsmanager:CreateSecret"
    assert done.code == exits.PARTIAL and f"b: not allowed to call {action}: no policy allows it" in done.err
    assert f"an identity with {action} may" in done.err and "created 2, 1 failed;" in done.err
    assert service.keys() == ["a", "c"]
    done = sync(cli, service, "-o", "json")
    assert done.code == 0 and steps(done) == {"a": "same", "b": "create", "c": "same"}


def test_interrupted_at_any_write_the_next_run_ends_the_same(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [out(key, f"made-up {key}".encode()) for key in "abcd"]
    target = service.target()
    real = type(target).write
    for stop in range(4):
        done: list[str] = []

        def interrupted(self: Any, outgoing: Outgoing, held: Any, done: list[str] = done, stop: int = stop) -> None:
            if len(done) == stop:
                raise KeyboardInterrupt
            done.append(outgoing.key)
            real(self, outgoing, held)

        changed = [out(each.key, each.value.expose() + b"!" * stop, stop + 1) for each in wanted]
        with monkeypatch.context() as patch:
            patch.setattr(type(target), "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                list(apply(target, plan(target, changed), at_once=1))
        planned = plan(target, changed)
        assert len(planned.changes) == 4 - stop
        assert all(each.error is None for each in verify(target, list(apply(target, planned))))
        assert not plan(target, changed).changes
    assert service.keys() == list("abcd") and service.get("d") == "made-up d!!!"


def test_what_was_done_is_said_whatever_ends_it(ministack: Engine, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the third write, and a service that is out of reach when the rest is read back."""
    ssm = Service(ministack, "ssm")
    for name in "abc":
        cli.ok("put", f"app1/{name}", given=b"made-up")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.endpoint_url)
    monkeypatch.setattr("dynastash.transfer.outgoing.parallel.streamed", lambda call, each, limit: map(call, each))
    write, held = ParameterTarget.write, ParameterTarget.held

    def interrupted(self: Any, outgoing: Outgoing, there: Any) -> None:
        if outgoing.key == "c":
            raise KeyboardInterrupt
        write(self, outgoing, there)

    def gone(self: Any, keys: Any) -> Any:
        if len(ssm.keys()) == 3:
            raise ServiceUnavailableError("ssm cannot be reached", hint="check the network")
        return held(self, keys)

    with monkeypatch.context() as patch:
        patch.setattr(ParameterTarget, "write", interrupted)
        done = sync(cli, ssm)
    assert done.code == exits.INTERRUPTED and "created 2 until now, at least" in done.err
    with monkeypatch.context() as patch:
        patch.setattr(ParameterTarget, "held", gone)
        done = sync(cli, ssm)
    assert done.code == exits.UNAVAILABLE and "created 1 until now, at least" in done.err
    assert ssm.keys() == ["a", "b", "c"] and "3 the same" in sync(cli, ssm).err


@pytest.mark.parametrize("kind", ["ssm", "secretsmanager"])
def test_pages_and_batches_lose_nothing(ministack: Engine, kind: str) -> None:
    """More than one page of each listing and one batch of each reading."""
    service = Service(ministack, kind)
    target = service.target()
    wanted = [out(f"k{number:03d}", b"made-up") for number in range(104)]
    assert all(done.error is None for done in verify(target, list(apply(target, plan(target, wanted)))))
    assert not plan(service.target(), wanted).changes and len(service.keys()) == 104


def test_from_an_environment_on_aws_to_a_service_elsewhere(
    ministack: Engine, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is found as ever, and the place by --to-…: here another Region of the engine's."""
    monkeypatch.setenv("DYNASTASH_ENV", "prod")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("DYNASTASH_TABLE", ministack.create_table())
    monkeypatch.setenv("DYNASTASH_KEY", ministack.create_key())
    here = ("--endpoint-url", ministack.endpoint_url)
    cli.ok("put", "app1/a", *here, given=b"made-up")
    path = f"/t{secrets.token_hex(5)}"
    there = ("--to-region", "us-east-1", "--to-endpoint-url", ministack.endpoint_url)
    done = cli.ok("sync", "--to", f"ssm:{path}", "--prefix", "app1/", *here, *there)
    assert f"SSM parameters under {path} in us-east-1, from prod: created 1" in done.err
    make: Any = ministack.session().client
    ssm = make("ssm", endpoint_url=ministack.endpoint_url, region_name="us-east-1")
    assert ssm.get_parameter(Name=f"{path}/a", WithDecryption=True)["Parameter"]["Value"] == "made-up"
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    done = cli("sync", "--to", f"ssm:{path}", "--prefix", "app1/", *here, "--to-endpoint-url", "http://127.0.0.1:1")
    assert done.code == exits.UNAVAILABLE and "ssm cannot be reached" in done.err


def test_whoever_may_not_look_is_told_which_policy_it_takes(
    cli: Cli, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    import botocore.client
    from botocore.exceptions import ClientError

    cli.ok("put", "app1/a", given=b"made-up")

    def refuse(self: Any, operation: str, given: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no policy allows it"}}, operation)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", refuse)
    done = sync(cli, service)
    assert done.code == exits.DENIED and f"`dynastash policy --copies-to {service.place}` prints" in done.err


@pytest.mark.parametrize("kind", ["ssm", "secretsmanager"])
@pytest.mark.parametrize("times", [2, 100])
def test_a_service_that_throttles_is_asked_again_and_given_up_one_by_one(
    ministack: Engine, kind: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's own answer, twice: done at the third attempt. Always: listed, and the others are done."""
    from botocore.awsrequest import AWSResponse

    monkeypatch.setattr("time.sleep", lambda _: None)
    service = Service(ministack, kind)
    target = service.target()
    throttled: list[str] = []

    class Raw:
        def stream(self, *_: Any, **__: Any) -> Any:
            yield b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'

    def throttle(request: Any, **_: Any) -> AWSResponse | None:
        if service.name("b").encode() not in request.body or len(throttled) >= times:
            return None
        throttled.append(request.url)
        return AWSResponse(request.url, 400, {}, Raw())

    operation = "PutParameter" if kind == "ssm" else "CreateSecret"
    service.clients.get(kind).meta.events.register(f"before-send.{kind}.{operation}", throttle)
    results = verify(target, list(apply(target, plan(target, [out(key, b"made-up") for key in "abc"]))))
    errors = {done.step.key: done.error for done in results}
    assert errors["a"] is None and errors["c"] is None
    if times == 2:
        assert errors["b"] is None and len(throttled) == 2 and service.keys() == ["a", "b", "c"]
    else:
        assert str(errors["b"]) == f"{kind} asks for patience: Rate exceeded" and service.keys() == ["a", "c"]
