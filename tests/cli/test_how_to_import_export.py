"""docs/how-to/import-export.md and docs/reference/formats.md: every command is run, and every format is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dynastash.cli.transfer import GITHUB
from dynastash.transfer.formats import FORMATS
from tests.cli.test_documents import ROOT, blocks, normal

DOCUMENT = "docs/how-to/import-export.md"


def test_the_document_is_carried_out(tmp_path: Path) -> None:
    """Each command's output, standard error included, is what stands below it."""
    home = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    shown: list[tuple[str, list[str]]] = []
    for line in blocks(DOCUMENT, "console").splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    for command, expected in shown:
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=home, cwd=tmp_path, text=True
        )
        assert normal(done.stdout) == normal("\n".join(expected)), command


def test_every_format_is_in_the_reference() -> None:
    """With the files that it is guessed from."""
    text = (ROOT / "docs/reference/formats.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z][a-z-]+)` \|([^|]*)\|", text, re.MULTILINE))
    assert {name: re.findall("`([^`]+)`", guessed) for name, guessed in rows.items()} == {
        **{name: list(known.suffixes) for name, known in FORMATS.items()},
        GITHUB: [],
    }
