"""docs/how-to/sync.md: its commands, its policy, its prices, its task definition and its template, on ministack."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import pytest

from dynastash.cli import exits
from dynastash.cli.app import run
from dynastash.transfer.services import costs
from tests import cfn
from tests.cli.runner import Cli
from tests.cli.test_documents import ROOT, blocks, normal
from tests.engines import servers
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine

DOCUMENT = "docs/how-to/sync.md"
TEXT = (ROOT / DOCUMENT).read_text(encoding="utf-8")


def block(heading: str, language: str) -> str:
    """The one block of ``language`` below a heading."""
    section = next(part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE) if part.startswith(heading))
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def account(tmp_path: Path) -> Any:
    """An engine of its own: the document's paths are the same each time."""
    with servers.ministack(tmp_path) as url:
        yield Engine("ministack", url)


@pytest.fixture
def cli(account: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    made = Cli(tmp_path, cwd)
    made.variables |= {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": account.endpoint_url,
        "DYNASTASH_DATA": str(tmp_path / ".local/share/dynastash"),
    }
    for variable, text in made.variables.items():
        monkeypatch.setenv(variable, text)
    return made


def test_the_document_is_carried_out(cli: Cli, account: Engine) -> None:
    """Every command, and then what ECS and CloudFormation would read."""
    shown: list[tuple[str, list[str]]] = []
    for line in blocks(DOCUMENT, "console").splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    for command, expected in shown:
        done = cli.shell(f"{{ {command}\n}} 2>&1")
        # The table is on standard output and the rest on standard error: which comes first is the shell's.
        assert sorted(normal(done.text).splitlines()) == sorted(normal("\n".join(expected)).splitlines()), command
    cli.ok("sync", "--to", "secretsmanager:app1", "--prefix", "app1/")

    task = json.loads(block("In ECS", "json"))
    account.client("ecs").register_task_definition(**task)
    found = {each["name"]: resolve(account, each["valueFrom"]) for each in task["containerDefinitions"][0]["secrets"]}
    assert found == {"DB_PASSWORD": "battery staple", "DB_USER": "ada"}

    properties = cfn.load(block("In CloudFormation", "yaml"))["Resources"]["Database"]["Properties"]
    references = [value for value in properties.values() if str(value).startswith("{{resolve:")]
    assert deployed(account, references) == ["ada", "battery staple"]


def resolve(account: Engine, value_from: str) -> str:
    """As ECS does it: a parameter by its ARN, a secret by its ARN and, behind it, the field, the stage, the version."""
    parts = value_from.split(":")
    if parts[2] == "ssm":
        name = parts[5].removeprefix("parameter")
        (found,) = account.client("ssm").get_parameters(Names=[name], WithDecryption=True)["Parameters"]
        return str(found["Value"])
    name, field = parts[6][:-7], parts[7]  # a made-up ARN, whose six characters are not the engine's
    return str(json.loads(account.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])[field])


def deployed(account: Engine, references: list[str]) -> list[str]:
    """What CloudFormation makes of ``references``, in parameters of a stack: the engine takes them anywhere."""
    stack, client = f"s{secrets.token_hex(4)}", account.client("cloudformation")
    resources = {
        f"P{number}": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": f"/{stack}/{number}", "Type": "String", "Value": reference},
        }
        for number, reference in enumerate(references)
    }
    client.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": resources}))
    client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    names = [f"/{stack}/{number}" for number in range(len(references))]
    return [account.client("ssm").get_parameter(Name=name)["Parameter"]["Value"] for name in names]


def test_the_policy_is_the_one_that_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["policy", "-e", "prod", "--region", "eu-west-1", "--account", "111122223333", "--key", "1" * 36]
    assert run([*arguments, "--copies-to", "ssm:/app1"]) == exits.OK
    assert json.loads(capsys.readouterr().out) == json.loads(block("The permissions of a sync", "json"))


def test_the_prices_are_those_that_the_command_tells() -> None:
    rows = dict(re.findall(r"^\| (.*? \w+) \| (?:free|\$[0-9.]+) \| (\$[0-9.]+).*$", TEXT, re.MULTILINE))
    a_month = dict(re.findall(r"^\| (.*? \w+) \| (free|\$[0-9.]+) \| \$", TEXT, re.MULTILINE))
    assert a_month == {
        "standard parameter": "free",
        "advanced parameter": f"${costs.ADVANCED_A_MONTH}",
        "secret in Secrets Manager": f"${costs.SECRET_A_MONTH}",
    }
    assert rows == {
        "standard parameter": f"${costs.KMS_READS}",
        "advanced parameter": f"${costs.KMS_READS + costs.ADVANCED_READS}",
        "secret in Secrets Manager": f"${costs.SECRET_READS}",
    }
    assert f"20 secrets are ${20 * costs.SECRET_A_MONTH} a month in Secrets Manager" in TEXT
