"""What the documents point at is there: files, headings, and the places in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.settings_in_code import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`([\w./-]+(?:\.py|\.sql|\.toml|/))`")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in _HEADING.findall(prose(page))
    }


def test_there_are_pages_to_check() -> None:
    assert {"README.md", "CHANGELOG.md", "INSTALLATION.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def places() -> list[tuple[str, str]]:
    """Return the rows of the request flow's list, as concept and cell."""
    text = (ROOT / "docs" / "request-flow.md").read_text(encoding="utf-8")
    table = text.split("## Where it is\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)
    return [row for row in rows if row[0] not in {"concept", "---"}]


@pytest.mark.parametrize(("concept", "cell"), places())
def test_every_place_of_the_request_flow_exists(concept: str, cell: str) -> None:
    paths = _PATH.findall(cell)
    assert paths, concept
    directory = ROOT
    for path in paths:
        # A name alone is a neighbour of the file before it.
        found = ROOT / path if "/" in path else directory / path
        assert found.exists(), path
        directory = found.parent


@pytest.mark.parametrize(("concept", "cell"), places())
def test_every_symbol_of_the_request_flow_is_in_its_file(concept: str, cell: str) -> None:
    for names, path in re.findall(r"((?:`\w+`(?:, )?)+) in `([\w./]+\.py)`", cell):
        code = (ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^\s*(?:def|class) {name}\b", code, re.MULTILINE), name
