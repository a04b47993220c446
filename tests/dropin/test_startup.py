"""Nobody waits for modules that a command does not use; and the drop-in's get makes the calls that it must."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.test_startup import ON_AWS
from tests.dropin.kit import ROOT, DropIn, Old

HEAVY = {*ON_AWS, "click", "argparse", "getopt", "traceback", "getpass", "tomllib", "dynastash.wiring"}
HEAVY -= {"dynastash.aws.direct.flight"}


def modules(*words: str) -> set[str]:
    """What a command line loads in a fresh process."""
    program = (
        f"import sys; sys.path[:] = {[str(ROOT), str(ROOT / 'dropin'), *sys.path]!r}\n"
        "from credstash.cli import main\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program, *words], capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.decode().splitlines()[-1].split())


@pytest.mark.engine
@pytest.mark.parametrize(
    ("line", "unwanted"),
    [
        ("get n", {"json.tool", "csv", "dynastash.credstash.reader", "dynastash.stash.api", "credstash.formats"}),
        ("put n x -a", {"csv", "dynastash.credstash.reader", "dynastash.stash.api", "credstash.formats"}),
        ("list", {"csv", "cryptography", "dynastash.stash.api", "credstash.formats"}),
        ("getall", {"csv", "dynastash.stash.api", "credstash.environment"}),
    ],
)
def test_a_command_loads_what_it_uses(old: Old, credstash: DropIn, line: str, unwanted: set[str]) -> None:
    """No SDK and no parser of arguments; the environments' part only over one."""
    credstash.ok("put", "n", "x")
    found = modules(*line.split())
    assert "dynastash.aws.direct.transport" in found
    assert sorted(found & (HEAVY | unwanted)) == []


@pytest.mark.engine
def test_importing_the_module_loads_nothing(home: object) -> None:
    """Ansible imports it whether it is used or not."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'dropin')!r}]\n"
        "import credstash\nprint(*[one for one in sys.modules if one.split('.')[0] in ('credstash', 'dynastash')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["credstash"]


def test_help_loads_next_to_nothing(home: object) -> None:
    """Neither a store nor a transport."""
    found = modules("--help")
    unwanted = {"credstash.access", "credstash.cli.verbs", "dynastash.config", "dynastash.models", "cryptography"}
    assert sorted(found & (HEAVY | unwanted)) == []
