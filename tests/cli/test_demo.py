"""docs/demo.sh, which `make demo` runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.cli.runner import Cli

SCRIPT = Path(__file__).parents[2] / "docs/demo.sh"


def test_the_demo_runs(cli: Cli) -> None:
    """To its end, with what each command says below it, and without touching anything but .demo/."""
    (cli.cwd / "dynastash.toml").write_text("this is not for the demo\n")
    done = subprocess.run(
        ["sh", str(SCRIPT)],
        env={**cli.variables, "DYNASTASH_ENV": "prod", "DYNASTASH_LOCAL_KEY": "nonsense"},
        cwd=cli.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    blocks = dict(block.partition("\n")[::2] for block in done.stdout.split("\n$ ")[1:])
    assert len(blocks) <= 12
    for command, shown in blocks.items():
        assert "dynastash " in command
        assert shown.strip(), command
    said = "".join(blocks.values())
    assert "correct horse\n" in blocks["dynastash get app1/db/password && echo"]
    assert "error: there is no secret app1/db/pasword\n" in said and "exit code 3" in said
    assert "\n40\n" in "\n" + said
    assert said.count("error:") == 1
    assert sorted(os.listdir(cli.cwd)) == [".demo", "dynastash.toml"]
    assert not (cli.directory / "data").exists()


def test_the_demo_can_be_run_again(cli: Cli) -> None:
    """It begins anew."""
    for _ in range(2):
        done = subprocess.run(["sh", str(SCRIPT)], env=cli.variables, cwd=cli.cwd, capture_output=True, text=True)
        assert "put app1/db/password: version 1 in local" in done.stdout
