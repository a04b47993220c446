"""`dynastash run` against a running engine: what it asks of AWS, and that nothing starts where AWS says no."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynastash.keys.kms import KmsKeys
from dynastash.stash.api import Stash
from dynastash.stores.dynamodb import DynamoDBStore
from tests.engines.engine import REGION, Engine
from tests.faults.proxy import Disturbance, Exchange, Proxy
from tests.faults.troubles import refused

pytestmark = pytest.mark.engine

NAMES = [f"app1/secret-{number:02d}" for number in range(25)]


class Site:
    """An environment with 25 secrets behind a proxy, and `run` as a process."""

    def __init__(self, engine: Engine, proxy: Proxy, cwd: Path) -> None:
        self.proxy, self.cwd = proxy, cwd
        self.table, key = engine.create_table(), engine.create_key()
        self.client = engine.transport._client("dynamodb")  # type: ignore[attr-defined]
        self.stash = Stash(
            "prod", DynamoDBStore(engine.transport, self.table), KmsKeys(engine.transport, key), identity=lambda: "test"
        )
        for name in NAMES:
            self.stash.put(name, f"value of {name}")
        self.stash.put("json", '{"user": "ada", "password": "hunter2"}')
        self.variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(cwd),
            "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DYNASTASH_ENV": "prod",
            "DYNASTASH_TABLE": self.table,
            "DYNASTASH_KEY": key,
        }

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dynastash", "run", *arguments],
            env={**self.variables, **variables},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def site(ministack: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Proxy({"dynamodb": ministack.endpoint_url, "kms": ministack.endpoint_url}).running() as proxy:
        yield Site(ministack, proxy, tmp_path_factory.mktemp("site"))


def by_name() -> list[str]:
    """25 secrets as options, two of them fields of the same value."""
    return [
        argument
        for number, reference in enumerate([*NAMES[:24], "json#user", "json#password"])
        for argument in ("--secret", f"V{number}={reference}")
    ]


def test_run_of_25_secrets_is_two_reads_and_25_decrypts(site: Site) -> None:
    """By prefix: one Query of the heads, one batch of versions. By name: two batches. Each value is unwrapped once."""
    site.proxy.begin()
    done = site.run("--prefix", "app1/", "--", "env")
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("SECRET_") for line in done.stdout.splitlines()) == 25
    assert "SECRET_07=value of app1/secret-07\n" in done.stdout
    assert site.proxy.requests == {"Query": 1, "BatchGetItem": 1, "Decrypt": 25}

    site.proxy.begin()
    done = site.run(*by_name(), "--", "env")
    assert (
        "V24=ada\n" in done.stdout and "V25=hunter2\n" in done.stdout and "V3=value of app1/secret-03\n" in done.stdout
    )
    assert site.proxy.requests == {"BatchGetItem": 2, "Decrypt": 25}


def test_the_decrypts_are_under_way_together(site: Site) -> None:
    """Five at least: each waits here for four others, and in vain if they came one after the other."""
    together, alone = threading.Barrier(5), []

    def wait(exchange: Exchange) -> None:
        try:
            together.wait(timeout=20)
        except threading.BrokenBarrierError:
            alone.append(exchange.operation)
        exchange.answer(exchange.forward())

    site.proxy.begin(Disturbance("Decrypt", 1, wait, forever=True))
    done = site.run("--prefix", "app1/", "--", "echo", "started")
    assert (done.stdout, alone) == ("started\n", [])


def refused_to_start(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    for text in said:
        assert text in done.stderr
    assert "value of" not in done.stderr and "hunter2" not in done.stderr


def test_denied(site: Site) -> None:
    """By the key: each secret is named; by the table: that is. One refusal among 25 is enough."""
    deny = refused("AccessDeniedException", message="not authorized")
    site.proxy.begin(Disturbance("Decrypt", 1, deny, forever=True))
    refused_to_start(site.run("--secret", "A=json#user", "--", "echo", "started"), 4)
    refused_to_start(
        site.run("--prefix", "app1/", "--", "echo", "started"), 8, "error: 25 secrets could not be had: ", *NAMES
    )
    site.proxy.begin(Disturbance("Decrypt", 7, deny))
    refused_to_start(
        site.run("--prefix", "app1/", "--", "echo", "started"), 8, "error: 1 secret could not be had: app1/secret-"
    )
    for operation, arguments in (("Query", ["--prefix", "app1/"]), ("BatchGetItem", ["--secret", "A=json"])):
        site.proxy.begin(Disturbance(operation, 1, deny, forever=True))
        refused_to_start(site.run(*arguments, "--", "echo", "started"), 4, site.table)


def test_throttled(site: Site) -> None:
    """For a moment: it waits, and starts with everything."""
    throttle = refused("ThrottlingException", message="slow down")
    site.proxy.begin(*(Disturbance("Decrypt", number, throttle) for number in (2, 3, 9)))
    done = site.run("--prefix", "app1/", "--", "sh", "-c", "env | grep -c ^SECRET_")
    assert (done.returncode, done.stdout) == (0, "25\n"), done.stderr
    assert site.proxy.struck == 3


def test_tampered(site: Site) -> None:
    """One record that somebody edited: it is named, and nothing starts."""
    site.proxy.begin()
    key = {"name": {"S": "forged/one"}, "record": {"S": "v#0000000001"}}
    site.stash.put("forged/one", "hunter2")
    site.stash.put("forged/two", "hunter2")
    stolen = site.client.get_item(TableName=site.table, Key={**key, "name": {"S": "forged/two"}})["Item"]["ciphertext"]
    site.client.update_item(
        TableName=site.table, Key=key, UpdateExpression="SET ciphertext = :c", ExpressionAttributeValues={":c": stolen}
    )
    refused_to_start(site.run("--secret", "A=forged/one", "--", "echo", "started"), 5, "forged/one")
    done = site.run("--prefix", "forged/", "--prefix", "app1/", "--", "echo", "started")
    refused_to_start(done, 8, "error: 1 secret could not be had: forged/one: ")


def test_a_watch_asks_for_heads_only(site: Site) -> None:
    """One read a poll while nothing changes, and no Decrypt."""
    site.proxy.begin()
    done = site.run("--secret", "A=json", "--watch", "--interval", "1s", "--", "sleep", "5")
    assert (done.returncode, done.stderr) == (0, "")
    # Start and first poll fetch the value; from then on only the head is looked at.
    assert site.proxy.requests["Decrypt"] == 2
    assert site.proxy.requests["BatchGetItem"] >= 6


def test_no_network_and_no_credentials(site: Site) -> None:
    """Each in its own words, within seconds."""
    run = ("--prefix", "app1/", "--", "echo", "started")
    refused_to_start(site.run(*run, AWS_ENDPOINT_URL="http://127.0.0.1:9"), 7)
    refused_to_start(site.run(*run, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), 4, "credentials")
