"""Nobody waits for modules that a command does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.runner import Cli, on_aws
from tests.engines.engine import Engine

NEVER = ("boto3", "botocore", "xkcdpass", "asyncio", "concurrent.futures", "logging", "email", "http", "urllib.request")
NEVER += ("importlib.metadata", "importlib.resources", "pkg_resources", "tomllib", "keyring", "dynastash.testing")
NEVER += ("dynastash.aws.boto", "dynastash.keys.kms", "dynastash.stores.dynamodb", "dynastash.deploy.deployer")
TABLES = ("tabulate", "yaml", "wcwidth")
PROGRAMS = ("subprocess", "dynastash.rotation.command", "dynastash.rotation.process")
SELDOM = ("traceback", "getpass", "socket", "cryptography.hazmat.primitives.serialization")


def loaded(cli: Cli, *arguments: str, **variables: str) -> set[str]:
    """The modules that a command line loads in a fresh process, and the packages that hold them."""
    program = (
        "import sys\n"
        "from dynastash.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        "print(code, *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**cli.variables, **variables},
        cwd=cli.cwd,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["get", "n"], (*TABLES, *PROGRAMS, *SELDOM, "difflib", "dynastash.cli.put", "click.shell_completion")),
        (["get", "n", "-o", "json"], (*TABLES, *PROGRAMS, *SELDOM)),
        (["list", "-o", "json"], (*TABLES, *PROGRAMS, *SELDOM, "cryptography")),
        (["put", "n", "x"], (*TABLES, *PROGRAMS, "difflib", "traceback")),
        (["generate", "m"], (*TABLES, *PROGRAMS, "difflib", "traceback")),
        (["--help"], (*TABLES, *PROGRAMS, *SELDOM, "cryptography", "sqlite3")),
        (["put", "--help"], (*TABLES, *PROGRAMS, *SELDOM, "cryptography", "sqlite3")),
        (["--version"], (*TABLES, *PROGRAMS, *SELDOM, "cryptography", "sqlite3", "dynastash.config")),
        (["completion", "bash"], (*TABLES, *PROGRAMS, *SELDOM, "cryptography", "sqlite3")),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_command_loads_what_it_uses(cli: Cli, arguments: list[str], unwanted: tuple[str, ...]) -> None:
    """On the embedded store, nothing of AWS; and no table where none is printed."""
    cli.ok("put", "n", given=b"x")
    modules = loaded(cli, *arguments)
    assert "dynastash.cli.app" in modules
    assert sorted(modules & {*NEVER, *unwanted}) == []


@pytest.mark.parametrize("line", ["dynastash get ", "dynastash ", "dynastash get --"])
def test_completion_loads_what_it_uses(cli: Cli, line: str) -> None:
    """Between a key pressed and its effect."""
    cli.ok("put", "n", given=b"x")
    modules = loaded(cli, _DYNASTASH_COMPLETE="bash", COMP_LINE=line)
    assert "dynastash.cli.completion" in modules
    assert sorted(modules & {*NEVER, *TABLES, *PROGRAMS, "traceback", "cryptography.hazmat.primitives"}) == []


def test_a_plain_template_needs_no_jinja2(cli: Cli) -> None:
    """Nor anything of the cache's or the event loop's."""
    cli.ok("put", "n", given=b"x")
    (cli.cwd / "t").write_text("{{ dynastash://n }}")
    modules = loaded(cli, "render", "t", "--out", "o")
    assert sorted(modules & {*NEVER, *TABLES, *PROGRAMS, "jinja2", "dynastash.cache", "dynastash.aio"}) == []
    (cli.cwd / "t.j2").write_text("x")
    assert "jinja2" in loaded(cli, "render", "t.j2", "--out", "o")


def test_a_table_needs_tabulate_and_no_more(cli: Cli) -> None:
    """tabulate loads modules of its own; ours stay out."""
    cli.ok("put", "n", given=b"x")
    modules = loaded(cli, "list")
    assert "tabulate" in modules
    assert sorted(modules & {"boto3", "botocore", "yaml", "asyncio", "cryptography", *PROGRAMS}) == []


@pytest.mark.parametrize("way", [["--secret", "N=n"], ["--prefix", "n", "--keep-prefix"], ["--env-file", "app.env"]])
def test_run_becomes_its_program_without_detours(cli: Cli, way: list[str]) -> None:
    """Nothing of what supervises one, encodes values or starts a second process; the exec is where we look."""
    cli.ok("put", "n", given=b"x")
    (cli.cwd / "app.env").write_text("N=dynastash://n\n")
    unwanted = {*NEVER, *TABLES, *PROGRAMS, *SELDOM, "dataclasses", "selectors", "tempfile"}
    unwanted |= {f"dynastash.{name}" for name in ("masking", "encodings", "running.supervisor", "running.supervised")}
    program = (
        "import os, sys\n"
        "os.execve = lambda *_: (print(0, *sys.modules, file=sys.stderr), os._exit(0))\n"
        "from dynastash.cli.app import run\n"
        "run(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", *way, "--", "true"], env=cli.variables, cwd=cli.cwd, capture_output=True,
        text=True,
    )  # fmt: skip
    modules = set(done.stderr.split())
    assert "dynastash.running.launch" in modules, done.stderr
    assert sorted(modules & unwanted) == []


def test_these_tests_see_what_is_loaded(cli: Cli) -> None:
    """Were the modules' names to change, nothing unwanted would ever be found: here they are wanted."""
    cli.ok("put", "n", given=b"x")
    assert {"yaml", "cryptography.hazmat.primitives"} <= loaded(cli, "get", "n", "-o", "yaml")
    assert {"subprocess", "dynastash.rotation.command"} <= loaded(cli, "rotate", "n", "--length", "32", "--", "true")
    assert {"getpass", "socket"} <= loaded(cli, "put", "n", "x")


ON_AWS = (
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "email",
    "http",
    "inspect",
    "logging",
    "pathlib",
    "platformdirs",
)
ON_AWS += ("boto3", "botocore", "urllib", "urllib3", "random", "sqlite3", "subprocess", "tabulate", "yaml")
ON_AWS += ("dynastash.aws.boto", "dynastash.keys.local", "dynastash.stores.sqlite", "dynastash.stash.verify")
ON_AWS += ("dynastash.generate", "dynastash.stash.lifecycle", "dynastash.stash.rotation", "dynastash.aws.direct.flight")


@pytest.mark.engine
@pytest.mark.parametrize(
    ("line", "given", "unwanted"),
    [
        ("get n", None, ("click", "json.tool", "dynastash.stash.writer", "dynastash.references", "getpass")),
        ("put n", b"another", ("click", "dynastash.references", "getpass")),
        ("get n -o json", None, ("dynastash.stash.writer", "getpass")),
        ("list -o json", None, ("cryptography", "dynastash.stash.writer")),
    ],
)
def test_on_aws_a_command_loads_what_it_uses(
    cli: Cli, ministack: Engine, line: str, given: bytes | None, unwanted: tuple[str, ...]
) -> None:
    """No SDK, nothing of the embedded store; and of click only what click has to parse."""
    on_aws(cli, ministack)
    assert cli.real("put", "n", given=b"value").code == 0
    program = "import sys\nfrom dynastash.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{program}", *line.split()],
        env=cli.variables,
        cwd=cli.cwd,
        capture_output=True,
        input=given or b"",
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stderr.decode().splitlines()[-1].split())
    assert "dynastash.aws.direct.transport" in modules
    unexpected = modules & {*ON_AWS, *unwanted}
    if "click" in modules:  # which loads some of these itself
        unexpected -= {"dataclasses", "inspect", "pathlib", "urllib", "random"}
    assert sorted(unexpected) == []
