"""Patterns of parameters: what Python's own would say, in linear time, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.patterns import BadPattern, Pattern

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "[a-c0-1]", r"\d", r"\w", r"\s", r"[^\w]", r"\.", "x-y", ""]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?", "{2,}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
        inner.map(lambda one: f"({one})"),
    ),
    max_leaves=8,
)
TEXTS = st.text(alphabet="abcxy-0159. \n_\u0661é", max_size=12)


@settings(max_examples=400, deadline=None)
@given(pattern=PATTERNS, text=TEXTS)
def test_it_agrees_with_python(pattern: str, text: str) -> None:
    expected = re.fullmatch(pattern, text, re.ASCII) is not None
    assert Pattern(pattern).matches(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("[a-z]+", "abc", True),
        ("^[a-z]+$", "abc", True),
        (r"\A[a-z]+\Z", "abc\n", False),
        ("^[a-z]+$", "abc\n", False),
        ("[a-z]", "xa", False),
        (r"\d+", "\u0661\u0662", False),
        ("", "", True),
        ("", "a", False),
        ("a|b", "b", True),
    ],
)
def test_it_is_about_the_whole_text(pattern: str, text: str, fits: bool) -> None:
    assert Pattern(pattern).matches(text) is fits


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)*b", "a*a*a*a*a*a*b"])
def test_what_would_never_end_with_backtracking_does(pattern: str) -> None:
    assert not Pattern(pattern).matches("a" * 2_000)


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(", "is no regular expression"),
        ("a{2,1}", "is no regular expression"),
        (r"(a)\1", "refers back"),
        ("(a)?(?(1)b|c)", "refers back"),
        ("a(?=b)", "looks ahead"),
        ("(?<!a)b", "looks ahead"),
        ("(?i)a", "sets flags"),
        ("(?i:a)", "sets flags"),
        ("a*+b", "possessive"),
        ("(?>a)b", "atomic"),
        ("a$b", "anchor"),
        ("^a|b$", "anchor"),
        (r"a\b", "anchor"),
        ("(?:a{100}){100}", "too large"),
        ("(" * 400, "is no regular expression"),
        ("a" * 501, "more than 500"),
        ("a{99999999999999999999}", "is no regular expression"),
    ],
)
def test_what_it_cannot_do_it_refuses(pattern: str, complaint: str) -> None:
    with pytest.raises(BadPattern, match=complaint):
        Pattern(pattern)
