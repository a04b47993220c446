"""The same command lines on AWS print the same, byte for byte, whichever transport carries them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.choose import choose
from tests.cli.recording import main
from tests.cli.runner import Cli, on_aws
from tests.cli.test_transcripts import TRANSCRIPTS, replayed
from tests.engines.engine import Engine

pytestmark = pytest.mark.engine

Replay = Callable[[str, str], str]


def in_directory(engine: Engine, directory: Path) -> Cli:
    """Command lines on an environment of their own on AWS."""
    (directory / "cwd").mkdir(parents=True)
    cli = Cli(directory, directory / "cwd")
    on_aws(cli, engine)
    return cli


@pytest.fixture
def aws(ministack: Engine, tmp_path: Path) -> Cli:
    """Command lines on AWS."""
    return in_directory(ministack, tmp_path)


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ministack: Engine) -> Replay:
    """Replays a transcript under a transport, on a table and a key of its own, without what differs each time."""

    def run(transport: str, text: str) -> str:
        directory = tmp_path / transport
        cli = in_directory(ministack, directory)
        table, key = cli.variables["DYNASTASH_TABLE"], cli.variables["DYNASTASH_KEY"]
        with monkeypatch.context() as patch:
            for variable, value in cli.variables.items():
                patch.setenv(variable, value)
            patch.setenv("DYNASTASH_TRANSPORT", transport)
            patch.chdir(cli.cwd)
            assert choose(AwsSettings()).transport == transport
            printed = replayed(cli, text)
        printed = printed.replace(table, "TABLE").replace(key, "KEY").replace(key.rpartition("/")[2], "KEY-ID")
        return re.sub(r"[0-9a-f]{16,}|\d\.\d+ s", "N", printed.replace(str(directory), "DIRECTORY"))

    return run


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_is_the_same_under_both(replay: Replay, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    boto, direct = (replay(transport, text) for transport in ("boto", "direct"))
    assert "TABLE" in boto, "it did not run on AWS"
    difference = "\n".join(difflib.unified_diff(boto.splitlines(), direct.splitlines(), "boto", "direct", lineterm=""))
    assert not difference, difference


def test_what_the_suite_runs_is_the_same_under_both(capsys: pytest.CaptureFixture[str]) -> None:
    """Here what ``put`` does, in some 20 s of processor time; ``make test-transports`` takes the whole suite."""
    assert main(["tests/cli/test_put.py"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "transport direct: credentials from the environment"),
        ({"DYNASTASH_TRANSPORT": "boto"}, "transport boto: DYNASTASH_TRANSPORT says so"),
        ({"NO_PROXY": "*", "HTTP_PROXY": "http://127.0.0.1:9"}, "transport boto: HTTP_PROXY is set"),
    ],
)
def test_verbose_says_which_transport_and_why(aws: Cli, variables: dict[str, str], said: str) -> None:
    done = aws.real("-v", "list", env={**aws.variables, **variables})
    assert done.code == 0
    assert said in done.err.splitlines()
    assert "transport" not in aws.real("-v", "list", env={**aws.variables, "DYNASTASH_ENV": "local"}).err


def test_a_transport_that_cannot_be_used_is_a_clear_error(aws: Cli) -> None:
    for variables, said in (
        ({"DYNASTASH_TRANSPORT": "direct", "AWS_USE_FIPS_ENDPOINT": "true"}, "use_fips_endpoint is set"),
        ({"DYNASTASH_TRANSPORT": "quick"}, "DYNASTASH_TRANSPORT is neither boto nor direct"),
    ):
        done = aws.real("list", env={**aws.variables, **variables})
        assert (done.code, done.text) == (2, "")
        assert said in done.err
        assert "hint: unset DYNASTASH_TRANSPORT: " in done.err


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        ("AWS_REGION", {}),
        ("AWS_SECRET_ACCESS_KEY", {}),
        ("AWS_ACCESS_KEY_ID", {}),
        ("AWS_REGION", {"AWS_PROFILE": "nobody"}),
        ("", {"AWS_ACCESS_KEY_ID": "not an id"}),
        ("", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
        ("", {"AWS_ENDPOINT_URL": "nonsense"}),
    ],
)
def test_what_is_wrong_is_said_the_same(aws: Cli, taken: str, given: dict[str, str]) -> None:
    variables = {name: value for name, value in {**aws.variables, **given}.items() if name != taken}
    boto, direct = (
        aws.real("get", "n", env={**variables, "DYNASTASH_TRANSPORT": transport}) for transport in ("boto", "direct")
    )
    assert boto.code != 0
    assert direct == boto


def test_what_is_boto3s_to_complain_of_is_left_to_it(aws: Cli) -> None:
    (aws.cwd / "broken").write_text("[default]\nnonsense\n")
    variables = {**aws.variables, "AWS_CONFIG_FILE": "broken"}
    chosen = aws.real("get", "n", env=variables)
    assert chosen.code == 2
    assert chosen == aws.real("get", "n", env={**variables, "DYNASTASH_TRANSPORT": "boto"})
    forced = aws.real("get", "n", env={**variables, "DYNASTASH_TRANSPORT": "direct"})
    assert "the direct transport cannot be used" in forced.err


def test_credentials_that_boto3_finds_make_no_difference(aws: Cli) -> None:
    """Right ones, and each kind of wrong ones: the same output and the same complaint under both transports."""
    process = aws.cwd / "process"
    process.write_text(
        """#!/bin/sh\necho '{"Version": 1, "AccessKeyId": "AKIATEST", "SecretAccessKey": "made-up"}'\n"""
    )
    process.chmod(0o700)
    role = "role_arn = arn:aws:iam::123456789012:role/x\n"
    (aws.cwd / "config").write_text(
        f"[profile right]\ncredential_process = {process}\n[profile wrong]\ncredential_process = false\n"
        "[profile sso]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
        "sso_account_id = 123456789012\nsso_role_name = dev\n"
        f"[profile web]\n{role}web_identity_token_file = /nowhere/token\n"
        f"[profile lost]\n{role}source_profile = nobody\n"
    )
    variables = {**aws.variables, "AWS_CONFIG_FILE": "config", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    codes = []
    for profile, *arguments in (
        ("right", "put", "n", "-"),
        ("right", "get", "n"),
        ("right", "get", "other"),
        ("right", "list"),
        ("wrong", "get", "n"),
        ("sso", "get", "n"),
        ("web", "get", "n"),
        ("lost", "get", "n"),
    ):
        boto, direct = (
            aws.real(
                *arguments, given=b"x", env={**variables, "AWS_PROFILE": profile, "DYNASTASH_TRANSPORT": transport}
            )
            for transport in ("boto", "direct")
        )
        codes.append(boto.code)
        if arguments[0] != "put":  # which says the version, and the second one is another
            assert direct == boto
        assert len(boto.err.splitlines()) <= 2
    assert codes[:2] == [0, 0] and 0 not in codes[4:]
    told = aws.real("-v", "get", "n", env={**variables, "AWS_PROFILE": "right"})
    assert "transport direct: credentials from boto3 (a credential process)" in told.err.splitlines()
