"""The audit on a running account: what was done through the command line is what is shown, and a rollback is found.

ministack records the caller's own spelling of a request and never an error, unlike CloudTrail; so its records are put
into the documented shape first, and read as a log file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.config import Environment
from dynastash.wiring import open_environment
from tests.cli.runner import Cli
from tests.engines import servers
from tests.engines.engine import REGION, Engine, create_table

pytestmark = pytest.mark.engine

NAME = "app1/db/password"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """ministack with its CloudTrail switched on."""
    with servers.ministack(tmp_path_factory.mktemp("recording"), CLOUDTRAIL_RECORDING="1") as url:
        engine = Engine("ministack", url)
        create_table(engine.client("dynamodb"), "dynastash-prod")
        engine.client("kms").create_alias(AliasName="alias/dynastash-prod", TargetKeyId=engine.create_key())
        yield engine


@pytest.fixture
def cli(recording: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": recording.endpoint_url,
        "DYNASTASH_ENV": "prod",
    }
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.chdir(cwd)
    return Cli(tmp_path, cwd)


def documented(found: dict[str, Any], key: str) -> dict[str, Any]:
    """ministack's record in CloudTrail's shape."""
    record = json.loads(found["CloudTrailEvent"])
    parameters = {name[:1].lower() + name[1:]: value for name, value in record["requestParameters"].items()}
    return {**record, "requestParameters": parameters, "resources": [{"ARN": key}]}


def delivered(engine: Engine, path: Path) -> str:
    """A log file with everything that the engine has recorded of KMS."""
    key = engine.client("kms").describe_key(KeyId="alias/dynastash-prod")["KeyMetadata"]["Arn"]
    events: list[dict[str, Any]] = []
    for name in ("GenerateDataKey", "Decrypt"):
        attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]
        events += engine.client("cloudtrail").lookup_events(LookupAttributes=attributes)["Events"]
    path.write_text(json.dumps({"Records": [documented(found, key) for found in events]}))
    return str(path)


def test_from_the_first_put_to_a_rollback(cli: Cli, recording: Engine, tmp_path: Path) -> None:
    """Put, read, put the table back, and be told."""
    dynamodb = recording.client("dynamodb")
    cli.ok("put", NAME, given=b"1")
    saved = dynamodb.scan(TableName="dynastash-prod")["Items"]
    cli.ok("put", NAME, given=b"2")
    cli.ok("put", NAME, given=b"3")
    cli.ok("get", NAME)
    log = delivered(recording, tmp_path / "log.json")

    shown = json.loads(cli.ok("audit", "app1/", "--file", log, "-o", "json").text)
    assert {(each["event"], each["version"]) for each in shown["events"]} == {
        ("mint", 1), ("unwrap", 1), ("mint", 2), ("unwrap", 2), ("mint", 3), ("unwrap", 3),
    }  # fmt: skip
    assert shown["events"][0]["principal"] == "arn:aws:iam::000000000000:user/AKIATESTTESTTESTTEST"
    assert "dynastash/" in shown["events"][0]["user_agent"]
    assert cli.ok("audit", "app2/", "--file", log).text == ""
    assert "unwrap" in cli.ok("audit", "--file", log, "--summary").text

    done = cli.ok("audit", "--check", "--file", log)
    assert "no findings" in done.err and done.text == ""

    for item in dynamodb.scan(TableName="dynastash-prod")["Items"]:
        dynamodb.delete_item(TableName="dynastash-prod", Key={part: item[part] for part in ("name", "record")})
    for item in saved:
        dynamodb.put_item(TableName="dynastash-prod", Item=item)
    environment = Environment(
        name="prod",
        store="dynamodb",
        aws=AwsSettings(region=REGION, endpoint_url=recording.endpoint_url),
        table="dynastash-prod",
        key="alias/dynastash-prod",
    )
    assert open_environment(environment).get(NAME).text == "1"  # the table alone does not tell

    done = cli("audit", "--check", "--file", log)
    assert done.code == 5
    assert "version 3 was opened, and the table's newest is 1" in done.text
    found = json.loads(cli("audit", "--check", "--file", log, "-o", "json").text)["findings"]
    assert [(each["name"], each["problem"], each["reached"]) for each in found] == [(NAME, "rolled back", 3)]

    # docs/how-to/restore.md, from here on.
    assert "the next would be 4" in cli.ok("advance", NAME, "--to", "3", "--dry-run").err
    assert "the next version is 4" in cli.ok("advance", NAME, "--to", "3", "--yes").err
    assert "no findings" in cli.ok("audit", "--check", "--file", log).err
    assert cli.ok("get", NAME).text == "1" and "no findings" in cli.ok("verify").err
    assert "version 4" in cli.ok("put", NAME, given=b"4").err
    assert "no findings" in cli.ok("audit", "--check", "--file", log).err


def test_cloudtrail_is_asked(cli: Cli, recording: Engine) -> None:
    """By LookupEvents, whose answers from ministack have no context that we could read."""
    done = cli.ok("audit", "--kind", "unwrap", "--since", "1h")
    assert done.err == "no events found\n"


def test_a_restored_table_opens_under_its_other_name(cli: Cli, recording: Engine) -> None:
    """An environment is logical: no record knows the table's name."""
    dynamodb = recording.client("dynamodb")
    cli.ok("put", "app2/db", given=b"hunter2")
    dynamodb.update_continuous_backups(
        TableName="dynastash-prod", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="dynastash-prod", TargetTableName="restored", UseLatestRestorableTime=True
    )
    dynamodb.get_waiter("table_exists").wait(TableName="restored", WaiterConfig={"Delay": 1})
    assert cli.ok("get", "app2/db", "--table", "restored").text == "hunter2"
    assert "no findings" in cli.ok("verify", "--table", "restored").err
    lines = cli("doctor", "--table", "restored").text.splitlines()
    assert any(line.startswith("ok       key schema") for line in lines)
