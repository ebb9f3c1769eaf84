"""``docs/dependencies.md`` gives a reason for each line of the requirement files."""

from __future__ import annotations

import re

import pytest

from tests.docs.settings_in_code import ROOT

_ROW = re.compile(r"^\| `([A-Za-z0-9_.-]+)` \| (.+) \|$", re.MULTILINE)
_REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)(\[[a-z,]+\])?==\S+$")
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def required(file: str) -> list[str]:
    """Return the packages of a requirements file, each of which must be pinned."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-r "))]
    names = []
    for line in wanted:
        found = _REQUIREMENT.match(line)
        assert found is not None, f"{file}: {line!r} is not pinned"
        names.append(found.group(1))
    return names


def explained(heading: str) -> dict[str, str]:
    """Return the packages that stand under a heading, with their reasons."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return dict(_ROW.findall(section))


@pytest.mark.parametrize(
    ("file", "heading"),
    [
        ("requirements.txt", "What runs"),
        ("requirements-dev.txt", "What tests, lints and measures"),
    ],
)
def test_each_line_has_its_reason_in_the_same_order(file: str, heading: str) -> None:
    assert list(explained(heading)) == required(file)
    assert all(len(reason) > 10 for reason in explained(heading).values())
