"""Ansible's lookup and Puppet's shell-out, which were written for credstash, with the drop-in in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import credstash as module
from tests.dropin.kit import ROOT, Old, variables

ANSIBLE = ROOT / ".ansible"


def lookup(old: Old, home: Path, call: str) -> subprocess.CompletedProcess[str]:
    """What ``ansible`` makes of a template with that call."""
    if not (ANSIBLE / ".installed").exists():
        pytest.skip("Ansible is not installed: `make ansible` does it")
    return subprocess.run(
        [ANSIBLE / "bin/ansible", "localhost", "-m", "debug", "-a", f"msg={{{{ {call} }}}}"],
        env={
            **variables(old.engine, home),
            "PATH": f"{ANSIBLE}/bin:/usr/bin:/bin",
            "ANSIBLE_COLLECTIONS_PATH": str(ANSIBLE / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
        },
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.engine
def test_ansibles_lookup(old: Old, home: Path) -> None:
    """community.general.credstash itself: the table, a context, a version, two terms."""
    module.putSecret("db/password", "made-up old", "1", table=old.name)
    module.putSecret("db/password", "made-up", "2", table=old.name)
    module.putSecret("token", "with context", "1", table=old.name, context={"app": "my_app"})
    call = (
        f"lookup('community.general.credstash', 'db/password', table='{old.name}') ~ '|' ~ "
        f"lookup('community.general.credstash', 'db/password', table='{old.name}', version='1') ~ '|' ~ "
        f"lookup('community.general.credstash', 'token', table='{old.name}', region='eu-west-1', app='my_app')"
    )
    done = lookup(old, home, call)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"msg": "made-up|made-up old|with context"' in done.stdout


@pytest.mark.engine
def test_what_ansible_does_not_find(old: Old, home: Path) -> None:
    """It catches credstash.ItemNotFound by that name."""
    done = lookup(old, home, f"lookup('community.general.credstash', 'nothing', table='{old.name}')")
    assert done.returncode != 0
    assert "Key nothing not found" in done.stdout + done.stderr


PUPPET = r"""
import json, subprocess, sys
program, region, table, *context = sys.argv[1:]
command = program + " --region " + region + " --table " + table + " getall " + " ".join(context)
try:
    print(json.dumps(json.loads(subprocess.check_output(command, shell=True))))
except Exception:
    print("{}")
"""
"""puppet-credstash's function in Python: one shell command, whose output is JSON; {} at any failure."""


@pytest.mark.engine
def test_puppets_shell_out(old: Old, home: Path, tmp_path: Path) -> None:
    """An executable of that name, the options in front, getall and a context: a map, or {} where it fails."""
    program = tmp_path / "credstash"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m credstash "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'dropin'}"}

    def call(*words: str) -> object:
        done = subprocess.run(
            [sys.executable, "-c", PUPPET, program, "eu-west-1", old.name, *words],
            env=env, capture_output=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    module.putSecret("a", "x", "1", table=old.name, context={"env": "prod"})
    module.putSecret("b", "it's", "1", table=old.name, context={"env": "prod"})
    assert call("env=prod") == {"a": "x", "b": "it's"}
    assert call() == {}
