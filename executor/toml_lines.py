"""On which line of a TOML file something stands, for complaints about what it says. Pure.

``tomllib`` tells lines only where the syntax is wrong. Tables and keys are found again by their
looks: good enough to lead a reader to the place, and wrong at worst inside a text of many lines.
"""

from __future__ import annotations

import re

_TABLE = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(
    r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=.*"""
)
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


class Lines:
    """The lines of a file's tables and keys."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if found := _TABLE.fullmatch(line):
                table = _parts(found[1])
                self._note(table, number)
            elif found := _KEY.fullmatch(line):
                self._note((*table, *_parts(found[1])), number)

    def of(self, *path: str) -> int:
        """Return the line of ``path``, or of what is found nearest around it; 1 for nothing."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def _note(self, path: tuple[str, ...], number: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
