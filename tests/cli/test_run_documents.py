"""docs/how-to/run.md and entrypoints.md are carried out: every command, unit, entrypoint, crontab, step and .envrc."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.runner import Cli
from tests.cli.terminal import PATIENCE
from tests.cli.test_documents import ROOT, blocks, normal

ENTRYPOINTS = "docs/how-to/entrypoints.md"
SERVER = """#!/bin/sh
echo "$0 $* with $DB_PASSWORD in process $$"
"""
CONFIGURATION = "".join(f'[env.{name}]\nstore = "sqlite"\npath = "{name}"\n' for name in ("prod", "ci", "dev"))


@pytest.fixture
def site(cli: Cli) -> Cli:
    """Environments of the documents' names on this machine, and the programs that they start."""
    (cli.cwd / "dynastash.toml").write_text(CONFIGURATION)
    for environment in ("prod", "ci", "dev"):
        cli.ok("put", "-e", environment, "app1/db/password", given=b"correct horse")
        cli.ok("put", "-e", environment, "app1/npm", given=b'{"token": "hunter2 and more"}')
    for program in ("server", "backup", "integration-tests", "publish"):
        (cli.cwd / program).write_text(SERVER)
        (cli.cwd / program).chmod(0o755)
    return cli


def only_block(language: str) -> str:
    """The one block of ``language`` among the entrypoints."""
    text = (ROOT / ENTRYPOINTS).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def test_every_command_of_run_does_what_it_shows(cli: Cli) -> None:
    """In one directory, one after the other; the user and the place aside."""
    shown: list[tuple[str, list[str]]] = []
    for line in blocks("docs/how-to/run.md", "console").splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    cli.variables["DYNASTASH_DATA"] = str(cli.directory / ".local/share/dynastash")
    for command, expected in shown:
        done = cli.shell(f"{{ {command}\n}} 2>&1")
        assert normal(done.text) == normal("\n".join(expected)), command


def test_systemd(site: Cli) -> None:
    """The unit's command line in its working directory, with the environment that systemd gives."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(only_block("ini"))
    argv = shlex.split(unit["Service"]["ExecStart"])
    assert argv[0] == "/usr/local/bin/dynastash"
    done = site.shell(shlex.join(["dynastash", *argv[1:]]))
    assert done.text.startswith("./server --port 8080 with correct horse in process ")
    assert done.err == ""


def entrypoint() -> tuple[list[str], list[str]]:
    """What the Dockerfile starts; the task definition starts the same."""
    lines = dict(line.split(" ", 1) for line in only_block("dockerfile").splitlines())
    docker = json.loads(lines["ENTRYPOINT"]), json.loads(lines["CMD"])
    task = json.loads(only_block("json"))
    assert (task["entryPoint"], task["command"]) == docker
    assert task["environment"] == [{"name": "DYNASTASH_ENV", "value": "prod"}]
    return docker


@pytest.mark.skipif(
    subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode != 0,
    reason="unshare may not make a pid namespace here",
)
def test_docker_and_ecs(site: Cli) -> None:
    """As process 1: it starts, `docker stop` ends it, and its exit code is the program's."""
    first, command = entrypoint()
    site.variables["DYNASTASH_ENV"] = "prod"
    isolated = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    done = site.shell(shlex.join([*isolated, *first, *command]))
    assert done.text.startswith("./server --port 8080 with correct horse in process "), done.err
    (site.cwd / "server").write_text("#!/bin/sh\ntrap 'echo bye; exit 9' TERM\necho up\nwhile :; do sleep 0.1; done\n")
    process = subprocess.Popen([*isolated, *first, *command], env=site.variables, cwd=site.cwd, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, check=True).stdout
    os.kill(int(child), signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert (out, process.returncode) == (b"bye\n", 9)


def test_cron(site: Cli) -> None:
    """The line with cron's own environment: a home, a shell, and the PATH that the table sets."""
    path, line = only_block("crontab").splitlines()
    command = line.split(None, 5)[5]
    assert path.startswith("PATH=/usr/local/bin:")
    variables = {"HOME": site.variables["HOME"], "LOGNAME": "ada", "SHELL": "/bin/sh"}
    variables["PATH"] = f"{Path(sys.executable).parent}:{path.removeprefix('PATH=')}"
    (site.cwd / "backup").write_text('#!/bin/sh\necho "$* $PGPASSWORD"\n')
    done = subprocess.run(["/bin/sh", "-c", command], env=variables, cwd=site.cwd, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("--all correct horse\n", "", 0)


def test_github_actions(site: Cli) -> None:
    """The steps one after the other, as a runner does it: masks are there first, and what is exported arrives."""
    steps = [step["run"] for step in yaml.safe_load(only_block("yaml"))["steps"] if "run" in step]
    assert steps[0] == "pip install dynastash"
    file = site.cwd / "github-env"
    site.variables |= {"GITHUB_ACTIONS": "true", "GITHUB_ENV": str(file)}
    tests, export, publish = (site.shell(step, ("bash", "-e", "-c")) for step in steps[1:])
    assert tests.text.startswith("./integration-tests  with correct horse")
    assert "::add-mask::correct horse\n" in tests.err
    assert export.err.startswith("::add-mask::hunter2 and more\nexported 1 secret of ci ")
    assert publish.code == 0
    name, value, mark = file.read_text().splitlines()
    assert (name, value) == (f"NPM_TOKEN<<{mark}", "hunter2 and more")


@pytest.mark.skipif(shutil.which("direnv") is None, reason="direnv is not installed")
def test_direnv(site: Cli) -> None:
    """A shell in the directory has the variables."""
    text = (ROOT / ENTRYPOINTS).read_text(encoding="utf-8")
    (site.cwd / ".envrc").write_text(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[-1])
    assert "direnv_load" in (site.cwd / ".envrc").read_text()
    assert site.shell("direnv allow .").code == 0
    done = site.shell("direnv exec . sh -c 'echo $DB_PASSWORD $NPM'")
    assert done.text == 'correct horse {"token": "hunter2 and more"}\n', done.err
