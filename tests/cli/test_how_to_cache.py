"""docs/how-to/cache.md: its programs are run, against a database that is rotated under them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/cache.md"

PSYCOPG = '''
"""A database whose password stands in a file, and that counts its logins."""
import pathlib
PASSWORD = pathlib.Path("password")
attempts = []
class OperationalError(Exception): pass
class Connection: pass
def connect(*, host, dbname, user, password):
    attempts.append(password)
    if (user, password) != ("app1", PASSWORD.read_text()):
        raise OperationalError("password authentication failed")
    return Connection()
'''

SQLALCHEMY = """
def create_engine(url, *, creator, pool_pre_ping):
    return creator
"""

BEFORE = """
import dynastash
store = dynastash.connect()
store.put("app1/api/token", "first")
store.put("app1/api/token", "token")
store.put("app1/db/user", "app1")
store.put("app1/db/password", "hunter2")
import pathlib; pathlib.Path("password").write_text("hunter2")
"""

ROTATE = """
store.put("app1/db/password", "correct horse")
psycopg.PASSWORD.write_text("correct horse")
"""


def program(heading: str, number: int = 0) -> str:
    """The Python block below a heading."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = next(part for part in re.split(r"^#+ ", text, flags=re.MULTILINE) if part.startswith(heading))
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[number]


POOL = "A database pool that survives a rotation"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            program("How to use secrets")
            + "assert secrets.get('app1/api/token').text == 'correct horse battery staple'\n"
            + "assert secrets.statistics().hits == 2",
            id="first",
        ),
        pytest.param(
            program(POOL)
            + "engine()\n"
            + ROTATE
            + "assert isinstance(engine(), psycopg.Connection)\n"
            + "assert psycopg.attempts == ['hunter2', 'hunter2', 'correct horse']",
            id="pool",
        ),
        pytest.param(
            program(POOL)
            + program(POOL, 1)
            + "Pool().login()\n"
            + ROTATE
            + "assert isinstance(Pool().login(), psycopg.Connection)",
            id="methods",
        ),
        pytest.param(program("asyncio") + "assert secrets.get('app1/api/token').text == 'correct horse'", id="asyncio"),
        pytest.param(
            program("AWS Lambda")
            + "for _ in range(3): assert handler({}, None) == {'token_length': 5}\n"
            + "assert secrets.statistics().fetches == 1",
            id="lambda",
        ),
    ],
)
def test_its_programs_do_what_it_says(code: str, tmp_path: Path) -> None:
    """In an empty home."""
    (tmp_path / "psycopg.py").write_text(PSYCOPG)
    (tmp_path / "sqlalchemy.py").write_text(SQLALCHEMY)
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + code], env=home, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
