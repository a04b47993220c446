"""README and tutorial are run: every console block line by line, every Python block, in an empty home."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/tutorial.md")


def blocks(document: str, language: str) -> str:
    """All code blocks of ``language`` in a document, one after the other."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no {language} block"
    return "".join(found)


def normal(text: str) -> str:
    """Without what differs from run to run: the home, the user, the moment, and the width of their columns."""
    text = re.sub(r"\S*/dynastash/local\.db", "STORE", text)
    text = re.sub(r"local:\S+", "AUTHOR", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "MOMENT", text)
    text = re.sub(r"-{3,}", "---", text)
    return "\n".join(re.sub(r" +", " ", line).strip() for line in text.splitlines())


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a stranger: nothing configured, nothing stored."""
    scripts = Path(sys.executable).parent
    return {"PATH": f"{scripts}:/usr/bin:/bin", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_console_blocks_do_what_they_show(document: str, home: dict[str, str], tmp_path: Path) -> None:
    """Each command's output, standard error included, is what the document prints below it."""
    shown: list[tuple[str, list[str]]] = []
    for line in blocks(document, "console").splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    for command, expected in shown:
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=home, cwd=tmp_path, text=True
        )
        assert normal(done.stdout) == normal("\n".join(expected)), command


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_blocks_run(document: str, home: dict[str, str], tmp_path: Path) -> None:
    """The library's examples, with the secrets that the text has put before."""
    prepare = "import dynastash; dynastash.connect().put('app1/db/password', 'x')" if "tutorial" in document else ""
    code = blocks(document, "python")
    for program in (prepare, code):
        done = subprocess.run([sys.executable, "-c", program], env=home, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
