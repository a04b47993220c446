"""docs/how-to/move-from-credstash.md: its commands are run, on a small table that has one of each kind of trouble."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynastash.credstash.contexts import Contexts
from dynastash.credstash.opening import Opener
from tests.cli.runner import Cli
from tests.cli.test_documents import ROOT, normal
from tests.credstash.kit import OldTable, create_table
from tests.engines import servers
from tests.engines.engine import REGION, Engine

pytestmark = pytest.mark.engine

TEXT = (ROOT / "docs/how-to/move-from-credstash.md").read_text(encoding="utf-8")
BILLING = {"env": "prod"}


class Old(OldTable):
    """The table by its usual name, under its usual key."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.transport = engine.transport
        self.name = "credential-store"
        self.key = engine.create_key()
        engine.client("kms").create_alias(AliasName="alias/credstash", TargetKeyId=self.key)
        create_table(engine, self.name)

    def fill(self) -> None:
        """A secret as it should be, an odd name, a context, versions of the first release, and damage."""
        for number, comment in enumerate(("initial", "rotated", "rotated"), 1):
            self.add("app1.db.password", f"{number:019}", b"made up %d" % number, comment={"S": comment})
        self.add("app1 token", f"{1:019}", b"made up")
        self.add("billing/key", f"{1:019}", b"made up", BILLING)
        for label in ("8", "9", "10"):
            self.add("legacy", label, b"made up " + label.encode())
        self.add("broken", f"{1:019}", b"made up", hmac={"S": "00" * 32})

    def served(self, name: str) -> bytes:
        """What credstash's readers get."""
        item = self.table.latest(name)
        assert item is not None
        return Opener(self.keys(), Contexts({}, {"billing/*": BILLING})).open(item).value.expose()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    (tmp_path / "engine").mkdir()
    with servers.ministack(tmp_path / "engine") as url:
        made = Old(Engine("ministack", url))
        made.fill()
        yield made


@pytest.fixture
def cli(old: Old, tmp_path: Path) -> Cli:
    (tmp_path / "cwd").mkdir()
    made = Cli(tmp_path, tmp_path / "cwd")
    made.variables |= {
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": old.engine.endpoint_url,
        "DYNASTASH_DATA": str(tmp_path / ".local/share/dynastash"),
    }
    return made


def steps() -> Iterator[tuple[str, str, list[str]]]:
    """Each command with the language of its block and the lines below it."""
    for language, block in re.findall(r"^```(console|sh)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        if language == "sh":
            yield from ((language, line, []) for line in block.splitlines())
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield language, command, shown


@contextlib.contextmanager
def going_on(cli: Cli, command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service, until the end."""
    running = subprocess.Popen(["sh", "-c", f"exec {command}"], env=cli.variables, cwd=cli.cwd)
    try:
        yield running
        assert running.poll() is None
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait()


def test_the_move_is_carried_out(cli: Cli, old: Old) -> None:
    """Each command in turn; nothing changes the old table before `publish`, and readers there get what is put here."""
    before = old.items()
    seen: dict[str, Any] = {}
    with contextlib.ExitStack() as services:
        for language, command, expected in steps():
            if "--watch" in command:
                services.enter_context(going_on(cli, f"{command} --interval 1s"))
                continue
            done = cli.shell(f"{{ {command}\n}} 2>&1")
            if language == "console":
                assert sorted(normal(done.text).splitlines()) == sorted(normal("\n".join(expected)).splitlines()), (
                    command
                )
            else:
                assert done.code == 0, done.text
            if not command.startswith("dynastash publish") and "publish" not in seen:
                assert old.items() == before
            seen[command.split()[1] if command.startswith("dynastash") else "put"] = done
        assert {"migrate", "deploy", "doctor", "get", "history", "publish", "put"} <= seen.keys()
        while old.served("app1.db.password") != b"battery staple":  # the service carries it over
            time.sleep(0.05)
    assert old.served("app1 token") == b"made up"
    assert old.served("legacy") == b"made up 9"
    assert old.served("billing/key") == b"made up"
    again = cli.real(
        *["migrate", "--from", "credstash:credential-store", "--context-of", "billing/key", "env=prod"], "-e", "prod"
    )
    assert "wrote nothing" in again.err


def test_every_command_that_is_named_is_one(cli: Cli) -> None:
    """With its options: a how-to outlives them otherwise."""
    for command, options in re.findall(r"`dynastash ([a-z]+)([^`]*)`", TEXT):
        text = cli.real(command, "--help").text
        for option in re.findall(r"(?<=\s)(--?[a-z-]+)", options.split(" -- ")[0]):
            assert option in text, (command, option)
