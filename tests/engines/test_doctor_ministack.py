"""The doctor on a running account: each thing that can be wrong, and the line that says so."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.clients import Clients
from dynastash.config import Environment
from dynastash.deploy import Deployer
from dynastash.doctor import Check, Status, diagnose
from dynastash.wiring import open_environment
from tests.engines import servers
from tests.engines.engine import REGION, Engine, create_table

pytestmark = pytest.mark.engine

NAME = "app1/db/password"
OFF = {"recovery", "time to live", "encryption"}
"""What ministack's CloudFormation drops silently, so that the doctor warns of it."""


def environment_on(engine: Engine, name: str, **more: Any) -> Environment:
    settings: dict[str, Any] = {"table": f"dynastash-{name}", "key": f"alias/dynastash-{name}", **more}
    aws = AwsSettings(endpoint_url=engine.endpoint_url, region=REGION)
    return Environment(name=name, store="dynamodb", aws=settings.pop("aws", aws), **settings)


def examined(
    environment: Environment, session: boto3.Session, name: str | None = NAME, **more: Any
) -> dict[str, Check]:
    found = diagnose(
        lambda: environment,
        make_clients=lambda each: Clients(each.aws, session=session, timeout=5.0, attempts=1),
        name=name,
        **more,
    )
    return {check.name: check for check in found}


def of(checks: dict[str, Check], *statuses: Status) -> set[str]:
    return {name for name, check in checks.items() if check.status in statuses}


@pytest.fixture
def deployed(ministack: Engine) -> str:
    """The name of an environment with one secret."""
    name = f"t{secrets.token_hex(4)}"
    deployer = Deployer(ministack.client("cloudformation"), name, poll=0.02)
    list(deployer.apply(deployer.plan()))
    open_environment(environment_on(ministack, name), session=ministack.session()).put(NAME, "x")
    return name


def test_all_well(ministack: Engine, deployed: str) -> None:
    """Nothing fails, and nothing has changed by looking."""
    before = ministack.client("dynamodb").scan(TableName=f"dynastash-{deployed}")["Items"]
    checks = examined(environment_on(ministack, deployed), ministack.session())
    assert (of(checks, Status.FAILED), of(checks, Status.SKIPPED), of(checks, Status.WARNING)) == (
        set(),
        {"replica"},
        OFF,
    )
    assert checks["read"].message == f"may read {NAME}"
    assert ministack.client("dynamodb").scan(TableName=f"dynastash-{deployed}")["Items"] == before


def test_what_the_template_switches_on_is_seen_when_it_is_on(ministack: Engine, deployed: str) -> None:
    """The warnings of a bare table end when its settings are the template's."""
    client, table = ministack.client("dynamodb"), f"dynastash-{deployed}"
    client.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    client.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    checks = examined(environment_on(ministack, deployed), ministack.session())
    assert of(checks, Status.WARNING) == {"encryption"}


def test_protection_that_was_switched_off(ministack: Engine, deployed: str) -> None:
    """Deletion protection, key rotation and the stack's own protection are each told."""
    ministack.client("dynamodb").update_table(TableName=f"dynastash-{deployed}", DeletionProtectionEnabled=False)
    kms, key = ministack.client("kms"), f"alias/dynastash-{deployed}"
    kms.disable_key_rotation(KeyId=kms.describe_key(KeyId=key)["KeyMetadata"]["KeyId"])
    ministack.client("cloudformation").update_termination_protection(
        StackName=f"dynastash-{deployed}", EnableTerminationProtection=False
    )
    checks = examined(environment_on(ministack, deployed), ministack.session())
    assert of(checks, Status.WARNING) == OFF | {"deletion protection", "key rotation", "stack"}


def test_a_stack_of_another_template(ministack: Engine, deployed: str) -> None:
    """The deployed template is compared with the one that ships."""
    client = ministack.client("cloudformation")
    body = client.get_template(StackName=f"dynastash-{deployed}")["TemplateBody"]
    older = Deployer(client, deployed, poll=0.02, body=body.replace("one DynamoDB table", "a DynamoDB table"))
    list(older.apply(older.plan({"PointInTimeRecoveryDays": "7"})))
    check = examined(environment_on(ministack, deployed), ministack.session())["stack"]
    assert check.status is Status.WARNING and "another release's template" in check.message


def test_the_wrong_region(ministack: Engine, deployed: str) -> None:
    """Neither table nor key, and the Region stands in the line."""
    elsewhere = AwsSettings(endpoint_url=ministack.endpoint_url, region="us-east-1")
    checks = examined(environment_on(ministack, deployed, aws=elsewhere), ministack.session())
    assert of(checks, Status.FAILED) == {"table", "key"}
    assert "in us-east-1" in checks["table"].message and f"dynastash deploy {deployed}" in (checks["table"].hint or "")
    assert checks["read"].message == "needs table"


def test_a_missing_table(ministack: Engine, deployed: str) -> None:
    """The key is there all the same, and is looked at."""
    checks = examined(environment_on(ministack, deployed, table="no-such-table"), ministack.session())
    assert of(checks, Status.FAILED) == {"table"}
    assert checks["key rotation"].status is Status.OK


@pytest.mark.parametrize(
    ("sort_key", "whose"), [("version", "a table of credstash's"), ("made_up", "another program's table")]
)
def test_a_foreign_table(ministack: Engine, deployed: str, sort_key: str, whose: str) -> None:
    """Told by its key, and nothing is asked of it any more."""
    table = f"foreign-{secrets.token_hex(4)}"
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("name", sort_key)]
    ministack.client("dynamodb").create_table(
        TableName=table,
        AttributeDefinitions=attributes,
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}, {"AttributeName": sort_key, "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    checks = examined(environment_on(ministack, deployed, table=table), ministack.session())
    assert of(checks, Status.FAILED) == {"key schema"}
    assert whose in checks["key schema"].message
    assert checks["read"].message == checks["write"].message == "needs key schema"


def test_keys_that_cannot_be_used(ministack: Engine, deployed: str) -> None:
    """Disabled, and then on its way out: each with what saves it."""
    kms = ministack.client("kms")
    key = kms.describe_key(KeyId=f"alias/dynastash-{deployed}")["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    checks = examined(environment_on(ministack, deployed), ministack.session())
    assert of(checks, Status.FAILED) == {"key"}
    assert "disabled" in checks["key"].message and "enable-key" in (checks["key"].hint or "")
    assert checks["read"].message == "needs key"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
    checks = examined(environment_on(ministack, deployed), ministack.session())
    assert f"{datetime.now(UTC):%Y}" in checks["key"].message or "will be deleted" in checks["key"].message
    assert "cancel-key-deletion" in (checks["key"].hint or "")


def test_a_name_that_was_never_put(ministack: Engine, deployed: str) -> None:
    """ministack looks at the ciphertext in spite of DryRun: nothing is claimed that was not seen."""
    checks = examined(environment_on(ministack, deployed), ministack.session(), name=None)
    assert checks["read"].status is Status.SKIPPED and "cannot be told" in checks["read"].message
    assert checks["write"].status is Status.OK


def test_a_second_region(ministack: Engine, deployed: str) -> None:
    """Nothing there, an ordinary key, a multi-Region key: only the last one opens what the first Region wrote."""
    aws = AwsSettings(
        region=REGION,
        endpoint_url=ministack.endpoint_url,
        read_region="eu-central-1",
        read_endpoint_url=ministack.endpoint_url,
    )

    def found() -> Check:
        # The session's own Region would win over the second one's.
        environment = environment_on(ministack, deployed, aws=aws)
        made = diagnose(
            lambda: environment,
            make_clients=lambda each: Clients(each.aws, session=ministack.session(), timeout=5.0, attempts=1),
        )
        return {check.name: check for check in made}["replica"]

    check = found()
    assert check.status is Status.FAILED and "not found" in check.message.lower()
    there: dict[str, Any] = {"region_name": "eu-central-1", "endpoint_url": ministack.endpoint_url}
    create_table(ministack.session().client("dynamodb", **there), f"dynastash-{deployed}")
    kms = ministack.session().client("kms", **there)
    for multi, status in ((False, Status.FAILED), (True, Status.OK)):
        key = kms.create_key(MultiRegion=multi)["KeyMetadata"]["KeyId"]
        if multi:
            kms.update_alias(AliasName=f"alias/dynastash-{deployed}", TargetKeyId=key)
        else:
            kms.create_alias(AliasName=f"alias/dynastash-{deployed}", TargetKeyId=key)
        check = found()
        assert check.status is status, check
        assert "multi-Region" in check.message or status is Status.OK


# Who may what: on an engine that enforces IAM


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, str]]:
    """An engine that asks IAM, and an environment on it with one secret."""
    with servers.ministack(tmp_path_factory.mktemp("guarded"), AUTH="true") as url:
        engine = Root("ministack", url)
        name = "prod"
        deployer = Deployer(engine.client("cloudformation"), name, poll=0.02)
        list(deployer.apply(deployer.plan()))
        open_environment(environment_on(engine, name), session=engine.session()).put(NAME, "x")
        # ministack sees no encryption context, so that the template's Denies would refuse everybody but root.
        kms = engine.client("kms")
        key = kms.describe_key(KeyId=f"alias/dynastash-{name}")["KeyMetadata"]
        root = {"AWS": f"arn:aws:iam::{key['Arn'].split(':')[4]}:root"}
        bare = [{"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}]
        kms.put_key_policy(
            KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": bare})
        )
        yield engine, name


class Root(Engine):
    """ministack's own root, which may do everything."""

    def session(self) -> boto3.Session:
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


READER = {
    "dynamodb": ["BatchGetItem", "GetItem", "Query"],
    "kms": ["Decrypt"],
}
WRITER = {"dynamodb": [*READER["dynamodb"], "PutItem"], "kms": ["Decrypt", "GenerateDataKey"]}
ROTATOR = {"dynamodb": [*WRITER["dynamodb"], "DeleteItem"], "kms": WRITER["kms"]}


def user(engine: Engine, allowed: dict[str, list[str]]) -> boto3.Session:
    """A session of a new user who may do ``allowed`` and nothing else."""
    iam, name = engine.client("iam"), f"u{secrets.token_hex(4)}"
    iam.create_user(UserName=name)
    actions = [f"{service}:{action}" for service, each in allowed.items() for action in each]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=json.dumps(document))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.Session(
        aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"], region_name=REGION
    )


@pytest.mark.parametrize(
    ("allowed", "may"),
    [(READER, {"read", "list"}), (WRITER, {"read", "list", "write"}), (ROTATOR, {"read", "list", "write", "rotate"})],
    ids=["reader", "writer", "rotator"],
)
def test_a_role_that_may_not_do_everything(
    guarded: tuple[Engine, str], allowed: dict[str, list[str]], may: set[str]
) -> None:
    """What it may not look at is skipped, what it may not do is told, and nothing has failed."""
    engine, name = guarded
    checks = examined(environment_on(engine, name), user(engine, allowed))
    assert of(checks, Status.FAILED) == set(), checks["read"]
    permissions = {"read", "list", "write", "rotate"}
    assert {name for name in permissions if checks[name].status is Status.OK} == may
    assert {name for name in permissions if checks[name].status is Status.WARNING} == permissions - may
    assert {"table", "recovery", "time to live", "key", "stack"} <= of(checks, Status.SKIPPED)
    assert "dynamodb:DescribeTable" in (checks["table"].hint or "")
    if "write" not in may:
        assert "dynamodb:PutItem and kms:GenerateDataKey denied" in checks["write"].message


def test_what_is_needed_and_denied_is_a_failure(guarded: tuple[Engine, str]) -> None:
    """``--need``; without a name a refusal may only mean another prefix, which is a warning."""
    engine, name = guarded
    reader, stranger = user(engine, READER), user(engine, {"sts": ["GetCallerIdentity"]})
    environment = environment_on(engine, name)
    assert examined(environment, reader, need=frozenset(("write",)))["write"].status is Status.FAILED
    assert examined(environment, stranger)["read"].status is Status.FAILED
    unnamed = examined(environment, stranger, name=None)["read"]
    assert unnamed.status is Status.WARNING and "dynastash doctor NAME" in (unnamed.hint or "")


def test_a_key_policy_without_denies(guarded: tuple[Engine, str]) -> None:
    """What the template's policy refuses and this one does not is named."""
    engine, name = guarded
    check = examined(environment_on(engine, name), engine.session())["key policy"]
    assert check.status is Status.WARNING
    for gap in ("other environments", "without a secret's name", "chosen data keys"):
        assert gap in check.message


def test_credentials_that_aws_does_not_know(guarded: tuple[Engine, str]) -> None:
    """One failure, and everything that would fail by it waits."""
    engine, name = guarded
    session = boto3.Session(aws_access_key_id="AKIAUNKNOWN", aws_secret_access_key="made-up", region_name=REGION)
    checks = examined(environment_on(engine, name), session)
    assert of(checks, Status.FAILED) == {"identity"}
    assert checks["table"].message == checks["key"].message == "needs identity"
    assert checks["clock"].status is Status.OK
