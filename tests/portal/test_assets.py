"""Nothing inline anywhere, so that the content security policy can stay as strict as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.isolation import REPOSITORY

TEMPLATES = sorted(
    [
        *(REPOSITORY / "templates").rglob("*.html"),
        *(REPOSITORY / "techno" / "portal" / "templates").rglob("*.html"),
    ]
)
ASSETS = REPOSITORY / "techno" / "portal" / "assets" / "portal"
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)", re.IGNORECASE)
INLINE_STYLE = re.compile(r"<style\b|\sstyle\s*=", re.IGNORECASE)
HANDLER = re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE)
FOREIGN = re.compile(r"""(?:src|href|url|from|import)\s*[=(]?\s*["']?(?:https?:)?//""")
UNSAFE = re.compile(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b")
LINES_MOST = 80


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_no_script_style_or_handler(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for forbidden in (INLINE_SCRIPT, INLINE_STYLE, HANDLER, FOREIGN):
        assert not forbidden.search(text), forbidden.pattern
    assert "|safe" not in text.replace("help_text|safe", "")
    assert "autoescape off" not in text


@pytest.mark.parametrize("path", sorted(ASSETS.glob("*.js")), ids=lambda path: path.name)
def test_a_module_is_small_and_makes_no_html(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not UNSAFE.search(text)
    assert not FOREIGN.search(text)
    assert len(text.splitlines()) <= LINES_MOST


def test_the_entry_loads_every_module_once() -> None:
    entry = (ASSETS / "portal.js").read_text(encoding="utf-8")
    loaded = re.findall(r'from "\./(\w+\.js)"', entry)
    assert sorted(loaded) == sorted(p.name for p in ASSETS.glob("*.js") if p.name != "portal.js")


def test_there_is_one_stylesheet_and_it_loads_nothing() -> None:
    (sheet,) = ASSETS.glob("*.css")
    text = sheet.read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text


def test_both_ways_to_the_dark_colours_are_the_same() -> None:
    text = (ASSETS / "portal.css").read_text(encoding="utf-8")
    chosen = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', text, re.DOTALL)
    system = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', text, re.DOTALL)
    assert chosen is not None
    assert system is not None
    assert chosen.group(1).split() == system.group(1).split()
