"""docs/how-to/rotate.md: its commands do what they show, and its program rotates a real PostgreSQL's password."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "how-to" / "rotate.md").read_text(encoding="utf-8")
SCRIPTS = Path(sys.executable).parent
SERVERS = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *map(Path, filter(None, [shutil.which("initdb")]))]
OLD = "an old pass:word\\ with everything"


def _blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found
    return found


def _normal(text: str) -> str:
    """Without the place of the store."""
    return re.sub(r"\S*/dynastash/local\.db", "STORE", text).strip()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a stranger: nothing configured, nothing stored."""
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}


def test_commands_do_what_they_show(home: dict[str, str], tmp_path: Path) -> None:
    """Every console block, in order, in an empty home."""
    shown: list[tuple[str, list[str]]] = []
    for line in "".join(_blocks("console")).splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    for command, expected in shown:
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=home, cwd=tmp_path, text=True
        )
        assert _normal(done.stdout) == _normal("\n".join(expected)), command


def test_programs_are_python() -> None:
    for block in _blocks("python"):
        compile(block, "rotate.md", "exec")


@pytest.fixture
def server() -> Iterator[dict[str, str]]:
    """A PostgreSQL server of its own on a socket of its own, which asks everybody for a password; libpq's variables."""
    initdb = SERVERS[0]
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="dynastash-pg-") as directory:
        data, password = Path(directory, "data"), Path(directory, "password")
        password.write_text("superuser")
        if user:
            shutil.chown(directory, user)
            shutil.chown(password, user)
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "-N"],
            user=user,
            cwd=directory,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        options = f"-c listen_addresses='' -c unix_socket_directories='{directory}' -c fsync=off -c log_statement=all"
        control = [initdb.with_name("pg_ctl"), "-D", data, "-w", "-s"]
        log = Path(directory, "log")
        subprocess.run([*control, "-l", log, "-o", options, "start"], user=user, cwd=directory, check=True)
        try:
            yield {"PGHOST": directory, "PGDATABASE": "postgres", "LOG": str(log)}
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], user=user, cwd=directory, check=True)


@pytest.mark.skipif(not SERVERS or not shutil.which("psql"), reason="PostgreSQL is not installed")
def test_the_program_rotates_a_password(home: dict[str, str], server: dict[str, str], tmp_path: Path) -> None:
    """Rotated, then rotated again; a set that has gone through already; a pending password that does not work."""
    log = Path(server.pop("LOG"))
    program = tmp_path / "set-db-password"
    program.write_text(_blocks("python")[0])
    program.chmod(0o700)
    environment = home | server

    def sql(role: str, password: str, statement: str) -> bool:
        variables = environment | {"PGUSER": role, "PGPASSWORD": password}
        return subprocess.run(["psql", "-qXw", "-c", statement], env=variables, capture_output=True).returncode == 0

    def dynastash(*arguments: str, value: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPTS / "dynastash"), *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, input=value, capture_output=True, text=True)

    def rotate(*options: str) -> subprocess.CompletedProcess[str]:
        return dynastash("rotate", "app1/db/password", *options, "--", "./set-db-password", "app1")

    assert sql("postgres", "superuser", f"CREATE ROLE app1 LOGIN PASSWORD $${OLD}$$")
    assert dynastash("put", "app1/db/password", value=OLD).returncode == 0

    passwords = [OLD]
    for options in ((), ("--alphabet", "symbols", "--length", "60")):
        done = rotate(*options)
        assert done.returncode == 0, done.stderr
        assert "FATAL" not in done.stderr
        passwords.append(dynastash("get", "app1/db/password").stdout)
        assert sql("app1", passwords[-1], "SELECT 1")
        assert not sql("app1", passwords[-2], "SELECT 1")
    assert len(set(passwords)) == 3
    statements = log.read_text()
    assert "ALTER ROLE" in statements
    assert not any(password in statements for password in passwords[1:])

    # Stopped between set and finish: the target has the pending value, and set is run again.
    assert dynastash("rotate", "app1/db/password", "--", "sh", "-c", "./set-db-password app1 set; exit 1").returncode
    assert not sql("app1", passwords[-1], "SELECT 1")
    resumed = rotate("--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert sql("app1", dynastash("get", "app1/db/password").stdout, "SELECT 1")

    # Somebody else has changed the password: nothing becomes current.
    current = dynastash("get", "app1/db/password").stdout
    assert sql("postgres", "superuser", "ALTER ROLE app1 PASSWORD 'changed'")
    failed = rotate()
    assert failed.returncode == 1
    assert "set: the pending password does not work" in failed.stderr
    assert dynastash("get", "app1/db/password").stdout == current
