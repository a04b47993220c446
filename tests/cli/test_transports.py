"""The same command lines on AWS print the same, byte for byte, whichever transport carries them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dynastash.aws.base import AwsSettings
from dynastash.aws.choose import choose
from tests.cli.runner import Cli
from tests.cli.test_transcripts import TRANSCRIPTS, replayed
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine

Replay = Callable[[str, str], str]


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ministack: Engine) -> Replay:
    """Replays a transcript under a transport, on a table and a key of its own, without what differs each time."""

    def run(transport: str, text: str) -> str:
        directory = tmp_path / transport
        cwd = directory / "cwd"
        cwd.mkdir(parents=True)
        table, key = ministack.create_table(), ministack.create_key()
        cli = Cli(directory, cwd)
        cli.variables |= {
            "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": ministack.endpoint_url,
            "DYNASTASH_ENV": "dev",
            "DYNASTASH_TABLE": table,
            "DYNASTASH_KEY": key,
            "DYNASTASH_TRANSPORT": transport,
        }
        with monkeypatch.context() as patch:
            for variable, value in cli.variables.items():
                patch.setenv(variable, value)
            patch.chdir(cwd)
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
