"""credstash's command line as a black box: the drop-in, in this process or as a real one, and credstash itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from credstash.cli.run import run
from tests.cli.runner import Done, streams
from tests.credstash.kit import OldTable
from tests.engines.engine import REGION, Engine

ROOT = Path(__file__).parents[2]
ALIAS = "alias/credstash"


def variables(engine: Engine, home: Path) -> dict[str, str]:
    """What a process needs to reach ``engine`` and nothing else."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": engine.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


class Program(Protocol):
    """A credstash: words in, exit code and output back. ``cwd`` is where it runs."""

    real: bool
    cwd: Path

    def __call__(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> Done: ...


class DropIn:
    """The drop-in in this process."""

    real = False

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd

    def __call__(
        self,
        *words: str,
        given: bytes | None = None,
        env: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
        terminal: bool = False,
    ) -> Done:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            with streams(given, encoding, terminal) as (out, err):
                code = run(list(words))
        return Done(code, out.getvalue(), err.getvalue().decode(encoding))

    def ok(self, *words: str, given: bytes | None = None) -> Done:
        """Insist on success."""
        done = self(*words, given=given)
        assert done.code == 0, done.err
        return done


class Process:
    """A credstash as a process: ``command`` and the words."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path, *, real: bool) -> None:
        self.command, self.env, self.cwd, self.real = command, env, cwd, real

    def __call__(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> Done:
        stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if given is None else {"input": given}
        done = subprocess.run(
            [*self.command, *words], env={**self.env, **(env or {})}, cwd=self.cwd, capture_output=True, **stdin
        )
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def dropin_command() -> list[str]:
    """The drop-in as a process, from this checkout."""
    return [sys.executable, "-m", "credstash"]


def ensure_alias(engine: Engine, region: str = REGION) -> str:
    """The ARN of the key behind ``alias/credstash`` on ``engine``, which all tests share."""
    make: Any = engine.session().client
    client = make("kms", region_name=region, endpoint_url=engine.endpoint_url)
    if not any(alias["AliasName"] == ALIAS for alias in client.list_aliases()["Aliases"]):
        client.create_alias(AliasName=ALIAS, TargetKeyId=client.create_key()["KeyMetadata"]["KeyId"])
    return str(client.describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"])


class Old(OldTable):
    """A new, empty table of credstash's, with the key that its commands use."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.key = ensure_alias(engine)

    def rewrite(self, name: str, version: str, **attributes: Any) -> None:
        """Put an item again with other attributes; None takes one away."""
        (item,) = [one for one in self.items() if (one["name"]["S"], one["version"]["S"]) == (name, version)]
        self.put({key: value for key, value in {**item, **attributes}.items() if value is not None})
