"""The documentation as a whole: links that lead somewhere, pages that are found, and a map of the code that is true."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> set[tuple[Path, str]]:
    """File and anchor that ``page`` links to, but for other sites."""
    found = [link for link in _LINK.findall(_FENCED.sub("", page.read_text())) if "://" not in link]
    return {((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in map(_cut, found)}


def _cut(link: str) -> tuple[str, str, str]:
    return link.partition("#")


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of the headings of ``page``."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    for target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), (target, anchor)


def test_every_page_is_found_from_the_readme() -> None:
    """Each by a link of its own; decisions by their list, which counts them without a gap."""
    named = {target for target, _ in links(ROOT / "README.md")}
    decisions = {page for page in PAGES if re.match(r"\d{4}-", page.name)}
    assert set(PAGES) - named - decisions == {ROOT / "README.md"}
    assert decisions <= {target for target, _ in links(ROOT / "docs" / "adr" / "README.md")}
    assert sorted(int(page.name[:4]) for page in decisions) == list(range(1, len(decisions) + 1))


def test_the_map_of_the_code_has_its_layers() -> None:
    """CONTRIBUTING's table names what setup.cfg does, layer by layer."""
    contracts = ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    kept = contracts["importlinter:contract:layers"]["layers"].split("\n")
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| layer | what |")[1].split("\n\n")[0]
    told = [set(re.findall(r"`([^`]+)`", row.split(" | ")[0])) for row in table.splitlines()[2:]]
    assert told == [set(re.findall(r"\w+", layer)) for layer in kept if layer]
