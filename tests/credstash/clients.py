"""The real clients of the format, as ``make old-clients`` installs them: credstash and its two ports to Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engines.engine import REGION, Engine

_HERE = Path(__file__).parent
INSTALLED = _HERE.parents[1] / ".clients"

Call = tuple[str, Mapping[str, Any]]
"""One of credstash's functions, and its arguments."""

Result = tuple[Any, str | None]
"""What came back, or the error's class and text."""


def require_credstash() -> Path:
    """The interpreter that has credstash; skips without."""
    python = INSTALLED / "credstash/bin/python"
    if not python.exists():
        pytest.skip("the real credstash is not installed: `make old-clients` does it")
    return python


def require_node() -> Path:
    """The directory with the Node clients; skips without."""
    modules = INSTALLED / "node/node_modules"
    if shutil.which("node") is None or not (modules / "nodecredstash").exists():
        pytest.skip("credstash's ports to Node are not installed: `make old-clients` does it where npm is there")
    return modules


def variables(engine: Engine) -> dict[str, str]:
    """The environment of a client that shall find ``engine``, and nothing of the developer's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": engine.endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def credstash(engine: Engine, calls: Sequence[Call]) -> list[Result]:
    """Make ``calls`` with the real credstash, all in one process."""
    done = subprocess.run(
        [require_credstash(), _HERE / "driver.py"],
        input=json.dumps(calls),
        env=variables(engine),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [(result, error) for result, error in json.loads(done.stdout)]


def credstash_command(engine: Engine, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the real executable."""
    command = [require_credstash().with_name("credstash"), *arguments]
    return subprocess.run(command, env=variables(engine), cwd=cwd, capture_output=True, text=True, check=False)


def node(
    engine: Engine,
    client: str,
    table: str,
    names: Sequence[tuple[str, Mapping[str, str] | None]],
    put: Sequence[Mapping[str, Any]] = (),
    key: str | None = None,
) -> list[Result]:
    """Read ``names``, each with its context, with ``nodecredstash`` or npm's ``credstash``.

    The former may ``put`` before that, under the KMS key ``key``.
    """
    told = {"client": client, "region": REGION, "endpoint": engine.endpoint_url, "table": table}
    if key is not None:
        told["key"] = key
    done = subprocess.run(
        ["node", _HERE / "reader.js"],
        input=json.dumps({**told, "names": names, "put": put}),
        env={**variables(engine), "CLIENTS": str(require_node())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [(result, error) for result, error in json.loads(done.stdout)]
