"""No reason code without a status, a sentence and a test that makes it appear from outside."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent


def claims() -> Iterator[str]:
    """The codes that tests claim to produce; each is held to it when it runs."""
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
            for target in node.targets
            if isinstance(target, ast.Name) and _is_literal(node.value)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith(".produces"):
                    for argument in mark.args:
                        if isinstance(argument, ast.Starred):
                            yield from names[ast.unparse(argument.value)]
                        else:
                            yield ast.literal_eval(argument)


def _is_literal(node: ast.List) -> bool:
    return all(isinstance(item, ast.Constant) for item in node.elts)


def test_every_code_is_produced_from_outside() -> None:
    assert set(claims()) == {code.code for code in ReasonCode}


@pytest.mark.parametrize("code", ReasonCode, ids=str)
def test_every_code_says_what_it_means(code: ReasonCode) -> None:
    facts = code.value
    assert re.fullmatch(r"(G[0-9]+|E[0-9]+|E)_[a-z_]+", facts.code)
    assert code.name == facts.code.upper()
    for text in (facts.meaning, facts.remedy):
        assert text[0].isupper()
        assert text.endswith(".")
        assert 20 <= len(text) <= 160
    assert facts.meaning.count(". ") == 0  # one sentence
    if facts.status is not None:
        assert facts.status is not Status.APPROVED
    assert facts.http_status in (None, 200, 202, 400, 401, 403, 409, 413, 429, 500, 503)
    assert ReasonCode.of(facts.code) is code
