"""``dynastash policy``: what it prints, in each form, and what it says of policies that exist."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from dynastash.cli import exits
from dynastash.cli.app import run
from dynastash.policy.document import Access, Target, policy_document
from dynastash.policy.names import parse_pattern
from tests.engines.engine import Engine
from tests.policies import plain

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
TARGET = Target(environment="prod", table=f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/dynastash-prod", key=KEY)


class Policy:
    """The command, offline, for the environment prod."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = exits.OK, key: str = KEY) -> tuple[str, str]:
        given = ["policy", "-e", "prod", "--account", ACCOUNT, "--key", key, *arguments]
        assert run(given) == code
        return tuple(self._capsys.readouterr())  # type: ignore[return-value]


@pytest.fixture
def policy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Policy:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return Policy(capsys)


def wanted(**names: str) -> dict[str, Any]:
    return policy_document(TARGET, {Access(access): [parse_pattern(text)] for access, text in names.items()})


def test_json_and_yaml_are_the_document_of_the_policy_module(policy: Policy) -> None:
    arguments = ("--read", "app1/*", "--write", "app1/db/*")
    out, err = policy(*arguments)
    assert json.loads(out) == wanted(read="app1/*", write="app1/db/*")
    assert err == ""
    assert yaml.safe_load(policy(*arguments, "-o", "yaml")[0]) == json.loads(out)


def test_cloudformation_makes_a_managed_policy_of_it(policy: Policy) -> None:
    template = json.loads(policy("--read", "app1/*", "--as", "cloudformation")[0])
    resource = template["Resources"]["Policy"]
    assert resource["Type"] == "AWS::IAM::ManagedPolicy"
    assert resource["Properties"]["PolicyDocument"] == wanted(read="app1/*")
    assert resource["Properties"]["ManagedPolicyName"] == "dynastash-prod-app1-read"


@pytest.mark.parametrize("arguments", [("--rotate", "app1/*"), ("--by-tag", "write"), ("--admin",)])
def test_terraform_says_the_same(policy: Policy, arguments: tuple[str, ...]) -> None:
    """Read back by another parser of HCL; variables of IAM are no templates of Terraform's."""
    document = json.loads(policy(*arguments)[0])
    text = policy(*arguments, "--as", "terraform", "--name", "p")[0]
    (data,) = hcl2.load(io.StringIO(text))["data"]
    read = _unquoted(data)["aws_iam_policy_document"]["p"]["statement"]
    back = [
        {
            "Sid": each["sid"],
            "Effect": each["effect"],
            "Action": each["actions"],
            "Resource": each["resources"],
            **_conditions(each.get("condition", [])),
        }
        for each in read
    ]
    assert plain({"Statement": back}) == plain({"Statement": document["Statement"]})
    assert "${aws" not in text.replace("$${aws", "")


def _unquoted(node: Any) -> Any:
    """What python-hcl2 reads, without the quotes that it keeps and the doubled dollar."""
    if isinstance(node, dict):
        return {_unquoted(key): _unquoted(value) for key, value in node.items() if not str(key).startswith("__")}
    if isinstance(node, list):
        return [_unquoted(value) for value in node]
    return node.strip('"').replace("$${", "${") if isinstance(node, str) else node


def _conditions(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for block in blocks:
        found.setdefault(block["test"], {})[block["variable"]] = block["values"]
    return {"Condition": found} if found else {}


def test_a_key_by_its_alias_is_named_by_it_and_warned_about(policy: Policy) -> None:
    out, err = policy("--read", "app1/*", key="alias/dynastash-prod")
    statement = json.loads(out)["Statement"][-1]
    assert statement["Resource"] == f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*"
    assert statement["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/dynastash-prod"}
    assert "whoever may move the alias moves the permission" in err


def test_a_policy_that_iam_would_not_take_is_warned_about(policy: Policy) -> None:
    names = [argument for number in range(250) for argument in ("--read", f"app1/some-secret-{number}")]
    _, err = policy(*names)
    assert "and IAM takes 6144 in a managed policy" in err
    assert "hint: name prefixes instead of single secrets" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "what the policy is for was not said"),
        (("--read", "app1*"), "'app1*' does not end at a segment's end"),
        (("--read", ""), "is not a name for a secret"),
        (("--read", "app1/*", "--account", "7"), "'7' is not an account"),
        (("--read", "app1/*", "-e", "local"), "IAM has no say in it"),
    ],
)
def test_what_cannot_be_printed_says_why(policy: Policy, arguments: tuple[str, ...], message: str) -> None:
    extra = () if "local" not in arguments else ("--key", "")
    _, err = policy(*arguments, *extra, code=exits.USAGE)
    assert message in err
    assert "hint: " in err


def test_without_an_account_aws_is_asked(
    ministack: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ministack.create_key()
    for name, value in (("ENDPOINT_URL", ministack.endpoint_url), ("REGION", "eu-west-1"), ("ACCESS_KEY_ID", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert run(["policy", "-e", "dev", "--read", "app1/*", "--key", key.rpartition("/")[2]]) == exits.OK
    statement = json.loads(capsys.readouterr().out)["Statement"][-1]
    assert statement["Resource"] == key


def test_without_credentials_the_way_to_do_without_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert run(["policy", "-e", "dev", "--read", "app1/*"]) == exits.DENIED
    assert "with --account nothing is asked of AWS" in capsys.readouterr().err


# --check


def test_a_printed_policy_passes_its_check(policy: Policy, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(policy("--read", "app1/*")[0])
    out, err = policy("--check", str(file), "--read", "app1/*")
    assert out.splitlines()[-1].split() == ["app1/*", "yes", "yes"]
    assert "checked 1 policy for prod: no findings" in err


def test_a_policy_that_opens_more_than_it_should_fails_its_check(policy: Policy, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(policy("--read", "app1/*", "--write", "app2/*")[0])
    _, err = policy("--check", str(file), "--read", "app1/*", code=exits.OTHER)
    assert "too wide: all: opens app2/*" in err
    out, _ = policy("--check", str(file), "--read", "app1/*", "-o", "json", code=exits.OTHER)
    data = json.loads(out)
    assert {each["names"]: each["opens"] for each in data["opened"]} == {"app1/*": "allowed", "app2/*": "allowed"}
    assert [each["what"] for each in data["findings"]] == ["opens app2/*", "changes app2/*"]


def test_what_people_write_is_told_apart(policy: Policy, tmp_path: Path) -> None:
    """In YAML, and as the AWS CLI shows it."""
    wide = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["dynamodb:*", "kms:*"], "Resource": "*"}],
    }
    plain_file, wrapped = tmp_path / "policy.yaml", tmp_path / "version.json"
    plain_file.write_text(yaml.safe_dump(wide))
    wrapped.write_text(json.dumps({"PolicyVersion": {"Document": wide, "VersionId": "v1"}}))
    for file in (plain_file, wrapped):
        out, err = policy("--check", str(file), code=exits.OTHER)
        assert out.splitlines()[-1].split()[0] == "*"
        for finding in (
            "allows kms:*",
            "is about *",
            "reads the records of every secret",
            "writes outside transactions",
        ):
            assert f"too wide: 1: {finding}" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("a: [", "is neither JSON nor YAML in line"),
        ("Resources: !Sub x", "is neither JSON nor YAML"),
        ("7", "is not a policy document"),
        ('{"a": 1}', "it has no Statement"),
        ('{"Statement": [{"Effect": "Maybe"}]}', "neither allows nor denies"),
    ],
)
def test_a_file_that_is_no_policy_says_so(policy: Policy, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "policy"
    file.write_text(text)
    _, err = policy("--check", str(file), code=exits.OTHER)
    assert message in err


def test_a_file_that_is_not_there_says_so(policy: Policy) -> None:
    _, err = policy("--check", "nowhere.json", code=exits.OTHER)
    assert "nowhere.json cannot be read: No such file or directory" in err
