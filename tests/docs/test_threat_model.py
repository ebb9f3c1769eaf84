"""``docs/threat-model.md`` names tests that exist, and leaves out none of the ten risks."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.settings_in_code import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_it_names_tests() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_file_that_is_named_is_there() -> None:
    for file in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / file).is_file(), file


def test_all_ten_risks_are_answered_with_a_test() -> None:
    for number in range(1, 11):
        (row,) = re.findall(rf"^\| API{number} .*$", PAGE, re.MULTILINE)
        assert "::" in row, row
