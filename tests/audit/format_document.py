"""Reads the worked numbers out of docs/audit-format.md, so that tests can hold them true."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "audit-format.md"
_VECTOR = re.compile(r"<!-- vector: (?P<name>[a-z0-9-]+) -->\n+```[a-z]*\n(?P<text>.*?)\n```", re.S)


@cache
def vectors() -> dict[str, str]:
    """All fenced blocks that follow a vector comment, by the comment's name."""
    return {match["name"]: match["text"] for match in _VECTOR.finditer(DOCUMENT.read_text("utf-8"))}


def vector(name: str) -> str:
    """One block without its last newline; KeyError when the document has none of that name."""
    return vectors()[name]
